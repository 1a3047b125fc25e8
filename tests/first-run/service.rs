//! `up --install-service`: what it writes is what systemd takes, and closes off what it can.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, Story, binary, story};

/// The worst exposure that is taken, in tenths, of what `systemd-analyze security` counts up to 100: the system's
/// unit may make a network device.
const EXPOSED_MAX: u32 = 22;

const CLOSED: [&str; 12] = [
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectHome=read-only",
    "ProtectKernelTunables=yes",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "UMask=0077",
];

/// The program where everybody may start it: it may lie where another user may not look.
pub(super) fn open_to_all(story: &Story, host: &Host) -> Result<PathBuf> {
    let program = host.folder().join("freehold");
    std::fs::copy(binary()?, &program)?;
    for folder in [story.folder(), host.folder()] {
        std::fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    }
    Ok(program)
}

fn make_closed(folder: &Path) -> Result<()> {
    std::fs::create_dir(folder)?;
    Ok(std::fs::set_permissions(folder, Permissions::from_mode(0o700))?)
}

/// Looks at a unit as its reader and as systemd does.
fn check(host: &Host, file: &str, wanted: &[&str]) -> Result<()> {
    let text = std::fs::read_to_string(host.folder().join(file))?;
    for line in CLOSED.iter().chain(wanted) {
        ensure!(text.lines().any(|have| have == *line), "{line} is not in {text}");
    }
    let verified = host.run("systemd-analyze", &["verify", "--man=no", file])?;
    ensure!(!verified.err.contains("freehold.service"), "systemd complains: {}", verified.err);
    let scored = host.run("systemd-analyze", &["security", "--offline=true", file])?.good()?;
    let line = scored.out.lines().find(|line| line.contains("Overall exposure")).context("no score")?;
    let score = line.split_whitespace().find_map(|word| word.replace('.', "").parse::<u32>().ok());
    ensure!(score.is_some_and(|tenths| tenths <= EXPOSED_MAX), "{line}");
    Ok(())
}

#[test]
fn root_gets_a_unit_of_the_system() -> Result<()> {
    story("root_gets_a_unit_of_the_system", |story| {
        let host = story.host("alice")?;
        // An /etc and a /var/lib of its own: nothing of this machine is written.
        let shell = "mount -t tmpfs none /etc && mount -t tmpfs none /var/lib && \"$@\" && \
                     cp /etc/systemd/system/freehold.service . && stat -c %U:%a /var/lib/freehold /var/lib/freehold/*";
        let program = open_to_all(story, &host)?;
        let program = program.to_string_lossy();
        let root = host.folder().join("root");
        make_closed(&root)?;
        let (root, kept) = (root.to_string_lossy(), format!("HOME={}", root.display()));
        let run = |more: &[&str]| {
            let unshare = ["--mount", "sh", "-ec", shell, "sh", "env", &kept, &program, "--yes"];
            host.run("unshare", &[&unshare, more, &["up", "--install-service", "--s3-port", "9100"]].concat())
        };
        // Where its user may not look, nothing is begun, and a way is shown.
        let inside = format!("{root}/node");
        let refused = run(&["--home", &inside])?;
        ensure!(refused.code == Some(1) && refused.err.contains("may not look into"), "{refused:?}");
        ensure!(refused.err.contains("another home, as --home /var/lib/freehold"), "{refused:?}");
        ensure!(!Path::new(&inside).exists(), "a realm was founded all the same");

        let said = run(&[])?.good()?;
        let next = "systemctl daemon-reload && systemctl enable freehold && systemctl restart freehold";
        ensure!(said.out.contains(next), "{}", said.out);
        let all = said.out.lines().filter(|line| line.starts_with("root:")).count();
        ensure!(all == 0 && said.out.contains("\nfreehold:700\n"), "{}", said.out);
        ensure!(!said.out.contains("--user"), "{}", said.out);
        let start =
            format!("ExecStart={program} up --yes --log-json --home /var/lib/freehold --s3-port 9100");
        // What a network device takes, and no more.
        let rights = "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE";
        let device = ["DevicePolicy=closed", "DeviceAllow=/dev/net/tun rw", "User=freehold"];
        let own = [start.as_str(), "ReadWritePaths=/var/lib/freehold", "WantedBy=multi-user.target", rights];
        check(&host, "freehold.service", &[&own[..], &device].concat())
    })
}

#[test]
fn a_person_gets_a_unit_of_their_own() -> Result<()> {
    story("a_person_gets_a_unit_of_their_own", |story| {
        let host = story.host("alice")?;
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        if host.run("setpriv", &[user.as_slice(), &["true"]].concat())?.code != Some(0) {
            return Ok(()); // In a user namespace with one user there is nobody else.
        }
        let program = open_to_all(story, &host)?;
        let mut command = host.command("setpriv");
        command.args(user).arg(&program).args(["--yes", "up", "--install-service"]);
        let said = Host::answer(&mut command)?.good()?;
        for word in ["systemctl --user daemon-reload", "loginctl enable-linger"] {
            ensure!(said.out.contains(word), "{word}: {}", said.out);
        }
        std::fs::copy(
            host.folder().join(".config/systemd/user/freehold.service"),
            host.folder().join("freehold.service"),
        )?;
        let writes = format!("ReadWritePaths={}", host.folder().join(".local/share/freehold").display());
        let closed = ["PrivateUsers=yes", "CapabilityBoundingSet=", "PrivateDevices=yes"];
        check(&host, "freehold.service", &[&closed[..], &[&writes, "WantedBy=default.target"]].concat())
    })
}

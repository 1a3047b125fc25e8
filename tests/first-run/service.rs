//! `up --install-service`: what it writes is what systemd takes, and closes off what it can.

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, binary, story};

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
        // An /etc of its own: nothing of this machine is written.
        let shell = "mount -t tmpfs none /etc && HOME=/home/somebody \"$0\" --yes --home \"$1\" up \
                     --install-service --s3-port 9100 && cp /etc/systemd/system/freehold.service .";
        let home = host.folder().join("home");
        let home = home.to_string_lossy();
        let program = binary()?;
        let program = program.to_string_lossy();
        let said = host.run("unshare", &["--mount", "sh", "-ec", shell, &program, &home])?.good()?;
        ensure!(
            said.out.contains("systemctl daemon-reload && systemctl enable --now freehold"),
            "{}",
            said.out
        );
        ensure!(!said.out.contains("--user"), "{}", said.out);
        let start = format!("ExecStart={program} up --yes --log-json --home {home} --s3-port 9100");
        let writes = format!("ReadWritePaths={home}");
        // What a network device takes, and no more.
        let rights = "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE";
        let device = ["DevicePolicy=closed", "DeviceAllow=/dev/net/tun rw"];
        let own = [start.as_str(), &writes, "WantedBy=multi-user.target", rights];
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
        // The binary may lie where another user may not look.
        let program = host.folder().join("freehold");
        std::fs::copy(binary()?, &program)?;
        for folder in [story.folder(), host.folder()] {
            let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(folder, all)?;
        }
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

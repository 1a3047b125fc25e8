//! The systemd unit: the node as a service that may do little else.

pub(crate) mod account;

use std::path::{Path, PathBuf};

use freehold_api::Problem;

use account::Account;

use crate::args::Run;
use crate::dns::DnsSystem;
use crate::terminal::Terminal;

const TUN_ALONE: &str = "DevicePolicy=closed\nDeviceAllow=/dev/net/tun rw";
const RESOLV: &str = " -/etc/resolv.conf";
const PERMIT: &str = include_str!("freehold.rules");
const UNIT: &str = include_str!("freehold.service");

/// What is to be written, settled before anything is.
#[derive(Debug)]
pub(crate) struct Service {
    program: PathBuf,
    home: PathBuf,
    /// As whom the system's one runs; a person's own is theirs.
    account: Option<Account>,
}

impl Service {
    /// The system's one if we are root, else the person's own.
    ///
    /// # Errors
    /// systemd, or the user as whom it would run, could not come to the program or the home.
    pub(crate) fn plan(home: &Path) -> Result<Self, Problem> {
        let program =
            std::env::current_exe().map_err(|e| crate::up::bug("cannot find the path of this program", e))?;
        let home = std::path::absolute(home)
            .map_err(|e| crate::up::bug("cannot make the home's path absolute", e))?;
        for path in [&program, &home] {
            if path.to_str().is_none_or(|path| path.contains(char::is_control)) {
                return Err(refused(
                    format!("systemd cannot take the path {}", path.display()),
                    "move it to a folder with a plain name: --home FOLDER",
                ));
            }
        }
        let account = if is_root() { Some(Account::of(&home)?) } else { None };
        if let Some(account) = &account {
            check_reach(account, &program, &home)?;
        }
        Ok(Self { program, home, account })
    }

    /// Whether somebody else has the home, so that root is to found nothing in it.
    pub(crate) fn is_theirs(&self) -> bool {
        self.account.is_some() && account::owner(&self.home) != 0
    }

    /// Whether the home is root's, and becomes the account's.
    pub(crate) fn takes(&self) -> bool {
        self.account.is_some() && self.home.exists() && !self.is_theirs()
    }

    /// Writes the unit and says what to type next.
    ///
    /// # Errors
    /// It could not be written, or the home of another user holds no node.
    pub(crate) fn install(&self, terminal: Terminal, run: &Run) -> Result<(), Problem> {
        if let Some(account) = &self.account {
            if self.is_theirs() && !self.home.join("node").exists() {
                let next = format!("as {}: freehold up    (then this again)", account.name);
                return Err(refused(format!("{} holds no node yet", self.home.display()), &next));
            }
            account.take(&self.home).map_err(|error| {
                refused(
                    format!("{} cannot be given to {}: {error}", self.home.display(), account.name),
                    "a folder on a disk of this machine: --home FOLDER",
                )
            })?;
        }
        self.account.as_ref().map_or(Ok(()), permit).map_err(|error| {
            let next = "sudo rm -r /etc/polkit-1/rules.d/49-freehold.rules, if there is one";
            refused(format!("polkit's rule for it cannot be written: {error}"), next)
        })?;
        let (dir, control) = match self.account {
            Some(_) => (PathBuf::from("/etc/systemd/system"), "systemctl"),
            None => (own_units(), "systemctl --user"),
        };
        let file = dir.join("freehold.service");
        write(&file, &fill(&self.program, &self.home, run, self.account.as_ref())).map_err(|error| {
            Problem::refused(
                format!("cannot write {}", file.display()),
                error.to_string(),
                Some("run it as a user who may write there"),
            )
        })?;
        let next =
            format!("{control} daemon-reload && {control} enable freehold && {control} restart freehold");
        if terminal.json {
            terminal.answer_json(&Installed { unit: file.display().to_string(), next });
            return Ok(());
        }
        terminal.answer(format!("Wrote {}. Next:", file.display()));
        terminal.answer(format!("  {next}"));
        match &self.account {
            Some(account) => terminal.answer(format!("It runs as the user {}.", account.name)),
            None => terminal.answer("  loginctl enable-linger    (keeps it running when you log out)"),
        }
        Ok(())
    }
}

/// Whether root types this. Not by HOME, which sudo may leave.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

fn check_reach(account: &Account, program: &Path, home: &Path) -> Result<(), Problem> {
    let shut = |folder: &Path| {
        format!("it would run as the user {}, who may not look into {}", account.name, folder.display())
    };
    if let Some(folder) = account.shut_out_by(program) {
        let next = format!(
            "sudo install {} /usr/local/bin/freehold, then: sudo /usr/local/bin/freehold up --install-service",
            quoted(program, false)
        );
        return Err(refused(shut(folder), &next));
    }
    if let Some(folder) = account.shut_out_by(home) {
        let place = account::HOME;
        let next = if home.exists() {
            format!("stop the node, mv {} {place}, and the same with --home {place}", quoted(home, false))
        } else {
            format!("another home, as --home {place}")
        };
        return Err(refused(shut(folder), &next));
    }
    Ok(())
}

fn refused(why: String, next: &str) -> Problem {
    Problem::refused("no service was installed", why, Some(next))
}

fn own_units() -> PathBuf {
    let base = std::env::var_os("XDG_CONFIG_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".config"),
        PathBuf::from,
    );
    base.join("systemd/user")
}

/// systemd-resolved asks polkit, where it is, who may tell it of names. The service's own user may; of a person
/// only what runs in the unit, which polkit knows from its version 124 on.
fn permit(account: &Account) -> std::io::Result<()> {
    if !Path::new("/usr/share/polkit-1").is_dir() {
        return Ok(());
    }
    let user =
        if account.is_own() { format!(" || subject.user == \"{}\"", account.name) } else { String::new() };
    write(Path::new("/etc/polkit-1/rules.d/49-freehold.rules"), &PERMIT.replace("@USER@", &user))
}

/// The whole or nothing of it; for everybody to read.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let mut scratch = file.as_os_str().to_owned();
    scratch.push(".new");
    let scratch = PathBuf::from(scratch);
    let mut out = std::fs::File::create(&scratch)?;
    std::io::Write::write_all(&mut out, text.as_bytes())?;
    out.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    out.sync_all()?;
    std::fs::rename(&scratch, file)
}

#[derive(serde::Serialize)]
struct Installed {
    unit: String,
    next: String,
}

fn fill(program: &Path, home: &Path, run: &Run, account: Option<&Account>) -> String {
    let mut flags = String::new();
    let domains = run.s3_domain.iter().map(|name| ("--s3-domain", Some(name.clone())));
    let websites = run.website_domain.iter().map(|name| ("--website-domain", Some(name.clone())));
    let doors = run.door_listen.iter().map(|at| ("--door-listen", Some(at.to_string())));
    let words = [
        (run.no_tun, " --no-tun"),
        (run.no_packets, " --no-packets"),
        (run.no_port_mapping, " --no-port-mapping"),
        (run.proxy_for_others, " --proxy-for-others"),
    ];
    flags.extend(words.into_iter().filter_map(|(said, word)| said.then_some(word)));
    for (flag, value) in [
        ("--s3-port", run.s3_port.map(|p| p.to_string())),
        ("--console-port", run.console_port.map(|p| p.to_string())),
        ("--mesh-port", run.mesh_port.map(|p| p.to_string())),
        ("--listen", run.listen.map(|ip| ip.to_string())),
        ("--s3-listen", run.s3_listen.map(|ip| ip.to_string())),
        ("--relay", run.relay.map(|a| a.to_string())),
        ("--door-ports", run.door_ports.map(|(https, http)| format!("{https},{http}"))),
        ("--certificates-hook", run.certificates_hook.as_ref().map(|program| quoted(program, true))),
        ("--socks", run.socks.map(|a| a.to_string())),
        ("--http-proxy", run.http_proxy.map(|a| a.to_string())),
        ("--phone-listen", run.phone_listen.map(|a| a.to_string())),
        ("--phone-endpoint", run.phone_endpoint.clone()),
    ]
    .into_iter()
    .chain(domains)
    .chain(doors)
    .chain(run.dns.flags())
    .chain(websites)
    {
        if let Some(value) = value {
            flags.push(' ');
            flags.push_str(flag);
            flags.push(' ');
            flags.push_str(&value);
        }
    }
    let unit = UNIT
        .replace("@PROGRAM@", &quoted(program, true))
        .replace("@ARGUMENT@", &quoted(home, true))
        .replace("@HOME@", &quoted(home, false))
        .replace("@FLAGS@", &flags);
    let Some(account) = account else {
        // A person's own manager has no rights to give, and can close the file system off only in a user namespace.
        return ["@RESOLV@", "@BORROW@", "@USER@", "@RIGHTS@"]
            .iter()
            .fold(unit, |unit, blank| unit.replace(blank, ""))
            .replace("@DEVICES@", "PrivateDevices=yes")
            .replace("@USERS@", "PrivateUsers=yes\n")
            .replace("@TARGET@", "default.target");
    };
    // All names here, where only that file can say so.
    let resolv = run.dns.system == Some(DnsSystem::Yes);
    unit.replace("@RESOLV@", if resolv { RESOLV } else { "" })
        .replace("@BORROW@", &if resolv { borrow(account) } else { String::new() })
        .replace("@USER@", &format!("User={}\n", account.name))
        // What the network device takes, and to answer for names on port 53.
        .replace("@RIGHTS@", "CAP_NET_ADMIN CAP_NET_BIND_SERVICE")
        .replace("@DEVICES@", TUN_ALONE)
        .replace("@USERS@", "")
        .replace("@TARGET@", "multi-user.target")
}

/// Lets the account write that one file of root's as long as the service runs. A link is another program's.
fn borrow(account: &Account) -> String {
    let line = |when: &str, group: u32, bits: &str| {
        let file = "/etc/resolv.conf";
        format!(
            "{when}=-+/bin/sh -c 'test -L {file} || {{ chgrp {group} {file} && chmod {bits} {file}; }}'\n"
        )
    };
    line("ExecStartPre", account.group(), "g+w") + &line("ExecStopPost", 0, "g-w")
}

/// A path as a unit file wants it; in a command line a dollar sign is special, too.
fn quoted(path: &Path, in_command: bool) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@=~".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    let text = text.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"");
    let text = if in_command { text.replace('$', "$$") } else { text };
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::DnsArgs;

    #[test]
    fn the_unit_names_program_home_and_flags() {
        let run = Run {
            s3_port: Some(9100),
            console_port: None,
            mesh_port: None,
            listen: None,
            s3_listen: None,
            s3_domain: vec!["s3.example.org".to_owned()],
            website_domain: Vec::new(),
            relay: None,
            no_tun: true,
            door_listen: Vec::new(),
            door_ports: Some((8443, 8080)),
            certificates_hook: None,
            no_packets: false,
            socks: Some("127.0.0.1:1080".parse().unwrap()),
            http_proxy: None,
            proxy_for_others: false,
            no_port_mapping: true,
            phone_listen: Some("0.0.0.0:51820".parse().unwrap()),
            phone_endpoint: Some("vps.example.org:51820".to_owned()),
            dns: DnsArgs { listen: vec!["192.168.1.2:53".parse().unwrap()], ..DnsArgs::default() },
            log_json: false,
        };
        let account = Account::known("root").unwrap();
        let unit = fill(Path::new("/usr/bin/freehold"), Path::new("/srv/freehold"), &run, Some(&account));
        assert!(unit.contains(
            "ExecStart=/usr/bin/freehold up --yes --log-json --home /srv/freehold --no-tun --no-port-mapping --s3-port 9100 --door-ports 8443,8080 --socks 127.0.0.1:1080 --phone-listen 0.0.0.0:51820 --phone-endpoint vps.example.org:51820 --s3-domain s3.example.org --dns 192.168.1.2:53\n"
        ));
        assert!(unit.contains("\nLimitCORE=0\n"), "a dump would hold the node's keys");
        assert!(unit.contains("ReadWritePaths=/srv/freehold\n"));
        assert!(unit.contains("\nDeviceAllow=/dev/net/tun rw\n") && !unit.contains("PrivateDevices"));
        let asked = DnsArgs { system: Some(DnsSystem::Yes), ..DnsArgs::default() };
        let asked = Run { dns: asked, ..run.clone() };
        let asked = fill(Path::new("/usr/bin/freehold"), Path::new("/srv/freehold"), &asked, Some(&account));
        assert!(asked.contains("\nReadWritePaths=/srv/freehold -/etc/resolv.conf\n"), "{asked}");
        assert!(
            asked.contains("\nExecStartPre=-+/bin/sh -c 'test -L /etc/resolv.conf || { chgrp 0 "),
            "{asked}"
        );
        assert!(!unit.contains("ExecStartPre"), "{unit}");
        assert!(unit.contains("\nUser=root\n"), "{unit}");
        let own = fill(Path::new("/usr/bin/freehold"), Path::new("/srv/freehold"), &run, None);
        assert!(own.contains("\nCapabilityBoundingSet=\n") && own.contains("\nPrivateDevices=yes\n"));
        assert!(!own.contains("User="), "{own}");
        for unit in [&unit, &own] {
            assert!(
                unit.lines().all(|line| !line.contains('@') || line.starts_with("SystemCallFilter=")),
                "{unit}"
            );
        }
        let odd =
            fill(Path::new("/opt/my tools/freehold"), Path::new("/srv/100% $HOME"), &run, Some(&account));
        assert!(odd.contains(
            "ExecStart=\"/opt/my tools/freehold\" up --yes --log-json --home \"/srv/100%% $$HOME\" --no-tun --no-port-mapping --s3-port 9100 --door-ports 8443,8080 --socks 127.0.0.1:1080 --phone-listen 0.0.0.0:51820 --phone-endpoint vps.example.org:51820 --s3-domain s3.example.org --dns 192.168.1.2:53\n"
        ), "{odd}");
        assert!(odd.contains("ReadWritePaths=\"/srv/100%% $HOME\"\n"), "{odd}");
    }
}

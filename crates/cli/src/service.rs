//! The systemd unit: the node as a service that may do little else.

use std::path::Path;

use freehold_api::Problem;

use crate::args::Run;
use crate::dns::DnsSystem;
use crate::terminal::Terminal;

const TUN_ALONE: &str = "DevicePolicy=closed\nDeviceAllow=/dev/net/tun rw";
const RESOLV: &str = " -/etc/resolv.conf";
const UNIT: &str = include_str!("freehold.service");

/// Writes the unit for this home and says what to type next: the system's one if we are root,
/// else the person's own.
pub(crate) fn install(terminal: Terminal, home: &Path, run: &Run) -> Result<(), Problem> {
    let program =
        std::env::current_exe().map_err(|e| crate::up::bug("cannot find the path of this program", e))?;
    let home =
        std::path::absolute(home).map_err(|e| crate::up::bug("cannot make the home's path absolute", e))?;
    // Not by HOME, which sudo may leave: files of root do not belong into a person's home.
    let me =
        std::fs::metadata("/proc/self").map_err(|e| crate::up::bug("cannot tell which user this is", e))?;
    let system = std::os::unix::fs::MetadataExt::uid(&me) == 0;
    let (dir, control) = if system {
        (std::path::PathBuf::from("/etc/systemd/system"), "systemctl")
    } else {
        let base = std::env::var_os("XDG_CONFIG_HOME").map_or_else(
            || std::path::PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".config"),
            std::path::PathBuf::from,
        );
        (base.join("systemd/user"), "systemctl --user")
    };
    for path in [&program, &home] {
        if path.to_str().is_none_or(|path| path.contains(char::is_control)) {
            return Err(Problem::invalid(
                "no service was installed",
                format!("systemd cannot take the path {}", path.display()),
                Some("move it to a folder with a plain name: --home FOLDER"),
            ));
        }
    }
    let unit = fill(&program, &home, run, system);
    let file = dir.join("freehold.service");
    let problem = |e: std::io::Error| {
        Problem::refused(
            format!("cannot write {}", file.display()),
            e.to_string(),
            Some("run it as a user who may write there"),
        )
    };
    std::fs::create_dir_all(&dir).map_err(problem)?;
    let scratch = file.with_extension("service.new");
    let mut out = std::fs::File::create(&scratch).map_err(problem)?;
    std::io::Write::write_all(&mut out, unit.as_bytes()).map_err(problem)?;
    out.sync_all().map_err(problem)?;
    std::fs::rename(&scratch, &file).map_err(problem)?;
    let next = format!("{control} daemon-reload && {control} enable --now freehold");
    if terminal.json {
        terminal.answer_json(&Installed { unit: file.display().to_string(), next });
        return Ok(());
    }
    terminal.answer(format!("Wrote {}. Next:", file.display()));
    terminal.answer(format!("  {next}"));
    if !system {
        terminal.answer("  loginctl enable-linger    (keeps it running when you log out)");
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct Installed {
    unit: String,
    next: String,
}

fn fill(program: &Path, home: &Path, run: &Run, system: bool) -> String {
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
    UNIT.replace("@PROGRAM@", &quoted(program, true))
        .replace("@ARGUMENT@", &quoted(home, true))
        .replace("@HOME@", &quoted(home, false))
        .replace("@FLAGS@", &flags)
        // All names here, where only that file can say so.
        .replace("@RESOLV@", if system && run.dns.system == Some(DnsSystem::Yes) { RESOLV } else { "" })
        // What the network device takes, and to answer for names on port 53. A person's own manager has neither
        // to give.
        .replace("@RIGHTS@", if system { "CAP_NET_ADMIN CAP_NET_BIND_SERVICE" } else { "" })
        .replace("@DEVICES@", if system { TUN_ALONE } else { "PrivateDevices=yes" })
        // A person's own manager can close the file system off only in a user namespace.
        .replace("@USERS@", if system { "" } else { "PrivateUsers=yes\n" })
        .replace("@TARGET@", if system { "multi-user.target" } else { "default.target" })
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
        let unit = fill(Path::new("/usr/bin/freehold"), Path::new("/srv/freehold"), &run, true);
        assert!(unit.contains(
            "ExecStart=/usr/bin/freehold up --yes --log-json --home /srv/freehold --no-tun --no-port-mapping --s3-port 9100 --door-ports 8443,8080 --socks 127.0.0.1:1080 --phone-listen 0.0.0.0:51820 --phone-endpoint vps.example.org:51820 --s3-domain s3.example.org --dns 192.168.1.2:53\n"
        ));
        assert!(unit.contains("\nLimitCORE=0\n"), "a dump would hold the node's keys");
        assert!(unit.contains("ReadWritePaths=/srv/freehold\n"));
        assert!(unit.contains("\nDeviceAllow=/dev/net/tun rw\n") && !unit.contains("PrivateDevices"));
        let asked = DnsArgs { system: Some(DnsSystem::Yes), ..DnsArgs::default() };
        let asked = Run { dns: asked, ..run.clone() };
        let asked = fill(Path::new("/usr/bin/freehold"), Path::new("/srv/freehold"), &asked, true);
        assert!(asked.contains("\nReadWritePaths=/srv/freehold -/etc/resolv.conf\n"), "{asked}");
        let own = fill(Path::new("/usr/bin/freehold"), Path::new("/srv/freehold"), &run, false);
        assert!(own.contains("\nCapabilityBoundingSet=\n") && own.contains("\nPrivateDevices=yes\n"));
        for blank in
            ["PROGRAM", "ARGUMENT", "HOME", "FLAGS", "USERS", "TARGET", "RIGHTS", "DEVICES", "RESOLV"]
        {
            assert!(!unit.contains(&format!("@{blank}@")), "{unit}");
        }
        let odd = fill(Path::new("/opt/my tools/freehold"), Path::new("/srv/100% $HOME"), &run, true);
        assert!(odd.contains(
            "ExecStart=\"/opt/my tools/freehold\" up --yes --log-json --home \"/srv/100%% $$HOME\" --no-tun --no-port-mapping --s3-port 9100 --door-ports 8443,8080 --socks 127.0.0.1:1080 --phone-listen 0.0.0.0:51820 --phone-endpoint vps.example.org:51820 --s3-domain s3.example.org --dns 192.168.1.2:53\n"
        ), "{odd}");
        assert!(odd.contains("ReadWritePaths=\"/srv/100%% $HOME\"\n"), "{odd}");
    }
}

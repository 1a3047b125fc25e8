//! The unit of the system under a real systemd: the node makes its device, carries packets, answers for names and
//! opens its door, with the two rights that the unit has for that and nothing else of the machine to write to.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Answer, Host, Node, eventually, resolved, story, until};
use serde_json::Value;

/// `CAP_NET_BIND_SERVICE` and `CAP_NET_ADMIN`, by their numbers.
const RIGHTS: u64 = 1 << 10 | 1 << 12;
const BEFORE: &str = "nameserver 192.0.2.53\n";

/// A control group of this test's own; none where nobody may make one.
struct Group(PathBuf);

impl Group {
    fn make() -> Result<Option<Self>> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let kind = |line: &&str| line.split(' ').nth(2) == Some("cgroup2");
        let root = mounts.lines().find(kind).and_then(|line| line.split(' ').nth(1));
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
        let (Some(root), Some(own)) = (root, own) else { return Ok(None) };
        let path = PathBuf::from(root).join(own).join(format!("fh-{}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Some(Self(path))),
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("a control group at {}", path.display())),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Empty only once all that ran in it has ended.
        let empty = || {
            let mut all = vec![self.0.clone()];
            let mut at = 0;
            while let Some(folder) = all.get(at).cloned() {
                let inner = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
                all.extend(inner.filter(|path| path.is_dir()));
                at += 1;
            }
            all.iter().rev().try_for_each(std::fs::remove_dir)?;
            Ok(())
        };
        drop(until(10, "the control group is gone", empty));
    }
}

/// A machine whose first process is systemd, on the network of a host.
struct Machine<'a> {
    host: &'a Host,
    process: Child,
    first: String,
    _group: Group,
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl<'a> Machine<'a> {
    fn start(host: &'a Host, group: Group) -> Result<Self> {
        let mut command = host.command(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd.sh"));
        let log = File::create(host.folder().join("setup.log"))?;
        command.env("RESOLVECTL", resolved()?.1.join("resolvectl"));
        command.arg(&group.0).arg(host.folder()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn()?;
        let mut machine = Self { host, process, first: String::new(), _group: group };
        let id = machine.process.id();
        machine.first = until(20, "systemd is the first process", || {
            ensure!(machine.process.try_wait()?.is_none(), "it has ended");
            let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
            let first = children.trim().to_owned();
            let name = std::fs::read_to_string(format!("/proc/{first}/comm"))?;
            ensure!(name.trim() == "systemd", "{name}");
            Ok(first)
        })?;
        until(20, "systemd takes commands", || machine.run("systemctl is-active multi-user.target")?.good())?;
        Ok(machine)
    }

    /// What root types there.
    fn run(&self, line: &str) -> Result<Answer> {
        self.enter(&self.first, line)
    }

    /// The same where a process of ours sees its files.
    fn enter(&self, process: &str, line: &str) -> Result<Answer> {
        let spaces = ["--target", process, "--mount", "--pid", "--uts", "--ipc", "--", "sh", "-c", line];
        self.host.run("nsenter", &spaces)
    }

    fn says(&self, line: &str) -> Result<String> {
        Ok(self.run(line)?.good()?.out.trim().to_owned())
    }

    fn main_process(&self) -> Result<String> {
        self.says("systemctl show --property MainPID --value freehold")
    }
}

/// What the kernel says of the daemon: a user of its own with the two rights, nothing to be had by a program that it
/// starts, and a filter.
fn rights(machine: &Machine<'_>) -> Result<()> {
    let about = machine.says(&format!("cat /proc/{}/status", machine.main_process()?))?;
    let field = |name: &str| {
        let line = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).with_context(|| format!("{name} is not in {about}"))
    };
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        ensure!(u64::from_str_radix(field(set)?, 16)? == RIGHTS, "{set} is {}", field(set)?);
    }
    ensure!(u64::from_str_radix(field("CapAmb")?, 16)? == 0, "CapAmb is {}", field("CapAmb")?);
    let user = machine.says("id -u freehold")?;
    ensure!(user != "0" && field("Uid")?.split_whitespace().all(|id| id == user), "{}", field("Uid")?);
    ensure!(field("NoNewPrivs")? == "1" && field("Seccomp")? == "2", "{about}");

    // Its files, as somebody sees them whom no right is lacking.
    let inside = |line: &str| {
        let main = format!("nsenter --target {} --mount -- sh -c '{line}'", machine.main_process()?);
        machine.run(&main)
    };
    for closed in ["/etc/x", "/usr/x", "/srv/x", "/var/x", "/proc/sys/net/ipv4/ip_forward"] {
        let said = inside(&format!("echo 0 > {closed}"))?;
        ensure!(said.code != Some(0) && said.err.contains("Read-only file system"), "{closed}: {said:?}");
    }
    inside("touch /srv/home/x && rm /srv/home/x")?.good()?;
    Ok(())
}

/// What systemd is told to run, as `up --install-service` says it.
fn install(machine: &Machine<'_>, flags: &str) -> Result<()> {
    let line = format!("/srv/freehold --json --yes --home /srv/home up --install-service {flags}");
    let said = machine.run(&line)?.good()?;
    let last: Value =
        serde_json::Deserializer::from_str(&said.out).into_iter().last().context("no answer")??;
    let next = last.get("next").and_then(Value::as_str).with_context(|| said.out.clone())?;
    machine.run(next)?.good().map(drop)
}

/// The address of a machine in the realm's network.
fn address(node: &Node<'_>, name: &str) -> Result<String> {
    let status: Value = node.ask(&["net", "status"])?;
    let nodes = status.get("nodes").and_then(Value::as_array).context("no nodes")?;
    let found = nodes.iter().find(|node| node.get("name").and_then(Value::as_str) == Some(name));
    let at = found.and_then(|node| node.get("address")).and_then(Value::as_str);
    Ok(at.with_context(|| format!("there is no {name}"))?.to_owned())
}

fn curl(from: &Host, arguments: &[&str]) -> Result<Answer> {
    from.run("curl", &[&["-gsSk", "-m", "5"], arguments].concat())
}

#[test]
fn the_unit_gives_the_node_what_it_takes_and_nothing_else() -> Result<()> {
    story("the_unit_gives_the_node_what_it_takes", |story| {
        // Whoever is root in a user namespace alone may not; everything else of this needs no systemd.
        let Some(group) = Group::make()? else {
            eprintln!(
                "NOT TRIED: nobody may make a control group here, so that there is no systemd to try the unit"
            );
            return Ok(());
        };
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        crate::service::open_to_all(story, &alice)?;
        let machine = Machine::start(&alice, group)?;
        let realm = "--name smith --guardians-file /srv/guardians";
        install(&machine, &format!("{realm} --dns 127.0.0.1:53 --dns-system yes"))?;
        let (one, mut other) = (alice.node()?, bob.node()?);
        until(30, "the service is up", || one.status())?;
        rights(&machine)?;

        one.cli(&["node", "rename", &one.status()?.this_node, "nas"])?.good()?;
        other.join(&one.invite(&[])?, "bob")?;
        let at = until(30, "bob has an address", || address(&one, "bob"))?;
        eventually(30, "packets are carried", || {
            Ok(alice.run("ping", &["-c", "1", "-W", "2", &at])?.code == Some(0))
        })?;
        let tables =
            || Ok::<_, anyhow::Error>(alice.run("nft", &["list", "tables"])?.out.contains("freehold"));
        ensure!(tables()?, "strangers of the network beside it are not kept from it");

        // Programs there ask it for names, at the port that takes a right.
        let asked = || machine.says("getent ahostsv6 bob.smith.internal");
        until(30, "names are answered", || {
            ensure!(asked()?.contains(&at), "{}", asked()?);
            Ok(())
        })?;
        door(&machine, &one, &bob)?;

        // What a crash leaves is put in order by the next start, which is systemd's work.
        let before = machine.main_process()?;
        machine.run("systemctl kill --signal=KILL freehold")?.good()?;
        until(30, "it is started again", || {
            let now = machine.main_process()?;
            ensure!(now != before && now != "0", "{now}");
            one.status()
        })?;
        rights(&machine)?;
        eventually(60, "bob is reached again", || {
            Ok(alice.run("ping", &["-c", "1", "-W", "2", &at])?.code == Some(0))
        })?;
        until(30, "names are answered again", || {
            ensure!(asked()?.contains(&at), "{}", asked()?);
            Ok(())
        })?;

        machine.run("systemctl stop freehold")?.good()?;
        let result = machine.says("systemctl show --property Result --value freehold")?;
        ensure!(result == "success", "{result}");
        ensure!(machine.run("cat /etc/resolv.conf")?.out == BEFORE, "names are asked here still");
        let whose = machine.says("stat -c %U:%G:%a /etc/resolv.conf")?;
        ensure!(whose == "root:root:644", "{whose}");
        ensure!(
            alice.run("ip", &["link", "show", "freehold0"])?.code != Some(0),
            "the device is there still"
        );
        // A program of its own holds it, which ends with the node.
        eventually(10, "the filter is gone", || Ok(!tables()?))?;
        through_resolved(&machine, &one, &at)
    })
}

/// Where systemd-resolved answers programs, it takes the realm's names from the service's user, by polkit's leave.
fn through_resolved(machine: &Machine<'_>, one: &Node<'_>, at: &str) -> Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/resolved.sh");
    machine.run(&format!("{script} {}", resolved()?.0.display()))?.good()?;
    until(20, "systemd-resolved answers", || machine.run("resolvectl dns")?.good())?;
    install(machine, "--dns 127.0.0.1:5300")?;
    until(30, "names are answered through it", || {
        let asked = machine.run("getent ahostsv6 bob.smith.internal")?;
        ensure!(asked.out.contains(at), "{asked:?}");
        Ok(())
    })?;

    // Without that leave it is told what to type.
    machine.run("rm /etc/polkit-1/rules.d/49-freehold.rules && systemctl restart freehold")?.good()?;
    until(30, "it is told that it may not", || {
        let status: Value = one.ask(&["status"])?;
        let told = status.to_string();
        ensure!(
            told.contains("does not take it from this user") && told.contains("apt install polkitd"),
            "{told}"
        );
        Ok(())
    })
}

/// What runs on the machine is reached by HTTPS, at the port that takes a right.
fn door(machine: &Machine<'_>, one: &Node<'_>, bob: &Host) -> Result<()> {
    machine.run("mkdir /srv/page && echo 'a page of nas' > /srv/page/index.html")?.good()?;
    let serve = "nohup python3 -m http.server 8080 --bind 127.0.0.1 --directory /srv/page";
    machine.run(&format!("{serve} > /srv/page.log 2>&1 < /dev/null &"))?.good()?;
    one.cli(&["net", "service", "add", "wiki", "--node", "nas", "--port", "tcp/8080", "--web"])?.good()?;
    let services: Value = one.ask(&["net", "service", "list"])?;
    let at =
        services.get(0).and_then(|wiki| wiki.get("address")).and_then(Value::as_str).context("no address")?;
    let resolve = format!("wiki.smith.internal:443:[{at}]");
    until(60, "bob sees the page", || {
        let seen = curl(bob, &["--resolve", &resolve, "https://wiki.smith.internal/"])?.good()?;
        ensure!(seen.out.contains("a page of nas"), "{seen:?}");
        Ok(())
    })
}

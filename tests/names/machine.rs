//! This machine's own settings, in namespaces of their own: `getent` asks us, and afterwards whoever was
//! asked before. Needs root, or a user namespace.

use std::path::Path;
use std::process::Command;

use freehold_harness::resolved;
use freehold_names::{Data, Row};
use freehold_resolver::system::{self, Wish};
use freehold_resolver::{Listen, Setting, Speaks};

use crate::house::House;

/// Set in the process that is alone in its namespaces, to the mounts that it has left.
const ALONE: &str = "FREEHOLD_TEST_ALONE";

/// Runs a test of this program again, alone with a network and mounts of its own.
fn alone(test: &str) -> bool {
    let mounts = std::fs::read_link("/proc/self/ns/mnt").expect("a kernel with namespaces");
    if let Some(left) = std::env::var_os(ALONE) {
        assert_ne!(mounts.as_os_str(), left, "what follows is for nobody's machine");
        assert!(Path::new("/run").read_dir().expect("/run").next().is_none(), "not alone");
        return true;
    }
    let mut command = Command::new("unshare");
    // With this program all ends that it has started.
    let own = ["--net", "--mount", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];
    command.args(own).args(["sh", "-ec"]);
    command
        .arg(
            "ip link set lo up; ip link add freehold0 type veth peer name other; \
        ip address add 10.9.0.1/24 dev freehold0; ip link set freehold0 up; ip link set other up; \
        mount -t tmpfs none /run; exec \"$@\"",
        )
        .arg("sh");
    command.arg(std::env::current_exe().expect("this program")).args(["--exact", test, "--nocapture"]);
    let known = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(resolved().unwrap().1).chain(std::env::split_paths(&known));
    command.env("PATH", std::env::join_paths(folders).expect("folders"));
    let ended = command.env(ALONE, mounts).output().expect("unshare");
    println!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "see above");
    false
}

fn run(script: &str) -> String {
    let ended = Command::new("sh").args(["-ec", script]).output().expect("a shell");
    assert!(ended.status.success(), "{script}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

fn setting() -> Setting {
    let name = |text: &str| text.parse().expect("a name");
    let rows = vec![
        Row::Zone { apex: name("home.internal"), server: name("home.internal"), serial: 1 },
        Row::Record { name: name("nas.home.internal"), ttl: 60, data: Data::V4([10, 0, 0, 2].into()) },
    ];
    Setting { rows, ..Setting::default() }
}

async fn house(address: &str) -> anyhow::Result<House> {
    House::at(vec![Listen::at(address.parse()?, Speaks::Plain)], setting()).await
}

fn wish(link: Option<&str>, server: &str) -> anyhow::Result<Wish> {
    Ok(Wish {
        link: link.map(str::to_owned),
        servers: vec![server.parse()?],
        domains: vec!["home.internal".parse()?],
        search: vec!["home.internal".parse()?],
        everything: false,
        file: "/etc/resolv.conf".into(),
    })
}

/// The C library asks the file's servers; the file is mounted here, as it is in containers, and cannot be
/// swapped for another.
#[tokio::test(flavor = "multi_thread")]
async fn programs_ask_us_and_afterwards_whoever_they_asked() -> anyhow::Result<()> {
    if !alone("machine::programs_ask_us_and_afterwards_whoever_they_asked") {
        return Ok(());
    }
    let old = "nameserver 192.0.2.53\nsearch example\n";
    run(&format!("printf '{old}' > /run/resolv.conf; mount --bind /run/resolv.conf /etc/resolv.conf"));
    run(
        "printf 'hosts: files dns\\n' > /run/nsswitch.conf; mount --bind /run/nsswitch.conf /etc/nsswitch.conf",
    );
    let (house, home) = (house("127.0.0.1:53").await?, tempfile::tempdir()?);
    let taken = system::take(home.path(), &wish(None, "127.0.0.1:53")?).await?;
    assert_eq!(taken.before().servers, ["192.0.2.53".parse::<std::net::IpAddr>()?]);
    assert_eq!(taken.before().search, ["example"]);
    assert!(run("getent ahostsv4 nas").contains("10.0.0.2"), "by the name without its end, too");
    assert!(run("getent ahostsv4 nas.home.internal").starts_with("10.0.0.2"));
    taken.give_back().await?;
    assert_eq!(std::fs::read_to_string("/etc/resolv.conf")?, old);

    // A life that ends badly, and the next one.
    drop(system::take(home.path(), &wish(None, "127.0.0.1:53")?).await?);
    assert_ne!(std::fs::read_to_string("/etc/resolv.conf")?, old);
    assert_eq!(system::mend(home.path())?.as_deref(), Some(Path::new("/etc/resolv.conf")));
    assert_eq!(std::fs::read_to_string("/etc/resolv.conf")?, old);
    assert!(house.handle.shutdown().await);
    Ok(())
}

/// A real systemd-resolved beside a real D-Bus, told of one link.
#[tokio::test(flavor = "multi_thread")]
async fn systemd_resolved_is_told_of_our_link_alone() -> anyhow::Result<()> {
    if !alone("machine::systemd_resolved_is_told_of_our_link_alone") {
        return Ok(());
    }
    let (program, folder) = resolved()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/resolved.sh");
    run(&format!("{script} {}", program.display()));
    let (house, home) = (house("10.9.0.1:5353").await?, tempfile::tempdir()?);
    assert!(folder.join("resolvectl").exists());
    let stub = |name: &str| run(&format!("dig @127.0.0.53 +time=5 +tries=1 {name} || true"));
    assert!(!stub("nas.home.internal").contains("10.0.0.2"), "it knows nobody to ask");

    let taken = system::take(home.path(), &wish(Some("freehold0"), "10.9.0.1:5353")?).await?;
    assert!(run("resolvectl dns freehold0").contains("10.9.0.1:5353"));
    assert!(stub("nas.home.internal").contains("10.0.0.2"));
    assert!(run("getent ahostsv4 nas.home.internal").starts_with("10.0.0.2"));
    assert!(stub("no.home.internal").contains("NXDOMAIN"));
    let asked = || house.handle.counts(None).iter().map(|(_, counts)| counts.total()).sum::<u64>();
    let before = asked();
    stub("a.example");
    assert_eq!(asked(), before, "names that are not ours are no business of ours");
    taken.give_back().await?;
    assert!(!run("resolvectl dns freehold0").contains("10.9.0.1"));
    assert!(!stub("x.home.internal").contains("NXDOMAIN"));

    // For all names, as a house may want it.
    let all = Wish { everything: true, ..wish(Some("freehold0"), "10.9.0.1:5353")? };
    let taken = system::take(home.path(), &all).await?;
    assert!(stub("b.example").contains("SERVFAIL") && asked() > before, "we are asked, and know nobody");
    taken.give_back().await?;

    let unknown = system::take(home.path(), &wish(Some("not-there0"), "10.9.0.1:5353")?).await;
    let problem = unknown.expect_err("there is no such link");
    assert!(matches!(problem, system::SystemError::Resolved(_)), "{problem}");
    assert!(house.handle.shutdown().await);
    Ok(())
}

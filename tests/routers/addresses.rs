//! A name on the internet that follows a house, kept by a real name server (BIND) and by a provider.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_api::{PlaneState, PublishedAddress, Status};
use freehold_harness::{Host, Node, story, until};

/// What the name server and the house share.
const SECRET: &str = "d2hhdCBhIGhvdXNlIHNoYXJlcyB3aXRoIGl0cyBzZXJ2ZXI=";
const NAME: &str = "home.dyn.test";

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

fn say(host: &Host, kind: &str) -> Result<Vec<String>> {
    let dig = host.run("dig", &["@127.0.0.1", "-p", "5353", "+short", "+time=1", "+tries=1", kind, NAME])?;
    Ok(dig.good()?.out.lines().map(str::to_owned).collect())
}

/// A name server for the zone on this host.
fn bind(host: &Host) -> Result<Running> {
    let folder = host.folder().join("bind");
    fs::create_dir_all(&folder)?;
    let path = folder.display();
    let zone = "$TTL 5\n@ SOA ns root 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n";
    freehold_disk::replace(&folder.join("zone"), zone.as_bytes(), 0o600)?;
    let settings = format!(
        "options {{ directory \"{path}\"; listen-on port 5353 {{ any; }}; listen-on-v6 {{ none; }}; recursion no; \
         pid-file none; session-keyfile \"{path}/session\"; dnssec-validation no; }};\ncontrols {{ }};\n\
         key \"home\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
         zone \"dyn.test\" {{ type primary; file \"{path}/zone\"; \
         update-policy {{ grant home name {NAME}. A AAAA; }}; }};\n"
    );
    freehold_disk::replace(&folder.join("conf"), settings.as_bytes(), 0o600)?;
    let log = File::create(folder.join("log"))?;
    let mut named = host.command("named");
    named.arg("-g").arg("-c").arg(folder.join("conf")).args(["-n", "1"]);
    let running = Running(named.stdout(Stdio::null()).stderr(log).spawn().context("named")?);
    until(30, "the name server answers", || say(host, "SOA").map(drop))?;
    Ok(running)
}

/// The address of a house on the internet changes.
fn move_to(host: &Host, from: Option<&str>, to: &str) -> Result<()> {
    if let Some(from) = from {
        host.run("ip", &["addr", "del", from, "dev", "eth0"])?.good()?;
    }
    host.run("ip", &["addr", "add", to, "dev", "eth0", "nodad"])?.good().map(drop)
}

fn list(node: &Node<'_>) -> Result<Vec<PublishedAddress>> {
    node.ask(&["net", "address", "list"])
}

fn plane(node: &Node<'_>) -> Result<(PlaneState, String)> {
    let status: Status = node.ask(&["status"])?;
    let found = status.planes.into_iter().find(|plane| plane.name == "addresses");
    found.map(|plane| (plane.state, plane.detail)).context("there is no such plane")
}

#[test]
fn a_name_on_the_internet_follows_the_house() -> Result<()> {
    story("a_name_follows_the_house", |story| {
        let (zone, house) = (story.host("zone")?, story.host("house")?);
        let _named = bind(&zone)?;
        let key = format!("key \"home\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n");
        freehold_disk::replace(&house.folder().join("key"), key.as_bytes(), 0o600)?;
        let mut node = house.node()?;
        node.up(&["--name", "smith"])?;
        let server = format!("{}:5353", zone.address());
        let publish = [
            "net",
            "address",
            "publish",
            NAME,
            "--server",
            &server,
            "--zone",
            "dyn.test",
            "--key-file",
            "key",
        ];
        // Its only address is a private one.
        let trial = node.cli(&[&publish[..], &["--dry-run"]].concat())?.good()?;
        ensure!(trial.out.contains("nothing yet"), "{}", trial.out);
        ensure!(list(&node)?.is_empty(), "it was only a trial");
        node.cli(&publish)?.good()?;
        until(30, "it says that there is none", || {
            let (state, detail) = plane(&node)?;
            ensure!(
                state == PlaneState::Degraded && detail.contains("no public address"),
                "{state:?} {detail}"
            );
            Ok(())
        })?;
        move_to(&house, None, "203.0.113.7/24")?;
        until(60, "the name leads to the house", || {
            let said = say(&zone, "A")?;
            ensure!(said == ["203.0.113.7"], "{said:?}");
            Ok(())
        })?;
        move_to(&house, Some("203.0.113.7/24"), "198.51.100.4/24")?;
        move_to(&house, None, "2001:db8:7::4/64")?;
        until(60, "it follows, with IPv6 as well", || {
            let said = (say(&zone, "A")?, say(&zone, "AAAA")?);
            ensure!(said.0 == ["198.51.100.4"] && said.1 == ["2001:db8:7::4"], "{said:?}");
            Ok(())
        })?;
        let file = node.home().join("net/addresses").join(format!("{NAME}.json"));
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file)?);
        ensure!(mode & 0o777 == 0o600, "the key lies open: {mode:o}");
        // What was told is known after a restart, and not told again.
        let before = until(30, "it says what it told", || {
            let told = list(&node)?;
            let families = || told.iter().flat_map(|name| &name.families);
            ensure!(families().count() == 2 && families().all(|one| one.told.is_some()), "{told:?}");
            ensure!(families().all(|one| one.told == one.own), "{told:?}");
            Ok(told)
        })?;
        node.stop()?;
        node.resume()?;
        until(30, "it is not forgotten", || {
            let (told, (state, detail)) = (list(&node)?, plane(&node)?);
            ensure!(told == before, "{told:?} instead of {before:?}");
            ensure!(state == PlaneState::Running && detail.contains(NAME), "{state:?} {detail}");
            Ok(())
        })?;
        node.cli(&["net", "address", "remove", NAME])?.good()?;
        until(30, "the name leads there no more", || {
            let said = (say(&zone, "A")?, say(&zone, "AAAA")?);
            ensure!(said.0.is_empty() && said.1.is_empty(), "{said:?}");
            Ok(())
        })?;
        ensure!(!file.exists(), "the key is still there");
        node.cli(&["net", "address", "remove", NAME])?.refused(2, &["publishes no such name"])?;
        Ok(())
    })
}

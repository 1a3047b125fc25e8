//! Names of the internet: certified by a public authority, shown to whom each service is for, passed on unseen.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use freehold_harness::{Host, Node, eventually, story, until};

use crate::around::{Client, Seen, certified, curl, house, service, shown, website};
use crate::world::World;

const ZONE: &str = "acme.test";
/// An address of the internet, from which nobody is a neighbour.
const FAR: &str = "198.51.100.7";

/// What is seen where nothing is published: no page, or no certificate.
const HIDDEN: [u16; 2] = [404, 0];

/// Gives a host an address that is no neighbour's, and leads another one there.
fn far_away(world: &Host, gateway: &Host) -> Result<()> {
    world.run("ip", &["address", "add", &format!("{FAR}/32"), "dev", "eth0"])?.good()?;
    gateway.run("ip", &["route", "add", &format!("{FAR}/32"), "dev", "eth0"])?.good().map(drop)
}

fn add(node: &Node<'_>, name: &str, arguments: &[&str]) -> Result<()> {
    let host = format!("{name}.{ZONE}");
    let all = ["net", "service", "add", name, "--host", &host, "--gateway", "alice"];
    node.cli(&[&all[..], arguments].concat())?.good().map(drop)
}

struct Asks<'a> {
    world: &'a Host,
    gateway: IpAddr,
    root: &'a Path,
}

impl Asks<'_> {
    /// What is seen of a name from an address.
    fn from(&self, interface: &str, name: &str, arguments: &[&str]) -> Result<Seen> {
        let all = [&["--interface", interface], arguments].concat();
        curl(self.world, (&format!("{name}.{ZONE}"), self.gateway), self.root, &all, "/")
    }

    fn status(&self, interface: &str, name: &str, status: &[u16]) -> Result<()> {
        let seen = self.from(interface, name, &[])?;
        ensure!(status.contains(&seen.status), "{name} from {interface}: {seen:?}");
        Ok(())
    }
}

#[test]
fn names_of_the_internet_are_certified_and_open_to_whom_they_are_for() -> Result<()> {
    story("names_of_the_internet_are_certified", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let outside = story.host("world")?;
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        let _website = house(&mut one, &mut other, &mut laptop, &[])?;
        let _own = website(&alice, 7000, "own")?;
        far_away(&outside, &alice)?;
        let world = World::start(&outside, ZONE, alice.address(), 7200)?;

        let bobs = ["--node", "bob", "--port", "8080", "--access"];
        add(&one, "inner", &[&bobs[..], &["realm"]].concat())?;
        add(&one, "near", &[&bobs[..], &["lan"]].concat())?;
        add(&one, "open", &["--node", "alice", "--port", "7000", "--access", "public"])?;
        // Nobody has chosen who certifies: it is told, and nobody is asked.
        one.alarmed(&["door", "nobody has chosen who certifies", "freehold net certificates set"])?;
        let was_asked =
            || Ok(std::fs::read_to_string(outside.folder().join("pebble.log"))?.contains("sign-me-up"));
        let early: Result<bool> = was_asked();
        ensure!(!early?, "somebody was asked before anybody agreed");
        world.choose(&one, "http")?;
        let first = certified(&one, "open", &format!("open.{ZONE}"))?;
        ensure!(was_asked()?, "this is how that shows");
        for name in ["inner", "near"] {
            certified(&one, name, &format!("{name}.{ZONE}"))?;
        }

        let root = world.root()?;
        let asks = Asks { world: &outside, gateway: alice.address().into(), root: &root };
        let near = outside.address().to_string();
        until(20, "the world sees what is public", || {
            asks.from(FAR, "open", &[])?.is_for("own", FAR.parse()?)
        })?;
        let shown = [200];
        let each = [
            (FAR, "inner", HIDDEN.as_slice()),
            (FAR, "near", HIDDEN.as_slice()),
            (&*near, "inner", HIDDEN.as_slice()),
            (&*near, "near", shown.as_slice()),
            (&*near, "open", shown.as_slice()),
        ];
        for (from, name, status) in each {
            until(20, "each is shown to whom it is for", || asks.status(from, name, status))?;
        }
        let host = format!("open.{ZONE}");
        let plain = format!("http://{host}/");
        let led =
            curl(&outside, (&host, alice.address().into()), &root, &["-L", "--interface", FAR], &plain)?;
        ensure!(led.status == 200, "{led:?}");
        // What a certificate is kept by is sealed, for other gateways; in the home there is none.
        ensure!(!one.home().join("net/certificates").join(format!("cert-open.{ZONE}")).exists());

        changes_lose_nothing(&one, &outside, (&root, &alice.address().to_string()))?;
        // Two hours later, as this machine's clock says, another one is due.
        for node in [&mut other, &mut laptop, &mut one] {
            node.stop()?;
        }
        one.set_clock(Some("+2h"));
        one.resume()?;
        until(60, "it is renewed", || {
            let until = certified(&one, "open", &format!("open.{ZONE}"))?;
            ensure!(until > first, "{until}");
            Ok(())
        })?;
        until(30, "it is shown again", || asks.status(FAR, "open", &[200]))?;
        // What is taken back is gone at once.
        one.cli(&["net", "service", "set", "open", "--access", "realm"])?.good()?;
        until(20, "it is hidden", || asks.status(FAR, "open", &HIDDEN))
    })
}

/// Whoever asks while services change is answered.
fn changes_lose_nothing(one: &Node<'_>, world: &Host, (root, at): (&Path, &str)) -> Result<()> {
    let host = format!("open.{ZONE}");
    let many = Client::start(world, &["many", &root.to_string_lossy(), at, "443", &host])?;
    let begun = Instant::now();
    let mut turn = 0;
    while begun.elapsed() < Duration::from_secs(8) {
        turn += 1;
        let header = format!("X-Turn: {turn}");
        let more = if turn % 2 == 0 { ["--limit-body", "1G"] } else { ["--limit-body", "none"] };
        let all = ["net", "service", "set", "open", "--answer-header", &header];
        one.cli(&[&all[..], &more].concat())?.good()?;
    }
    let said = many.end()?;
    let counts: Vec<u64> = said.split(' ').filter_map(|count| count.parse().ok()).collect();
    let [answered, failed] = counts.as_slice() else { bail!("{said:?}") };
    ensure!(*answered > 50 && *failed == 0 && turn > 3, "{said} after {turn} changes");
    Ok(())
}

#[test]
fn a_gateway_passes_on_what_it_cannot_read_and_says_who_comes() -> Result<()> {
    story("a_gateway_passes_on_what_it_cannot_read", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let outside = story.host("world")?;
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        let _website = house(&mut one, &mut other, &mut laptop, &[])?;
        far_away(&outside, &alice)?;
        let world = World::start(&outside, ZONE, alice.address(), 3600)?;
        world.choose(&one, "http")?;
        add(&one, "pass", &["--pass", "--node", "bob", "--port", "8080", "--access", "public"])?;

        // The home has the key, and nobody else.
        let host = format!("pass.{ZONE}");
        certified(&other, "pass", &host)?;
        let key = format!("net/certificates/cert-{host}");
        eventually(20, "the key is at home", || Ok(other.home().join(&key).exists()))?;
        ensure!(!one.home().join(&key).exists(), "the gateway has a key");
        let at_gateway = until(20, "the gateway shows it", || shown(&one, "pass"))?;
        ensure!(at_gateway.names.is_empty(), "{at_gateway:?}");

        let wire = alice.folder().join("wire");
        let mut ear = Client::start(&alice, &["listen", "eth0", &wire.to_string_lossy()])?;
        ensure!(ear.line()?.as_deref() == Some("listening"));
        let root = world.root()?;
        let asks = Asks { world: &outside, gateway: alice.address().into(), root: &root };
        until(20, "the world reaches it", || {
            asks.from(FAR, "pass", &["-H", "X-Word: nobody-reads-this"])?.is_for("wiki", FAR.parse()?)
        })?;
        ear.end()?;
        let heard = String::from_utf8_lossy(&std::fs::read(&wire)?).into_owned();
        ensure!(heard.contains(&host) && !heard.contains("nobody-reads-this"), "{} bytes", heard.len());
        eventually(30, "what was passed on is counted", || {
            Ok(shown(&one, "pass")?.counted.is_some_and(|counted| counted.sent > 0))
        })?;
        // Inside it has its name as any other.
        let inside = until(20, "the laptop has heard of it", || service(&laptop, "pass"))?;
        let ca = crate::around::authority(&one)?;
        let to = (inside.domain.as_str(), inside.address.parse()?);
        certified(&other, "pass", &inside.domain)?;
        until(20, "the laptop reaches it", || {
            ensure!(curl(&carol, to, &ca, &[], "/")?.status == 200);
            Ok(())
        })?;
        // The gateway is a machine as any other, too, and speaks for itself.
        until(20, "so does the gateway", || {
            ensure!(curl(&alice, to, &ca, &[], "/")?.status == 200);
            Ok(())
        })?;
        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        eventually(30, "a home without rights is not passed on to", || {
            Ok(asks.from(FAR, "pass", &[])?.status == 0)
        })
    })
}

//! A house whose router passes a port on (miniupnpd): whoever is behind the worst kind of router meets it directly.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_api::{NetService, NetStatus, Path as Way, Status};
use freehold_harness::{Host, Node, Router, Translation, story, until};

/// The address of the house on the internet, of a network for tests (44.128/16): the daemon takes none for examples.
const OUTSIDE: &str = "44.128.7.5";

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

fn on(router: &Router, program: &str, arguments: &[&str]) -> Result<String> {
    Ok(Host::answer(router.command(program).args(arguments))?.good()?.out)
}

/// The daemon that most routers have, speaking one of its protocols.
fn miniupnpd(router: &Router, folder: &Path, speaks: &str) -> Result<Running> {
    let yes = |what: &str| if what == speaks { "yes" } else { "no" };
    let chains = "table inet filter { chain miniupnpd { }; chain prerouting_miniupnpd { }; \
         chain postrouting_miniupnpd { }; \
         chain pre { type nat hook prerouting priority -110; jump prerouting_miniupnpd; }; }";
    on(router, "nft", &[chains])?;
    let settings = format!(
        "ext_ifname=wan\next_ip={OUTSIDE}\nlistening_ip=lan\nenable_upnp={}\nenable_natpmp={}\n\
         secure_mode=yes\nsystem_uptime=yes\nuuid=91ccf504-ad77-444f-8d81-7837c6c2d4d3\n\
         allow 1024-65535 0.0.0.0/0 1024-65535\nallow 80 0.0.0.0/0 80\nallow 443 0.0.0.0/0 443\n",
        yes("upnp"),
        yes("pcp"),
    );
    let conf = folder.join("miniupnpd.conf");
    freehold_disk::replace(&conf, settings.as_bytes(), 0o600)?;
    let log = File::create(folder.join(format!("miniupnpd.{speaks}.log")))?;
    let mut daemon = router.command("miniupnpd");
    daemon.arg("-d").arg("-f").arg(&conf).arg("-P").arg(folder.join("miniupnpd.pid"));
    let daemon = daemon.stdout(Stdio::null()).stderr(log).spawn().context("miniupnpd")?;
    Ok(Running(daemon))
}

fn rules(router: &Router) -> Result<String> {
    on(router, "nft", &["list", "table", "inet", "filter"])
}

fn mapped(router: &Router) -> Result<bool> {
    Ok(rules(router)?.contains("dnat"))
}

/// What the machine says that its router passes on for the door.
fn at_the_door(node: &Node<'_>) -> Result<Vec<(String, Option<String>)>> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    let door = status.mapped.into_iter().filter(|port| port.what == "door");
    Ok(door.map(|port| (port.port, port.outside)).collect())
}

/// The door's ports come with the first service that is for everybody, and go with the last.
fn the_door_is_reached_while_it_is_for_everybody(
    admin: &Node<'_>,
    house: &Node<'_>,
    router: &Router,
) -> Result<()> {
    let wiki = ["--host", "wiki.example.net", "--node", "house", "--gateway", "house", "--port", "7000"];
    let add = |access| {
        let all = [&["net", "service", "add", "wiki", "--access", access], &wiki[..]].concat();
        admin.cli(&all)?.good()
    };
    add("lan")?;
    until(30, "the door is open in the house", || {
        let services: Vec<NetService> = house.ask(&["net", "service", "list"])?;
        let here = services.iter().find_map(|one| one.published.as_ref()?.here.as_ref());
        ensure!(here.is_some_and(|here| !here.listening.is_empty()), "{services:?}");
        Ok(())
    })?;
    ensure!(
        at_the_door(house)?.is_empty(),
        "what is for the house alone is passed on: {:?}",
        at_the_door(house)?
    );
    admin.cli(&["net", "service", "end", "wiki"])?.good()?;
    add("public")?;
    let outside = |port: u16| (format!("tcp/{port}"), Some(format!("{OUTSIDE}:{port}")));
    until(60, "the router passes the door's ports on", || {
        let (door, rules) = (at_the_door(house)?, rules(router)?);
        ensure!(door == [outside(443), outside(80)], "{door:?}");
        ensure!(rules.contains("dport 443 ") && rules.contains("dport 80 "), "{rules}");
        Ok(())
    })?;
    admin.cli(&["net", "service", "end", "wiki"])?.good()?;
    until(30, "the door's ports were given back", || {
        let (door, rules) = (at_the_door(house)?, rules(router)?);
        ensure!(door.is_empty(), "{door:?}");
        ensure!(!rules.contains("dport 443 ") && !rules.contains("dport 80 "), "{rules}");
        Ok(())
    })
}

fn told(node: &Node<'_>) -> Result<String> {
    let status: Status = node.ask(&["status"])?;
    let found = status.planes.into_iter().find(|plane| plane.name == "router");
    found.map(|plane| plane.detail).context("there is no such plane")
}

fn is(node: &Node<'_>, peer: &str, way: Way) -> Result<()> {
    let path = node.peer(peer)?.path;
    ensure!(path == Some(way), "{path:?}, {}", told(node)?);
    Ok(())
}

#[test]
fn a_port_of_the_router_is_asked_for_and_given_back() -> Result<()> {
    story("a_port_of_the_router", |story| {
        let hub = story.host("hub")?;
        let mut relay = hub.node()?;
        relay.up(&["--name", "smith", "--relay", &format!("{}:3340", hub.address())])?;
        let routers = [Translation::Symmetric, Translation::Symmetric].map(|kind| story.router_that(kind));
        let [house_router, works_router] = routers;
        let (house_router, works_router) = (house_router?, works_router?);
        on(&house_router, "ip", &["addr", "add", &format!("{OUTSIDE}/24"), "dev", "wan"])?;
        on(&works_router, "ip", &["addr", "add", "44.128.7.6/24", "dev", "wan"])?;
        let (house_at, works_at) =
            (story.host_behind(&house_router, "house")?, story.host_behind(&works_router, "works")?);
        let (mut house, mut works) = (house_at.node()?, works_at.node()?);
        house.join(&relay.invite(&[])?, "house")?;
        works.join(&relay.invite(&[])?, "works")?;
        until(60, "they meet by the relay", || is(&house, "works", Way::Relay))?;
        until(60, "that no port is passed on is told", || {
            let told = told(&house)?;
            ensure!(told.contains("neither PCP, NAT-PMP nor UPnP"), "{told}");
            Ok(())
        })?;
        house.stop()?;
        for (speaks, word) in [("upnp", "UPnP"), ("pcp", "PCP")] {
            let daemon = miniupnpd(&house_router, house_at.folder(), speaks)?;
            house.resume()?;
            let wanted = format!("is passed on at {OUTSIDE}:4433 ({word})");
            until(60, "the router passes a port on", || {
                let told = told(&house)?;
                let log = house_at.folder().join(format!("miniupnpd.{speaks}.log"));
                ensure!(told.contains(&wanted), "{told}\n{}", fs::read_to_string(log)?);
                ensure!(mapped(&house_router)?, "its rules have no such port");
                Ok(())
            })?;
            until(90, "they meet directly", || is(&works, "house", Way::Direct))?;
            if speaks == "pcp" {
                the_door_is_reached_while_it_is_for_everybody(&relay, &house, &house_router)?;
            }
            house.stop()?;
            until(60, "it was given back", || {
                ensure!(!mapped(&house_router)?, "the port is still open");
                Ok(())
            })?;
            drop(daemon);
            on(&house_router, "nft", &["delete", "table", "inet", "filter"])?;
        }
        let _daemon = miniupnpd(&house_router, house_at.folder(), "upnp")?;
        // At another port: routers remember who has talked through the one that was passed on.
        house.up(&["--no-port-mapping", "--mesh-port", "4434"])?;
        until(60, "they meet by the relay again", || is(&house, "works", Way::Relay))?;
        until(30, "it says why", || {
            let told = told(&house)?;
            ensure!(told.contains("--no-port-mapping"), "{told}");
            Ok(())
        })?;
        ensure!(!mapped(&house_router)?, "a port was asked for");
        Ok(())
    })
}

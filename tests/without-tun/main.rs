//! The network without privileges: a machine whose program may not make a network device is reached at what the
//! realm opens, and its programs reach the realm through a proxy or a forwarded port.

mod lossy;
mod rights;

use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_api::{Explanation, NetNode, NetStatus, PlaneState, PlaneStatus};
use freehold_harness::{Host, Node, eventually, story, until};

/// Where the laptop's programs find the proxies.
const SOCKS: &str = "127.0.0.1:1080";
const HTTP: &str = "127.0.0.1:3128";
/// What curl says when a SOCKS proxy refuses.
const REFUSED_BY_PROXY: i32 = 97;

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn plane(node: &Node<'_>, name: &str) -> Result<PlaneStatus> {
    let planes = node.status()?.planes;
    planes.into_iter().find(|plane| plane.name == name).with_context(|| format!("there is no plane {name}"))
}

fn in_net(node: &Node<'_>, name: &str) -> Result<NetNode> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    status.nodes.into_iter().find(|node| node.name == name).with_context(|| format!("there is no {name}"))
}

/// Waits until a machine says so of a question.
fn says(node: &Node<'_>, question: &[&str], allowed: bool) -> Result<()> {
    until(30, &format!("{question:?} is {allowed}"), || {
        let told: Explanation = node.ask(&[&["net", "policy", "explain"], question].concat())?;
        ensure!(told.answers.iter().any(|answer| answer.allowed == allowed), "{told:?}");
        Ok(())
    })
}

/// Serves a folder, as people do, at an address of the machine.
fn serve(host: &Host, port: &str, at: &str) -> Result<Running> {
    let mut command = host.command("python3");
    command.args(["-m", "http.server", port, "--bind", at]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn()?))
}

/// How curl ends; it gives up after a few seconds.
fn curl(host: &Host, arguments: &[&str]) -> Result<Option<i32>> {
    let patience = ["-sS", "-g", "-f", "-o", "/dev/null", "-m", "5", "--noproxy", ""];
    Ok(host.run("curl", &[&patience[..], arguments].concat())?.code)
}

/// A realm of alice, who has a network device, bob, whose program has no rights, and alice's laptop, pad, which has
/// none either.
fn house(one: &mut Node<'_>, other: &mut Node<'_>, laptop: &mut Node<'_>) -> Result<()> {
    other.keep_rights(&[]);
    laptop.keep_rights(&[]);
    one.up(&["--name", "The Smiths"])?;
    let me = one.status()?.this_node;
    one.cli(&["node", "rename", &me, "alice"])?.good()?;
    other.join(&one.invite(&[])?, "bob")?;
    let invitation = one.invite(&["--laptop", "--device"])?;
    laptop.start(&["join", &invitation, "--name", "pad", "--socks", SOCKS, "--http-proxy", HTTP])?;
    for node in [&*one, &*other, &*laptop] {
        eventually(30, "all three know each other", || Ok(node.connections()? == 2))?;
        until(30, "all three have names", || in_net(node, "bob").and(in_net(node, "pad")))?;
    }
    Ok(())
}

#[test]
fn a_machine_without_rights_is_reached_at_what_is_open_and_at_nothing_else() -> Result<()> {
    story("a_machine_without_rights_is_reached", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        until(30, "packets are carried, and it is said how", || {
            let told = plane(&other, "tunnel")?;
            let said = told.detail.contains("packets are carried in user space");
            ensure!(told.state == PlaneState::Running && said, "{told:?}");
            Ok(())
        })?;
        ensure!(bob.run("ip", &["link", "show", "freehold0"])?.code != Some(0), "there is a device");

        let at = in_net(&one, "bob")?.address;
        eventually(30, "alice pings bob", || {
            Ok(alice.run("ping", &["-c", "1", "-W", "2", &at])?.code == Some(0))
        })?;
        let _hidden = serve(&bob, "8080", "127.0.0.1")?;
        let _other = serve(&bob, "8081", "127.0.0.1")?;
        let _wide = serve(&bob, "8082", "0.0.0.0")?;
        for port in [8080, 8081, 8082] {
            let here = format!("http://127.0.0.1:{port}/");
            eventually(30, "bob serves", || Ok(curl(&bob, &[&here])? == Some(0)))?;
            ensure!(
                curl(&alice, &[&format!("http://[{at}]:{port}/")])? != Some(0),
                "nothing opens {port} yet"
            );
        }
        one.cli(&["net", "service", "add", "files", "--node", "bob", "--port", "8080"])?.good()?;
        let page = format!("http://[{at}]:8080/");
        eventually(30, "alice reaches the service", || Ok(curl(&alice, &[&page])? == Some(0)))?;
        let services: Vec<freehold_api::NetService> = one.ask(&["net", "service", "list"])?;
        let own = services.first().context("there is a service")?.address.clone();
        eventually(30, "at its own address, too", || {
            Ok(curl(&alice, &[&format!("http://[{own}]:8080/")])? == Some(0))
        })?;
        ensure!(curl(&alice, &[&format!("http://[{at}]:8081/")])? != Some(0), "what is beside it is shut");

        // One's own laptop reaches all of one's own machine, but what is for that machine alone.
        let me = in_net(&one, "pad")?.owner.context("pad is somebody's")?;
        one.cli(&["net", "node", "bob", "--owner", &me])?.good()?;
        says(&other, &["pad", "bob", "8082"], true)?;
        let socks = |url: &str| curl(&carol, &["--socks5-hostname", SOCKS, url]);
        eventually(30, "pad reaches what is open", || Ok(socks("http://bob:8082/")? == Some(0)))?;
        ensure!(socks("http://bob:8081/")? == Some(REFUSED_BY_PROXY), "the loopback is open");
        one.cli(&["net", "rule", "add", "beside", "--from", "pad", "--to", "bob", "--port", "8081"])?
            .good()?;
        eventually(30, "it was named", || Ok(socks("http://bob:8081/")? == Some(0)))?;
        one.cli(&["net", "rule", "end", "beside"])?.good()?;
        eventually(30, "that is over", || Ok(socks("http://bob:8081/")? == Some(REFUSED_BY_PROXY)))
    })
}

#[test]
fn programs_of_a_machine_without_rights_reach_the_realm_and_nothing_else() -> Result<()> {
    story("programs_of_a_machine_without_rights", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        until(30, "the proxies run", || {
            let told = plane(&laptop, "proxies")?;
            ensure!(told.state == PlaneState::Running, "{told:?}");
            Ok(())
        })?;
        let _files = serve(&alice, "8080", "::")?;
        one.cli(&["net", "service", "add", "files", "--node", "alice", "--port", "8080"])?.good()?;
        let socks = |url: &str| curl(&carol, &["--socks5-hostname", SOCKS, url]);
        let proxy = |url: &str| curl(&carol, &["--proxy", HTTP, url]);
        let tunnel = |url: &str| curl(&carol, &["--proxytunnel", "--proxy", HTTP, url]);
        eventually(30, "the service is reached", || Ok(socks("http://files:8080/")? == Some(0)))?;
        for url in ["http://alice.the-smiths.internal:8080/", "http://files.the-smiths.internal:8080/"] {
            eventually(30, url, || {
                Ok(socks(url)? == Some(0) && proxy(url)? == Some(0) && tunnel(url)? == Some(0))
            })?;
        }

        // What nothing opens, what has no name, and what is somebody else's: said at once, and by whom.
        ensure!(socks("http://alice:8081/")? == Some(REFUSED_BY_PROXY), "a port that is shut");
        let around = format!("http://{}:8080/", alice.address());
        for url in ["http://attic:8080/", "http://example.org/", "http://127.0.0.1:1080/", &around] {
            ensure!(socks(url)? == Some(REFUSED_BY_PROXY), "{url}");
            ensure!(proxy(url)? == Some(22), "{url}");
        }
        // A page in a browser asks a proxy as if it were a website, whatever name the page's owner gave it.
        let page = format!("http://{HTTP}/");
        let asked =
            carol.run("curl", &["-sS", "-H", "Host: evil.example", "--noproxy", "*", &page])?.good()?;
        ensure!(asked.out.contains("no website"), "{}", asked.out);
        ensure!(carol.run("curl", &["-sS", "-m", "3", "http://127.0.0.1:1080/"])?.code != Some(0));

        let forward = ["net", "forward", "add", "127.0.0.1:2080", "files:8080"];
        laptop.cli(&forward)?.good()?;
        eventually(30, "the port leads there", || Ok(curl(&carol, &["http://127.0.0.1:2080/"])? == Some(0)))?;
        laptop.cli(&forward)?.refused(1, &["already", "hint"])?;
        let open = ["net", "forward", "add", "0.0.0.0:2081", "files:8080"];
        laptop.cli(&open)?.refused(1, &["this machine to the realm", "--others"])?;
        laptop.cli(&["net", "forward", "add", "2082", "files"])?.refused(2, &["names no port", "hint"])?;
        // With a network device it is the same.
        let _notes = serve(&bob, "8090", "127.0.0.1")?;
        one.cli(&["net", "service", "add", "notes", "--node", "bob", "--port", "8090"])?.good()?;
        one.cli(&["net", "forward", "add", "2090", "notes:8090"])?.good()?;
        eventually(30, "by the device", || Ok(curl(&alice, &["http://127.0.0.1:2090/"])? == Some(0)))?;

        laptop.stop()?;
        laptop.start(&["up"])?;
        eventually(30, "it stays over a restart", || {
            Ok(curl(&carol, &["http://127.0.0.1:2080/"])? == Some(0))
        })?;
        laptop.cli(&["net", "forward", "remove", "2080"])?.good()?;
        eventually(30, "nobody listens any more", || {
            Ok(curl(&carol, &["http://127.0.0.1:2080/"])? == Some(7))
        })?;
        let all: Vec<freehold_api::NetForward> = laptop.ask(&["net", "forward", "list"])?;
        ensure!(all.is_empty(), "{all:?}");
        Ok(())
    })
}

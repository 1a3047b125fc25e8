//! Packets of other programs, from machine to machine, as far as the log lets them.

use std::net::Ipv6Addr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use freehold_api::PlaneState;
use freehold_harness::{Host, Node, eventually, story, until};

use super::{house, in_net};

/// What is served, in bytes: more than goes over before somebody is suspended.
const LARGE: usize = 64 << 20;

/// A program that ends with the test.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn tunnel(node: &Node<'_>) -> Result<PlaneState> {
    let planes = node.status()?.planes;
    let plane = planes.into_iter().find(|plane| plane.name == "tunnel");
    plane.map(|plane| plane.state).context("there is no plane for the tunnel")
}

/// Serves a folder, as people do.
fn serve(host: &Host, port: &str) -> Result<Running> {
    let mut command = host.command("python3");
    command.args(["-m", "http.server", port, "--bind", "::"]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn()?))
}

fn fetch(host: &Host, url: &str) -> Result<bool> {
    Ok(host.run("curl", &["-sS", "-g", "-o", "/dev/null", "-m", "3", url])?.code == Some(0))
}

#[test]
fn programs_reach_each_other_as_far_as_the_log_says_and_no_longer() -> Result<()> {
    story("programs_reach_each_other_as_far_as_the_log_says", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        for node in [&one, &other, &laptop] {
            until(30, "its tunnel runs", || {
                ensure!(tunnel(node)? == PlaneState::Running, "{:?}", node.status()?.planes);
                Ok(())
            })?;
        }
        let at: Ipv6Addr = in_net(&laptop, "bob")?.address.parse()?;
        eventually(30, "the laptop pings bob", || {
            Ok(carol.run("ping", &["-c", "1", "-W", "2", &at.to_string()])?.code == Some(0))
        })?;
        let v4 = one.ask::<freehold_api::NetNode>(&["net", "node", "bob", "--ipv4", "auto"])?.ipv4;
        let v4 = v4.context("it was given an address")?;
        one.cli(&["net", "node", "alice", "--ipv4", "auto"])?.good()?;
        eventually(30, "alice pings bob's other address", || {
            Ok(alice.run("ping", &["-c", "1", "-W", "2", &v4])?.code == Some(0))
        })?;

        story.file("bob/large", LARGE, 1)?;
        let _server = serve(&bob, "8080")?;
        let page = format!("http://[{at}]:8080/");
        eventually(30, "bob serves", || fetch(&bob, &page))?;
        ensure!(!fetch(&carol, &page)?, "nothing opens it yet");
        one.cli(&["net", "service", "add", "files", "--node", "bob", "--port", "8080"])?.good()?;
        eventually(30, "the laptop reaches the service", || fetch(&carol, &page))?;
        let services: Vec<freehold_api::NetService> = laptop.ask(&["net", "service", "list"])?;
        let files = services.iter().find(|one| one.name == "files").context("there is no service files")?;
        let named = format!("http://[{}]:8080/", files.address);
        eventually(30, "at the service's own address too", || fetch(&carol, &named))?;
        until(10, "it shows what was carried", || {
            let carried = in_net(&laptop, "bob")?.carried.context("nothing was carried")?;
            ensure!(carried.sent > 0 && carried.received > 0, "{carried:?}");
            Ok(())
        })?;

        // What is under way ends with the right to it: curl gives up when nothing comes for 3 seconds.
        let before = came(&laptop)?;
        let mut slow = carol.command("curl");
        let patience = ["--limit-rate", "2M", "--speed-limit", "1000", "--speed-time", "3"];
        slow.args(["-sS", "-g", "-o", "/dev/null"]).args(patience).arg(format!("{page}large"));
        let mut slow = Running(slow.stderr(Stdio::null()).spawn()?);
        eventually(20, "it has begun", || Ok(came(&laptop)? > before + (1 << 20)))?;
        ensure!(slow.0.try_wait()?.is_none(), "it ended too early");
        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        let begun = Instant::now();
        let ended = until(30, "it ends", || slow.0.try_wait()?.context("it goes on"))?;
        ensure!(
            !ended.success() && begun.elapsed() < Duration::from_secs(15),
            "{ended}, {:?}",
            begun.elapsed()
        );
        ensure!(!fetch(&carol, &page)?, "a suspended machine is reached");
        one.cli(&["node", "lift", "bob"])?.good()?;
        eventually(60, "it is reached again", || fetch(&carol, &page))
    })
}

/// How many bytes came from bob to a machine.
fn came(node: &Node<'_>) -> Result<u64> {
    Ok(in_net(node, "bob")?.carried.context("nothing was carried")?.received)
}

#[test]
fn without_a_tunnel_the_rest_works_and_it_is_said() -> Result<()> {
    story("without_a_tunnel_the_rest_works", |story| {
        let alice = story.host("alice")?;
        let mut one = alice.node()?;
        one.up(&["--name", "smith", "--no-packets"])?;
        ensure!(tunnel(&one)? == PlaneState::Off);
        let said = one.cli(&["status"])?.good()?.out;
        ensure!(said.contains("packets are not carried, as --no-packets says"), "{said}");
        ensure!(alice.run("ip", &["link", "show", "freehold0"])?.code != Some(0), "there is a device");
        ensure!(!one.status()?.alarms.iter().any(|alarm| alarm.what.contains("tunnel")));
        one.cli(&["net", "status"])?.good().map(drop)
    })
}

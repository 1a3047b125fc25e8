//! What is around the machines: an internet, whose addresses nobody's house has, and programs that answer.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_api::{NetNode, NetStatus, NetUse, PlaneState};
use freehold_harness::{Host, Node, Story, eventually, until};

/// Where the internet is.
pub(crate) const WORLD: &str = "203.0.113.9";
pub(crate) const WORLD6: &str = "2001:db8:9::9";
pub(crate) const PORT: &str = "8080";

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Answers on a host, at all of its addresses.
pub(crate) fn answer(host: &Host) -> Result<Running> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("world.py");
    let mut command = host.command("python3");
    command.arg(program).arg(PORT).stdout(Stdio::null()).stderr(Stdio::inherit());
    let running = Running(command.spawn()?);
    eventually(30, "it answers", || Ok(seen(host, "127.0.0.1")?.is_some()))?;
    Ok(running)
}

/// At which address a host is seen by whoever answers at another one; none if it does not get there.
pub(crate) fn seen(host: &Host, at: &str) -> Result<Option<String>> {
    let at = if at.contains(':') { format!("[{at}]") } else { at.to_owned() };
    let url = format!("http://{at}:{PORT}/");
    let answer = host.run("curl", &["-sS", "-g", "-m", "3", &url])?;
    Ok((answer.code == Some(0)).then_some(answer.out))
}

/// Waits until it is seen there as somebody.
pub(crate) fn seen_as(host: &Host, at: &str, address: &str) -> Result<()> {
    until(30, &format!("{} is seen at {at} as {address}", host.name()), || {
        let seen = seen(host, at)?;
        ensure!(seen.as_deref() == Some(address), "{seen:?}");
        Ok(())
    })
}

/// Runs `ip` with these words on a host.
pub(crate) fn ip(host: &Host, line: &str) -> Result<String> {
    Ok(host.run("ip", &line.split_whitespace().collect::<Vec<_>>())?.good()?.out)
}

/// The internet: a host on the street with two addresses of its own, which routes know of and nobody else.
pub(crate) fn world(story: &Story) -> Result<(Host, Running)> {
    let host = story.host("world")?;
    for address in [format!("{WORLD}/32"), format!("{WORLD6}/128")] {
        ip(&host, &format!("addr add {address} dev lo"))?;
    }
    street6(&host)?;
    let running = answer(&host)?;
    Ok((host, running))
}

/// Gives a host on the street an address of IPv6 as well, one such as providers give.
pub(crate) fn street6(host: &Host) -> Result<String> {
    let address = format!("2001:db8:77::{:x}", host.address().octets()[3]);
    ip(host, &format!("addr add {address}/64 dev eth0 nodad"))?;
    Ok(address)
}

/// A host on the street gets to the internet by itself, by both families.
pub(crate) fn online(host: &Host, world: &Host) -> Result<String> {
    let own = street6(host)?;
    let there = format!("2001:db8:77::{:x}", world.address().octets()[3]);
    ip(host, &format!("route add default via {}", world.address()))?;
    ip(host, &format!("-6 route add default via {there}"))?;
    seen_as(host, WORLD, &host.address().to_string())?;
    seen_as(host, WORLD6, &own)?;
    Ok(own)
}

pub(crate) fn in_net(node: &Node<'_>, name: &str) -> Result<NetNode> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    status.nodes.into_iter().find(|node| node.name == name).with_context(|| format!("there is no {name}"))
}

/// Chooses, with what is typed behind `freehold net use`.
pub(crate) fn choose(node: &Node<'_>, typed: &str) -> Result<NetUse> {
    let all: Vec<&str> = ["net", "use"].into_iter().chain(typed.split_whitespace()).collect();
    node.ask(&all)
}

/// How the ways out of a machine are.
pub(crate) fn ways(node: &Node<'_>) -> Result<(PlaneState, String)> {
    let planes = node.status()?.planes;
    let plane = planes.into_iter().find(|plane| plane.name == "way out").context("there is no such plane")?;
    Ok((plane.state, plane.detail))
}

/// Gives a machine an address of IPv4 in the realm, and waits until it knows.
pub(crate) fn v4(admin: &Node<'_>, node: &Node<'_>, name: &str) -> Result<Ipv4Addr> {
    let given = admin.ask::<NetNode>(&["net", "node", name, "--ipv4", "auto"])?.ipv4;
    let given = given.context("it was given an address")?;
    until(30, "it hears of its address", || {
        let now = in_net(node, name)?.ipv4;
        ensure!(now.as_ref() == Some(&given), "{now:?}");
        Ok(())
    })?;
    Ok(given.parse()?)
}

/// Waits until nothing of that is left.
pub(crate) fn gone(host: &Host) -> Result<()> {
    until(30, &format!("nothing is left on {}", host.name()), || {
        let left = left(host)?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

/// What of ours the kernel of a host has: rules, routes, tables of its packet filter, switches.
pub(crate) fn left(host: &Host) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for family in ["-4", "-6"] {
        let rules = ip(host, &format!("{family} rule"))?;
        left.extend(rules.lines().filter(|rule| rule.contains("471")).map(str::to_owned));
        for table in ["4710", "main"] {
            // A table that nobody has used is none.
            let routes = host.run("ip", &[family, "route", "show", "table", table, "proto", "247"])?.out;
            left.extend(routes.lines().map(str::to_owned));
        }
    }
    let filter = host.run("nft", &["list", "tables"])?.good()?.out;
    left.extend(filter.lines().filter(|table| table.contains("ways")).map(str::to_owned));
    for switch in ["ipv4/conf/eth0/forwarding", "ipv6/conf/eth0/force_forwarding", "ipv6/conf/all/forwarding"]
    {
        let path = format!("/proc/sys/net/{switch}");
        let is_on = host.run("cat", &[&path])?.out.trim() == "1";
        left.extend(is_on.then_some(path));
    }
    Ok(left)
}

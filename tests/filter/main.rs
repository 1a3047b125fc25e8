//! One filter of names for the whole realm: what is said on one machine holds on every one, at home and on the
//! road, for whom it is meant; a list that goes bad changes nothing.

#![cfg(test)]

mod serving;
mod world;

use anyhow::{Context, Result, ensure};
use freehold_api::{FilterExplanation, FilterList, FilterStats, FilterStatus, NetNode, NetStatus};
use freehold_harness::{Host, Node, eventually, story, until};
use std::io::Write as _;

use world::World;

const NOWHERE: &str = "0.0.0.0";
/// What the world says of names that it has.
const THERE: &str = "192.0.2.80";

/// What `dig` says, short.
fn dig(host: &Host, server: &str, name: &str) -> Result<String> {
    let (ip, port) = server.rsplit_once(':').context("an address with a port")?;
    let at = format!("@{}", ip.trim_matches(['[', ']']));
    let asked = ["-p", port, "+short", "+tries=1", "+time=5", "A", name];
    Ok(host.run("dig", &[&[at.as_str()], &asked[..]].concat())?.good()?.out.trim().to_owned())
}

/// Waits until a name is answered so.
fn answers(host: &Host, server: &str, name: &str, expected: &str) -> Result<()> {
    until(40, &format!("{name} is {expected:?} for {}", host.name()), || {
        let said = dig(host, server, name)?;
        ensure!(said == expected, "it is {said:?}");
        Ok(())
    })
}

/// Where a machine answers its own programs.
fn own(node: &Node<'_>) -> Result<String> {
    until(30, "it answers for names", || {
        let all = node.status()?.endpoints.names;
        all.into_iter().find(|at| at.starts_with("127.")).context("it answers for none")
    })
}

fn filter(node: &Node<'_>, arguments: &[&str]) -> Result<()> {
    node.cli(&[&["net", "filter"], arguments].concat())?.good().map(drop)
}

fn explain(node: &Node<'_>, name: &str, who: &str) -> Result<FilterExplanation> {
    node.ask(&["net", "filter", "explain", name, "--for", who])
}

fn in_net(node: &Node<'_>, name: &str) -> Result<NetNode> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    status.nodes.into_iter().find(|node| node.name == name).with_context(|| format!("there is no {name}"))
}

/// A realm of a server that answers its house, and a laptop.
fn house(server: &mut Node<'_>, laptop: &mut Node<'_>, more: &[&str]) -> Result<()> {
    let at = format!("{}:53", server.host().address());
    server.up(&[&["--name", "smith", "--dns", &at, "--dns", "127.0.0.1:5300"], more].concat())?;
    let me = server.status()?.this_node;
    server.cli(&["node", "rename", &me, "nas"])?.good()?;
    laptop.join(&server.invite(&["--laptop", "--device"])?, "pad")?;
    until(30, "both have names", || in_net(laptop, "nas").and(in_net(server, "pad"))).map(drop)
}

fn list(node: &Node<'_>, name: &str) -> Result<FilterList> {
    let status: FilterStatus = node.ask(&["net", "filter", "status"])?;
    status
        .lists
        .into_iter()
        .find(|list| list.name == name)
        .with_context(|| format!("there is no list {name}"))
}

#[test]
fn what_is_blocked_on_one_machine_is_blocked_on_all_at_home_and_on_the_road() -> Result<()> {
    story("what_is_blocked_on_one_machine_is_blocked_on_all", |story| {
        let (alice, carol, away) = (story.host("alice")?, story.host("carol")?, story.host("away")?);
        let (mut server, mut laptop, mut node) = (alice.node()?, carol.node()?, away.node()?);
        let mut world = World::start(&mut node)?;
        house(&mut server, &mut laptop, &[])?;
        let (lan, here, road) = (format!("{}:53", alice.address()), own(&server)?, own(&laptop)?);
        world.publish("0.0.0.0 ads.example\n0.0.0.0 tracker.example\n")?;
        filter(&server, &["forward", "set", "example", away.address().to_string().as_str()])?;
        answers(&carol, &road, "ads.example", THERE)?;
        filter(&server, &["list", "add", "ads", &world.url(), "--dry-run"])?;
        ensure!(list(&server, "ads").is_err(), "it was only a trial");
        filter(&server, &["list", "add", "ads", &world.url()])?;
        for (host, at) in [(&alice, &here), (&away, &lan), (&carol, &road)] {
            answers(host, at, "ads.example", NOWHERE)?;
            answers(host, at, "ok.example", THERE)?;
        }
        let why = explain(&laptop, "ads.example", "pad")?;
        ensure!(!why.allowed && why.why.contains("list ads"), "{why:?}");

        // For one alone; the house is in its own group, for which that list does not count.
        filter(&server, &["group", "set", "kids", "--for", "pad", "--list", "ads"])?;
        filter(&server, &["group", "set", "house", "--for", "lan"])?;
        filter(&server, &["block", "chat.example", "--for", "kids"])?;
        answers(&carol, &road, "chat.example", NOWHERE)?;
        answers(&away, &lan, "chat.example", THERE)?;
        answers(&away, &lan, "ads.example", THERE)?;
        answers(&alice, &here, "ads.example", NOWHERE)?;
        ensure!(explain(&server, "chat.example", "pad")?.group.as_deref() == Some("kids"));
        ensure!(explain(&server, "chat.example", "lan")?.allowed);

        // Off the net it holds as well, and own names are there.
        carol.unplug()?;
        answers(&carol, &road, "tracker.example", NOWHERE)?;
        let address = in_net(&laptop, "nas")?.address;
        let told = carol.run("dig", &["@127.0.0.1", "-p", "5300", "+short", "AAAA", "nas.smith.internal"])?;
        ensure!(told.good()?.out.trim() == address, "own names are there");
        carol.plug_in()?;

        filter(&server, &["allow", "ads.example", "--for", "kids"])?;
        answers(&carol, &road, "ads.example", THERE)?;
        filter(&server, &["forget", "ads.example", "--for", "kids"])?;
        answers(&carol, &road, "ads.example", NOWHERE)?;
        filter(&server, &["pause", "30"])?;
        answers(&carol, &road, "ads.example", THERE)?;
        filter(&server, &["pause", "0"])?;
        answers(&carol, &road, "ads.example", NOWHERE)?;
        filter(&server, &["hours", "add", "kids", "--days", "daily", "--from", "00:00", "--to", "24:00"])?;
        eventually(40, "at this hour nothing is answered", || {
            let told = carol.run("dig", &["@127.0.0.1", "-p", "5300", "ok.example"])?.good()?;
            Ok(told.out.contains("REFUSED"))
        })?;
        filter(&server, &["hours", "clear", "kids"])?;
        answers(&carol, &road, "ok.example", THERE)?;
        filter(&server, &["group", "set", "kids", "--safe-search", "yes"])?;
        let strict = until(40, "searches are strict", || {
            let told = explain(&laptop, "www.google.de", "pad")?;
            ensure!(!told.allowed, "{told:?}");
            Ok(told)
        })?;
        ensure!(strict.why.contains("forcesafesearch.google.com"), "{strict:?}");
        filter(&server, &["record", "set", "printer.home", "192.168.7.9"])?;
        answers(&carol, &road, "printer.home", "192.168.7.9")?;

        // Of what was asked, how much is counted, and no names before somebody wants them.
        until(30, "it is counted", || {
            let stats: FilterStats = laptop.ask(&["net", "filter", "stats"])?;
            ensure!(stats.hours.iter().any(|hour| hour.blocked > 0) && stats.blocked.is_empty(), "{stats:?}");
            Ok(())
        })?;
        filter(&server, &["statistics", "full"])?;
        eventually(40, "names are counted", || {
            dig(&carol, &road, "ads.example")?;
            let stats: FilterStats = laptop.ask(&["net", "filter", "stats"])?;
            Ok(stats.blocked.iter().any(|of| of.name == "ads.example"))
        })?;
        laptop.cli(&["net", "filter", "block", "a.example"])?.refused(1, &["secrets"])?;
        server.cli(&["net", "filter", "explain", "a..example"])?.refused(2, &["label"])?;
        Ok(())
    })
}

#[test]
fn a_list_that_goes_bad_changes_nothing_and_is_told() -> Result<()> {
    story("a_list_that_goes_bad_changes_nothing", |story| {
        let (alice, away) = (story.host("alice")?, story.host("away")?);
        let (mut server, mut node) = (alice.node()?, away.node()?);
        let mut world = World::start(&mut node)?;
        server.up(&["--name", "smith"])?;
        let here = own(&server)?;
        let good: String = (0..40).map(|number| format!("ad{number}.example")).collect::<Vec<_>>().join("\n");
        world.publish(&good)?;
        filter(&server, &["forward", "set", "example", away.address().to_string().as_str()])?;
        filter(&server, &["list", "add", "ads", &world.url()])?;
        answers(&alice, &here, "x.ad7.example", NOWHERE)?;
        let first = list(&server, "ads")?;
        ensure!(first.rules == Some(40) && first.sha256.is_some() && first.problem.is_none(), "{first:?}");

        for bad in ["<html><body>The list has moved.</body></html>\n", "", "ad1.example\n"] {
            world.publish(bad)?;
            filter(&server, &["list", "refresh"])?;
            let now = list(&server, "ads")?;
            ensure!(
                now.sha256 == first.sha256 && now.problem.is_some() && now.next.is_some(),
                "{bad:?}: {now:?}"
            );
            answers(&alice, &here, "ad7.example", NOWHERE)?;
        }
        world.stop();
        filter(&server, &["list", "refresh"])?;
        ensure!(list(&server, "ads")?.problem.is_some_and(|why| why.contains("fetched")), "nobody answers");
        // A restart finds the last good one, while nobody has it for us.
        server.kill()?;
        server.resume()?;
        let here = own(&server)?;
        answers(&alice, &here, "ad7.example", NOWHERE)?;
        ensure!(list(&server, "ads")?.sha256 == first.sha256);
        world.serve()?;
        world.publish(&good.replace("ad7.", "toy."))?;
        filter(&server, &["list", "refresh"])?;
        answers(&alice, &here, "toy.example", NOWHERE)?;
        ensure!(list(&server, "ads")?.problem.is_none());

        // One of this machine alone, and one that is pinned to what it was.
        let own = alice.folder().join("own.txt");
        std::fs::File::create(&own)?.write_all(b"mine.example\n")?;
        filter(&server, &["list", "add", "own", own.to_str().context("a path")?])?;
        answers(&alice, &here, "mine.example", NOWHERE)?;
        ensure!(list(&server, "own")?.here_only);
        let pinned = first.sha256.context("a sum")?;
        filter(&server, &["list", "add", "ads", &world.url(), "--sha256", &pinned])?;
        filter(&server, &["list", "refresh"])?;
        let told = list(&server, "ads")?;
        ensure!(told.problem.as_ref().is_some_and(|why| why.contains("pinned")), "{told:?}");
        filter(&server, &["list", "remove", "ads"])?;
        filter(&server, &["list", "remove", "own"])?;
        let there = format!("{}:53", away.address());
        ensure!(dig(&away, &there, "mine.example")? == THERE, "the world has every name");
        answers(&alice, &here, "mine.example", THERE)
    })
}

//! A network behind a machine, and machines that lead each other to the internet.

use anyhow::{Result, ensure};
use freehold_api::PlaneState;
use freehold_harness::{Node, eventually, story, until};

use crate::street::{
    WORLD, WORLD6, answer, choose, gone, in_net, ip, online, seen, seen_as, v4, ways, world,
};

/// A realm that a server founds; whoever is called here joins as a laptop, the first as its founder's.
fn realm(server: &mut Node<'_>, laptops: &mut [(&mut Node<'_>, &str)]) -> Result<()> {
    server.up(&["--name", "The Smiths"])?;
    let me = server.status()?.this_node;
    server.cli(&["node", "rename", &me, "desk"])?.good()?;
    for (at, (node, name)) in laptops.iter_mut().enumerate() {
        let device: &[&str] = if at == 0 { &["--laptop", "--device"] } else { &["--laptop"] };
        node.join(&server.invite(device)?, name)?;
        until(30, "it knows the server", || in_net(node, "desk"))?;
    }
    Ok(())
}

#[test]
fn a_printer_behind_a_server_is_reached_by_members_and_by_nobody_else() -> Result<()> {
    story("a_printer_behind_a_server", |story| {
        let router = story.router()?;
        let (bob, printer) = (story.host_behind(&router, "bob")?, story.host_behind(&router, "printer")?);
        let (alice, carol, dave) = (story.host("alice")?, story.host("carol")?, story.host("dave")?);
        let _answers = (answer(&printer)?, answer(&bob)?);
        let (mut desk, mut nas) = (alice.node()?, bob.node()?);
        let (mut pad, mut other) = (carol.node()?, dave.node()?);
        realm(&mut desk, &mut [(&mut pad, "pad"), (&mut other, "other")])?;
        nas.join(&desk.invite(&[])?, "nas")?;
        let network = "192.168.1.0/24";
        desk.cli(&["net", "node", "nas", "--route", network])?.good()?;
        for (node, name) in [(&nas, "nas"), (&pad, "pad"), (&other, "other")] {
            v4(&desk, node, name)?;
            eventually(30, "all hear of the network", || Ok(in_net(node, "nas")?.routes == [network]))?;
        }
        let at = printer.address().to_string();
        ensure!(seen(&carol, &at)?.is_none(), "nobody has chosen to use it");
        let used = choose(&pad, "--routes nas")?;
        ensure!(used.routes == ["nas"] && used.networks == [network], "{used:?}");
        // The printer knows nothing of the realm: it sees its neighbour.
        seen_as(&carol, &at, &bob.address().to_string())?;
        until(30, "it says so", || {
            let (_, said) = ways(&nas)?;
            ensure!(said.contains("leads to 1 network"), "{said}");
            Ok(())
        })?;
        // The server itself is reached by its own rules, not by the network that it leads to.
        ensure!(seen(&carol, &bob.address().to_string())?.is_none(), "past the rules of the server");
        // A laptop that is nobody's may choose it, and gets nowhere.
        choose(&other, "--routes all")?;
        ensure!(seen(&dave, &at)?.is_none(), "somebody who is no member reaches the printer");
        eventually(30, "it came to the server and was refused there", || {
            Ok(in_net(&nas, "other")?.carried.is_some_and(|carried| carried.refused > 0))
        })?;
        // Nor does the printer begin anything.
        let answers = answer(&carol)?;
        let own = in_net(&pad, "pad")?.ipv4.unwrap_or_default();
        ip(&printer, &format!("route add {own} via {}", bob.address()))?;
        ensure!(seen(&printer, &own)?.is_none(), "a printer reaches a laptop");
        drop(answers);
        desk.cli(&["net", "node", "nas", "--route", "none"])?.good()?;
        eventually(30, "it ends with what the log says", || Ok(seen(&carol, &at)?.is_none()))?;
        gone(&bob)?;
        choose(&pad, "--routes none")?;
        gone(&carol)
    })
}

#[test]
fn two_laptops_are_each_others_exit_and_nothing_goes_round_in_circles() -> Result<()> {
    story("two_laptops_are_each_others_exit", |story| {
        let (internet, _internet) = world(story)?;
        let (alice, carol, dave) = (story.host("alice")?, story.host("carol")?, story.host("dave")?);
        let mut own6 = Vec::new();
        for host in [&carol, &dave] {
            own6.push(online(host, &internet)?);
        }
        let (mut nas, mut pad, mut book) = (alice.node()?, carol.node()?, dave.node()?);
        realm(&mut nas, &mut [(&mut pad, "pad"), (&mut book, "book")])?;
        let me = in_net(&nas, "pad")?.owner.unwrap_or_default();
        nas.cli(&["net", "node", "book", "--owner", &me])?.good()?;
        for (node, name) in [(&pad, "pad"), (&book, "book")] {
            nas.cli(&["net", "node", name, "--exit", "yes"])?.good()?;
            v4(&nas, node, name)?;
        }
        for (node, other) in [(&pad, "book"), (&book, "pad")] {
            eventually(30, "it hears of the other", || {
                Ok(in_net(node, other)?.exit
                    && in_net(node, other)?.connected
                    && in_net(node, "book")?.owner.is_some())
            })?;
            choose(node, &format!("--exit {other}"))?;
        }
        // Each leaves by the other's line, and by that alone.
        for (host, other, other6) in [(&carol, &dave, &own6[1]), (&dave, &carol, &own6[0])] {
            seen_as(host, WORLD, &other.address().to_string())?;
            seen_as(host, WORLD6, other6)?;
        }
        for node in [&pad, &book] {
            until(30, "its way out is well", || {
                let (state, said) = ways(node)?;
                ensure!(state == PlaneState::Running, "{said}");
                Ok(())
            })?;
        }
        // Who comes from outside gets an answer from there, and not around two corners.
        let _answers = answer(&carol)?;
        seen_as(&alice, &carol.address().to_string(), &alice.address().to_string())?;
        // And the network around is reached on request.
        let _others = answer(&alice)?;
        ensure!(seen(&carol, &alice.address().to_string())?.is_none(), "the network around is not asked for");
        choose(&pad, "--lan yes")?;
        seen_as(&carol, &alice.address().to_string(), &carol.address().to_string())?;
        seen_as(&carol, WORLD, &dave.address().to_string())?;
        for (node, host) in [(&mut pad, &carol), (&mut book, &dave)] {
            node.stop()?;
            gone(host)?;
            seen_as(host, WORLD, &host.address().to_string())?;
        }
        Ok(())
    })
}

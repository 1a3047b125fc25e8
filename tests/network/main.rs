//! The realm's network: what one machine opens, every machine explains, with the operation that says so.

mod changes;
mod names;
mod packets;
mod shell;
mod wire;

use anyhow::{Context, Result, ensure};
use freehold_api::{Explanation, NetNode, NetStatus, Reach};
use freehold_harness::{Node, eventually, story, until};

/// What a machine says of one question; that there is one answer.
fn explain(node: &Node<'_>, question: &[&str]) -> Result<Reach> {
    let told: Explanation = node.ask(&[&["net", "policy", "explain"], question].concat())?;
    let mut answers = told.answers.into_iter();
    let first = answers.next().with_context(|| format!("{question:?}: no answer, {:?}", told.notes))?;
    ensure!(answers.next().is_none(), "{question:?}: more than one answer");
    Ok(first)
}

/// Waits until a machine says so, and returns the rest of what it says.
fn says(node: &Node<'_>, question: &[&str], allowed: bool) -> Result<Reach> {
    until(30, &format!("{question:?} is {allowed}"), || {
        let told = explain(node, question)?;
        ensure!(told.allowed == allowed, "{told:?}");
        Ok(told)
    })
}

fn in_net(node: &Node<'_>, name: &str) -> Result<NetNode> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    status.nodes.into_iter().find(|node| node.name == name).with_context(|| format!("there is no {name}"))
}

/// A realm of two servers, alice and bob, and alice's laptop, pad.
fn house(one: &mut Node<'_>, other: &mut Node<'_>, laptop: &mut Node<'_>) -> Result<()> {
    one.up(&["--name", "The Smiths"])?;
    let me = one.status()?.this_node;
    one.cli(&["node", "rename", &me, "alice"])?.good()?;
    other.join(&one.invite(&[])?, "bob")?;
    laptop.join(&one.invite(&["--laptop", "--device"])?, "pad")?;
    for node in [&*one, &*other, &*laptop] {
        eventually(30, "all three know each other", || Ok(node.connections()? == 2))?;
        until(30, "all three have names", || in_net(node, "bob").and(in_net(node, "pad")))?;
    }
    Ok(())
}

#[test]
fn what_one_machine_opens_every_machine_explains() -> Result<()> {
    story("what_one_machine_opens_every_machine_explains", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;

        // Nobody has said anything: an admin's laptop administers, the rest is shut.
        ensure!(says(&laptop, &["pad", "bob", "22"], true)?.why.contains("administer"));
        let shut = says(&laptop, &["pad", "bob", "8080"], false)?;
        let next = shut.next.context("it says what would open it")?;
        ensure!(next == "freehold net rule add NAME --from pad --to bob --port tcp/8080", "{next}");
        ensure!(says(&other, &["bob", "pad", "ping"], true)?.said.is_some());

        one.cli(&["net", "service", "add", "wiki", "--node", "bob", "--port", "tcp/8080"])?.good()?;
        for node in [&one, &other, &laptop] {
            until(30, "all hear of the service", || explain(node, &["pad", "wiki"]))?;
            let told = says(node, &["pad", "wiki.the-smiths.internal"], true)?;
            let said = told.said.context("an operation says so")?;
            ensure!(said.kind == "ServiceSet" && said.by.ends_with("on alice"), "{said:?}");
        }
        says(&laptop, &["pad", "wiki", "22"], false)?;

        let rule = ["net", "rule", "add", "backups at night", "--from", "bob", "--to", "alice", "--port"];
        says(&laptop, &["bob", "alice", "5432"], false)?;
        one.cli(&[&rule[..], &["5432"]].concat())?.good()?;
        let told = says(&laptop, &["bob", "alice", "5432"], true)?;
        ensure!(told.why == "the rule backups at night lets it", "{told:?}");
        ensure!(told.said.is_some_and(|said| said.kind == "RuleSet"));

        one.cli(&["net", "rule", "end", "backups at night"])?.good()?;
        one.cli(&["net", "service", "end", "wiki"])?.good()?;
        says(&laptop, &["bob", "alice", "5432"], false)?;
        eventually(30, "nobody knows the service any more", || {
            Ok(laptop.cli(&["net", "policy", "explain", "pad", "wiki"])?.code == Some(1))
        })?;
        // An ended one's name is free.
        one.cli(&["net", "service", "add", "wiki", "--node", "alice", "--port", "80"])?.good().map(drop)
    })
}

#[test]
fn a_server_offers_what_is_its_own_and_opens_nothing_else() -> Result<()> {
    story("a_server_offers_what_is_its_own", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        let add = |name, more: &[&str]| {
            let all = ["net", "service", "add", name, "--port", "tcp/9999"];
            other.cli(&[&all[..], more].concat())
        };
        add("notes", &["--node", "bob", "--access", "realm"])?.good()?;
        let told = until(30, "the laptop hears of it", || explain(&laptop, &["pad", "notes"]))?;
        ensure!(told.allowed && told.said.is_some_and(|said| said.by == "bob"), "it is bob's own word");
        let words = &["not made", "admin or an operator"];
        add("others", &["--node", "alice"])?.refused(1, words)?;
        add("world", &["--node", "bob", "--access", "public"])?.refused(1, words)?;
        let rule = ["net", "rule", "add", "mine", "--from", "bob", "--to", "alice", "--port", "any"];
        other.cli(&rule)?.refused(1, &["not a device of an admin", "hint"])?;
        // A laptop knows no secrets: nobody would believe what it calls something.
        let add = ["net", "service", "add", "mine", "--node", "pad", "--port", "80"];
        laptop.cli(&add)?.refused(1, &["secrets", "freehold node list"])?;
        Ok(())
    })
}

#[test]
fn who_is_suspended_reaches_nobody_and_serves_nobody_until_that_is_lifted() -> Result<()> {
    story("who_is_suspended_reaches_nobody", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        one.cli(&["net", "service", "add", "wiki", "--node", "bob", "--port", "8080"])?.good()?;
        until(30, "the laptop hears of the service", || explain(&laptop, &["pad", "wiki"]))?;
        says(&laptop, &["bob", "alice", "ping"], true)?;

        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        for node in [&one, &laptop] {
            let told = says(node, &["bob", "alice", "ping"], false)?;
            ensure!(told.why.contains("bob is suspended"), "{told:?}");
            ensure!(told.said.is_some_and(|said| said.kind == "Suspend" && said.by.ends_with("on alice")));
            ensure!(told.next.is_some_and(|next| next.starts_with("freehold node lift bob")));
            let told = says(node, &["pad", "wiki"], false)?;
            ensure!(told.why.contains("none of the machines that wiki runs on stands"), "{told:?}");
            says(node, &["pad", "bob", "22"], false)?;
        }
        one.cli(&["node", "lift", "bob"])?.good()?;
        for node in [&one, &laptop, &other] {
            says(node, &["bob", "alice", "ping"], true)?;
            says(node, &["pad", "wiki"], true)?;
        }
        Ok(())
    })
}

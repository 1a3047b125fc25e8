//! A second machine joins by an invitation; both see each other, whatever happens in between.

use anyhow::{Context, Result, ensure};
use freehold_harness::{Node, eventually, story};
use serde_json::Value;

/// The nodes that `freehold node list` shows: name, and whether it is reached now.
fn seen(node: &Node<'_>) -> Result<Vec<(String, bool)>> {
    let listed = node.ask(&["node", "list"])?;
    let rows = listed.get("nodes").unwrap_or(&listed).as_array().context("node list is no list")?;
    let row = |row: &Value| {
        let name = row.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let online = row.get("online").and_then(Value::as_bool).unwrap_or_default();
        let own = row.get("this").or_else(|| row.get("me")).and_then(Value::as_bool).unwrap_or_default();
        (name, online || own)
    };
    Ok(rows.iter().map(row).collect())
}

fn sees(node: &Node<'_>, name: &str, online: bool) -> Result<bool> {
    Ok(seen(node)?.iter().any(|(own, up)| own == name && *up == online))
}

fn both_see_each_other(one: &Node<'_>, other: &Node<'_>) -> Result<()> {
    eventually(30, "the first sees the second", || sees(one, "bob", true))?;
    eventually(30, "the second sees the first", || {
        Ok(seen(other)?.iter().filter(|(_, online)| *online).count() == 2)
    })
}

#[test]
fn two_machines_on_one_network() -> Result<()> {
    story("two_machines_on_one_network", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        one.up(&["--name", "smith"])?;
        let ready = other.join(&one.invite(&[])?, "bob")?;
        ensure!(ready.text("realm")? == "smith", "joined {ready:?}");
        both_see_each_other(&one, &other)?;

        one.stop()?;
        eventually(60, "the second notices", || Ok(seen(&other)?.iter().filter(|(_, up)| *up).count() == 1))?;
        one.resume()?;
        both_see_each_other(&one, &other)?;
        other.stop()?;
        eventually(60, "the first notices", || sees(&one, "bob", false))?;
        other.resume()?;
        both_see_each_other(&one, &other)?;
        one.kill()?;
        other.kill()?;
        other.resume()?;
        one.resume()?;
        both_see_each_other(&one, &other)
    })
}

#[test]
fn what_happened_while_one_was_off_arrives() -> Result<()> {
    story("what_happened_while_one_was_off_arrives", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        both_see_each_other(&one, &other)?;
        other.stop()?;

        one.cli(&["bucket", "create", "letters", "--copies", "2"])?.good()?;
        let file = story.file("letter", 200_000, 1)?;
        one.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), "s3://letters/one"])?.good()?;
        let back = other.resume()?;
        let there = story.folder().join("there");
        eventually(30, "the letter is on the second", || {
            let copy = other.s3(&back)?.aws(&["s3", "cp", "s3://letters/one", &there.to_string_lossy()])?;
            Ok(copy.code == Some(0))
        })?;
        ensure!(std::fs::read(&file)? == std::fs::read(&there)?, "it arrived changed");

        // The cable pulled, both write, and both have both afterwards.
        bob.unplug()?;
        let (here, away) = (one.s3(&ready)?, other.s3(&back)?);
        here.aws(&["s3", "cp", &file.to_string_lossy(), "s3://letters/here"])?.good()?;
        away.aws(&["s3", "cp", &file.to_string_lossy(), "s3://letters/away"])?.good()?;
        bob.plug_in()?;
        for client in [&here, &away] {
            eventually(90, "both letters are on both", || {
                let listed = client.aws(&["s3", "ls", "s3://letters/"])?.out;
                Ok(listed.contains("here") && listed.contains("away"))
            })?;
        }
        Ok(())
    })
}

#[test]
fn two_homes_behind_routers_meet_through_the_realms_own_relay() -> Result<()> {
    story("two_homes_behind_routers_meet_through_the_realms_own_relay", |story| {
        let hub = story.host("hub")?;
        let (first, second) = (story.router()?, story.router()?);
        let (alice, bob) = (story.host_behind(&first, "alice")?, story.host_behind(&second, "bob")?);
        let (mut relay, mut one, mut other) = (hub.node()?, alice.node()?, bob.node()?);
        let address = format!("{}:3340", hub.address());
        relay.up(&["--name", "smith", "--relay", &address])?;
        one.join(&relay.invite(&[])?, "alice")?;
        other.join(&relay.invite(&["--device"])?, "bob")?;
        eventually(60, "alice sees bob", || sees(&one, "bob", true))?;
        eventually(60, "bob sees alice", || sees(&other, "alice", true))?;

        let back = other.status()?;
        ensure!(!back.is_null(), "no status");
        one.cli(&["bucket", "create", "letters", "--copies", "3"])?.good()?;
        one.stop()?;
        let ready = one.resume()?;
        let file = story.file("letter", 300_000, 1)?;
        one.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), "s3://letters/one"])?.good()?;
        eventually(60, "the letter crossed both routers", || {
            let listed = other.ask(&["bucket", "list"])?.to_string();
            Ok(listed.contains("letters"))
        })
    })
}

#[test]
fn a_suspended_node_is_told_so_and_hears_nothing_more() -> Result<()> {
    story("a_suspended_node_is_told_so_and_hears_nothing_more", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        both_see_each_other(&one, &other)?;
        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        eventually(30, "the first no longer reaches it", || sees(&one, "bob", false))?;
        one.cli(&["bucket", "create", "secret", "--copies", "2"])?.good()?;
        ensure!(
            !other.ask(&["bucket", "list"])?.to_string().contains("secret"),
            "the suspended node heard of it"
        );
        one.cli(&["node", "lift", "bob"])?.good()?;
        eventually(60, "both are together again", || {
            Ok(sees(&one, "bob", true)? && other.ask(&["bucket", "list"])?.to_string().contains("secret"))
        })
    })
}

//! A second machine joins by an invitation; both see each other, whatever happens in between.

use anyhow::{Result, anyhow, ensure};
use freehold_api::{Path, Standing};
use freehold_harness::{Node, eventually, story, until};

/// Whether a node has a connection to the one of that name.
fn sees(node: &Node<'_>, name: &str) -> Result<bool> {
    Ok(node.peer(name)?.connected)
}

fn both_see_each_other(one: &Node<'_>, other: &Node<'_>) -> Result<()> {
    eventually(90, "alice sees bob", || sees(one, "bob"))?;
    eventually(90, "bob sees alice", || Ok(other.connections()? >= 1))
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
        eventually(60, "bob notices", || Ok(other.connections()? == 0))?;
        one.resume()?;
        both_see_each_other(&one, &other)?;
        other.stop()?;
        eventually(60, "alice notices", || Ok(!sees(&one, "bob")?))?;
        let away = one.peer("bob")?;
        ensure!(away.last_heard_ms.is_some(), "it does not say when it last heard bob");
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
        eventually(60, "alice sees bob", || sees(&one, "bob"))?;
        eventually(60, "bob sees alice", || sees(&other, "alice"))?;

        until(30, "they meet through it", || {
            let bob = one.peer("bob")?;
            ensure!(bob.path == Some(Path::Relay), "{bob:?}");
            Ok(())
        })?;
        one.cli(&["bucket", "create", "letters", "--copies", "3"])?.good()?;
        one.stop()?;
        let ready = one.resume()?;
        let file = story.file("letter", 300_000, 1)?;
        one.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), "s3://letters/one"])?.good()?;
        for node in [&relay, &one, &other] {
            node.protected("letters", 1)?;
        }
        Ok(())
    })
}

#[test]
fn a_suspended_node_is_told_so_and_hears_nothing_more() -> Result<()> {
    story("a_suspended_node_is_told_so_and_hears_nothing_more", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut third) = (alice.node()?, bob.node()?, carol.node()?);
        one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        third.join(&one.invite(&[])?, "carol")?;
        both_see_each_other(&one, &other)?;
        both_see_each_other(&one, &third)?;
        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        eventually(30, "alice no longer speaks with bob", || Ok(!sees(&one, "bob")?))?;
        ensure!(one.peer("bob")?.standing == Standing::Suspended, "{:?}", one.peer("bob")?);
        eventually(60, "bob's person is told", || {
            let alarms = other.status()?.alarms;
            Ok(alarms.iter().any(|alarm| alarm.what.contains("does not count this node")))
        })?;
        one.cli(&["bucket", "create", "secret", "--copies", "2"])?.good()?;
        until(60, "carol hears of the bucket", || third.bucket("secret"))?;
        ensure!(other.bucket("secret").is_err(), "the suspended node heard of it");
        one.cli(&["node", "lift", "bob"])?.good()?;
        both_see_each_other(&one, &other)?;
        until(60, "bob hears of the bucket", || other.bucket("secret"))?;
        Ok(())
    })
}

/// A snapshot of a virtual machine, put back.
#[test]
fn a_node_whose_disk_is_set_back_writes_nothing_twice() -> Result<()> {
    story("a_node_whose_disk_is_set_back_writes_nothing_twice", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        both_see_each_other(&one, &other)?;
        one.cli(&["bucket", "create", "letters", "--copies", "2"])?.good()?;
        one.stop()?;
        let (entries, snapshot) = (one.home().join("entries.redb"), story.folder().join("snapshot"));
        std::fs::copy(&entries, &snapshot)?;
        let ready = one.resume()?;
        let file = story.file("letter", 2000, 1)?;
        for name in ["a", "b", "c"] {
            let to = format!("s3://letters/{name}");
            one.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), &to])?.good()?;
        }
        for node in [&one, &other] {
            node.protected("letters", 3)?;
        }
        one.stop()?;
        other.stop()?;
        std::fs::copy(&snapshot, &entries)?;

        let ready = one.resume()?;
        let client = one.s3(&ready)?;
        let mut write = client.command(&freehold_harness::python("aws")?);
        let mut write = write.args(["s3", "cp", &file.to_string_lossy(), "s3://letters/new"]).spawn()?;
        let soon = until(3, "the write", || write.try_wait()?.ok_or_else(|| anyhow!("it waits")));
        ensure!(soon.is_err(), "it was written before anybody could say that the disk is old");
        other.resume()?;
        let written = until(60, "the write", || write.try_wait()?.ok_or_else(|| anyhow!("it waits")))?;
        ensure!(written.success(), "the write failed: {written}");
        for node in [&one, &other] {
            node.protected("letters", 4)?;
            let twice = |alarm: &freehold_api::Finding| alarm.why.contains("two entries with one number");
            ensure!(!node.status()?.alarms.iter().any(twice), "{:?}", node.status()?.alarms);
        }
        one.alarmed(&["this node's disk was rolled back"])
    })
}

/// A stolen gateway: the third member has not heard that it was suspended, and passes on what it
/// writes.
#[test]
fn what_a_stolen_machine_writes_reaches_nobody_for_long() -> Result<()> {
    story("what_a_stolen_machine_writes_reaches_nobody_for_long", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut stolen, mut third) = (alice.node()?, bob.node()?, carol.node()?);
        let ready = one.up(&[])?;
        let at_bob = stolen.join(&one.invite(&["--device"])?, "bob")?;
        third.join(&one.invite(&[])?, "carol")?;
        one.cli(&["bucket", "create", "letters", "--copies", "3"])?.good()?;
        let file = story.file("letter", 200_000, 1)?;
        let file = file.to_string_lossy();
        one.s3(&ready)?.aws(&["s3", "cp", &file, "s3://letters/one"])?.good()?;
        one.protected("letters", 1)?;
        until(30, "bob has the bucket's key", || {
            stolen.s3(&at_bob)?.aws(&["s3", "ls", "s3://letters/one"])?.good()
        })?;
        third.stop()?;
        bob.unplug()?;
        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        let log = story.folder().join("log");
        let log = log.to_string_lossy();
        one.cli(&["realm", "export", &log])?.good()?;
        one.stop()?;

        bob.plug_in()?;
        let at_carol = third.resume()?;
        eventually(30, "carol speaks with bob", || sees(&third, "bob"))?;
        let forged = stolen.s3(&at_bob)?;
        forged.aws(&["s3", "rm", "s3://letters/one"])?.good()?;
        forged.aws(&["s3", "cp", &file, "s3://letters/two"])?.good()?;
        let there = third.s3(&at_carol)?;
        until(30, "carol took it for good", || there.aws(&["s3", "ls", "s3://letters/two"])?.good())?;
        stolen.cli(&["node", "rename", "carol", "mallory"])?.good()?;
        until(30, "carol took the name, too", || third.peer("mallory"))?;
        stolen.cli(&["realm", "import", &log])?.good()?;
        eventually(30, "bob takes no writes", || {
            Ok(forged.aws(&["s3", "cp", &file, "s3://letters/three"])?.good().is_err())
        })?;
        ensure!(stolen.cli(&["node", "lift", "bob"])?.good().is_err(), "it lifted its own suspension");
        stolen.stop()?;

        let back = one.resume()?;
        eventually(60, "carol hears of it", || Ok(third.peer("bob")?.standing == Standing::Suspended))?;
        for (name, s3) in [("alice", one.s3(&back)?), ("carol", there)] {
            until(30, &format!("{name} has the letter"), || {
                s3.aws(&["s3", "cp", "s3://letters/one", "-"])?.good()
            })?;
            eventually(30, &format!("{name} has not the forged one"), || {
                Ok(s3.aws(&["s3", "ls", "s3://letters/two"])?.good().is_err())
            })?;
        }
        for node in [&one, &third] {
            until(30, "the forged name is gone", || node.peer("carol"))?;
        }
        Ok(())
    })
}

#[test]
fn what_a_stolen_machine_invited_does_not_come_in() -> Result<()> {
    story("what_a_stolen_machine_invited", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut stolen, thief) = (alice.node()?, bob.node()?, carol.node()?);
        one.up(&[])?;
        stolen.join(&one.invite(&["--device"])?, "bob")?;
        both_see_each_other(&one, &stolen)?;
        let invitation = stolen.invite(&["--device"])?;
        let log = story.folder().join("log");
        let log = log.to_string_lossy();
        let open = |count| {
            one.cli(&["realm", "export", &log, "--overwrite"])?.good()?;
            let told = one.cli(&["realm", "audit", &log])?.good()?.out;
            ensure!(told.contains(&format!("invitations  {count} open")), "{told}");
            Ok(())
        };
        until(30, "alice hears of the invitation", || open(1))?;
        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        stolen.stop()?;
        open(0)?;
        thief.cli(&["join", &invitation, "--name", "carol"])?.refused(1, &["withdrawn"])?;
        ensure!(one.peer("carol").is_err(), "the thief is a node");
        Ok(())
    })
}

#[test]
fn what_a_fast_clock_wrote_waits_and_is_an_alarm() -> Result<()> {
    story("what_a_fast_clock_wrote_waits", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        both_see_each_other(&one, &other)?;
        other.stop()?;
        other.set_clock(Some("+2h"));
        other.resume()?;
        other.cli(&["node", "rename", "bob", "robert"])?.good()?;
        eventually(60, "alice says that bob is ahead", || {
            Ok(one.status()?.alarms.iter().any(|alarm| alarm.what.contains("date in the future")))
        })?;
        ensure!(one.peer("bob").is_ok(), "the new name is to be seen before its time");
        one.stop()?;
        one.set_clock(Some("+90m"));
        one.resume()?;
        until(60, "alice hears of the name", || one.peer("robert"))?;
        Ok(())
    })
}

//! Invitations and names that do not work.

use anyhow::{Result, ensure};
use freehold_harness::{Host, Node, story, until};

use super::{still_there, with_an_object};

#[test]
fn an_invitation_works_once() -> Result<()> {
    story("an_invitation_works_once", |story| {
        let (alice, bob, eve) = (story.host("alice")?, story.host("bob")?, story.host("eve")?);
        let (mut one, mut other, stranger) = (alice.node()?, bob.node()?, eve.node()?);
        let (_, s3) = with_an_object(&mut one, story)?;
        let invitation = one.invite(&[])?;
        other.join(&invitation, "bob")?;
        stranger
            .cli(&["join", &invitation, "--name", "eve"])?
            .refused(1, &["invitation", "used", "freehold invite"])?;
        ensure!(!stranger.home().join("log.redb").exists(), "half a node was left");
        ensure!(one.peer("eve").is_err(), "the stranger is in the realm");
        other.status()?;
        still_there(&s3, story)
    })
}

#[test]
fn a_lapsed_invitation_says_so() -> Result<()> {
    story("a_lapsed_invitation_says_so", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        with_an_object(&mut one, story)?;
        let invitation = one.invite(&["--hours", "1"])?;
        one.stop()?;
        for node in [&mut one, &mut other] {
            node.set_clock(Some("+2h"));
        }
        one.resume()?;
        other
            .cli(&["join", &invitation, "--name", "bob"])?
            .refused(1, &["invitation", "lapsed", "freehold invite"])?;
        // Its own clock set back helps nobody: the realm's nodes judge.
        other.set_clock(None);
        other.cli(&["join", &invitation, "--name", "bob"])?.refused(1, &["invitation"])?;
        one.stop()?;
        one.set_clock(None);
        let ready = one.resume()?;
        still_there(&one.s3(&ready)?, story)
    })
}

#[test]
fn a_mistyped_invitation_is_no_mystery() -> Result<()> {
    story("a_mistyped_invitation_is_no_mystery", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, other) = (alice.node()?, bob.node()?);
        one.up(&[])?;
        let invitation = one.invite(&[])?;
        let cut: String = invitation.chars().take(invitation.len() / 2).collect();
        let mut swapped: Vec<char> = invitation.chars().collect();
        let middle = swapped.len() / 2;
        // Case is no mistake: an invitation reads the same in capitals.
        let other_letter =
            if swapped.get(middle).is_some_and(|c| c.eq_ignore_ascii_case(&'a')) { 'b' } else { 'a' };
        if let Some(letter) = swapped.get_mut(middle) {
            *letter = other_letter;
        }
        for wrong in
            ["hello", &cut, &swapped.into_iter().collect::<String>(), "\u{1F4A5}", &"a".repeat(100_000)]
        {
            let answer = other.cli(&["join", wrong])?;
            ensure!(
                answer.code.is_some_and(|code| code == 1 || code == 2),
                "{:?}: {}",
                answer.code,
                answer.err
            );
            ensure!(answer.err.contains("invitation"), "{}", answer.err);
        }
        Ok(())
    })
}

#[test]
fn an_unknown_bucket_or_node_gets_a_next_step() -> Result<()> {
    story("an_unknown_bucket_or_node_gets_a_next_step", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let (_, s3) = with_an_object(&mut node, story)?;
        node.cli(&["bucket", "verify", "nope"])?.refused(1, &["nope", "freehold bucket"])?;
        node.cli(&["bucket", "delete", "nope"])?.refused(1, &["nope"])?;
        node.cli(&["node", "suspend", "nope"])?.refused(1, &["nope", "freehold node list"])?;
        node.cli(&["bucket", "create", "Not A Bucket!"])?.refused(2, &["name"])?;
        node.cli(&["bucket", "delete", "box"])?.refused(1, &["holds 1 object", "delete what is in it"])?;
        s3.aws(&["s3", "ls", "s3://nope"])?.failed(&["NoSuchBucket"])?;
        s3.aws(&["s3", "cp", "/etc/hostname", "s3://nope/x"])?.failed(&["NoSuchBucket"])?;
        still_there(&s3, story)
    })
}

#[test]
fn commands_without_a_node_say_what_to_type() -> Result<()> {
    story("commands_without_a_node_say_what_to_type", |story| {
        let host = story.host("alice")?;
        let node = host.node()?;
        for command in [&["status"][..], &["doctor"], &["invite"], &["bucket", "list"]] {
            let answer = Host::answer(&mut node.command(command)?)?;
            ensure!(answer.code == Some(4), "{}: {:?} {}", answer.line, answer.code, answer.err);
            ensure!(answer.err.contains("freehold up"), "{}: {}", answer.line, answer.err);
        }
        node.cli(&["frobnicate"])?.refused(2, &["frobnicate"])?;
        Ok(())
    })
}

#[test]
fn an_old_copy_of_the_log_is_found_and_signs_nothing() -> Result<()> {
    story("an_old_copy_of_the_log_is_found_and_signs_nothing", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        with_an_object(&mut one, story)?;
        other.join(&one.invite(&[])?, "bob")?;
        one.stop()?;
        let (log, old) = (one.home().join("log.redb"), story.folder().join("old"));
        std::fs::copy(&log, &old)?;
        one.resume()?;
        one.cli(&["realm", "checkpoint"])?.good()?;
        one.cli(&["bucket", "create", "later"])?.good()?;
        let caught_up = |node: &Node<'_>| {
            until(60, "the log is whole", || {
                let status = node.status()?;
                ensure!(
                    status.log.epoch == 1 && !status.alarms.iter().any(|a| a.what.contains("log")),
                    "{status:?}"
                );
                node.bucket("later")
            })
        };
        caught_up(&other)?;
        other.stop()?;
        one.stop()?;
        std::fs::copy(&old, &log)?;

        let ready = one.resume()?;
        one.alarmed(&["rolled back", "an old copy was put back", "another node", "log-seen"])?;
        one.cli(&["bucket", "create", "never"])?.refused(1, &["old copy", "another node"])?;
        other.resume()?;
        caught_up(&one)?;
        one.cli(&["bucket", "create", "again"])?.good()?;
        until(60, "the other has it", || other.bucket("again"))?;
        ensure!(other.status()?.log.refused == 0, "something contradicts itself");
        still_there(&one.s3(&ready)?, story)
    })
}

#[test]
fn an_old_copy_of_the_log_lets_nobody_in() -> Result<()> {
    story("an_old_copy_of_the_log_lets_nobody_in", |story| {
        let (alice, bob, eve) = (story.host("alice")?, story.host("bob")?, story.host("eve")?);
        let (mut one, mut other, mut stranger) = (alice.node()?, bob.node()?, eve.node()?);
        with_an_object(&mut one, story)?;
        let invitation = one.invite(&[])?;
        one.stop()?;
        let (log, old) = (one.home().join("log.redb"), story.folder().join("old"));
        std::fs::copy(&log, &old)?;
        one.resume()?;
        other.join(&invitation, "bob")?;
        other.stop()?;
        one.stop()?;
        std::fs::copy(&old, &log)?;
        one.resume()?;
        one.alarmed(&["rolled back"])?;
        stranger.launch(&["join", &invitation, "--name", "eve"])?;
        stranger.ended()?.refused(1, &["refused"])?;
        // The old copy does not know bob, so it cannot be heard from him: a file brings it.
        other.resume()?;
        let whole = story.folder().join("whole").to_string_lossy().into_owned();
        other.cli(&["realm", "export", &whole])?.good()?;
        one.cli(&["realm", "import", &whole])?.good()?;
        until(60, "both see each other", || {
            ensure!(one.connections()? == 1, "not yet");
            one.peer("bob")
        })?;
        ensure!(one.peer("eve").is_err() && one.status()?.log.refused == 0, "a stranger came in");
        one.cli(&["bucket", "create", "again"])?.good().map(drop)
    })
}

#[test]
fn a_log_that_is_none_is_refused_whole() -> Result<()> {
    story("a_log_that_is_none_is_refused_whole", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let (_, s3) = with_an_object(&mut node, story)?;
        let good = story.folder().join("realm.log");
        let good_text = good.to_string_lossy().into_owned();
        node.cli(&["realm", "export", &good_text])?.good()?;
        node.cli(&["realm", "audit", &good_text])?.good()?;
        node.cli(&["realm", "import", &good_text])?.good()?;
        let whole = std::fs::read(&good)?;
        let noise = story.file("noise", 10_000, 12)?;
        let cut = story.folder().join("cut");
        let half = whole.get(..whole.len() / 2).unwrap_or_default();
        std::io::Write::write_all(&mut std::fs::File::create(&cut)?, half)?;
        for file in [noise, cut] {
            for command in ["import", "audit"] {
                let answer = node.cli(&["realm", command, &file.to_string_lossy()])?;
                ensure!(answer.code.is_some_and(|code| (1..=2).contains(&code)), "{command}: {answer:?}");
            }
        }
        still_there(&s3, story)
    })
}

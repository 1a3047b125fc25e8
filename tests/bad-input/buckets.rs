//! Buckets that must not be ended or made.

use std::process::Child;

use anyhow::{Context, Result, ensure};
use freehold_harness::{Answer, Host, Node, story, until};

use super::{still_there, with_an_object};

#[test]
fn who_cannot_look_into_a_bucket_deletes_none() -> Result<()> {
    story("who_cannot_look_into_a_bucket_deletes_none", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let (_, s3) = with_an_object(&mut one, story)?;
        // An admin's device, on a machine that merely stores.
        other.join(&one.invite(&["--roles", "storage", "--device"])?, "bob")?;
        until(60, "bob knows the bucket", || other.bucket("box"))?;
        other.cli(&["bucket", "delete", "box", "--dry-run"])?.refused(1, &["key", "secrets"])?;
        other.cli(&["bucket", "delete", "box"])?.refused(1, &["key", "secrets"])?;
        still_there(&s3, story)?;
        one.bucket("box")?;
        // Nor does one that has not heard of what others wrote.
        one.cli(&["bucket", "create", "lonely"])?.good()?;
        until(60, "bob has heard of it", || other.bucket("lonely"))?;
        other.stop()?;
        one.stop()?;
        one.resume()?;
        one.cli(&["bucket", "delete", "lonely"])?.refused(4, &["another node"])?;
        other.resume()?;
        until(60, "it is deleted", || one.cli(&["bucket", "delete", "lonely"])?.good())?;
        Ok(())
    })
}

fn all_at_once(node: &Node<'_>, times: usize, arguments: &[&str]) -> Result<Vec<Answer>> {
    let begun: Vec<Child> = std::iter::repeat_with(|| {
        let mut command = node.command(arguments)?;
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().context("start a command")
    })
    .take(times)
    .collect::<Result<_>>()?;
    let read = |child: Child| {
        let output = child.wait_with_output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let line = arguments.join(" ");
        Ok(Answer { line, code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
    };
    begun.into_iter().map(read).collect()
}

#[test]
fn a_name_is_given_to_one_bucket() -> Result<()> {
    story("a_name_is_given_to_one_bucket", |story| {
        let host: Host = story.host("alice")?;
        let mut node = host.node()?;
        with_an_object(&mut node, story)?;
        for round in 0..5 {
            let name = format!("photos-{round}");
            let answers = all_at_once(&node, 8, &["bucket", "create", &name])?;
            let made = answers.iter().filter(|answer| answer.code == Some(0)).count();
            ensure!(made == 1, "{made} of 8 made it: {answers:?}");
            let named = node.status()?.buckets.iter().filter(|bucket| bucket.name == name).count();
            ensure!(named == 1, "{named} buckets have one name");
        }
        Ok(())
    })
}

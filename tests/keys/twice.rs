//! Two machines apart give one name to two buckets: nobody is to guess which of them is meant.

use anyhow::{Result, ensure};
use freehold_api::BucketStatus;
use freehold_harness::{Node, story, until};

use crate::keys;

fn photos(node: &Node<'_>) -> Result<Vec<BucketStatus>> {
    let all: Vec<BucketStatus> = node.ask(&["bucket", "list"])?;
    Ok(all.into_iter().filter(|bucket| bucket.name == "photos").collect())
}

#[test]
fn no_command_guesses_which_of_two_buckets_of_one_name_is_meant() -> Result<()> {
    story("no_command_guesses_which_of_two_buckets_of_one_name_is_meant", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        one.up(&["--name", "smith"])?;
        other.join(&one.invite(&[])?, "bob")?;
        until(60, "bob has keys", || keys(&other, "files").map(drop))?;
        other.stop()?;
        let first: BucketStatus = one.ask(&["bucket", "create", "photos"])?;
        one.stop()?;
        other.resume()?;
        let second: BucketStatus = other.ask(&["bucket", "create", "photos"])?;
        one.resume()?;
        until(60, "alice holds both", || {
            ensure!(photos(&one)?.len() == 2, "{:?}", photos(&one)?);
            keys(&one, &second.id).map(drop)
        })?;

        let [a, b] = [&first, &second].map(|bucket| &bucket.id[..8]);
        for command in [
            &["bucket", "erase", "photos", "-y"][..],
            &["bucket", "delete", "photos"],
            &["bucket", "set", "photos", "--copies", "1"],
            &["bucket", "keys", "photos"],
            &["bucket", "rotate", "photos"],
            &["bucket", "share", "photos", "--with", "bob"],
            &["bucket", "verify", "photos"],
            &["object", "erase", "photos", "cover", "-y"],
            &["key", "create", "--bucket", "photos"],
            &["quota", "set", "1GB", "--bucket", "photos"],
        ] {
            one.cli(command)?.failed(&[
                "several buckets may be meant by photos",
                a,
                b,
                ", made 20",
                "by bob",
            ])?;
        }
        ensure!(photos(&one)?.len() == 2, "nothing was done");
        let shown = one.cli(&["bucket", "list"])?.good()?.out;
        ensure!(shown.matches("another bucket has that name; this one is").count() == 2, "{shown}");
        ensure!(shown.contains(a) && shown.contains(b) && shown.contains("by bob"), "{shown}");

        one.cli(&["bucket", "set", a, "--copies", "1"])?.good()?;
        one.cli(&["bucket", "erase", b, "-y"])?.good()?;
        let left = photos(&one)?;
        ensure!(left.len() == 1 && left[0].id == first.id && left[0].copies == 1, "{left:?}");
        ensure!(!one.cli(&["bucket", "list"])?.good()?.out.contains("another bucket"), "one is left");
        one.cli(&["bucket", "delete", "photos"])?.good()?;
        Ok(())
    })
}

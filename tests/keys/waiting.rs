//! Who cannot read what is to be erased waits for those who can.

use anyhow::{Context as _, Result, ensure};
use freehold_api::Erasure;
use freehold_crypt::BoxSecret;
use freehold_harness::{story, until};
use freehold_seal::{Envelope, KeyOf, box_hint};

use crate::{disk, keys, put};

fn names(nodes: &[freehold_api::ErasureNode]) -> Vec<&str> {
    let mut names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_machine_without_keys_erases_nothing_that_another_keeps() -> Result<()> {
    const LOCKABLE: &str = "import boto3\n\
        boto3.client('s3').create_bucket(Bucket='books', ObjectLockEnabledForBucket=True)";
    const HOLD: &str = "import boto3\n\
        boto3.client('s3').put_object_legal_hold(Bucket='books', Key='2026', LegalHold={'Status': 'ON'})";
    story("a_machine_without_keys_erases_nothing_that_another_keeps", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut store) = (alice.node()?, bob.node()?, carol.node()?);
        let ready = one.up(&["--name", "smith"])?;
        let there = other.join(&one.invite(&[])?, "bob")?;
        store.join(&one.invite(&["--roles", "storage"])?, "carol")?;
        let (s3, away) = (one.s3(&ready)?, other.s3(&there)?);
        s3.boto3(LOCKABLE, &[])?.good()?;
        one.cli(&["bucket", "create", "notes"])?.good()?;
        // So long that it is a file of its own.
        let text = "sums and sums ".repeat(3000);
        for bucket in ["books", "notes"] {
            one.cli(&["bucket", "set", bucket, "--copies", "3"])?.good()?;
            put(&s3, bucket, "2026", &text)?;
            one.protected(bucket, 1)?;
            until(60, "bob has the key", || keys(&other, bucket).map(drop))?;
        }

        let erased: Erasure = one.ask(&["bucket", "erase", "notes", "-y"])?;
        until(120, "all three erase it", || {
            let all: Vec<Erasure> = store.ask(&["receipt", "list"])?;
            ensure!(all.iter().any(|one| one.id == erased.id && one.confirmed.len() == 3), "{all:?}");
            Ok(())
        })?;

        // Alice does not hear that bob has it kept.
        alice.unplug()?;
        away.boto3(HOLD, &[])?.good()?;
        let erased: Erasure = one.ask(&["bucket", "erase", "books", "-y"])?;
        ensure!(erased.confirmed.len() == 1, "{erased:?}");
        alice.plug_in()?;
        until(120, "the others hear of it", || {
            let all: Vec<Erasure> = store.ask(&["receipt", "list"])?;
            ensure!(all.iter().any(|one| one.id == erased.id && one.confirmed.len() == 1), "{all:?}");
            ensure!(other.log()?.contains("something in it must be kept"), "bob has not");
            Ok(())
        })?;
        let all: Vec<Erasure> = store.ask(&["receipt", "list"])?;
        let pending = all.iter().find(|one| one.id == erased.id).map(|one| names(&one.pending));
        ensure!(pending == Some(vec!["bob", "carol"]), "{all:?}");
        for node in [&mut one, &mut other, &mut store] {
            node.stop()?;
        }
        let bobs = disk::open(other.home(), &[disk::box_secret(other.home())?], &disk::Opened::default())?;
        let carols = disk::open(store.home(), &[], &bobs)?;
        ensure!(carols.objects.contains_key("2026"), "carol's copy is gone: {:?}", carols.names);
        // Nor does bob give alice the key again that she has destroyed.
        let books = KeyOf::Bucket(erased.buckets.first().context("one bucket")?.parse()?);
        let alices = box_hint(&BoxSecret::from_seed(&disk::box_secret(one.home())?).public());
        let is_hers = |given: &Envelope| given.key_of == books && given.hint == alices;
        ensure!(!disk::boxes(other.home())?.iter().any(is_hers), "bob boxed it for her");
        Ok(())
    })
}

//! How long a node that was off needs for what the others wrote meanwhile.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use freehold_crypt::{Algorithm, SigningKey};
use freehold_disk::KeyStore;
use freehold_harness::{Node, Story, eventually};
use freehold_realm::audit::Export;
use freehold_realm::body::BucketSet;
use freehold_realm::draft::draft;
use freehold_realm::{Clock, OpSet, fold};
use freehold_wire::{BucketId, Millis};

/// Operations that one node has and the other lacks.
const OPERATIONS: usize = 10_000;

/// Two real nodes on two hosts: one takes ten thousand operations while the other is off.
pub(crate) fn sync(story: &Story) -> Result<()> {
    let (one, two) = (story.host("log-one")?, story.host("log-two")?);
    let (mut first, mut second) = (one.node()?, two.node()?);
    first.up(&[])?;
    second.join(&first.invite(&[])?, "second")?;
    eventually(30, "both have one log", || Ok(operations(&first)? == operations(&second)?))?;
    second.stop()?;
    let file = one.folder().join("grown");
    first.cli(&["realm", "export", &file.to_string_lossy()])?.good()?;
    grow(&file, first.home())?;
    first.cli(&["realm", "import", &file.to_string_lossy()])?.good()?;
    let all = operations(&first)?;
    ensure!(all > OPERATIONS as u64, "the first node has {all} operations");
    let begun = Instant::now();
    second.resume()?;
    eventually(60, "the second node has them too", || Ok(operations(&second)? == all))?;
    let took = begun.elapsed().as_millis();
    println!("| {OPERATIONS} operations to a node that was off, from its start on | {took} ms |");
    second.stop()?;
    let begun = Instant::now();
    second.resume()?;
    println!("| `up` with a log of {all} operations | {} ms |", begun.elapsed().as_millis());
    second.stop()?;
    first.stop()
}

fn operations(node: &Node<'_>) -> Result<u64> {
    Ok(node.status()?.log.operations)
}

/// Adds what an admin would have written, with the device's key that lies in the home.
fn grow(file: &Path, home: &Path) -> Result<()> {
    let export = Export::decode(&std::fs::read(file)?)?;
    let mut set = OpSet::new(export.realm);
    for op in export.ops {
        set.insert(op)?;
    }
    let seed = KeyStore::open(&home.join("keys"))?.read("device")?.context("this home has a device")?;
    let device = SigningKey::from_seed(Algorithm::Ed25519, &seed);
    let state = fold(&set, &Clock { now: Millis(u64::MAX), ..Clock::default() }).state;
    let mut at = set.newest_hlc().wall;
    for number in 0..OPERATIONS as u64 {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let bucket = BucketId::from_bytes(id);
        at = at.plus(Millis(1));
        let op = draft(&set, &state, &device, BucketSet { bucket, copies: 2, confirm: 1, rules: None }, at)?;
        set.restore(op)?;
    }
    freehold_disk::replace(file, &Export::of(&set, at).encode(), 0o600)?;
    Ok(())
}

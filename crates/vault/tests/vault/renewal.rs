//! A bucket's next key, and what is sealed anew with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use freehold_disk::OsEntropy;
use freehold_seal::KeyRing;
use freehold_vault::{Aspect, Note, Renewed, Setting, Version, Versioning};
use freehold_wire::Millis;

use crate::world::{World, node_id, ring};

static PLAIN: [u8; 70_000] = [7; 70_000];
const LATE: Millis = Millis(u64::MAX / 2);

fn rotated() -> KeyRing {
    let (_, mut ring) = ring();
    ring.rotate(&mut OsEntropy).unwrap();
    ring
}

/// Every blob and its bytes.
fn blobs(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![home.join("depot")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    all
}

fn tags(tags: &str) -> Note {
    Note { aspect: Aspect::Tags, document: Some(tags.as_bytes().to_vec()), bypass: false }
}

async fn said(world: &World, key: &str) -> Option<Vec<u8>> {
    world.vault.annotation(&world.bucket, key, None, Aspect::Tags).await.unwrap().1
}

/// Three versions, tags on two of them, a deletion and a setting.
async fn filled(home: &Path) -> World {
    let world = World::open(home).await;
    world.put("plain", &PLAIN).await.unwrap();
    world.vault.annotate(&world.bucket, "plain", None, tags("of=plain")).await.unwrap();
    let on = Some(Versioning::Enabled.to_bytes());
    world.vault.set(&world.bucket, Setting::Versioning, on).await.unwrap();
    world.put("kept", b"first").await.unwrap();
    world.put("kept", b"second").await.unwrap();
    world.vault.annotate(&world.bucket, "kept", None, tags("of=kept")).await.unwrap();
    world.put("gone", b"gone").await.unwrap();
    world.delete("gone").await;
    world
}

async fn check(world: &World) {
    assert_eq!(world.keys(), ["kept", "plain"]);
    assert!(world.get("plain").await.unwrap() == PLAIN);
    assert_eq!(world.get("kept").await.unwrap(), b"second");
    assert_eq!(said(world, "plain").await.unwrap(), b"of=plain");
    assert_eq!(said(world, "kept").await.unwrap(), b"of=kept");
    assert_eq!(world.vault.stats()[&world.bucket].versions, 5);
    assert_eq!(world.vault.settings(&world.bucket).versioning(), Some(Versioning::Enabled));
}

#[tokio::test]
async fn what_is_sealed_anew_opens_with_the_new_key_alone_and_no_blob_is_touched() {
    let home = tempfile::tempdir().unwrap();
    let world = filled(home.path()).await;
    let (before, page) = (blobs(home.path()), world.vault.stats());
    let ring = rotated();
    world.vault.keys().set(ring.clone());
    world.put("new", b"sealed with the next key").await.unwrap();
    let remove = world.vault.list_versions(
        &world.bucket,
        &freehold_vault::VersionQuery {
            keys: freehold_vault::ListQuery { prefix: "new".into(), max: 9, ..Default::default() },
            older_than: None,
        },
    );
    assert_eq!(remove.unwrap().versions.len(), 1);
    assert_eq!(world.vault.generations(&world.bucket), [(1, 5), (2, 1)].into());
    let version = world.vault.head(&world.bucket, "new", None).await.unwrap().version;
    let request = freehold_vault::DeleteRequest {
        key: "new".into(),
        version: Some(version),
        ..freehold_vault::DeleteRequest::default()
    };
    assert!(matches!(version, Version::Id(_)));
    world.vault.delete(&world.bucket, request).await.unwrap();

    // Five versions, two tags and a setting.
    let renewed = world.vault.renew(&world.bucket, 1000).await.unwrap();
    assert_eq!(renewed, Renewed { done: 8, left: 0, more: false });
    assert_eq!(world.vault.renew(&world.bucket, 1000).await.unwrap(), Renewed::default(), "nothing is left");
    assert_eq!(world.vault.generations(&world.bucket), [(2, 5)].into());
    check(&world).await;
    world.vault.sweep_replaced(&[world.bucket].into(), LATE, Millis(0)).await.unwrap();
    check(&world).await;
    for _ in 0..2 {
        world.vault.sweep(LATE).await.unwrap();
    }
    assert!(blobs(home.path()) == before, "what was swept is the object that was deleted");
    check(&world).await;
    assert_eq!(world.vault.stats(), page);
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 0);
    drop(world);

    // With the first key alone nothing is to be found any more, nor read.
    let world = World::open(home.path()).await;
    assert_eq!(world.keys(), [""; 0]);
    assert!(world.get("plain").await.is_err());
    world.vault.keys().set(ring);
    world.vault.reopen(&world.bucket).await.unwrap();
    check(&world).await;
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 0, "nothing is erased twice");
    assert_eq!(world.vault.verify(None, false).await.unwrap().findings, []);
    // Once more: what is carried is carried on.
    let mut ring = rotated();
    ring.rotate(&mut OsEntropy).unwrap();
}

#[tokio::test]
async fn who_may_not_write_seals_nothing_anew() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(one.path()).await;
    first.put("report", b"first").await.unwrap();
    let peers = std::sync::Arc::new(crate::world::Peer { depot: first.vault.depot().clone() });
    let setup = crate::world::Setup { node: 2, peers, ..Default::default() };
    let second = World::with(two.path(), setup).await;
    first.send_entries(&second);
    second.put("smuggled", b"x").await.unwrap();
    let only = |n| freehold_vault::Writers { all: [node_id(n)].into(), ..Default::default() };
    first.vault.set_writers([(first.bucket, only(1))].into()).await.unwrap();
    for world in [&first, &second] {
        world.vault.keys().set(rotated());
    }
    // Each seals anew what the other wrote, as far as it has the blobs; one of them may not.
    second.vault.renew(&second.bucket, 1000).await.unwrap();
    second.send_entries(&first);
    assert_eq!(first.keys(), ["report"]);
    assert_eq!(first.vault.generations(&first.bucket), [(1, 1)].into());
    // Nor does it help that somebody seals it anew who may.
    second.vault.set_writers([(second.bucket, only(1))].into()).await.unwrap();
    assert_eq!(second.keys(), ["report"]);
    assert_eq!(second.vault.generations(&second.bucket), [(1, 1)].into());
}

#[tokio::test]
async fn a_write_that_was_not_heard_of_wins_over_what_was_sealed_anew() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(one.path()).await;
    first.put("report", b"first").await.unwrap();
    let peers = std::sync::Arc::new(crate::world::Peer { depot: first.vault.depot().clone() });
    let setup = crate::world::Setup { node: 2, peers, ..Default::default() };
    let second = World::with(two.path(), setup).await;
    first.send_entries(&second);
    let ring = rotated();
    second.put("report", b"second").await.unwrap();
    first.vault.keys().set(ring.clone());
    assert_eq!(first.vault.renew(&first.bucket, 1000).await.unwrap().done, 1);
    second.send_entries(&first);
    first.send_entries(&second);
    second.vault.keys().set(ring);
    second.vault.reopen(&second.bucket).await.unwrap();
    for world in [&first, &second] {
        let etag = world.vault.head(&world.bucket, "report", None).await.unwrap().size;
        assert_eq!(etag, 6);
        assert_eq!(world.vault.generations(&world.bucket), [(1, 1)].into());
        assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 2, "the first write and its carrier");
    }
    assert_eq!(second.get("report").await.unwrap(), b"second");
}

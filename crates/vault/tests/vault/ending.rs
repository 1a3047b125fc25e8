//! Earlier keys of a bucket end, and with them what was deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_disk::{EntryRow, OsEntropy};
use freehold_seal::{Content, KeyRing, PayloadPlace};
use freehold_vault::{Ended, Ending, Mode, PutError, PutRequest, Retention, Setting, Versioning, Writers};
use freehold_wire::{Millis, NodeId};
use futures::StreamExt as _;

use crate::world::{Peer, REALM, Setup, Witness, World, node_id, ring};

const LATE: Millis = Millis(u64::MAX / 2);

/// The next key, which alone is to stay.
fn ending() -> KeyRing {
    let (_, mut ring) = ring();
    let kept = ring.rotate(&mut OsEntropy).unwrap().version();
    ring.keep(kept);
    ring
}

fn rows(world: &World) -> Vec<EntryRow> {
    let mut rows = Vec::new();
    world
        .entries
        .scan(|row| {
            rows.push(row);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

/// How many payloads the keys of a ring open.
fn opened(ring: &KeyRing, rows: &[EntryRow]) -> usize {
    let opens = |row: &&EntryRow| {
        let place = PayloadPlace { realm: REALM, bucket: row.bucket, origin: row.origin, seq: row.seq };
        let payload = row.payload.as_deref().unwrap_or_default();
        ring.iter().any(|key| Content::open(key, &place, payload).is_ok())
    };
    rows.iter().filter(opens).count()
}

fn kept(world: &World) -> u32 {
    world.vault.keys().current(&world.bucket).unwrap().version()
}

async fn renew(world: &World, leave_to: &[NodeId]) -> Ended {
    let leave_to: BTreeSet<NodeId> = leave_to.iter().copied().collect();
    let how = Ending { kept: kept(world), writes: true, leave_to: &leave_to, ended: None };
    world.vault.renew_ending(&world.bucket, how).await.unwrap()
}

async fn end(world: &World, ring: &mut KeyRing) {
    world.vault.keys().set(ring.clone());
    let ended = renew(world, &[]).await;
    assert!(ended.is_ready() && ended.unknown == 0, "{ended:?}");
    world.vault.erase_ended(&world.bucket).await.unwrap();
    ring.forget_before(ring.current().unwrap().version());
    world.vault.keys().set(ring.clone());
}

fn payloads(world: &World) -> usize {
    rows(world).iter().filter(|row| row.payload.is_some()).count()
}

#[tokio::test]
async fn what_was_deleted_opens_with_no_key_that_is_left_and_all_else_does() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.put("recipe", b"two eggs").await.unwrap();
    world.put("diary", b"dear diary").await.unwrap();
    let on = Some(Versioning::Enabled.to_bytes());
    world.put("note", b"one").await.unwrap();
    let diary = world.blob_files("diary");
    world.vault.set(&world.bucket, Setting::Versioning, on).await.unwrap();
    world.put("diary", b"dear diary, again").await.unwrap();
    let copy = rows(&world);
    assert_eq!(opened(&ring().1, &copy), 5);

    assert_eq!(world.vault.to_delete(&world.bucket, "diary", false).unwrap(), (2, 27));
    assert_eq!(world.vault.delete_all(&world.bucket, "diary", false).await.unwrap(), 2);
    let mut ring = ending();
    end(&world, &mut ring).await;
    assert!(diary.iter().all(|file| !file.exists()), "its ciphertext as well");
    assert_eq!(opened(&ring, &copy), 0, "nothing of an older copy of the disk");
    let left = rows(&world);
    assert_eq!(left.iter().filter(|row| row.payload.is_some()).count(), opened(&ring, &left));
    for _ in 0..2 {
        assert_eq!(world.get("recipe").await.unwrap(), b"two eggs");
        assert_eq!(world.keys(), ["note", "recipe"]);
        world.vault.sweep(LATE).await.unwrap();
    }
    drop(world);
    let world = World::with(home.path(), Setup { with_key: false, ..Setup::default() }).await;
    world.vault.keys().set(ring);
    world.vault.reopen(&world.bucket).await.unwrap();
    assert_eq!(
        (world.keys(), world.get("note").await.unwrap()),
        (vec!["note".into(), "recipe".into()], b"one".into())
    );
    assert_eq!(world.vault.settings(&world.bucket).versioning(), Some(Versioning::Enabled));
    assert_eq!(world.vault.verify(None, false).await.unwrap().findings, []);
}

#[tokio::test]
async fn what_is_being_written_while_its_key_ends_is_sealed_with_the_one_that_stays() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let (go_on, wait) = tokio::sync::oneshot::channel();
    let body = futures::stream::once(async move {
        wait.await.unwrap();
        Ok(bytes::Bytes::from_static(b"slowly"))
    });
    let mut ring = ending();
    let put = world.vault.put(&world.bucket, "upload", PutRequest::default(), body.boxed());
    let ends = async {
        // The write has asked for its key: it is polled first.
        end(&world, &mut ring).await;
        go_on.send(()).unwrap();
    };
    let (put, ()) = tokio::join!(put, ends);
    put.unwrap();
    assert_eq!(world.get("upload").await.unwrap(), b"slowly");
    let rows = rows(&world);
    assert_eq!(opened(&ring, &rows), rows.len());
}

#[tokio::test]
async fn who_hears_late_loses_nothing_and_leaves_nothing_behind() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let second = World::with(two.path(), Setup { node: 2, ..Setup::default() }).await;
    let peers = Arc::new(Peer { depot: second.vault.depot().clone() });
    let first = World::with(one.path(), Setup { peers, ..Setup::default() }).await;
    let mut ring = ending();
    end(&first, &mut ring).await;
    second.put("late", b"while it was away").await.unwrap();
    second.send_entries(&first);
    assert!(first.get("late").await.is_err(), "not yet");
    first.vault.sweep(LATE).await.unwrap();
    assert_eq!(payloads(&first), 1, "what it cannot read may be all that there is");

    let mut apart = self::ring().1;
    for key in ring.sealing() {
        apart.restore(apart.get(1).unwrap().clone(), [key.clone()]).unwrap();
    }
    apart.keep(ring.current().unwrap().version());
    end(&second, &mut apart).await;
    second.send_entries(&first);
    for world in [&first, &second] {
        assert_eq!(world.get("late").await.unwrap(), b"while it was away");
        world.vault.sweep(LATE).await.unwrap();
        assert_eq!(payloads(world), 1, "what was sealed anew stands for it");
        assert_eq!(world.get("late").await.unwrap(), b"while it was away");
    }
}

#[tokio::test]
async fn nothing_is_erased_that_was_not_read() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let second = World::with(two.path(), Setup { node: 2, ..Setup::default() }).await;
    let world = World::open(one.path()).await;
    world.put("recipe", b"two eggs").await.unwrap();
    second.put("theirs", b"three eggs").await.unwrap();
    // Shared with the second node no longer: what it wrote does not count, but may again.
    let alone = Writers { all: [node_id(1)].into(), ..Writers::default() };
    for node in [&world, &second] {
        node.vault.set_writers(BTreeMap::from([(world.bucket, alone.clone())])).await.unwrap();
    }
    second.send_entries(&world);
    let mut ring = ending();
    // It came into the directory, and not yet here: what is being written is sealed with an earlier one still.
    let (none, kept) = (BTreeSet::new(), ring.current().unwrap().version());
    let early = Ending { kept, writes: true, leave_to: &none, ended: None };
    assert!(matches!(world.vault.renew_ending(&world.bucket, early).await, Err(PutError::NoBucketKey)));
    world.vault.keys().set(ring.clone());
    // Nobody else seals that anew: whoever wrote it must not destroy the key.
    for (node, own) in [(&world, 0), (&second, 1)] {
        assert_eq!(node.vault.own_passed_over(&world.bucket, kept).await.unwrap(), own);
        assert_eq!(node.vault.unopened(&world.bucket).await.unwrap(), 0);
    }
    let ended = renew(&world, &[]).await;
    assert_eq!((ended.renewed, ended.left, ended.unread, ended.unknown), (1, 0, 1, 0));
    world.vault.erase_ended(&world.bucket).await.unwrap();
    world.vault.sweep(LATE).await.unwrap();
    assert_eq!(payloads(&world), 2, "the recipe, sealed anew, and theirs");

    // Of a key that never came nobody here can tell.
    let apart = tempfile::tempdir().unwrap();
    let third = World::with(apart.path(), Setup { node: 3, with_key: false, ..Setup::default() }).await;
    third.vault.keys().set({
        let (_, mut other) = self::ring();
        other.rotate(&mut OsEntropy).unwrap();
        other
    });
    third.put("apart", b"four eggs").await.unwrap();
    world.vault.set_writers(BTreeMap::new()).await.unwrap();
    third.send_entries(&world);
    assert_eq!(world.vault.unopened(&world.bucket).await.unwrap(), 1, "it may be locked");
    let ended = renew(&world, &[node_id(2)]).await;
    assert_eq!((ended.left, ended.unknown), (1, 1), "{ended:?}");
    ring.forget_before(kept);
    world.vault.keys().set(ring.clone());
    world.vault.sweep(LATE).await.unwrap();
    assert_eq!(payloads(&world), 3);
    let how = Ending { kept, writes: true, leave_to: &none, ended: Some(kept) };
    let ended = world.vault.renew_ending(&world.bucket, how).await.unwrap();
    assert_eq!(ended.unknown, 0, "what ended before does not hold others up: {ended:?}");
}

#[tokio::test]
async fn keys_wait_for_copies_of_what_was_sealed_anew() {
    let home = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness::default());
    let setup = Setup { replication: Arc::clone(&witness) as _, ..Setup::default() };
    let world = World::with(home.path(), setup).await;
    world.put("recipe", b"two eggs").await.unwrap();
    // The first version is on two nodes, what takes its place is not.
    world.put("note", b"one").await.unwrap();
    world.put("note", b"two").await.unwrap();
    world.vault.keys().set(ending());
    let hold = |all: &[(u64, u16)]| *witness.held.lock().unwrap() = all.iter().copied().collect();
    hold(&[(1, 3), (2, 2)]);
    let ended = renew(&world, &[]).await;
    assert_eq!((ended.renewed, ended.left, ended.waiting), (2, 0, 2), "{ended:?}");
    assert!(!ended.is_ready());
    let carriers = [4, 5].map(|seq| (seq, 2));
    hold(&[&[(1, 3), (2, 2)], carriers.as_slice()].concat());
    let ended = renew(&world, &[]).await;
    assert!(ended.is_ready(), "as many as the bucket asks for are enough: {ended:?}");
}

#[tokio::test]
async fn what_lies_on_other_nodes_is_sealed_anew_without_its_blobs() {
    for away in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let replication = Arc::new(Witness { away, ..Witness::default() });
        let world = World::with(home.path(), Setup { replication, in_files: true, ..Setup::default() }).await;
        world.put("recipe", b"two eggs").await.unwrap();
        std::fs::remove_file(world.blob_file("recipe")).unwrap();
        world.vault.keys().set(ending());
        let ended = renew(&world, &[]).await;
        let expected = if away { (1, 0, 0) } else { (0, 1, 1) };
        assert_eq!((ended.renewed, ended.left, ended.away), expected, "{away}");
    }
}

#[tokio::test]
async fn who_wrote_it_seals_it_anew_and_who_may_not_write_waits() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let second = World::with(two.path(), Setup { node: 2, ..Setup::default() }).await;
    let peers = Arc::new(Peer { depot: second.vault.depot().clone() });
    let first = World::with(one.path(), Setup { peers, ..Setup::default() }).await;
    first.put("mine", b"one egg").await.unwrap();
    second.put("theirs", b"three eggs").await.unwrap();
    second.send_entries(&first);
    let ring = ending();
    first.vault.keys().set(ring.clone());
    let none = BTreeSet::new();
    let reads = Ending { kept: kept(&first), writes: false, leave_to: &none, ended: None };
    let ended = first.vault.renew_ending(&first.bucket, reads).await.unwrap();
    assert_eq!((ended.renewed, ended.left), (0, 2));
    let ended = renew(&first, &[node_id(2)]).await;
    assert_eq!((ended.renewed, ended.left), (1, 1));
    second.vault.keys().set(ring);
    assert_eq!(renew(&second, &[]).await.renewed, 1);
    second.send_entries(&first);
    assert_eq!(renew(&first, &[node_id(2)]).await.left, 0);
}

#[tokio::test]
async fn what_is_locked_is_not_deleted_and_what_outlives_its_deletion_shows() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let bucket = world.bucket;
    world.vault.set(&bucket, Setting::Versioning, Some(Versioning::Enabled.to_bytes())).await.unwrap();
    let lock = freehold_vault::ObjectLock::default().to_bytes();
    world.vault.set(&bucket, Setting::ObjectLock, Some(lock)).await.unwrap();
    let until = |mode| freehold_vault::Note {
        aspect: freehold_vault::Aspect::Retention,
        document: Some(Retention { mode, until: LATE }.to_bytes()),
        bypass: false,
    };
    for (key, mode) in [("sums", Mode::Compliance), ("draft", Mode::Governance)] {
        world.put(key, b"1 2 3").await.unwrap();
        world.vault.annotate(&bucket, key, None, until(mode)).await.unwrap();
        let refused = world.vault.delete_all(&bucket, key, false).await;
        assert!(matches!(refused, Err(PutError::Locked(_))), "{key}: {refused:?}");
    }
    assert!(world.vault.delete_all(&bucket, "sums", true).await.is_err());
    assert_eq!(world.vault.delete_all(&bucket, "draft", true).await.unwrap(), 1);
    let outlived = |when, meant: &str| {
        let outlived = world.vault.outlived(&bucket, when, |key| key == meant);
        (outlived.locked, outlived.removals)
    };
    assert_eq!((outlived(LATE, "sums").0, outlived(LATE, "sums").1.len()), (1, 0));
    assert_eq!((outlived(LATE, "draft").0, outlived(LATE, "draft").1.len()), (0, 0));
    assert_eq!(outlived(Millis(1), "sums").0, 0, "what was written afterwards is another's");
    let deleted = world.vault.clock();
    world.put("draft", b"again").await.unwrap();
    assert!(outlived(deleted, "draft").1.is_empty(), "what was written afterwards is another object");
    let (locked, removals) = outlived(LATE, "draft");
    assert_eq!((locked, removals.len()), (0, 1), "what came meanwhile");
    world.vault.delete_many(&bucket, &removals).await.unwrap();
    assert!(outlived(LATE, "draft").1.is_empty() && !world.keys().contains(&"draft".to_owned()));
}

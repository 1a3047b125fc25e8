//! Earlier keys of a bucket end, and with them what was deleted.

use std::sync::Arc;

use freehold_disk::{EntryRow, OsEntropy};
use freehold_seal::{Content, KeyRing, PayloadPlace};
use freehold_vault::{Mode, PutError, PutRequest, Retention, Setting, Versioning};
use freehold_wire::Millis;
use futures::StreamExt as _;

use crate::world::{Peer, REALM, Setup, World, ring};

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

async fn end(world: &World, ring: &mut KeyRing) {
    world.vault.keys().set(ring.clone());
    let ended = world.vault.end_keys(&world.bucket).await.unwrap();
    assert_eq!(ended.left, 0);
    ring.forget_ending();
    world.vault.keys().set(ring.clone());
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
    assert!(rows(&first).iter().all(|row| row.payload.is_none()), "what no key opens does not stay");

    let mut apart = self::ring().1;
    for key in ring.sealing() {
        apart.restore(apart.get(1).unwrap().clone(), [key.clone()]).unwrap();
    }
    apart.keep(ring.current().unwrap().version());
    end(&second, &mut apart).await;
    second.send_entries(&first);
    for world in [&first, &second] {
        assert_eq!(world.get("late").await.unwrap(), b"while it was away");
    }
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
    assert!(world.vault.outlived(&bucket, LATE, |key| key == "sums"));
    assert!(!world.vault.outlived(&bucket, LATE, |key| key == "draft"));
    assert!(!world.vault.outlived(&bucket, Millis(1), |_| true), "what was written afterwards is another's");
}

//! What somebody passes off as another's entry, sealed anew, changes nothing; what is another's counts, whoever
//! sealed it anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use freehold_disk::{EntryRow, OsEntropy};
use freehold_placement::{BlobRef, Cuts, Entry};
use freehold_seal::{Blinding, Content, KeyRing, ObjectKey, PayloadPlace, Resealed, blob_list_digest};
use freehold_vault::{
    Aspect, Mode, ObjectLock, PutError, PutRequest, Retention, Setting, Versioning, Writers,
};
use freehold_wire::{Hlc, Millis, NodeId, Text};

use crate::world::{Peer, REALM, Setup, Witness, World, made, node_id, ring, wall};

const LATE: Millis = Millis(u64::MAX / 2);

fn locked() -> PutRequest {
    let retention = Retention { mode: Mode::Compliance, until: LATE };
    PutRequest { annotations: [(Aspect::Retention, retention.to_bytes())].into(), ..PutRequest::default() }
}

async fn open(home: &Path) -> (World, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    let replication = Arc::<Witness>::clone(&witness);
    (World::with(home, Setup { replication, ..Setup::default() }).await, witness)
}

/// With one object under COMPLIANCE.
async fn filled(home: &Path) -> (World, Arc<Witness>) {
    let (world, witness) = open(home).await;
    world.vault.set(&world.bucket, Setting::Versioning, Some(Versioning::Enabled.to_bytes())).await.unwrap();
    world
        .vault
        .set(&world.bucket, Setting::ObjectLock, Some(ObjectLock::default().to_bytes()))
        .await
        .unwrap();
    world.put_with("sums", locked(), b"1 2 3").await.unwrap();
    (world, witness)
}

/// The last entry of a node that is here.
fn last(world: &World, node: u8) -> EntryRow {
    let origin = node_id(node);
    let seq = world.entries.vector(&world.bucket).unwrap()[&origin];
    world.entries.entry(&world.bucket, &origin, seq).unwrap().unwrap()
}

/// What it says, sealed anew by nobody yet.
fn resealed(row: &EntryRow) -> (Entry, Resealed) {
    let entry = Entry::decode(&row.entry).unwrap();
    let place = PayloadPlace { realm: REALM, bucket: row.bucket, origin: row.origin, seq: row.seq };
    let (_, ring) = ring();
    let key = ring.current().unwrap();
    let content = Content::open(key, &place, row.payload.as_deref().unwrap()).unwrap();
    let blinding = Blinding::of(key, &place);
    let content = content.to_bytes();
    let resealed = Resealed { hlc: entry.hlc, origin: row.origin, seq: row.seq, content, blinding };
    (entry, resealed)
}

/// The same, with another manifest.
fn altered(from: &Resealed, alter: impl FnOnce(&mut freehold_seal::Manifest)) -> Resealed {
    let Content::Manifest(mut manifest) = from.content().unwrap() else { panic!("a manifest") };
    alter(&mut manifest);
    Resealed { content: Content::Manifest(manifest).to_bytes(), ..from.clone() }
}

/// What a writer can make of another one's entry: its own bytes, another key, no lock, another date.
fn forgeries(from: &Resealed, blobs: &[BlobRef], own: BlobRef) -> Vec<(Resealed, Vec<BlobRef>)> {
    let digest = blob_list_digest([(&own.name, own.len, &own.hash)]);
    let binding = |manifest: &freehold_seal::Manifest| manifest.binding(REALM, ring().0);
    let own_bytes = altered(from, |manifest| {
        let stored = manifest.stored.as_mut().unwrap();
        stored.blobs = digest;
        stored.annotations = freehold_wire::Bounded::new();
    });
    let other_key = altered(from, |manifest| {
        let binding = binding(manifest);
        let object = ObjectKey::random(&mut OsEntropy);
        manifest.stored.as_mut().unwrap().key =
            ring().1.current().unwrap().wrap(&binding, &object, &mut OsEntropy);
    });
    let unlocked = altered(from, |manifest| {
        manifest.stored.as_mut().unwrap().annotations = freehold_wire::Bounded::new();
    });
    let far = Hlc { wall: Millis(32_503_680_000_000), count: 0 };
    let sooner = Hlc { wall: Millis(1), count: 0 };
    vec![
        (own_bytes, vec![own]),
        (from.clone(), vec![own]),
        (other_key, blobs.to_vec()),
        (unlocked, blobs.to_vec()),
        (Resealed { hlc: far, ..from.clone() }, blobs.to_vec()),
        (Resealed { hlc: sooner, ..from.clone() }, blobs.to_vec()),
    ]
}

async fn is_as_it_was(world: &World) {
    assert_eq!(world.get("sums").await.unwrap(), b"1 2 3");
    assert_eq!(world.vault.must_stay(&world.bucket, wall(0)), 1);
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 0);
    assert!(matches!(world.vault.delete_all(&world.bucket, "sums", true).await, Err(PutError::Locked(_))));
    assert_eq!(world.vault.stats()[&world.bucket].versions, 1);
}

#[tokio::test]
async fn a_writer_cannot_pass_off_its_own_as_what_another_one_locked() {
    let home = tempfile::tempdir().unwrap();
    let (world, witness) = filled(home.path()).await;
    let (entry, said) = resealed(&last(&world, 1));
    let own = BlobRef { name: freehold_wire::BlobName::from_bytes([8; 32]), ..entry.blobs[0] };
    let forgeries = forgeries(&said, &entry.blobs, own);
    let count = forgeries.len();
    for ((forged, blobs), seq) in forgeries.into_iter().zip(1..) {
        let hlc = Hlc { wall: wall(60_000), count: 0 };
        world.hear(&made(2, seq, hlc, &Content::Resealed(forged), &blobs));
        is_as_it_was(&world).await;
    }
    assert_eq!(*witness.forged.lock().unwrap(), vec![node_id(2); count]);
    drop(world);
    let (world, witness) = open(home.path()).await;
    is_as_it_was(&world).await;
    assert_eq!(*witness.forged.lock().unwrap(), vec![node_id(2); count], "and it is told again");
}

#[tokio::test]
async fn nobody_takes_back_a_lock_of_its_own_by_saying_something_else_later() {
    let home = tempfile::tempdir().unwrap();
    let (world, witness) = filled(home.path()).await;
    // Another node writes the same, under a lock as well.
    let (entry, said) = resealed(&last(&world, 1));
    let Content::Manifest(mut manifest) = said.content().unwrap() else { panic!("a manifest") };
    manifest.name = Text::new("theirs").unwrap();
    manifest.version = freehold_seal::VersionId::random(&mut OsEntropy);
    let (binding, object) = (manifest.binding(REALM, world.bucket), ObjectKey::random(&mut OsEntropy));
    manifest.stored.as_mut().unwrap().key =
        ring().1.current().unwrap().wrap(&binding, &object, &mut OsEntropy);
    let hlc = Hlc { wall: wall(0), count: 0 };
    let row = made(2, 1, hlc, &Content::Manifest(manifest), &entry.blobs);
    world.hear(&row);
    assert_eq!(world.keys(), ["sums", "theirs"]);
    assert_eq!(world.vault.must_stay(&world.bucket, wall(0)), 2);
    let (_, said) = resealed(&row);
    let unlocked = altered(&said, |manifest| {
        manifest.stored.as_mut().unwrap().annotations = freehold_wire::Bounded::new();
    });
    let later = Hlc { wall: wall(1000), count: 0 };
    world.hear(&made(2, 2, later, &Content::Resealed(unlocked), &entry.blobs));
    // Nor what it has not written yet, or is just writing.
    for (claims, seq) in [(3, 3), (9, 4)] {
        let claim = Resealed { hlc: later, seq: claims, ..said.clone() };
        world.hear(&made(2, seq, later, &Content::Resealed(claim), &entry.blobs));
    }
    assert_eq!(world.vault.must_stay(&world.bucket, wall(0)), 2);
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 0);
    assert_eq!(*witness.forged.lock().unwrap(), vec![node_id(2); 3]);
}

#[tokio::test]
async fn what_an_entry_says_counts_only_if_its_signed_part_says_so() {
    let home = tempfile::tempdir().unwrap();
    let (world, _) = filled(home.path()).await;
    let (entry, said) = resealed(&last(&world, 1));
    let Content::Manifest(mut manifest) = said.content().unwrap() else { panic!("a manifest") };
    manifest.name = Text::new("theirs").unwrap();
    // Its key is another object's: the digest cannot be made, and is left out.
    world.hear(&made(2, 1, Hlc { wall: wall(0), count: 0 }, &Content::Manifest(manifest), &entry.blobs));
    assert_eq!(world.keys(), ["sums"]);
    is_as_it_was(&world).await;
}

#[tokio::test]
async fn what_was_sealed_anew_waits_for_the_entry_that_it_seals_anew() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, _) = filled(one.path()).await;
    let row = last(&first, 1);
    let (entry, said) = resealed(&row);
    let carrier = made(2, 1, Hlc { wall: wall(1000), count: 0 }, &Content::Resealed(said), &entry.blobs);
    let peers = Arc::new(Peer { depot: first.vault.depot().clone() });
    let setup = || Setup { node: 3, peers: Arc::<Peer>::clone(&peers), ..Setup::default() };
    for restarted in [false, true] {
        let home = two.path().join(restarted.to_string());
        std::fs::create_dir(&home).unwrap();
        let mut third = World::with(&home, setup()).await;
        third.hear(&carrier);
        if restarted {
            drop(third);
            third = World::with(&home, setup()).await;
        }
        assert_eq!(third.keys(), [""; 0]);
        // Its payload has been erased meanwhile.
        third.hear(&EntryRow { payload: None, ..row.clone() });
        assert_eq!(third.get("sums").await.unwrap(), b"1 2 3");
        assert_eq!(third.vault.must_stay(&third.bucket, wall(0)), 1);
    }
}

fn rotated() -> KeyRing {
    let (_, mut ring) = ring();
    ring.rotate(&mut OsEntropy).unwrap();
    ring
}

fn cut(node: NodeId, last: u64) -> Cuts {
    Cuts::from([(node, BTreeMap::from([(ring().0, last)]))])
}

#[tokio::test]
async fn what_was_sealed_anew_stays_when_the_rights_of_who_did_it_are_taken_away() {
    for by_cut in [true, false] {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, _) = filled(one.path()).await;
        let depot = first.vault.depot().clone();
        let second = World::with(two.path(), Setup { node: 2, depot: Some(depot), ..Setup::default() }).await;
        first.send_entries(&second);
        let ring = rotated();
        for world in [&first, &second] {
            world.vault.keys().set(ring.clone());
        }
        assert_eq!(second.vault.renew(&second.bucket, 1000).await.unwrap().done, 3);
        second.send_entries(&first);
        assert_eq!(first.vault.sweep(LATE).await.unwrap().erased, 3, "what it seals anew is all there is");
        let without = async |world: &World| {
            if by_cut {
                world.vault.set_cuts(cut(node_id(2), 0)).await.unwrap();
            } else {
                let only = Writers { all: [node_id(1)].into(), ..Writers::default() };
                world.vault.set_writers([(world.bucket, only)].into()).await.unwrap();
            }
        };
        without(&first).await;
        assert_eq!(first.get("sums").await.unwrap(), b"1 2 3");
        assert_eq!(first.vault.must_stay(&first.bucket, wall(0)), 1);
        drop((first, second));
        let (first, _) = open(one.path()).await;
        first.vault.keys().set(ring);
        first.vault.reopen(&first.bucket).await.unwrap();
        without(&first).await;
        assert_eq!(first.vault.generations(&first.bucket), [(2, 1)].into());
        // It is sealed anew by one who counts, and then goes.
        is_as_it_was(&first).await;
        assert_eq!(first.vault.renew(&first.bucket, 1000).await.unwrap().done, 0);
        assert_eq!(first.vault.sweep(LATE).await.unwrap().erased, 3);
        is_as_it_was(&first).await;
        let own = first.entries.vector(&first.bucket).unwrap()[&node_id(1)];
        assert_eq!(own, 6, "three entries, each sealed anew once");
    }
}

#[tokio::test]
async fn what_is_dated_too_far_ahead_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.put("report", b"first").await.unwrap();
    world.forge_deletion("report", 1, 20 * 3_600_000);
    assert!(matches!(world.put("report", b"second").await, Err(PutError::Ahead)));
    world.put("other", b"third").await.unwrap();
    let row = last(&world, 1);
    assert!(Entry::decode(&row.entry).unwrap().hlc.wall <= wall(0), "nor does it pull the clock along");
}

use freehold_wire::Millis;

use std::sync::Arc;

use freehold_vault::Swept;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::world::{Setup, Witness, World, random, ring};

const LATE: Millis = Millis(u64::MAX / 2);

#[tokio::test]
async fn what_was_overwritten_goes_and_the_rest_stays() {
    let home = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness::default());
    let replication = Arc::<Witness>::clone(&witness);
    let world = World::with(home.path(), Setup { replication, ..Setup::default() }).await;
    let keep = random(70_000);
    world.put("keep", &keep).await.unwrap();
    for _ in 0..3 {
        world.put("again", &random(1000)).await.unwrap();
    }
    world.put("gone", &random(1000)).await.unwrap();
    world.delete("gone").await;
    assert_eq!(world.vault.depot().measure().await.unwrap().0, 5);

    let first = world.vault.sweep(LATE).await.unwrap();
    assert_eq!((first.erased, first.marked, first.removed), (3, 3, 0));
    assert_eq!(*witness.erased.lock().unwrap(), [2, 3, 5], "replication must not fetch them again");
    assert_eq!(world.vault.depot().measure().await.unwrap().0, 5, "nothing goes at the first look");
    drop(world);
    let world = World::open(home.path()).await;
    let second = world.vault.sweep(LATE).await.unwrap();
    assert_eq!((second.erased, second.marked, second.removed), (0, 0, 3));
    assert_eq!(world.vault.depot().measure().await.unwrap().0, 2);
    assert_eq!(world.keys(), ["again", "keep"]);
    assert_eq!(world.get("keep").await.unwrap(), keep);
    world.get("again").await.unwrap();
    assert_eq!(world.vault.sweep(LATE).await.unwrap(), Swept::default());
    assert_eq!(world.vault.verify(None, false).await.unwrap().findings, []);
}

#[tokio::test]
async fn a_version_stays_until_a_newer_one_is_on_as_many_nodes() {
    let home = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness::default());
    let replication = Arc::<Witness>::clone(&witness);
    let world = World::with(home.path(), Setup { replication, ..Setup::default() }).await;
    world.put("photo", b"on two nodes").await.unwrap();
    world.put("photo", b"on this one so far").await.unwrap();
    world.put("photo", b"on this one so far, too").await.unwrap();
    witness.held.lock().unwrap().insert(1, 2);
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 1);
    assert_eq!(*witness.erased.lock().unwrap(), [2], "the newest is on as many nodes as the second");
    witness.held.lock().unwrap().insert(3, 2);
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 1);
    // A deletion waits for nobody.
    witness.held.lock().unwrap().insert(3, 3);
    world.delete("photo").await;
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 1);
    assert_eq!(*witness.erased.lock().unwrap(), [2, 1, 3]);
}

#[tokio::test]
async fn a_restart_does_not_begin_the_grace_period_anew() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.put("k", b"x").await.unwrap();
    world.put("k", b"y").await.unwrap();
    drop(world);
    let before = wall();
    while wall() == before {
        std::thread::yield_now();
    }
    let grace = Millis::from_hours(1);
    let world = World::with(home.path(), Setup { grace, ..Setup::default() }).await;
    assert_eq!(world.vault.sweep(before).await.unwrap().erased, 0);
    assert_eq!(world.vault.sweep(before.plus(grace)).await.unwrap().erased, 1);
}

/// A world with three versions that nobody needs any more and two that are needed, and another node
/// that keeps all of it and has no key.
async fn reader_and_keeper(homes: [&std::path::Path; 2]) -> (World, World) {
    let replication = Arc::new(Witness { releases: true, ..Witness::default() });
    let reader = World::with(homes[0], Setup { replication, ..Setup::default() }).await;
    for (key, content) in [("keep", "1"), ("again", "2"), ("again", "3"), ("again", "4"), ("gone", "5")] {
        reader.put(key, content.as_bytes()).await.unwrap();
    }
    reader.delete("gone").await;
    let keeper = World::with(homes[1], Setup { node: 2, with_key: false, ..Setup::default() }).await;
    for blob in ["keep", "again", "gone"].iter().flat_map(|key| reader.all_blobs(key)) {
        let from = reader.vault.depot().open(blob.name).await.unwrap().stream(0..blob.len);
        keeper.vault.depot().put_stream(&blob, from.map_err(Into::into).boxed()).await.unwrap();
    }
    reader.send_entries(&keeper);
    (reader, keeper)
}

#[tokio::test]
async fn a_node_without_the_key_lets_go_what_a_reader_releases() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (reader, keeper) = reader_and_keeper([one.path(), two.path()]).await;
    assert_eq!(keeper.vault.depot().measure().await.unwrap().0, 5);
    assert_eq!(keeper.vault.sweep(LATE).await.unwrap(), Swept::default(), "it cannot know by itself");
    assert_eq!(reader.vault.sweep(LATE).await.unwrap().erased, 3);
    assert_eq!(reader.entries.count().unwrap(), 7, "one release for all");
    reader.send_entries(&keeper);
    let first = keeper.vault.sweep(LATE).await.unwrap();
    assert_eq!((first.erased, first.marked, first.removed), (3, 3, 0));
    // What was told before a start is known after it, and done once.
    drop(keeper);
    let keeper = World::with(two.path(), Setup { node: 2, with_key: false, ..Setup::default() }).await;
    let second = keeper.vault.sweep(LATE).await.unwrap();
    assert_eq!((second.erased, second.marked, second.removed), (0, 0, 3));
    assert_eq!(keeper.vault.depot().measure().await.unwrap().0, 2);
    for world in [&reader, &keeper] {
        let report = world.vault.verify(None, false).await.unwrap();
        assert_eq!((report.bad_entries, report.findings), (0, Vec::new()));
    }
    keeper.vault.keys().set(ring().1);
    keeper.vault.reopen(&keeper.bucket).await.unwrap();
    assert_eq!(keeper.keys(), ["again", "keep"]);
    assert_eq!(keeper.get("again").await.unwrap(), b"4");
    assert_eq!(keeper.get("keep").await.unwrap(), b"1");
    // The release itself was no version of anything.
    reader.put("again", b"6").await.unwrap();
    drop(reader);
    assert_eq!(World::open(one.path()).await.get("again").await.unwrap(), b"6");
}

#[tokio::test]
async fn who_reads_a_bucket_goes_by_what_it_reads() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (reader, keeper) = reader_and_keeper([one.path(), two.path()]).await;
    let mut origin = None;
    let first = |row: freehold_disk::EntryRow| {
        origin = Some(row.origin);
        std::ops::ControlFlow::Break(())
    };
    reader.entries.scan(first).unwrap();
    let origin = origin.unwrap();
    // Number 1 is `keep`.
    reader.hear_release(origin, 1);
    assert_eq!(reader.vault.sweep(LATE).await.unwrap().erased, 3);
    assert_eq!(reader.get("keep").await.unwrap(), b"1");
    // So it is if the key comes before the time is over.
    keeper.hear_release(origin, 1);
    keeper.vault.keys().set(ring().1);
    keeper.vault.reopen(&keeper.bucket).await.unwrap();
    assert_eq!(keeper.vault.sweep(LATE).await.unwrap().erased, 3);
    assert_eq!(keeper.get("keep").await.unwrap(), b"1");
}

#[tokio::test]
async fn what_cannot_be_told_is_not_erased() {
    let home = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness { releases: true, ..Witness::default() });
    let replication = Arc::<Witness>::clone(&witness);
    let world = World::with(home.path(), Setup { replication, ..Setup::default() }).await;
    world.put("k", b"1").await.unwrap();
    world.put("k", b"2").await.unwrap();
    *witness.own.lock().unwrap() = Some(freehold_placement::Own::Behind);
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 0);
    *witness.own.lock().unwrap() = None;
    assert_eq!(world.vault.sweep(LATE).await.unwrap().erased, 1);
}

fn wall() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Millis(since.as_millis().try_into().unwrap())
}

#[tokio::test]
async fn a_fresh_blob_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.put("k", b"x").await.unwrap();
    world.put("k", b"y").await.unwrap();
    // As if no time had passed since.
    let swept = world.vault.sweep(Millis(1)).await.unwrap();
    assert_eq!(swept.removed, 0);
    assert_eq!(world.vault.depot().measure().await.unwrap().0, 2);
}

#[tokio::test]
async fn a_depot_whose_entries_are_lost_is_not_emptied() {
    let home = tempfile::tempdir().unwrap();
    let world = World::with(home.path(), Setup { in_files: true, ..Setup::default() }).await;
    for number in 0..80 {
        world.put(&format!("photo {number}"), b"all that is left").await.unwrap();
    }
    drop(world);
    std::fs::remove_file(home.path().join("entries.redb")).unwrap();
    let world = World::with(home.path(), Setup { in_files: true, ..Setup::default() }).await;
    for _ in 0..3 {
        let swept = world.vault.sweep(LATE).await.unwrap();
        assert_eq!((swept.strange, swept.marked, swept.removed), (80, 0, 0));
    }
    assert_eq!(world.vault.depot().measure().await.unwrap().0, 80);
}

use freehold_wire::Millis;

use std::sync::Arc;

use freehold_vault::{Conditions, Swept};

use crate::world::{Setup, Witness, World, random};

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
    world.vault.delete(&world.bucket, "gone", Conditions::default()).await.unwrap();
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
    world.vault.delete(&world.bucket, "photo", Conditions::default()).await.unwrap();
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

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_placement::{Cuts, Own};
use freehold_seal::Setting;
use freehold_vault::{GetError, PutError, Writers};

use freehold_wire::{Millis, NodeId};

use crate::world::{Peer, Setup, Witness, World, node_id, random, ring};

#[tokio::test]
async fn both_see_the_same_winner() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(one.path()).await;
    let peers = Arc::new(Peer { depot: first.vault.depot().clone() });
    let second = World::with(two.path(), Setup { node: 2, peers, ..Setup::default() }).await;
    for round in 0..6 {
        let key = format!("k{}", round % 3);
        first.put(&key, &random(round)).await.unwrap();
        second.put(&key, &random(round + 10)).await.unwrap();
    }
    first.put("gone", b"x").await.unwrap();
    first.send_entries(&second);
    second.delete("gone").await;
    second.send_entries(&first);
    let query = freehold_vault::ListQuery { max: 100, ..Default::default() };
    let page = first.vault.list(&first.bucket, &query).unwrap();
    assert_eq!(page, second.vault.list(&second.bucket, &query).unwrap());
    assert_eq!(page.objects.len(), 3);
    assert_eq!(first.vault.stats(), second.vault.stats());
    // A write after what was heard wins over it, whatever the wall clock of its node.
    first.put("k0", b"newest").await.unwrap();
    first.send_entries(&second);
    assert_eq!(second.get("k0").await.unwrap(), b"newest");
}

#[tokio::test]
async fn nobody_gives_a_bucket_to_somebody_who_may_not_say_whose_it_is() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(one.path()).await;
    let second = World::with(two.path(), Setup { node: 2, ..Setup::default() }).await;
    let say = async |world: &World, who: &str| {
        world.vault.set(&world.bucket, Setting::Owner, Some(who.as_bytes().to_vec())).await.unwrap();
    };
    say(&first, "ann").await;
    assert_eq!(first.vault.owner(&first.bucket).unwrap(), b"ann", "nobody was named");
    first.vault.set_makers([(first.bucket, [node_id(1)].into())].into());
    assert_eq!(first.vault.owner(&first.bucket).unwrap(), b"ann");
    first.send_entries(&second);
    say(&second, "eve").await;
    second.send_entries(&first);
    assert_eq!(
        first.vault.owner(&first.bucket),
        None,
        "hers it is not, nor is it known that it is anybody's"
    );
    assert_eq!(first.vault.strange_owner(&first.bucket), Some(node_id(2)));
    say(&first, "ann").await;
    assert_eq!(first.vault.owner(&first.bucket).unwrap(), b"ann");
    first.vault.set_makers([(first.bucket, [node_id(1), node_id(2)].into())].into());
    say(&first, "bob").await;
    assert_eq!(first.vault.owner(&first.bucket).unwrap(), b"bob");
}

#[tokio::test]
async fn a_write_wins_over_what_a_fast_clock_wrote_before() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.put("report", b"first").await.unwrap();
    let ahead = 3_500_000;
    world.forge_deletion("report", 1, ahead);
    world.forge_deletion("notes", 2, ahead);
    assert_eq!(world.keys(), [""; 0]);
    world.put("report", b"second").await.unwrap();
    world.put("notes", b"third").await.unwrap();
    assert_eq!(world.get("report").await.unwrap(), b"second");
    assert!(world.delete("notes").await);
    assert_eq!(world.keys(), ["report"]);
}

#[tokio::test]
async fn what_a_suspended_node_wrote_afterwards_does_not_count() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    for key in ["kept", "gone"] {
        world.put(key, b"ours").await.unwrap();
    }
    world.forge_deletion("gone", 1, 1000);
    let stolen = world.forge_deletion("kept", 2, 1000);
    assert_eq!(world.keys(), [""; 0]);
    let cut = |last| Cuts::from([(stolen, BTreeMap::from([(world.bucket, last)]))]);
    world.vault.set_cuts(cut(1)).await.unwrap();
    assert_eq!(world.keys(), ["kept"]);
    assert_eq!(world.get("kept").await.unwrap(), b"ours");
    assert_eq!(world.vault.stats()[&world.bucket].objects, 1);
    world.forge_deletion("kept", 3, 2000);
    assert_eq!(world.keys(), ["kept"], "nor what comes later");
    world.vault.sweep(Millis(u64::MAX / 2)).await.unwrap();
    assert_eq!(world.get("kept").await.unwrap(), b"ours", "what shows again is not swept");
    world.vault.set_cuts(Cuts::new()).await.unwrap();
    assert_eq!(world.keys(), [""; 0], "the suspension was lifted");
}

#[tokio::test]
async fn what_somebody_writes_who_may_not_counts_nowhere_though_it_opens() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    for key in ["kept", "gone"] {
        world.put(key, b"ours").await.unwrap();
    }
    let other = world.forge_deletion("gone", 1, 1000);
    world.forge_deletion("kept", 2, 1000);
    assert_eq!(world.keys(), [""; 0]);
    let me = node_id(1);
    let writers = |all: &[NodeId], last: Option<u64>| {
        let until = last.map(|last| (other, last)).into_iter().collect();
        BTreeMap::from([(world.bucket, Writers { all: all.iter().copied().collect(), until })])
    };
    // It wrote one while it might; it still has the key.
    world.vault.set_writers(writers(&[me], Some(1))).await.unwrap();
    assert_eq!(world.keys(), ["kept"]);
    world.forge_deletion("kept", 3, 2000);
    assert_eq!(world.keys(), ["kept"], "nor what comes later");
    world.vault.sweep(Millis(u64::MAX / 2)).await.unwrap();
    assert_eq!(world.get("kept").await.unwrap(), b"ours", "what shows again is not swept");
    world.vault.set_writers(writers(&[me, other], None)).await.unwrap();
    assert_eq!(world.keys(), [""; 0], "it may again");
    // Somebody who never might.
    world.vault.set_writers(writers(&[me], None)).await.unwrap();
    assert_eq!(world.keys(), ["kept"], "what it deleted while it might was swept");
}

#[tokio::test]
async fn what_is_not_here_is_read_from_a_peer() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(one.path()).await;
    let content = random((3 << 20) + 17);
    first.put("k", &content).await.unwrap();
    let peers = Arc::new(Peer { depot: first.vault.depot().clone() });
    let second = World::with(two.path(), Setup { node: 2, peers, ..Setup::default() }).await;
    first.send_entries(&second);
    assert_eq!(second.get("k").await.unwrap(), content);
    let range = freehold_vault::ByteRange::From { first: 100_000, last: Some(2_200_000) };
    assert_eq!(second.range("k", Some(range)).await.unwrap(), &content[100_000..=2_200_000]);
    drop(second);
    let alone = World::with(two.path(), Setup { node: 2, ..Setup::default() }).await;
    assert!(matches!(alone.get("k").await, Err(GetError::Missing)));
}

#[tokio::test]
async fn entries_wait_for_their_key() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(one.path()).await;
    first.put("k", b"hello").await.unwrap();
    let peers = Arc::new(Peer { depot: first.vault.depot().clone() });
    let second = World::with(two.path(), Setup { node: 2, peers, with_key: false, ..Setup::default() }).await;
    first.send_entries(&second);
    assert!(matches!(second.get("k").await, Err(GetError::NoBucketKey)));
    assert!(matches!(second.put("x", b"").await, Err(PutError::NoBucketKey)));
    // Without a key it still guards what it holds.
    assert_eq!(second.vault.verify(None, false).await.unwrap().entries, 1);
    second.vault.keys().set(ring().1);
    second.vault.reopen(&second.bucket).await.unwrap();
    assert_eq!(second.get("k").await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_write_waits_for_its_confirmations() {
    for (copies, enough) in [(1, false), (2, true)] {
        let home = tempfile::tempdir().unwrap();
        let witness = Arc::new(Witness { copies, ..Witness::default() });
        let world = World::with(home.path(), Setup { replication: witness, confirm: 2, ..Setup::default() });
        let world = world.await;
        match world.put("k", b"x").await {
            Ok(_) => assert!(enough),
            Err(PutError::NotConfirmed { have: 1, want: 2 }) => assert!(!enough),
            Err(error) => panic!("{error}"),
        }
        // Written here all the same, and said so.
        assert_eq!(world.get("k").await.unwrap(), b"x");
    }
}

#[tokio::test]
async fn a_write_waits_until_others_were_heard() {
    let home = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness::default());
    let replication = Arc::<Witness>::clone(&witness);
    let world = World::with(home.path(), Setup { replication, ..Setup::default() }).await;
    for (heard, may) in [(Own::Sure, true), (Own::Unheard, true), (Own::Behind, false)] {
        *witness.own.lock().unwrap() = Some(Own::Listening);
        let write = world.put("k", b"x");
        tokio::pin!(write);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(300), &mut write).await;
        assert!(waits.is_err(), "it was written before anybody was heard");
        *witness.own.lock().unwrap() = Some(heard);
        witness.heard.notify_one();
        assert_eq!(write.await.is_ok(), may, "{heard:?}");
    }
}

#[tokio::test]
async fn a_node_that_was_rolled_back_does_not_write() {
    let home = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness::default());
    let replication = Arc::<Witness>::clone(&witness);
    let world = World::with(home.path(), Setup { replication, ..Setup::default() }).await;
    *witness.own.lock().unwrap() = Some(Own::Behind);
    assert!(matches!(world.put("k", b"x").await, Err(PutError::CatchingUp)));
    *witness.own.lock().unwrap() = Some(Own::Forked);
    assert!(matches!(world.put("k", b"x").await, Err(PutError::Cloned)));
    *witness.own.lock().unwrap() = None;
    world.put("k", b"x").await.unwrap();
}

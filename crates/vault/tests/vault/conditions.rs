use std::sync::mpsc::sync_channel;

use freehold_vault::{Conditions, DeleteRequest, PutError, PutRequest};
use futures::FutureExt as _;

use crate::world::{World, body};

fn if_none_match(etag: &str) -> PutRequest {
    let conditions = Conditions { if_none_match: vec![etag.into()], ..Conditions::default() };
    PutRequest { conditions, ..PutRequest::default() }
}

fn if_match(etag: &str) -> PutRequest {
    let conditions = Conditions { if_match: vec![etag.into()], ..Conditions::default() };
    PutRequest { conditions, ..PutRequest::default() }
}

#[tokio::test]
async fn conditions_hold() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    assert!(matches!(world.put_with("k", if_match("*"), b"0").await, Err(PutError::NoSuchKey)));
    let first = world.put_with("k", if_none_match("*"), b"1").await.unwrap();
    assert!(matches!(world.put_with("k", if_none_match("*"), b"2").await, Err(PutError::Precondition)));
    assert!(matches!(world.put_with("k", if_match("00"), b"2").await, Err(PutError::Precondition)));
    let quoted = format!("\"{}\"", first.etag);
    world.put_with("k", if_match(&quoted), b"2").await.unwrap();
    assert!(matches!(world.put_with("k", if_match(&first.etag), b"3").await, Err(PutError::Precondition)));
    let not_this = Conditions { if_match: vec![first.etag], ..Conditions::default() };
    let request = |conditions| DeleteRequest { key: "k".into(), conditions, ..DeleteRequest::default() };
    let refused = world.vault.delete(&world.bucket, request(not_this)).await;
    assert!(matches!(refused, Err(PutError::Precondition)));
    assert_eq!(world.get("k").await.unwrap(), b"2");
    world.delete("k").await;
    world.put_with("k", if_none_match("*"), b"4").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_creates() {
    let home = tempfile::tempdir().unwrap();
    let world = std::sync::Arc::new(World::open(home.path()).await);
    for round in 0..10 {
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..16u8 {
            let world = std::sync::Arc::clone(&world);
            tasks.spawn(async move {
                world.put_with(&format!("k{round}"), if_none_match("*"), &[writer]).await.is_ok()
            });
        }
        let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let world = std::sync::Arc::new(World::open(home.path()).await);
    world.put("counter", b"0").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let world = std::sync::Arc::clone(&world);
        tasks.spawn(async move {
            let mut added = 0;
            while added < 10 {
                let meta = world.vault.head(&world.bucket, "counter", None).await.unwrap();
                let object = world.vault.get(&world.bucket, "counter", None, None).await.unwrap();
                if object.meta.etag != meta.etag {
                    continue;
                }
                let text = futures::TryStreamExt::try_collect::<Vec<_>>(object.body).await.unwrap().concat();
                let value: u32 = std::str::from_utf8(&text).unwrap().parse().unwrap();
                let next = (value + 1).to_string();
                match world.put_with("counter", if_match(&meta.etag), next.as_bytes()).await {
                    Ok(_) => added += 1,
                    Err(PutError::Precondition) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(world.get("counter").await.unwrap(), b"80");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replication_sees_each_sequence_in_order() {
    let home = tempfile::tempdir().unwrap();
    let witness = std::sync::Arc::new(crate::world::Witness::default());
    let replication = std::sync::Arc::<crate::world::Witness>::clone(&witness);
    let setup = crate::world::Setup { replication, ..Default::default() };
    let world = std::sync::Arc::new(World::with(home.path(), setup).await);
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..32 {
        let world = std::sync::Arc::clone(&world);
        tasks.spawn(async move {
            for number in 0..8 {
                world.put(&format!("{writer}/{number}"), b"x").await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let seqs: Vec<u64> = witness.committed.lock().unwrap().iter().map(|(_, seq)| *seq).collect();
    assert_eq!(seqs, (1..=256).collect::<Vec<u64>>());
}

/// A write on condition that goes by what it saw before the deletion would bring the object back.
#[tokio::test]
async fn conditions_see_what_is_deleted_among_many() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let etag = world.put("k", b"1").await.unwrap().etag;
    let (go, wait) = sync_channel::<()>(1);
    world.entries.submit(move |_| Ok(wait.recv().is_ok()), |_| ());
    // Commits stand still: both are on their way before either is durable.
    let mut many = Box::pin(world.delete_many(&["k", "k", "other"]));
    assert!((&mut many).now_or_never().is_none());
    let only_this = Conditions { if_match: vec![etag], ..Conditions::default() };
    let request = DeleteRequest { key: "k".into(), conditions: only_this, ..DeleteRequest::default() };
    let mut one = Box::pin(world.vault.delete(&world.bucket, request));
    assert!((&mut one).now_or_never().is_none());
    go.send(()).unwrap();
    let (many, one) = futures::join!(many, one);
    assert_eq!(many, [true, true, false]);
    assert!(!one.unwrap().found, "there is nothing left to delete");
    assert!(world.keys().is_empty());
    assert_eq!(world.entries.count().unwrap(), 2, "a key named twice is deleted once");
}

/// The client may hang up at any moment: what it had begun counts, or it does not, but the next one's
/// condition sees it.
#[tokio::test]
async fn a_client_that_hangs_up_does_not_let_two_first_writes_pass() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    for round in 0..60 {
        let key = format!("k{round}");
        let (vault, bucket, name) = (world.vault.clone(), world.bucket, key.clone());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(
            async move { vault.put(&bucket, &name, if_none_match("*"), body(b"first")).await.map(drop) },
        );
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        tasks.shutdown().await;
        let second = world.put_with(&key, if_none_match("*"), b"second").await;
        let written = world.all_blobs(&key).len();
        assert_eq!(written, 1, "round {round}: {second:?}");
    }
}

#[tokio::test]
async fn what_comes_after_the_closing_of_a_bucket_is_not_written() {
    let home = tempfile::tempdir().unwrap();
    let witness = std::sync::Arc::new(crate::world::Witness::default());
    let replication = std::sync::Arc::<crate::world::Witness>::clone(&witness);
    let setup = crate::world::Setup { replication, ..crate::world::Setup::default() };
    let world = World::with(home.path(), setup).await;
    let asked = || witness.asked.load(std::sync::atomic::Ordering::SeqCst);
    world.put("one", b"first").await.unwrap();
    let times = asked();
    // The turn of whoever writes entries is taken, so the second write has to wait for its own.
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    world.entries.submit(move |_| Ok(wait.recv().is_ok()), |_| ());
    let closing = async {
        while asked() < 2 * times - 1 {
            tokio::task::yield_now().await;
        }
        *witness.own.lock().unwrap() = Some(freehold_placement::Own::Behind);
        go_on.send(()).unwrap();
    };
    let (written, ()) = tokio::join!(world.put("two", b"second"), closing);
    assert!(matches!(written, Err(PutError::CatchingUp)), "{written:?}");
    assert_eq!(witness.committed.lock().unwrap().len(), 1);
}

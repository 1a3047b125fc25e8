//! Small blobs lie beside the entries: written with them, read, replaced and removed like any other.

use std::path::Path;

use freehold_vault::{Conditions, DepotLimits, PartRequest, PutRequest, UploadRequest};
use freehold_wire::Millis;
use futures::TryStreamExt as _;

use crate::world::{Setup, World, body, random};

const LATE: Millis = Millis(u64::MAX / 2);

fn files(home: &Path) -> usize {
    let shards = std::fs::read_dir(home.join("depot")).unwrap();
    shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}

async fn held(world: &World) -> Vec<(u64, String)> {
    let held: Vec<_> = world.vault.depot().list().try_collect().await.unwrap();
    let mut held: Vec<_> = held.into_iter().map(|held| (held.len, held.name.to_string())).collect();
    held.sort();
    held
}

#[tokio::test]
async fn no_file_is_made_of_a_small_blob() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let sizes = [0, 1, 4096, 15_000, 17_000, 40_000];
    let contents: Vec<_> = sizes.iter().map(|size| random(*size)).collect();
    for (content, size) in contents.iter().zip(sizes) {
        world.put(&format!("k{size}"), content).await.unwrap();
    }
    assert_eq!(files(home.path()), 2, "those of 17,000 and 40,000 bytes");
    let before = held(&world).await;
    let used = world.vault.depot().used();
    assert_eq!(before.len(), 6);
    assert_eq!(world.vault.depot().measure().await.unwrap(), (6, used));
    drop(world);

    let world = World::open(home.path()).await;
    assert_eq!(held(&world).await, before);
    assert_eq!(world.vault.depot().names().await.unwrap().len(), 6);
    for (content, size) in contents.iter().zip(sizes) {
        assert_eq!(world.get(&format!("k{size}")).await.unwrap(), *content);
    }
    assert_eq!(world.vault.verify(None, true).await.unwrap().findings, []);
}

#[tokio::test]
async fn it_goes_with_its_object() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let keep = random(3000);
    world.put("keep", &keep).await.unwrap();
    let used = world.vault.depot().used();
    for _ in 0..3 {
        world.put("gone", &random(5000)).await.unwrap();
    }
    world.delete("gone").await;
    let first = world.vault.sweep(LATE).await.unwrap();
    assert_eq!((first.erased, first.marked, first.removed), (3, 3, 0));
    let second = world.vault.sweep(LATE).await.unwrap();
    assert_eq!((second.removed, world.vault.depot().used()), (3, used));
    assert_eq!(held(&world).await.len(), 1);
    assert_eq!(world.get("keep").await.unwrap(), keep);
}

#[tokio::test]
async fn a_refused_write_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: Some(1 << 20) };
    let world = World::with(home.path(), Setup { limits, ..Setup::default() }).await;
    world.put("k", b"first").await.unwrap();
    let used = world.vault.depot().used();
    let conditions = Conditions { if_none_match: vec!["*".into()], ..Conditions::default() };
    let writes = (0..20).map(|number| {
        let request = PutRequest { conditions: conditions.clone(), ..PutRequest::default() };
        let (key, world) = (format!("race {}", number % 2), &world);
        async move { world.put_with(&key, request, &random(100)).await.is_ok() }
    });
    let won = futures::future::join_all(writes).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 2);
    assert_eq!(held(&world).await.len(), 3);
    let (_, bytes) = world.vault.depot().measure().await.unwrap();
    assert_eq!(world.vault.depot().used(), bytes, "those that lost the race count nothing");
    assert!(bytes > used);
}

#[tokio::test]
async fn a_part_may_be_small() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let content = random(2000);
    let upload = world.vault.begin_upload(&world.bucket, "parts", UploadRequest::default()).await.unwrap();
    for _ in 0..2 {
        let part =
            world.vault.put_part(&world.bucket, "parts", upload, 1, PartRequest::default(), body(&content));
        part.await.unwrap();
    }
    assert_eq!((files(home.path()), held(&world).await.len()), (0, 2));
    for _ in 0..2 {
        world.vault.abort_upload(&world.bucket, "parts", upload).await.ok();
        world.vault.sweep(LATE).await.unwrap();
    }
    assert_eq!((held(&world).await.len(), world.vault.depot().used()), (0, 0));
}

#[tokio::test]
async fn one_that_was_altered_is_told_and_mended() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let content = random(2000);
    world.put("k", &content).await.unwrap();
    let name = world.vault.depot().list().try_next().await.unwrap().unwrap().name;
    let sealed = world.entries.blob(&name).unwrap().unwrap();
    for damage in [vec![7; sealed.len()], sealed[..100].to_vec(), vec![]] {
        world.entries.write(move |txn| txn.put_blob(&name, &damage, Millis(1)).map(drop)).unwrap();
        assert!(world.get("k").await.is_err());
        assert_eq!(world.vault.verify(None, true).await.unwrap().findings.len(), 1);
    }
    let whole = sealed.clone();
    world.entries.write(move |txn| txn.put_blob(&name, &whole, Millis(1)).map(drop)).unwrap();
    assert_eq!(world.get("k").await.unwrap(), content);
}

#[tokio::test]
async fn a_part_counts_though_its_client_has_gone() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let upload = world.vault.begin_upload(&world.bucket, "parts", UploadRequest::default()).await.unwrap();
    let (go_on, wait) = std::sync::mpsc::channel();
    world.entries.submit(move |_| Ok::<u8, _>(wait.recv().unwrap()), drop);
    let content = random(2000);
    let part =
        world.vault.put_part(&world.bucket, "parts", upload, 1, PartRequest::default(), body(&content));
    let waits = tokio::time::timeout(std::time::Duration::from_millis(300), part).await;
    assert!(waits.is_err(), "it is being written");
    go_on.send(0).unwrap();
    world.entries.write(|_| Ok(())).unwrap();
    let (blobs, bytes) = world.vault.depot().measure().await.unwrap();
    assert_eq!((blobs, bytes), (1, world.vault.depot().used()));
}

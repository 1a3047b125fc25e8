//! A depot on somebody else's store: whatever is done there is seen, and undone from a good copy.

use std::sync::Arc;

use freehold_backend::{Pace, Packed};
use freehold_crypt::Secret;
use freehold_vault::{Depot, DepotLimits, GetError};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::world::{Peer, Setup, Witness, World, random};

type Objects = Vec<(Path, Vec<u8>)>;
type Attack = (&'static str, fn(&mut Objects, &Objects));

const ATTACKS: [Attack; 7] = [
    ("flip a bit of everything", |all, _| all.iter_mut().for_each(|(_, bytes)| bytes[5000] ^= 1)),
    ("cut everything", |all, _| all.iter_mut().for_each(|(_, bytes)| bytes.truncate(70_000))),
    ("make everything longer", |all, _| all.iter_mut().for_each(|(_, bytes)| bytes.push(0))),
    ("give each the other's bytes", |all, _| {
        let first = all[0].1.clone();
        let count = all.len();
        for at in 0..count {
            all[at].1 = if at + 1 < count { all[at + 1].1.clone() } else { first.clone() };
        }
    }),
    ("drop everything", |all, _| all.clear()),
    ("encrypt everything, as a thief of the store's key does", |all, _| {
        for (_, bytes) in all.iter_mut() {
            *bytes = random(bytes.len());
        }
    }),
    ("put back an older state", |all, older| *all = older.clone()),
];

async fn everything(store: &InMemory) -> Objects {
    let paths: Vec<Path> = store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    let mut all = Vec::new();
    for path in paths {
        let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
        all.push((path, bytes.to_vec()));
    }
    all
}

async fn put_back(store: &InMemory, all: Objects) {
    let paths: Vec<Path> = store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    for path in paths {
        store.delete(&path).await.unwrap();
    }
    for (path, bytes) in all {
        store.put(&path, bytes.into()).await.unwrap();
    }
}

async fn packs_on(store: &Arc<InMemory>, home: &std::path::Path) -> Arc<Packed> {
    let tend = std::time::Duration::from_hours(1);
    let pace = Pace { tend, tries: 1, ..Pace::default() };
    let store = Arc::<InMemory>::clone(store);
    Arc::new(Packed::on(store, home, Secret::from_bytes([6; 32]), None, pace).await.unwrap())
}

async fn depot_on(packed: Arc<Packed>) -> Depot {
    Depot::on(packed, None, DepotLimits { reserve_bytes: 0, quota_bytes: None }).await.unwrap()
}

#[tokio::test]
async fn what_a_hostile_store_does_to_a_copy_is_found_and_mended() {
    for (name, attack) in ATTACKS {
        let (home, good) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Arc::new(InMemory::new());
        let depot = depot_on(packs_on(&store, home.path()).await).await;
        let world = World::with(home.path(), Setup { depot: Some(depot.clone()), ..Setup::default() }).await;
        world.put("earlier", &random(300)).await.unwrap();
        let older = everything(&store).await;
        let content = random(4 << 16);
        world.put("victim", &content).await.unwrap();
        let peer = World::with(good.path(), Setup { node: 2, ..Setup::default() }).await;
        world.send_entries(&peer);
        for key in ["victim", "earlier"] {
            let blob = world.blobs(key)[0];
            let stream = depot.open(blob.name).await.unwrap().stream(0..blob.len).map_err(Into::into);
            peer.vault.depot().put_stream(&blob, stream.boxed()).await.unwrap();
        }
        drop(world);

        let mut all = everything(&store).await;
        assert!(all.len() >= 2);
        attack(&mut all, &older);
        put_back(&store, all).await;
        let setup = Setup { depot: Some(depot.clone()), ..Setup::default() };
        let alone = World::with(home.path(), setup).await;
        let read = alone.get("victim").await;
        assert!(matches!(read, Err(GetError::Tampered | GetError::Missing)), "{name}: alone");
        let report = alone.vault.verify(None, false).await.unwrap();
        assert!(!report.findings.is_empty(), "{name}: not found");
        drop(alone);

        let witness = Arc::new(Witness::default());
        let replication = Arc::<Witness>::clone(&witness);
        let peers = Arc::new(Peer { depot: peer.vault.depot().clone() });
        let setup = Setup { peers, replication, depot: Some(depot.clone()), ..Setup::default() };
        let world = World::with(home.path(), setup).await;
        assert!(world.get("victim").await.unwrap() == content, "{name}: read from the good copy");
        let blob = world.blobs("victim")[0].name;
        assert!(witness.lost.lock().unwrap().contains(&blob), "{name}: replication was not told");
        let report = world.vault.verify(None, true).await.unwrap();
        assert!(report.findings.iter().all(|finding| finding.repaired), "{name}: {report:?}");
        drop(world);

        let alone = World::with(home.path(), Setup { depot: Some(depot), ..Setup::default() }).await;
        assert!(alone.get("victim").await.unwrap() == content, "{name}: repaired");
        assert_eq!(alone.vault.verify(None, false).await.unwrap().findings, [], "{name}");
    }
}

#[tokio::test]
async fn what_an_audit_misses_is_fetched_anew_and_nothing_else_is_read() {
    let (home, good) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Arc::new(InMemory::new());
    let packed = packs_on(&store, home.path()).await;
    let depot = depot_on(Arc::clone(&packed)).await;
    let world = World::with(home.path(), Setup { depot: Some(depot.clone()), ..Setup::default() }).await;
    let contents: Vec<(String, Vec<u8>)> = (0..6).map(|at| (format!("k{at}"), random(5000))).collect();
    for (key, content) in &contents {
        world.put(key, content).await.unwrap();
    }
    let peer = World::with(good.path(), Setup { node: 2, ..Setup::default() }).await;
    world.send_entries(&peer);
    for (key, _) in &contents {
        let blob = world.blobs(key)[0];
        let stream = depot.open(blob.name).await.unwrap().stream(0..blob.len).map_err(Into::into);
        peer.vault.depot().put_stream(&blob, stream.boxed()).await.unwrap();
    }
    drop(world);
    for (path, _) in everything(&store).await.into_iter().take(2) {
        store.delete(&path).await.unwrap();
    }
    let audit = packed.audit(Some(0)).await.unwrap();
    assert_eq!((audit.packs, audit.bad.len(), packed.bad().len()), (2, 2, 2));
    let blobs = packed.damaged().await.unwrap();
    assert_eq!(blobs.len(), 2);
    let peers = Arc::new(Peer { depot: peer.vault.depot().clone() });
    let setup = Setup { peers, depot: Some(depot.clone()), ..Setup::default() };
    let world = World::with(home.path(), setup).await;
    let report = world.vault.mend(&blobs).await.unwrap();
    assert_eq!((report.entries, report.blobs, report.findings.len()), (6, 2, 2));
    assert!(report.findings.iter().all(|finding| finding.repaired), "{report:?}");
    assert!(packed.bad().is_empty());
    drop(world);
    let alone = World::with(home.path(), Setup { depot: Some(depot), ..Setup::default() }).await;
    for (key, content) in &contents {
        assert!(alone.get(key).await.unwrap() == *content);
    }
}

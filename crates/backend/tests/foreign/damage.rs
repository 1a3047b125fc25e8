//! What an onlooker sees, what is found by checking, and what comes back after a loss.

use std::collections::BTreeSet;
use std::sync::Arc;

use freehold_backend::{Damage, MapError, Packed, check};
use freehold_vault::{Depot, DepotError, DepotLimits};
use object_store::ObjectStoreExt as _;

use super::home::{Home, QUICK, blob, content, depot, open, put};
use super::liar::Liar;

#[tokio::test]
async fn every_size_comes_back_in_every_range() {
    let home = Home::new().await;
    let lens = [0, 1, 65_536, (1 << 20) - 1, (1 << 20) + 1, (8 << 20) - 1, 8 << 20, (17 << 20) + 5];
    for (name, len) in (1..).zip(lens) {
        home.put(name, &content(name, len)).await.unwrap();
    }
    let home = home.again(true).await;
    for (name, len) in (1..).zip(lens) {
        let whole = content(name, len);
        assert!(home.get(name).await.unwrap() == whole, "{len}");
        let reader = home.depot.open(blob(name)).await.unwrap();
        for range in [0..10, 60_000..70_000, 4_194_300..4_194_310, (len as u64).saturating_sub(5)..u64::MAX] {
            let want = &whole[(range.start as usize).min(len)..(range.end as usize).min(len)];
            assert!(reader.read(range).await.unwrap() == want);
        }
        assert_eq!(home.depot.len(blob(name)).await.unwrap(), Some(len as u64));
    }
    assert_eq!(home.depot.names().await.unwrap().len(), lens.len());
}

#[tokio::test]
async fn an_onlooker_learns_neither_names_nor_sizes_nor_counts() {
    let home = Home::new().await;
    let puts = (0..40u8).map(|name| {
        let depot = home.depot.clone();
        async move { put(&depot, name, &vec![b'A'; 1000 + usize::from(name) * 37]).await }
    });
    futures::future::try_join_all(puts).await.unwrap();
    let all = home.liar.everything().await;
    assert!(all.len() <= 3, "{} objects for 40 blobs that came together", all.len());
    for (path, bytes) in &all {
        assert_eq!(path.as_ref().len(), 64, "a random name and nothing else");
        let chunks = bytes.len().div_ceil(65_552);
        assert!((bytes.len() - 16 * chunks).is_power_of_two());
        assert!(!bytes.windows(16).any(|window| window == [b'A'; 16]));
        for name in 0..40u8 {
            assert!(!bytes.windows(16).any(|window| window == [name; 16]), "a blob's name");
            assert!(!path.as_ref().contains(&blob(name).to_string()));
        }
    }
}

#[tokio::test]
async fn a_friend_without_the_key_finds_what_is_wrong() {
    let home = Home::new().await;
    for name in 1..=4 {
        home.put(name, &content(name, 50_000)).await.unwrap();
    }
    let list = home.packed.inventory().await.unwrap();
    assert_eq!(list.len(), 4);
    let [first, second, third, _] = &list[..] else { panic!() };
    let paths = [first, second, third]
        .map(|pack| object_store::path::Path::from(freehold_wire::Hex(&pack.name).to_string()));
    let liar = &home.liar.inner;
    liar.delete(&paths[0]).await.unwrap();
    let mut bytes = liar.get(&paths[1]).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[70] ^= 1;
    liar.put(&paths[1], bytes.clone().into()).await.unwrap();
    bytes.truncate(1000);
    liar.put(&paths[2], bytes.into()).await.unwrap();
    let mut found = Vec::new();
    for pack in &list {
        found.push(check(liar, pack).await.unwrap().err());
    }
    assert_eq!(found, [Some(Damage::Missing), Some(Damage::Altered), Some(Damage::Cut), None]);
    let audit = home.packed.audit(None).await.unwrap();
    assert_eq!((audit.packs, audit.bad.len()), (4, 3));
    assert_eq!(audit.bad.iter().map(|bad| bad.damage).collect::<BTreeSet<_>>().len(), 3);
    let least = home.packed.audit(Some(0)).await.unwrap();
    assert_eq!((least.packs, least.bad.len()), (2, 2), "what the listing shows is enough for two");
    assert_eq!(home.packed.state().await.unwrap().bad, least.bad);
}

#[tokio::test]
async fn a_bad_blob_is_put_again_and_good() {
    let home = Home::new().await;
    home.put(1, &content(1, 50_000)).await.unwrap();
    for path in home.liar.names().await {
        home.liar.inner.delete(&path).await.unwrap();
    }
    assert!(matches!(home.get(1).await, Err(DepotError::Missing { .. })));
    home.put(1, &content(1, 50_000)).await.unwrap();
    assert_eq!(home.get(1).await.unwrap(), content(1, 50_000));
    home.packed.repack().await.unwrap();
    assert!(home.packed.audit(None).await.unwrap().bad.is_empty());
}

#[tokio::test]
async fn everything_comes_back_from_the_store_and_the_key_alone() {
    let home = Home::new().await;
    for name in 0..50 {
        home.put(name, &content(name, usize::from(name) * 1000)).await.unwrap();
    }
    home.put(60, &content(60, 12 << 20)).await.unwrap();
    home.put(7, &content(99, 5)).await.unwrap();
    home.packed.repack().await.unwrap();
    let home = home.again(false).await;
    for name in (0..50).filter(|name| *name != 7) {
        assert_eq!(home.get(name).await.unwrap(), content(name, usize::from(name) * 1000));
    }
    assert!(home.get(60).await.unwrap() == content(60, 12 << 20));
    assert_eq!(home.get(7).await.unwrap(), content(99, 5), "the later one");
    let audit = home.packed.audit(None).await.unwrap();
    assert!(audit.bad.is_empty() && audit.packs > 0);
    assert!(home.packed.inventory().await.unwrap().iter().all(|pack| pack.hash.is_some()));
}

/// A bucket is shared: one backend has a prefix, the other has none and lists it all.
#[tokio::test]
async fn what_lies_below_a_prefix_is_another_backends() {
    let (home, other) = (Home::new().await, tempfile::tempdir().unwrap());
    home.put(1, &content(1, 5)).await.unwrap();
    let below = object_store::prefix::PrefixStore::new(Arc::<Liar>::clone(&home.liar), "cellar");
    let key = freehold_crypt::Secret::from_bytes([2; 32]);
    let theirs = Packed::on(Arc::new(below), other.path(), key, None, QUICK).await.unwrap();
    let theirs = Arc::new(theirs);
    put(&depot(&theirs).await, 2, &content(2, 5)).await.unwrap();
    assert_eq!(home.liar.names().await.len(), 2);
    for packed in [&home.packed, &theirs] {
        let audit = packed.audit(None).await.unwrap();
        assert_eq!((audit.packs, audit.taken_in, &audit.strange[..]), (1, 0, &[][..]), "{audit:?}");
    }
    theirs.close().await;
    let home = home.again(false).await;
    assert_eq!(home.packed.state().await.unwrap().packs, 1);
    assert_eq!(home.get(1).await.unwrap(), content(1, 5));
}

#[tokio::test]
async fn what_another_key_sealed_is_not_taken_for_ours() {
    let home = Home::new().await;
    home.put(1, &content(1, 5)).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let refused = open(&home.liar, elsewhere.path(), 2, None).await.unwrap_err();
    assert!(matches!(refused, MapError::NotOurs(1)), "{refused}");
    assert_eq!(home.liar.names().await.len(), 1, "nothing of it was touched");
    // What is left of a pack that was half stored is nobody else's.
    for len in [100, 16_401, 65_552] {
        let (cut, folder) = (Liar::new(), tempfile::tempdir().unwrap());
        let packed = open(&cut, folder.path(), 1, None).await.unwrap();
        put(&depot(&packed).await, 1, &content(1, 100_000)).await.unwrap();
        let [(path, bytes)] = &cut.everything().await[..] else { panic!() };
        cut.inner.put(path, bytes.slice(..len).into()).await.unwrap();
        let afresh = open(&cut, elsewhere.path(), 1, None).await.unwrap();
        assert_eq!(afresh.state().await.unwrap().packs, 0);
        afresh.close().await;
        drop(afresh);
        std::fs::remove_file(elsewhere.path().join("packs.redb")).unwrap();
    }
    let bytes = content(3, 16_400);
    let path = object_store::path::Path::from("ab".repeat(32));
    home.liar.inner.put(&path, bytes.into()).await.unwrap();
    assert_eq!(home.packed.audit(None).await.unwrap().strange, ["ab".repeat(32)]);
    assert_eq!(home.liar.names().await.len(), 2);
}

#[tokio::test]
async fn waste_is_written_anew() {
    let home = Home::new().await;
    let puts = (0..60u8).map(|name| {
        let depot = home.depot.clone();
        async move { put(&depot, name, &content(name, 20_000)).await }
    });
    futures::future::try_join_all(puts).await.unwrap();
    for name in 100..130 {
        home.put(name, &content(name, 100)).await.unwrap();
    }
    let before = home.packed.state().await.unwrap();
    assert!(before.packs > 30);
    for name in 0..50 {
        home.depot.delete(blob(name)).await.unwrap();
    }
    home.packed.repack().await.unwrap();
    let after = home.packed.state().await.unwrap();
    assert_eq!((after.blobs, after.dying), (40, 0));
    assert!(after.packs <= 3 && after.bytes <= 512 << 10, "{after:?}");
    assert_eq!(home.liar.names().await.len() as u64, after.packs);
    for name in (50..60).chain(100..130) {
        let len = if name < 60 { 20_000 } else { 100 };
        assert_eq!(home.get(name).await.unwrap(), content(name, len));
    }
    home.packed.repack().await.unwrap();
    let again = home.packed.state().await.unwrap();
    assert_eq!((again.packs, again.bytes), (after.packs, after.bytes), "nothing is left to do");
}

#[tokio::test]
async fn a_capacity_is_kept_with_what_is_added_to_the_blobs() {
    let (folder, liar) = (tempfile::tempdir().unwrap(), Liar::new());
    let packed = open(&liar, folder.path(), 1, Some(100_000)).await.unwrap();
    let depot = depot(&packed).await;
    put(&depot, 1, &content(1, 40_000)).await.unwrap();
    let refused = put(&depot, 2, &content(2, 40_000)).await;
    assert!(matches!(refused, Err(DepotError::NoSpace { .. })), "{refused:?}");
    let refused = put(&depot, 3, &content(2, 20 << 20)).await;
    assert!(matches!(refused, Err(DepotError::NoSpace { .. })), "{refused:?}");
    depot.delete(blob(1)).await.unwrap();
    packed.repack().await.unwrap();
    put(&depot, 2, &content(2, 40_000)).await.unwrap();
    assert_eq!(liar.names().await.len(), 1);
}

#[tokio::test]
async fn a_depot_counts_what_it_has_on_a_backend() {
    let home = Home::new().await;
    for name in 1..=3 {
        home.put(name, &content(name, 600)).await.unwrap();
    }
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: Some(2000) };
    let store = Arc::clone(&home.packed);
    let depot = Depot::on(store, None, limits).await.unwrap();
    assert_eq!((depot.used(), depot.free().unwrap()), (1800, Some(200)));
    assert_eq!(depot.measure().await.unwrap(), (3, 1800));
    assert!(matches!(put(&depot, 4, &content(4, 300)).await, Err(DepotError::NoSpace { .. })));
    depot.delete(blob(1)).await.unwrap();
    depot.delete(blob(1)).await.unwrap();
    assert_eq!(depot.used(), 1200);
    put(&depot, 4, &content(4, 300)).await.unwrap();
    assert_eq!((depot.used(), depot.names().await.unwrap().len()), (1500, 3));
}

#[tokio::test]
async fn a_machine_that_was_set_back_repeats_no_name_and_finds_the_rest() {
    let home = Home::new().await;
    home.put(1, &content(1, 5_000)).await.unwrap();
    let map = home.folder.path().join("packs.redb");
    let home = home.again(true).await;
    let old = std::fs::read(&map).unwrap();
    home.put(2, &content(2, 5_000)).await.unwrap();
    let before = home.liar.everything().await;
    let Home { folder, liar, packed, depot: on } = home;
    drop(on);
    packed.close().await;
    drop(packed);
    // A snapshot of the machine is put back.
    freehold_disk::replace(&map, &old, 0o600).unwrap();
    let packed = open(&liar, folder.path(), 1, None).await.unwrap();
    let home = Home { depot: depot(&packed).await, folder, liar, packed };
    assert!(matches!(home.get(2).await, Err(DepotError::Missing { .. })));
    // The same bytes once more: under another name, as other bytes.
    home.put(2, &content(2, 5_000)).await.unwrap();
    let after = home.liar.everything().await;
    assert_eq!(after.len(), before.len() + 1);
    for (path, bytes) in &before {
        assert!(after.contains(&(path.clone(), bytes.clone())), "what lay there was touched");
        let others = after.iter().filter(|(other, _)| other != path);
        assert!(others.into_iter().all(|(_, other)| other[..64] != bytes[..64]), "sealed alike");
    }
    assert_eq!(home.packed.audit(None).await.unwrap().taken_in, 1);
    assert!(
        home.get(1).await.unwrap() == content(1, 5_000) && home.get(2).await.unwrap() == content(2, 5_000)
    );
}

#[tokio::test]
async fn what_was_given_up_halfway_leaves_nothing() {
    let home = Home::new().await;
    home.put(1, &content(1, 9 << 20)).await.unwrap();
    let lay_there = home.liar.names().await;
    for given_up in [2, 1] {
        let mut writer = home.depot.begin(blob(given_up), None).unwrap();
        for _ in 0..20 {
            writer.write(content(3, 1 << 20).into()).await.unwrap();
        }
        drop(writer);
    }
    let home = home.again(true).await;
    assert!(matches!(home.get(2).await, Err(DepotError::Missing { .. })));
    assert!(home.get(1).await.unwrap() == content(1, 9 << 20), "the old one is there still");
    home.packed.repack().await.unwrap();
    assert_eq!((home.packed.state().await.unwrap().dying, home.liar.names().await), (0, lay_there));
}

#[tokio::test]
async fn what_was_removed_leaves_the_packs_that_it_lay_in() {
    let home = Home::new().await;
    let puts = (0..20u8).map(|name| {
        let depot = home.depot.clone();
        async move { put(&depot, name, &content(name, 5_000)).await }
    });
    futures::future::try_join_all(puts).await.unwrap();
    let before = home.liar.names().await;
    home.depot.delete(blob(7)).await.unwrap();
    home.packed.repack().await.unwrap();
    assert_eq!(home.liar.names().await, before, "little of it is waste");
    home.packed.purge().await.unwrap();
    let after = home.liar.names().await;
    assert!(before.iter().any(|path| !after.contains(path)), "the pack with it is gone");
    home.packed.purge().await.unwrap();
    assert_eq!(home.liar.names().await, after, "nothing more is to be done");
    for name in (0..20).filter(|name| *name != 7) {
        assert_eq!(home.get(name).await.unwrap(), content(name, 5_000));
    }
    let home = home.again(false).await;
    assert!(matches!(home.get(7).await, Err(DepotError::Missing { .. })), "nor does it come back");
}

//! What somebody without any key finds out about a backend's stores.

use std::sync::Arc;

use freehold_backend::{Checked, Damage, Inventory, Packed, Spread, check_outside};
use freehold_crypt::Secret;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::home::{QUICK, content, depot, put};
use super::liar::Liar;

struct World {
    liars: Vec<Arc<Liar>>,
    parity: u8,
    list: Vec<Inventory>,
}

impl World {
    /// A backend with three packs, of which one is large.
    async fn new(stores: usize, parity: u8) -> Self {
        let liars: Vec<Arc<Liar>> = (0..stores).map(|_| Liar::new()).collect();
        let (folder, key) = (tempfile::tempdir().unwrap(), Secret::from_bytes([1; 32]));
        let world = Self { liars, parity, list: Vec::new() };
        let packed = if parity == 0 {
            Packed::on(Arc::clone(&world.liars[0]) as _, folder.path(), key, None, QUICK).await.unwrap()
        } else {
            let spread = Spread::new(world.stores(), parity, &key).unwrap();
            Packed::over(spread, folder.path(), key, None, QUICK).await.unwrap()
        };
        let packed = Arc::new(packed);
        let depot = depot(&packed).await;
        for (name, len) in [(1, 100), (2, 70_000), (3, 3_000_000)] {
            put(&depot, name, &content(name, len)).await.unwrap();
        }
        let list = packed.inventory().await.unwrap();
        drop(depot);
        packed.close().await;
        Self { list, ..world }
    }

    fn stores(&self) -> Vec<Arc<dyn ObjectStore>> {
        self.liars.iter().map(|liar| Arc::clone(liar) as _).collect()
    }

    async fn check(&self, with_list: bool, read: bool) -> Checked {
        let list = with_list.then_some(&self.list[..]);
        check_outside(&self.stores(), self.parity, list, read).await.unwrap()
    }

    /// What is wrong, without the names.
    async fn wrong(&self, with_list: bool) -> Vec<(Option<usize>, Damage)> {
        self.check(with_list, true).await.wrong.iter().map(|wrong| (wrong.store, wrong.damage)).collect()
    }
}

/// Changes what lies there at the `at`th place of the names.
async fn change(liar: &Liar, at: usize, how: impl FnOnce(&mut Vec<u8>)) {
    let path = liar.names().await[at].clone();
    let mut bytes = Vec::from(liar.inner.get(&path).await.unwrap().bytes().await.unwrap());
    how(&mut bytes);
    liar.inner.put(&path, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn one_store_is_checked_by_lengths_and_by_a_list_of_hashes() {
    let world = World::new(1, 0).await;
    let whole = world.check(true, true).await;
    assert_eq!((whole.packs, whole.proven, &whole.wrong[..]), (3, 3, &[][..]));
    assert_eq!(whole.bytes, world.list.iter().map(|pack| pack.len).sum::<u64>());
    let quick = world.check(true, false).await;
    assert_eq!((quick.packs, quick.proven, quick.bytes, &quick.wrong[..]), (3, 0, 0, &[][..]));
    let blind = world.check(false, true).await;
    assert_eq!((blind.packs, blind.proven, &blind.wrong[..]), (3, 0, &[][..]));

    // Without the list only what has another length shows.
    change(&world.liars[0], 1, |bytes| bytes[500] ^= 1).await;
    assert_eq!(world.wrong(true).await, [(None, Damage::Altered)]);
    assert_eq!(world.wrong(false).await, []);
    change(&world.liars[0], 1, |bytes| bytes.truncate(700)).await;
    assert_eq!(world.wrong(true).await, [(None, Damage::Cut)]);
    assert_eq!(world.wrong(false).await, [(None, Damage::Cut)]);
    let path = world.liars[0].names().await[1].clone();
    world.liars[0].inner.delete(&path).await.unwrap();
    assert_eq!(world.wrong(true).await, [(None, Damage::Missing)]);
    world.liars[0].inner.put(&Path::from("photo.jpg"), "x".into()).await.unwrap();
    world.liars[0].inner.put(&Path::from("5e".repeat(32)), "x".into()).await.unwrap();
    let found = world.check(true, true).await;
    assert_eq!((found.unlisted, found.others, found.proven), (1, 1, 2));
}

#[tokio::test]
async fn several_stores_show_without_a_list_whether_their_parts_fit() {
    for (stores, parity) in [(3, 1), (5, 2)] {
        let world = World::new(stores, parity).await;
        for with_list in [true, false] {
            let whole = world.check(with_list, true).await;
            assert_eq!((whole.packs, &whole.wrong[..]), (3, &[][..]));
            assert_eq!(whole.proven, if with_list { 3 } else { 0 });
        }
        for shard in [0, stores - 1] {
            let flip = |bytes: &mut Vec<u8>| bytes[100] ^= 1;
            change(&world.liars[shard], 2, flip).await;
            for with_list in [true, false] {
                assert_eq!(world.wrong(with_list).await, [(None, Damage::Altered)], "{stores} {shard}");
            }
            change(&world.liars[shard], 2, flip).await;
        }
        let path = world.liars[1].names().await[0].clone();
        world.liars[1].inner.delete(&path).await.unwrap();
        change(&world.liars[2], 1, |bytes| bytes.truncate(50)).await;
        let expected = [(Some(1), Damage::Missing), (Some(2), Damage::Cut)];
        for with_list in [true, false] {
            let mut wrong = world.wrong(with_list).await;
            wrong.sort_unstable_by_key(|(store, _)| *store);
            assert_eq!(wrong, expected);
        }
        // What is left still gives back what the list says.
        assert_eq!(world.check(true, true).await.proven, 3);
    }
}

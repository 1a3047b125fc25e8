//! Removing what a backend has put on its stores, and nothing else that lies there.

use std::collections::HashSet;
use std::sync::Arc;

use freehold_crypt::Secret;
use freehold_disk::{PackName, PackStore, StoreError};
use freehold_wire::BlobName;
use futures::future::join_all;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{Error, GetOptions, GetRange, ObjectStore};

use crate::error::is_missing;
use crate::pack::Opener;
use crate::packed::place;
use crate::{Errands, OpenError, Settings, Stores, stores};

/// Objects asked after at once.
const AT_ONCE: usize = 8;

/// What is left of a backend on its stores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Objects removed, of the store that had most.
    pub objects: u64,
    /// Objects that have the name of a pack and are not this backend's; they stay.
    pub strange: u64,
    /// Stores that still have something of it, counted from 0, and why.
    pub left: Vec<(usize, String)>,
}

/// Removes everything of this backend from each of its stores: what its map names, and what opens
/// with its key. It must have been closed.
///
/// # Errors
/// [`OpenError`] if the stores cannot even be named; what a store says is in [`Erased`].
pub async fn erase(
    home: &std::path::Path,
    settings: &Settings,
    key: &Secret,
    friends: Option<&Arc<dyn Errands>>,
) -> Result<Erased, OpenError> {
    let path = home.join("packs.redb");
    let known = tokio::task::spawn_blocking(move || known(&path)).await;
    let known = known.unwrap_or_else(|_| Ok(HashSet::new())).unwrap_or_else(|error| {
        tracing::warn!(%error, "the map of a backend cannot be read; its packs are known by its key");
        HashSet::new()
    });
    Ok(erase_known(&stores(home, settings, key, friends)?, key, &known).await)
}

async fn erase_known(stores: &Stores, key: &Secret, known: &HashSet<PackName>) -> Erased {
    let each = stores.each.iter().enumerate().map(|(at, store)| async move {
        let owner = Owner { stores, at, store, key, known };
        (at, owner.erase().await)
    });
    let mut all = Erased::default();
    for (at, done) in join_all(each).await {
        match done {
            Ok((objects, strange)) => {
                all.objects = all.objects.max(objects);
                all.strange = all.strange.saturating_add(strange);
            }
            Err(error) => all.left.push((at, crate::packed::chain(&error))),
        }
    }
    all
}

/// Whether something lies there that has the name of a pack, whoever's it is.
///
/// # Errors
/// The store's own.
pub async fn holds_packs(store: &Arc<dyn ObjectStore>) -> Result<bool, Error> {
    Ok(packs(store).try_next().await?.is_some())
}

fn packs(store: &Arc<dyn ObjectStore>) -> BoxStream<'static, Result<(PackName, u64), Error>> {
    let packs = store.list(None).try_filter_map(async |found| {
        let name = found.location.as_ref().parse::<BlobName>();
        Ok(name.ok().map(|name| (*name.as_bytes(), found.size)))
    });
    packs.boxed()
}

fn known(map: &std::path::Path) -> Result<HashSet<PackName>, StoreError> {
    if !map.exists() {
        return Ok(HashSet::new());
    }
    let map = PackStore::open(map)?;
    let mut names: HashSet<PackName> = map.packs()?.into_iter().map(|pack| pack.name).collect();
    names.extend(map.dying()?);
    names.extend(map.pending()?);
    Ok(names)
}

/// One store, and how to know what on it is this backend's.
struct Owner<'a> {
    stores: &'a Stores,
    at: usize,
    store: &'a Arc<dyn ObjectStore>,
    key: &'a Secret,
    known: &'a HashSet<PackName>,
}

impl Owner<'_> {
    /// How many objects were removed, and how many are another's.
    async fn erase(&self) -> Result<(u64, u64), Error> {
        let (own, strange) = self.own().await?;
        let paths: Vec<_> = own.iter().map(|name| Ok(place(name))).collect();
        let removed = self.store.delete_stream(futures::stream::iter(paths).boxed());
        let removed = removed.try_fold(0u64, async |count, _| Ok(count.saturating_add(1))).await?;
        // A store that says "deleted" may not have.
        let left: Vec<PackName> = packs(self.store).map_ok(|(name, _)| name).try_collect().await?;
        let left = left.iter().filter(|name| own.contains(*name)).count();
        if left > 0 {
            let source =
                format!("it says that {removed} objects are deleted, and lists {left} of them still");
            return Err(Error::Generic { store: "backend", source: source.into() });
        }
        Ok((removed, strange))
    }

    async fn own(&self) -> Result<(HashSet<PackName>, u64), Error> {
        let listed = packs(self.store).map_ok(|(name, len)| async move {
            let is_known = self.known.contains(&name) || self.stores.beside.iter().any(|one| one.has(&name));
            let ours = is_known || self.is_ours(&name, len).await?;
            Ok((name, ours))
        });
        let mut listed = listed.try_buffer_unordered(AT_ONCE);
        let (mut own, mut strange) = (HashSet::new(), 0u64);
        while let Some((name, ours)) = listed.try_next().await? {
            if ours {
                own.insert(name);
            } else {
                strange = strange.saturating_add(1);
            }
        }
        Ok((own, strange))
    }

    /// Whether it opens with this backend's key.
    async fn is_ours(&self, name: &PackName, len: u64) -> Result<bool, Error> {
        if let Some(spread) = &self.stores.spread {
            return spread.is_shard(self.at, &place(name)).await;
        }
        let Some(opener) = Opener::new(self.key, name, len) else { return Ok(false) };
        let range = GetRange::Bounded(opener.sealed(&(0..1)));
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let first = match self.store.get_opts(&place(name), options).await {
            Ok(found) => Vec::from(found.bytes().await?),
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(opener.begins(first.clone()) || opener.open(&(0..1), first).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStoreExt as _, PutPayload};

    use super::*;
    use crate::{Beside, Claims, Pace, Packed, Spread};

    fn over(each: &[Arc<InMemory>], key: &Secret) -> Stores {
        let each: Vec<Arc<dyn ObjectStore>> = each.iter().map(|store| Arc::clone(store) as _).collect();
        if let [one] = each.as_slice() {
            return Stores { all: Arc::clone(one), each, spread: None, beside: [Beside::claims(key)].into() };
        }
        let spread = Spread::new(each.clone(), 1, key).unwrap();
        let beside = [Beside::claims(key)].into();
        Stores { all: Arc::new(spread.clone()), each, spread: Some(spread), beside }
    }

    fn empty(count: usize) -> Vec<Arc<InMemory>> {
        (0..count).map(|_| Arc::new(InMemory::new())).collect()
    }

    async fn names(store: &Arc<InMemory>) -> Vec<PackName> {
        let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
        packs(&store).map_ok(|(name, _)| name).try_collect().await.unwrap()
    }

    /// Puts a blob there; what lies there then.
    async fn fill(each: &[Arc<InMemory>], key: &Secret) -> Vec<PackName> {
        let home = tempfile::tempdir().unwrap();
        let stores = over(each, key);
        let packed = Packed::on(stores.all, home.path(), key.clone(), None, Pace::default()).await.unwrap();
        packed.put(&Path::from("aa".repeat(32)), PutPayload::from_static(b"hello")).await.unwrap();
        packed.close().await;
        names(&each[0]).await
    }

    #[tokio::test]
    async fn only_what_is_its_own_goes() {
        let (ours, theirs) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
        for count in [1, 3] {
            let (each, other) = (empty(count), empty(count));
            fill(&each, &ours).await;
            let strange = fill(&other, &theirs).await;
            for (store, other) in each.iter().zip(&other) {
                for name in strange.iter().map(place) {
                    let bytes = other.get(&name).await.unwrap().bytes().await.unwrap();
                    store.put(&name, bytes.into()).await.unwrap();
                }
                store.put(&Path::from("photo.jpg"), "x".into()).await.unwrap();
            }
            let raw = over(&each, &ours).each;
            Claims::new(raw, u8::from(count > 1), &ours).make(1, [7; 16]).await.unwrap();
            let damaged = [0x5e; 32];
            each[0].put(&place(&damaged), "x".into()).await.unwrap();
            let erased = erase_known(&over(&each, &ours), &ours, &HashSet::from([damaged])).await;
            assert_eq!((erased.objects, &erased.left[..]), (3, &[][..]));
            assert_eq!(erased.strange, count as u64);
            for store in &each {
                assert_eq!(names(store).await, strange);
                store.head(&Path::from("photo.jpg")).await.unwrap();
            }
        }
    }
}

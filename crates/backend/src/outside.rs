//! What somebody without any key can tell of a backend's stores: whether its packs are there, whole, and,
//! by a list of their hashes that the backend gives out, unaltered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_crypt::hash::Hasher;
use freehold_disk::PackName;
use freehold_wire::{BlobName, Hex};
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStore;

use crate::error::Damage;
use crate::pack::is_length;
use crate::packed::place;
use crate::spread::Shards;
use crate::{Inventory, PackError};

/// Packs looked at at once.
const AT_ONCE: usize = 4;

/// What was found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Name of the pack.
    pub pack: String,
    /// The store that has it so, counted from 0; none if only all of them together show it.
    pub store: Option<usize>,
    /// What is wrong.
    pub damage: Damage,
}

/// What a check without keys found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Packs that should be there by the list, or that are there.
    pub packs: u64,
    /// Of those, how many are byte by byte what the list says.
    pub proven: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is not as it should be.
    pub wrong: Vec<Wrong>,
    /// Packs that are there and that the list does not name.
    pub unlisted: u64,
    /// Objects that are there and have no name of a pack.
    pub others: u64,
}

/// Checks the stores of a backend, of which `parity` may be lost, without any key. With `list` every
/// pack in it is looked for; with `read` every byte is read, and compared where a hash is known.
///
/// # Errors
/// [`PackError::Store`] if a store does not answer; damage is not an error.
pub async fn check_outside(
    stores: &[Arc<dyn ObjectStore>],
    parity: u8,
    list: Option<&[Inventory]>,
    read: bool,
) -> Result<Checked, PackError> {
    let mut checked = Checked::default();
    let listed = listings(stores, &mut checked).await?;
    let several = Shards::over(stores, parity);
    let looked = Look { stores, several, listed: &listed, read };
    let named: Vec<Inventory> = match list {
        Some(list) => {
            let known: BTreeSet<PackName> = list.iter().map(|pack| pack.name).collect();
            checked.unlisted = looked.names().filter(|name| !known.contains(*name)).count() as u64;
            list.to_vec()
        }
        None => looked.guess().await?,
    };
    checked.packs = named.len() as u64;
    let mut looks =
        futures::stream::iter(named.into_iter().map(|pack| looked.at(pack))).buffer_unordered(AT_ONCE);
    while let Some(found) = looks.try_next().await? {
        checked.bytes = checked.bytes.saturating_add(found.bytes);
        checked.proven += u64::from(found.proven);
        checked.wrong.extend(found.wrong);
    }
    drop(looks);
    checked.wrong.sort_by(|one, other| (&one.pack, one.store).cmp(&(&other.pack, other.store)));
    Ok(checked)
}

type Listed = BTreeMap<PackName, Vec<Option<u64>>>;

async fn listings(stores: &[Arc<dyn ObjectStore>], checked: &mut Checked) -> Result<Listed, PackError> {
    let lists = stores.iter().map(|store| store.list(None).try_collect::<Vec<_>>());
    let mut all = Listed::new();
    for (at, listed) in join_all(lists).await.into_iter().enumerate() {
        for meta in listed.map_err(|source| PackError::Store { doing: "listing the packs", source })? {
            let Ok(name) = meta.location.as_ref().parse::<BlobName>() else {
                checked.others += 1;
                continue;
            };
            let row = all.entry(*name.as_bytes()).or_insert_with(|| vec![None; stores.len()]);
            if let Some(place) = row.get_mut(at) {
                *place = Some(meta.size);
            }
        }
    }
    Ok(all)
}

/// What is looked at.
struct Look<'a> {
    stores: &'a [Arc<dyn ObjectStore>],
    several: Option<Shards>,
    listed: &'a Listed,
    read: bool,
}

/// What one pack is like.
#[derive(Default)]
struct Found {
    proven: bool,
    bytes: u64,
    wrong: Vec<Wrong>,
}

impl Look<'_> {
    fn names(&self) -> impl Iterator<Item = &PackName> {
        self.listed.keys()
    }

    /// The packs that are there, each as long as it says or, where there is one store, as it is.
    async fn guess(&self) -> Result<Vec<Inventory>, PackError> {
        let mut all = Vec::new();
        for (name, lens) in self.listed {
            let first = lens.iter().flatten().copied().next().unwrap_or(0);
            let len = match &self.several {
                None => first,
                Some(shards) => match shards.told_len(self.stores, &place(name)).await.map_err(failed)? {
                    Some(len) => len,
                    // The whole of it on each store: it lies beside the packs.
                    None if is_length(first) && lens.iter().flatten().all(|len| *len == first) => continue,
                    None => 0,
                },
            };
            all.push(Inventory { name: *name, len, hash: None });
        }
        Ok(all)
    }

    async fn at(&self, pack: Inventory) -> Result<Found, PackError> {
        let mut found = Found::default();
        let wrong = |store, damage| Wrong { pack: Hex(&pack.name).to_string(), store, damage };
        if !is_length(pack.len) {
            found.wrong.push(wrong(None, Damage::Cut));
            return Ok(found);
        }
        let nothing = vec![None; self.stores.len()];
        let lens = self.listed.get(&pack.name).unwrap_or(&nothing);
        let whole = self.several.as_ref().map_or(pack.len, |shards| shards.shard_len(pack.len));
        for (at, len) in lens.iter().enumerate() {
            let damage = match len {
                Some(len) if *len == whole => continue,
                Some(_) => Damage::Cut,
                None => Damage::Missing,
            };
            found.wrong.push(wrong(self.several.as_ref().map(|_| at), damage));
        }
        let good = lens.iter().filter(|len| **len == Some(whole)).count();
        let needed = self.several.as_ref().map_or(1, |shards| shards.needed());
        if !self.read || good < needed {
            return Ok(found);
        }
        let Some(shards) = &self.several else {
            let store = self.stores.first().ok_or(PackError::Closing)?;
            found.bytes = pack.len;
            match crate::check(&**store, &pack).await? {
                Ok(_) => found.proven = pack.hash.is_some(),
                Err(damage) => found.wrong.push(wrong(None, damage)),
            }
            return Ok(found);
        };
        let present: Vec<bool> = lens.iter().map(|len| *len == Some(whole)).collect();
        let mut hash = Hasher::plain();
        let path = place(&pack.name);
        let fits = shards.compare(self.stores, &path, pack.len, &present, &mut hash).await.map_err(failed)?;
        found.bytes = whole.saturating_mul(good as u64);
        let same = pack.hash.map(|known| known == hash.finish());
        found.proven = same == Some(true) && fits;
        if same == Some(false) || !fits {
            found.wrong.push(wrong(None, Damage::Altered));
        }
        Ok(found)
    }
}

fn failed(source: object_store::Error) -> PackError {
    PackError::Store { doing: "reading a pack", source }
}

//! Checking what lies on the store by reading it: no key is needed for that, only the list of
//! names, lengths and hashes, so that somebody else can do it too.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use freehold_crypt::Entropy as _;
use freehold_crypt::hash::Hasher;
use freehold_disk::{OsEntropy, PackName, PackRow};
use freehold_wire::Hex;
use futures::StreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::{Inner, Packed, now, place};
use crate::PackError;
use crate::error::{Damage, is_missing};

/// A pack that is not what was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPack {
    /// Its name on the store.
    pub name: String,
    /// What is wrong.
    pub damage: Damage,
    /// How many blobs that count lie in it.
    pub blobs: u64,
}

impl BadPack {
    pub(super) fn id(&self) -> Option<PackName> {
        self.name.parse().ok().map(|name: freehold_wire::BlobName| *name.as_bytes())
    }
}

/// What an audit saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Packs read.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that are not what was stored.
    pub bad: Vec<BadPack>,
    /// Packs of this backend that its map did not know, and knows now.
    pub taken_in: u64,
    /// Names among its packs that its key does not open.
    pub strange: Vec<String>,
    /// Packs that are there, and that the store's listing does not name.
    pub unlisted: u64,
}

/// What somebody needs to check the packs: name, length, and BLAKE3 as `b3sum` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inventory {
    /// The name on the store.
    pub name: PackName,
    /// Bytes.
    pub len: u64,
    /// Their hash; `None` if nobody has read them yet.
    pub hash: Option<[u8; 32]>,
}

impl From<&PackRow> for Inventory {
    fn from(pack: &PackRow) -> Self {
        Self { name: pack.name, len: pack.len, hash: pack.hash }
    }
}

/// Reads one pack and compares it with what it should be; no key is needed. The hash of one that has
/// the right length is returned.
///
/// # Errors
/// [`PackError::Store`] if the store does not answer; damage is not an error.
pub async fn check(store: &dyn ObjectStore, pack: &Inventory) -> Result<Result<[u8; 32], Damage>, PackError> {
    let failed = |source| PackError::Store { doing: "reading a pack", source };
    let found = match store.get(&place(&pack.name)).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Ok(Err(Damage::Missing)),
        Err(source) => return Err(failed(source)),
    };
    let mut stream = found.into_stream();
    let (mut hash, mut len) = (Hasher::plain(), 0u64);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(failed)?;
        len = len.saturating_add(piece.len() as u64);
        hash.update(&piece);
    }
    let hash = hash.finish();
    Ok(match pack.hash {
        _ if len != pack.len => Err(Damage::Cut),
        Some(known) if known != hash => Err(Damage::Altered),
        _ => Ok(hash),
    })
}

impl Packed {
    /// The list by which anybody can check the packs without a key.
    ///
    /// # Errors
    /// [`PackError`] of the map.
    pub async fn inventory(&self) -> Result<Vec<Inventory>, PackError> {
        let packs = self.inner.on_map(freehold_disk::PackStore::packs).await?;
        Ok(packs.iter().map(Inventory::from).collect())
    }

    /// Compares the store's listing with the map, and reads what differs and `most` other packs (or
    /// all), beginning at one drawn by lot. Packs of this backend that the map does not know are
    /// taken in.
    ///
    /// # Errors
    /// [`PackError`] if the store does not answer; damage is not an error.
    pub async fn audit(&self, most: Option<u64>) -> Result<Audit, PackError> {
        self.inner.audit(most).await
    }
}

impl Inner {
    /// Audits, and remembers what came of it, for status.
    pub(super) async fn audit(self: &Arc<Self>, most: Option<u64>) -> Result<Audit, PackError> {
        let audit = self.compare(most).await;
        let audit = self.heard(audit)?;
        for bad in &audit.bad {
            tracing::error!(pack = %bad.name, damage = %bad.damage, blobs = bad.blobs, "a pack on the store is bad");
        }
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        (health.audited, health.bad) = (Some(now()), audit.bad.clone());
        drop(health);
        if !audit.bad.is_empty() {
            self.found.notify_one();
        }
        Ok(audit)
    }

    async fn compare(self: &Arc<Self>, most: Option<u64>) -> Result<Audit, PackError> {
        let mut audit = Audit::default();
        let listed: BTreeMap<PackName, u64> = self.listed().await?.into_iter().collect();
        let (packs, leaving) =
            self.on_map(|map| Ok((map.packs()?, [map.dying()?, map.pending()?].concat()))).await?;
        let known: BTreeMap<PackName, PackRow> = packs.iter().map(|pack| (pack.name, *pack)).collect();
        for (name, len) in &listed {
            if !known.contains_key(name) && !leaving.contains(name) {
                self.take_in(*name, *len, &mut audit).await?;
            }
        }
        let mut most = most.unwrap_or(u64::MAX);
        let start = OsEntropy.bytes32();
        for (_, pack) in known.range(start..).chain(known.range(..start)) {
            let as_listed = listed.get(&pack.name) == Some(&pack.len);
            if as_listed && most == 0 {
                continue;
            }
            most = most.saturating_sub(u64::from(as_listed));
            let there = self.check_pack(pack, &mut audit).await?;
            audit.unlisted += u64::from(there && !listed.contains_key(&pack.name));
        }
        Ok(audit)
    }

    async fn take_in(self: &Arc<Self>, name: PackName, len: u64, audit: &mut Audit) -> Result<(), PackError> {
        match self.index(name, len).await {
            Ok(pack) => {
                self.on_map(move |map| map.found(pack)).await?;
                audit.taken_in += 1;
                Ok(())
            }
            Err(PackError::Bad { damage, .. }) => {
                // Listed, and gone since or never there.
                if damage != Damage::Missing {
                    audit.strange.push(Hex(&name).to_string());
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Says whether it is there as it should be.
    async fn check_pack(self: &Arc<Self>, pack: &PackRow, audit: &mut Audit) -> Result<bool, PackError> {
        let mut damage = check(&*self.store, &Inventory::from(pack)).await?;
        if let (Ok(hash), None) = (damage, pack.hash) {
            // Nobody has vouched for these bytes: only the key can say whether they are right.
            damage = self.opens(pack).await?.map(|()| hash);
        }
        let name = pack.name;
        audit.packs += 1;
        audit.bytes = audit.bytes.saturating_add(pack.len);
        match damage {
            Ok(hash) => {
                if pack.hash.is_none() {
                    self.on_map(move |map| map.set_hash(name, hash)).await?;
                }
                Ok(true)
            }
            Err(damage) => {
                // Removed or written anew while it was read.
                let now = self.on_map(move |map| map.pack(&name)).await?;
                if let Some(now) = now {
                    audit.bad.push(BadPack { name: Hex(&name).to_string(), damage, blobs: now.blobs });
                }
                Ok(false)
            }
        }
    }

    /// Opens all blobs of a pack.
    async fn opens(self: &Arc<Self>, pack: &PackRow) -> Result<Result<(), Damage>, PackError> {
        let name = pack.name;
        for row in self.on_map(move |map| map.members(&name)).await? {
            let mut at = 0;
            while at < row.len {
                let next = row.len.min(at.saturating_add(4 << 20));
                match self.read_in(pack, super::read::within(&row, &(at..next))).await {
                    Ok(_) => at = next,
                    Err(PackError::Bad { damage, .. }) => return Ok(Err(damage)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Ok(()))
    }
}

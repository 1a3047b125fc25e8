//! What needs no hurry: packs that nothing counts in are removed, those that are half empty or
//! small are written anew together.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_disk::{BlobRow, PackName, PackRow};
use freehold_wire::Millis;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use tokio_util::sync::CancellationToken;

use super::write::Blob;
use super::{Inner, Packed, now, place};
use crate::{PackError, sizes};

/// Requests to remove a pack at once.
const AT_ONCE: usize = 8;
/// Packs that an audit reads from time to time; a verification reads all blobs.
const READ: u64 = 16;
/// So many small packs become one.
const MANY: usize = 16;
const SMALL: u64 = 1 << 20;
/// Bytes of blobs that go into one pack anew.
const TOGETHER: u64 = super::write::ENOUGH as u64;

impl Packed {
    /// Removes what nothing counts in, and writes anew what wastes room, until nothing is left to
    /// do. The backend does the same by itself from time to time.
    ///
    /// # Errors
    /// [`PackError`]; what was done by then stays done.
    pub async fn repack(&self) -> Result<(), PackError> {
        let mut passed = BTreeSet::new();
        while self.inner.tend_once(&mut passed, false).await? {}
        Ok(())
    }

    /// The same, and writes anew every pack in which anything was removed: nothing of that is left on
    /// the store then.
    ///
    /// # Errors
    /// [`PackError`]; what was done by then stays done.
    pub async fn purge(&self) -> Result<(), PackError> {
        let mut passed = BTreeSet::new();
        while self.inner.tend_once(&mut passed, true).await? {}
        self.inner.on_map(|map| map.set_purged(now())).await
    }
}

impl Inner {
    /// Tends the store until it is cancelled.
    pub(super) async fn tend(self: Arc<Self>, cancel: CancellationToken) {
        // A start has enough to do at first.
        let first = tokio::time::Instant::now() + self.pace.tend * 2;
        let mut audit = tokio::time::interval_at(first, self.pace.audit.max(Duration::from_secs(1)));
        audit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let rest = async {
                tokio::select! {
                    () = tokio::time::sleep(self.pace.tend) => {}
                    // Removals come in crowds.
                    () = self.tend.notified() => tokio::time::sleep(self.pace.tend / 30).await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = rest => {}
                _ = audit.tick() => {
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        audit = self.audit(Some(READ)) => drop(audit),
                    }
                    continue;
                }
            }
            // Packs that could not be read: they are looked at again next time.
            let mut passed = BTreeSet::new();
            let purge = self.map.purged().is_ok_and(|at| self.is_old(at));
            loop {
                let more = tokio::select! {
                    biased;
                    () = cancel.cancelled() => return,
                    more = self.tend_once(&mut passed, purge) => self.heard(more),
                };
                match more {
                    Ok(true) => {}
                    Ok(false) => {
                        if purge && let Err(error) = self.on_map(|map| map.set_purged(now())).await {
                            tracing::warn!(%error, "what was purged is purged again");
                        }
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "packs of a backend cannot be tended; it is tried again");
                        break;
                    }
                }
            }
        }
    }

    fn is_old(&self, purged: Millis) -> bool {
        let age = now().0.saturating_sub(purged.0);
        u128::from(age) >= self.pace.purge.as_millis()
    }

    /// One step; says whether there may be more to do.
    async fn tend_once(
        self: &Arc<Self>,
        passed: &mut BTreeSet<PackName>,
        purge: bool,
    ) -> Result<bool, PackError> {
        let removed = self.remove_dying().await?;
        let inner = Arc::clone(self);
        let packs = self.on_map(move |map| {
            inner.count()?;
            map.packs()
        });
        let group = wasteful(&packs.await?, passed, purge);
        if group.is_empty() {
            return Ok(removed);
        }
        self.write_anew(&group, passed).await?;
        Ok(true)
    }

    /// Removes from the store what is needed no longer.
    async fn remove_dying(self: &Arc<Self>) -> Result<bool, PackError> {
        let dying = self.on_map(freehold_disk::PackStore::dying).await?;
        if dying.is_empty() {
            return Ok(false);
        }
        let removals = dying.into_iter().map(|name| async move {
            match self.store.delete(&place(&name)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(name),
                Err(source) => Err(PackError::Store { doing: "removing a pack", source }),
            }
        });
        let mut done = futures::stream::iter(removals).buffer_unordered(AT_ONCE);
        let (mut gone, mut failed) = (Vec::new(), None);
        while let Some(removed) = done.next().await {
            match removed {
                Ok(name) => gone.push(name),
                Err(error) => failed = Some(error),
            }
        }
        drop(done);
        self.on_map(move |map| map.gone(gone)).await?;
        failed.map_or(Ok(true), Err)
    }

    async fn write_anew(
        self: &Arc<Self>,
        group: &[PackRow],
        passed: &mut BTreeSet<PackName>,
    ) -> Result<(), PackError> {
        let (mut blobs, mut from) = (Vec::new(), Vec::new());
        for pack in group {
            let name = pack.name;
            let members = self.on_map(move |map| map.members(&name)).await?;
            let mut members: Vec<BlobRow> = members.into_iter().filter(|row| row.pack == name).collect();
            members.sort_unstable_by_key(|row| row.offset);
            match self.read_members(pack, &members).await {
                Ok(read) => {
                    blobs.extend(read);
                    from.push(name);
                }
                // Whoever reads those blobs, or checks them, is told; here it only stays as it is.
                Err(error @ PackError::Bad { .. }) => {
                    tracing::warn!(%error, "a pack of a backend cannot be written anew");
                    passed.insert(name);
                }
                Err(error) => return Err(error),
            }
        }
        if blobs.is_empty() { Ok(()) } else { self.write_pack(blobs, Some(from)).await }
    }

    async fn read_members(&self, pack: &PackRow, members: &[BlobRow]) -> Result<Vec<Blob>, PackError> {
        let (Some(first), Some(last)) = (members.first(), members.last()) else { return Ok(Vec::new()) };
        let start = first.offset;
        let content = self.read_in(pack, start..last.offset.saturating_add(last.len)).await?;
        let blobs = members.iter().map(|row| {
            let at = position(row.offset.saturating_sub(start), row.len, content.len());
            // A copy, so that the rest of the pack does not stay in memory.
            Blob {
                name: row.name,
                bytes: Bytes::copy_from_slice(content.get(at).unwrap_or_default()),
                at: row.modified,
            }
        });
        Ok(blobs.collect())
    }
}

fn position(offset: u64, len: u64, all: usize) -> Range<usize> {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(all);
    at(offset)..at(offset.saturating_add(len))
}

/// Packs that are to be written anew together: half of them or more is waste, or there are many
/// small ones; or anything in them was removed.
fn wasteful(packs: &[PackRow], passed: &BTreeSet<PackName>, purge: bool) -> Vec<PackRow> {
    let can = |pack: &&PackRow| {
        pack.live <= TOGETHER && pack.len <= sizes::LARGEST * 2 && !passed.contains(&pack.name)
    };
    let half = packs.iter().filter(can).filter(|pack| pack.live.saturating_mul(2) < pack.len);
    let half = together(half);
    let before: u64 = half.iter().map(|pack| pack.len).sum();
    let after = sizes::padded(half.iter().map(|pack| pack.live + pack.blobs * 56).sum());
    // Not for nothing: what is small is filled up anyway.
    if after.saturating_mul(2) <= before {
        return half;
    }
    let small = together(packs.iter().filter(can).filter(|pack| pack.len <= SMALL + SMALL / 8));
    if small.len() >= MANY {
        return small;
    }
    together(packs.iter().filter(can).filter(|pack| purge && pack.live < pack.held))
}

fn together<'a>(packs: impl Iterator<Item = &'a PackRow>) -> Vec<PackRow> {
    let (mut bytes, mut blobs) = (0u64, 0u64);
    let fits = |pack: &&PackRow| {
        bytes = bytes.saturating_add(pack.live);
        blobs += pack.blobs;
        bytes <= TOGETHER && blobs <= crate::pack::MOST as u64
    };
    packs.take_while(fits).copied().collect()
}

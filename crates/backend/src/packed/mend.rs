//! Where several stores are one: lost shards are made anew, and in the course of a long round every
//! shard is read, so that altered ones are found while enough others are good.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use freehold_disk::{PackName, PackRow, PackStore, Round};
use freehold_wire::BlobName;
use object_store::path::Path;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{BadPack, Inner, Packed, now, place};
use crate::error::Damage;
use crate::{Mended, PackError, Spread};

/// Where a store did not answer, it is tried again so soon.
const AGAIN: Duration = Duration::from_mins(1);
/// Bytes of packs that the round reads in a second, at most.
const READ_A_SECOND: u64 = 2 << 20;

impl Packed {
    /// Looks for shards that its stores have lost, and makes them anew; with `read` also for altered ones.
    /// The backend does both by itself, the second over months. Where there is one store, there is nothing
    /// to do.
    ///
    /// # Errors
    /// [`PackError`] if too few of the stores answer.
    pub async fn mend(&self, read: bool) -> Result<Mended, PackError> {
        let Some(spread) = self.inner.spread.clone() else { return Ok(Mended::default()) };
        self.inner.mend_all(&spread, read).await
    }

    /// Does so soon: a store is there again.
    pub fn mend_soon(&self) {
        self.inner.mend.notify_one();
    }

    /// What keeps parts from being whole on all its stores, if anything.
    pub fn lacking(&self) -> Option<String> {
        let health = self.inner.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.lacking.clone()
    }
}

/// The place of a name in the round.
fn place_in_round(name: &PackName) -> u64 {
    name.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

fn pack_name(path: &Path) -> Option<PackName> {
    path.as_ref().parse::<BlobName>().ok().map(|name| *name.as_bytes())
}

impl Inner {
    /// Mends until it is cancelled.
    pub(super) async fn keep_whole(self: Arc<Self>, spread: Spread, cancel: CancellationToken) {
        let work = async {
            let mut look_at = Instant::now();
            let mut rest = self.pace.tend;
            loop {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(look_at) => {
                        let whole = self.mend_all(&spread, false).await.is_ok_and(|done| done.last_error.is_none());
                        look_at = Instant::now() + if whole { self.pace.mend } else { AGAIN };
                    }
                    () = self.mend.notified() => look_at = Instant::now(),
                    () = spread.suspected() => {
                        // They come in crowds.
                        tokio::time::sleep(self.pace.tend / 30).await;
                        let doubted = spread.suspects();
                        let doubted = self.rows(move |map| {
                            let names = doubted.iter().filter_map(pack_name);
                            names.filter_map(|name| map.pack(&name).transpose()).collect()
                        });
                        drop(self.mend_packs(&spread, doubted.await, true).await);
                    }
                    () = tokio::time::sleep(rest) => {
                        rest = self.read_on(&spread).await.unwrap_or(AGAIN);
                    }
                }
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = work => {}
        }
    }

    async fn rows(
        self: &Arc<Self>,
        ask: impl FnOnce(&PackStore) -> Result<Vec<PackRow>, freehold_disk::StoreError> + Send + 'static,
    ) -> Result<Vec<PackRow>, PackError> {
        self.on_map(ask).await
    }

    async fn mend_all(self: &Arc<Self>, spread: &Spread, read: bool) -> Result<Mended, PackError> {
        let packs = self.rows(PackStore::packs).await;
        let mended = self.mend_packs(spread, packs, read).await;
        let lacking = match &mended {
            Err(error) => Some(super::chain(error)),
            Ok(Mended { last_error: Some(error), .. }) => {
                Some(format!("one of its stores does not do its part: {error}"))
            }
            Ok(_) => None,
        };
        self.health.lock().unwrap_or_else(PoisonError::into_inner).lacking = lacking;
        mended
    }

    async fn mend_packs(
        self: &Arc<Self>,
        spread: &Spread,
        packs: Result<Vec<PackRow>, PackError>,
        read: bool,
    ) -> Result<Mended, PackError> {
        let objects: Vec<(Path, u64)> = packs?.iter().map(|pack| (place(&pack.name), pack.len)).collect();
        // An object that was removed in the meantime is not made again.
        let counts = |path: &Path| {
            pack_name(path).is_none_or(|name| !self.map.pack(&name).is_ok_and(|row| row.is_none()))
        };
        let mended = spread.mend(&objects, read, &counts).await;
        let mended = mended.map_err(|source| PackError::Store { doing: "mending", source })?;
        if mended.lost > 0 {
            let Mended { lost, made, .. } = mended;
            tracing::warn!(lost, made, "stores of a backend had lost or altered parts");
        }
        self.tell_beyond(&mended)?;
        Ok(mended)
    }

    /// What cannot be made anew from its shards is bad, and its blobs are fetched from other nodes.
    fn tell_beyond(&self, mended: &Mended) -> Result<(), PackError> {
        let mut bad = Vec::new();
        for path in &mended.beyond {
            let row = match pack_name(&Path::from(path.as_str())) {
                Some(name) => self.map.pack(&name)?,
                None => None,
            };
            let damage = Damage::Missing;
            bad.extend(row.map(|row| BadPack { name: path.clone(), damage, blobs: row.blobs }));
        }
        if !bad.is_empty() {
            let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            health.bad.retain(|known| bad.iter().all(|bad| bad.name != known.name));
            health.bad.extend(bad);
            drop(health);
            self.found.notify_one();
        }
        Ok(())
    }

    /// Reads the next pack of the round if it is due, and says how long to rest then.
    async fn read_on(self: &Arc<Self>, spread: &Spread) -> Result<Duration, PackError> {
        let (wall, span) = (now(), self.pace.round.as_millis().max(1));
        let next = self.on_map(move |map| {
            let round = map.round()?;
            let Some(began) = round.began else {
                return map.set_round(Round { at: 0, began: Some(wall) }).map(|()| None);
            };
            // After a time in which nothing ran, what is due is caught up with; a clock that was set back
            // only makes it wait.
            let age = u128::from(wall.0.saturating_sub(began.0));
            let due = age.saturating_mul(u128::from(u64::MAX)) / span;
            let next = map.packs()?.into_iter().find(|pack| place_in_round(&pack.name) >= round.at);
            if next.is_none() && due >= u128::from(u64::MAX) {
                map.set_round(Round { at: 0, began: Some(wall) })?;
            }
            let next = next.filter(|pack| u128::from(place_in_round(&pack.name)) <= due);
            Ok(next.map(|pack| (pack, began)))
        });
        let Some((pack, began)) = next.await? else { return Ok(self.pace.tend) };
        self.mend_packs(spread, Ok(vec![pack]), true).await?;
        let at = place_in_round(&pack.name).saturating_add(1);
        self.on_map(move |map| map.set_round(Round { at, began: Some(began) })).await?;
        Ok(Duration::from_millis(pack.len.saturating_mul(1000) / READ_A_SECOND))
    }
}

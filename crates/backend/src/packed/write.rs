//! Blobs that arrive within a moment go into one pack, and are acknowledged together once the
//! store has shown that it has it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use freehold_disk::{BlobRow, NewPack, PackName};
use freehold_wire::{BlobName, Bounded, Millis};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStoreExt as _, PutPayload};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Inner, now, place, random_name, short};
use crate::PackError;
use crate::error::{Damage, is_missing};
use crate::pack::{Index, MOST, Row, Sealed, Sealer};

/// Enough for a pack: what is left of the largest length is for the index.
pub(super) const ENOUGH: usize = 7 << 20;
/// A larger blob has a pack of its own.
pub(super) const ALONE: usize = 1 << 20;
/// Bytes of a pack's end that are read back.
pub(super) const LOOKED_AT: usize = 256;

type Told = Result<(), Arc<PackError>>;

/// A blob with its bytes.
pub(super) struct Blob {
    pub(super) name: BlobName,
    pub(super) bytes: Bytes,
    pub(super) at: Millis,
}

struct Item {
    blob: Blob,
    done: oneshot::Sender<Told>,
    /// Memory for it, given back when it has been written.
    room: OwnedSemaphorePermit,
}

/// Blobs that wait for a pack.
#[derive(Default)]
pub(super) struct Waiting {
    items: Vec<Item>,
    bytes: usize,
}

impl Waiting {
    fn is_enough(&self) -> bool {
        self.bytes >= ENOUGH || self.items.len() >= MOST
    }

    /// What goes into the next pack, oldest first.
    fn take(&mut self) -> Vec<Item> {
        let mut bytes = 0;
        let mut fits = |item: &Item| {
            bytes += item.blob.bytes.len();
            bytes <= ENOUGH
        };
        let count =
            self.items.iter().take(MOST).map_while(|item| Some(item).filter(|item| fits(item))).count();
        let taken: Vec<Item> = self.items.drain(..count.max(1).min(self.items.len())).collect();
        self.bytes -= taken.iter().map(|item| item.blob.bytes.len()).sum::<usize>();
        taken
    }
}

impl Inner {
    /// Stores a small blob together with others, and returns when it is there.
    pub(super) async fn put_small(&self, name: BlobName, bytes: Bytes) -> Told {
        let kib = u32::try_from(bytes.len() / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        let room = room.map_err(|_| Arc::new(PackError::Closing))?;
        let (done, told) = oneshot::channel();
        let item = Item { blob: Blob { name, bytes, at: now() }, done, room };
        let enough = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.bytes += item.blob.bytes.len();
            waiting.items.push(item);
            waiting.is_enough()
        };
        self.wake.notify_one();
        if enough {
            self.full.notify_one();
        }
        told.await.unwrap_or_else(|_| Err(Arc::new(PackError::Closing)))
    }

    /// Makes packs of what waits, until it is cancelled.
    pub(super) async fn gather(self: Arc<Self>, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.wake.notified() => {}
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.full.notified() => {}
                () = tokio::time::sleep(self.pace.gather) => {}
            }
            loop {
                // What arrives while all flights are out shares the next one.
                let Ok(flight) = Arc::clone(&self.flights).acquire_owned().await else { return };
                let batch = {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    waiting.take()
                };
                if batch.is_empty() {
                    break;
                }
                let inner = Arc::clone(&self);
                self.tasks.spawn(async move {
                    inner.write_batch(batch).await;
                    drop(flight);
                });
            }
        }
        // Whoever still waits is told by the loss of its sender.
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
    }

    async fn write_batch(self: Arc<Self>, batch: Vec<Item>) {
        let (mut blobs, mut waiters) = (BTreeMap::new(), Vec::new());
        for Item { blob, done, room } in batch {
            // Of two under one name the later one counts, as if the first had been overwritten.
            blobs.insert(blob.name, blob);
            waiters.push((done, room));
        }
        let written = self.write_pack(blobs.into_values().collect(), None).await;
        let told = self.heard(written).map_err(Arc::new);
        for (done, _) in waiters {
            // Who went away does not want to know.
            done.send(told.clone()).ok();
        }
    }

    /// Writes a pack and takes it into the map. `from`: the packs that the blobs lay in until now.
    pub(super) async fn write_pack(
        self: &Arc<Self>,
        blobs: Vec<Blob>,
        from: Option<Vec<PackName>>,
    ) -> Result<(), PackError> {
        let name = random_name();
        let inner = Arc::clone(self);
        let made = self.tasks.spawn_blocking(move || {
            let seq = inner.map.begin(name)?;
            Ok::<_, PackError>(inner.seal(name, seq, &blobs))
        });
        let (bytes, new) = made.await.map_err(|_| PackError::Closing)??;
        let stored = self.store_pack(&new, bytes).await;
        self.finish(new, from, stored).await
    }

    fn seal(&self, name: PackName, seq: u64, blobs: &[Blob]) -> (Bytes, NewPack) {
        let mut sealer = Sealer::new(&self.key, &name);
        let (mut out, mut rows, mut placed, mut offset) = (Vec::new(), Vec::new(), Vec::new(), 0u64);
        for blob in blobs {
            sealer.push(&blob.bytes, &mut out);
            let len = blob.bytes.len() as u64;
            rows.push(Row { name: blob.name, len, at: blob.at.0 });
            placed.push(BlobRow { name: blob.name, pack: name, offset, len, modified: blob.at });
            offset = offset.saturating_add(len);
        }
        // Nobody hands in more than that.
        let blobs = Bounded::fill(&mut rows.into_iter());
        let index = Index { seq, at: now().0, blobs }.encode();
        let zeros = usize::try_from(sealer.padding(&index)).unwrap_or(0);
        sealer.push(&vec![0; zeros], &mut out);
        let Sealed { len, hash } = sealer.finish(&index, &mut out);
        (out.into(), NewPack { name, len, hash: Some(hash), seq, blobs: placed })
    }

    async fn store_pack(&self, pack: &NewPack, bytes: Bytes) -> Result<(), PackError> {
        let _flying = self.reserve(pack.len)?;
        let path = place(&pack.name);
        let failed = |source| PackError::Store { doing: "writing a pack", source };
        self.store.put(&path, PutPayload::from_bytes(bytes.clone())).await.map_err(failed)?;
        let tail = bytes.slice(bytes.len().saturating_sub(LOOKED_AT)..);
        self.see(&path, &pack.name, pack.len, &tail).await
    }

    /// Takes a pack into the map, or sees to it that nothing of it stays.
    pub(super) async fn finish(
        self: &Arc<Self>,
        pack: NewPack,
        from: Option<Vec<PackName>>,
        stored: Result<(), PackError>,
    ) -> Result<(), PackError> {
        let (name, len) = (pack.name, pack.len);
        self.weighed(len, stored.as_ref().err().map(|error| error as _));
        if let Err(error) = stored {
            self.on_map(move |map| map.give_up(name)).await?;
            self.tend.notify_one();
            return Err(error);
        }
        self.on_map(move |map| match from {
            Some(from) => map.moved(pack, from),
            None => map.keep(pack),
        })
        .await?;
        self.kept.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    /// Room on the store for so many bytes, until it is dropped.
    pub(super) fn reserve(&self, len: u64) -> Result<Flying<'_>, PackError> {
        let flying = self.flying.fetch_add(len, Ordering::Relaxed).saturating_add(len);
        let held = Flying { inner: self, len };
        let kept = self.kept.load(Ordering::Relaxed);
        match self.capacity {
            Some(capacity) if kept.saturating_add(flying) > capacity => {
                self.tend.notify_one();
                let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Err(PackError::Full { kept, capacity, source })
            }
            _ => Ok(held),
        }
    }

    /// Reads the end of a pack back: a store that says "stored" may not have.
    pub(super) async fn see(
        &self,
        path: &Path,
        name: &PackName,
        len: u64,
        tail: &[u8],
    ) -> Result<(), PackError> {
        let mut wait = self.pace.between;
        let mut damage = Damage::Missing;
        for attempt in 0..self.pace.tries.max(1) {
            if attempt > 0 {
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2);
            }
            match self.look(path, len, tail).await? {
                None => return Ok(()),
                Some(found) => damage = found,
            }
        }
        Err(PackError::NotKept { pack: short(name), damage })
    }

    async fn look(&self, path: &Path, len: u64, tail: &[u8]) -> Result<Option<Damage>, PackError> {
        let range = len.saturating_sub(tail.len() as u64)..len;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let failed = |source| PackError::Store { doing: "reading a pack back", source };
        let error = match self.store.get_opts(path, options).await {
            Ok(found) if found.meta.size != len => return Ok(Some(Damage::Cut)),
            Ok(found) => match found.bytes().await {
                Ok(bytes) if bytes == tail => return Ok(None),
                Ok(_) => return Ok(Some(Damage::Altered)),
                Err(error) => error,
            },
            Err(error) if is_missing(&error) => return Ok(Some(Damage::Missing)),
            Err(error) => error,
        };
        // A range that a shorter object does not have is an error of its own.
        match self.store.head(path).await {
            Ok(meta) if meta.size != len => Ok(Some(Damage::Cut)),
            Err(error) if is_missing(&error) => Ok(Some(Damage::Missing)),
            _ => Err(failed(error)),
        }
    }
}

/// Bytes on their way to the store.
pub(super) struct Flying<'a> {
    inner: &'a Inner,
    len: u64,
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        self.inner.flying.fetch_sub(self.len, Ordering::Relaxed);
    }
}

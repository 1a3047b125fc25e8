//! Making lost shards anew: of a store that was away, was replaced, or has damaged what it had.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _, Result};
use tokio::io::AsyncWriteExt as _;

use super::shard::Cutter;
use super::{Inner, Miss, Spread};

/// What a look at all shards found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// Objects looked at.
    pub objects: u64,
    /// Shards that were not there, or not whole.
    pub lost: u64,
    /// Shards made anew.
    pub made: u64,
    /// Objects of which too few shards are left.
    pub beyond: Vec<String>,
    /// What a store answered last where it did not do what it was asked.
    pub last_error: Option<String>,
}

impl Mended {
    fn failed(&mut self, error: &Error) {
        self.last_error = Some(crate::packed::chain(error));
    }
}

/// Whether an object still counts: it may be removed at any time.
pub type Counts<'a> = &'a (dyn Fn(&Path) -> bool + Send + Sync);

impl Spread {
    /// Looks for shards of these objects, of the given lengths, that are missing or cut, and makes them
    /// anew. With `read` every shard is read, so that altered ones are found; without, a store is believed
    /// that lists one in its length. What a store that does not answer should have is left for the next
    /// time.
    ///
    /// # Errors
    /// What the stores answered, if too many of them cannot be listed.
    pub async fn mend(&self, objects: &[(Path, u64)], read: bool, counts: Counts<'_>) -> Result<Mended> {
        let mut mended = Mended::default();
        let (mut listed, mut failed) = (BTreeMap::new(), Vec::new());
        if read {
            listed.extend(self.inner.stores.iter().enumerate().map(|(shard, _)| (shard, BTreeMap::new())));
        } else {
            for (shard, list) in self.inner.listings(None).await.into_iter().enumerate() {
                match list {
                    Ok(list) => drop(listed.insert(shard, list)),
                    Err(error) => failed.push(error),
                }
            }
        }
        if let Some(error) = failed.pop() {
            if failed.len() >= self.parity() {
                return Err(error);
            }
            mended.failed(&error);
        }
        for (path, len) in objects {
            mended.objects += 1;
            let whole = self.inner.code.shard_len(*len);
            let doubted = listed.iter().filter(|(_, list)| read || list.get(path) != Some(&whole));
            let doubted: Vec<usize> = doubted.map(|(shard, _)| *shard).collect();
            for away in self.inner.mend((path, *len), &doubted, read, counts, &mut mended).await {
                listed.remove(&away);
            }
        }
        Ok(mended)
    }
}

impl Inner {
    /// Makes those of an object's shards anew that need to be. Returns the stores that do not do what they
    /// are asked.
    async fn mend(
        &self,
        (path, len): (&Path, u64),
        doubted: &[usize],
        read: bool,
        counts: Counts<'_>,
        mended: &mut Mended,
    ) -> Vec<usize> {
        let (mut lost, mut away) = (Vec::new(), Vec::new());
        for shard in doubted {
            match self.is_whole(path, len, *shard, read).await {
                Ok(true) => {}
                Ok(false) => lost.push(*shard),
                Err(error) => {
                    mended.failed(&error);
                    away.push(*shard);
                }
            }
        }
        if lost.is_empty() || !counts(path) {
            return away;
        }
        mended.lost += lost.len() as u64;
        for shard in lost {
            match self.make(path, len, shard).await {
                Ok(()) if counts(path) => mended.made += 1,
                // Removed in the meantime, perhaps before this shard was there.
                Ok(()) => self.unmake(path, shard, mended).await,
                Err(Error::NotFound { .. }) => {
                    if counts(path) {
                        mended.beyond.push(path.to_string());
                    }
                    break;
                }
                Err(error) => {
                    mended.failed(&error);
                    // What it did store of it must not outlive the object.
                    if !counts(path) {
                        self.unmake(path, shard, mended).await;
                    }
                    away.push(shard);
                }
            }
        }
        away
    }

    async fn unmake(&self, path: &Path, shard: usize, mended: &mut Mended) {
        let Some(store) = self.stores.get(shard) else { return };
        match store.delete(path).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => mended.failed(&error),
        }
    }

    /// Makes a shard anew from the others.
    async fn make(&self, path: &Path, len: u64, shard: usize) -> Result<()> {
        let store = self.stores.get(shard).map(Arc::clone);
        let Some(store) = store else { return Ok(()) };
        let mut out = BufWriter::new(store, path.clone());
        let failed = |source: std::io::Error| Error::Generic { store: "spread", source: source.into() };
        let made = async {
            let mut cutter = Cutter::new(self.code, &self.key, path.as_ref());
            let step = self.at_once().saturating_mul(self.code.stripe());
            let mut at = 0;
            while at < len {
                let next = len.min(at.saturating_add(step));
                cutter.push(&self.range(path, len, at..next).await?);
                at = next;
                self.give(&mut cutter, shard, &mut out).await.map_err(failed)?;
            }
            cutter.finish();
            self.give(&mut cutter, shard, &mut out).await.map_err(failed)?;
            out.shutdown().await.map_err(failed)
        };
        let made: Result<()> = made.await;
        if let Err(error) = made {
            // What was begun there counts for nothing; a store may keep it until it lapses.
            drop(out.abort().await);
            return Err(error);
        }
        match self.end_of(shard, path).await {
            Ok(meta) if meta.size == len => Ok(()),
            Err(Miss::Failed(error)) => Err(error),
            _ => {
                let source = "a shard that was said to be stored is not there".into();
                Err(Error::Generic { store: "spread", source })
            }
        }
    }

    async fn give(&self, cutter: &mut Cutter, shard: usize, out: &mut BufWriter) -> std::io::Result<()> {
        for (i, bytes) in cutter.shards.iter_mut().enumerate() {
            let bytes = std::mem::take(bytes);
            if i == shard {
                out.put(Bytes::from(bytes)).await?;
            }
        }
        Ok(())
    }

    async fn is_whole(&self, path: &Path, len: u64, shard: usize, read: bool) -> Result<bool> {
        let look = async {
            self.end_of(shard, path).await?;
            let (mut at, all) = (0, self.code.stripes(len));
            while read && at < all {
                let next = all.min(at.saturating_add(self.at_once()));
                self.chunks(shard, path, len, at..next).await?;
                at = next;
            }
            Ok(())
        };
        match look.await {
            Ok(()) => Ok(true),
            Err(Miss::Lost) => Ok(false),
            Err(Miss::Failed(error)) => Err(error),
        }
    }
}

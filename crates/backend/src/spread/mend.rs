//! Making lost shards anew: of a store that was away, was replaced, or has damaged what it had.

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error, Result};
use std::sync::Arc;
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

impl Spread {
    /// Looks for shards that are missing or have another length, and makes them anew. With `read`
    /// every shard is read as well, so that altered ones are found. Objects are done one after
    /// another; what a store that does not answer should have is left for the next time.
    ///
    /// # Errors
    /// What the stores answered, if too many of them cannot be listed.
    pub async fn mend(&self, read: bool) -> Result<Mended> {
        let mut mended = Mended::default();
        for (path, shards) in self.inner.shards(None).await? {
            mended.objects += 1;
            let len = match self.inner.meta(&path).await {
                Ok(meta) => meta.size,
                Err(Error::NotFound { .. }) => {
                    mended.beyond.push(path.to_string());
                    continue;
                }
                Err(error) => {
                    mended.last_error = Some(crate::packed::chain(&error));
                    continue;
                }
            };
            for (shard, listed) in shards.into_iter().enumerate() {
                let there = listed == Some(self.inner.code.shard_len(len));
                match self.inner.mend(&path, len, shard, there, read).await {
                    Ok(true) => {}
                    Ok(false) => {
                        mended.lost += 1;
                        mended.made += 1;
                    }
                    Err(Error::NotFound { .. }) => {
                        mended.lost += 1;
                        mended.beyond.push(path.to_string());
                        break;
                    }
                    Err(error) => {
                        mended.lost += u64::from(!there);
                        mended.last_error = Some(crate::packed::chain(&error));
                    }
                }
            }
        }
        Ok(mended)
    }
}

impl Inner {
    /// Makes a shard anew if it needs to be; says whether it was whole.
    async fn mend(&self, path: &Path, len: u64, shard: usize, there: bool, read: bool) -> Result<bool> {
        if there && self.is_whole(path, len, shard, read).await? {
            return Ok(true);
        }
        let store = self.stores.get(shard).map(Arc::clone);
        let Some(store) = store else { return Ok(true) };
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
            Ok(meta) if meta.size == len => Ok(false),
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

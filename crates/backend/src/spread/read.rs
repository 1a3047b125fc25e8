//! Reading: from the shards that hold the bytes, and from others where one of those is of no use.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use super::shard::{CHUNK, Code};
use super::{Inner, Miss, PATIENCE, too_few};

/// Chunks of one shard, one for each stripe of a run.
type Chunks = Vec<Vec<u8>>;

impl Inner {
    /// Bytes of an object that is `len` long. All stripes that they lie in are held in memory.
    pub(super) async fn range(
        &self,
        path: &Path,
        len: u64,
        range: Range<u64>,
    ) -> object_store::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let whole = self.code.stripe();
        let run = range.start / whole..range.end.div_ceil(whole);
        let begins = run.start.saturating_mul(whole);
        let wanted = self.holders(len, &run, &range);
        let gathered = self.gather(&wanted, path, len, &run).await;
        let have = gathered.map_err(|misses| too_few(self.code, path, misses))?;
        let bytes = self.assemble(len, &run, &have);
        let bytes = bytes.ok_or_else(|| too_few(self.code, path, Vec::new()))?;
        let at = |place: u64| usize::try_from(place.saturating_sub(begins)).unwrap_or(usize::MAX);
        Ok(Bytes::from(bytes).slice(at(range.start)..at(range.end)))
    }

    /// The shards in which a range lies as it is.
    fn holders(&self, len: u64, run: &Range<u64>, range: &Range<u64>) -> Vec<usize> {
        let data = usize::from(self.code.data);
        // Who is slow is asked only where there is no other.
        let mut quick = self.in_order();
        quick.truncate(data);
        quick.sort_unstable();
        if run.end - run.start > 1 {
            return quick;
        }
        let chunk = self.code.chunk(len, run.start).max(1);
        let from = range.start - run.start.saturating_mul(self.code.stripe());
        let to = range.end - run.start.saturating_mul(self.code.stripe());
        let of = |place: u64| usize::try_from(place / chunk).unwrap_or(usize::MAX);
        let exact: Vec<usize> = (of(from)..=of(to.saturating_sub(1))).filter(|shard| *shard < data).collect();
        if exact.iter().all(|shard| quick.contains(shard)) { exact } else { quick }
    }

    /// The chunks that are wanted, or as many as give those back, where one is of no use or late.
    async fn gather(
        &self,
        wanted: &[usize],
        path: &Path,
        len: u64,
        run: &Range<u64>,
    ) -> Result<BTreeMap<usize, Chunks>, Vec<Miss>> {
        let data = usize::from(self.code.data);
        let ask = |shard| async move { (shard, self.chunks(shard, path, len, run.clone()).await) };
        // The rest of the data first: with all of it there is nothing to work out.
        let mut others = self.in_order().into_iter().filter(|shard| !wanted.contains(shard));
        let mut asked: FuturesUnordered<_> = wanted.iter().copied().map(ask).collect();
        let mut open: BTreeSet<usize> = wanted.iter().copied().collect();
        let (mut have, mut misses, mut late) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        while !wanted.iter().all(|shard| have.contains_key(shard)) && have.len() < data {
            match tokio::time::timeout(PATIENCE, asked.next()).await {
                Ok(Some((shard, answer))) => {
                    open.remove(&shard);
                    late.remove(&shard);
                    self.heard(shard, answer.as_ref().err());
                    match answer {
                        Ok(chunks) => drop(have.insert(shard, chunks)),
                        Err(miss) => {
                            if matches!(miss, Miss::Lost) {
                                self.suspect(path);
                            }
                            misses.push(miss);
                        }
                    }
                }
                Ok(None) => return Err(misses),
                Err(_) => {
                    self.are_slow(&open);
                    late.clone_from(&open);
                }
            }
            if !misses.is_empty() || !late.is_empty() {
                let expected = have.len() + open.len() - late.len();
                for shard in others.by_ref().take(data.saturating_sub(expected)) {
                    open.insert(shard);
                    asked.push(ask(shard));
                }
            }
        }
        Ok(have)
    }

    /// The chunks of a run of stripes in one shard, with tags that are right.
    pub(super) async fn chunks(
        &self,
        shard: usize,
        path: &Path,
        len: u64,
        run: Range<u64>,
    ) -> Result<Chunks, Miss> {
        let store = self.stores.get(shard).ok_or(Miss::Lost)?;
        let from = Code::offset(run.start);
        let span = from..self.code.end(len, run.end.saturating_sub(1));
        let options = GetOptions { range: Some(GetRange::Bounded(span)), ..GetOptions::default() };
        let bytes = match store.get_opts(path, options).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            // A range that a shorter shard does not have is an error of its own.
            Err(error) => match self.end_of(shard, path).await {
                Ok(_) => return Err(error.into()),
                Err(why) => return Err(why),
            },
        };
        let tags = self.tags(path);
        run.map(|stripe| {
            let place = |at: u64| usize::try_from(at - from).unwrap_or(usize::MAX);
            let tagged = bytes.get(place(Code::offset(stripe))..place(self.code.end(len, stripe)));
            let chunk = tagged.and_then(|tagged| tags.chunk(shard, stripe, tagged));
            chunk.map(<[u8]>::to_vec).ok_or(Miss::Lost)
        })
        .collect()
    }

    /// The bytes of a run of stripes. Of chunks that nobody asked for there are zeros.
    fn assemble(&self, len: u64, run: &Range<u64>, have: &BTreeMap<usize, Chunks>) -> Option<Vec<u8>> {
        let few = have.len() < usize::from(self.code.data);
        let mut bytes = Vec::new();
        for (at, stripe) in run.clone().enumerate() {
            let chunks: BTreeMap<usize, &[u8]> = have
                .iter()
                .filter_map(|(shard, chunks)| Some((*shard, chunks.get(at)?.as_slice())))
                .collect();
            let held = if few {
                let chunk = usize::try_from(self.code.chunk(len, stripe)).ok()?;
                let zeros = vec![0; chunk];
                let all = 0..usize::from(self.code.data);
                all.flat_map(|shard| chunks.get(&shard).copied().unwrap_or(&zeros).to_vec()).collect()
            } else {
                self.code.restore(&chunks)?
            };
            // The last stripe is filled up.
            let whole = len.saturating_sub(stripe.saturating_mul(self.code.stripe())).min(self.code.stripe());
            bytes.extend_from_slice(held.get(..usize::try_from(whole).ok()?)?);
        }
        Some(bytes)
    }

    /// Stripes that are read at once.
    pub(super) fn at_once(&self) -> u64 {
        const MEMORY: u64 = 4 << 20;
        (MEMORY / (CHUNK * u64::from(self.code.data))).max(1)
    }
}

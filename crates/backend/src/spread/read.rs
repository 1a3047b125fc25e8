//! Reading: from the shards that hold the bytes, and from others where one of those is of no use.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use super::shard::{CHUNK, Code};
use super::{Inner, Miss, too_few};

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
        let mut have = BTreeMap::new();
        let mut misses = Vec::new();
        self.ask(&wanted, path, len, &run, &mut have, &mut misses).await;
        let mut complete = misses.is_empty();
        if !complete {
            // The rest of the data first: with all of it there is nothing to work out.
            let mut others: Vec<usize> =
                (0..self.code.shards()).filter(|shard| !wanted.contains(shard)).collect();
            while have.len() < usize::from(self.code.data) && !others.is_empty() {
                let short = usize::from(self.code.data) - have.len();
                let next: Vec<usize> = others.drain(..short.min(others.len())).collect();
                self.ask(&next, path, len, &run, &mut have, &mut misses).await;
            }
            complete = have.len() >= usize::from(self.code.data);
        }
        let bytes = if complete { self.assemble(len, &run, &have) } else { None };
        let bytes = bytes.ok_or_else(|| too_few(self.code, path, misses))?;
        let at = |place: u64| usize::try_from(place.saturating_sub(begins)).unwrap_or(usize::MAX);
        Ok(Bytes::from(bytes).slice(at(range.start)..at(range.end)))
    }

    /// The shards in which a range lies as it is.
    fn holders(&self, len: u64, run: &Range<u64>, range: &Range<u64>) -> Vec<usize> {
        let data = usize::from(self.code.data);
        if run.end - run.start > 1 {
            return (0..data).collect();
        }
        let chunk = self.code.chunk(len, run.start).max(1);
        let from = range.start - run.start.saturating_mul(self.code.stripe());
        let to = range.end - run.start.saturating_mul(self.code.stripe());
        let of = |place: u64| usize::try_from(place / chunk).unwrap_or(usize::MAX);
        (of(from)..=of(to.saturating_sub(1))).filter(|shard| *shard < data).collect()
    }

    async fn ask(
        &self,
        shards: &[usize],
        path: &Path,
        len: u64,
        run: &Range<u64>,
        have: &mut BTreeMap<usize, Chunks>,
        misses: &mut Vec<Miss>,
    ) {
        let asked = shards
            .iter()
            .map(|shard| async move { (*shard, self.chunks(*shard, path, len, run.clone()).await) });
        for (shard, chunks) in join_all(asked).await {
            match chunks {
                Ok(chunks) => drop(have.insert(shard, chunks)),
                Err(miss) => misses.push(miss),
            }
        }
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

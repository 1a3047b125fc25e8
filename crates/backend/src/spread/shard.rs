//! How an object becomes shards: stripes of `data` chunks, to which Reed-Solomon adds `parity` more.
//! Shard `i` is the `i`th chunk of every stripe, each with a tag that only this backend can make, and
//! an end that says how long the object is. docs/formats/backend.md has it byte by byte.

use std::collections::BTreeMap;

use freehold_crypt::Secret;
use freehold_crypt::hash::Hasher;

/// Bytes of a chunk in all stripes but the last.
pub(super) const CHUNK: u64 = 64 << 10;
pub(super) const TAG: usize = 16;
const TAG_LEN: u64 = TAG as u64;
/// The object's length, how many shards of which kind, and a tag.
pub(super) const END: u64 = 8 + 2 + TAG_LEN;

/// How many shards an object has, and how many of them give it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) data: u8,
    pub(super) parity: u8,
}

impl Code {
    pub(super) fn shards(self) -> usize {
        usize::from(self.data) + usize::from(self.parity)
    }

    /// Shards that must be stored before an object counts: one more than give it back, at least.
    pub(super) fn enough(self) -> usize {
        usize::from(self.data) + usize::from(self.parity.div_ceil(2))
    }

    /// Bytes of the object in a whole stripe.
    pub(super) fn stripe(self) -> u64 {
        CHUNK * u64::from(self.data)
    }

    pub(super) fn stripes(self, len: u64) -> u64 {
        len.div_ceil(self.stripe())
    }

    /// Bytes of a chunk in one stripe of an object.
    pub(super) fn chunk(self, len: u64, stripe: u64) -> u64 {
        let rest = len.saturating_sub(stripe.saturating_mul(self.stripe())).min(self.stripe());
        rest.div_ceil(u64::from(self.data)).next_multiple_of(2)
    }

    /// Where in a shard a stripe's chunk begins.
    pub(super) const fn offset(stripe: u64) -> u64 {
        stripe.saturating_mul(CHUNK + TAG_LEN)
    }

    /// Where in a shard a stripe's chunk and its tag end.
    pub(super) fn end(self, len: u64, stripe: u64) -> u64 {
        Self::offset(stripe).saturating_add(self.chunk(len, stripe)).saturating_add(TAG_LEN)
    }

    /// Bytes of each shard of an object.
    pub(super) fn shard_len(self, len: u64) -> u64 {
        self.stripes(len).checked_sub(1).map_or(0, |last| self.end(len, last)).saturating_add(END)
    }

    /// The chunks of a stripe, `parity` ones last.
    fn chunks(self, stripe: &[u8], chunk: usize) -> Vec<Vec<u8>> {
        let mut chunks: Vec<Vec<u8>> = (0..usize::from(self.data))
            .map(|i| {
                let from = (i * chunk).min(stripe.len());
                let mut bytes = stripe.get(from..stripe.len().min(from + chunk)).unwrap_or_default().to_vec();
                bytes.resize(chunk, 0);
                bytes
            })
            .collect();
        // It fails for counts and lengths that cannot come: `Spread::new` looks at them.
        let more = reed_solomon_simd::encode(self.data.into(), self.parity.into(), &chunks);
        chunks.extend(more.unwrap_or_default());
        chunks
    }

    /// Whether the chunks of a stripe that are there fit together; its first bytes, so many as are the
    /// object's, go through the hash.
    pub(super) fn fits(self, chunks: &BTreeMap<usize, &[u8]>, whole: u64, hash: &mut Hasher) -> bool {
        let len = chunks.values().next().map_or(0, |chunk| chunk.len());
        let Some(stripe) = self.restore(chunks) else { return false };
        hash.update(usize::try_from(whole).ok().and_then(|whole| stripe.get(..whole)).unwrap_or(&stripe));
        let again = self.chunks(&stripe, len);
        chunks.iter().all(|(shard, chunk)| again.get(*shard).is_some_and(|made| made == chunk))
    }

    /// The bytes of a stripe from any `data` of its chunks; nothing if they do not fit together.
    pub(super) fn restore(self, chunks: &BTreeMap<usize, &[u8]>) -> Option<Vec<u8>> {
        let data = usize::from(self.data);
        let original = chunks.iter().filter(|(i, _)| **i < data).map(|(i, chunk)| (*i, *chunk));
        let parity = chunks.iter().filter_map(|(i, chunk)| Some((i.checked_sub(data)?, *chunk)));
        let restored = if (0..data).all(|i| chunks.contains_key(&i)) {
            BTreeMap::new()
        } else {
            reed_solomon_simd::decode(data, self.parity.into(), original, parity).ok()?
        };
        let mut stripe = Vec::new();
        for i in 0..data {
            let chunk = chunks.get(&i).copied().or_else(|| restored.get(&i).map(Vec::as_slice));
            stripe.extend_from_slice(chunk?);
        }
        Some(stripe)
    }
}

/// Makes and checks the tags of one object's shards.
pub(super) struct Tags(Hasher);

impl Tags {
    pub(super) fn new(key: &Secret, name: &str) -> Self {
        let mut hash = Hasher::new("freehold 2026 backend shard");
        hash.update(key.expose()).update(&(name.len() as u64).to_be_bytes()).update(name.as_bytes());
        Self(hash)
    }

    fn tag(&self, shard: usize, stripe: u64, bytes: &[u8]) -> [u8; TAG] {
        let mut hash = self.0.clone();
        let shard = u8::try_from(shard).unwrap_or(u8::MAX);
        hash.update(&[shard]).update(&stripe.to_be_bytes()).update(bytes);
        hash.finish().first_chunk().copied().unwrap_or_default()
    }

    /// A chunk without its tag, if that is right.
    pub(super) fn chunk<'a>(&self, shard: usize, stripe: u64, tagged: &'a [u8]) -> Option<&'a [u8]> {
        let (bytes, tag) = tagged.split_last_chunk::<TAG>()?;
        (self.tag(shard, stripe, bytes) == *tag).then_some(bytes)
    }

    fn end(&self, code: Code, shard: usize, len: u64) -> Vec<u8> {
        let mut end = len.to_be_bytes().to_vec();
        end.extend([code.data, code.parity]);
        end.extend(self.tag(shard, u64::MAX, &end));
        end
    }

    /// The length of the object that a shard's end tells, if it is right.
    pub(super) fn len(&self, code: Code, shard: usize, end: &[u8]) -> Option<u64> {
        let told = self.chunk(shard, u64::MAX, end)?;
        let (len, counts) = told.split_first_chunk::<8>()?;
        (counts == [code.data, code.parity]).then_some(u64::from_be_bytes(*len))
    }
}

/// Makes shards of an object that comes in pieces.
pub(super) struct Cutter {
    code: Code,
    tags: Tags,
    waiting: Vec<u8>,
    stripe: u64,
    len: u64,
    /// What of each shard has not been taken yet; all have the same length.
    pub(super) shards: Vec<Vec<u8>>,
}

impl Cutter {
    pub(super) fn new(code: Code, key: &Secret, name: &str) -> Self {
        let shards = vec![Vec::new(); code.shards()];
        Self { code, tags: Tags::new(key, name), waiting: Vec::new(), stripe: 0, len: 0, shards }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        self.len = self.len.saturating_add(bytes.len() as u64);
        let whole = usize::try_from(self.code.stripe()).unwrap_or(usize::MAX);
        while self.waiting.len() + bytes.len() >= whole {
            let (now, rest) = bytes.split_at(whole - self.waiting.len());
            self.waiting.extend_from_slice(now);
            bytes = rest;
            self.cut();
        }
        self.waiting.extend_from_slice(bytes);
    }

    fn cut(&mut self) {
        let stripe = std::mem::take(&mut self.waiting);
        let chunk = self.code.chunk(stripe.len() as u64, 0);
        let chunks = self.code.chunks(&stripe, usize::try_from(chunk).unwrap_or(usize::MAX));
        for (i, (out, chunk)) in self.shards.iter_mut().zip(chunks).enumerate() {
            out.extend_from_slice(&chunk);
            out.extend(self.tags.tag(i, self.stripe, &chunk));
        }
        self.stripe += 1;
        // For the next stripe, without asking for memory again.
        self.waiting = stripe;
        self.waiting.clear();
    }

    /// Ends the shards, and says how long the object was.
    pub(super) fn finish(&mut self) -> u64 {
        if !self.waiting.is_empty() {
            self.cut();
        }
        for (i, out) in self.shards.iter_mut().enumerate() {
            out.extend(self.tags.end(self.code, i, self.len));
        }
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_what_comes_out() {
        let key = Secret::from_bytes([1; 32]);
        for (data, parity) in [(1, 1), (2, 1), (3, 2), (10, 4)] {
            let code = Code { data, parity };
            let whole = code.stripe();
            for len in [0, 1, 2, 3, 100, whole - 1, whole, whole + 1, 2 * whole, 2 * whole + 7] {
                let mut cutter = Cutter::new(code, &key, "name");
                for piece in vec![7u8; usize::try_from(len).unwrap()].chunks(50_000) {
                    cutter.push(piece);
                }
                assert_eq!(cutter.finish(), len);
                for (i, shard) in cutter.shards.iter().enumerate() {
                    assert_eq!(shard.len() as u64, code.shard_len(len), "{code:?} {len}");
                    let end = &shard[shard.len() - usize::try_from(END).unwrap()..];
                    assert_eq!(cutter.tags.len(code, i, end), Some(len));
                    assert_eq!(cutter.tags.len(code, i + 1, end), None);
                }
            }
        }
    }
}

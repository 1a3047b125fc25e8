//! Repeatable randomness and one of each thing, for the tests of every module here.

use std::ops::Range;

use freehold_crypt::{Entropy, Secret, hash};
use freehold_wire::{BlobName, BucketId, Digest, NodeId, RealmId};

use crate::{
    Binding, BlobOpener, BlobSealer, BucketKey, HEADER_LEN, ObjectKey, OpenError, PayloadPlace, RangePlan,
    SEALED_CHUNK_LEN, SealedSummary, VersionId, plan_range,
};

/// Random bytes that follow from a seed.
pub(crate) struct Seeded {
    seed: u64,
    drawn: u64,
}

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for block in out.chunks_mut(32) {
            let input = [self.seed.to_be_bytes(), self.drawn.to_be_bytes()].concat();
            block.copy_from_slice(&hash::digest("freehold 2026 test entropy", &input)[..block.len()]);
            self.drawn += 1;
        }
    }
}

/// `len` bytes that do not repeat within a chunk.
pub(crate) fn plaintext(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

pub(crate) const REALM: RealmId = RealmId::from_bytes([1; 32]);
pub(crate) const BUCKET: BucketId = BucketId::from_bytes([2; 32]);
pub(crate) const NODE: NodeId = NodeId::from_bytes([3; 32]);
pub(crate) const VERSION: VersionId = VersionId::from_bytes([4; 16]);

pub(crate) fn binding() -> Binding {
    Binding::new(REALM, BUCKET, "photos/2026/beach.jpg", VERSION)
}

pub(crate) fn object_key() -> ObjectKey {
    ObjectKey::from_secret(Secret::from_bytes([5; 32]))
}

pub(crate) fn bucket_key() -> BucketKey {
    BucketKey::from_secret(1, Secret::from_bytes([6; 32]))
}

pub(crate) fn place() -> PayloadPlace {
    PayloadPlace { realm: REALM, bucket: BUCKET, origin: NODE, seq: 7 }
}

/// Seals `plain` in pieces of `piece` bytes.
pub(crate) fn seal(plain: &[u8], piece: usize, seed: u64) -> (Vec<u8>, SealedSummary) {
    let mut out = Vec::new();
    let mut sealer = BlobSealer::new(&object_key(), &binding(), 1, &mut Seeded::new(seed));
    for piece in plain.chunks(piece) {
        sealer.push(piece, &mut out).unwrap();
    }
    let summary = sealer.finish(&mut out);
    (out, summary)
}

/// Opens a whole blob, `run` chunks at a time.
pub(crate) fn open(name: BlobName, cipher: &[u8], plain_len: u64, run: u64) -> Result<Vec<u8>, OpenError> {
    open_range(name, cipher, plain_len, 0..plain_len, run)
}

pub(crate) fn open_range(
    name: BlobName,
    cipher: &[u8],
    plain_len: u64,
    want: Range<u64>,
    run: u64,
) -> Result<Vec<u8>, OpenError> {
    let opener = BlobOpener::new(&object_key(), &binding(), 1, name, cipher)?;
    let plan = plan_range(plain_len, want).unwrap();
    let mut out = Vec::new();
    let mut next = plan.chunks.start;
    while next < plan.chunks.end {
        let chunks = next..plan.chunks.end.min(next + run);
        next = chunks.end;
        let mut served = served(cipher, &plan, &chunks).to_vec();
        let len = opener.open_run(plain_len, chunks, &mut served)?;
        out.extend_from_slice(&served[..len]);
    }
    let (skip, take) = (usize::try_from(plan.skip).unwrap(), usize::try_from(plan.take).unwrap());
    Ok(out[skip..skip + take].to_vec())
}

/// What a backend would give: bytes behind the end of the blob are simply not there.
pub(crate) fn served<'a>(cipher: &'a [u8], plan: &RangePlan, chunks: &Range<u64>) -> &'a [u8] {
    let there = |chunk: u64| {
        let at = HEADER_LEN as u64 + chunk * SEALED_CHUNK_LEN as u64;
        usize::try_from(at.min(plan.cipher.end)).unwrap().min(cipher.len())
    };
    &cipher[there(chunks.start)..there(chunks.end)]
}

pub(crate) fn plain_hash(bytes: &[u8]) -> Digest {
    let mut hasher = hash::Hasher::plain();
    hasher.update(bytes);
    Digest::from_bytes(hasher.finish())
}

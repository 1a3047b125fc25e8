//! Repeatable randomness and one of each thing, for the tests of every module here.

use freehold_crypt::{Entropy, Secret, hash};
use freehold_wire::{BlobName, BucketId, Digest, NodeId, RealmId};

use crate::{
    Binding, BlobOpener, BlobSealer, BucketKey, ObjectKey, OpenError, PayloadPlace, SealedSummary, VersionId,
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

/// Opens a whole blob, ciphertext pushed in pieces of `piece` bytes.
pub(crate) fn open(
    name: BlobName,
    cipher: &[u8],
    plain_len: u64,
    piece: usize,
) -> Result<Vec<u8>, OpenError> {
    open_range(name, cipher, plain_len, 0..plain_len, piece)
}

pub(crate) fn open_range(
    name: BlobName,
    cipher: &[u8],
    plain_len: u64,
    want: std::ops::Range<u64>,
    piece: usize,
) -> Result<Vec<u8>, OpenError> {
    let opener = BlobOpener::new(&object_key(), &binding(), 1, name, cipher)?;
    let mut range = opener.range(plain_len, want).unwrap();
    // What a backend would give: bytes behind the end of the blob are simply not there.
    let there = |at: u64| usize::try_from(at).unwrap().min(cipher.len());
    let (start, end) = (there(range.plan().cipher.start), there(range.plan().cipher.end));
    let mut out = Vec::new();
    for piece in cipher[start..end].chunks(piece) {
        range.push(piece, &mut out)?;
    }
    range.finish()?;
    Ok(out)
}

pub(crate) fn plain_hash(bytes: &[u8]) -> Digest {
    let mut hasher = hash::Hasher::plain();
    hasher.update(bytes);
    Digest::from_bytes(hasher.finish())
}

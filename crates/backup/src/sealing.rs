//! A blob as it lies in a pack, and a file as it lies beside them: compressed with zstd, sealed with the repository's key
//! (AES-256 in counter mode, Poly1305-AES), as restic's design says
//! (<https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac>). What was sealed is opened again
//! before it is kept: memory that errs is found while the original is still there.

#![expect(clippy::indexing_slicing, reason = "each buffer was made as long as what is taken from it")]

use std::io::Read as _;

use aes256ctr_poly1305aes::{
    Aes256CtrPoly1305Aes, Key,
    aead::{AeadInPlace, generic_array::GenericArray},
};
use rustic_core::repofile::MasterKey;
use zeroize::Zeroizing;
use zstd::{
    bulk::{Compressor, Decompressor},
    stream::read::Decoder,
    zstd_safe::DCtx,
};

const NONCE: usize = 16;
const TAG: usize = 16;
/// Nothing greater is set aside for, whatever an index says; a directory of a million files has half of it.
const BLOB_MAX: usize = 1 << 30;
/// As long as pieces of a file get by themselves, and what sealing adds.
const ROOM: usize = (8 << 20) + (64 << 10);
/// As much is compared at once.
const WINDOW: usize = 128 << 10;
/// What it takes for packs to be no larger than restic's.
const LEVEL: i32 = 2;
/// What stands before a file that is compressed.
const COMPRESSED: u8 = 2;

/// Why something was not sealed, or not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("compressing failed: {0}")]
    Compress(std::io::Error),
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("it was not sealed")]
    Seal,
    #[error("what was sealed does not open to what it was made of: this machine's memory or processor errs")]
    Differs,
}

/// Seals for one repository, in one thread: its buffers are used again.
pub(crate) struct Sealer {
    cipher: Aes256CtrPoly1305Aes,
    /// `None` where the repository is of a version that knows no compression.
    zstd: Option<(Compressor<'static>, Decompressor<'static>, DCtx<'static>)>,
    sealed: Vec<u8>,
    opened: Vec<u8>,
    window: Vec<u8>,
}

/// A blob, sealed.
pub(crate) struct Sealed<'a> {
    pub(crate) bytes: &'a [u8],
    /// How long it was, where it is compressed.
    pub(crate) uncompressed: Option<u32>,
}

impl Sealer {
    /// `level` is zstd's, 0 for what the repository leaves to us; `None` where nothing is compressed.
    pub(crate) fn new(key: &MasterKey, level: Option<i32>) -> Result<Self, SealError> {
        let mut whole = Zeroizing::new([0; 64]);
        for (to, from) in whole.iter_mut().zip(key.encrypt.iter().chain(&key.mac.k).chain(&key.mac.r)) {
            *to = *from;
        }
        let own = |level| if level == 0 { LEVEL } else { level };
        let zstd =
            level.map(|level| Ok((Compressor::new(own(level))?, Decompressor::new()?, DCtx::create())));
        let zstd = zstd.transpose().map_err(SealError::Compress)?;
        Ok(Self { zstd, ..Self::of(&whole) })
    }

    /// With a key as such, and compressing nothing.
    pub(crate) fn of(key: &[u8; 64]) -> Self {
        let cipher = Aes256CtrPoly1305Aes::new(Key::from_slice(key));
        Self { cipher, zstd: None, sealed: Vec::new(), opened: Vec::new(), window: Vec::new() }
    }

    /// Seals a blob.
    pub(crate) fn blob(&mut self, blob: &[u8]) -> Result<Sealed<'_>, SealError> {
        let compressed = self.zstd.is_some() && !blob.is_empty();
        let length = self.seal(blob, 0, compressed)?;
        self.verify(blob, 0, length, compressed)?;
        let uncompressed = u32::try_from(blob.len()).ok().filter(|_| compressed);
        Ok(Sealed { bytes: &self.sealed[..length], uncompressed })
    }

    /// Seals a file that lies beside the packs, or the list in a pack (`packed`, which is never compressed).
    pub(crate) fn file(&mut self, file: &[u8], packed: bool) -> Result<&[u8], SealError> {
        let compressed = self.zstd.is_some() && !packed;
        let marks = usize::from(compressed);
        let length = self.seal(file, marks, compressed)?;
        self.verify(file, marks, length, compressed)?;
        Ok(&self.sealed[..length])
    }

    /// Opens a blob; `None` where it is not what was sealed.
    pub(crate) fn open(&mut self, sealed: &[u8], uncompressed: Option<u32>) -> Option<Vec<u8>> {
        let body = sealed.get(NONCE..)?;
        let (body, tag) = body.split_at_checked(body.len().checked_sub(TAG)?)?;
        let (nonce, tag) = (GenericArray::from_slice(&sealed[..NONCE]), GenericArray::from_slice(tag));
        let Some(length) = uncompressed else {
            let mut opened = body.to_vec();
            self.cipher.decrypt_in_place_detached(nonce, &[], &mut opened, tag).ok()?;
            return Some(opened);
        };
        let length = usize::try_from(length).ok().filter(|length| *length <= BLOB_MAX)?;
        grow(&mut self.opened, body.len());
        let opened = &mut self.opened[..body.len()];
        opened.copy_from_slice(body);
        self.cipher.decrypt_in_place_detached(nonce, &[], opened, tag).ok()?;
        self.zstd.as_mut()?.1.decompress(opened, length).ok()
    }

    /// A nonce, `marks` times the mark, what is sealed, and the tag: how much of the buffer that is.
    fn seal(&mut self, plain: &[u8], marks: usize, compressed: bool) -> Result<usize, SealError> {
        let bound = NONCE + marks + zstd::zstd_safe::compress_bound(plain.len()) + TAG;
        grow(&mut self.sealed, bound);
        let body = NONCE + marks;
        self.sealed[NONCE..body].fill(COMPRESSED);
        let length = match &mut self.zstd {
            Some((compressor, ..)) if compressed => {
                let to = &mut self.sealed[body..bound - TAG];
                compressor.compress_to_buffer(plain, to).map_err(SealError::Compress)?
            }
            _ => {
                self.sealed[body..body + plain.len()].copy_from_slice(plain);
                plain.len()
            }
        };
        let end = body + length;
        getrandom::fill(&mut self.sealed[..NONCE]).map_err(SealError::Random)?;
        let (nonce, rest) = self.sealed.split_at_mut(NONCE);
        let nonce = GenericArray::from_slice(nonce);
        let tag = self.cipher.encrypt_in_place_detached(nonce, &[], &mut rest[..end - NONCE]);
        self.sealed[end..end + TAG].copy_from_slice(&tag.map_err(|_| SealError::Seal)?);
        Ok(end + TAG)
    }

    fn verify(
        &mut self,
        plain: &[u8],
        marks: usize,
        length: usize,
        compressed: bool,
    ) -> Result<(), SealError> {
        let (sealed, tag) = self.sealed[..length].split_at(length - TAG);
        let (nonce, body) = sealed.split_at(NONCE);
        grow(&mut self.opened, body.len());
        let opened = &mut self.opened[..body.len()];
        opened.copy_from_slice(body);
        let (nonce, tag) = (GenericArray::from_slice(nonce), GenericArray::from_slice(tag));
        let good = self.cipher.decrypt_in_place_detached(nonce, &[], opened, tag);
        good.map_err(|_| SealError::Differs)?;
        let opened = &opened[marks..];
        let same = match &mut self.zstd {
            Some((_, _, context)) if compressed => is_of(opened, plain, context, &mut self.window),
            _ => opened == plain,
        };
        if same { Ok(()) } else { Err(SealError::Differs) }
    }
}

/// Whether that opens to this; a bit at a time, so that what is long is not in memory once more.
fn is_of(compressed: &[u8], plain: &[u8], context: &mut DCtx<'static>, window: &mut Vec<u8>) -> bool {
    grow(window, WINDOW);
    let (mut reader, mut rest) = (Decoder::with_context(compressed, context).single_frame(), plain);
    loop {
        match reader.read(&mut window[..WINDOW]) {
            Ok(0) => return rest.is_empty(),
            Ok(some) if rest.starts_with(&window[..some]) => rest = &rest[some..],
            _ => return false,
        }
    }
}

/// Makes a buffer at least as long as that. Room for the longest piece is asked for at once, of which only what is used
/// becomes memory: a buffer that moves as it grows leaves a hole of its size each time.
pub(crate) fn grow(buffer: &mut Vec<u8>, to: usize) {
    if buffer.len() < to {
        buffer.reserve_exact(to.max(ROOM) - buffer.len());
        buffer.resize(to, 0);
    }
}

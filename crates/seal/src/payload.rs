//! Sealing what travels with an entry: a manifest, a directory row, what is said later. Padded, so that the length
//! of a name does not show, and bound to its entry, so that it cannot be moved under another.

use freehold_crypt::Entropy;
use freehold_crypt::stream::{Position, StreamKey, TAG_LEN};
use freehold_wire::{DecodeError, from_canonical, to_canonical};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::{BucketKey, Envelope, PayloadPlace, Release};

/// The smallest sealed payload. Sizes are powers of two from here to [`PAYLOAD_MAX`].
pub const PAYLOAD_MIN: usize = 1 << 10;
/// The largest sealed payload.
pub const PAYLOAD_MAX: usize = 1 << 18;

const MAGIC: [u8; 2] = *b"FP";
const FORMAT: u8 = 1;
const AES_256_GCM: u8 = 1;
const PREFIX_LEN: usize = 8;
const HEADER_LEN: usize = PREFIX_LEN + 32 + 32;
const LENGTH_LEN: usize = 4;
const OVERHEAD: usize = HEADER_LEN + LENGTH_LEN + TAG_LEN;
/// The longest content that fits.
pub(crate) const CONTENT_MAX: usize = PAYLOAD_MAX - OVERHEAD;
const ONLY: Position = Position { index: 0, last: true };

/// What sort of payload bytes are, by their first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// Sealed: a [`Content`](crate::Content).
    Sealed,
    /// An [`Envelope`], readable by all.
    Envelope,
    /// A [`Release`], readable by all.
    Release,
}

/// A payload cannot be sealed, read or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// More than fits.
    #[error("{got} bytes of names and metadata, at most {CONTENT_MAX} fit")]
    TooLarge {
        /// Bytes given.
        got: usize,
    },
    /// Something else, or a length that no payload has.
    #[error("not a sealed payload")]
    NotAPayload,
    /// Written by a later Freehold.
    #[error("a payload of format {0}, this program reads format {FORMAT}: install a newer one")]
    Format(u8),
    /// Sealed with an algorithm we do not have.
    #[error("a payload sealed with algorithm {0}, which this program does not know: install a newer one")]
    Algorithm(u8),
    /// Sealed with another version of the bucket's key.
    #[error("sealed with key version {sealed}, not {given}")]
    OtherKeyVersion {
        /// The version it names.
        sealed: u32,
        /// The version of the key given.
        given: u32,
    },
    /// Does not open: another bucket or entry, or altered.
    #[error("a payload does not open: altered, or moved from another entry")]
    Closed,
    /// Opened, but the padding is not as it must be.
    #[error("a payload is not padded as its length demands")]
    Padding,
    /// Opened, but its content is of a sort that this program does not know, or not the one meant.
    #[error("a payload with content of sort {got}, sort {wanted} was meant: install a newer one")]
    Content {
        /// The sort found; 0 for none.
        got: u8,
        /// The sort that was meant.
        wanted: u8,
    },
    /// Opened, but the fields do not decode.
    #[error("reading a payload's fields")]
    Fields {
        /// What is wrong with them.
        source: DecodeError,
    },
}

/// What a sealed payload says in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadHeader {
    /// The version of the bucket's key that opens it.
    pub key_version: u32,
}

impl PayloadHeader {
    /// Reads it from a payload's first bytes, and checks the length.
    ///
    /// # Errors
    /// [`PayloadError::NotAPayload`], [`PayloadError::Format`] or [`PayloadError::Algorithm`].
    pub fn decode(payload: &[u8]) -> Result<Self, PayloadError> {
        let (prefix, _) = payload.split_first_chunk::<PREFIX_LEN>().ok_or(PayloadError::NotAPayload)?;
        let [m, n, format, algorithm, version @ ..] = *prefix;
        if [m, n] != MAGIC {
            return Err(PayloadError::NotAPayload);
        }
        if format != FORMAT {
            return Err(PayloadError::Format(format));
        }
        if algorithm != AES_256_GCM {
            return Err(PayloadError::Algorithm(algorithm));
        }
        if !payload.len().is_power_of_two() || !(PAYLOAD_MIN..=PAYLOAD_MAX).contains(&payload.len()) {
            return Err(PayloadError::NotAPayload);
        }
        Ok(Self { key_version: u32::from_be_bytes(version) })
    }
}

const fn prefix_of(key_version: u32) -> [u8; PREFIX_LEN] {
    let mut out = [0; PREFIX_LEN];
    let (fields, version) = out.split_at_mut(4);
    let [m, n] = MAGIC;
    fields.copy_from_slice(&[m, n, FORMAT, AES_256_GCM]);
    version.copy_from_slice(&key_version.to_be_bytes());
    out
}

/// What sort of payload these bytes are; `None` if no sort we know.
pub fn payload_kind(payload: &[u8]) -> Option<PayloadKind> {
    let (magic, _) = payload.split_first_chunk::<2>()?;
    if *magic == MAGIC {
        Some(PayloadKind::Sealed)
    } else if Envelope::is_magic(*magic) {
        Some(PayloadKind::Envelope)
    } else if Release::is_magic(*magic) {
        Some(PayloadKind::Release)
    } else {
        None
    }
}

/// Seals `content` for the entry at `place`, padded to the next power of two.
///
/// # Errors
/// [`PayloadError::TooLarge`].
pub fn seal_payload(
    key: &BucketKey,
    place: &PayloadPlace,
    content: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, PayloadError> {
    let too_large = PayloadError::TooLarge { got: content.len() };
    if content.len() > CONTENT_MAX {
        return Err(too_large);
    }
    let length = u32::try_from(content.len()).map_err(|_| too_large)?;
    let total = (content.len() + OVERHEAD).next_power_of_two().max(PAYLOAD_MIN);
    let prefix = prefix_of(key.version());
    let salt = entropy.bytes32();
    let stream = stream_key(key, &salt, place, prefix);
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&prefix);
    out.extend_from_slice(&salt);
    out.extend_from_slice(stream.commitment());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(content);
    out.resize(total - TAG_LEN, 0);
    let tag = stream.seal(ONLY, out.get_mut(HEADER_LEN..).unwrap_or_default());
    out.extend_from_slice(&tag);
    Ok(out)
}

/// Opens what [`seal_payload`] sealed for the same entry.
///
/// # Errors
/// [`PayloadError`].
pub fn open_payload(
    key: &BucketKey,
    place: &PayloadPlace,
    payload: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    with_opened(key, place, payload, |content| Ok(Zeroizing::new(content.to_vec())))
}

/// Opens a payload and shows its content, which is wiped afterwards.
pub(crate) fn with_opened<T>(
    key: &BucketKey,
    place: &PayloadPlace,
    payload: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, PayloadError>,
) -> Result<T, PayloadError> {
    let header = PayloadHeader::decode(payload)?;
    if header.key_version != key.version() {
        return Err(PayloadError::OtherKeyVersion { sealed: header.key_version, given: key.version() });
    }
    let (prefix, rest) = payload.split_first_chunk::<PREFIX_LEN>().ok_or(PayloadError::NotAPayload)?;
    let (salt, rest) = rest.split_first_chunk::<32>().ok_or(PayloadError::NotAPayload)?;
    let (commitment, body) = rest.split_first_chunk::<32>().ok_or(PayloadError::NotAPayload)?;
    let stream = stream_key(key, salt, place, *prefix);
    if !stream.commits_to(commitment) {
        return Err(PayloadError::Closed);
    }
    let mut inner = Zeroizing::new(body.to_vec());
    let len = stream.open(ONLY, &mut inner).map_err(|_| PayloadError::Closed)?;
    inner.truncate(len);
    let (length, rest) = inner.split_first_chunk::<LENGTH_LEN>().ok_or(PayloadError::Padding)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| PayloadError::Padding)?;
    let (content, padding) = rest.split_at_checked(length).ok_or(PayloadError::Padding)?;
    let total = (length + OVERHEAD).next_power_of_two().max(PAYLOAD_MIN);
    if total != payload.len() || padding.iter().fold(0, |all, byte| all | byte) != 0 {
        return Err(PayloadError::Padding);
    }
    read(content)
}

fn stream_key(key: &BucketKey, salt: &[u8; 32], place: &PayloadPlace, prefix: [u8; PREFIX_LEN]) -> StreamKey {
    StreamKey::derive(&key.secret().derive("freehold 2026 payload key"), salt, &place.bytes(prefix))
}

/// Seals a value as content of one sort.
pub(crate) fn seal_value<T: Encode<()>>(
    sort: u8,
    value: &T,
    key: &BucketKey,
    place: &PayloadPlace,
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, PayloadError> {
    seal_payload(key, place, &Zeroizing::new(content_of(sort, value)), entropy)
}

/// A value as content of one sort.
pub(crate) fn content_of<T: Encode<()>>(sort: u8, value: &T) -> Vec<u8> {
    let mut content = vec![sort];
    content.extend_from_slice(&to_canonical(value));
    content
}

/// Opens a value of one sort.
pub(crate) fn open_value<T>(
    sort: u8,
    key: &BucketKey,
    place: &PayloadPlace,
    payload: &[u8],
) -> Result<T, PayloadError>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    with_opened(key, place, payload, |content| value_of(sort, content))
}

/// Reads the content of one sort.
pub(crate) fn value_of<T>(sort: u8, content: &[u8]) -> Result<T, PayloadError>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    match content.split_first() {
        Some((got, fields)) if *got == sort => {
            from_canonical(fields, CONTENT_MAX).map_err(|source| PayloadError::Fields { source })
        }
        other => Err(PayloadError::Content { got: other.map_or(0, |(got, _)| *got), wanted: sort }),
    }
}

#[cfg(test)]
mod tests;

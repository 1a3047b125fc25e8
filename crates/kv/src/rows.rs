//! The rows of a database beside documents and their indexes (`freehold_documents`): `r` ‖ key is what
//! somebody put, `m` ‖ collection what is declared, `n` ‖ collection how many documents it has, `s` the
//! last number given to a write, `w` ‖ number what that write changed, `k` ‖ idempotency key which
//! number it got, `x` ‖ time ‖ collection ‖ 0 ‖ id that a document ends then, `t` ‖ collection ‖ 0 ‖
//! number of an index how much text is in it, `u` that the database is a clone that is not whole yet.

use bytes::{Buf as _, Bytes};
use freehold_documents::Corpus;
use freehold_wire::Millis;

use crate::KvError;

/// Bytes of the longest key.
pub const KEY_MAX: usize = 1024;
/// Bytes of the longest value.
pub const VALUE_MAX: usize = 1 << 20;
/// Bytes of the longest document, as JSON.
pub const DOCUMENT_MAX: usize = 256 << 10;
/// Operations in one write.
pub const BATCH_MAX: usize = 1000;

pub(crate) const LAST: &[u8] = b"s";
/// There while a clone is being filled.
pub(crate) const UNFINISHED: &[u8] = b"u";
pub(crate) const COLLECTIONS: u8 = b'm';
pub(crate) const COUNTS: u8 = b'n';
pub(crate) const EVENTS: u8 = b'w';
pub(crate) const RAW: u8 = b'r';
pub(crate) const REPEATS: u8 = b'k';
pub(crate) const ENDS: u8 = b'x';
pub(crate) const TEXTS: u8 = b't';

fn under(space: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 1);
    key.push(space);
    key.extend_from_slice(rest);
    key
}

pub(crate) fn raw(key: &[u8]) -> Vec<u8> {
    under(RAW, key)
}

pub(crate) fn collection(name: &str) -> Vec<u8> {
    under(COLLECTIONS, name.as_bytes())
}

pub(crate) fn count(collection: &str) -> Vec<u8> {
    under(COUNTS, collection.as_bytes())
}

pub(crate) fn event(number: u64) -> Vec<u8> {
    under(EVENTS, &number.to_be_bytes())
}

pub(crate) fn repeat(idempotency: &str) -> Vec<u8> {
    under(REPEATS, idempotency.as_bytes())
}

/// That a document ends at some time.
pub(crate) fn end(at: Millis, collection: &str, id: &str) -> Vec<u8> {
    under(ENDS, &[&at.0.to_be_bytes()[..], collection.as_bytes(), &[0], id.as_bytes()].concat())
}

/// Reads it back.
pub(crate) fn read_end(key: &[u8]) -> Result<(Millis, String, String), KvError> {
    let (at, rest) = key.get(1..).and_then(|rest| rest.split_first_chunk::<8>()).ok_or(KvError::Row)?;
    let rest = std::str::from_utf8(rest).map_err(|_| KvError::Row)?;
    let (collection, id) = rest.split_once('\0').ok_or(KvError::Row)?;
    Ok((Millis(u64::from_be_bytes(*at)), collection.to_owned(), id.to_owned()))
}

/// How many documents have text in an index, and how many words.
pub(crate) fn texts(collection: &str, index: u32) -> Vec<u8> {
    under(TEXTS, &[collection.as_bytes(), &[0], &index.to_be_bytes()].concat())
}

/// Reads it; nothing was counted yet if it is not there.
pub(crate) fn corpus(bytes: Option<Bytes>) -> Result<Corpus, KvError> {
    let Some(bytes) = bytes else { return Ok(Corpus::default()) };
    let (documents, words) = bytes.split_first_chunk::<8>().ok_or(KvError::Row)?;
    Ok(Corpus { documents: u64::from_be_bytes(*documents), words: number(words)? })
}

pub(crate) fn number(bytes: &[u8]) -> Result<u64, KvError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| KvError::Row)
}

/// A value with the number of the write that put it, and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamped {
    pub(crate) version: u64,
    pub(crate) expires: Option<Millis>,
    pub(crate) value: Bytes,
}

impl Stamped {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.value.len() + 16);
        out.extend(self.version.to_be_bytes());
        out.extend(self.expires.map_or(0, |at| at.0).to_be_bytes());
        out.extend_from_slice(&self.value);
        out
    }

    /// What is there now; nothing if its time is over.
    pub(crate) fn decode(bytes: Bytes, now: Millis) -> Result<Option<Self>, KvError> {
        let row = Self::decode_any(bytes)?;
        Ok(if row.expires.is_some_and(|end| end <= now) { None } else { Some(row) })
    }

    /// The same, whether its time is over or not.
    pub(crate) fn decode_any(mut bytes: Bytes) -> Result<Self, KvError> {
        let version = bytes.try_get_u64().map_err(|_| KvError::Row)?;
        let expires = bytes.try_get_u64().map_err(|_| KvError::Row)?;
        Ok(Self { version, expires: (expires > 0).then_some(Millis(expires)), value: bytes })
    }
}

/// Wall time.
pub(crate) fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

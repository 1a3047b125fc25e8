//! Objects: what is known of them, parts of them, lists of them.

use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::control::ByteStream;

/// What is known of an object without reading it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Bytes, unsealed.
    pub size: u64,
    /// When it was written, in milliseconds since the Unix epoch.
    pub modified_ms: u64,
    /// ETag without quotes.
    pub etag: String,
    /// Content type; may be absent from lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// Fold what follows the first occurrence of this behind the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// Only what comes after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many objects and prefixes together, up to 1000.
    pub max: u32,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { prefix: String::new(), delimiter: None, after: None, max: 1000 }
    }
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listing {
    /// Objects in the order of their keys.
    pub objects: Vec<ObjectInfo>,
    /// Folded prefixes, in order.
    pub prefixes: Vec<String>,
    /// Give this as `after` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How to write an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Content type to keep.
    pub content_type: Option<String>,
    /// Length in bytes, if it is known before; a body that differs is refused.
    pub len: Option<u64>,
    /// Only if there is no such object yet.
    pub only_new: bool,
}

/// A part of an object as HTTP asks for it; more than one at a time is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-` and `bytes=first-last`.
    From {
        /// The first byte.
        first: u64,
        /// The last byte, itself included; past the end means the end.
        last: Option<u64>,
    },
    /// `bytes=-n`: the last n bytes.
    Last(u64),
}

impl ByteRange {
    /// Reads a `Range` header; `None` if it is none that is served, which then means all of it.
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        match (first.trim().is_empty(), last.trim().is_empty()) {
            (true, _) => number(last).map(Self::Last),
            (false, true) => Some(Self::From { first: number(first)?, last: None }),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// The bytes meant, of an object of `size`; `None` if there are none.
    pub fn resolve(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From { first, last } => first..last.map_or(size, |last| last.saturating_add(1)).min(size),
            Self::Last(n) => size.saturating_sub(n)..size,
        };
        (range.start < range.end).then_some(range)
    }

    pub(crate) fn header(self) -> String {
        match self {
            Self::From { first, last: Some(last) } => format!("bytes={first}-{last}"),
            Self::From { first, last: None } => format!("bytes={first}-"),
            Self::Last(n) => format!("bytes=-{n}"),
        }
    }
}

/// An object that is being read.
pub struct ObjectRead {
    /// What is known of it.
    pub info: ObjectInfo,
    /// Which of its bytes come.
    pub range: Range<u64>,
    /// They.
    pub body: ByteStream,
}

impl std::fmt::Debug for ObjectRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectRead")
            .field("info", &self.info)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// Percent-encodes a key for a URL's path; slashes stay.
pub fn encode_path(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            // Writing to a String cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

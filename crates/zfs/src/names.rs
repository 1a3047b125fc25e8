//! Names as ZFS has them, which stand in arguments of a program: what could be anything else there is no name.

use std::fmt;

use freehold_wire::Millis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// ZFS takes 255 bytes for a name with its snapshot.
const DATASET_MAX: usize = 170;
const LABEL_MAX: usize = 40;
/// A name of ours is shorter than the room that a dataset's leaves.
const SNAPSHOT_MAX: usize = 32;
/// What names of our own snapshots begin with.
pub const OWN: &str = "freehold-";
/// What tags of our holds begin with.
const TAG: &str = "freehold:";

/// The name of a dataset: `pool/home/ann`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dataset(String);

/// A short word of letters, digits, and `-_.`: a target's name, or a backup's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// What is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadName {
    /// Of a dataset.
    #[error("{0:?} is no name of a dataset: parts of letters, digits and -_.: with / between them")]
    Dataset(String),
    /// Of a backup or a target.
    #[error("{0:?} is no name here: up to {LABEL_MAX} letters, digits and -_.")]
    Label(String),
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')
}

/// A part of a dataset's name, or a snapshot's.
pub(crate) fn is_part(part: &str) -> bool {
    let begins = part.bytes().next().is_some_and(|first| first != b'-');
    begins && part != "." && part != ".." && part.bytes().all(|byte| is_plain(byte) || byte == b' ')
}

impl Dataset {
    /// Takes a name, or says why it is none.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let fits = name.len() <= DATASET_MAX && name.split('/').all(is_part);
        if fits { Ok(Self(name.to_owned())) } else { Err(BadName::Dataset(name.to_owned())) }
    }

    /// As ZFS writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What comes behind an ancestor, with its first `/`; nothing for the ancestor itself.
    pub fn below(&self, ancestor: &Self) -> Option<&str> {
        let rest = self.0.strip_prefix(&ancestor.0)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// What lies in it under such a name.
    pub fn join(&self, rest: &str) -> Result<Self, BadName> {
        Self::new(&format!("{}/{}", self.0, rest.trim_start_matches('/')))
    }

    /// What it lies in; nothing for a pool.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// A snapshot of it.
    pub fn at(&self, snapshot: &str) -> String {
        format!("{}@{snapshot}", self.0)
    }

    /// A bookmark of it.
    pub fn mark(&self, bookmark: &str) -> String {
        format!("{}#{bookmark}", self.0)
    }
}

impl Label {
    /// Takes a name, or says why it is none.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = name.len() <= LABEL_MAX && is_part(name) && name.bytes().all(is_plain);
        if fits { Ok(Self(name.to_owned())) } else { Err(BadName::Label(name.to_owned())) }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag of the holds for it.
    pub fn tag(&self) -> String {
        tag(&self.0)
    }

    /// The bookmark of a snapshot for it.
    pub fn bookmark(&self, snapshot: &str) -> String {
        format!("{snapshot}:{}", self.0)
    }
}

/// The tag of a hold, by what it is for.
pub fn tag(what: &str) -> String {
    format!("{TAG}{what}")
}

/// What a hold of ours is for.
pub(crate) fn held_for(tag: &str) -> Option<&str> {
    tag.strip_prefix(TAG)
}

/// The name of a snapshot that is taken now, in UTC, to the millisecond: two are never called the same.
pub fn own_name(now: Millis) -> String {
    format!("{OWN}{}", freehold_retention::compact(now))
}

/// Whether a snapshot is one of ours; others' are left alone.
pub fn is_own(snapshot: &str) -> bool {
    is_part(snapshot) && snapshot.len() <= SNAPSHOT_MAX && snapshot.starts_with(OWN)
}

impl TryFrom<String> for Dataset {
    type Error = BadName;

    fn try_from(name: String) -> Result<Self, BadName> {
        Self::new(&name)
    }
}

impl TryFrom<String> for Label {
    type Error = BadName;

    fn try_from(name: String) -> Result<Self, BadName> {
        Self::new(&name)
    }
}

impl<C> minicbor::Encode<C> for Dataset {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Dataset {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).map_err(minicbor::decode::Error::message)
    }
}

impl From<Dataset> for String {
    fn from(Dataset(name): Dataset) -> Self {
        name
    }
}

impl From<Label> for String {
    fn from(Label(name): Label) -> Self {
        name
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

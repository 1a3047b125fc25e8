//! Lists of blocked names: fetched, checked, the last good one kept on this machine.

mod fetch;
mod shelf;

use std::time::Duration;

use freehold_names::lists::{Counts, Syntax, Unfit};
use freehold_wire::Millis;

use crate::config::Source;
pub(crate) use fetch::{Fetched, fetch};
pub(crate) use shelf::{Kept, Shelf, Text};

/// A list that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// What people call it.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// How it is written; guessed if nobody says.
    pub syntax: Option<Syntax>,
    /// The only content that is taken, if it is pinned.
    pub sha256: Option<[u8; 32]>,
    /// How often it is looked for, nearly.
    pub period: Duration,
    /// The most bytes that it may have.
    pub most: u64,
}

impl List {
    /// One that is looked for once a day and may have 64 MiB.
    pub fn daily(name: &str, source: Source) -> Self {
        let (period, most) = (Duration::from_hours(24), 64 << 20);
        Self { name: name.to_owned(), source, syntax: None, sha256: None, period, most }
    }
}

/// How a list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListState {
    /// Which.
    pub list: List,
    /// What the one in use has, and when it was fetched; none if there is none.
    pub kept: Option<(Counts, Millis)>,
    /// The SHA-256 of the one in use, in hex.
    pub sha256: Option<String>,
    /// How often it was looked for since the start.
    pub looked: u64,
    /// When it was last seen to be the newest.
    pub seen: Option<Millis>,
    /// Why there is no newer one.
    pub problem: Option<ListError>,
}

/// Why a list is not taken. The one before stays in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Nobody answers there.
    #[error("the list cannot be fetched: {0}")]
    Fetch(String),
    /// There is no list.
    #[error("the server answers {0} in place of the list")]
    Status(u16),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(String),
    /// It is none, or not all of it.
    #[error("the list is not taken: {0}")]
    Unfit(#[from] Unfit),
    /// It is another one than was wanted.
    #[error("the list has the SHA-256 {found}, not the one it was pinned to")]
    Sum {
        /// What it has, in hex.
        found: String,
    },
    /// It cannot be kept.
    #[error("the list cannot be kept: {0}")]
    Keep(String),
    /// What was kept is not what was written.
    #[error("the kept list has changed on disk, and is not used")]
    Damaged,
    /// There are more names than may be held.
    #[error("there are too many names in all lists together: this one is used in part")]
    Full,
}

impl ListError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "look whether the address of the list is right and reachable from here",
            Self::Status(_) => "open the address in a browser: the list may have moved",
            Self::File(_) => "look whether the file is there and this user may read it",
            Self::Unfit(_) => "look into it: if it is right, remove the list and add it again",
            Self::Sum { .. } => "look whether the new list is what you want, and pin it to this sum",
            Self::Keep(_) => "look whether the disk is full",
            Self::Damaged => "nothing: it is fetched anew; look at the disk if it happens again",
            Self::Full => "use fewer or shorter lists",
        }
    }
}

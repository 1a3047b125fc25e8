//! What one end shows of its datasets.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::Millis;
use minicbor::{Decode, Encode};

use crate::{Dataset, Token};

/// Each dataset below the one that was asked for, by its name.
pub type Shown = BTreeMap<Dataset, Seen>;

/// What a dataset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// Files.
    #[n(0)]
    Filesystem,
    /// A disk for something else.
    #[n(1)]
    Volume,
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Seen {
    /// What it is.
    #[n(0)]
    pub kind: Kind,
    /// Whether it lies encrypted.
    #[n(1)]
    pub encrypted: bool,
    /// Whether the key is there, so that it can be read.
    #[n(2)]
    pub readable: bool,
    /// Whether it can only be read.
    #[n(3)]
    pub readonly: bool,
    /// Bytes written since the newest snapshot.
    #[n(4)]
    pub written: u64,
    /// What goes on with what came in part.
    #[n(5)]
    pub resume: Option<String>,
    /// The same, as the sender's `zfs` has read it.
    #[n(6)]
    pub token: Option<Token>,
    /// Snapshots, the oldest first.
    #[n(7)]
    pub snapshots: Vec<Snapshot>,
    /// Bookmarks, the oldest first.
    #[n(8)]
    pub bookmarks: Vec<Mark>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Snapshot {
    /// Its name, behind the `@`.
    #[n(0)]
    pub name: String,
    /// The same on each machine that has it.
    #[n(1)]
    pub guid: u64,
    /// Its place among those of its own pool.
    #[n(2)]
    pub txg: u64,
    /// When it was made, by the clock of whoever made it.
    #[n(3)]
    pub made: Millis,
    /// When it came, by the target's clock.
    #[n(4)]
    pub received: Option<Millis>,
    /// What holds it.
    #[n(5)]
    pub holds: BTreeSet<String>,
}

/// A bookmark: where a snapshot was, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Mark {
    /// Its name, behind the `#`.
    #[n(0)]
    pub name: String,
    /// That of its snapshot.
    #[n(1)]
    pub guid: u64,
    /// That of its snapshot.
    #[n(2)]
    pub txg: u64,
}

impl Seen {
    /// The newest snapshot.
    pub fn newest(&self) -> Option<&Snapshot> {
        self.snapshots.last()
    }

    /// A snapshot by what it has in it.
    pub fn by_guid(&self, guid: u64) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.guid == guid)
    }

    /// A bookmark by what its snapshot had in it.
    pub fn marked(&self, guid: u64) -> Option<&Mark> {
        self.bookmarks.iter().find(|mark| mark.guid == guid)
    }
}

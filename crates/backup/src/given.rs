//! Files that lie in no directory of this machine: objects of a bucket, what is in a database. Whoever has them names them and
//! reads them; here they become a source like any other.

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::BASE64;
use freehold_wire::Millis;
use rustic_core::{
    ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult,
    jiff::Timestamp,
    repofile::{Metadata, Node, NodeType},
};
use serde_json::json;

use crate::{
    Stop,
    source::{Reading, Tally},
};

/// Nobody but its owner reads what comes back.
const MODE: u32 = 0o600;
/// Nanoseconds in a millisecond.
const NANOS: u64 = 1_000_000;

/// A file that somebody has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Absolute; what it is called in the snapshot.
    pub path: PathBuf,
    /// What whoever has it calls it.
    pub key: String,
    /// Bytes; 0 where nobody knows before it is read.
    pub size: u64,
    /// When it was written; nothing where it is to be read each time.
    pub modified: Option<Millis>,
    /// Another number for what was written over it within that millisecond.
    pub mark: u64,
    /// What is said of it: names as of a file's extended attributes, and values.
    pub attributes: Vec<(String, Vec<u8>)>,
}

/// Items as they come.
pub type Items = Box<dyn Iterator<Item = io::Result<Item>> + Send>;

/// Who has files, and reads them. Calls block, and come from several threads at once.
pub trait Origin: Send + Sync + 'static {
    /// The absolute paths in the snapshot that all of them lie in, always the same.
    fn roots(&self) -> Vec<PathBuf>;
    /// All of them, those of a directory together. An error says that they cannot be listed, so that no snapshot is made.
    fn items(self: Arc<Self>) -> Items;
    /// Reads one.
    ///
    /// # Errors
    /// Why not; [`io::ErrorKind::NotFound`] says that it is not there any more, and missing to nobody.
    fn open(&self, item: &Item) -> io::Result<Box<dyn Read + Send>>;
}

/// A source of what somebody has.
pub(crate) struct Given {
    origin: Arc<dyn Origin>,
    tally: Arc<Tally>,
    stop: Stop,
    unlisted: Arc<Mutex<Option<String>>>,
}

impl Given {
    pub(crate) fn new(origin: Arc<dyn Origin>, stop: Stop) -> Self {
        Self { origin, tally: Arc::default(), stop, unlisted: Arc::default() }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Why they could not be listed to their end, if so.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        self.unlisted.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }
}

impl ReadSource for Given {
    type Open = Opening;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Entries {
        Entries {
            items: Arc::clone(&self.origin).items(),
            origin: Arc::clone(&self.origin),
            tally: Arc::clone(&self.tally),
            stop: self.stop.clone(),
            unlisted: Arc::clone(&self.unlisted),
        }
    }
}

pub(crate) struct Entries {
    items: Items,
    origin: Arc<dyn Origin>,
    tally: Arc<Tally>,
    stop: Stop,
    unlisted: Arc<Mutex<Option<String>>>,
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Opening>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stop.is_asked() {
            return None;
        }
        match self.items.next()? {
            Ok(item) => {
                let (path, node) = (item.path.clone(), node(&item));
                let (origin, tally) = (Arc::clone(&self.origin), Arc::clone(&self.tally));
                let open = Opening { item, origin, tally, stop: self.stop.clone() };
                Some(Ok(ReadSourceEntry { path, node, open: Some(open) }))
            }
            Err(error) => {
                let why = error.to_string();
                *self.unlisted.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                None
            }
        }
    }
}

fn node(item: &Item) -> Node {
    // The engine makes these of JSON alone.
    let attribute = |(name, value): &(String, Vec<u8>)| json!({"name": name, "value": BASE64.encode(value)});
    let attributes = item.attributes.iter().map(attribute).collect();
    let at = |nanos: u64| {
        let millis = item.modified?.0;
        Timestamp::from_nanosecond(i128::from(millis) * i128::from(NANOS) + i128::from(nanos)).ok()
    };
    let meta = Metadata {
        mode: Some(MODE),
        mtime: at(0),
        ctime: at(item.mark % NANOS),
        size: item.size,
        extended_attributes: serde_json::from_value(attributes).unwrap_or_default(),
        ..Metadata::default()
    };
    Node::new_node(item.path.file_name().unwrap_or_default(), NodeType::File, meta)
}

/// A file that is about to be read.
pub(crate) struct Opening {
    item: Item,
    origin: Arc<dyn Origin>,
    tally: Arc<Tally>,
    stop: Stop,
}

impl ReadSourceOpen for Opening {
    type Reader = Reading<Box<dyn Read + Send>>;

    fn open(self) -> RusticResult<Self::Reader> {
        let Self { item, origin, tally, stop } = self;
        match origin.open(&item) {
            Ok(inner) => Ok(Reading::new(inner, item.path, tally, stop)),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tally.note(Some(&item.path), error.to_string());
                }
                Err(RusticError::with_source(ErrorKind::InputOutput, "it could not be read", error))
            }
        }
    }
}

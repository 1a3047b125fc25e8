//! Snapshots of a backup as a folder of the system, which only reads (FUSE): `snapshots/` with one of each, by its date, and
//! `latest`. What is in a directory and in a file is asked of a [`Source`] when somebody looks. It must never answer a read
//! with bytes that the source did not vouch for, write, nor let anybody in but who mounted it. Start reading at [`mount`].

mod names;
mod place;
mod shown;
mod table;
mod tree;

pub use place::{MountError, Mounted, check, mount};

use bytes::Bytes;

/// What is in directories and files, wherever that lies. Blocks.
pub trait Source: Send + Sync + 'static {
    /// What is in a directory.
    ///
    /// # Errors
    /// In words, why it is not known.
    fn entries(&self, tree: &str) -> Result<Vec<Entry>, String>;

    /// Bytes of a file by its place in its directory; fewer only where it ends.
    ///
    /// # Errors
    /// In words, why they cannot be vouched for.
    fn read(&self, tree: &str, at: u64, offset: u64, length: u64) -> Result<Bytes, String>;

    /// Tells who mounted it what could not be read.
    fn tell(&self, what: String);
}

/// A snapshot that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its id, of which the first digits are shown.
    pub id: String,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// The directory of its root.
    pub tree: String,
}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// By what it is read.
    pub at: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The twelve bits of its mode.
    pub mode: u32,
    /// The number of its owner.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
    /// Its bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// When it was changed, read, and when this was: seconds since 1970, and nanoseconds after those.
    pub times: [(i64, u32); 3],
}

/// What something in a directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory, by what is listed.
    Dir(String),
    /// A link, and where it leads.
    Link(Vec<u8>),
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A device of blocks, by its number.
    Block(u64),
    /// A device of characters, by its number.
    Char(u64),
}

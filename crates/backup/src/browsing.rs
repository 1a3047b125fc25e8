//! A repository that somebody walks through: directories as they are asked for, and any bytes of a file, each blob of which
//! is held against its hash before a byte of it is given out. In memory are the indexes, and what was read lately, within
//! bounds.

use std::{
    borrow::Cow,
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use rustic_core::{
    DataId, Id, TreeId,
    jiff::Timestamp,
    repofile::{BlobType, Node, NodeType, Tree},
};

use crate::{BackupError, Repository, blobs::Blobs, held::Held, layout::Layout, placing};

/// Bytes of files that are kept for the next read.
const DATA_MAX: u64 = 64 << 20;
/// Bytes, about, of directories that are.
const TREES_MAX: u64 = 32 << 20;
/// Bytes, about, of where the blobs of files lie in them.
const LAYOUTS_MAX: u64 = 16 << 20;
/// So many bytes are read at once at the most.
const READ_MAX: u64 = 4 << 20;
/// What could not be read is looked for again after so long: the kernel asks for each page of it, and to look for a blob in all
/// places where it may be takes its time.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Who owns what nobody is known to own.
const NOBODY: u32 = 65534;

/// Something in a directory, with all that is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its place in the directory, by which it is read.
    pub at: usize,
    /// Its name, which need not be text: no slash, no zero byte, nor `.` or `..`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: LeafKind,
    /// The twelve bits of its mode.
    pub mode: u32,
    /// The number of its owner.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
    /// Its bytes; 0 for what is no file.
    pub size: u64,
    /// How many names it had.
    pub links: u64,
    /// When it was changed, read, and when this was.
    pub times: [Moved; 3],
}

/// A moment: seconds since 1970, and nanoseconds after those.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// The seconds.
    pub seconds: i64,
    /// And the rest.
    pub nanos: u32,
}

/// What something in a directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeafKind {
    /// A file.
    File,
    /// A directory, and the tree of what is in it, 64 hexadecimal digits.
    Dir(String),
    /// A symbolic link, and where it leads.
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

/// Where the blobs of a file lie in it, and which they are.
type LaidOut = Arc<(Layout, Vec<DataId>)>;
/// A blob that is being read, or was, and when.
type Reading = Arc<OnceLock<(Instant, Result<Bytes, String>)>>;

/// A repository as somebody walks through it: what it had when this was made.
pub struct Browsing {
    blobs: Blobs<Repository>,
    trees: Mutex<Held<Id, Arc<Tree>>>,
    layouts: Mutex<Held<(Id, usize), LaidOut>>,
    data: Mutex<Held<Id, Reading>>,
}

impl std::fmt::Debug for Browsing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browsing").field("place", &self.blobs.repository().place()).finish_non_exhaustive()
    }
}

impl Repository {
    /// Walks through it. Snapshots that were listed before are all there.
    pub fn browse(self) -> Result<Browsing, BackupError> {
        let open = self.opened()?;
        Ok(Browsing {
            blobs: Blobs::of(self, &open)?,
            trees: Mutex::new(Held::new(TREES_MAX)),
            layouts: Mutex::new(Held::new(LAYOUTS_MAX)),
            data: Mutex::new(Held::new(DATA_MAX)),
        })
    }
}

impl Browsing {
    /// What is in a directory. Names that no file can have are left out: a snapshot is whatever its writer put together.
    pub fn entries(&self, tree: &str) -> Result<Vec<Leaf>, BackupError> {
        let tree = self.tree(id(tree).ok_or_else(|| self.failed("there is no such directory"))?)?;
        Ok(tree.nodes.iter().enumerate().filter_map(|(at, node)| self.leaf(at, node)).collect())
    }

    /// Bytes of a file in a directory; fewer where it ends, and at the most 4 MiB.
    pub fn read(&self, tree: &str, at: usize, offset: u64, length: u64) -> Result<Bytes, BackupError> {
        let tree = id(tree).ok_or_else(|| self.failed("there is no such directory"))?;
        let file = self.layout(tree, at)?;
        let (layout, ids) = &*file;
        let mut pieces = Vec::new();
        for piece in layout.pieces(offset, length.min(READ_MAX)) {
            let id = ids.get(piece.blob).ok_or_else(|| self.failed("there is no such blob"))?.into_inner();
            let blob = self.data(id, piece.length)?;
            // The indexes said where it ends: what is not so would shift all that comes after it.
            let cut = |end: u64| usize::try_from(end).ok();
            let part = (blob.len() as u64 == piece.length)
                .then(|| Some(cut(piece.range.start)?..cut(piece.range.end)?))
                .flatten();
            let part = part.filter(|part| part.end <= blob.len()).ok_or_else(|| {
                self.failed(format!(
                    "an index says another length of {id} than it has: freehold backup check"
                ))
            })?;
            pieces.push(blob.slice(part));
        }
        if let [one] = pieces.as_slice() {
            return Ok(one.clone());
        }
        let mut bytes = BytesMut::new();
        for piece in &pieces {
            bytes.extend_from_slice(piece);
        }
        Ok(bytes.freeze())
    }

    fn failed(&self, why: impl Into<String>) -> BackupError {
        let place = self.blobs.repository().place().to_owned();
        BackupError::Engine { doing: "reading", place, why: why.into() }
    }

    fn tree(&self, id: TreeId) -> Result<Arc<Tree>, BackupError> {
        if let Some(tree) = lock(&self.trees).get(&id) {
            return Ok(tree);
        }
        let tree = Arc::new(self.blobs.tree(id).map_err(|why| self.failed(why))?);
        let weight: u64 = tree.nodes.iter().map(weight).sum();
        lock(&self.trees).put(id.into_inner(), Arc::clone(&tree), weight);
        Ok(tree)
    }

    fn layout(&self, tree: TreeId, at: usize) -> Result<LaidOut, BackupError> {
        let key = (tree.into_inner(), at);
        if let Some(layout) = lock(&self.layouts).get(&key) {
            return Ok(layout);
        }
        let read = self.tree(tree)?;
        let node = read.nodes.get(at).filter(|node| node.is_file());
        let node = node.ok_or_else(|| self.failed("there is no such file"))?;
        if node.content.is_none() && node.meta.size > 0 {
            return Err(self.failed("the backup is damaged: a file without content"));
        }
        let layout =
            self.laid_out(node).ok_or_else(|| self.failed("the backup is damaged: no index names all of it"));
        let layout = Arc::new((layout?, node.content.clone().unwrap_or_default()));
        lock(&self.layouts).put(key, Arc::clone(&layout), 64 + 40 * layout.0.blobs() as u64);
        Ok(layout)
    }

    /// Where the indexes say that its blobs end.
    fn laid_out(&self, node: &Node) -> Option<Layout> {
        let lengths: Option<Vec<u64>> =
            node.content.iter().flatten().map(|id| self.blobs.length(id.into_inner())).collect();
        Layout::of(lengths?.into_iter())
    }

    /// A blob, which is read once however many want it at the same time.
    fn data(&self, id: Id, length: u64) -> Result<Bytes, BackupError> {
        let reading = {
            let mut data = lock(&self.data);
            let is_stale = |reading: &Reading| {
                reading.get().is_some_and(|(at, read)| read.is_err() && at.elapsed() > AGAIN_AFTER)
            };
            data.get(&id).filter(|reading| !is_stale(reading)).unwrap_or_else(|| {
                let reading = Reading::default();
                data.put(id, Arc::clone(&reading), length);
                reading
            })
        };
        let (_, read) = reading.get_or_init(|| {
            let read = self.blobs.blob(id, BlobType::Data);
            (Instant::now(), read)
        });
        read.clone().map_err(|why| self.failed(why))
    }

    fn leaf(&self, at: usize, node: &Node) -> Option<Leaf> {
        let name = match node.name() {
            Cow::Borrowed(name) => name.as_bytes().to_vec(),
            Cow::Owned(name) => name.as_bytes().to_vec(),
        };
        if !is_name(&name) {
            return None;
        }
        let kind = match &node.node_type {
            NodeType::File => LeafKind::File,
            NodeType::Dir => LeafKind::Dir(node.subtree?.to_hex().as_str().to_owned()),
            NodeType::Symlink { .. } => {
                LeafKind::Link(node.node_type.to_link().as_os_str().as_bytes().to_vec())
            }
            NodeType::Fifo => LeafKind::Pipe,
            NodeType::Socket => LeafKind::Socket,
            NodeType::Dev { device } => LeafKind::Block(*device),
            NodeType::Chardev { device } => LeafKind::Char(*device),
        };
        // A file that grew while it was read has more than was said at first.
        let said = node.meta.size;
        let size = match &kind {
            LeafKind::File => self.laid_out(node).map_or(said, |layout| layout.length()),
            _ => 0,
        };
        let usual = if matches!(kind, LeafKind::Dir(_)) { 0o700 } else { 0o600 };
        let meta = &node.meta;
        let modified = meta.mtime.map(moved).unwrap_or_default();
        let or_modified = |time: Option<Timestamp>| time.map_or(modified, moved);
        Some(Leaf {
            at,
            name,
            kind,
            mode: meta.mode.map_or(usual, |mode| placing::mode_of(mode, true)),
            user: meta.uid.unwrap_or(NOBODY),
            group: meta.gid.unwrap_or(NOBODY),
            size,
            links: meta.links.max(1),
            times: [modified, or_modified(meta.atime), or_modified(meta.ctime)],
        })
    }
}

fn lock<T>(held: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn id(hex: &str) -> Option<TreeId> {
    hex.parse::<Id>().ok().map(TreeId::from)
}

/// About what it takes of memory.
fn weight(node: &Node) -> u64 {
    let content = node.content.as_ref().map_or(0, Vec::len);
    (400 + node.name.len() + 32 * content) as u64
}

/// Whether a file can be called so.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"."
        && name != b".."
        && name.len() <= 255
        && !name.contains(&b'/')
        && !name.contains(&0)
}

fn moved(time: Timestamp) -> Moved {
    let nanos = time.as_nanosecond();
    Moved {
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or_default(),
        nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

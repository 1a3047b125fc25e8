//! Looking for files by their names, over all snapshots at once: what is the same in many of them is looked at once.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};
use rustic_core::{TreeId, repofile::Node};

use crate::{BackupError, Entry, Repository, Snapshot, Stop, looking::entry, restoring::Run};

/// Of directories that were looked at so many are remembered; what is forgotten is looked at again.
const REMEMBERED_MAX: usize = 1 << 20;

/// What somebody looks for.
#[derive(Debug, Clone)]
pub struct Sought {
    how: How,
}

#[derive(Debug, Clone)]
enum How {
    /// In small letters.
    Part(String),
    Glob(GlobMatcher),
}

impl Sought {
    /// A part of a name; or, with `*`, `?` or `[`, the whole of it. With a slash that is of the path. Capital letters are as
    /// good as small ones.
    ///
    /// # Errors
    /// Why it is no pattern.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("it is empty, which is a part of every name".to_owned());
        }
        if !pattern.contains(['*', '?', '[']) {
            return Ok(Self { how: How::Part(pattern.to_lowercase()) });
        }
        let whole = if pattern.starts_with('/') || !pattern.contains('/') {
            pattern.to_owned()
        } else {
            format!("**/{pattern}")
        };
        let glob = GlobBuilder::new(&whole).case_insensitive(true).literal_separator(true).build();
        let glob = glob.map_err(|error| error.kind().to_string())?;
        Ok(Self { how: How::Glob(glob.compile_matcher()) })
    }

    fn is(&self, path: &Path) -> bool {
        let by_path = match &self.how {
            How::Part(part) => part.contains('/'),
            How::Glob(glob) => glob.glob().glob().contains('/'),
        };
        let at = if by_path { Some(path.as_os_str()) } else { path.file_name() };
        let Some(at) = at else { return false };
        match &self.how {
            How::Part(part) => at.to_string_lossy().to_lowercase().contains(part),
            How::Glob(glob) => glob.is_match(Path::new(at)),
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is, in the newest snapshot that has it so.
    pub entry: Entry,
    /// Which snapshot that is: its place among those that were looked into.
    pub newest: usize,
    /// In how many snapshots it is, the same at the same place.
    pub snapshots: u64,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits {
    /// The newest snapshot's first.
    pub found: Vec<Hit>,
    /// Whether there was more than was asked for.
    pub more: bool,
    /// Directories that could not be read, and why.
    pub unread: Vec<(PathBuf, String)>,
}

struct Seeker<'a> {
    run: &'a Run<'a>,
    sought: &'a Sought,
    most: usize,
    hits: Hits,
    by: HashMap<(PathBuf, Vec<u8>), usize>,
    /// What was found below each directory at its place.
    seen: HashMap<(PathBuf, TreeId), BTreeSet<usize>>,
    stop: Stop,
}

/// A directory that is being looked at.
struct Level {
    dir: PathBuf,
    tree: TreeId,
    nodes: std::vec::IntoIter<Node>,
    here: BTreeSet<usize>,
}

impl Seeker<'_> {
    fn level(&mut self, dir: PathBuf, tree: TreeId) -> Level {
        let read = self.run.tree(tree);
        let nodes = read.map_or_else(
            |why| {
                self.hits.unread.push((dir.clone(), why));
                Vec::new()
            },
            |read| read.nodes,
        );
        Level { dir, tree, nodes: nodes.into_iter(), here: BTreeSet::new() }
    }

    /// Notes what a snapshot has, and answers what was found there. By a list of our own, and not by calls within calls: whoever
    /// writes a repository says how deep its directories are.
    fn look(&mut self, snapshot: usize, root: TreeId) -> BTreeSet<usize> {
        if let Some(known) = self.known(Path::new("/"), root) {
            return known;
        }
        let mut here = BTreeSet::new();
        let mut open = vec![self.level(PathBuf::from("/"), root)];
        while let Some(mut level) = open.pop() {
            if self.stop.is_asked() {
                return here;
            }
            let Some(node) = level.nodes.next() else {
                if let Some(above) = open.last_mut() {
                    above.here.extend(&level.here);
                } else {
                    here.clone_from(&level.here);
                }
                self.remember(level);
                continue;
            };
            let path = level.dir.join(node.name());
            if self.sought.is(&path) {
                level.here.extend(self.found(snapshot, &path, &node));
            }
            let below = node.subtree.filter(|_| node.is_dir());
            let known = below.and_then(|below| self.known(&path, below));
            let next = below.filter(|_| known.is_none()).map(|below| self.level(path, below));
            level.here.extend(known.into_iter().flatten());
            open.push(level);
            open.extend(next);
        }
        here
    }

    fn known(&self, dir: &Path, tree: TreeId) -> Option<BTreeSet<usize>> {
        self.seen.get(&(dir.to_owned(), tree)).cloned()
    }

    fn remember(&mut self, level: Level) {
        if self.seen.len() < REMEMBERED_MAX {
            self.seen.insert((level.dir, level.tree), level.here);
        }
    }

    fn found(&mut self, snapshot: usize, path: &Path, node: &Node) -> Option<usize> {
        let key = (path.to_owned(), content_of(node));
        if let Some(known) = self.by.get(&key) {
            return Some(*known);
        }
        if self.hits.found.len() >= self.most {
            self.hits.more = true;
            return None;
        }
        let at = self.hits.found.len();
        self.hits.found.push(Hit { entry: entry(path.to_owned(), node), newest: snapshot, snapshots: 0 });
        self.by.insert(key, at);
        Some(at)
    }
}

/// What makes it another one than before: what is in it. A directory is the same as long as it is there.
fn content_of(node: &Node) -> Vec<u8> {
    let ids = node.content.iter().flatten().flat_map(|id| id.to_hex().as_str().bytes().collect::<Vec<_>>());
    let link = format!("{:?}", if node.is_file() || node.is_dir() { None } else { Some(&node.node_type) });
    ids.chain(link.bytes()).collect()
}

impl Repository {
    /// Looks for names in snapshots, the newest of which comes first; so many finds at the most are told.
    pub fn seek(&self, sought: &Sought, snapshots: &[Snapshot], most: usize) -> Result<Hits, BackupError> {
        let open = self.opened()?;
        let run = Run::new(self, &open)?;
        let (hits, by, seen, stop) =
            (Hits::default(), HashMap::new(), HashMap::new(), self.store().stop().clone());
        let mut seeker = Seeker { run: &run, sought, most, hits, by, seen, stop };
        for (place, snapshot) in snapshots.iter().enumerate() {
            let root = self.found(&open, &snapshot.id)?.tree;
            for at in seeker.look(place, root) {
                if let Some(hit) = seeker.hits.found.get_mut(at) {
                    hit.snapshots += 1;
                }
            }
            self.store().stop().check().map_err(|error| BackupError::Engine {
                doing: "looking into the backup",
                place: self.place().to_owned(),
                why: error.to_string(),
            })?;
        }
        Ok(seeker.hits)
    }
}

//! What is in a snapshot, for whoever looks for something, and a restore that is tried before anybody needs one.

use std::path::{Path, PathBuf};

use freehold_retention::{DrillPlan, Moment, Sample};
use freehold_wire::Millis;
use rustic_core::{
    TreeId,
    repofile::{Metadata, Node, NodeType},
};

use crate::{
    BackupError, Repository, Restored,
    restoring::{Run, Wanted},
};

/// Something in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it was.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its bytes; 0 for what is no file.
    pub size: u64,
    /// When it was changed last, where that is known.
    pub modified: Option<Moment>,
}

/// What something in a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// Something else: a pipe, a socket, a device.
    Other,
}

/// A restore that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The files of the snapshot of which some were tried.
    pub of: u64,
    /// What came back, and what did not.
    pub restored: Restored,
}

/// A restore of everything that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// What came back, and what did not.
    pub tried: Tried,
    /// The bytes of the greatest file for which there was no room.
    pub no_room: Option<u64>,
}

impl Repository {
    /// What lies directly below a path of a snapshot, by name; of a file itself. Without a path below the root.
    pub fn list(&self, snapshot: &str, at: Option<&Path>) -> Result<Vec<Entry>, BackupError> {
        let open = self.opened()?;
        let found = self.found(&open, snapshot)?;
        let run = Run::new(self, &open)?;
        let at = at.unwrap_or_else(|| Path::new("/"));
        let root = match run.found(snapshot, found.tree, at)? {
            Wanted::One(node) => return Ok(vec![entry(at.to_owned(), &node)]),
            Wanted::Below(root) => root,
        };
        let tree = run.tree(root).map_err(|why| BackupError::Engine {
            doing: "looking into the backup",
            place: self.place().to_owned(),
            why,
        })?;
        Ok(tree.nodes.iter().map(|node| entry(at.join(node.name()), node)).collect())
    }

    /// Restores some files of a snapshot into a directory, which ought to be empty, under numbers for names: each blob of
    /// them is held against its hash. What did not come back is told by where it was. Owners and attributes are not given:
    /// a place that knows none says nothing of the backup.
    pub fn drill(
        &self,
        snapshot: &str,
        plan: &DrillPlan,
        seed: u64,
        to: &Path,
    ) -> Result<Tried, BackupError> {
        let open = self.opened()?;
        let found = self.found(&open, snapshot)?;
        let run = Run::new(self, &open)?;
        let (mut sample, mut of) = (Sample::new(plan, seed), 0);
        each_file(&run, found.tree, true, &mut |_, node| {
            of += 1;
            sample.offer(node.meta.size);
        });
        let mut chosen = sample.chosen().into_iter().peekable();
        let mut place = 0;
        each_file(&run, found.tree, false, &mut |path, node| {
            if chosen.next_if_eq(&place).is_some() {
                run.put(&to.join(place.to_string()), path, &bare(node));
            }
            place += 1;
        });
        Ok(Tried { of, restored: run.told() })
    }

    /// Restores everything that a snapshot has in the same way, and takes each file away again as soon as it is whole, so that
    /// there need be no more room than `room` bytes, and what the greatest file has. One that is greater is not tried, and
    /// told.
    pub fn drill_whole(&self, snapshot: &str, room: u64, to: &Path) -> Result<Whole, BackupError> {
        let open = self.opened()?;
        let found = self.found(&open, snapshot)?;
        let run = Run::new(self, &open)?;
        let (mut of, mut no_room) = (0, None);
        let mut unremoved = Ok(());
        each_file(&run, found.tree, true, &mut |path, node| {
            of += 1;
            if unremoved.is_err() || self.store().stop().is_asked() {
                return;
            }
            if node.meta.size > room {
                no_room = no_room.max(Some(node.meta.size));
                return;
            }
            let file = to.join("file");
            if run.put(&file, path, &bare(node)) {
                unremoved = std::fs::remove_file(&file);
            }
        });
        unremoved.map_err(|why| BackupError::Target { path: to.to_owned(), why })?;
        Ok(Whole { tried: Tried { of, restored: run.told() }, no_room })
    }
}

/// A file with nothing said of it but its content.
fn bare(node: &Node) -> Node {
    let meta = Metadata { size: node.meta.size, ..Metadata::default() };
    Node { meta, ..node.clone() }
}

/// Each file below a tree, in an order that is the same each time. What cannot be read is noted, if that is wanted.
fn each_file(run: &Run<'_>, root: TreeId, note: bool, see: &mut dyn FnMut(&Path, &Node)) {
    let mut open = vec![(root, PathBuf::from("/"))];
    while let Some((id, dir)) = open.pop() {
        let tree = match run.tree(id) {
            Ok(tree) => tree,
            Err(why) => {
                if note {
                    run.note(&dir, why);
                }
                continue;
            }
        };
        for node in &tree.nodes {
            let path = dir.join(node.name());
            match node.subtree.filter(|_| node.is_dir()) {
                Some(below) => open.push((below, path)),
                None if node.is_file() => see(&path, node),
                None => {}
            }
        }
    }
}

pub(crate) fn entry(path: PathBuf, node: &Node) -> Entry {
    let kind = match node.node_type {
        NodeType::File => Kind::File,
        NodeType::Dir => Kind::Dir,
        NodeType::Symlink { .. } => Kind::Link,
        _ => Kind::Other,
    };
    let moment = |time: rustic_core::jiff::Timestamp| Moment {
        at: Millis(u64::try_from(time.as_millisecond()).unwrap_or_default()),
        offset: 0,
    };
    let size = if kind == Kind::File { node.meta.size } else { 0 };
    Entry { path, kind, size, modified: node.meta.mtime.map(moment) }
}

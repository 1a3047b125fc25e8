//! What a restore would do, told before it does anything. It goes the way that a restore goes: what is the same for one is the same
//! for the other, and no link below the place is followed.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use rustic_core::{
    TreeId,
    repofile::{Node, NodeType},
};

use crate::{
    BackupError, Failed, Repository, placing,
    restoring::{Run, Wanted},
};

/// What a restore would do about something that is no directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is there: it is made.
    New,
    /// Something else is there, and is overwritten.
    Replaced,
    /// It is there; its owner, its mode, or what else is said of it is set.
    Marked,
    /// It is there as it was.
    Same,
    /// A directory is there: it stays, and this does not come back.
    Blocked,
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Files, links and what else is no directory.
    pub things: u64,
    /// Their bytes in the backup.
    pub bytes: u64,
}

/// What a restore would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// What is made.
    pub new: Share,
    /// What is overwritten.
    pub replaced: Share,
    /// Of what only the owner, the mode or the like is set.
    pub marked: Share,
    /// What is as it was.
    pub same: Share,
    /// What does not come back, since a directory has its name.
    pub blocked: Share,
    /// How much of the backup cannot be read.
    pub failed: u64,
    /// The first of that.
    pub named: Vec<Failed>,
}

impl Compared {
    const fn of_mut(&mut self, fate: Fate) -> &mut Share {
        match fate {
            Fate::New => &mut self.new,
            Fate::Replaced => &mut self.replaced,
            Fate::Marked => &mut self.marked,
            Fate::Same => &mut self.same,
            Fate::Blocked => &mut self.blocked,
        }
    }
}

impl Repository {
    /// What [`Repository::restore`] would do with the same words, and changes nothing. `see` hears of each thing that is no
    /// directory, with its bytes.
    pub fn compare(
        &self,
        snapshot: &str,
        only: Option<&Path>,
        to: &Path,
        see: &mut dyn FnMut(&Path, Fate, u64),
    ) -> Result<Compared, BackupError> {
        let open = self.opened()?;
        let found = self.found(&open, snapshot)?;
        let nowhere = |why| BackupError::Target { path: to.to_owned(), why };
        let (to, is_there) = match to.canonicalize() {
            Ok(to) if to.is_dir() => (to, true),
            Ok(_) => return Err(nowhere(ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => (to.to_owned(), false),
            Err(error) => return Err(nowhere(error)),
        };
        let run = Run::new(self, &open)?;
        self.meter().begin(0);
        let wanted = match only {
            None => Wanted::Below(found.tree),
            Some(path) => run.found(snapshot, found.tree, path)?,
        };
        let mut comparing = Comparing { run, compared: Compared::default(), see };
        match wanted {
            Wanted::Below(root) => comparing.walk(root, to, is_there),
            Wanted::One(node) => comparing.one(&to, &node, is_there),
        }
        let Comparing { run, mut compared, .. } = comparing;
        let told = run.told();
        (compared.failed, compared.named) = (told.failed, told.named);
        Ok(compared)
    }

    /// Whether a snapshot has something at a path.
    pub fn has(&self, snapshot: &str, path: &Path) -> Result<bool, BackupError> {
        let open = self.opened()?;
        let found = self.found(&open, snapshot)?;
        match Run::new(self, &open)?.found(snapshot, found.tree, path) {
            Ok(_) => Ok(true),
            Err(BackupError::NotInSnapshot { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

struct Comparing<'a, 's> {
    run: Run<'a>,
    compared: Compared,
    see: &'s mut dyn FnMut(&Path, Fate, u64),
}

impl Comparing<'_, '_> {
    /// Everything below a tree. What is not there has nothing below it, wherever a link of its name leads.
    fn walk(&mut self, root: TreeId, to: PathBuf, is_there: bool) {
        let mut open = vec![(root, to, is_there)];
        while let Some((id, dir, is_there)) = open.pop() {
            let tree = match self.run.tree(id) {
                Ok(tree) => tree,
                Err(why) => {
                    self.run.note(&dir, why);
                    continue;
                }
            };
            let mut below = Vec::new();
            for node in &tree.nodes {
                let Some(path) = self.run.within(&dir, node) else { continue };
                match (node.is_dir(), node.subtree) {
                    (true, Some(id)) => {
                        let stays = is_there && self.dir(&path);
                        below.push((id, path, stays));
                    }
                    (true, None) => {
                        self.run.note(&path, "the backup is damaged: a directory without content".to_owned());
                    }
                    (false, _) => self.one_at(&path, node, is_there),
                }
            }
            open.extend(below.into_iter().rev());
        }
    }

    /// Whether a directory is there. What is there instead of it is overwritten.
    fn dir(&mut self, path: &Path) -> bool {
        match path.symlink_metadata() {
            Ok(there) if there.is_dir() => true,
            Ok(_) => {
                self.note(path, Fate::Replaced, 0);
                false
            }
            Err(_) => false,
        }
    }

    fn one(&mut self, dir: &Path, node: &Node, is_there: bool) {
        if let Some(path) = self.run.within(dir, node) {
            self.one_at(&path, node, is_there);
        }
    }

    fn one_at(&mut self, path: &Path, node: &Node, is_there: bool) {
        let fate = if is_there { fate(path, node) } else { Fate::New };
        self.note(path, fate, if node.is_file() { node.meta.size } else { 0 });
    }

    fn note(&mut self, path: &Path, fate: Fate, bytes: u64) {
        let share = self.compared.of_mut(fate);
        share.things += 1;
        share.bytes += bytes;
        (self.see)(path, fate, bytes);
    }
}

fn fate(path: &Path, node: &Node) -> Fate {
    let Ok(there) = path.symlink_metadata() else { return Fate::New };
    let kind = there.file_type();
    let same = match &node.node_type {
        _ if there.is_dir() => return Fate::Blocked,
        NodeType::File => placing::is_there(path, node),
        NodeType::Symlink { .. } => {
            kind.is_symlink() && fs::read_link(path).is_ok_and(|to| to == node.node_type.to_link())
        }
        NodeType::Fifo => kind.is_fifo(),
        NodeType::Socket => kind.is_socket(),
        // Made anew each time.
        NodeType::Dir | NodeType::Dev { .. } | NodeType::Chardev { .. } => false,
    };
    match (same, placing::is_dressed(path, &there, node)) {
        (false, _) => Fate::Replaced,
        (true, false) => Fate::Marked,
        (true, true) => Fate::Same,
    }
}

//! The walk of a run: which directory it is in, what that was in the snapshot before, and which files have to be read.
//! Entries come as a source has them, each directory before what is in it.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use rustic_core::{
    Id, ReadBackend, ReadSource, ReadSourceEntry, TreeId,
    repofile::{Metadata, Node, NodeType},
};

use crate::{error::said, growing::Dir, known::Known, sealing::Sealer};

/// So many steps are taken from the walk at once, and no more bytes to read than these.
const STEPS: usize = 256;
const BYTES: u64 = 2 << 20;

/// How something stands to the snapshot before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    New,
    Changed,
    Same,
}

/// A file that is to be read.
pub(crate) struct File<O> {
    pub(crate) dir: Arc<Dir>,
    pub(crate) node: Node,
    pub(crate) open: O,
    pub(crate) how: How,
}

/// What the walk has come to.
pub(crate) enum Step<O> {
    /// A file that has to be read.
    Read(Box<File<O>>),
    /// A file of so many bytes that need not be read.
    Kept(u64, How),
    /// The walk is through with a directory.
    Left(Arc<Dir>),
}

/// A directory that the walk is in.
struct Frame {
    dir: Arc<Dir>,
    /// What was in it, by names: not every source has them in their order.
    before: HashMap<OsString, Node>,
}

pub(crate) struct Walk<'a, R: ReadSource> {
    entries: R::Iter,
    frames: Vec<Frame>,
    /// Of the last frame.
    path: PathBuf,
    known: &'a Known,
    store: &'a dyn ReadBackend,
}

impl<'a, R: ReadSource> Walk<'a, R> {
    pub(crate) fn new(
        entries: R::Iter,
        known: &'a Known,
        store: &'a dyn ReadBackend,
        before: Option<Id>,
        sealer: &mut Sealer,
    ) -> Self {
        let mut walk = Self { entries, frames: Vec::new(), path: PathBuf::from("/"), known, store };
        let dir = Dir::entered(None, before);
        walk.push(dir, sealer);
        walk
    }

    fn push(&mut self, dir: Arc<Dir>, sealer: &mut Sealer) {
        let before = dir.was.and_then(|id| self.known.tree(id, self.store, sealer));
        let before = before.map(|tree| tree.nodes).unwrap_or_default();
        let before = before.into_iter().map(|node| (node.name().into_owned(), node)).collect();
        self.frames.push(Frame { dir, before });
    }

    /// Goes on for some steps; none are left at the end. `has` says whether a blob is there.
    pub(crate) fn steps(
        &mut self,
        steps: &mut Vec<Step<R::Open>>,
        sealer: &mut Sealer,
        has: impl Fn(&Id) -> bool,
    ) {
        let mut bytes = 0;
        while steps.len() < STEPS && bytes < BYTES {
            match self.entries.next() {
                Some(Ok(entry)) => bytes += self.entry(entry, steps, sealer, &has),
                Some(Err(error)) => tracing::debug!(why = said(&error), "left out of a backup"),
                None => {
                    steps.extend(self.frames.drain(..).rev().map(|frame| Step::Left(frame.dir)));
                    return;
                }
            }
        }
    }

    /// Answers the bytes that are to be read for it.
    fn entry(
        &mut self,
        entry: ReadSourceEntry<R::Open>,
        steps: &mut Vec<Step<R::Open>>,
        sealer: &mut Sealer,
        has: &impl Fn(&Id) -> bool,
    ) -> u64 {
        let ReadSourceEntry { path, node, open } = entry;
        if node.is_dir() {
            self.go(&path, Some(node), steps, sealer);
            return 0;
        }
        self.go(path.parent().unwrap_or(Path::new("/")), None, steps, sealer);
        let Some(frame) = self.frames.last_mut() else { return 0 };
        let before = frame.before.remove(&*node.name());
        let (size, mut node) = (node.meta.size, node);
        let how = match &before {
            None => How::New,
            Some(before) if is_same(before, &node) => How::Same,
            Some(_) => How::Changed,
        };
        if node.node_type != NodeType::File {
            frame.dir.take(node);
            steps.push(Step::Kept(0, how));
            return 0;
        }
        // What was there and is not any more is read again.
        let content = before.filter(|_| how == How::Same).and_then(|before| before.content);
        if let Some(content) = content.filter(|content| content.iter().all(|id| has(id))) {
            node.content = Some(content);
            frame.dir.take(node);
            steps.push(Step::Kept(size, how));
            return 0;
        }
        let Some(open) = open else { return 0 };
        frame.dir.one_more();
        let dir = Arc::clone(&frame.dir);
        steps.push(Step::Read(Box::new(File { dir, node, open, how })));
        size
    }

    /// Goes to a directory: leaves those that it is not in, and enters those on the way. `node` is what is said of it, where
    /// the walk has come to it itself; those that it passes by have their name and nothing else.
    fn go(&mut self, to: &Path, node: Option<Node>, steps: &mut Vec<Step<R::Open>>, sealer: &mut Sealer) {
        if to == self.path && node.is_none() {
            return;
        }
        while !to.starts_with(&self.path) && self.path.pop() {
            steps.extend(self.frames.pop().map(|frame| Step::Left(frame.dir)));
        }
        let Ok(rest) = to.strip_prefix(&self.path) else { return };
        let rest: Vec<_> = rest.components().collect();
        let mut node = node;
        for (number, component) in rest.iter().enumerate() {
            let Component::Normal(name) = component else { continue };
            let last = number + 1 == rest.len();
            let passed = || {
                // So that whoever restores can go in.
                let meta = Metadata { mode: Some(0o755), ..Metadata::default() };
                Node::new_node(name, NodeType::Dir, meta)
            };
            let node = if last { node.take() } else { None }.unwrap_or_else(passed);
            let Some(frame) = self.frames.last_mut() else { return };
            let was =
                frame.before.remove(&*node.name()).and_then(|before| before.subtree).map(TreeId::into_inner);
            let dir = Dir::entered(Some((Arc::clone(&frame.dir), node)), was);
            self.path.push(name);
            self.push(dir, sealer);
        }
    }
}

/// Whether a file is what it was, by what is said of it: nobody reads it for that.
fn is_same(before: &Node, now: &Node) -> bool {
    let (was, is) = (&before.meta, &now.meta);
    before.node_type == now.node_type
        && was.size == is.size
        && was.mtime == is.mtime
        && is.mtime.is_some()
        && was.ctime.zip(is.ctime).is_none_or(|(was, is)| was == is)
}

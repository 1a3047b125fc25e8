//! Directories of a snapshot while their files are still being read: each is closed by whoever finishes the last of what is
//! in it, in whichever order that comes.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use rustic_core::{Id, repofile::Node, repofile::Tree};

/// A directory that is not whole yet.
#[derive(Debug)]
pub(crate) struct Dir {
    nodes: Mutex<Vec<Node>>,
    /// The walk while it is in it, files that are read, and directories that are not whole.
    open: AtomicUsize,
    /// The directory that it is in, and what is said of it there.
    above: Option<(Arc<Self>, Mutex<Option<Node>>)>,
    /// What it was in the snapshot before.
    pub(crate) was: Option<Id>,
}

impl Dir {
    /// The walk enters a directory: `None` for the one that all others are in.
    pub(crate) fn entered(above: Option<(Arc<Self>, Node)>, was: Option<Id>) -> Arc<Self> {
        let above = above.map(|(above, node)| {
            above.one_more();
            (above, Mutex::new(Some(node)))
        });
        Arc::new(Self { nodes: Mutex::default(), open: AtomicUsize::new(1), above, was })
    }

    /// Somebody is at something that belongs into it.
    pub(crate) fn one_more(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Something in it is whole.
    pub(crate) fn take(&self, node: Node) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).push(node);
    }

    /// The walk, a file or a directory is done. Where that was the last, its tree is whole: `close` keeps it and answers its
    /// id; then the same for what it is in. Answers the id of the one that all others are in, once that is whole.
    pub(crate) fn done<E>(
        mut dir: Arc<Self>,
        mut close: impl FnMut(&Self, &Tree) -> Result<Id, E>,
    ) -> Result<Option<Id>, E> {
        loop {
            if dir.open.fetch_sub(1, Ordering::AcqRel) > 1 {
                return Ok(None);
            }
            let mut nodes = std::mem::take(&mut *dir.nodes.lock().unwrap_or_else(PoisonError::into_inner));
            nodes.sort_by(|one, other| one.name().cmp(&other.name()));
            let id = close(&dir, &Tree { nodes })?;
            let Some((above, node)) = &dir.above else { return Ok(Some(id)) };
            if let Some(mut node) = node.lock().unwrap_or_else(PoisonError::into_inner).take() {
                node.subtree = Some(id.into());
                above.take(node);
            }
            let above = Arc::clone(above);
            dir = above;
        }
    }
}

//! Checkers that watch the world from outside.

use std::collections::BTreeMap;

use freehold_wire::OpId;

use crate::Letter;

/// Nobody may ever say two things under one number.
#[derive(Debug, Default)]
pub(crate) struct Numbers(BTreeMap<(u8, u64), OpId>);

impl Numbers {
    /// Looks at an operation that has left a node.
    pub(crate) fn seen(&mut self, bytes: &[u8]) -> Option<String> {
        let letter = Letter::decode(bytes).ok()?;
        let id = letter.id();
        let first = *self.0.entry((letter.author, letter.seq)).or_insert(id);
        (first != id).then(|| {
            format!(
                "n{} has told two operations with number {}: {} and {}",
                letter.author,
                letter.seq,
                first.short(),
                id.short()
            )
        })
    }
}

//! The box key of a backend's node, as the letter has it, may be older than the one that the node told of
//! last: then the node says again which it is, and boxes the directory's key for it.

use std::sync::Arc;

use freehold_api::Problem;
use freehold_crypt::{BoxSecret, SigningKey};
use freehold_disk::{EntryStore, OsEntropy};
use freehold_seal::{DirectoryRow, KeyOf, Recipient};
use freehold_wire::{Hlc, NodeId, RealmId};

use super::super::WHAT;
use crate::clock;
use crate::directory::Directory;
use crate::scribe::{Saying, Scribe};

/// Says so in the node's name, if need be. `directory` is what the guardians read.
pub(super) fn say_again(
    entries: EntryStore,
    realm: RealmId,
    directory: &Directory,
    key: SigningKey,
    secret: &BoxSecret,
) -> Result<bool, Problem> {
    let node = NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap_or_default());
    let public = secret.public();
    if directory.box_key(node).is_none_or(|told| told == public) {
        return Ok(false);
    }
    let Some(ring) = directory.ring(KeyOf::Directory) else { return Ok(false) };
    let mut sayings = Vec::new();
    for key in ring.iter() {
        let boxed = ring.envelope(key.version(), Recipient::Node(node), &public, &mut OsEntropy);
        let boxed = boxed.map_err(|e| Problem::bug(WHAT, e.to_string(), None::<&str>))?;
        sayings.push(Saying::Key(Box::new(boxed)));
    }
    sayings.push(Saying::Row(DirectoryRow::BoxKey(node, public)));
    let scribe = Scribe { realm, node, key: Arc::new(key), entries: Arc::new(entries) };
    let hlc = Hlc { wall: clock::wall(), count: 0 };
    let written = scribe.write(sayings, ring.current().cloned(), hlc);
    written.map(|_| true).map_err(|e| Problem::refused(WHAT, e.to_string(), Some("df -h")))
}

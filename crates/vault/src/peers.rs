//! What the vault asks of the rest of the node: blobs that others hold, and confirmations.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use freehold_placement::{BlobRef, Entry, Own};
use freehold_wire::{BucketId, EntryId, Millis, NodeId};
use futures::stream::BoxStream;

use crate::BoxError;

/// Ciphertext coming from a peer.
pub type BlobStream = BoxStream<'static, Result<Bytes, BoxError>>;

/// No peer gave the blob.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Nobody is known to hold it, or none of them answers.
    #[error("no node that holds the blob answers")]
    NoHolder,
    /// A holder answered, but it failed.
    #[error("fetching the blob failed")]
    Failed(#[source] BoxError),
}

/// Too few copies were confirmed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only {have} copies were confirmed in time")]
pub struct NotConfirmed {
    /// Copies confirmed, this node's own included.
    pub have: u16,
}

/// There is no room for more, by what the realm's people allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoRoom(pub String);

/// Room for what is being written: it counts as taken for as long as this lives, or until the entry is
/// handed on.
#[derive(Clone, Default)]
pub struct Room(Option<Arc<dyn Any + Send + Sync>>);

impl Room {
    /// Room that is given back when this goes.
    pub fn held(by: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(by)))
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Room({})", self.0.is_some())
    }
}

/// Blobs that other nodes hold. The vault checks what comes; an implementation need not.
#[async_trait]
pub trait Peers: Send + Sync + std::fmt::Debug {
    /// Streams a range of a blob's ciphertext from a node that holds it. `tried` counts the
    /// attempts for this blob so far: a second one should ask another holder.
    async fn fetch(
        &self,
        bucket: &BucketId,
        blob: &BlobRef,
        range: Range<u64>,
        tried: u32,
    ) -> Result<BlobStream, PeerError>;
}

/// The replication machine, as the vault sees it.
#[async_trait]
pub trait Replication: Send + Sync + std::fmt::Debug {
    /// A local entry is durable in the entry store. Called in the order of sequence numbers for
    /// each bucket, from the writing thread: hand it on and return.
    fn committed(&self, entry: &Entry, payload: &[u8]);

    /// A blob that should be here is missing or bad; a good copy is wanted.
    fn lost(&self, bucket: &BucketId, blob: &BlobRef);

    /// Whether this node is one of those that should hold the blobs of an entry. A copy that does
    /// not belong here may still be the only one: this says nothing about removing it.
    fn belongs_here(&self, bucket: &BucketId, entry: &EntryId) -> bool;

    /// Whether just these bytes may be put under the blob's name: not if another entry said before
    /// that other ones lie there.
    async fn wanted(&self, blob: &BlobRef) -> bool;

    /// A node wrote what claims to be an entry of another one, sealed anew, and is not.
    fn forged(&self, bucket: &BucketId, by: &NodeId) {
        tracing::error!(bucket = %bucket.short(), by = %by.short(), "an entry is forged");
    }

    /// The payload of an entry was erased here, and its blobs go.
    fn erased(&self, bucket: &BucketId, origin: &NodeId, seq: u64);

    /// Whether this node is to tell others which entries of an origin may go: there are nodes that
    /// keep blobs and cannot read, and the origin is this node, or cannot tell itself.
    fn releases(&self, bucket: &BucketId, origin: &NodeId) -> bool;

    /// Whether this node may write to the bucket. One whose disk was rolled back may not, before
    /// it has its own entries again: it would use a number twice.
    fn own(&self, bucket: &BucketId) -> Own;

    /// Room for so many more sealed bytes in a bucket, if there is.
    fn room(&self, _bucket: &BucketId, _bytes: u64) -> Result<Room, NoRoom> {
        Ok(Room::default())
    }

    /// Waits while [`Self::own`] says [`Own::Listening`], which is for seconds at most.
    async fn listened(&self, _bucket: &BucketId) {}

    /// For each of a bucket's entries, given by origin and number: how many nodes (this one
    /// included) hold it with its blobs.
    async fn copies(&self, bucket: &BucketId, entries: Vec<(NodeId, u64)>) -> Vec<u16>;

    /// Whether another node is known to hold a blob.
    async fn is_elsewhere(&self, _blob: &BlobRef) -> bool {
        false
    }

    /// Waits until `copies` nodes (this one included) have confirmed the entry and its blobs.
    async fn confirmed(&self, entry: EntryId, copies: u16, timeout: Millis) -> Result<(), NotConfirmed>;
}

/// A node without peers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

#[async_trait]
impl Peers for Alone {
    async fn fetch(&self, _: &BucketId, _: &BlobRef, _: Range<u64>, _: u32) -> Result<BlobStream, PeerError> {
        Err(PeerError::NoHolder)
    }
}

#[async_trait]
impl Replication for Alone {
    fn committed(&self, _: &Entry, _: &[u8]) {}

    fn lost(&self, _: &BucketId, _: &BlobRef) {}

    fn belongs_here(&self, _: &BucketId, _: &EntryId) -> bool {
        true
    }

    async fn wanted(&self, _: &BlobRef) -> bool {
        true
    }

    fn erased(&self, _: &BucketId, _: &NodeId, _: u64) {}

    fn releases(&self, _: &BucketId, _: &NodeId) -> bool {
        false
    }

    fn own(&self, _: &BucketId) -> Own {
        Own::Sure
    }

    async fn copies(&self, _: &BucketId, entries: Vec<(NodeId, u64)>) -> Vec<u16> {
        vec![1; entries.len()]
    }

    async fn confirmed(&self, _: EntryId, copies: u16, _: Millis) -> Result<(), NotConfirmed> {
        if copies <= 1 { Ok(()) } else { Err(NotConfirmed { have: 1 }) }
    }
}

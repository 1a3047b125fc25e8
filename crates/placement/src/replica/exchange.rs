//! What the machine and its shell say to each other.

use freehold_wire::{BlobName, BucketId, EntryId, Millis, NodeId};

use crate::{BlobRef, Entry, Message, Payload, Row, View};

/// Names a write that was handed out; a higher one was handed out later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub u64);

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The bucket, or the directory.
    pub bucket: BucketId,
    /// Who wrote it.
    pub origin: NodeId,
    /// Its number.
    pub seq: u64,
}

/// Entries to be read from the store for a peer: `count` of them, from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// For whom.
    pub to: NodeId,
    /// The first one.
    pub first: Place,
    /// How many.
    pub count: usize,
}

/// Why a blob could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// The peer does not have it.
    Missing,
    /// What the peer gave has another length or hash.
    Corrupt,
    /// The connection to the peer is gone.
    Unreachable,
    /// The peer answers too slowly, or not at all, though it is connected.
    Slow,
    /// It could not be kept here: the disk is full or broken.
    Store,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The realm log says something new, or the same again.
    View(View),
    /// Wall time is this now: told at the start, and when it has been set.
    Clock(Millis),
    /// A connection to a peer is up.
    Connected(NodeId),
    /// The connection is gone.
    Disconnected(NodeId),
    /// A message came.
    Received(NodeId, Message),
    /// Bytes came that are no message.
    Garbage(NodeId),
    /// This node wrote an entry: it is durable, with its payload and blobs. Told in the order of
    /// its numbers, and in one order with [`Input::Stored`].
    Wrote(Box<Entry>, Payload),
    /// The write is durable. Writes become so in the order of their tickets.
    Stored(Ticket),
    /// The write failed; it is as if it had not been asked for.
    StoreFailed(Ticket),
    /// The entries asked for by [`Output::Load`]; fewer if they are not there.
    Loaded(Load, Vec<Row>),
    /// The blob is here: complete, of the right hash, durable.
    Fetched(BlobRef),
    /// It did not come.
    FetchFailed(BlobRef, FetchError),
    /// A blob that was here is missing or bad.
    Lost(BlobRef),
    /// A blob that [`Output::Verify`] named is good.
    Verified(BlobRef),
    /// The payload of an entry was erased, and its blobs may go.
    Erased(Place),
    /// All that lies here of a bucket was read; when that began, by the wall clock.
    Looked(BucketId, Millis),
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Make these entries and payloads durable, then say [`Input::Stored`].
    Store(Ticket, Vec<Row>),
    /// Keep an entry as proof that its number was used twice.
    Evidence(Box<Row>),
    /// Send a message.
    Send(NodeId, Message),
    /// Read entries from the store, then say [`Input::Loaded`].
    Load(Load),
    /// Fetch a blob from a peer, unless it is here already; check length and hash, make it durable,
    /// then say [`Input::Fetched`] or [`Input::FetchFailed`]. It may take as long as it likes while
    /// bytes come: a large blob on a slow line takes days.
    Fetch {
        /// From whom.
        from: NodeId,
        /// The bucket.
        bucket: BucketId,
        /// The blob.
        blob: BlobRef,
        /// How often it was tried before: with each time a slower peer is to be put up with, for the
        /// line may be all there is.
        patience: u32,
    },
    /// A blob that is on its way is not to lie here any more: leave off, and say
    /// [`Input::FetchFailed`] unless it has come.
    Stop(BlobName),
    /// A peer found our copy bad: check it, and say [`Input::Lost`] if that is so, or
    /// [`Input::Verified`].
    Verify {
        /// The bucket.
        bucket: BucketId,
        /// The blob.
        blob: BlobRef,
    },
    /// Close the connection and do not take another one for a while: the peer sends garbage.
    Drop(NodeId),
    /// Something worth knowing.
    Tell(Event),
}

/// A number that stands on two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub place: Place,
    /// The entry that counts here.
    pub kept: EntryId,
    /// The other one.
    pub other: EntryId,
}

/// A blob of which two entries say different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispute {
    /// What is believed.
    pub kept: BlobRef,
    /// An entry that was here before.
    pub by: Place,
    /// The entry that says something else.
    pub other: Place,
}

/// Something worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An entry of this node is now held by so many nodes, this one included.
    Confirmed {
        /// Where it stands.
        place: Place,
        /// Its id.
        entry: EntryId,
        /// Who has just confirmed.
        by: NodeId,
        /// How many hold it.
        copies: u16,
    },
    /// What [`crate::Replica::protection`] says of the bucket has changed.
    Protection(BucketId),
    /// A number was used twice: the origin was cloned or rolled back. Alarm.
    Conflict(Conflict),
    /// Two entries say different things of one blob: one of them is somebody's attack. The blob
    /// stays what the first one says; the other entry is never held here. Alarm.
    Disputed(Dispute),
    /// An entry is dated so far in the future that it waits, and what follows it. Alarm.
    Early {
        /// Where it stands.
        place: Place,
        /// Its date.
        wall: Millis,
    },
    /// Others have later entries of this node than it has itself: its disk was rolled back or
    /// lost. It must not write to the bucket before [`Event::CaughtUp`].
    Behind {
        /// The bucket.
        bucket: BucketId,
        /// The last number here.
        have: u64,
        /// The last number that another node told.
        told: u64,
    },
    /// This node has all its own entries again.
    CaughtUp(BucketId),
    /// Another node has fewer of its own entries than we: its disk was rolled back or lost.
    PeerBehind {
        /// The node.
        node: NodeId,
        /// The bucket.
        bucket: BucketId,
    },
    /// An own entry came out of order: the shell has a fault, and a restart reads the store anew.
    OutOfOrder(Place),
}

/// Whether this node may write to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// The realm does not let this node write there: nobody would take its entries in.
    Stranger,
    /// Those who hold the bucket's keys let this node read, and no more. The log does not tell that, so
    /// the machine does not say it.
    Reads,
    /// They took the bucket back from this node; nor that.
    Unshared,
    /// The bucket must not lie where this node stands.
    Barred,
    /// This node has just started and heard nobody yet, who could say whether its disk is the newest.
    /// That ends soon: wait for it.
    Listening,
    /// No other node was heard since the start, and the wait for one is over: it may write.
    Unheard,
    /// Others have later entries of ours: wait.
    Behind,
    /// A number of ours was used twice: this node needs a new identity.
    Forked,
    /// Yes.
    Sure,
}

/// What a peer was last heard to hold: kept by the shell, so that a restart does not forget it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belief {
    /// Who.
    pub node: NodeId,
    /// The bucket.
    pub bucket: BucketId,
    /// Whose entries.
    pub origin: NodeId,
    /// One bit for each number from 1, lowest first.
    pub bits: Vec<u8>,
}

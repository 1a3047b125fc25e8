//! Where copies go and which are missing: entries, placement, and the replication machine, as pure
//! decisions. It must never do I/O, read a clock or draw randomness, and nothing leaves it that
//! depends on a write before that write is durable. Start reading at [`Entry`], then [`place`],
//! then [`Replica`]. The bytes are described in docs/formats/entries.md.

mod bits;
mod entry;
mod message;
mod place;
mod replica;
mod stream;
mod view;

pub use entry::{
    BLOBS_MAX, BlobRef, Draft, ENTRY_MAX, Entry, EntryError, PAYLOAD_MAX, Payload, payload_hash,
};
pub use message::{MESSAGE_MAX, Message, ROWS_MAX, Row, Vector};
pub use place::place;
pub use replica::{
    Belief, Burden, COPIES_TOLD, Conflict, Dispute, Event, FetchError, Input, Load, Look, Looked, Output,
    Own, Place, Protection, Replica, Ticket,
};
pub use view::{BucketView, Cuts, Lack, NodeView, View, is_cut_off};

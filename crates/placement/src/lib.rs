//! Where copies go and which are missing: entries, placement, and the replication machine, as pure
//! decisions. It must never do I/O, read a clock or draw randomness. Start reading at [`Entry`].

mod entry;

pub use entry::{BLOBS_MAX, BlobRef, Draft, ENTRY_MAX, Entry, EntryError, PAYLOAD_MAX, Payload, payload_hash};

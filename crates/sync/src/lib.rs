//! Replication of the realm log between two peers: heads are exchanged, what is missing is asked
//! for and comes in batches, what is new is pushed. It must never do I/O, read a clock or draw
//! randomness, and it lets nothing leave that depends on a write before that write is durable.
//! Start reading at [`LogSync`]; the messages are described in docs/formats/sync.md.

mod graph;
mod log;
mod machine;
mod message;

pub use log::{Checked, Fault, Known, Log, RealmRefusal};
pub use machine::{Event, Input, LogSync, Output, Ticket};
pub use message::{Answer, HAVE_MAX, HEADS_MAX, MESSAGE_MAX, Message, OPERATIONS_MAX};

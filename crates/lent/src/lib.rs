//! What another realm keeps on this machine's disk under a grant: objects by names that say nothing, and shelves with
//! backups, counted to the byte by what lies there; and the shelves that machines of the own realm have here. It must never keep or give out more than this machine's share, say that something is stored
//! before it would outlast a power cut, or look into what it keeps. Start reading at [`Room`] and
//! [`Shelf`].

mod parts;
mod room;
mod shelf;

pub use room::{Deleted, Room, RoomError};
pub use shelf::{Ledger, Shelf, Usage, received, repository, shelves};

#[cfg(test)]
mod shelf_tests;
#[cfg(test)]
mod tests;

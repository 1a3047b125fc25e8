//! What another realm keeps on this machine's disk under a grant: objects by names that say nothing, counted to the
//! byte by what lies there. It must never keep or give out more than this machine's share, say that something is stored
//! before it would outlast a power cut, or look into what it keeps. Start reading at [`Room`].

mod parts;
mod room;

pub use room::{Deleted, Room, RoomError};

#[cfg(test)]
mod tests;

//! The realm log: a replicated set of signed operations, and the realm's state as a pure function
//! of that set. Two to five nodes that are often offline cannot keep a quorum, so nothing here
//! needs one online: majorities are signatures, given whenever people get to it.
//!
//! It must never do I/O, read a clock or draw randomness, and must never let one admin alone change
//! who the admins are. Start reading at [`Op`], then [`OpSet`], then [`fold()`]; the rules are in
//! docs/formats/realm-log.md.

pub mod audit;
pub mod body;
pub mod checkpoint;
pub mod draft;
mod fold;
mod op;
pub mod person;
mod reason;
mod roles;
mod set;
mod state;
mod world;

pub use body::Body;
pub use draft::{DraftError, cosign, draft};
pub use fold::{Clock, Folded, Pending, RECOVERY_DELAY, fold, matured};
pub use op::{Cosignature, Head, LEVEL, OP_MAX, Op, OpError, PARENTS_MAX, SIGNATURES_MAX, VerifyError};
pub use person::Statement;
pub use reason::{Need, Reason, Thing};
pub use roles::{MemberRoles, NodeRoles};
pub use set::{InsertError, Inserted, OpSet};
pub use state::{
    Alarm, Bucket, Device, Ended, Grant, Invitation, Network, Node, NodeNetwork, Person, Phone, Rule, Said,
    Service, Side, Site, Standing, State, network_of, own_range,
};

#[cfg(test)]
mod tests;

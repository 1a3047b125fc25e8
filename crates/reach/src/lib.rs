//! Who may reach whom over the realm's network, as the log says: addresses from keys, which line a packet
//! takes and which it may come by, rules for this node as receiver, why something is allowed or not, the
//! flows that are under way, and which nodes to keep connections with. Nothing is allowed but what an
//! operation of the log opens. It must never do I/O, read a clock, look into a packet's payload, or allow
//! what it cannot name an operation for. Start reading at [`Net`], then [`rules`].

pub mod address;
mod explain;
mod flows;
mod label;
mod neighbours;
mod net;
mod party;
mod routes;
pub mod rules;
mod table;

pub use explain::{Barrier, Miss, Story, explain, explain_service};
pub use flows::Flows;
pub use label::{label, labels};
pub use neighbours::{CLOSE_MAX, neighbours};
pub use net::{Net, Through, Verdict};
pub use party::{Guest, Party, barrier, hands, owner_of_node};
pub use routes::{Accepted, Wish, apart, world};
pub use rules::{Cause, Why};

#[cfg(test)]
mod tests;

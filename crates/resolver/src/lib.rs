//! Names for who asks: a server over UDP, TCP, TLS and HTTPS in front of `freehold-names`, which decides,
//! and of other servers, which are asked for what is not known here. It must never answer who it was not
//! told to serve, keep a name on disk, ask outside for a name of ours, or let a list do more than block.
//! Start reading at [`Resolver`], then `answering.rs`.
//!
//! # How a node wires it
//!
//! 1. `system::mend(&home)` before anything else: what a crash left of the machine's settings is put back.
//! 2. [`Resolver::start`] with a [`Config`]: the addresses (each of the mesh, the LAN and `127.0.0.1`, or a
//!    wildcard), a [`Parties`] that says from the peer's address whose question it is (none: refused), the
//!    wall clock, a private folder for lists, and the first [`Setting`]. For TLS and HTTPS a
//!    [`rustls::ServerConfig`] whose certificate resolver may change certificates as it likes.
//! 3. [`Handle::change`] with a whole new [`Setting`] whenever log or directory say something else. It is
//!    swapped in one step; no question is lost. Groups name lists by their place in `lists`, and servers by
//!    their place in `upstreams`; rows are `names::reserved` with the realm's own zones.
//! 4. [`system::take`] once the addresses are served, and [`system::Taken::give_back`] before
//!    [`Handle::shutdown`]. What [`system::Taken::before`] says of servers is a fit first upstream.
//! 5. [`Handle::lists`], [`Handle::servers`] and [`Handle::counts`] are for status, console and metrics.

mod answering;
mod asking;
mod config;
mod counting;
mod datagrams;
mod keeper;
mod lists;
mod outgoing;
mod resolver;
mod store;
mod streams;
pub mod system;
mod upstream;
mod view;
mod waiting;
mod web;

pub use config::{
    Clock, Config, Listen, Parties, Roots, Server, ServerError, Setting, Source, Speaks, Statistics,
    Upstream, Way,
};
pub use counting::{Counts, Frequent};
pub use keeper::Gone;
pub use lists::{List, ListError, ListState};
pub use resolver::{Bound, Handle, Resolver, StartError, Verdict};
pub use upstream::ServerState;

#[cfg(test)]
mod tests;

//! The door: HTTPS for published services, and connections passed on by name to services that keep their
//! TLS. It must never decide who may come in (that is handed in), believe what a client says of itself, gather
//! a body in memory, keep or log who asked for what, or see inside a connection that it passes on.
//!
//! How a node wires it:
//!
//! 1. Opens it: [`Door::open`] with [`Settings`] (where to listen), [`Handed`] and a first [`Table`]. It has
//!    threads of its own; nothing has to be polled.
//! 2. [`Handed::certificates`] is any `ResolvesServerCert` (of `freehold-certs`, say, which answers
//!    TLS-ALPN-01 by it); [`Handed::challenges`] gives the texts of HTTP-01; [`Handed::dial`] is [`Sockets`]
//!    where the mesh is an interface, else what opens connections over it; [`Handed::gatekeeper`] turns the
//!    peer's address into a party of the log and judges.
//! 3. Whenever the log or the directory says something else of services, it makes a new [`Table`] and calls
//!    [`Door::swap`]. When only rights have changed, [`Door::judge_again`]. Both cut what is no longer allowed.
//! 4. Says with [`Door::listen`] where else it is to listen, whenever services get or lose addresses.
//! 5. Shows [`Door::counted`], and calls [`Door::close`] on its way down.
//!
//! HTTP/3 is spoken by UDP at the ports of HTTPS, and told to who comes by TCP; [`Door::no_http3`] says why it is not.
//!
//! Start reading at [`Door`], then `answer`, which is one request's way, by whatever version it came. Decisions are in `host`, `heads`,
//! `table`, `pace` and `announce`.

mod announce;
mod answer;
mod body;
mod crowd;
mod door;
mod forward;
mod gate;
mod heads;
mod host;
mod inward;
mod judged;
mod line;
mod listening;
mod live;
mod pace;
mod page;
mod pass;
mod plain;
mod quic;
mod service;
mod sign_on;
mod spawn;
mod table;
mod tally;
mod tunnel;
mod upstream;
mod visit;
mod worker;

pub use announce::{ANNOUNCE_MAX, Announced, announce, read as read_announced};
pub use door::{Counted, Door, OpenError, Settings};
pub use gate::{Challenges, Client, Gatekeeper, Handed, Judgement, NoChallenges};
pub use host::{BadHost, Host, NotAHost, name_of};
pub use line::{Dial, Line, Sockets, Stream};
pub use service::{
    Access, HeaderRules, Hsts, Limits, Pass, Rate, Service, SignOn, Slowest, Speaks, Target, Upstream, Web,
};
pub use table::{SERVICES_MAX, Table, TableError};
pub use tally::{BOUNDS, Shown};

//! The network without privileges: a TCP/IP stack of this process in the kernel's place. What comes over the
//! tunnel and passed its judgement is carried to programs of this machine; what programs ask of a proxy or a
//! forwarded port leaves as packets. It must never open a port that the policy does not open, let a program on
//! the loopback be reached that nobody has named, carry anything to a place outside the realm's network, or keep
//! memory without a bound for whoever sends.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use freehold_stack::{Config, Door, Limits, Realm, Reacher, Stack, Way, open};
//! # use tokio_util::{sync::CancellationToken, task::TaskTracker};
//! # async fn wire(realm: Arc<dyn Realm>) -> Result<(), Box<dyn std::error::Error>> {
//! let (stack, ends) = Stack::start(Config { mtu: 1400, limits: Limits::default() }, Arc::clone(&realm));
//! // `ends` are the tunnel's: it writes what came to one, and reads what goes from the other.
//! let (_say, way) = tokio::sync::watch::channel(Some(Way::Stack(stack.dialer())));
//! let reacher = Reacher::new(way, realm);
//! let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
//! let at = open(Door::Socks, "127.0.0.1:1080".parse()?, reacher, &tasks, cancel).await?;
//! println!("curl --socks5-hostname {at} http://nas/");
//! stack.stop(Duration::from_secs(5)).await?;
//! # drop(ends);
//! # Ok(()) }
//! ```
//!
//! Start reading at [`Stack`], then `desk`, which deals packets out, and `talk`, which carries one connection.

mod comers;
mod datagrams;
mod desk;
mod dial;
mod doors;
mod echo;
mod engine;
mod http;
mod purse;
mod realm;
mod socks;
mod stack;
mod table;
mod talk;

pub use comers::COMERS;
pub use dial::{Dialer, Line, ReachError, Reacher, Way};
pub use doors::{Door, DoorError, open};
pub use realm::{Found, Inlet, Realm};
pub use stack::{Config, Ends, LateStop, Stack};
pub use table::Limits;
pub use talk::{CutError, Talk};

#[cfg(test)]
mod tests;

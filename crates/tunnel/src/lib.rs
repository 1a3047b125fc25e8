//! The tunnel: a network device, `freehold0`, whose packets travel over lines of the mesh. What leaves
//! goes where [`freehold_reach::Net`] says; what comes is judged by it before the kernel sees a byte. It
//! must never decide for itself who may reach whom, let through what it does not understand, carry the
//! mesh's own packets inside itself, or hold packets without a bound.
//!
//! The daemon hands in its mesh and what the log says of the network, and hands that in again whenever
//! it has changed:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use freehold_mesh::Mesh;
//! # use freehold_reach::{Net, Wish};
//! # use freehold_tunnel::{Config, Tunnel, View};
//! # async fn wire(mesh: Mesh, net: Net, next: Net) -> Result<(), Box<dyn std::error::Error>> {
//! # let networks = Vec::new();
//! let first = View { generation: 1, net, wish: Wish::default(), networks, realm: Vec::new() };
//! let (say, view) = tokio::sync::watch::channel(Arc::new(first.clone()));
//! let tunnel = Tunnel::start(Config::default(), &mesh, view).await?;
//! // The log has changed: the generation goes up with it, and flows are judged anew.
//! say.send(Arc::new(View { generation: 2, net: next, ..first }))?;
//! println!("{:?}", tunnel.peers());
//! tunnel.stop(Duration::from_secs(5)).await?;
//! # Ok(()) }
//! ```
//!
//! `networks` is what the kernel is to send into the device: the realm's own ([`freehold_wire::Prefix`]),
//! and what lies behind nodes and is used from here. `realm` is the realm's own alone: the machine's packet filter
//! lets packets with such addresses come and go by the device and by no other. Who is suspended loses the line at once by
//! [`freehold_mesh::Mesh::disconnect`]; what a rule no longer allows ends with the next packet. Start
//! reading at [`Tunnel`], then `inward` and `outward`.

mod budget;
mod config;
mod count;
mod device;
mod fate;
pub mod filter;
mod ground;
mod inward;
mod kernel;
mod nft;
mod outward;
mod peer;
mod phones;
mod pump;
mod refusals;
mod tunnel;
mod upkeep;
mod ways;

pub use config::{Config, Hands, MTU, StartError, View};
pub use count::PeerStatus;
pub use kernel::{PROTOCOL, RouteError, sweep};
pub use nft::FilterError;
pub use phones::Phones;
pub use refusals::Refused;
pub use tunnel::{LateStop, Trouble, Tunnel};
pub use ways::{Out, SettingError, WayError, Ways, WaysWish};

#[cfg(test)]
mod tests;

//! The door for phones, and for other machines without this program: WireGuard, with one key for each. It opens
//! what comes, and hands on only packets that come from the address of whoever sealed them. It must never decide
//! who may reach whom, hold a phone's secret key, let two phones share one, or let a stranger's handshakes take more of
//! this machine than it has to spare.
//!
//! ```no_run
//! # use std::net::Ipv6Addr;
//! # use freehold_crypt::{BoxSecret, Secret};
//! # use freehold_phones::{Door, Phone, Socket};
//! # async fn open(secret: &BoxSecret, phone: Phone) -> Result<(), Box<dyn std::error::Error>> {
//! let (from_phones, to_network) = tokio::sync::mpsc::channel(1024);
//! let (from_network, to_phones) = tokio::sync::mpsc::channel(1024);
//! let socket = Socket::bind("192.0.2.1:51820".parse()?, secret)?;
//! let mut door = Door::open(socket, secret, from_phones, to_phones).await?;
//! // Whoever is not named any more is cut off before this returns.
//! door.let_in(&[phone]).await;
//! # drop((to_network, from_network)); Ok(())
//! # }
//! ```
//!
//! Start reading at [`Door`], then `limit`, which says how many handshakes are answered.

mod door;
mod limit;
mod packets;
mod socket;

pub use door::{Door, OpenError, Phone, Seen};
pub use socket::{BindError, Socket};

#[cfg(test)]
mod tests;

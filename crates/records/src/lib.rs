//! Records of a zone that others serve: texts that prove a name to an authority, and addresses by which a house is
//! found. They are put there by an update that is signed ([`Update`], RFC 2136), by a program that knows the
//! zone's keeper ([`Hook`]), or by a provider of such names ([`Provider`], dyndns2). It must never touch a record of
//! another name or type than it is told, tell a private address, ask anybody in a hurry, believe an update that is
//! not answered with a signature, or let a key be seen.
//!
//! Start reading at [`Records`] and [`Places`]. A [`Follower`] keeps a name's addresses; decisions are in [`due`].

pub mod due;
mod error;
mod follow;
mod hook;
mod key;
mod provider;
mod update;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use error::RecordsError;
pub use follow::{Follower, Standing};
pub use hook::Hook;
pub use key::{UpdateAlgorithm, UpdateKey};
pub use provider::Provider;
pub use update::Update;

/// Text records that are put into a zone for a while.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Puts a text beside what is there.
    async fn add(&self, name: &str, text: &str) -> Result<(), RecordsError>;
    /// Takes that text out again.
    async fn remove(&self, name: &str, text: &str) -> Result<(), RecordsError>;
}

/// The addresses of a name: one of each family at most.
#[async_trait]
pub trait Places: Send + Sync + 'static {
    /// Puts this address in the place of all that the name has of its family.
    async fn replace(&self, name: &str, address: IpAddr) -> Result<(), RecordsError>;
    /// Takes out all that the name has of a family.
    async fn clear(&self, name: &str, family: Family) -> Result<(), RecordsError>;

    /// Whether it can take addresses out at all.
    fn clears(&self) -> bool {
        true
    }

    /// How often what has not changed is said again, in case somebody else took it out.
    fn refresh(&self) -> Duration {
        Duration::from_hours(24)
    }
}

/// Which addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// `A`
    #[serde(rename = "ipv4")]
    V4,
    /// `AAAA`
    #[serde(rename = "ipv6")]
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// That of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// As records are called: `A`, `AAAA`.
    #[must_use]
    pub const fn record(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }
}

/// What is put into a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data<'a> {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Text(&'a str),
}

impl From<IpAddr> for Data<'_> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

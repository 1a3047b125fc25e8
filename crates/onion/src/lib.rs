//! An onion service of this machine: ports of it that are reached over the Tor network, wherever it stands, by those
//! who hold a key. It runs the `tor` that the system has, as a process of its own, and watches it. It must never run
//! `tor` while nobody is let in (without keys an onion service is open to everybody), open a port for others to leave
//! by, hold the secret half of a client's key, or leave a `tor` behind when it ends.
//!
//! Start reading at [`keep`]. What `tor` says is read in `said`, and what it is told written in `settings`, both
//! without I/O.

mod address;
mod client;
mod control;
mod folder;
mod keep;
#[doc(hidden)]
pub mod probe;
mod process;
mod said;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;

pub use address::{Address, NoAddress};
pub use client::{ClientKey, ClientName, NoClient, private_line};
pub use folder::{Folder, FolderError};
pub use keep::keep;
pub use process::{NoTor, find_tor};
pub use settings::{Leads, Target};

use std::collections::BTreeMap;

/// What is wanted of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Rises with each change, so that whoever changed something can wait until it holds.
    pub number: u64,
    /// Whether it is to run.
    pub on: bool,
    /// What is reached.
    pub ports: Vec<Leads>,
    /// Who is let in.
    pub clients: BTreeMap<ClientName, ClientKey>,
}

/// How the service stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The number of the last wish that holds: whom it does not let in is out.
    pub number: u64,
    /// Where it is reached, once `tor` has made it a key.
    pub address: Option<Address>,
    /// What `tor` does.
    pub doing: Doing,
}

/// What `tor` does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Doing {
    /// Nothing, as wanted.
    #[default]
    Off,
    /// Nothing, since nobody is let in.
    Waiting,
    /// It finds its way into the network.
    Starting {
        /// How far it is, in percent.
        percent: u8,
        /// What is wrong meanwhile, if it says so.
        trouble: Option<Trouble>,
    },
    /// The service is announced in the network.
    Up {
        /// What is wrong nevertheless.
        trouble: Option<Trouble>,
    },
    /// It does not run, and is tried again.
    Down(Trouble),
}

/// What hinders the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The system has no `tor`.
    #[error("there is no tor on this machine")]
    NoTor,
    /// It cannot be started.
    #[error("tor does not start: {0}")]
    Start(Arc<str>),
    /// It ended by itself.
    #[error("tor ended{}", said.as_ref().map(|said| format!("; it said: {said}")).unwrap_or_default())]
    Ended {
        /// Its last complaint.
        said: Option<Arc<str>>,
    },
    /// It does not answer.
    #[error("tor does not answer: {0}")]
    Silent(Arc<str>),
    /// Its files cannot be written.
    #[error("{0}")]
    Files(Arc<str>),
    /// This machine's clock is wrong.
    #[error("this machine's clock is wrong by about {} min, and Tor needs the right time", seconds.div_ceil(60))]
    Clock {
        /// By so much, in seconds.
        seconds: u64,
    },
    /// It does not reach the network.
    #[error("the Tor network is not reached: {0}")]
    Network(Arc<str>),
}

impl Trouble {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> Option<&'static str> {
        match self {
            Self::NoTor => Some("sudo apt install tor"),
            Self::Clock { .. } => Some("timedatectl set-ntp true"),
            Self::Start(_) | Self::Ended { .. } | Self::Silent(_) | Self::Files(_) | Self::Network(_) => None,
        }
    }
}

/// Where the service's files are, by its folder.
pub(crate) fn file(folder: &std::path::Path, name: &str) -> PathBuf {
    folder.join(name)
}

//! What can go wrong between a record and its zone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::base::iana::Rcode;

use crate::due::Lasting;

/// Why a record is not there, or not gone.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// Not a name of the DNS, or too long a text.
    #[error("{0:?} cannot be written as a record")]
    Form(String),
    /// The key's name or secret cannot be used.
    #[error("the key {0:?} for updates cannot be used; is its secret in base64, and its algorithm right?")]
    Key(String),
    /// The server is not reached, or breaks off.
    #[error("asking {server} for the update: {source}; does it listen there, on TCP?")]
    Reach {
        /// The server.
        server: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("the update took longer than {} s", .0.as_secs())]
    Late(Duration),
    /// The server does not do it.
    #[error("{server} refused the update: {said}; does it let this key change the zone?")]
    Refused {
        /// The server.
        server: SocketAddr,
        /// Its code.
        said: Rcode,
    },
    /// There is an alias of that name, beside which nothing can stand.
    #[error(
        "{0} is an alias (CNAME) in its zone, and cannot have an address as well; take the alias out first"
    )]
    Alias(String),
    /// Not a key as name servers' tools write it.
    #[error("this is no key for updates; it looks like hmac-sha256:NAME:SECRET, or as tsig-keygen writes it")]
    KeyText,
    /// Not an address that a password may go to.
    #[error(
        "{0:?} is not taken: https://provider.example/nic/update, as the provider says, without user and password"
    )]
    Url(String),
    /// Nothing to speak TLS with.
    #[error("TLS cannot be used: {0}; are there certificates (ca-certificates) on this machine?")]
    Tls(String),
    /// A provider does not do it, or is not reached.
    #[error("{host}: {said}")]
    Provider {
        /// The provider.
        host: String,
        /// What it said, in words.
        said: String,
        /// Whether it may be asked again.
        lasting: Lasting,
    },
    /// A provider knows no way to say that there is no address.
    #[error("{0} has no way to take an address out; remove the name there")]
    CannotClear(String),
    /// What came is not signed by the server.
    #[error("the answer of {0} is not its own; are key and clock right?")]
    Forged(SocketAddr),
    /// The program cannot be run.
    #[error("running {program}: {source}; may this user run it?")]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program says no.
    #[error("{program} failed: {said}")]
    Program {
        /// The program.
        program: PathBuf,
        /// The end of what it wrote.
        said: String,
    },
}

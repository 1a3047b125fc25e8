//! Certificates by name: where they are kept, where TLS finds them, who signs them, and when they are had anew. It
//! must never serve a certificate for another name, sign as the realm's authority for what is outside its zone,
//! ask an authority in a hurry, or let a key be read by anybody but its owner.
//!
//! How a node wires it:
//!
//! 1. A [`Keep`] says where bytes lie: in the vault, or in a [`Folder`].
//! 2. A [`Shelf`] is the door's `certificates` as it is, and [`Shelf::text`] is what its `Challenges` answers.
//!    TLS-ALPN-01 goes by the shelf alone; whoever ends TLS has to offer [`ACME_TLS`].
//! 3. An [`Authority`] (made once for the realm, its [`Authority::pem`] kept as a secret) signs names inside; an
//!    [`Acme`] has those of the world signed, by what the shelf shows or by [`Records`] of the zone: an
//!    [`Update`] (RFC 2136) or a [`Hook`].
//! 4. [`Keeper::run`] is a task of the node's supervisor. What is [`Wanted`] comes by a watch channel, whenever the
//!    log says something else of services; how it stands goes out by another, for `status`.
//!
//! Start reading at [`Keeper`]. Decisions are in [`due`].

mod acme;
mod authority;
mod bundle;
pub mod due;
mod keep;
mod keeper;
mod shelf;

pub use acme::{Acme, AcmeError, AcmeSettings, Method};
pub use authority::{Authority, AuthorityError, Scope};
pub use bundle::{Bundle, BundleError};
pub use freehold_records::{Hook, Records, RecordsError, Update, UpdateAlgorithm, UpdateKey};
pub use keep::{Folder, Keep, KeepError};
pub use keeper::{Keeper, NoCertificate, Signer, Standing, Wanted};
pub use shelf::{ACME_TLS, Shelf};

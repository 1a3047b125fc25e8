//! The mesh: connections between the nodes of a realm over iroh (QUIC between endpoint keys, hole
//! punching, own relays). It carries frames by channel, streams of blobs, packets as datagrams on
//! lines of their own, the one exchange a newcomer may have at the door, and calls and errands from other
//! realms. It must never know what a message says, decide who belongs to
//! the realm, or talk to a service that nobody configured. Start reading at [`Mesh`]; the bytes on
//! the wire are in `docs/formats/mesh.md`.

mod address;
mod again;
mod arrivals;
mod blob;
mod call;
mod config;
mod congestion;
mod door;
mod errand;
mod event;
mod frame;
mod hello;
mod hub;
mod line;
mod lines;
mod link;
mod mesh;
mod pace;
#[doc(hidden)]
pub mod probe;
mod protocol;
mod relay;
mod shared;
mod silence;

pub use address::{AddressError, Addresses, RelayUrl};
pub use blob::{BlobSource, BlobStream, FetchError, Haste, Served, Unavailable};
pub use config::{Config, Gate, RelayServe, StartError};
pub use door::{Doorman, KnockError, MAX_ANSWER, MAX_REQUEST, Proof};
pub use errand::MAX_BODY;
pub use event::{Channel, Event, Path, PeerHealth, RelayHealth, SendError, Trouble, Why};
pub use frame::MAX_FRAME;
pub use line::{Line, LineError, LineEvent};
pub use lines::{Lines, Opener};
pub use mesh::{LateShutdown, Mesh};
pub use pace::Pace;

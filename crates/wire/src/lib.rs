//! Encodings that every other crate agrees on: deterministic CBOR, bounded collections, ids, and
//! time as plain numbers. It must never do I/O, read a clock, or draw randomness. Start reading at
//! [`cbor`].

mod bounded;
pub mod cbor;
mod id;
mod locality;
mod name;
mod prefix;
mod time;

pub use bounded::{Bounded, Text, TooLong};
pub use cbor::{DecodeError, from_canonical, to_canonical};
pub use id::{
    BlobName, BucketId, Digest, EntryId, GrantId, Hex, IdError, KeyId, NodeId, OpId, PersonId, PhoneId,
    RealmId, RuleId, ServiceId,
};
pub use locality::{REGIONS_MAX, Region, Regions, ZoneId};
pub use name::{Name, NameError};
pub use prefix::{Prefix, PrefixError};
pub use time::{Hlc, Millis};

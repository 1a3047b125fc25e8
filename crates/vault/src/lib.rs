//! Objects, sealed before they touch anything: a write becomes sealed blobs in the depot and one
//! signed, sealed entry in the entry store; a read opens only what verifies. It must never let a
//! plaintext byte or name reach a disk or a peer, acknowledge what is not durable, or hold an
//! object in memory. Start reading at [`Vault`].

mod depot;
mod error;
mod etag;
mod keyring;
mod list;
mod object;
mod opening;
mod peers;
mod sealing;
mod sweep;
mod vault;
mod verify;

pub use depot::{Altered, BlobReader, BlobWriter, Depot, DepotError, DepotLimits, Held};
pub use error::{BoxError, GetError, PutError};
pub use freehold_index::{
    DAY, DefaultRetention, Etag, EtagError, Expiration, Filter, Lifecycle, ListQuery, Locked, Locks, Mode,
    Noncurrent, ObjectLock, Period, Retention, Rule, Seen, Settings, Spelled, Stamp, Version, VersionError,
    VersionQuery, Versioning, Word, Writers,
};
pub use freehold_seal::{Aspect, Setting};
pub use keyring::Keyring;
pub use list::{ListPage, VersionMeta, VersionPage};
pub use object::{
    Annotations, AtEnd, Body, BucketInfo, ByteRange, CompleteRequest, Conditions, CopyMeta, CopyRequest,
    DeleteDone, DeleteRequest, Expect, GetObject, Note, ObjectMeta, PartDone, PartMeta, PartRequest,
    PolicyMark, PutDone, PutRequest, UploadId, UploadMeta, UploadPage, UploadParts, UploadRequest, UploadSum,
};
pub use peers::{Alone, BlobStream, NoRoom, NotConfirmed, PeerError, Peers, Replication, Room};
pub use sweep::Swept;
pub use vault::{BucketStats, Ended, Ending, Outlived, Place, Renewed, Shared, Vault, VaultConfig};
pub use verify::{Damage, Finding, VerifyReport};

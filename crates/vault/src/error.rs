//! Why a write or a read did not happen.

use freehold_disk::StoreError;
use freehold_index::{Locked, Unsettable, Version};
use freehold_wire::Millis;

use crate::depot::DepotError;

/// An error from outside the vault.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A write was refused or failed; nothing of it is visible, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The realm has no such bucket.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// This node has not been given the bucket's key.
    #[error("this node has no key for the bucket yet")]
    NoBucketKey,
    /// A key has 1 to 1024 bytes.
    #[error("an object's key has 1 to 1024 bytes, this one {0}")]
    KeyLength(usize),
    /// Content type, metadata and checksums together are limited.
    #[error("the object's metadata is too large")]
    MetaTooLarge,
    /// The object to copy is not there, or not readable.
    #[error("the source of the copy cannot be read")]
    Source(#[source] Box<GetError>),
    /// The object that is to be replaced or deleted on a condition is not there.
    #[error("there is no such object")]
    NoSuchKey,
    /// The object has no such version.
    #[error("the object has no such version")]
    NoSuchVersion,
    /// It is the marker of a deletion, of which nothing can be said.
    #[error("this version is a delete marker")]
    Marker(Version),
    /// It must be kept.
    #[error("the version is locked")]
    Locked(#[from] Locked),
    /// The bucket has no object lock, so none of its versions can be locked.
    #[error("the bucket does not have object lock")]
    NoObjectLock,
    /// The bucket cannot be set so.
    #[error("the bucket cannot be set so")]
    Setting(#[from] Unsettable),
    /// A document has 65,536 bytes at most.
    #[error("a document of {0} bytes is too long")]
    DocumentTooLong(usize),
    /// What is there does not meet the conditions.
    #[error("the object that is there does not meet the conditions")]
    Precondition,
    /// Another write of this key is under way and conditions were given.
    #[error("another write of this key came in between")]
    Conflict,
    /// This node's disk was rolled back or lost; its own entries are coming from the others.
    #[error("this node is fetching its own earlier writes from the others; it may write when it has them")]
    CatchingUp,
    /// What is written must be later than what is there, which is too far ahead of this machine's clock.
    #[error(
        "what is there was written more than an hour ahead of this machine's clock: what follows it would count nowhere"
    )]
    Ahead,
    /// Two nodes write in this node's name.
    #[error("another machine has written in this node's name; this node may not write any more")]
    Cloned,
    /// The realm does not let this node write: no other node would take the entry in.
    #[error(
        "no other node would take in what this one writes: it is no member of the realm, or no gateway of it"
    )]
    NotAWriter,
    /// Whoever says who holds the bucket's keys lets this node read, and no more.
    #[error("this node may only read this bucket: what it wrote would count nowhere")]
    OnlyReads,
    /// The bucket has a next key, which this node was not given, or it is not among the holders any more.
    #[error("this bucket was taken back from this node: what it wrote would count nowhere")]
    TakenBack,
    /// The bucket's policy is another than when the write was allowed.
    #[error("the bucket's policy was changed while the body came: ask again")]
    PolicyChanged,
    /// A quota is used up.
    #[error("{0}")]
    Quota(String),
    /// The bucket must not lie in this node's region.
    #[error("what is in this bucket must not lie where this node stands: see its regions, and the node's")]
    Barred,
    /// The client's stream broke off.
    #[error("the client's body broke off")]
    Body(#[source] BoxError),
    /// The front's checks at the end refused it.
    #[error("the body does not have the checksum that came with it")]
    Refused(#[source] BoxError),
    /// The body is longer or shorter than announced.
    #[error("the body has {got} bytes, {expected} were announced")]
    Length {
        /// Bytes announced.
        expected: u64,
        /// Bytes seen.
        got: u64,
    },
    /// The body is not what its MD5 says.
    #[error("the body does not have the digest that came with it")]
    Digest,
    /// More than an object may have.
    #[error("an object has at most {0} bytes")]
    TooLarge(u64),
    /// No such upload: never begun, completed or aborted.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// Part numbers are 1 to 10,000.
    #[error("a part's number is 1 to 10000, not {0}")]
    PartNumber(u16),
    /// A part that is named was not uploaded, or has another ETag.
    #[error("part {0} was not uploaded, or its ETag differs")]
    InvalidPart(u16),
    /// Parts must be named in ascending order, at least one.
    #[error("the parts are not in ascending order, or there are none")]
    PartOrder,
    /// All parts but the last have at least 5 MiB.
    #[error("part {0} is smaller than 5 MiB and not the last")]
    PartTooSmall(u16),
    /// The write is durable here, but too few other nodes have confirmed it in time.
    #[error("written here, but only {have} of {want} copies were confirmed in time")]
    NotConfirmed {
        /// Copies confirmed.
        have: u16,
        /// Copies that the bucket wants before a write counts.
        want: u16,
    },
    /// The depot failed, or has no room.
    #[error("keeping the sealed object failed")]
    Depot(#[source] DepotError),
    /// The entry store failed.
    #[error("keeping the object's entry failed")]
    Store(#[source] StoreError),
    /// The format has no room for it.
    #[error("the object cannot be described: {0}")]
    Format(&'static str),
    /// The daemon is going down.
    #[error("the vault is closing")]
    Closing,
}

impl PutError {
    /// A full disk is the same news to a client, whichever file could not grow.
    pub(crate) fn of_store(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace { .. } => Self::Depot(DepotError::NoSpace { free: 0, reserve: 0 }),
            error => Self::Store(error),
        }
    }
}

/// A read was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The realm has no such bucket.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// This node has not been given the bucket's key.
    #[error("this node has no key for the bucket yet")]
    NoBucketKey,
    /// There is no such object.
    #[error("there is no such object")]
    NoSuchKey,
    /// The object has no such version.
    #[error("the object has no such version")]
    NoSuchVersion,
    /// The object was deleted: this marker is its current version.
    #[error("the object was deleted")]
    Deleted(Version),
    /// The version asked for is the marker of a deletion, with nothing to read.
    #[error("this version is a delete marker")]
    Marker {
        /// The version.
        version: Version,
        /// When the object was deleted.
        modified: Millis,
    },
    /// The range begins behind the object's end.
    #[error("the range is outside the object, which has {size} bytes")]
    Range {
        /// The object's size.
        size: u64,
    },
    /// The object has fewer parts.
    #[error("the object has no part {0}")]
    NoSuchPart(u16),
    /// The object's bytes are not here, and no node that has them answers.
    #[error("the object's bytes are not here, and no node that holds them answers")]
    Missing,
    /// What the depot gave back is not what was written, and no good copy was found.
    #[error("the stored bytes were altered, and no good copy was found")]
    Tampered,
    /// The depot failed.
    #[error("reading the sealed object failed")]
    Depot(#[source] DepotError),
    /// The entry store failed.
    #[error("reading the object's entry failed")]
    Store(#[source] StoreError),
    /// The daemon is going down.
    #[error("the vault is closing")]
    Closing,
}

//! The vault's format: how an object, its name and its keys are sealed before they leave the trust
//! boundary, and how they are opened again by somebody who trusts nothing but the keys. The bytes
//! are specified in `docs/formats/vault.md`, with vectors that another implementation can run. It
//! must never do I/O, read a clock or draw randomness by itself, and it never gives out plaintext
//! that it has not authenticated. Start reading at [`Binding`], [`BlobSealer`] and [`BlobOpener`].

mod binding;
mod blob;
mod directory;
mod document;
mod envelope;
mod erasure;
#[cfg(test)]
mod fixture;
mod key;
mod manifest;
mod opener;
mod payload;
mod published;
mod range;
mod release;
mod said;
mod sealer;

pub use binding::{Binding, PayloadPlace, VersionId, VersionIdError, object_digest};
pub use blob::{
    Algorithm, BlobHeader, CHUNK_LEN, HEADER_LEN, HeaderError, PLAIN_MAX, SEALED_CHUNK_LEN, chunk_count,
    cipher_len, plain_len,
};
pub use directory::{
    DirectoryRow, FilterGroup, FilterHours, FilterKey, FilterList, FilterMember, FilterName, FilterRow,
    GrantContact, KnownGrant, PhoneDoor, Ready, RowKey,
};
pub use document::{
    Amendment, Aspect, Content, DOCUMENT_MAX, Document, HOLDERS_MAX, Holder, HolderRow, Holders, LAST_MAX,
    Resealed, Right, Setting, SettingRow, Target,
};
pub use envelope::{
    BoxHint, Envelope, EnvelopeDecodeError, EnvelopeError, Recipient, box_hint, open_envelope, seal_envelope,
};
pub use erasure::Erased;
pub use key::{BucketKey, KeyOf, KeyRing, KeyRingError, ObjectKey, ObjectMark, ends_before, generation};
pub use manifest::{
    ANNOTATIONS_MAX, Annotation, BlobsError, Checksum, ChecksumAlgorithm, Deed, HEADERS_MAX, Kind,
    METADATA_MAX, Manifest, ManifestPart, PARTS_MAX, PartSums, Stored, blob_list_digest,
};
pub use opener::{BlobOpener, OpenError};
pub use payload::{
    PAYLOAD_MAX, PAYLOAD_MIN, PayloadError, PayloadHeader, PayloadKind, open_payload, payload_kind,
    seal_payload,
};
pub use published::{
    HEADERS_MAX as PUBLISHED_HEADERS_MAX, HOSTS_MAX, Proof, PublicAuthority, Published, TlsEnds, ZoneServer,
};
pub use range::{RangeError, RangePlan, plan_range};
pub use release::{ORIGINS_MAX, RELEASED_MAX, Release, ReleaseDecodeError, Released};
pub use said::Blinding;
pub use sealer::{BlobSealer, SealError, SealedSummary};

//! The vault as its callers see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_crypt::SigningKey;
use freehold_disk::{EntryStore, StoreError};
use freehold_placement::{Entry, Payload};
use freehold_seal::VersionId;
use freehold_wire::{BucketId, Millis, NodeId, RealmId};

use crate::{
    Body, BucketInfo, ByteRange, CompleteRequest, Conditions, CopyMeta, Depot, GetError, GetObject, Keyring,
    ListPage, ListQuery, ObjectMeta, PartDone, PartMeta, PartRequest, Peers, PutDone, PutError, PutRequest,
    Replication, UploadId, UploadPage, UploadRequest, VerifyReport,
};

/// What a vault is for, and its times.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// The realm.
    pub realm: RealmId,
    /// This node.
    pub node: NodeId,
    /// The node's key, which signs entries.
    pub signing: Arc<SigningKey>,
    /// How long blobs that nothing refers to, and what was overwritten, are kept.
    pub grace: Millis,
    /// How long an upload in parts may rest before it is swept.
    pub upload_grace: Millis,
    /// How long a write waits for the confirmations that its bucket asks for.
    pub confirm_timeout: Millis,
}

/// What the vault stands on.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where blobs are.
    pub depot: Depot,
    /// Where entries are.
    pub entries: Arc<EntryStore>,
    /// The keys given to this node.
    pub keys: Keyring,
    /// Blobs of other nodes.
    pub peers: Arc<dyn Peers>,
    /// The replication machine.
    pub replication: Arc<dyn Replication>,
}

/// One bucket in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Objects visible.
    pub objects: u64,
    /// Their bytes of plaintext.
    pub bytes: u64,
}

/// The vault. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: VaultConfig,
    shared: Shared,
}

impl Vault {
    /// Opens the vault: reads and opens every entry of the buckets whose keys are there.
    pub async fn open(config: VaultConfig, shared: Shared) -> Result<Self, StoreError>;
    /// Says which buckets the realm has; called at start and at each change.
    pub fn set_buckets(&self, buckets: BTreeMap<BucketId, BucketInfo>);
    pub fn buckets(&self) -> Vec<(BucketId, BucketInfo)>;
    pub fn bucket_named(&self, name: &str) -> Option<(BucketId, BucketInfo)>;
    /// Opens entries that could not be opened before: after a key came.
    pub async fn reopen(&self, bucket: &BucketId) -> Result<(), StoreError>;
    /// Takes entries of other nodes in that are durable in the entry store.
    pub fn apply_remote(&self, entries: &[(Entry, Option<Payload>)]);

    pub async fn put(&self, bucket: &BucketId, key: &str, request: PutRequest, body: Body) -> Result<PutDone, PutError>;
    pub async fn get(&self, bucket: &BucketId, key: &str, range: Option<ByteRange>) -> Result<GetObject, GetError>;
    pub async fn head(&self, bucket: &BucketId, key: &str) -> Result<ObjectMeta, GetError>;
    /// Whether the object was there.
    pub async fn delete(&self, bucket: &BucketId, key: &str, conditions: Conditions) -> Result<bool, PutError>;
    pub async fn delete_many(&self, bucket: &BucketId, keys: &[String]) -> Vec<Result<bool, PutError>>;
    pub fn list(&self, bucket: &BucketId, query: &ListQuery) -> Result<ListPage, GetError>;
    pub async fn copy(&self, from: (&BucketId, &str), to: (&BucketId, &str), meta: CopyMeta, conditions: Conditions) -> Result<PutDone, PutError>;

    pub async fn begin_upload(&self, bucket: &BucketId, key: &str, request: UploadRequest) -> Result<UploadId, PutError>;
    pub async fn put_part(&self, bucket: &BucketId, key: &str, upload: UploadId, number: u16, request: PartRequest, body: Body) -> Result<PartDone, PutError>;
    pub async fn complete_upload(&self, bucket: &BucketId, key: &str, upload: UploadId, request: CompleteRequest) -> Result<PutDone, PutError>;
    pub async fn abort_upload(&self, bucket: &BucketId, key: &str, upload: UploadId) -> Result<(), PutError>;
    pub async fn list_parts(&self, bucket: &BucketId, key: &str, upload: UploadId) -> Result<Vec<PartMeta>, PutError>;
    pub async fn list_uploads(&self, bucket: &BucketId, query: &ListQuery) -> Result<UploadPage, PutError>;

    pub async fn verify(&self, bucket: Option<&BucketId>, repair: bool) -> Result<VerifyReport, GetError>;
    /// Removes what nothing refers to; the node calls it at start and every hour.
    pub async fn sweep(&self, now: Millis) -> Result<Swept, GetError>;
    pub fn stats(&self) -> BTreeMap<BucketId, BucketStats>;
}

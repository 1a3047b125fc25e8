//! What a node does when it is asked. The node implements this; the server and its OpenAPI
//! document are made around it; nobody else calls it.

use std::io;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::kv::KvControl;
use crate::{
    AddressControl, AlarmControl, Audit, BackendControl, BackupControl, BucketChange, BucketStatus,
    ByteRange, Card, Checkpoint, ChoiceControl, Doctor, DoorControl, FilterControl, ForwardControl,
    GrantControl, GuardianTest, ImportReport, Invitation, InvitationStatus, KeyControl, KeyStatus, ListQuery,
    Listing, MadeKey, NetControl, NewBucket, NewInvitation, NewKey, NewName, NodeSetting, NodeStatus,
    ObjectInfo, ObjectRead, OnionControl, PeopleControl, PhoneControl, Phrase, PoolControl, Problem,
    PutOptions, QuotaSetting, Status, UsageStatus, VerifyEvent, ZfsControl,
};

/// Bytes on their way; an error ends them.
pub type ByteStream = BoxStream<'static, Result<Bytes, io::Error>>;

/// The bytes of a body.
pub(crate) fn pieces(body: Body) -> ByteStream {
    body.into_data_stream().map_err(io::Error::other).boxed()
}

/// A verification under way: ends with [`VerifyEvent::Done`] or [`VerifyEvent::Failed`]; dropping
/// it stops the work.
pub type VerifyEvents = BoxStream<'static, VerifyEvent>;

/// A running node. Nodes are named by id, unambiguous start of an id, or name; buckets by name.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// How everything is.
    async fn status(&self) -> Result<Status, Problem>;
    /// Looks for what is wrong.
    async fn doctor(&self) -> Result<Doctor, Problem>;
    /// Metrics in the text format of Prometheus.
    async fn metrics(&self) -> Result<String, Problem>;
    /// Begins an orderly stop, and returns before it is over.
    async fn shut_down(&self) -> Result<(), Problem>;

    /// Makes an invitation.
    async fn invite(&self, wish: NewInvitation) -> Result<Invitation, Problem>;
    /// Invitations that nobody has redeemed yet.
    async fn invitations(&self) -> Result<Vec<InvitationStatus>, Problem>;
    /// Makes an invitation void.
    async fn withdraw_invitation(&self, id: &str) -> Result<(), Problem>;

    /// The realm's nodes.
    async fn nodes(&self) -> Result<Vec<NodeStatus>, Problem>;
    /// Takes a node's rights away.
    async fn suspend_node(&self, node: &str) -> Result<(), Problem>;
    /// Gives a suspended node its rights back.
    async fn lift_node(&self, node: &str) -> Result<(), Problem>;
    /// Gives a node another name.
    async fn rename_node(&self, node: &str, name: NewName) -> Result<(), Problem>;
    /// Says where a node stands and how much it is to do; also whether it is to be emptied.
    async fn set_node(&self, node: &str, setting: NodeSetting) -> Result<NodeStatus, Problem>;
    /// Ends a node that nothing depends on, or, with `force`, any; with `dry_run` it only says
    /// whether it would.
    async fn remove_node(&self, node: &str, force: bool, dry_run: bool) -> Result<(), Problem>;

    /// The realm's buckets.
    async fn buckets(&self) -> Result<Vec<BucketStatus>, Problem>;
    /// Makes a bucket.
    async fn create_bucket(&self, wish: NewBucket) -> Result<BucketStatus, Problem>;
    /// Changes how many copies there are to be, and where.
    async fn set_bucket(&self, bucket: &str, change: BucketChange) -> Result<BucketStatus, Problem>;
    /// Deletes an empty bucket; with `dry_run` it only says whether it would.
    async fn delete_bucket(&self, bucket: &str, dry_run: bool) -> Result<(), Problem>;
    /// Reads every sealed object on this node; mends what it can if `repair`.
    async fn verify_bucket(&self, bucket: &str, repair: bool) -> Result<VerifyEvents, Problem>;

    /// Lists objects.
    async fn list_objects(&self, bucket: &str, query: ListQuery) -> Result<Listing, Problem>;
    /// What is known of an object.
    async fn head_object(&self, bucket: &str, key: &str) -> Result<ObjectInfo, Problem>;
    /// Reads an object; a range with no byte in it is [`Problem::invalid`].
    async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        range: Option<ByteRange>,
    ) -> Result<ObjectRead, Problem>;
    /// Writes an object; [`Problem::conflict`] if it should be new and is not.
    async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        options: PutOptions,
        body: ByteStream,
    ) -> Result<ObjectInfo, Problem>;
    /// Deletes an object; one that is not there counts as deleted.
    async fn delete_object(&self, bucket: &str, key: &str) -> Result<(), Problem>;

    /// This node's access keys.
    async fn keys(&self) -> Result<Vec<KeyStatus>, Problem>;
    /// Makes an access key.
    async fn create_key(&self, wish: NewKey) -> Result<MadeKey, Problem>;
    /// Ends the access key of that id, or of an id that begins so.
    async fn revoke_key(&self, id: &str) -> Result<(), Problem>;

    /// The keys of buckets, if this node answers for them.
    fn bucket_keys(&self) -> Option<&dyn KeyControl> {
        None
    }

    /// The realm's people, if this node answers for them.
    fn people(&self) -> Option<&dyn PeopleControl> {
        None
    }

    /// What the realm and its members keep, and may keep.
    async fn usage(&self) -> Result<Vec<UsageStatus>, Problem>;
    /// Sets or lifts a quota.
    async fn set_quota(&self, setting: QuotaSetting) -> Result<Vec<UsageStatus>, Problem>;

    /// The databases, if this node keeps any.
    fn kv(&self) -> Option<&dyn KvControl> {
        None
    }

    /// The backends, if this node can have any.
    fn backends(&self) -> Option<&dyn BackendControl> {
        None
    }

    /// Where alarms go, if this node sends any.
    fn alarms(&self) -> Option<&dyn AlarmControl> {
        None
    }

    /// Backups of this node's files, if it makes any.
    fn backups_of_files(&self) -> Option<&dyn BackupControl> {
        None
    }

    /// Backups of ZFS datasets, if this node makes any.
    fn zfs(&self) -> Option<&dyn ZfsControl> {
        None
    }

    /// The realm's network, if this node answers for it.
    fn net(&self) -> Option<&dyn NetControl> {
        None
    }

    /// Published services, if this node publishes any.
    fn door(&self) -> Option<&dyn DoorControl> {
        None
    }

    /// What this node uses of the network, if it chooses at all.
    fn choice(&self) -> Option<&dyn ChoiceControl> {
        None
    }

    /// Forwarded ports, if this node has any.
    fn forwards(&self) -> Option<&dyn ForwardControl> {
        None
    }

    /// The onion door, if this node can have one.
    fn onion_door(&self) -> Option<&dyn OnionControl> {
        None
    }

    /// What lets phones in, if this node does.
    fn phones(&self) -> Option<&dyn PhoneControl> {
        None
    }

    /// Grants, if this node answers for them.
    fn grants(&self) -> Option<&dyn GrantControl> {
        None
    }

    /// Pools, if this node answers for them.
    fn pools(&self) -> Option<&dyn PoolControl> {
        None
    }

    /// Names on the internet that follow this node, if it answers for them.
    fn addresses(&self) -> Option<&dyn AddressControl> {
        None
    }

    /// The filter of names, if this node has one.
    fn filter(&self) -> Option<&dyn FilterControl> {
        None
    }

    /// The realm log as a file.
    async fn export_log(&self) -> Result<Bytes, Problem>;
    /// Takes in what a file holds of this realm's log.
    async fn import_log(&self, exported: Bytes) -> Result<ImportReport, Problem>;
    /// Derives the state from the log again, and tells what is refused and why.
    async fn audit(&self) -> Result<Audit, Problem>;
    /// Stops a recovery that waits.
    async fn veto_recovery(&self, recovery: &str) -> Result<(), Problem>;
    /// Makes the history up to now final, or signs what another admin proposed.
    async fn checkpoint(&self) -> Result<Checkpoint, Problem>;
    /// The realm's card.
    async fn card(&self) -> Result<Card, Problem>;
    /// Tries a guardian phrase without recovering anything.
    async fn test_guardian(&self, phrase: Phrase) -> Result<GuardianTest, Problem>;
}

//! What this node answers to the API: each answer is put together from what the planes say.

mod addresses;
mod alarms;
mod backends;
mod backup;
mod bucket;
mod choice;
mod databases;
mod door;
mod erasures;
mod filter;
mod forward;
mod grants;
mod keys;
mod net;
mod objects;
mod onion;
mod people;
mod phones;
mod places;
mod pools;
mod realm;
mod report;
pub(crate) mod sharing;
mod zfs;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use freehold_api::kv::KvControl;
use freehold_api::{
    AddressControl, AlarmControl, Audit, BackendControl, BackupControl, BucketChange, BucketStatus,
    ByteRange, ByteStream, Card, Checkpoint, ChoiceControl, Control, Doctor, DoorControl, FilterControl,
    ForwardControl, GrantControl, GuardianTest, ImportReport, Invitation, InvitationStatus, KeyControl,
    KeyStatus, ListQuery, Listing, MadeKey, NetControl, NewBucket, NewInvitation, NewKey, NewName,
    NodeSetting, NodeStatus, ObjectInfo, ObjectRead, OnionControl, PeopleControl, PhoneControl, Phrase,
    PoolControl, Problem, PutOptions, QuotaSetting, Status, UsageStatus, VerifyEvents, ZfsControl,
};
use freehold_wire::BucketId;

use crate::access_keys;
use crate::shared::Shared;

pub(crate) use bucket::{
    create as create_bucket, end as end_bucket, found as found_bucket, is_bucket_name, name_of_bucket,
    named as bucket_named, named_anywhere as bucket_named_anywhere,
};
pub(crate) use places::{is_free, set_bucket};
pub(crate) use pools::deal;
pub use realm::audit_of;

pub use crate::hosting::check_stores;
pub(crate) use report::{alarms as alarms_of, buckets};

/// The API's view of a running node.
#[derive(Debug, Clone)]
pub struct Answers(pub Arc<Shared>);

impl Answers {
    fn bucket(&self, id: BucketId) -> Result<BucketStatus, Problem> {
        let found = buckets(&self.0).into_iter().find(|bucket| bucket.id == id.to_string());
        found.ok_or_else(|| Problem::bug("the bucket is there but is not listed", id.short(), None::<&str>))
    }
}

#[async_trait]
impl Control for Answers {
    async fn status(&self) -> Result<Status, Problem> {
        Ok(report::status(&self.0))
    }

    async fn doctor(&self) -> Result<Doctor, Problem> {
        Ok(report::doctor(&self.0))
    }

    async fn metrics(&self) -> Result<String, Problem> {
        Ok(report::metrics(&self.0))
    }

    async fn shut_down(&self) -> Result<(), Problem> {
        self.0.stop.cancel();
        Ok(())
    }

    async fn invite(&self, wish: NewInvitation) -> Result<Invitation, Problem> {
        realm::invite(&self.0, wish).await
    }

    async fn invitations(&self) -> Result<Vec<InvitationStatus>, Problem> {
        Ok(realm::invitations(&self.0))
    }

    async fn withdraw_invitation(&self, id: &str) -> Result<(), Problem> {
        realm::withdraw(&self.0, id).await
    }

    async fn keys(&self) -> Result<Vec<KeyStatus>, Problem> {
        Ok(access_keys::list(&self.0))
    }

    async fn create_key(&self, wish: NewKey) -> Result<MadeKey, Problem> {
        access_keys::create(&self.0, wish).await
    }

    async fn revoke_key(&self, id: &str) -> Result<(), Problem> {
        access_keys::revoke(&self.0, id).await
    }

    async fn nodes(&self) -> Result<Vec<NodeStatus>, Problem> {
        Ok(report::nodes(&self.0))
    }

    async fn suspend_node(&self, node: &str) -> Result<(), Problem> {
        let node = node.to_owned();
        self.0.to_the_end(|shared| async move { realm::suspend(&shared, &node).await }).await
    }

    async fn lift_node(&self, node: &str) -> Result<(), Problem> {
        let node = node.to_owned();
        self.0.to_the_end(|shared| async move { realm::lift(&shared, &node).await }).await
    }

    async fn rename_node(&self, node: &str, name: NewName) -> Result<(), Problem> {
        realm::rename(&self.0, node, name).await
    }

    async fn set_node(&self, node: &str, setting: NodeSetting) -> Result<NodeStatus, Problem> {
        let named = node.to_owned();
        let set = |shared: Arc<Shared>| async move { places::set_node(&shared, &named, setting).await };
        let id = self.0.to_the_end(set).await?.to_string();
        let mut nodes = report::nodes(&self.0).into_iter();
        nodes
            .find(|node| node.id == id)
            .ok_or_else(|| Problem::bug("the node was set but is not listed", id, None::<&str>))
    }

    async fn remove_node(&self, node: &str, force: bool, dry_run: bool) -> Result<(), Problem> {
        let node = node.to_owned();
        self.0.to_the_end(|shared| async move { places::remove(&shared, &node, force, dry_run).await }).await
    }

    async fn buckets(&self) -> Result<Vec<BucketStatus>, Problem> {
        Ok(buckets(&self.0).into_iter().filter(|bucket| !bucket.name.contains('/')).collect())
    }

    async fn create_bucket(&self, wish: NewBucket) -> Result<BucketStatus, Problem> {
        let id = self.0.to_the_end(|shared| async move { create_bucket(&shared, &wish).await }).await?;
        self.bucket(id)
    }

    async fn set_bucket(&self, bucket: &str, change: BucketChange) -> Result<BucketStatus, Problem> {
        let id = bucket::named(&self.0, bucket)?;
        let set = |shared: Arc<Shared>| async move { set_bucket(&shared, id, change).await };
        self.0.to_the_end(set).await?;
        self.bucket(id)
    }

    async fn delete_bucket(&self, bucket: &str, dry_run: bool) -> Result<(), Problem> {
        let id = bucket::named(&self.0, bucket)?;
        if dry_run {
            return bucket::must_be_empty(&self.0, id).await;
        }
        self.0.to_the_end(|shared| async move { end_bucket(&shared, id).await }).await
    }

    async fn verify_bucket(&self, bucket: &str, repair: bool) -> Result<VerifyEvents, Problem> {
        objects::verify(&self.0, bucket, repair)
    }

    async fn list_objects(&self, bucket: &str, query: ListQuery) -> Result<Listing, Problem> {
        objects::list(&self.0, bucket, query)
    }

    async fn head_object(&self, bucket: &str, key: &str) -> Result<ObjectInfo, Problem> {
        objects::head(&self.0, bucket, key).await
    }

    async fn get_object(
        &self,
        bucket: &str,
        key: &str,
        range: Option<ByteRange>,
    ) -> Result<ObjectRead, Problem> {
        objects::get(&self.0, bucket, key, range).await
    }

    async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        options: PutOptions,
        body: ByteStream,
    ) -> Result<ObjectInfo, Problem> {
        objects::put(&self.0, bucket, key, options, body).await
    }

    async fn delete_object(&self, bucket: &str, key: &str) -> Result<(), Problem> {
        objects::delete(&self.0, bucket, key).await
    }

    fn bucket_keys(&self) -> Option<&dyn KeyControl> {
        Some(self)
    }

    fn people(&self) -> Option<&dyn PeopleControl> {
        Some(self)
    }

    async fn usage(&self) -> Result<Vec<UsageStatus>, Problem> {
        Ok(crate::quota::usage(&self.0))
    }

    async fn set_quota(&self, setting: QuotaSetting) -> Result<Vec<UsageStatus>, Problem> {
        self.0.to_the_end(|shared| async move { crate::quota::set(&shared, setting).await }).await?;
        Ok(crate::quota::usage(&self.0))
    }

    fn kv(&self) -> Option<&dyn KvControl> {
        Some(self)
    }

    fn backends(&self) -> Option<&dyn BackendControl> {
        Some(self)
    }

    fn alarms(&self) -> Option<&dyn AlarmControl> {
        Some(self)
    }

    fn backups_of_files(&self) -> Option<&dyn BackupControl> {
        Some(self)
    }

    fn zfs(&self) -> Option<&dyn ZfsControl> {
        Some(self)
    }

    fn net(&self) -> Option<&dyn NetControl> {
        Some(self)
    }

    fn door(&self) -> Option<&dyn DoorControl> {
        Some(self)
    }

    fn choice(&self) -> Option<&dyn ChoiceControl> {
        Some(self)
    }

    fn forwards(&self) -> Option<&dyn ForwardControl> {
        Some(self)
    }

    fn onion_door(&self) -> Option<&dyn OnionControl> {
        Some(self)
    }

    fn phones(&self) -> Option<&dyn PhoneControl> {
        Some(self)
    }

    fn grants(&self) -> Option<&dyn GrantControl> {
        Some(self)
    }

    fn pools(&self) -> Option<&dyn PoolControl> {
        Some(self)
    }

    fn addresses(&self) -> Option<&dyn AddressControl> {
        Some(self)
    }

    fn filter(&self) -> Option<&dyn FilterControl> {
        Some(self)
    }

    async fn export_log(&self) -> Result<Bytes, Problem> {
        self.0.log.export().await.map(Bytes::from)
    }

    async fn import_log(&self, exported: Bytes) -> Result<ImportReport, Problem> {
        realm::import(&self.0, &exported).await
    }

    async fn audit(&self) -> Result<Audit, Problem> {
        let exported = self.0.log.export().await?;
        // Every signature is checked anew.
        let audit = tokio::task::spawn_blocking(move || audit_of(&exported)).await;
        audit.unwrap_or_else(|error| {
            Err(Problem::bug("the log was not checked", error.to_string(), None::<&str>))
        })
    }

    async fn veto_recovery(&self, recovery: &str) -> Result<(), Problem> {
        realm::veto(&self.0, recovery).await
    }

    async fn checkpoint(&self) -> Result<Checkpoint, Problem> {
        realm::checkpoint(&self.0).await
    }

    async fn card(&self) -> Result<Card, Problem> {
        Ok(realm::card(&self.0))
    }

    async fn test_guardian(&self, phrase: Phrase) -> Result<GuardianTest, Problem> {
        realm::test_guardian(&self.0, &phrase).await
    }
}

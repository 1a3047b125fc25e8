//! Backups, asked of a node.

use axum::body::Body;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::Method;
use serde::Serialize;

use super::{Client, collect, events, json, read_json, request, segment};
use crate::{
    BackupAsked, BackupCheck, BackupEntry, BackupEvent, BackupForget, BackupFound, BackupKeep, BackupLook,
    BackupMetered, BackupMount, BackupMounted, BackupNode, BackupPace, BackupPassword, BackupPlace,
    BackupRead, BackupRestore, BackupSnapshot, BackupSought, BackupSpare, BackupStatus, BackupTarget,
    BackupTree, BackupUnprotected, Backups, NewBackup, NewBackupTarget, Problem, SetupCode,
};

/// No answer with bytes of a file is longer.
const READ_MAX: usize = 4 << 20;

/// Something under way; dropping it stops the work.
type Events = BoxStream<'static, Result<BackupEvent, Problem>>;

impl Client {
    /// How backups stand.
    pub async fn backups_of_files(&self) -> Result<Backups, Problem> {
        self.get("/backup").await
    }

    /// Makes a repository at a new target, or takes one over that is there.
    pub async fn add_backup_target(&self, wish: &NewBackupTarget) -> Result<BackupTarget, Problem> {
        self.send(Method::POST, "/backup/targets", wish).await
    }

    /// Says how fast backups go to a target.
    pub async fn pace_backup_target(&self, name: &str, pace: &BackupPace) -> Result<BackupTarget, Problem> {
        self.send(Method::PATCH, &format!("/backup/targets/{}", segment(name)), pace).await
    }

    /// Forgets a target.
    pub async fn remove_backup_target(&self, name: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &format!("/backup/targets/{}", segment(name))).await
    }

    /// What opens the repository of a target.
    pub async fn backup_password(&self, target: &str) -> Result<BackupPassword, Problem> {
        let path = format!("/backup/targets/{}/password", segment(target));
        read_json(self.ask(request(Method::POST, &path, Body::empty())?).await?).await
    }

    /// Begins to back something up.
    pub async fn add_backup(&self, wish: &NewBackup) -> Result<BackupStatus, Problem> {
        self.send(Method::POST, "/backup", wish).await
    }

    /// Backs it up no longer.
    pub async fn remove_backup(&self, name: &str) -> Result<(), Problem> {
        self.done(Method::DELETE, &format!("/backup/made/{}", segment(name))).await
    }

    /// Has a run begin at each target of a backup.
    pub async fn back_up_now(&self, name: &str) -> Result<Vec<BackupAsked>, Problem> {
        let path = format!("/backup/made/{}/now", segment(name));
        read_json(self.ask(request(Method::POST, &path, Body::empty())?).await?).await
    }

    /// Changes how many of its snapshots stay.
    pub async fn keep_backups(&self, name: &str, keep: &BackupKeep) -> Result<BackupStatus, Problem> {
        self.send(Method::PUT, &format!("/backup/made/{}/keep", segment(name)), keep).await
    }

    /// Says whether it is made over a network that costs by the byte.
    pub async fn meter_backup(&self, name: &str, wish: &BackupMetered) -> Result<BackupStatus, Problem> {
        self.send(Method::PUT, &format!("/backup/made/{}/metered", segment(name)), wish).await
    }

    /// Says that what it covers is as it is meant to be.
    pub async fn accept_backup(&self, name: &str) -> Result<BackupStatus, Problem> {
        let path = format!("/backup/made/{}/accept", segment(name));
        read_json(self.ask(request(Method::POST, &path, Body::empty())?).await?).await
    }

    /// What lies in no backup.
    pub async fn unprotected(&self) -> Result<BackupUnprotected, Problem> {
        read_json(self.ask_patiently(request(Method::GET, "/backup/unprotected", Body::empty())?).await?)
            .await
    }

    /// Says that something is meant to be in none, or not any more.
    pub async fn spare_from_backup(&self, wish: &BackupSpare) -> Result<BackupUnprotected, Problem> {
        self.send(Method::POST, "/backup/unprotected", wish).await
    }

    /// The snapshots on a target.
    pub async fn backup_snapshots(&self, place: &BackupPlace) -> Result<Vec<BackupSnapshot>, Problem> {
        read_json(self.ask_patiently(json(Method::POST, "/backup/snapshots", place)?).await?).await
    }

    /// What lies below a path of a snapshot.
    pub async fn backup_entries(&self, place: &BackupPlace) -> Result<Vec<BackupEntry>, Problem> {
        read_json(self.ask_patiently(json(Method::POST, "/backup/entries", place)?).await?).await
    }

    /// Looks for something by its name.
    pub async fn seek_backup(&self, sought: &BackupSought) -> Result<BackupFound, Problem> {
        read_json(self.ask_patiently(json(Method::POST, "/backup/seek", sought)?).await?).await
    }

    /// Has the node keep a repository open, until what comes back is dropped.
    pub async fn mount_backup(&self, wish: &BackupMount) -> Result<Events, Problem> {
        self.backup_events("/backup/mounts", wish).await
    }

    /// Opens a repository to look into it now and then.
    pub async fn look_into_backups(&self, wish: &BackupLook) -> Result<BackupMounted, Problem> {
        read_json(self.ask_patiently(json(Method::POST, "/backup/looks", wish)?).await?).await
    }

    /// Makes a code with which a browser that has signed in may look into backups.
    pub async fn new_reading_code(&self) -> Result<SetupCode, Problem> {
        read_json(self.ask(request(Method::POST, "/backup/code", Body::empty())?).await?).await
    }

    /// What is in a directory of one that is open.
    pub async fn mounted_nodes(&self, mount: &str, wish: &BackupTree) -> Result<Vec<BackupNode>, Problem> {
        let path = format!("/backup/mounts/{}/nodes", segment(mount));
        read_json(self.ask(json(Method::POST, &path, wish)?).await?).await
    }

    /// Bytes of a file in one that is open; fewer where it ends.
    pub async fn mounted_bytes(&self, mount: &str, wish: &BackupRead) -> Result<Bytes, Problem> {
        let path = format!("/backup/mounts/{}/bytes", segment(mount));
        collect(self.ask(json(Method::POST, &path, wish)?).await?, READ_MAX).await
    }

    /// Brings something back.
    pub async fn restore_backup(&self, wish: &BackupRestore) -> Result<Events, Problem> {
        self.backup_events("/backup/restore", wish).await
    }

    /// Looks whether a repository is sound.
    pub async fn check_backup(&self, wish: &BackupCheck) -> Result<Events, Problem> {
        self.backup_events("/backup/check", wish).await
    }

    /// Forgets snapshots.
    pub async fn forget_backups(&self, wish: &BackupForget) -> Result<Events, Problem> {
        self.backup_events("/backup/forget", wish).await
    }

    async fn backup_events(&self, path: &str, wish: &impl Serialize) -> Result<Events, Problem> {
        let answer = self.ask_patiently(json(Method::POST, path, wish)?).await?;
        Ok(events(answer))
    }
}

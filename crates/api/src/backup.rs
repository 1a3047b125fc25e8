//! Backups of this machine: what is backed up, to which targets, how that stands, and what comes back.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{NewStore, Problem};

mod comparing;
mod guarding;
mod mounting;
mod upkeep;

pub use comparing::{BackupCompared, BackupFate, BackupShare, BackupWould};
pub use guarding::{BackupSpare, BackupThing, BackupThingKind, BackupUnprotected};
pub use mounting::{
    BackupBytes, BackupLook, BackupMount, BackupMounted, BackupNode, BackupNodeKind, BackupRead, BackupRoot,
    BackupTree,
};
pub use upkeep::{BackupChecked, BackupKeep, BackupMetered, BackupThinned, BackupUpkeep};

/// The backups of the node that answers, and where they go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backups {
    /// Where backups go.
    pub targets: Vec<BackupTarget>,
    /// What is backed up.
    pub backups: Vec<BackupStatus>,
    /// What other machines of the realm back up to this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<BackupKept>,
}

/// What another machine of the realm backs up to this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupKept {
    /// The machine, by which it is named where a target is asked for.
    pub machine: String,
    /// Its snapshots.
    pub snapshots: u64,
    /// How long ago the newest of them came, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ago_ms: Option<u64>,
}

/// A place that backups go to, with one repository in restic's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupTarget {
    /// What people call it.
    pub name: String,
    /// Where it is: the path of a directory on this machine, or in words which machine keeps it.
    pub place: String,
    /// How many bytes a second go there at most; as fast as it can if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<u64>,
    /// Whether a repository was there already.
    #[serde(default)]
    pub found: bool,
    /// What is done about it besides backups.
    #[serde(default)]
    pub upkeep: BackupUpkeep,
}

/// A target that is to be.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBackupTarget {
    /// What people will call it: up to 32 small letters, digits and hyphens.
    pub name: String,
    /// The absolute path of a directory on this machine: an empty one, one that is not there yet, or one with a
    /// repository. Empty where the target is no directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Another machine of the realm that is to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// A grant by which another realm lends room for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// A bucket of an S3, whoever runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<NewStore>,
    /// Whether this machine is to remove nothing there: its access key may have no right to, and then nobody who takes the
    /// machine has.
    #[serde(default)]
    pub append_only: bool,
    /// The machine that made what is kept there, if it was not this one; then it is only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The password of the repository that is there, where this realm does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// How many bytes a second are to go there at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<u64>,
}

/// How fast backups go to a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupPace {
    /// Bytes a second at most; nothing, or 0, lifts the limit. A run that is under way goes on as it began.
    #[serde(default)]
    pub pace: Option<u64>,
}

impl std::fmt::Debug for NewBackupTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewBackupTarget")
            .field("name", &self.name)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What opens a repository without this program.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupPassword {
    /// Where the repository is.
    pub place: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for BackupPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupPassword").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A backup that is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct NewBackup {
    /// What people will call it: up to 32 small letters, digits and hyphens.
    pub name: String,
    /// Absolute paths of directories and files on this machine; none where there is something else below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// A program of this machine and its arguments, whose output is backed up as a file; no shell reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// What that file is called in a snapshot [default: as the backup].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Names of buckets of the realm, of which the newest versions are backed up below `/buckets`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
    /// Names of databases of the realm, each backed up as it is at one moment, as a file below `/databases`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Whether all buckets and databases are meant that this machine can read, those that come later, too; and below
    /// `/machine` what it alone was told, without secrets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everything: bool,
    /// Names of targets.
    pub to: Vec<String>,
    /// How often, in milliseconds: from 5 minutes to 366 days.
    pub every_ms: u64,
    /// Patterns, as in a `.gitignore`, of what is left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Whether what a `.gitignore` within says is left out.
    #[serde(default)]
    pub git_ignore: bool,
    /// Whether it stays on the file systems of the paths.
    #[serde(default)]
    pub one_file_system: bool,
    /// Whether it is made over a network that costs by the byte, too.
    #[serde(default)]
    pub on_metered: bool,
    /// How many of its snapshots stay.
    #[serde(default)]
    pub keep: BackupKeep,
}

/// A backup, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupStatus {
    /// Its id, which stands for it in metrics.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What is backed up; of a command, the file that has what it prints.
    pub paths: Vec<String>,
    /// The command whose output it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// What is left out.
    pub exclude: Vec<String>,
    /// How often, in milliseconds.
    pub every_ms: u64,
    /// Whether it is made over a network that costs by the byte, too.
    #[serde(default)]
    pub on_metered: bool,
    /// How many of its snapshots stay.
    #[serde(default)]
    pub keep: BackupKeep,
    /// How it stands at each target.
    pub to: Vec<BackupStanding>,
}

/// How a backup stands at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupStanding {
    /// The target.
    pub target: String,
    /// How far a run is that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<BackupProgress>,
    /// The last run that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<BackupRun>,
    /// How many runs have failed since.
    pub failed: u32,
    /// Why the last one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// In how long the next one begins, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_in_ms: Option<u64>,
    /// The last trial to restore from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<BackupTrial>,
    /// The last trial to restore everything, file by file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_whole: Option<BackupTrial>,
    /// In how long the next one of everything is, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_whole_in_ms: Option<u64>,
    /// What a run waits for that would be due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Whether an alarm stands until somebody says that all is meant: nothing is forgotten meanwhile.
    #[serde(default)]
    pub held: bool,
    /// How many runs have ended since the node was started.
    pub ended: u64,
    /// What is wrong, in words.
    pub alarms: Vec<String>,
}

/// How far something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupProgress {
    /// Bytes that are through.
    pub done: u64,
    /// Bytes that there are, as far as is known; 0 while it is not.
    pub total: u64,
}

/// A run that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupRun {
    /// How long ago it began, in milliseconds.
    pub ago_ms: u64,
    /// The snapshot that it made.
    pub snapshot: String,
    /// Files that it covers.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that were new to the target.
    pub added: u64,
    /// Files that could not be read, and are not in it.
    pub unread: u64,
    /// The first of them, and why.
    pub named: Vec<String>,
}

/// A trial to restore files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupTrial {
    /// How long ago it was, in milliseconds.
    pub ago_ms: u64,
    /// Whether all came back.
    pub good: bool,
    /// Files that came back.
    pub files: u64,
    /// Of how many in the snapshot.
    pub of: u64,
    /// Bytes of those that came back.
    pub bytes: u64,
    /// What did not come back, and why.
    pub why: Vec<String>,
}

/// A run that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupAsked {
    /// The target.
    pub target: String,
    /// It is over when so many runs have ended.
    pub ended: u64,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupSnapshot {
    /// Its id.
    pub id: String,
    /// The target on which it lies.
    pub target: String,
    /// When it was made, by its writer's clock, in milliseconds since 1970.
    pub made_ms: u64,
    /// The machine's name.
    pub machine: String,
    /// What it covers.
    pub paths: Vec<String>,
    /// How many files, where the program that made it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// How many bytes, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Something in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupEntry {
    /// Where it was.
    pub path: String,
    /// What it is.
    pub kind: BackupEntryKind,
    /// Its bytes; 0 for what is no file.
    pub size: u64,
    /// When it was changed last, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_ms: Option<u64>,
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupSought {
    /// A part of a name, or with `*`, `?` or `[` the whole of it; with a slash, of the path. Small letters or capital ones.
    pub pattern: String,
    /// The target; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only in this snapshot, by its id or the beginning of it, or the name of a backup for the newest of that; without one
    /// in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupFound {
    /// The newest snapshot's first.
    pub found: Vec<BackupHit>,
    /// Whether there was more than that.
    pub more: bool,
    /// Directories in the backup that could not be read, and why: something may be in there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// Something that was found; what was changed is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupHit {
    /// What it is.
    #[serde(flatten)]
    pub entry: BackupEntry,
    /// The newest snapshot that has it so.
    pub snapshot: BackupSnapshot,
    /// In how many it is so.
    pub snapshots: u64,
}

/// What something in a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupEntryKind {
    /// A file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// Something else.
    Other,
}

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupPlace {
    /// The target; may be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The snapshot: its id or the beginning of it, the name of a backup for the newest of that, or nothing for the
    /// newest of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// A path in it; without one the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What is to come back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRestore {
    /// From where, and what.
    #[serde(default)]
    pub from: BackupPlace,
    /// The absolute path of the directory on this machine that it comes back into. A whole snapshot comes back under its
    /// whole paths.
    pub to: String,
    /// Only say what would be made and overwritten.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupRestored {
    /// Files that were written.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files that were there already as they ought to be.
    pub unchanged: u64,
    /// How much did not come back, or not as it was.
    pub failed: u64,
    /// The first of that, and why.
    pub named: Vec<String>,
}

/// What a check is to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupCheck {
    /// The target; may be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether every byte is read.
    pub read: bool,
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupFinding {
    /// Whether files are lost or damaged by it.
    pub severe: bool,
    /// What it is.
    pub what: String,
}

/// What is to be forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupForget {
    /// The target; may be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only say what would be.
    pub dry_run: bool,
    /// How many of the newest stay.
    pub last: u32,
    /// How many of the newest of an hour stay.
    pub hourly: u32,
    /// Of a day.
    pub daily: u32,
    /// Of a week.
    pub weekly: u32,
    /// Of a month.
    pub monthly: u32,
    /// Of a year.
    pub yearly: u32,
}

/// What was forgotten, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupForgotten {
    /// Whether it was only asked what would be forgotten.
    #[serde(default)]
    pub dry_run: bool,
    /// What stays.
    pub kept: Vec<BackupSnapshot>,
    /// What is gone, or would be.
    pub forgotten: Vec<BackupSnapshot>,
}

/// One line of the answer to what takes long: progress now and then, and one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum BackupEvent {
    /// So far.
    Progress(BackupProgress),
    /// A restore came to its end.
    Restored(BackupRestored),
    /// What a restore would do was looked at.
    Compared(BackupCompared),
    /// A check came to its end.
    Checked {
        /// What it found; nothing where all is well.
        findings: Vec<BackupFinding>,
    },
    /// What was to be forgotten is.
    Forgotten(BackupForgotten),
    /// A repository is open, until the connection ends.
    Mounted(BackupMounted),
    /// It could not go on.
    Failed(Problem),
}

/// Something under way: ends with any event but progress; dropping it stops the work.
pub type BackupEvents = BoxStream<'static, BackupEvent>;

/// What a node does about its backups.
#[async_trait]
pub trait BackupControl: Send + Sync {
    /// How they stand.
    async fn backups(&self) -> Result<Backups, Problem>;
    /// Makes a repository at a new target, or takes one over that is there.
    async fn add_backup_target(&self, wish: NewBackupTarget) -> Result<BackupTarget, Problem>;
    /// Says how fast backups go to a target.
    async fn pace_backup_target(&self, name: &str, pace: BackupPace) -> Result<BackupTarget, Problem>;
    /// Forgets a target that no backup goes to; what lies there stays.
    async fn remove_backup_target(&self, name: &str) -> Result<(), Problem>;
    /// What opens its repository.
    async fn backup_password(&self, target: &str) -> Result<BackupPassword, Problem>;
    /// Begins to back something up.
    async fn add_backup(&self, wish: NewBackup) -> Result<BackupStatus, Problem>;
    /// Backs it up no longer; its snapshots stay.
    async fn remove_backup(&self, name: &str) -> Result<(), Problem>;
    /// Has a run begin at each target of a backup.
    async fn back_up_now(&self, name: &str) -> Result<Vec<BackupAsked>, Problem>;
    /// Changes how many of its snapshots stay.
    async fn keep_backups(&self, name: &str, keep: BackupKeep) -> Result<BackupStatus, Problem>;
    /// Says whether it is made over a network that costs by the byte.
    async fn meter_backup(&self, name: &str, wish: BackupMetered) -> Result<BackupStatus, Problem>;
    /// A person says that what it covers is as it is meant to be: what it is from now on is the measure.
    async fn accept_backup(&self, name: &str) -> Result<BackupStatus, Problem>;
    /// What lies in no backup.
    async fn unprotected(&self) -> Result<BackupUnprotected, Problem>;
    /// A person says that something is meant to be in none, or not any more; answers what lies in none then.
    async fn spare_from_backup(&self, wish: BackupSpare) -> Result<BackupUnprotected, Problem>;
    /// The snapshots on a target, the oldest first.
    async fn backup_snapshots(&self, place: BackupPlace) -> Result<Vec<BackupSnapshot>, Problem>;
    /// What lies below a path of a snapshot.
    async fn backup_entries(&self, place: BackupPlace) -> Result<Vec<BackupEntry>, Problem>;
    /// Looks for something by its name.
    async fn seek_backup(&self, sought: BackupSought) -> Result<BackupFound, Problem>;
    /// Keeps a repository open for somebody who walks through it: what comes back begins with what is there, and goes on until
    /// it is dropped.
    async fn mount_backup(&self, wish: BackupMount) -> Result<BackupEvents, Problem>;
    /// Opens a repository for somebody who looks into it now and then, or answers with the one that is open; nobody has to
    /// close it.
    async fn look_into_backups(&self, wish: BackupLook) -> Result<BackupMounted, Problem>;
    /// What is in a directory of one that is open.
    async fn mounted_nodes(&self, mount: &str, wish: BackupTree) -> Result<Vec<BackupNode>, Problem>;
    /// Bytes of a file in one that is open; fewer where it ends.
    async fn mounted_bytes(&self, mount: &str, wish: BackupRead) -> Result<Bytes, Problem>;
    /// Brings something back.
    async fn restore_backup(&self, wish: BackupRestore) -> Result<BackupEvents, Problem>;
    /// Looks whether a repository is sound.
    async fn check_backup(&self, wish: BackupCheck) -> Result<BackupEvents, Problem>;
    /// Forgets snapshots, and removes what no other needs.
    async fn forget_backups(&self, wish: BackupForget) -> Result<BackupEvents, Problem>;
}

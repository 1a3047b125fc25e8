//! Backends: foreign object stores that this node keeps sealed objects on, each a node of the realm.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;
use crate::node::words;

/// What a node does when it is asked about its backends.
#[async_trait]
pub trait BackendControl: Send + Sync {
    /// Those that this node hosts.
    async fn backends(&self) -> Result<Vec<BackendStatus>, Problem>;
    /// Tries a store out and makes a storage node on it; with `dry_run` it only tries it out.
    async fn attach(&self, wish: NewBackend, dry_run: bool) -> Result<Attached, Problem>;
    /// Tries the store of a backend out again.
    async fn probe(&self, name: &str) -> Result<Probed, Problem>;
    /// The list by which anybody can check its packs without a key.
    async fn packs(&self, name: &str) -> Result<Vec<PackLine>, Problem>;
    /// Ends a backend; with `dry_run` it only says whether it would.
    async fn detach(&self, name: &str, how: Detach) -> Result<Detached, Problem>;
}

/// A wish for a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBackend {
    /// What it is to be called: lower-case letters, digits and hyphens.
    pub name: String,
    /// Where it is to lie: one store, or several of which each gets a part.
    pub stores: Vec<NewStore>,
    /// Of several stores, how many may be lost.
    #[serde(default)]
    pub may_lose: u8,
    /// The most bytes it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
}

/// A store on which a backend is to lie.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStore {
    /// Address of the S3 endpoint.
    pub endpoint: String,
    /// The bucket there, which exists already.
    pub bucket: String,
    /// The region that requests are signed for; `us-east-1` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What all names there begin with, so that one bucket can serve several purposes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Whether the bucket is part of the host's name instead of the path.
    #[serde(default)]
    pub virtual_host: bool,
    /// A file on the node with the certificates that vouch for the endpoint, beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The access key there, as the AWS tools write it: `aws_access_key_id = ...` and
    /// `aws_secret_access_key = ...`, a line each.
    pub credentials: String,
}

impl std::fmt::Debug for NewStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewStore")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl Drop for NewStore {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.credentials);
    }
}

/// A realm as it lies on the stores of a backend that is all that is left, before it is taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundRealm {
    /// What the realm is called.
    pub realm: String,
    /// What the backend is called.
    pub backend: String,
    /// When its node wrote there last, in milliseconds since 1970.
    pub written_ms: u64,
    /// When an admin last decided something.
    pub decided_ms: u64,
    /// When this was found.
    pub now_ms: u64,
    /// Who decides.
    pub admins: Vec<String>,
    /// The other members.
    pub members: Vec<String>,
    /// The machines.
    pub machines: Vec<String>,
    /// What of it is not whole.
    pub missing: Vec<String>,
}

/// What is left of a realm, of all places from which guardians bring one back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhatIsLeft {
    /// Machines: the realm's own, or a friend's where its backups are.
    Nodes {
        /// The card that says where they are.
        card: String,
    },
    /// Rented storage.
    Backend {
        /// The realm's card.
        card: String,
        /// All stores of it.
        stores: Vec<NewStore>,
    },
    /// A backup in a directory of this machine.
    Folder {
        /// Its absolute path.
        path: String,
    },
    /// A backup in a bucket.
    Bucket {
        /// Where.
        store: Box<NewStore>,
    },
}

words! {
    /// How a backend is.
    BackendState, "state" {
        /// It is being opened.
        Starting = "starting",
        /// It does its work.
        Up = "reachable",
        /// Its store does not answer; it is tried again.
        Away = "not reachable",
        /// It cannot work until somebody sets something right; it is tried again all the same.
        Broken = "not usable",
    }
}

/// A backend of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackendStatus {
    /// Its name, which is its node's name when it is attached.
    pub name: String,
    /// Id of the node that it is in the realm.
    pub node: String,
    /// Address of the S3 endpoint.
    pub endpoint: String,
    /// The bucket there.
    pub bucket: String,
    /// What all names there begin with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The other stores, if it lies on several: address and bucket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// Of several stores, how many may be lost.
    #[serde(default)]
    pub may_lose: u8,
    /// How it is.
    pub state: BackendState,
    /// Why it is not reachable or not usable, or what is wrong though it works; may be empty.
    pub why: String,
    /// Packs on its store that were found missing or altered, and that something still counts in.
    #[serde(default)]
    pub bad_packs: u64,
    /// For how long it has been so, in milliseconds.
    pub since_ms: u64,
    /// How long ago all that its node knew was in the journal on its store, in milliseconds; nothing
    /// if not yet since the start.
    #[serde(default)]
    pub journal_ms: Option<u64>,
    /// Bytes of sealed objects that it holds, as far as known.
    pub used: Option<u64>,
    /// The most bytes it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
}

/// What trying a store out has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probed {
    /// What it can do, a line each.
    pub can: Vec<String>,
    /// What it lacks that is done without, a line each.
    pub lacks: Vec<String>,
}

/// A pack on the store of a backend, as anybody can check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PackLine {
    /// Its name on the store.
    pub name: String,
    /// Its bytes; where several stores are one, those of all parts together.
    pub len: u64,
    /// BLAKE3 of them in hexadecimal, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
}

/// Stores of a backend that are to be checked without its key.
#[derive(Debug, Clone, Default)]
pub struct StoresToCheck {
    /// Where they are, in the backend's order.
    pub stores: Vec<NewStore>,
    /// How many of them may be lost.
    pub may_lose: u8,
    /// What should be there, if somebody has given a list.
    pub list: Option<Vec<PackLine>>,
    /// Whether every byte is read.
    pub read: bool,
}

/// A pack that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongPack {
    /// Its name on the store.
    pub name: String,
    /// The store that has it so, if one shows it by itself: its address and bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What a check without keys has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoresChecked {
    /// Packs that the list names; without one, those that are there.
    pub packs: u64,
    /// Of those, how many are byte by byte what the list says.
    pub proven: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is not as it should be.
    pub wrong: Vec<WrongPack>,
    /// Packs that are there and that the list does not name.
    pub unlisted: u64,
    /// Objects there that have no name of a pack.
    pub others: u64,
}

/// A backend that has just been attached, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attached {
    /// How it is; nothing if it was only tried out.
    pub backend: Option<BackendStatus>,
    /// What trying the store out has shown.
    pub probed: Probed,
}

/// What became of what lay on the store of a backend that was ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detached {
    /// Objects that were removed.
    pub removed: u64,
    /// Objects that look like a backend's and are not this one's; they stay.
    #[serde(default)]
    pub strange: u64,
    /// Stores on which something of it stays, and why; it opens to nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// How to end a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detach {
    /// Though something is only there.
    pub force: bool,
    /// Only say whether it would be done.
    pub dry_run: bool,
}

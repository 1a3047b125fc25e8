//! Databases of keys and documents. A node with a KV plane implements [`KvControl`].

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// A database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvDatabase {
    /// What it is called.
    pub name: String,
    /// On how many nodes it is to be.
    pub copies: u16,
    /// How many of them must have a write before it counts.
    pub confirm: u16,
    /// The node that writes it, by name; absent if it is not known here yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// Whether that is this node.
    pub here: bool,
    /// How often the writer has changed, itself included.
    pub epoch: u64,
    /// How long ago the writer was heard here; absent if never since this node started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_ms: Option<u64>,
    /// The collections of documents; only when one database is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<KvCollection>,
}

/// A database to be made; this node writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewKvDatabase {
    /// 1 to 48 lower-case letters, digits and hyphens, a letter first.
    pub name: String,
    /// On how many nodes it is to be.
    #[serde(default = "two")]
    pub copies: u16,
    /// How many of them must have a write before it counts.
    #[serde(default = "one")]
    pub confirm: u16,
}

const fn one() -> u16 {
    1
}

const fn two() -> u16 {
    2
}

/// A database to be made from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvClone {
    /// What it will be called.
    pub to: String,
    /// A snapshot to clone in the place of what is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// Who is to write a database from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvHandOver {
    /// The node, by name, id, or the start of an id.
    pub to: String,
}

/// How this node may begin to write a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvTakeOver {
    /// Also if its writer may be at work. What it has acknowledged and this node has not heard of is
    /// lost.
    #[serde(default)]
    pub force: bool,
}

/// How a snapshot is to be held: give one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NewKvSnapshot {
    /// For how long, up to an hour: it is held in memory, and gone when the node restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasting_ms: Option<u64>,
    /// Under which name, until it is let go: it outlives restarts, and every node can read it. 1 to 64
    /// letters, digits, `-`, `_` and `.`, a letter first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvSnapshot {
    /// Its id; of one with a name the name.
    pub id: String,
    /// When it lapses, in milliseconds since 1970; absent if it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_ms: Option<u64>,
    /// When one with a name was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_ms: Option<u64>,
}

/// A transaction to begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NewKvTransaction {
    /// How long it may be open, up to ten minutes; one minute if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasting_ms: Option<u64>,
}

/// A transaction that has begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvTransaction {
    /// By which it is named.
    pub id: String,
    /// When it lapses, in milliseconds since 1970.
    pub lapses_ms: u64,
    /// The last write that it sees.
    pub number: u64,
}

/// What a transaction is to write.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KvOperations {
    /// All of these are done when it is committed, in order.
    pub operations: Vec<KvOp>,
}

/// Of which time something is read; now, if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct KvAt {
    /// In a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// As a transaction sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

/// A collection of documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvCollection {
    /// Its name.
    pub name: String,
    /// Documents in it.
    pub documents: u64,
    /// Its indexes.
    pub indexes: Vec<KvIndexStatus>,
}

/// An index to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvIndex {
    /// Its name.
    pub name: String,
    /// Its fields, the first first; dots lead into objects.
    pub fields: Vec<String>,
    /// No two documents have the same values.
    #[serde(default)]
    pub unique: bool,
    /// The first field is an array, of which each element counts.
    #[serde(default)]
    pub each: bool,
    /// The field is text, of which each word counts: for `matches`.
    #[serde(default)]
    pub text: bool,
}

/// How far an index is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KvIndexState {
    /// It answers queries.
    #[default]
    Whole,
    /// Documents that were there before are being put in.
    Building,
    /// It cannot be.
    Failed,
    /// It is being removed.
    Dropping,
}

/// An index as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvIndexStatus {
    /// What was declared.
    #[serde(flatten)]
    pub index: KvIndex,
    /// How far it is.
    pub state: KvIndexState,
    /// How many documents were looked at while it is being built.
    #[serde(default)]
    pub looked_at: u64,
    /// Why it cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A key with its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvItem {
    /// The key.
    pub key: String,
    /// The value, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value in base64, if it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// The number of the write that put it.
    pub version: u64,
    /// When it ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// A value that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvValue {
    /// It.
    pub value: Bytes,
    /// The number of the write that put it.
    pub version: u64,
    /// When it ends.
    pub expires_ms: Option<u64>,
    /// How long ago the writer was heard here.
    pub stale_ms: Option<u64>,
}

/// What must be so for a write to happen. With a collection `key` is a document's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvCondition {
    /// The key, or the document's id.
    pub key: String,
    /// The document's collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The number of the write that put it; absent: it must not be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// One operation of a write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum KvOp {
    /// Puts a value.
    Put {
        /// The key.
        key: String,
        /// The value, if it is text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// The value in base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value_base64: Option<String>,
        /// For how long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lasting_ms: Option<u64>,
    },
    /// Deletes a key.
    Delete {
        /// The key.
        key: String,
    },
    /// Puts a document.
    PutDocument {
        /// Its collection; the first document makes it.
        collection: String,
        /// Its id.
        id: String,
        /// An object.
        document: serde_json::Value,
        /// For how long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lasting_ms: Option<u64>,
    },
    /// Deletes a document.
    DeleteDocument {
        /// Its collection.
        collection: String,
        /// Its id.
        id: String,
    },
}

/// A line of a database's backup: what was there, by itself, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
pub enum KvLine {
    /// A value.
    Put {
        /// Its key.
        key: String,
        /// The value, if it is text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// The value in base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value_base64: Option<String>,
        /// Its end, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    },
    /// A document.
    PutDocument {
        /// Its collection.
        collection: String,
        /// Its id.
        id: String,
        /// An object.
        document: serde_json::Value,
        /// Its end, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    },
    /// An index.
    Index {
        /// Its collection.
        collection: String,
        /// What was declared.
        index: KvIndex,
    },
}

impl KvLine {
    /// What puts it there again, at this time in milliseconds since 1970; nothing if its end has come. An index is declared
    /// by itself.
    pub fn op(self, now_ms: u64) -> Option<KvOp> {
        let left = |end: Option<u64>| match end {
            Some(end) => end.checked_sub(now_ms).filter(|left| *left > 0).map(Some),
            None => Some(None),
        };
        match self {
            Self::Put { key, value, value_base64, expires_ms } => {
                Some(KvOp::Put { key, value, value_base64, lasting_ms: left(expires_ms)? })
            }
            Self::PutDocument { collection, id, document, expires_ms } => {
                Some(KvOp::PutDocument { collection, id, document, lasting_ms: left(expires_ms)? })
            }
            Self::Index { .. } => None,
        }
    }
}

/// A value as an operation carries one that is no text.
pub fn in_base64(value: &[u8]) -> String {
    data_encoding::BASE64.encode(value)
}

/// Reads it back.
///
/// # Errors
/// What is wrong with it.
pub fn from_base64(coded: &str) -> Result<Vec<u8>, String> {
    data_encoding::BASE64.decode(coded.as_bytes()).map_err(|error| error.to_string())
}

/// Why nothing can be done with a database that is not there: programs tell it from a key that is not.
pub const NO_DATABASE: &str = "the realm knows no database of that name";
/// How the reason ends why a transaction was refused because something it read has changed: programs
/// begin again.
pub const OVERTAKEN: &str = "nothing of this transaction was written";

/// A write: everything or nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KvWrite {
    /// All of these must hold.
    #[serde(default)]
    pub conditions: Vec<KvCondition>,
    /// All of these are done, in order.
    pub operations: Vec<KvOp>,
    /// A name for this write: the same again within a day does nothing and answers the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// A write that is durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvDone {
    /// Its number, which is the version of all it put.
    pub number: u64,
    /// It had been done before, under the same idempotency key.
    #[serde(default)]
    pub repeated: bool,
}

/// Which keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct KvScan {
    /// Only keys that begin so.
    pub prefix: String,
    /// Only keys from here on, itself included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only keys before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only keys beyond this one: where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// From the last to the first.
    pub reverse: bool,
    /// At most so many, up to 1000; 100 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// In a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// As a transaction sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

/// A page of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvPage {
    /// The items, in order.
    pub items: Vec<KvItem>,
    /// Give this as `after` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How long ago the writer was heard here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_ms: Option<u64>,
}

/// A query of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct KvQuery {
    /// In the query language; nothing asks for all.
    pub query: String,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only say how it would be answered.
    pub explain: bool,
    /// In a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// What a query found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KvAnswer {
    /// The documents, with `$id` and `$version`.
    pub documents: Vec<serde_json::Value>,
    /// Give this as `after` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How it was answered.
    pub plan: String,
    /// How many documents were looked at.
    pub looked_at: u64,
    /// How long ago the writer was heard here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_ms: Option<u64>,
}

/// One change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvChange {
    /// The key; with a collection, the id of its document.
    pub key: String,
    /// The collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// It is gone.
    #[serde(default)]
    pub deleted: bool,
}

/// What one write changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvEvent {
    /// The write's number.
    pub number: u64,
    /// When, by the writer's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub changes: Vec<KvChange>,
    /// How long ago the writer was heard here when this was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_ms: Option<u64>,
}

/// That a watch goes on, though nothing has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KvHeard {
    /// How long ago the writer was heard here; absent if never since this node started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_ms: Option<u64>,
}

/// What whoever watches is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvNews {
    /// A write.
    Event(KvEvent),
    /// Nothing new, told every few seconds.
    Heard(KvHeard),
}

/// News in order; a problem ends them.
pub type KvEvents = BoxStream<'static, Result<KvNews, Problem>>;

/// A node's databases.
#[async_trait]
pub trait KvControl: Send + Sync + 'static {
    /// The databases of the realm.
    async fn databases(&self) -> Result<Vec<KvDatabase>, Problem>;
    /// Makes a database.
    async fn create(&self, wish: NewKvDatabase) -> Result<KvDatabase, Problem>;
    /// One database, with its collections.
    async fn database(&self, name: &str) -> Result<KvDatabase, Problem>;
    /// Deletes a database with all that is in it.
    async fn delete(&self, name: &str) -> Result<(), Problem>;
    /// Makes a database from another one.
    async fn clone_database(&self, name: &str, wish: KvClone) -> Result<KvDatabase, Problem>;
    /// Has another node write.
    async fn hand_over(&self, name: &str, wish: KvHandOver) -> Result<KvDatabase, Problem>;
    /// Writes from now on.
    async fn take_over(&self, name: &str, wish: KvTakeOver) -> Result<KvDatabase, Problem>;
    /// Holds what is there now.
    async fn snapshot(&self, name: &str, wish: NewKvSnapshot) -> Result<KvSnapshot, Problem>;
    /// The snapshots that have a name.
    async fn snapshots(&self, name: &str) -> Result<Vec<KvSnapshot>, Problem>;
    /// Begins a transaction.
    async fn begin(&self, name: &str, wish: NewKvTransaction) -> Result<KvTransaction, Problem>;
    /// Adds to what a transaction is to write.
    async fn add(&self, name: &str, transaction: &str, wish: KvOperations) -> Result<(), Problem>;
    /// Writes it; [`Problem::conflict`] if something that it read has changed.
    async fn commit(&self, name: &str, transaction: &str) -> Result<KvDone, Problem>;
    /// Ends it without a trace.
    async fn abort(&self, name: &str, transaction: &str) -> Result<(), Problem>;
    /// Lets a snapshot go.
    async fn let_go(&self, name: &str, snapshot: &str) -> Result<(), Problem>;
    /// Reads a value.
    async fn get(&self, name: &str, key: &str, at: &KvAt) -> Result<KvValue, Problem>;
    /// Reads a page of keys.
    async fn scan(&self, name: &str, scan: KvScan) -> Result<KvPage, Problem>;
    /// Writes; [`Problem::conflict`] if a condition does not hold.
    async fn write(&self, name: &str, write: KvWrite) -> Result<KvDone, Problem>;
    /// Reads a document.
    async fn document(
        &self,
        name: &str,
        collection: &str,
        id: &str,
        at: &KvAt,
    ) -> Result<serde_json::Value, Problem>;
    /// Reads a page of documents.
    async fn query(&self, name: &str, collection: &str, query: KvQuery) -> Result<KvAnswer, Problem>;
    /// Declares an index.
    async fn add_index(&self, name: &str, collection: &str, index: KvIndex) -> Result<(), Problem>;
    /// Drops an index.
    async fn drop_index(&self, name: &str, collection: &str, index: &str) -> Result<(), Problem>;
    /// Tells what changes after a write; after the last one if none is named.
    async fn watch(&self, name: &str, after: Option<u64>) -> Result<KvEvents, Problem>;
}

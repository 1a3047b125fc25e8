//! Databases of a node, typed, over its HTTP API: keys, documents that are structs, transactions that
//! are tried again, watching that goes on where it was. It must never know how a database is kept, or
//! say in other words what the node says. Start reading at [`Database`]; `examples/shop/shop.rs` shows all.

mod collection;
mod transaction;
mod watch;
mod write;

pub use collection::{Collection, Document, Found};
pub use transaction::Transaction;
pub use write::Batch;

use bytes::Bytes;
use freehold_api::kv::{
    KvAt, KvClone, KvDatabase, KvDone, KvHandOver, KvItem, KvPage, KvScan, KvSnapshot, KvTakeOver, KvValue,
    NO_DATABASE, NewKvDatabase, NewKvSnapshot, from_base64,
};
use freehold_api::{Client, Problem, ProblemKind};
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use serde::de::DeserializeOwned;

/// Keys on a page of a walk through many.
const PAGE: u32 = 500;

/// A database. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Database {
    client: Client,
    name: String,
}

/// How a value is put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// For how many milliseconds; for ever if not said.
    pub lasting_ms: Option<u64>,
    /// Only if this write put what is there; 0: only if nothing is there.
    pub if_version: Option<u64>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// The number of the write that put it.
    pub version: u64,
}

impl Entry {
    /// The value as JSON.
    ///
    /// # Errors
    /// [`Problem`] if it is none, or is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.value).map_err(|error| unreadable(&self.key, &error))
    }
}

/// All databases that a node knows.
///
/// # Errors
/// [`Problem`] as the node tells it.
pub async fn databases(client: &Client) -> Result<Vec<KvDatabase>, Problem> {
    client.kv_databases().await
}

/// Makes a database, which the node that is asked writes.
///
/// # Errors
/// [`Problem`] as the node tells it.
pub async fn create(client: &Client, wish: &NewKvDatabase) -> Result<KvDatabase, Problem> {
    client.kv_create(wish).await
}

#[expect(clippy::missing_errors_doc, reason = "each fails with the problem that the node tells")]
impl Database {
    /// The database of this name, of the node that a client asks.
    pub fn of(client: &Client, name: impl Into<String>) -> Self {
        Self { client: client.clone(), name: name.into() }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who writes it, and its collections.
    pub async fn info(&self) -> Result<KvDatabase, Problem> {
        self.client.kv_database(&self.name).await
    }

    /// Deletes it with all that is in it.
    pub async fn delete_all(&self) -> Result<(), Problem> {
        self.client.kv_delete_database(&self.name).await
    }

    /// Makes a database of what is in this one now, or in a snapshot of it.
    pub async fn clone_to(&self, wish: &KvClone) -> Result<KvDatabase, Problem> {
        self.client.kv_clone(&self.name, wish).await
    }

    /// Has another node write it.
    pub async fn hand_over(&self, wish: &KvHandOver) -> Result<KvDatabase, Problem> {
        self.client.kv_hand_over(&self.name, wish).await
    }

    /// Has the node that is asked write it.
    pub async fn take_over(&self, wish: &KvTakeOver) -> Result<KvDatabase, Problem> {
        self.client.kv_take_over(&self.name, wish).await
    }

    /// Holds what is there now, for a while or under a name.
    pub async fn snapshot(&self, wish: &NewKvSnapshot) -> Result<KvSnapshot, Problem> {
        self.client.kv_snapshot(&self.name, wish).await
    }

    /// The snapshots that have a name.
    pub async fn snapshots(&self) -> Result<Vec<KvSnapshot>, Problem> {
        self.client.kv_snapshots(&self.name).await
    }

    /// Lets a snapshot go.
    pub async fn let_go(&self, snapshot: &str) -> Result<(), Problem> {
        self.client.kv_let_go(&self.name, snapshot).await
    }

    /// The value of a key, if it is there.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Problem> {
        self.get_at(key, &KvAt::default()).await
    }

    /// The same of a snapshot, or as a transaction sees it.
    pub async fn get_at(&self, key: &str, at: &KvAt) -> Result<Option<Entry>, Problem> {
        let found = if_there(self.value(key, at).await)?;
        Ok(found.map(|found| Entry { key: key.to_owned(), value: found.value, version: found.version }))
    }

    /// The value of a key that should be there.
    pub async fn value(&self, key: &str, at: &KvAt) -> Result<KvValue, Problem> {
        self.client.kv_get(&self.name, key, at).await
    }

    /// Puts a value.
    pub async fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<KvDone, Problem> {
        self.put_with(key, value, PutOptions::default()).await
    }

    /// Puts a value in some way.
    pub async fn put_with(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        options: PutOptions,
    ) -> Result<KvDone, Problem> {
        let PutOptions { lasting_ms, if_version } = options;
        self.client.kv_put(&self.name, key, value.into(), lasting_ms, if_version).await
    }

    /// Deletes a key.
    pub async fn delete(&self, key: &str) -> Result<KvDone, Problem> {
        self.batch().delete(key).write().await
    }

    /// A page of keys with their values.
    pub async fn page(&self, scan: &KvScan) -> Result<KvPage, Problem> {
        self.client.kv_scan(&self.name, scan).await
    }

    /// All keys with their values, in order, a page at a time.
    pub fn entries(&self, scan: KvScan) -> BoxStream<'static, Result<Entry, Problem>> {
        let begin = Some(KvScan { limit: scan.limit.or(Some(PAGE)), ..scan });
        let database = self.clone();
        let pages = futures::stream::try_unfold((database, begin), |(database, scan)| async move {
            let Some(scan) = scan else { return Ok(None) };
            let page = database.page(&scan).await?;
            let next = page.next.map(|next| KvScan { after: Some(next), ..scan });
            let entries: Vec<Entry> = page.items.into_iter().map(entry).collect::<Result<_, _>>()?;
            let entries = futures::stream::iter(entries.into_iter().map(Ok::<_, Problem>));
            Ok::<_, Problem>(Some((entries, (database, next))))
        });
        Box::pin(pages.try_flatten())
    }
}

fn entry(item: KvItem) -> Result<Entry, Problem> {
    let value = match (item.value, item.value_base64) {
        (Some(text), _) => Bytes::from(text),
        (None, coded) => {
            from_base64(&coded.unwrap_or_default()).map_err(|error| unreadable(&item.key, &error))?.into()
        }
    };
    Ok(Entry { key: item.key, value, version: item.version })
}

/// Nothing, if it is not there; a database that is not there is a problem all the same.
fn if_there<T>(answer: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(problem) if problem.kind == ProblemKind::NotFound && problem.why != NO_DATABASE => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn unreadable(of: &str, why: &dyn std::fmt::Display) -> Problem {
    Problem::invalid(format!("{of} is not what this program expects"), why.to_string(), None::<&str>)
}

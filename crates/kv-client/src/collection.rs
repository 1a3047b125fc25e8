//! Documents as structs.

use std::marker::PhantomData;
use std::time::Duration;

use freehold_api::Problem;
use freehold_api::kv::{KvAnswer, KvAt, KvDone, KvIndex, KvIndexState, KvQuery};
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Database, if_there, unreadable};

/// How often it is looked whether an index is whole.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A collection of documents that are each a `T`.
#[derive(Debug)]
pub struct Collection<T> {
    database: Database,
    name: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), name: self.name.clone(), of: PhantomData }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<T> {
    /// Its id.
    pub id: String,
    /// The number of the write that put it.
    pub version: u64,
    /// How well it matches the words of a query that asks for some.
    pub score: Option<f64>,
    /// It.
    pub value: T,
}

/// A page of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    /// The documents.
    pub documents: Vec<Document<T>>,
    /// Give this as `after` to go on.
    pub next: Option<String>,
    /// How long ago the writer was heard, where another node writes.
    pub stale_ms: Option<u64>,
}

/// A document as the node gives it out.
pub(crate) fn typed<T: DeserializeOwned>(document: Value) -> Result<Document<T>, Problem> {
    let id = document.get("$id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = document.get("$version").and_then(Value::as_u64).unwrap_or_default();
    let score = document.get("$score").and_then(Value::as_f64);
    let value = serde_json::from_value(document).map_err(|error| unreadable(&id, &error))?;
    Ok(Document { id, version, score, value })
}

#[expect(clippy::missing_errors_doc, reason = "each fails with the problem that the node tells")]
impl Database {
    /// A collection, be it that nothing is in it yet.
    pub fn collection<T>(&self, name: impl Into<String>) -> Collection<T> {
        Collection { database: self.clone(), name: name.into(), of: PhantomData }
    }

    /// A document that should be there, as JSON.
    pub async fn document(&self, collection: &str, id: &str, at: &KvAt) -> Result<Value, Problem> {
        self.client.kv_document(&self.name, collection, id, at).await
    }

    /// Asks for documents as JSON.
    pub async fn query(&self, collection: &str, query: &KvQuery) -> Result<KvAnswer, Problem> {
        self.client.kv_query(&self.name, collection, query).await
    }

    /// Declares an index; documents that are there are put in in the background.
    pub async fn add_index(&self, collection: &str, index: &KvIndex) -> Result<(), Problem> {
        self.client.kv_add_index(&self.name, collection, index).await
    }

    /// Waits until an index is whole; a problem if it cannot be.
    pub async fn until_whole(&self, collection: &str, index: &str) -> Result<(), Problem> {
        loop {
            let known = self.info().await?.collections.into_iter().find(|known| known.name == collection);
            let mut indexes = known.into_iter().flat_map(|known| known.indexes);
            let found = indexes.find(|found| found.index.name == index);
            let why = match found.map(|found| (found.state, found.why)) {
                Some((KvIndexState::Whole, _)) => return Ok(()),
                Some((KvIndexState::Building, _)) => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
                Some((_, why)) => why.unwrap_or_default(),
                None => "the collection has none of that name".to_owned(),
            };
            let next = format!("freehold kv index drop {} {collection} {index}", self.name);
            return Err(Problem::refused(format!("the index {index} cannot be"), why, Some(next)));
        }
    }

    /// Drops an index.
    pub async fn drop_index(&self, collection: &str, index: &str) -> Result<(), Problem> {
        self.client.kv_drop_index(&self.name, collection, index).await
    }
}

#[expect(clippy::missing_errors_doc, reason = "each fails with the problem that the node tells")]
impl<T: Serialize + DeserializeOwned + Send + 'static> Collection<T> {
    /// A document, if it is there.
    pub async fn get(&self, id: &str) -> Result<Option<Document<T>>, Problem> {
        let found = self.database.document(&self.name, id, &KvAt::default()).await;
        if_there(found)?.map(typed).transpose()
    }

    /// Puts a document.
    pub async fn put(&self, id: &str, document: &T) -> Result<KvDone, Problem> {
        self.database.batch().put_document(&self.name, id, document).write().await
    }

    /// Deletes a document.
    pub async fn delete(&self, id: &str) -> Result<KvDone, Problem> {
        self.database.batch().delete_document(&self.name, id).write().await
    }

    /// Declares an index.
    pub async fn add_index(&self, index: &KvIndex) -> Result<(), Problem> {
        self.database.add_index(&self.name, index).await
    }

    /// Waits until an index is whole; a problem if it cannot be.
    pub async fn until_whole(&self, index: &str) -> Result<(), Problem> {
        self.database.until_whole(&self.name, index).await
    }

    /// A page of documents. `select` leaves fields out, which a `T` may want.
    pub async fn page(&self, query: &str, after: Option<String>) -> Result<Found<T>, Problem> {
        let asked = KvQuery { query: query.to_owned(), after, ..KvQuery::default() };
        let answer = self.database.query(&self.name, &asked).await?;
        let documents = answer.documents.into_iter().map(typed).collect::<Result<_, _>>()?;
        Ok(Found { documents, next: answer.next, stale_ms: answer.stale_ms })
    }

    /// All documents that a query finds, a page at a time.
    pub fn all(&self, query: &str) -> BoxStream<'static, Result<Document<T>, Problem>> {
        let begin = (self.clone(), query.to_owned(), Some(None));
        let pages = futures::stream::try_unfold(begin, |(own, query, after)| async move {
            let Some(after) = after else { return Ok(None) };
            let page = own.page(&query, after).await?;
            let documents = futures::stream::iter(page.documents.into_iter().map(Ok::<_, Problem>));
            Ok::<_, Problem>(Some((documents, (own, query, page.next.map(Some)))))
        });
        Box::pin(pages.try_flatten())
    }
}

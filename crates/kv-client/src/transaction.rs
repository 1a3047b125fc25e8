//! Transactions of several requests.

use bytes::Bytes;
use freehold_api::kv::{
    KvAt, KvDone, KvOp, KvOperations, KvPage, KvScan, KvTransaction, NewKvTransaction, OVERTAKEN,
};
use freehold_api::{Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::write::{document_op, put_op};
use crate::{Database, Document, Entry, collection, if_there};

/// How often a transaction is tried again.
const TRIES: u32 = 32;

/// A transaction that is open. It lapses by itself if it is neither committed nor aborted.
#[derive(Debug)]
pub struct Transaction {
    database: Database,
    begun: KvTransaction,
}

#[expect(clippy::missing_errors_doc, reason = "each fails with the problem that the node tells")]
impl Database {
    /// Begins a transaction.
    pub async fn begin(&self, wish: &NewKvTransaction) -> Result<Transaction, Problem> {
        let begun = self.client.kv_begin(&self.name, wish).await?;
        Ok(Transaction { database: self.clone(), begun })
    }

    /// A transaction that has begun before, by its id.
    pub fn transaction_named(&self, id: &str) -> Transaction {
        let begun = KvTransaction { id: id.to_owned(), ..KvTransaction::default() };
        Transaction { database: self.clone(), begun }
    }

    /// Carries out a transaction: reads, decides, puts. Whoever is overtaken begins again, so `work` may
    /// run more than once, and should change nothing beside the database.
    pub async fn transaction<T>(
        &self,
        work: impl AsyncFn(&Transaction) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut tried = 0;
        loop {
            let transaction = self.begin(&NewKvTransaction::default()).await?;
            let worked = match work(&transaction).await {
                Ok(worked) => worked,
                Err(problem) => {
                    // It would lapse anyhow.
                    drop(transaction.abort().await);
                    return Err(problem);
                }
            };
            tried += 1;
            match transaction.commit().await {
                Ok(_) => return Ok(worked),
                Err(problem) if tried < TRIES && is_overtaken(&problem) => {}
                Err(problem) => return Err(problem),
            }
        }
    }
}

/// Whether a transaction was refused because something that it read has changed.
fn is_overtaken(problem: &Problem) -> bool {
    problem.kind == ProblemKind::Conflict && problem.why.ends_with(OVERTAKEN)
}

#[expect(clippy::missing_errors_doc, reason = "each fails with the problem that the node tells")]
impl Transaction {
    /// What is known of it.
    pub const fn begun(&self) -> &KvTransaction {
        &self.begun
    }

    fn at(&self) -> KvAt {
        KvAt { transaction: Some(self.begun.id.clone()), snapshot: None }
    }

    /// The value of a key, if it is there.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Problem> {
        self.database.get_at(key, &self.at()).await
    }

    /// A document, if it is there.
    pub async fn document<T: DeserializeOwned>(
        &self,
        collection: &str,
        id: &str,
    ) -> Result<Option<Document<T>>, Problem> {
        let (client, name) = (&self.database.client, &self.database.name);
        let found = if_there(client.kv_document(name, collection, id, &self.at()).await)?;
        found.map(collection::typed).transpose()
    }

    /// A page of keys with their values.
    pub async fn page(&self, scan: &KvScan) -> Result<KvPage, Problem> {
        let scan = KvScan { transaction: Some(self.begun.id.clone()), snapshot: None, ..scan.clone() };
        self.database.page(&scan).await
    }

    /// Puts a value when it is committed.
    pub async fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<(), Problem> {
        self.put_lasting(key, value, None).await
    }

    /// The same, for so many milliseconds from then on.
    pub async fn put_lasting(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        lasting_ms: Option<u64>,
    ) -> Result<(), Problem> {
        self.add(vec![put_op(key, value.into(), lasting_ms)]).await
    }

    /// Deletes a key when it is committed.
    pub async fn delete(&self, key: &str) -> Result<(), Problem> {
        self.add(vec![KvOp::Delete { key: key.to_owned() }]).await
    }

    /// Puts a document when it is committed.
    pub async fn put_document(
        &self,
        collection: &str,
        id: &str,
        document: &impl Serialize,
    ) -> Result<(), Problem> {
        self.add(vec![document_op(collection, id, document)?]).await
    }

    /// Adds operations.
    pub async fn add(&self, operations: Vec<KvOp>) -> Result<(), Problem> {
        let Database { client, name } = &self.database;
        client.kv_add(name, &self.begun.id, &KvOperations { operations }).await
    }

    /// Writes all of it; the same again, for whom the answer was lost, does nothing.
    pub async fn commit(&self) -> Result<KvDone, Problem> {
        self.database.client.kv_commit(&self.database.name, &self.begun.id).await
    }

    /// Ends it; nothing is written.
    pub async fn abort(&self) -> Result<(), Problem> {
        self.database.client.kv_abort(&self.database.name, &self.begun.id).await
    }
}

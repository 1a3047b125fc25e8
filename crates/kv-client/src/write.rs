//! Several changes at once, all or none.

use bytes::Bytes;
use freehold_api::Problem;
use freehold_api::kv::{KvCondition, KvDone, KvOp, KvWrite, in_base64};
use serde::Serialize;

use crate::{Database, unreadable};

/// A write being put together.
#[derive(Debug)]
#[must_use = "nothing is written before `write`"]
pub struct Batch {
    database: Database,
    write: KvWrite,
    /// Why it cannot be written.
    bad: Option<Problem>,
}

impl Database {
    /// Begins to put a write together.
    pub fn batch(&self) -> Batch {
        Batch { database: self.clone(), write: KvWrite::default(), bad: None }
    }

    /// Carries out a write.
    ///
    /// # Errors
    /// [`Problem`] as the node tells it; a conflict if a condition does not hold.
    pub async fn write(&self, write: &KvWrite) -> Result<KvDone, Problem> {
        self.client.kv_write(&self.name, write).await
    }
}

/// The operation that puts a value.
pub(crate) fn put_op(key: &str, value: Bytes, lasting_ms: Option<u64>) -> KvOp {
    let (value, value_base64) = match String::from_utf8(value.into()) {
        Ok(text) => (Some(text), None),
        Err(other) => (None, Some(in_base64(other.as_bytes()))),
    };
    KvOp::Put { key: key.to_owned(), value, value_base64, lasting_ms }
}

/// The operation that puts a document.
pub(crate) fn document_op(collection: &str, id: &str, document: &impl Serialize) -> Result<KvOp, Problem> {
    let document = serde_json::to_value(document).map_err(|error| unreadable(id, &error))?;
    Ok(KvOp::PutDocument { collection: collection.to_owned(), id: id.to_owned(), document, lasting_ms: None })
}

impl Batch {
    fn op(mut self, op: KvOp) -> Self {
        self.write.operations.push(op);
        self
    }

    fn condition(mut self, key: &str, collection: Option<&str>, version: Option<u64>) -> Self {
        let collection = collection.map(str::to_owned);
        self.write.conditions.push(KvCondition { key: key.to_owned(), collection, version });
        self
    }

    /// Puts a value.
    pub fn put(self, key: &str, value: impl Into<Bytes>) -> Self {
        self.op(put_op(key, value.into(), None))
    }

    /// Puts a value for some time.
    pub fn put_lasting(self, key: &str, value: impl Into<Bytes>, lasting_ms: u64) -> Self {
        self.op(put_op(key, value.into(), Some(lasting_ms)))
    }

    /// Deletes a key.
    pub fn delete(self, key: &str) -> Self {
        self.op(KvOp::Delete { key: key.to_owned() })
    }

    /// Puts a document.
    pub fn put_document(mut self, collection: &str, id: &str, document: &impl Serialize) -> Self {
        match document_op(collection, id, document) {
            Ok(op) => self.op(op),
            Err(problem) => {
                self.bad = Some(problem);
                self
            }
        }
    }

    /// Deletes a document.
    pub fn delete_document(self, collection: &str, id: &str) -> Self {
        self.op(KvOp::DeleteDocument { collection: collection.to_owned(), id: id.to_owned() })
    }

    /// Only if this write put what is there.
    pub fn if_version(self, key: &str, version: u64) -> Self {
        self.condition(key, None, Some(version))
    }

    /// Only if nothing is there.
    pub fn if_absent(self, key: &str) -> Self {
        self.condition(key, None, None)
    }

    /// Only if this write put the document that is there; without a write if there is none.
    pub fn if_document(self, collection: &str, id: &str, version: Option<u64>) -> Self {
        self.condition(id, Some(collection), version)
    }

    /// Names the write: the same again within a day does nothing and answers the same.
    pub fn once(mut self, idempotency_key: &str) -> Self {
        self.write.idempotency_key = Some(idempotency_key.to_owned());
        self
    }

    /// Carries it out.
    ///
    /// # Errors
    /// [`Problem`] as the node tells it; a conflict if a condition does not hold.
    pub async fn write(self) -> Result<KvDone, Problem> {
        match self.bad {
            Some(problem) => Err(problem),
            None => self.database.write(&self.write).await,
        }
    }
}

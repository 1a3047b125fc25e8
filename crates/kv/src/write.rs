//! Writes: conditions, then operations, all or nothing.

use bytes::Bytes;
use freehold_crypt::hash::Hasher;
use freehold_wire::Millis;
use serde_json::Value;

use crate::database::Database;
use crate::document::New;
use crate::feed::Change;
use crate::rows::{self, BATCH_MAX, KEY_MAX, VALUE_MAX};
use crate::step::Step;
use crate::transaction::Transaction;
use crate::{KvError, document};

/// How long a write is remembered by its idempotency key.
const REMEMBERED: Millis = Millis::from_hours(24);
const IDEMPOTENCY_MAX: usize = 128;

/// What must be so for a write to happen. Versions are numbers of writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The key was last put by this write.
    Version {
        /// The key.
        key: String,
        /// The write.
        version: u64,
    },
    /// The key is not there.
    Absent {
        /// The key.
        key: String,
    },
    /// The document was last put by this write.
    DocumentVersion {
        /// Its collection.
        collection: String,
        /// Its id.
        id: String,
        /// The write.
        version: u64,
    },
    /// The document is not there.
    DocumentAbsent {
        /// Its collection.
        collection: String,
        /// Its id.
        id: String,
    },
}

impl Condition {
    /// What it is about, as people call it.
    fn of(&self) -> String {
        match self {
            Self::Version { key, .. } | Self::Absent { key } => key.clone(),
            Self::DocumentVersion { collection, id, .. } | Self::DocumentAbsent { collection, id } => {
                format!("{collection} {id}")
            }
        }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Puts a value under a key.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Bytes,
        /// For how long; for ever if not said.
        lasting: Option<Millis>,
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
        document: Value,
        /// For how long; for ever if not said.
        lasting: Option<Millis>,
    },
    /// Deletes a document.
    DeleteDocument {
        /// Its collection.
        collection: String,
        /// Its id.
        id: String,
    },
}

/// A write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Write {
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// All of these are done, in order.
    pub ops: Vec<Op>,
    /// A name for this write: the same again within a day does nothing and answers the same.
    pub idempotency: Option<String>,
}

/// A write that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Its number: the version of what it put.
    pub number: u64,
    /// It had been done before, under the same idempotency key.
    pub repeated: bool,
}

impl Database {
    /// Carries out a write.
    pub(crate) async fn write(&self, write: &Write) -> Result<Done, KvError> {
        self.carry_out(write, None).await
    }

    /// The same, if nothing has changed that a transaction read.
    pub(crate) async fn carry_out(&self, write: &Write, of: Option<&Transaction>) -> Result<Done, KvError> {
        check(write)?;
        let mut step = self.step().await?;
        if let Some(key) = &write.idempotency {
            let name = rows::repeat(key);
            let sum = sum(write);
            if let Some(before) = step.stamped(&name).await? {
                if *before.value != sum {
                    return Err(KvError::KeyUsed);
                }
                drop(step);
                self.until_durable(before.version).await?;
                return Ok(Done { number: before.version, repeated: true });
            }
            step.stamp(&name, Bytes::copy_from_slice(&sum), Some(REMEMBERED))?;
        }
        if let Some(transaction) = of {
            transaction.check(self, &step).await?;
        }
        for (at, condition) in write.conditions.iter().enumerate() {
            if !holds(&step, condition).await? {
                return Err(KvError::Condition { number: at + 1, of: condition.of() });
            }
        }
        for op in &write.ops {
            apply(&mut step, op).await?;
        }
        Ok(Done { number: step.commit().await?, repeated: false })
    }

    /// What a write did that was carried out before under this idempotency key.
    pub(crate) async fn done_before(&self, key: &str) -> Result<Option<Done>, KvError> {
        let step = self.step().await?;
        let before = step.stamped(&rows::repeat(key)).await?;
        drop(step);
        let Some(before) = before else { return Ok(None) };
        self.until_durable(before.version).await?;
        Ok(Some(Done { number: before.version, repeated: true }))
    }

    /// What was decided may still be on its way to the disk.
    pub(crate) async fn until_durable(&self, number: u64) -> Result<(), KvError> {
        if *self.durable.borrow() < number {
            self.db.flush().await?;
            self.is_durable(number);
        }
        Ok(())
    }
}

fn check(write: &Write) -> Result<(), KvError> {
    if write.ops.is_empty() {
        return Err(KvError::Invalid("a write has at least one operation"));
    }
    if write.ops.len() > BATCH_MAX || write.conditions.len() > BATCH_MAX {
        return Err(KvError::Invalid("a write has at most 1000 operations and as many conditions"));
    }
    if write.idempotency.as_ref().is_some_and(|key| key.is_empty() || key.len() > IDEMPOTENCY_MAX) {
        return Err(KvError::Invalid("an idempotency key has 1 to 128 bytes"));
    }
    write.ops.iter().try_for_each(check_op)
}

pub(crate) fn check_op(op: &Op) -> Result<(), KvError> {
    match op {
        Op::Put { key, value, lasting } => {
            check_key(key)?;
            check_lasting(*lasting)?;
            if value.len() > VALUE_MAX {
                return Err(KvError::Invalid("a value has at most 1 MiB"));
            }
            Ok(())
        }
        Op::Delete { key } => check_key(key),
        Op::PutDocument { collection, id, document, lasting } => {
            document::check_names(collection, id)?;
            check_lasting(*lasting)?;
            document::check(document)
        }
        Op::DeleteDocument { collection, id } => document::check_names(collection, id),
    }
}

fn check_lasting(lasting: Option<Millis>) -> Result<(), KvError> {
    if lasting == Some(Millis(0)) {
        return Err(KvError::Invalid("what does not last for ever lasts a millisecond at least"));
    }
    Ok(())
}

pub(crate) fn check_key(key: &str) -> Result<(), KvError> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(KvError::Invalid("a key has 1 to 1024 bytes"));
    }
    Ok(())
}

async fn holds(step: &Step<'_>, condition: &Condition) -> Result<bool, KvError> {
    let (row, wanted) = match condition {
        Condition::Version { key, version } => (rows::raw(key.as_bytes()), Some(*version)),
        Condition::Absent { key } => (rows::raw(key.as_bytes()), None),
        Condition::DocumentVersion { collection, id, version } => {
            (freehold_documents::document_key(collection, id), Some(*version))
        }
        Condition::DocumentAbsent { collection, id } => {
            (freehold_documents::document_key(collection, id), None)
        }
    };
    Ok(step.stamped(&row).await?.map(|there| there.version) == wanted)
}

async fn apply(step: &mut Step<'_>, op: &Op) -> Result<(), KvError> {
    match op {
        Op::Put { key, value, lasting } => {
            step.stamp(&rows::raw(key.as_bytes()), value.clone(), *lasting)?;
            step.changed(Change { key: key.clone(), collection: None, deleted: false });
            Ok(())
        }
        Op::Delete { key } => {
            let row = rows::raw(key.as_bytes());
            if step.get(&row).await?.is_some() {
                step.delete(&row)?;
                step.changed(Change { key: key.clone(), collection: None, deleted: true });
            }
            Ok(())
        }
        Op::PutDocument { collection, id, document, lasting } => {
            let new = New { document, lasting: *lasting };
            document::put(step, collection, id, Some(new)).await
        }
        Op::DeleteDocument { collection, id } => document::put(step, collection, id, None).await,
    }
}

/// Tells a write from another under the same idempotency key.
fn sum(write: &Write) -> [u8; 32] {
    let mut hasher = Hasher::new("freehold 2026 kv write");
    for part in [format!("{:?}", write.conditions), format!("{:?}", write.ops)] {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
    }
    hasher.finish()
}

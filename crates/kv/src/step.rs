//! One write being decided: it reads what is there, refuses or changes it, and becomes one commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use freehold_wire::Millis;
use slatedb::config::{PutOptions, Ttl};
use slatedb::{DbTransaction, IsolationLevel};
use tokio::sync::OwnedMutexGuard;

use crate::KvError;
use crate::database::Database;
use crate::feed::{self, Change};
use crate::rows::{self, Stamped};

/// How long a write may wait to become durable: a bucket waits half a minute for its copies.
const DURABLE_WITHIN: Duration = Duration::from_secs(40);

/// See the module. Only one is open at a time, so what it read is still so when it commits.
pub(crate) struct Step<'a> {
    database: &'a Database,
    head: OwnedMutexGuard<u64>,
    txn: DbTransaction,
    /// The number of this write.
    pub(crate) number: u64,
    pub(crate) now: Millis,
    changes: Vec<Change>,
    /// A document was given an end.
    ends: bool,
}

impl Database {
    /// Begins a write when those before it are decided.
    pub(crate) async fn step(&self) -> Result<Step<'_>, KvError> {
        let head = Arc::clone(&self.head).lock_owned().await;
        if self.is_over() {
            return Err(KvError::Fenced);
        }
        let txn = self.db.begin(IsolationLevel::Snapshot)?;
        let number = *head + 1;
        Ok(Step { database: self, head, txn, number, now: rows::now(), changes: Vec::new(), ends: false })
    }
}

impl Step<'_> {
    pub(crate) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        Ok(self.txn.get(key).await?)
    }

    pub(crate) async fn stamped(&self, key: &[u8]) -> Result<Option<Stamped>, KvError> {
        match self.get(key).await? {
            Some(bytes) => Stamped::decode(bytes, self.now),
            None => Ok(None),
        }
    }

    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        Ok(self.txn.put(key, value)?)
    }

    /// Puts a value with this write's number, for some time or for ever.
    pub(crate) fn stamp(&self, key: &[u8], value: Bytes, lasting: Option<Millis>) -> Result<(), KvError> {
        let expires = lasting.map(|lasting| Millis(self.now.0.saturating_add(lasting.0)));
        let bytes = Stamped { version: self.number, expires, value }.encode();
        // The engine drops it some time after its end; until then the stamp hides it.
        let ttl = lasting.map_or(Ttl::NoExpiry, |lasting| Ttl::ExpireAfterMillis(lasting.0));
        Ok(self.txn.put_with_options(key, bytes, &PutOptions { ttl })?)
    }

    /// Puts a document with this write's number. The engine must not drop it by itself: rows of
    /// indexes go with it.
    pub(crate) fn stamp_document(
        &mut self,
        key: &[u8],
        value: Bytes,
        expires: Option<Millis>,
    ) -> Result<(), KvError> {
        self.ends |= expires.is_some();
        self.put(key, &Stamped { version: self.number, expires, value }.encode())
    }

    pub(crate) fn delete(&self, key: &[u8]) -> Result<(), KvError> {
        Ok(self.txn.delete(key)?)
    }

    /// Notes what watchers are told.
    pub(crate) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Commits, and waits until it is durable. Those who come later are decided meanwhile.
    pub(crate) async fn commit(mut self) -> Result<u64, KvError> {
        let changes = std::mem::take(&mut self.changes);
        feed::note(&self, changes)?;
        self.put(rows::LAST, &self.number.to_be_bytes())?;
        let Self { database, mut head, txn, number, ends, .. } = self;
        // Whoever asked may go away now: nobody else decides until this is decided.
        let (last, dirty) = (Arc::clone(&database.last), Arc::clone(&database.dirty));
        let decided = database.tasks.spawn(async move {
            *head = number;
            let handle = txn.commit().await;
            last.store(number, Ordering::Release);
            drop(head);
            dirty.notify_one();
            handle
        });
        let handle = decided.await.map_err(|_| KvError::Closing)??;
        if ends {
            database.ending.notify_one();
        }
        if let Some(handle) = handle {
            let durable = tokio::time::timeout(DURABLE_WITHIN, handle.await_durable()).await;
            match durable.map_err(|_| KvError::NotConfirmed)? {
                Err(_) if database.is_over() => return Err(KvError::Fenced),
                durable => durable?,
            }
        }
        database.is_durable(number);
        Ok(number)
    }
}

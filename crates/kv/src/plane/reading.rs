//! Reading a database, wherever it is written.

use std::sync::Arc;

use freehold_wire::{Millis, NodeId};
use serde_json::Value;
use slatedb::{DbReader, DbSnapshot};
use tokio::sync::Mutex;

use super::{Kv, Open};
use crate::document::{self, Collection};
use crate::read::{Answer, Asked, Item, Over, Scan, ScanPage, View};
use crate::transaction::Transaction;
use crate::{Begun, Changes, Done, KeptSnapshot, KvError, Op, feed, kept};

/// A database being read.
pub struct Reading {
    open: Open,
    at: At,
    stale: Option<Millis>,
}

/// What of a database is read.
enum At {
    Now,
    /// Held in memory.
    Held(Arc<DbSnapshot>),
    /// A snapshot with a name.
    Kept(Arc<DbReader>),
    /// What a transaction sees.
    Transaction(Arc<Mutex<Transaction>>),
}

impl Kv {
    /// Opens a database for reading, or one of its snapshots: by name everywhere, one that is held for
    /// a while on the node that writes.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn read(&self, name: &str, snapshot: Option<&str>) -> Result<Reading, KvError> {
        let open = self.open(name).await?;
        let at = match (&open, snapshot) {
            (_, None) => At::Now,
            (Open::Writer(database), Some(id)) if id.starts_with(|c: char| c.is_ascii_digit()) => {
                At::Held(database.held(id)?)
            }
            (Open::Writer(database), Some(name)) => {
                let (cache, number) = (&self.inner.cache, self.number());
                At::Kept(database.pinned.open(&database.store, name, cache, number).await?)
            }
            (Open::Reader(follower), Some(name)) => {
                let (cache, number) = (&self.inner.cache, self.number());
                At::Kept(follower.pinned.open(&follower.store, name, cache, number).await?)
            }
        };
        let stale = match &open {
            Open::Writer(_) => Some(Millis(0)),
            Open::Reader(follower) => self.stale(&follower.claim.node),
        };
        Ok(Reading { open, at, stale })
    }

    /// Opens a database for reading as a transaction sees it.
    ///
    /// # Errors
    /// [`KvError::NoTransaction`] and others
    pub async fn read_in(&self, name: &str, transaction: &str) -> Result<Reading, KvError> {
        let database = self.writer(name).await?;
        let at = At::Transaction(database.transaction(transaction)?);
        Ok(Reading { open: Open::Writer(database), at, stale: Some(Millis(0)) })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn begin(&self, name: &str, lasting: Millis) -> Result<Begun, KvError> {
        self.writer(name).await?.begin(lasting).await
    }

    /// Adds operations to a transaction. Nothing is written before it is committed.
    ///
    /// # Errors
    /// [`KvError::NoTransaction`] and others
    pub async fn add(&self, name: &str, transaction: &str, ops: Vec<Op>) -> Result<(), KvError> {
        let found = self.writer(name).await?.transaction(transaction)?;
        found.lock().await.add(ops)
    }

    /// Writes what a transaction has put. It is over in any case.
    ///
    /// # Errors
    /// [`KvError::Overtaken`] if something that it read has changed, and others
    pub async fn commit(&self, name: &str, transaction: &str) -> Result<Done, KvError> {
        self.writer(name).await?.commit(transaction).await
    }

    /// Ends a transaction; nothing of it is written.
    ///
    /// # Errors
    /// [`KvError::NoTransaction`] and others
    pub async fn abort(&self, name: &str, transaction: &str) -> Result<(), KvError> {
        self.writer(name).await?.abort(transaction)
    }

    /// Tells what changes after a write, in order; after the last one if none is named. Also says who
    /// writes, if that is another node: then it is told what comes from there.
    ///
    /// # Errors
    /// [`KvError::TooOld`] and others
    pub async fn watch(&self, name: &str, after: Option<u64>) -> Result<(Changes, Option<NodeId>), KvError> {
        match self.open(name).await? {
            Open::Writer(database) => Ok((database.watch(after)?, None)),
            Open::Reader(follower) => {
                let writer = follower.claim.node;
                Ok((feed::follow(follower, after).await?, Some(writer)))
            }
        }
    }

    /// How long ago a node was heard here, if ever since the start.
    pub fn heard(&self, node: &NodeId) -> Option<Millis> {
        self.stale(node)
    }

    /// Keeps what is there now under a name, until it is let go.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn keep(&self, name: &str, snapshot: &str) -> Result<KeptSnapshot, KvError> {
        self.writer(name).await?.keep(snapshot).await
    }

    /// The snapshots that have a name.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn snapshots(&self, name: &str) -> Result<Vec<KeptSnapshot>, KvError> {
        match self.open(name).await? {
            Open::Writer(database) => kept::list(&database.store).await,
            Open::Reader(follower) => kept::list(&follower.store).await,
        }
    }

    /// Holds what is there now for a while; says by which name, and until when.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn snapshot(&self, name: &str, lasting: Millis) -> Result<(String, Millis), KvError> {
        self.writer(name).await?.hold(lasting)
    }

    /// Lets a snapshot go.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn let_go(&self, name: &str, snapshot: &str) -> Result<(), KvError> {
        let database = self.writer(name).await?;
        if database.let_go(snapshot) { Ok(()) } else { database.forget(snapshot).await }
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reading({:?})", self.open)
    }
}

impl Reading {
    /// How long ago the writer was heard here; zero on its own node, nothing if never since the start.
    pub const fn stale(&self) -> Option<Millis> {
        self.stale
    }

    pub(crate) const fn open(&self) -> &Open {
        &self.open
    }

    pub(crate) fn view(&self) -> View<'_> {
        match (&self.at, &self.open) {
            (At::Held(snapshot), _) => View::At(snapshot),
            (At::Kept(reader), _) => View::Behind(reader),
            (_, Open::Writer(database)) => database.view(),
            (_, Open::Reader(follower)) => follower.view(),
        }
    }

    /// One key.
    ///
    /// # Errors
    /// [`KvError::NoKey`] and others
    pub async fn get(&self, key: &str) -> Result<Item, KvError> {
        match &self.at {
            At::Transaction(transaction) => transaction.lock().await.get(key).await,
            _ => self.view().item(key).await,
        }
    }

    /// One document.
    ///
    /// # Errors
    /// [`KvError::NoKey`] and others
    pub async fn document(&self, collection: &str, id: &str) -> Result<Value, KvError> {
        match &self.at {
            At::Transaction(transaction) => transaction.lock().await.document(collection, id).await,
            _ => self.view().document(collection, id).await,
        }
    }

    /// A page of keys.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn scan(&self, scan: &Scan) -> Result<ScanPage, KvError> {
        match &self.at {
            At::Transaction(transaction) => transaction.lock().await.scan(scan).await,
            _ => self.view().items(scan, &Over::new()).await,
        }
    }

    /// A page of documents.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn query(&self, asked: &Asked) -> Result<Answer, KvError> {
        match (&self.at, &self.open) {
            // One moment for rows and documents.
            (At::Transaction(_), _) => {
                Err(KvError::Invalid("a transaction reads by key, id and range: a query is not a part of it"))
            }
            (At::Now, Open::Writer(database)) => View::At(&*database.db.snapshot()?).query(asked).await,
            _ => self.view().query(asked).await,
        }
    }

    /// The collections.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn collections(&self) -> Result<Vec<Collection>, KvError> {
        document::collections(&self.view()).await
    }

    /// When the last write was made, by its writer's clock.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn last_write(&self) -> Result<Option<Millis>, KvError> {
        feed::last_time(&self.view()).await
    }
}

//! Reading a database, wherever it is written.

use std::sync::Arc;

use freehold_wire::Millis;
use serde_json::Value;
use slatedb::DbSnapshot;

use super::{Kv, Open};
use crate::document::{self, Collection};
use crate::read::{Answer, Asked, Item, Scan, ScanPage, View};
use crate::{Changes, KvError, feed};

/// A database being read.
pub struct Reading {
    open: Open,
    at: Option<Arc<DbSnapshot>>,
    stale: Option<Millis>,
}

impl Kv {
    /// Opens a database for reading, or one of its snapshots on the node that writes it.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn read(&self, name: &str, snapshot: Option<&str>) -> Result<Reading, KvError> {
        let open = self.open(name).await?;
        let at = match (&open, snapshot) {
            (_, None) => None,
            (Open::Writer(database), Some(id)) => Some(database.held(id)?),
            (Open::Reader(follower), Some(_)) => return Err(KvError::Elsewhere(follower.claim.node)),
        };
        let stale = match &open {
            Open::Writer(_) => Some(Millis(0)),
            Open::Reader(follower) => self.stale(&follower.claim.node),
        };
        Ok(Reading { open, at, stale })
    }

    /// Tells what changes after a write, in order; after the last one if none is named.
    ///
    /// # Errors
    /// [`KvError::TooOld`], [`KvError::Elsewhere`] and others
    pub async fn watch(&self, name: &str, after: Option<u64>) -> Result<Changes, KvError> {
        self.writer(name).await?.watch(after)
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
        self.writer(name).await?.let_go(snapshot);
        Ok(())
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

    pub(super) fn view(&self) -> View<'_> {
        match (&self.at, &self.open) {
            (Some(snapshot), _) => View::At(snapshot),
            (None, Open::Writer(database)) => database.view(),
            (None, Open::Reader(follower)) => View::Behind(&follower.reader),
        }
    }

    /// One key.
    ///
    /// # Errors
    /// [`KvError::NoKey`] and others
    pub async fn get(&self, key: &str) -> Result<Item, KvError> {
        self.view().item(key).await
    }

    /// One document.
    ///
    /// # Errors
    /// [`KvError::NoKey`] and others
    pub async fn document(&self, collection: &str, id: &str) -> Result<Value, KvError> {
        self.view().document(collection, id).await
    }

    /// A page of keys.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn scan(&self, scan: &Scan) -> Result<ScanPage, KvError> {
        self.view().items(scan).await
    }

    /// A page of documents.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn query(&self, asked: &Asked) -> Result<Answer, KvError> {
        match (&self.at, &self.open) {
            // One moment for rows and documents.
            (None, Open::Writer(database)) => View::At(&*database.db.snapshot()?).query(asked).await,
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

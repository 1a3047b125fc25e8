//! Snapshots with a name: they lie beside the data, so they outlive restarts and changes of the
//! writer, and every node that has heard of them can read them. What only they still need stays on
//! the disk until they are let go.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_wire::Millis;
use slatedb::admin::Admin;
use slatedb::config::{CheckpointOptions, CheckpointScope, DbReaderOptions};
use slatedb::{Checkpoint, DbReader, DbReaderMode};
use tokio::sync::Mutex;

use crate::KvError;
use crate::cache::Cache;
use crate::database::{Database, ROOT};
use crate::store::Store;

/// In one database.
const KEPT_MAX: usize = 32;
/// Open for reading at a time, in one database.
const READ_MAX: usize = 4;
const NAME_MAX: usize = 64;

/// A snapshot that stays until it is let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSnapshot {
    /// Its name.
    pub name: String,
    /// When it was made, by the writer's clock.
    pub made: Millis,
}

/// Snapshots being read, by their ids in the engine.
#[derive(Default)]
pub(crate) struct Pinned(Mutex<BTreeMap<String, Arc<DbReader>>>);

impl Pinned {
    /// Opens a kept snapshot, or finds it open.
    pub(crate) async fn open(
        &self,
        store: &Store,
        name: &str,
        cache: &Arc<Cache>,
        number: u64,
    ) -> Result<Arc<DbReader>, KvError> {
        let found = all(store).await?.into_iter().find(|kept| kept.name.as_deref() == Some(name));
        let checkpoint = found.ok_or_else(|| KvError::NoSnapshot(name.to_owned()))?;
        let id = checkpoint.id.to_string();
        let mut open = self.0.lock().await;
        if let Some(reader) = open.get(&id) {
            return Ok(Arc::clone(reader));
        }
        if open.len() >= READ_MAX
            && let Some((_, old)) = open.pop_first()
        {
            close(&old).await;
        }
        let options = DbReaderOptions { object_store_max_retries: Some(3), ..DbReaderOptions::default() };
        let builder = DbReader::builder(ROOT, Arc::new(store.clone()));
        let builder = builder.with_reader_mode(DbReaderMode::Checkpoint(checkpoint.id)).with_options(options);
        let reader = Arc::new(builder.with_db_cache(Arc::<Cache>::clone(cache), number).build().await?);
        open.insert(id, Arc::clone(&reader));
        Ok(reader)
    }

    pub(crate) async fn close(&self) {
        for reader in std::mem::take(&mut *self.0.lock().await).into_values() {
            close(&reader).await;
        }
    }
}

async fn close(reader: &DbReader) {
    if let Err(error) = reader.close().await {
        tracing::debug!(%error, "a snapshot's reader did not close cleanly");
    }
}

fn admin(store: &Store) -> Admin {
    Admin::builder(ROOT, Arc::new(store.clone())).build()
}

async fn all(store: &Store) -> Result<Vec<Checkpoint>, KvError> {
    Ok(admin(store).list_checkpoints(None).await?)
}

/// The snapshots that are kept in a store, by name.
pub(crate) async fn list(store: &Store) -> Result<Vec<KeptSnapshot>, KvError> {
    let named = all(store).await?.into_iter().filter_map(|kept| {
        let made = u64::try_from(kept.create_time.timestamp_millis()).unwrap_or_default();
        Some(KeptSnapshot { name: kept.name?, made: Millis(made) })
    });
    let mut named: Vec<KeptSnapshot> = named.collect();
    named.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(named)
}

/// Whether a snapshot can be called so. Those that are held for a while begin with a digit.
fn check_name(name: &str) -> Result<(), KvError> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let fits = plain && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() <= NAME_MAX;
    if fits {
        return Ok(());
    }
    Err(KvError::Invalid("a snapshot is called by 1 to 64 letters, digits, -, _ and ., a letter first"))
}

impl Database {
    /// Keeps what is there now under a name.
    pub(crate) async fn keep(&self, name: &str) -> Result<KeptSnapshot, KvError> {
        check_name(name)?;
        // Of two of one name at once the second sees the first.
        let _turn = self.keeping.lock().await;
        let there = list(&self.store).await?;
        if there.iter().any(|kept| kept.name == name) {
            return Err(KvError::SnapshotThere(name.to_owned()));
        }
        if there.len() >= KEPT_MAX {
            return Err(KvError::Invalid("a database keeps at most 32 snapshots with a name"));
        }
        let options = CheckpointOptions { name: Some(name.to_owned()), ..CheckpointOptions::default() };
        self.db.create_checkpoint(CheckpointScope::All, &options).await?;
        let made = list(&self.store).await?.into_iter().find(|kept| kept.name == name);
        made.ok_or_else(|| KvError::NoSnapshot(name.to_owned()))
    }

    /// Lets a kept snapshot go.
    pub(crate) async fn forget(&self, name: &str) -> Result<(), KvError> {
        let _turn = self.keeping.lock().await;
        let found = all(&self.store).await?.into_iter().find(|kept| kept.name.as_deref() == Some(name));
        let checkpoint = found.ok_or_else(|| KvError::NoSnapshot(name.to_owned()))?;
        Ok(admin(&self.store).delete_checkpoint(checkpoint.id).await?)
    }
}

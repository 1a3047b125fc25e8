//! SlateDB on local files with fsync, in this process: no sealing, no signing, no HTTP. Writes gather
//! while a flush is under way, as a database's do, so that none waits for the engine's timer.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use object_store::local::LocalFileSystem;
use slatedb::config::{FlushOptions, FlushType, PutOptions, Settings, WriteOptions};
use slatedb::{Db, IsolationLevel, WriteBatch};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Store;

pub(super) struct Bare {
    db: Db,
    dirty: Arc<Notify>,
    _flusher: JoinSet<()>,
}

impl Bare {
    pub(super) async fn open(folder: &Path) -> Result<Self> {
        let files = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        let settings = Settings { flush_interval: None, l0_sst_size_bytes: 16 << 20, ..Settings::default() };
        let db = Db::builder("db", Arc::new(files)).with_settings(settings).build().await?;
        let dirty = Arc::new(Notify::new());
        let mut flusher = JoinSet::new();
        let (flushed, waiting) = (db.clone(), Arc::clone(&dirty));
        flusher.spawn(async move {
            loop {
                waiting.notified().await;
                let options = FlushOptions { flush_type: FlushType::Wal };
                if let Err(error) = flushed.flush_with_options(options).await {
                    println!("bare SlateDB: {error}");
                    return;
                }
            }
        });
        Ok(Self { db, dirty, _flusher: flusher })
    }
}

#[async_trait]
impl Store for Bare {
    fn name(&self) -> &'static str {
        "bare SlateDB in this process"
    }

    async fn read(&self, key: &str) -> Result<()> {
        self.db.get(key.as_bytes()).await?.context("the key is there").map(drop)
    }

    async fn write(&self, key: &str, value: Vec<u8>) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.put_with_options(key.as_bytes(), value, &PutOptions::default());
        let handle = self.db.write_with_options(batch, &WriteOptions::default()).await?;
        self.dirty.notify_one();
        Ok(handle.await_durable().await?)
    }

    async fn scan(&self, from: &str, count: u64) -> Result<()> {
        let mut rows = self.db.scan(from.as_bytes().to_vec()..).await?;
        for _ in 0..count {
            if rows.next().await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn modify(&self, key: &str, value: Vec<u8>) -> Result<()> {
        loop {
            let txn = self.db.begin(IsolationLevel::SerializableSnapshot)?;
            txn.get(key.as_bytes()).await?.context("the key is there")?;
            txn.put(key.as_bytes(), value.clone())?;
            let Ok(Some(handle)) = txn.commit().await else { continue };
            self.dirty.notify_one();
            return Ok(handle.await_durable().await?);
        }
    }
}

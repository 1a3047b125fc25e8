//! A database that this node writes. Writes are decided one after the other and become durable
//! together: while one flush of the log is under way the next writes gather, so a lone write waits
//! for nobody and a crowd shares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use freehold_wire::Millis;
use slatedb::config::{
    CompactionWorkerOptions, CompactorOptions, FlushOptions, FlushType, GarbageCollectorDirectoryOptions,
    GarbageCollectorOptions, Settings,
};
use slatedb::{Db, DbSnapshot};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bucket::Bucket;
use crate::cache::Cache;
use crate::claim::Claim;
use crate::read::View;
use crate::rows;
use crate::store::{Store, Who};
use crate::{KvError, build};

/// Tables are this large at most: they are held in memory while they are made.
const TABLE_MAX: usize = 16 << 20;
/// After so many flushes of the log a table is made, so that opening stays quick.
const FLUSHES_MAX: u32 = 512;
/// How often what is not needed any more is looked for, and how old it must be. Readers elsewhere
/// look every second.
const TIDY_EVERY: Duration = Duration::from_mins(1);
const TIDY_AGE: Duration = Duration::from_mins(2);
/// Nobody else writes, so what others may have written is seldom looked for.
const POLL_EVERY: Duration = Duration::from_secs(30);
const COMPACT_EVERY: Duration = Duration::from_secs(5);
/// How long closing may wait for other nodes: what was acknowledged is durable in any case.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
const SNAPSHOTS_MAX: usize = 16;
/// How long a snapshot may be held.
const SNAPSHOT_MAX: Millis = Millis::from_hours(1);

/// What of SlateDB's path there is within a store; a store holds one database.
pub(crate) const ROOT: &str = "db";

/// A database that is open for writing.
pub(crate) struct Database {
    pub(crate) db: Db,
    pub(crate) claim: Claim,
    pub(crate) bucket: Bucket,
    /// The number of the last write that was decided; whoever holds it decides.
    pub(crate) head: Mutex<u64>,
    /// The number of the last write that is durable.
    pub(crate) durable: watch::Sender<u64>,
    /// Something waits for a flush.
    pub(crate) dirty: Notify,
    /// A table is due.
    table: Notify,
    /// An index waits to be built or dropped.
    pub(crate) work: Notify,
    snapshots: Lock<BTreeMap<String, (Arc<DbSnapshot>, Millis)>>,
    pub(crate) stop: CancellationToken,
    /// Ends what waits for other nodes.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({}, epoch {})", self.bucket.id().short(), self.claim.epoch)
    }
}

fn settings() -> Settings {
    let tidy = GarbageCollectorDirectoryOptions {
        interval: Some(TIDY_EVERY),
        min_age: TIDY_AGE,
        ..GarbageCollectorDirectoryOptions::default()
    };
    let worker = CompactionWorkerOptions { max_sst_size: TABLE_MAX, ..CompactionWorkerOptions::default() };
    Settings {
        // Flushed as soon as something waits, see `Database::flush`.
        flush_interval: None,
        manifest_poll_interval: POLL_EVERY,
        l0_sst_size_bytes: TABLE_MAX,
        max_unflushed_bytes: 4 * TABLE_MAX,
        compactor_options: Some(CompactorOptions {
            poll_interval: COMPACT_EVERY,
            worker: Some(worker),
            ..CompactorOptions::default()
        }),
        garbage_collector_options: Some(GarbageCollectorOptions {
            manifest_options: Some(tidy),
            wal_options: Some(tidy),
            compacted_options: Some(tidy),
            compactions_options: Some(tidy),
            // One process writes, and the claim tells another's apart before it can.
            boundary_files_enabled: false,
            ..GarbageCollectorOptions::default()
        }),
        object_store_max_retries: Some(3),
        ..Settings::default()
    }
}

impl Database {
    /// Opens what lies under a claim's data.
    pub(crate) async fn open(
        bucket: Bucket,
        claim: Claim,
        data: &str,
        cache: Arc<Cache>,
        cache_id: u64,
        cut: CancellationToken,
    ) -> Result<Arc<Self>, KvError> {
        let who = Who::Writer(claim.clone());
        let store = Store::open(bucket.clone(), data, who, cut.clone()).await.map_err(KvError::Get)?;
        let builder = Db::builder(ROOT, Arc::new(store)).with_settings(settings());
        let db = builder.with_db_cache(cache, cache_id).build().await?;
        if db.get(rows::UNFINISHED).await?.is_some() {
            drop(db.close().await);
            return Err(KvError::Invalid("this clone was not finished: delete it, and clone again"));
        }
        let last = db.get(rows::LAST).await?.map_or(Ok(0), |bytes| rows::number(&bytes))?;
        let database = Arc::new(Self {
            db,
            claim,
            bucket,
            head: Mutex::new(last),
            durable: watch::channel(last).0,
            dirty: Notify::new(),
            table: Notify::new(),
            work: Notify::new(),
            snapshots: Lock::default(),
            stop: CancellationToken::new(),
            cut,
            tasks: TaskTracker::new(),
        });
        database.tasks.spawn(flush(Arc::clone(&database)));
        database.tasks.spawn(make_tables(Arc::clone(&database)));
        database.tasks.spawn(build::run(Arc::clone(&database)));
        database.work.notify_one();
        Ok(database)
    }

    /// Whether another node has it by now.
    pub(crate) fn is_over(&self) -> bool {
        self.claim.is_over(&self.bucket)
    }

    /// Finishes what is under way, and closes.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(CLOSE_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(database = %self.bucket.id().short(), "a database's work did not stop in time");
        }
        let closed = tokio::time::timeout(CLOSE_WITHIN, self.db.close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::warn!(?closed, database = %self.bucket.id().short(), "a database did not close cleanly");
        }
        self.cut.cancel();
    }

    /// What is durable now.
    pub(crate) const fn view(&self) -> View<'_> {
        View::Now(&self.db)
    }

    /// Holds what is there now for a while.
    pub(crate) fn hold(&self, lasting: Millis) -> Result<(String, Millis), KvError> {
        let snapshot = self.db.snapshot()?;
        let lapses = Millis(rows::now().0.saturating_add(lasting.min(SNAPSHOT_MAX).0));
        let mut held = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (_, lapses)| *lapses > rows::now());
        if held.len() >= SNAPSHOTS_MAX {
            return Err(KvError::Invalid("a database holds at most 16 snapshots at a time"));
        }
        // Ids need only differ: who may ask for one may ask for the database.
        let id =
            (0..=SNAPSHOTS_MAX).map(|n| format!("{}-{n}", snapshot.seq())).find(|id| !held.contains_key(id));
        let id = id.unwrap_or_default();
        held.insert(id.clone(), (snapshot, lapses));
        Ok((id, lapses))
    }

    /// What a snapshot holds.
    pub(crate) fn held(&self, id: &str) -> Result<Arc<DbSnapshot>, KvError> {
        let held = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = held.get(id).filter(|(_, lapses)| *lapses > rows::now());
        snapshot
            .map(|(snapshot, _)| Arc::clone(snapshot))
            .ok_or(KvError::Invalid("there is no such snapshot"))
    }

    /// Lets a snapshot go.
    pub(crate) fn let_go(&self, id: &str) {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Makes what was decided durable, again and again.
async fn flush(database: Arc<Database>) {
    let mut since_table = 0;
    loop {
        tokio::select! {
            biased;
            () = database.stop.cancelled() => return,
            () = database.dirty.notified() => {}
        }
        let options = FlushOptions { flush_type: FlushType::Wal };
        if let Err(error) = database.db.flush_with_options(options).await {
            // Who waits is told by the engine.
            tracing::warn!(%error, database = %database.bucket.id().short(), "a flush failed");
        }
        since_table += 1;
        if since_table >= FLUSHES_MAX {
            since_table = 0;
            database.table.notify_one();
        }
    }
}

/// Makes a table of what is in the log, when the log has become long.
async fn make_tables(database: Arc<Database>) {
    loop {
        tokio::select! {
            biased;
            () = database.stop.cancelled() => return,
            () = database.table.notified() => {}
        }
        let options = FlushOptions { flush_type: FlushType::MemTable };
        if let Err(error) = database.db.flush_with_options(options).await {
            tracing::warn!(%error, database = %database.bucket.id().short(), "a table was not made");
        }
    }
}

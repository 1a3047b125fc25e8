//! A database that this node writes. Writes are decided one after the other and become durable
//! together: while one flush of the log is under way the next writes gather, so a lone write waits
//! for nobody and a crowd shares.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
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
use crate::kept::Pinned;
use crate::read::View;
use crate::rows;
use crate::store::{Store, Who};
use crate::transaction::Transactions;
use crate::{KvError, build, ending};

/// Tables are this large at most: they are held in memory while they are made.
const TABLE_MAX: usize = 16 << 20;
/// When a database is put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After so many flushes of the log a table is made, so that opening stays quick.
    pub flushes: u32,
    /// How often what is not needed any more is looked for.
    pub tidy_every: Duration,
    /// How old that must be. Readers elsewhere look every second.
    pub tidy_age: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { flushes: 512, tidy_every: Duration::from_mins(1), tidy_age: Duration::from_mins(2) }
    }
}

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
    pub(crate) store: Store,
    /// The number of the last write that was decided; whoever holds it decides.
    pub(crate) head: Arc<Mutex<u64>>,
    /// The same, for whoever only looks.
    pub(crate) last: Arc<AtomicU64>,
    /// The number of the last write that is durable.
    pub(crate) durable: watch::Sender<u64>,
    /// Something waits for a flush.
    pub(crate) dirty: Arc<Notify>,
    /// A table is due.
    table: Notify,
    /// An index waits to be built or dropped.
    pub(crate) work: Notify,
    /// Something was given an end.
    pub(crate) ending: Notify,
    pub(crate) transactions: Transactions,
    /// Held while a snapshot with a name is made or let go.
    pub(crate) keeping: Mutex<()>,
    pub(crate) pinned: Pinned,
    snapshots: Lock<BTreeMap<String, (Arc<DbSnapshot>, Millis)>>,
    pub(crate) stop: CancellationToken,
    /// Ends what waits for other nodes.
    cut: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// What a database is opened with.
pub(crate) struct Opening {
    pub(crate) bucket: Bucket,
    pub(crate) claim: Claim,
    /// Where its data lies.
    pub(crate) data: String,
    pub(crate) cache: Arc<Cache>,
    pub(crate) cache_id: u64,
    pub(crate) pace: Pace,
    pub(crate) cut: CancellationToken,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({}, epoch {})", self.bucket.id().short(), self.claim.epoch)
    }
}

fn settings(pace: Pace) -> Settings {
    let tidy = GarbageCollectorDirectoryOptions {
        interval: Some(pace.tidy_every),
        min_age: pace.tidy_age,
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
            // Left by each opening. They tell writers in other processes apart: here there are none.
            wal_fence_options: Some(tidy),
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
    pub(crate) async fn open(opening: Opening) -> Result<Arc<Self>, KvError> {
        let Opening { bucket, claim, data, cache, cache_id, pace, cut } = opening;
        let who = Who::Writer(claim.clone());
        let store = Store::open(bucket.clone(), &data, who, cut.clone()).await.map_err(KvError::Get)?;
        let builder = Db::builder(ROOT, Arc::new(store.clone())).with_settings(settings(pace));
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
            store,
            head: Arc::new(Mutex::new(last)),
            last: Arc::new(AtomicU64::new(last)),
            durable: watch::channel(last).0,
            dirty: Arc::default(),
            table: Notify::new(),
            work: Notify::new(),
            ending: Notify::new(),
            transactions: Transactions::default(),
            keeping: Mutex::default(),
            pinned: Pinned::default(),
            snapshots: Lock::default(),
            stop: CancellationToken::new(),
            cut,
            tasks: TaskTracker::new(),
        });
        database.tasks.spawn(flush(Arc::clone(&database), pace.flushes));
        database.tasks.spawn(make_tables(Arc::clone(&database)));
        database.tasks.spawn(build::run(Arc::clone(&database)));
        database.tasks.spawn(ending::run(Arc::clone(&database)));
        database.work.notify_one();
        Ok(database)
    }

    /// Tells who watches that the writes up to a number are durable.
    pub(crate) fn is_durable(&self, number: u64) {
        self.durable.send_if_modified(|durable| {
            let newer = number > *durable;
            *durable = number.max(*durable);
            newer
        });
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
        self.pinned.close().await;
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
        snapshot.map(|(snapshot, _)| Arc::clone(snapshot)).ok_or_else(|| KvError::NoSnapshot(id.to_owned()))
    }

    /// Lets a held snapshot go; says whether there was one.
    pub(crate) fn let_go(&self, id: &str) -> bool {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some()
    }
}

/// Makes what was decided durable, again and again.
async fn flush(database: Arc<Database>, flushes: u32) {
    let mut since_table = 0;
    loop {
        tokio::select! {
            biased;
            () = database.stop.cancelled() => return,
            () = database.dirty.notified() => {}
        }
        let last = database.last.load(Ordering::Acquire);
        let options = FlushOptions { flush_type: FlushType::Wal };
        match database.db.flush_with_options(options).await {
            Ok(()) => database.is_durable(last),
            // Who waits is told by the engine.
            Err(error) => {
                tracing::warn!(%error, database = %database.bucket.id().short(), "a flush failed");
            }
        }
        since_table += 1;
        if since_table >= flushes {
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

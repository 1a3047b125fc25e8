//! Replication of entries and blobs between nodes: the shell around the machine in `placement`.
//! One owner drives the machine; everybody else hands things in and reads what it published last.

mod alarm;
mod copying;
mod memory;
mod owner;
mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use freehold_placement::{BlobRef, Burden, Entry, FetchError, Looked, Own, Place, Protection, Ticket, View};
use freehold_vault::{NoRoom, NotConfirmed, Room};
use freehold_wire::{BucketId, EntryId, Millis, NodeId};
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub use alarm::Alarm;
pub(crate) use owner::Opening;
pub use owner::Owner;
pub(crate) use owner::Parts;
pub(crate) use owner::{open, sites};

use crate::clock;
use crate::quota::Ledger;
use crate::shared::{Held, Shared};

/// Things handed in that wait for the owner; writers wait when it is full.
const ASKS: usize = 1024;

#[derive(Debug)]
pub(crate) enum Ask {
    Wrote(Box<Entry>, Vec<u8>),
    Up(NodeId),
    Down(NodeId),
    Heard(NodeId, Bytes),
    Stored(Ticket, bool),
    Fetched(BlobRef, Result<(), FetchError>),
    Lost(BlobRef),
    /// A node passed off something as another one's.
    Forged(NodeId),
    Verified(BlobRef),
    Look,
    Await {
        entry: EntryId,
        copies: u16,
        reply: oneshot::Sender<()>,
    },
    Forget(EntryId),
    Copies {
        entry: EntryId,
        reply: oneshot::Sender<u16>,
    },
    CopiesOf {
        places: Vec<Place>,
        reply: oneshot::Sender<Vec<u16>>,
    },
    Lengths {
        origin: NodeId,
        reply: oneshot::Sender<BTreeMap<BucketId, u64>>,
    },
    Wanted {
        blob: BlobRef,
        reply: oneshot::Sender<bool>,
    },
    Holders {
        blob: BlobRef,
        reply: oneshot::Sender<Vec<NodeId>>,
    },
    InStep {
        bucket: BucketId,
        reply: oneshot::Sender<bool>,
    },
    Parting {
        node: NodeId,
        reply: oneshot::Sender<Parting>,
    },
    Looked(BucketId, Millis),
}

/// Entries erased here of which the owner has not heard: a sweep tells of very many at once, and none
/// may be lost, or its blobs would be fetched again. There are never more than entries.
#[derive(Debug, Default)]
pub(crate) struct Erasures {
    places: Mutex<Vec<Place>>,
    told: Notify,
}

impl Erasures {
    fn add(&self, place: Place) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        self.told.notify_one();
    }

    async fn told(&self) {
        self.told.notified().await;
    }

    fn take(&self) -> Vec<Place> {
        std::mem::take(&mut self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is to be known of a node that is to leave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parting {
    /// What depends on it if it stores.
    pub(crate) burden: Burden,
    /// What nobody has who counts.
    pub(crate) only: Burden,
    /// How many entries it has that are not here, if it has told.
    pub(crate) ahead: Option<u64>,
}

/// What the owner published last.
#[derive(Debug, Clone)]
pub struct Report {
    /// This node.
    pub me: NodeId,
    /// The realm as placement sees it; none before the first look.
    pub view: Option<View>,
    /// Whether some other node keeps blobs and gets no keys.
    pub blind: bool,
    /// Whether this node may write, by bucket.
    pub own: BTreeMap<BucketId, Own>,
    /// How well each bucket is protected.
    pub protection: BTreeMap<BucketId, Protection>,
    /// Blobs that are still to come to this node, and their bytes.
    pub missing: (usize, u64),
    /// Things that people should look at.
    pub alarms: Vec<Alarm>,
    /// How many of this node's own entries are counted in it, by bucket.
    pub counted: BTreeMap<BucketId, u64>,
    /// How old the checks of each bucket's copies are.
    pub looked: BTreeMap<BucketId, Looked>,
    /// What depends on nodes that are to be emptied.
    pub burdens: BTreeMap<NodeId, Burden>,
    /// When other nodes were heard before this one started, by its clock.
    pub heard: Arc<BTreeMap<NodeId, Millis>>,
}

/// A write waits this long at most for [`Own::Listening`] to end; the machine ends it sooner.
const LISTEN_MAX: std::time::Duration = std::time::Duration::from_secs(15);

/// A handle to the replication of this node.
#[derive(Debug, Clone)]
pub struct Replica {
    asks: mpsc::Sender<Ask>,
    erasures: Arc<Erasures>,
    report: watch::Receiver<Arc<Report>>,
    /// Who knows of quotas, once it is there, and what is on its way.
    quotas: Arc<OnceLock<Weak<Shared>>>,
    pub(crate) ledger: Arc<Ledger>,
    /// Buckets that take no writes while it is decided whether they end.
    closed: Arc<Mutex<BTreeSet<BucketId>>>,
    /// Buckets that this node may not write, though it has a key.
    kept_out: Arc<Mutex<BTreeMap<BucketId, Own>>>,
}

/// A bucket that takes no writes on this node for as long as this lives.
#[derive(Debug)]
pub(crate) struct Closed {
    bucket: BucketId,
    all: Arc<Mutex<BTreeSet<BucketId>>>,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.bucket);
    }
}

impl Replica {
    /// An entry of this node is durable. Called from the thread that writes entries, in the order
    /// of their numbers.
    pub fn wrote(&self, entry: &Entry, payload: &[u8]) {
        self.ledger.flies(entry, &self.report());
        // Only a node that stops has no owner; its next start reads the store.
        drop(self.asks.blocking_send(Ask::Wrote(Box::new(entry.clone()), payload.to_vec())));
    }

    /// What was published last.
    pub fn report(&self) -> Arc<Report> {
        Arc::clone(&self.report.borrow())
    }

    /// How far a bucket is from being protected.
    pub fn protection(&self, bucket: &BucketId) -> Held {
        let report = self.report();
        let Some(protection) = report.protection.get(bucket) else { return Held::default() };
        Held {
            waiting: protection.partly + protection.nowhere,
            oldest_ms: protection.oldest.map(|hlc| clock::wall().since(hlc.wall).0),
            bytes: protection.bytes,
            copies: protection.copies,
        }
    }

    /// Whether this node may write to a bucket; nothing before that is known.
    pub fn own(&self, bucket: &BucketId) -> Option<Own> {
        self.report.borrow().own.get(bucket).copied()
    }

    /// Waits until others have told whether this node's disk is the newest, or it has listened for
    /// long enough.
    pub async fn listened(&self, bucket: &BucketId) {
        let known = self.until(bucket, |own| own != Own::Listening);
        drop(tokio::time::timeout(LISTEN_MAX, known).await);
    }

    /// Waits until [`Self::own`] is such.
    pub async fn until(&self, bucket: &BucketId, such: impl Fn(Own) -> bool) {
        let mut reports = self.report.clone();
        let fits = |report: &Arc<Report>| report.own.get(bucket).is_some_and(|own| such(*own));
        if reports.wait_for(fits).await.is_err() {
            // The owner has ended, and so will whoever waits.
            std::future::pending::<()>().await;
        }
    }

    /// How many entries of a node are here, by bucket.
    pub(crate) async fn lengths(&self, origin: NodeId) -> BTreeMap<BucketId, u64> {
        let (reply, lengths) = oneshot::channel();
        self.tell(Ask::Lengths { origin, reply }).await;
        lengths.await.unwrap_or_default()
    }

    /// All that lies here of a bucket was read.
    pub(crate) async fn looked(&self, bucket: BucketId, began: Millis) {
        self.tell(Ask::Looked(bucket, began)).await;
    }

    /// What is to be known of a node that is to leave.
    pub(crate) async fn parting(&self, node: NodeId) -> Parting {
        let (reply, answer) = oneshot::channel();
        self.tell(Ask::Parting { node, reply }).await;
        answer.await.unwrap_or_default()
    }

    /// How many active nodes, this one included, have an entry.
    pub(crate) async fn copies_of(&self, place: Place) -> u16 {
        let (reply, copies) = oneshot::channel();
        self.tell(Ask::CopiesOf { places: vec![place], reply }).await;
        copies.await.ok().and_then(|copies| copies.first().copied()).unwrap_or_default()
    }

    /// Whether all is here that anybody has told of a bucket.
    pub(crate) async fn in_step(&self, bucket: BucketId) -> bool {
        let (reply, answer) = oneshot::channel();
        self.tell(Ask::InStep { bucket, reply }).await;
        answer.await.unwrap_or(false)
    }

    /// Goes by the realm's quotas from now on.
    pub(crate) fn mind_quotas(&self, shared: &Arc<Shared>) {
        drop(self.quotas.set(Arc::downgrade(shared)));
    }

    /// Refuses writes to a bucket from now on; writers are told to try again. One at a time for a bucket.
    pub(crate) fn close(&self, bucket: BucketId) -> Closed {
        let all = Arc::clone(&self.closed);
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket);
        Closed { bucket, all }
    }

    /// The payload of an entry was erased here.
    pub(crate) fn erased(&self, bucket: BucketId, origin: NodeId, seq: u64) {
        self.erasures.add(Place { bucket, origin, seq });
    }

    /// Says which buckets this node may not write, though it has a key, and why.
    pub(crate) fn keep_out(&self, buckets: BTreeMap<BucketId, Own>) {
        *self.kept_out.lock().unwrap_or_else(PoisonError::into_inner) = buckets;
    }

    /// Why this node may not write a bucket whose key it has, if so.
    pub(crate) fn kept_out_of(&self, bucket: &BucketId) -> Option<Own> {
        self.kept_out.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).copied()
    }

    fn is_closed(&self, bucket: &BucketId) -> bool {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).contains(bucket)
    }

    /// The realm's nodes or buckets may have changed.
    pub async fn look_again(&self) {
        self.tell(Ask::Look).await;
    }

    pub(crate) async fn tell(&self, ask: Ask) {
        drop(self.asks.send(ask).await);
    }
}

/// What the vault tells, and asks, of replication. It exists before the mesh does, so the handle
/// comes later; until then this node is alone.
#[derive(Debug, Clone)]
pub struct ForVault(pub Replica);

#[async_trait]
impl freehold_vault::Replication for ForVault {
    fn committed(&self, entry: &Entry, payload: &[u8]) {
        self.0.wrote(entry, payload);
    }

    fn belongs_here(&self, bucket: &BucketId, entry: &EntryId) -> bool {
        let report = self.0.report();
        report
            .view
            .as_ref()
            .is_none_or(|view| freehold_placement::place(view, bucket, entry).contains(&report.me))
    }

    async fn wanted(&self, blob: &BlobRef) -> bool {
        let (reply, wanted) = oneshot::channel();
        self.0.tell(Ask::Wanted { blob: *blob, reply }).await;
        wanted.await.unwrap_or(false)
    }

    fn erased(&self, bucket: &BucketId, origin: &NodeId, seq: u64) {
        self.0.erasures.add(Place { bucket: *bucket, origin: *origin, seq });
    }

    fn releases(&self, _: &BucketId, origin: &NodeId) -> bool {
        let report = self.0.report();
        let gone = report.view.as_ref().is_some_and(|view| !view.is_active(origin));
        report.blind && (*origin == report.me || gone)
    }

    fn own(&self, bucket: &BucketId) -> Own {
        if self.0.is_closed(bucket) {
            return Own::Behind;
        }
        match (self.0.own(bucket), self.0.kept_out_of(bucket)) {
            // Whoever is not of the realm is told that.
            (Some(Own::Stranger), _) => Own::Stranger,
            (_, Some(why)) => why,
            (own, None) => own.unwrap_or(Own::Listening),
        }
    }

    fn room(&self, bucket: &BucketId, bytes: u64) -> Result<Room, NoRoom> {
        let shared = self.0.quotas.get().and_then(Weak::upgrade);
        let Some(shared) = shared else { return Ok(Room::default()) };
        crate::quota::room_for_object(&shared, bucket, bytes).map(Room::held).map_err(NoRoom)
    }

    async fn listened(&self, bucket: &BucketId) {
        self.0.listened(bucket).await;
    }

    fn lost(&self, _bucket: &BucketId, blob: &BlobRef) {
        // If the owner is busy the next verification tells again.
        drop(self.0.asks.try_send(Ask::Lost(*blob)));
    }

    fn forged(&self, _: &BucketId, by: &NodeId) {
        // The next start tells again.
        drop(self.0.asks.try_send(Ask::Forged(*by)));
    }

    async fn copies(&self, bucket: &BucketId, entries: Vec<(NodeId, u64)>) -> Vec<u16> {
        let places = entries.into_iter().map(|(origin, seq)| Place { bucket: *bucket, origin, seq });
        let (reply, copies) = oneshot::channel();
        self.0.tell(Ask::CopiesOf { places: places.collect(), reply }).await;
        copies.await.unwrap_or_default()
    }

    async fn is_elsewhere(&self, blob: &BlobRef) -> bool {
        !crate::transfer::Holders::of(&self.0, blob).await.is_empty()
    }

    async fn confirmed(&self, entry: EntryId, copies: u16, timeout: Millis) -> Result<(), NotConfirmed> {
        if copies <= 1 {
            return Ok(());
        }
        let (reply, done) = oneshot::channel();
        self.0.tell(Ask::Await { entry, copies, reply }).await;
        let wait = std::time::Duration::from_millis(timeout.0);
        if matches!(tokio::time::timeout(wait, done).await, Ok(Ok(()))) {
            return Ok(());
        }
        self.0.tell(Ask::Forget(entry)).await;
        let (reply, have) = oneshot::channel();
        self.0.tell(Ask::Copies { entry, reply }).await;
        Err(NotConfirmed { have: have.await.unwrap_or(1) })
    }
}

#[async_trait]
impl crate::transfer::Holders for Replica {
    async fn of(&self, blob: &BlobRef) -> Vec<NodeId> {
        let (reply, holders) = oneshot::channel();
        self.tell(Ask::Holders { blob: *blob, reply }).await;
        holders.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use freehold_vault::Replication as _;

    use super::*;

    #[tokio::test]
    async fn no_erasure_is_lost_while_the_owner_is_busy() {
        let (asks, _owner) = mpsc::channel(ASKS);
        let report = Report {
            me: NodeId::from_bytes([1; 32]),
            view: None,
            blind: false,
            own: BTreeMap::new(),
            protection: BTreeMap::new(),
            missing: (0, 0),
            alarms: Vec::new(),
            counted: BTreeMap::new(),
            looked: BTreeMap::new(),
            burdens: BTreeMap::new(),
            heard: Arc::default(),
        };
        let (_publish, report) = watch::channel(Arc::new(report));
        let handle = Replica {
            asks,
            erasures: Arc::default(),
            report,
            quotas: Arc::default(),
            ledger: Arc::default(),
            closed: Arc::default(),
            kept_out: Arc::default(),
        };
        let vault = ForVault(handle.clone());
        for seq in 1..=3000 {
            vault.erased(&BucketId::from_bytes([2; 32]), &NodeId::from_bytes([1; 32]), seq);
        }
        handle.erasures.told().await;
        assert_eq!(handle.erasures.take().len(), 3000);
    }
}

//! The owner of the replication machine: hands it what happens, and does what it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use freehold_disk::{EntryRow, EntryStore, StoreError};
use freehold_mesh::{Channel, Mesh};
use freehold_placement::{
    BlobRef, BucketView, Burden, Entry, Event, FetchError, Input, Load, Looked, Message, NodeView, Output,
    Place, Replica as Machine, Row, Ticket, View,
};
use freehold_realm::{NodeRoles, Site, Standing, State};
use freehold_vault::{Depot, DepotError};
use freehold_wire::{BlobName, BucketId, EntryId, Millis, NodeId, RealmId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::alarm::Alarms;
use super::copying::{fetch, is_good};
use super::memory::Memory;
use super::pace::Pace;
use super::{ASKS, Alarm, Ask, Erasures, Parting, Replica, Report};
use crate::clock;
use crate::directory::directory_bucket;
use crate::log::Log;
use crate::shared::Shared;

/// The wall clock was set if it went on this much more or less than the monotonic one.
const TIME_SET: Millis = Millis::from_secs(1);
/// A writer asks within this how many hold what it has written, or never.
const ASKED_WITHIN: Millis = Millis::from_secs(120);

/// What depends on a node is counted this much after something changed.
const WEIGH_AFTER: Millis = Millis(300);
/// How old checks are is found out this much after something changed.
const SEE_AFTER: Millis = Millis::from_secs(2);

/// What must not lie here is looked for this often while there is any, and so much removed at a time.
const CLEAR_EVERY: Millis = Millis::from_secs(2);
const CLEAR_MOST: usize = 256;

/// What the owner works with.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) realm: RealmId,
    pub(crate) me: NodeId,
    pub(crate) log: Log,
    pub(crate) entries: Arc<EntryStore>,
    pub(crate) depot: Depot,
    pub(crate) mesh: Arc<OnceLock<Arc<Mesh>>>,
}

/// Drives the machine.
pub struct Owner {
    parts: Parts,
    shared: Weak<Shared>,
    machine: Machine,
    asks: mpsc::Receiver<Ask>,
    inbox: mpsc::Sender<Ask>,
    report: watch::Sender<Arc<Report>>,
    storing: BTreeMap<Ticket, Vec<Row>>,
    erasures: Arc<Erasures>,
    waiting: BTreeMap<EntryId, Vec<(u16, oneshot::Sender<()>)>>,
    places: BTreeMap<EntryId, Place>,
    /// When each of them was written.
    written: VecDeque<(Millis, EntryId)>,
    fetches: JoinSet<()>,
    /// What leaves off with a fetch.
    under_way: BTreeMap<BlobName, CancellationToken>,
    alarms: Alarms,
    view: Option<View>,
    memory: Memory,
    /// The monotonic and the wall time that the machine was told last.
    told_time: Option<(Millis, Millis)>,
    blind: bool,
    pace: Arc<Pace>,
    /// What depends on nodes that are to be emptied, and when that is counted again.
    burdens: BTreeMap<NodeId, Burden>,
    weigh: Option<Millis>,
    /// How old the checks of copies are, of which buckets that is to be found out anew, and when.
    looked: BTreeMap<BucketId, Looked>,
    unseen: BTreeSet<BucketId>,
    see: Option<Millis>,
    /// When it is looked what must not lie here.
    clear: Option<Millis>,
}

/// Replication on its way up: it hears of every entry that is here, in order.
pub(crate) struct Opening {
    owner: Owner,
    /// Ascending.
    held: Vec<BlobName>,
    bytes: u64,
}

/// Looks at what blobs this node holds.
///
/// # Errors
/// [`StoreError`] if what is remembered besides the entries cannot be read.
pub(crate) async fn open(parts: Parts) -> Result<(Opening, Replica), StoreError> {
    let names = parts.depot.names().await;
    let names = names.inspect_err(|error: &DepotError| tracing::error!(%error, "the depot cannot be listed"));
    let mut held = names.unwrap_or_default();
    held.sort_unstable();
    let mut machine = Machine::new(parts.me, view(&parts, None));
    let recalled = tokio::task::block_in_place(|| Memory::recall(&parts.entries, &mut machine));
    let (memory, forks) = recalled?;
    let (inbox, asks) = mpsc::channel(ASKS);
    let (report, reader) = watch::channel(Arc::new(Report {
        me: parts.me,
        view: None,
        blind: false,
        own: BTreeMap::new(),
        protection: BTreeMap::new(),
        missing: (0, 0),
        alarms: Vec::new(),
        counted: BTreeMap::new(),
        looked: BTreeMap::new(),
        burdens: BTreeMap::new(),
        heard: Arc::new(memory.heard().clone()),
    }));
    let erasures = Arc::new(Erasures::default());
    let handle = Replica {
        asks: inbox.clone(),
        erasures: Arc::clone(&erasures),
        report: reader,
        closed: Arc::default(),
        kept_out: Arc::default(),
        quotas: Arc::default(),
        ledger: Arc::default(),
    };
    let mut owner = Owner {
        machine,
        parts,
        shared: Weak::new(),
        asks,
        inbox,
        report,
        storing: BTreeMap::new(),
        erasures,
        waiting: BTreeMap::new(),
        places: BTreeMap::new(),
        written: VecDeque::new(),
        fetches: JoinSet::new(),
        under_way: BTreeMap::new(),
        alarms: Alarms::default(),
        view: None,
        memory,
        told_time: None,
        blind: false,
        pace: Arc::default(),
        burdens: BTreeMap::new(),
        weigh: None,
        looked: BTreeMap::new(),
        unseen: BTreeSet::new(),
        see: None,
        clear: None,
    };
    for place in &forks {
        owner.alarm(Alarm::fork(place));
    }
    Ok((Opening { owner, held, bytes: 0 }, handle))
}

impl Opening {
    /// An entry that is here, and the length of its payload if that is here too.
    pub(crate) fn restore(&mut self, entry: &Entry, payload: Option<usize>) {
        let Self { owner, held, bytes } = self;
        let mut has = |blob: &BlobRef| {
            let here = held.binary_search(&blob.name).is_ok();
            *bytes = bytes.saturating_add(if here { blob.len } else { 0 });
            here
        };
        if !owner.machine.restore(clock::monotonic(), entry, payload, &mut has) {
            tracing::error!(seq = entry.seq, "an entry does not follow the one before");
        }
    }

    /// All have been told.
    pub(crate) async fn finish(self) -> Owner {
        let Self { mut owner, bytes, .. } = self;
        // What was overwritten and not yet swept is missing here, until the depot is measured.
        owner.parts.depot.assume(bytes);
        owner.machine.restored();
        for said in owner.machine.disputes() {
            if is_good(&owner.parts.depot, &said).await {
                owner.machine.decide(clock::monotonic(), &said);
            }
        }
        owner
    }
}

/// What the realm log says of nodes and buckets.
pub(crate) fn sites(state: &State) -> (BTreeMap<NodeId, NodeView>, BTreeMap<BucketId, BucketView>) {
    let nodes = state
        .nodes
        .iter()
        .map(|(id, node)| {
            let stores = node.roles.contains(NodeRoles::STORAGE);
            let Site { zone, region, draining, .. } = node.site;
            let suspended = node.standing != Standing::Active;
            (*id, NodeView { stores, suspended, draining, zone, region })
        })
        .collect();
    let bucket = |bucket: &freehold_realm::Bucket| BucketView {
        copies: bucket.copies.into(),
        zones: bucket.rules.zones.into(),
        regions: bucket.rules.regions.clone(),
    };
    (nodes, state.live_buckets().map(|(id, of)| (*id, bucket(of))).collect())
}

/// The realm as placement sees it.
fn view(parts: &Parts, shared: Option<&Shared>) -> View {
    let log = parts.log.view();
    let (mut nodes, buckets) = sites(log.state());
    // A machine that guardians are bringing back may read; its copies do not count yet.
    let guest = NodeView::default();
    nodes.entry(parts.me).or_insert(guest);
    for visitor in shared.map(|shared| shared.visitors.list(&log)).unwrap_or_default() {
        nodes.entry(visitor).or_insert(guest);
    }
    let mut members: BTreeSet<NodeId> = log.let_in.keys().copied().collect();
    members.extend(nodes.keys());
    let writers = log.let_in.iter().filter(|(_, roles)| roles.contains(NodeRoles::GATEWAY));
    let writers = writers.map(|(id, _)| *id).collect();
    let quiet = log.let_in.iter().filter(|(_, roles)| NodeRoles::STORAGE.contains(**roles));
    let quiet = quiet.map(|(id, _)| *id).collect();
    let cuts = shared.map(Shared::cuts).unwrap_or_default();
    let directory = directory_bucket(parts.realm);
    View { realm: parts.realm, directory, nodes, buckets, members, writers, quiet, cuts }
}

/// Bytes of copies that this node is to fetch in a second at most; 0 for no limit.
fn pace_of(parts: &Parts) -> u64 {
    parts.log.view().state().nodes.get(&parts.me).map_or(0, |node| node.site.pace)
}

/// Whether another node keeps blobs and gets no keys.
fn has_blind(parts: &Parts) -> bool {
    let log = parts.log.view();
    let blind = |roles: NodeRoles| roles.contains(NodeRoles::STORAGE) && !roles.contains(NodeRoles::SECRETS);
    log.state().nodes.iter().any(|(id, node)| *id != parts.me && blind(node.roles))
}

fn parting(machine: &Machine, node: &NodeId) -> Parting {
    Parting { burden: machine.burden(node), only: machine.only_copies(node), ahead: machine.ahead(node) }
}

impl Owner {
    /// Works until told to stop.
    ///
    /// # Errors
    /// Only if nobody can hand anything in any more.
    pub async fn run(mut self, shared: Weak<Shared>, cancel: CancellationToken) -> Result<(), String> {
        self.shared = shared;
        self.take(Ask::Look);
        loop {
            let keep = self.memory.due(&self.machine);
            let due = self.machine.poll_timeout().map(|(at, _)| at).into_iter();
            let due = due.chain(keep).chain(self.weigh).chain(self.see).chain(self.clear).min();
            let due = due.map(|at| at.since(clock::monotonic()));
            let timeout = async {
                match due {
                    Some(wait) => tokio::time::sleep(Duration::from_millis(wait.0)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return Err("nobody is left to replicate for".to_owned()),
                },
                Some(_) = self.fetches.join_next() => {}
                () = self.erasures.told() => self.erase(),
                () = timeout => {
                    if keep.is_some_and(|at| at <= clock::monotonic()) {
                        self.memory.keep(&mut self.machine);
                    }
                    self.weigh_if_due();
                    self.see_if_due();
                    self.clear_if_due();
                    self.tell_time();
                    self.machine.handle_timeout(clock::monotonic());
                    self.carry_out();
                }
            }
        }
        self.fetches.shutdown().await;
        tokio::task::block_in_place(|| self.memory.keep_now(&mut self.machine));
        Ok(())
    }

    /// Counts what depends on nodes that are to be emptied: it looks at every entry, so not at once.
    fn weigh_if_due(&mut self) {
        if self.weigh.is_none_or(|at| at > clock::monotonic()) {
            return;
        }
        self.weigh = None;
        let draining = self.view.iter().flat_map(View::draining);
        self.burdens = draining.map(|node| (node, self.machine.burden(&node))).collect();
    }

    /// How old checks are: it may look at every entry, so not at once.
    fn see_if_due(&mut self) {
        if self.see.is_none_or(|at| at > clock::monotonic()) {
            return;
        }
        self.see = None;
        let known =
            |bucket: &BucketId| self.view.as_ref().is_some_and(|view| view.buckets.contains_key(bucket));
        self.looked.retain(|bucket, _| known(bucket));
        let unseen = std::mem::take(&mut self.unseen).into_iter().filter(known);
        self.looked.extend(unseen.map(|bucket| (bucket, self.machine.looked(&bucket))));
    }

    /// Removes what must not lie where this node stands, once others have it.
    fn clear_if_due(&mut self) {
        let now = clock::monotonic();
        if self.clear.is_none_or(|at| at > now) {
            return;
        }
        self.clear = self.machine.is_barred().then(|| now.plus(CLEAR_EVERY));
        for blob in self.machine.may_go(CLEAR_MOST) {
            let (depot, inbox) = (self.parts.depot.clone(), self.inbox.clone());
            self.fetches.spawn(async move {
                match depot.delete(blob.name).await {
                    Ok(()) => drop(inbox.send(Ask::Lost(blob)).await),
                    Err(error) => tracing::error!(%error, "a copy stays where it must not lie"),
                }
            });
        }
    }

    /// Tells the machine the wall time, at first and when it has been set.
    fn tell_time(&mut self) {
        let (now, wall) = (clock::monotonic(), clock::wall());
        let expected = self.told_time.map(|(then, told)| told.plus(now.since(then)));
        if expected.is_none_or(|expected| expected.0.abs_diff(wall.0) > TIME_SET.0) {
            self.told_time = Some((now, wall));
            self.machine.handle(now, Input::Clock(wall));
        }
    }

    fn take(&mut self, ask: Ask) {
        self.tell_time();
        let input = match ask {
            Ask::Wrote(entry, payload) => {
                let place = Place { bucket: entry.bucket, origin: entry.origin, seq: entry.seq };
                self.remember(entry.id(), place);
                Input::Wrote(entry, payload)
            }
            Ask::Up(peer) => Input::Connected(peer),
            Ask::Down(peer) => Input::Disconnected(peer),
            Ask::Heard(peer, body) => {
                self.memory.hear(peer);
                Message::decode(&body).map_or(Input::Garbage(peer), |message| Input::Received(peer, message))
            }
            Ask::Stored(ticket, true) => {
                self.show(ticket);
                Input::Stored(ticket)
            }
            Ask::Stored(ticket, false) => {
                self.storing.remove(&ticket);
                Input::StoreFailed(ticket)
            }
            Ask::Fetched(blob, outcome) => {
                self.under_way.remove(&blob.name);
                match outcome {
                    Ok(()) => Input::Fetched(blob),
                    Err(why) => Input::FetchFailed(blob, why),
                }
            }
            Ask::Looked(bucket, at) => Input::Looked(bucket, at),
            Ask::Lost(blob) => Input::Lost(blob),
            Ask::Verified(blob) => Input::Verified(blob),
            Ask::Forged(by) => return self.say_forged(by),
            Ask::Look => {
                let view = view(&self.parts, self.shared.upgrade().as_deref());
                self.view = Some(view.clone());
                self.blind = has_blind(&self.parts);
                self.pace.set(pace_of(&self.parts));
                self.weigh = Some(clock::monotonic());
                self.clear = self.weigh;
                self.unseen.extend(view.buckets.keys());
                self.see = self.weigh;
                Input::View(view)
            }
            Ask::Await { entry, copies, reply } => return self.wait_for(entry, copies, reply),
            Ask::Forget(entry) => {
                if let Some(waiting) = self.waiting.get_mut(&entry) {
                    waiting.retain(|(_, reply)| !reply.is_closed());
                    if waiting.is_empty() {
                        self.waiting.remove(&entry);
                    }
                }
                return;
            }
            Ask::Copies { entry, reply } => return reply.send(self.copies(&entry)).unwrap_or_default(),
            Ask::Lengths { origin, reply } => return drop(reply.send(self.machine.lengths(&origin))),
            Ask::CopiesOf { places, reply } => {
                let copies = places.iter().map(|place| self.machine.copies(place)).collect();
                return drop(reply.send(copies));
            }
            Ask::Wanted { blob, reply } => {
                reply.send(self.machine.is_wanted(&blob)).ok();
                return;
            }
            Ask::InStep { bucket, reply } => {
                return reply.send(self.machine.in_step(&bucket)).unwrap_or_default();
            }
            Ask::Parting { node, reply } => {
                return reply.send(parting(&self.machine, &node)).unwrap_or_default();
            }
            Ask::Holders { blob, reply } => return drop(reply.send(self.machine.holders(&blob))),
        };
        self.machine.handle(clock::monotonic(), input);
        self.carry_out();
    }

    /// Where an own entry stands, for as long as somebody may ask for it.
    fn remember(&mut self, entry: EntryId, place: Place) {
        let now = clock::monotonic();
        while let Some((_, old)) = self.written.pop_front_if(|(at, _)| now.since(*at) > ASKED_WITHIN) {
            self.places.remove(&old);
            self.waiting.remove(&old);
        }
        self.places.insert(entry, place);
        self.written.push_back((now, entry));
    }

    /// Hears of all that was erased meanwhile.
    fn erase(&mut self) {
        for place in self.erasures.take() {
            self.machine.handle(clock::monotonic(), Input::Erased(place));
        }
        self.carry_out();
    }

    fn copies(&self, entry: &EntryId) -> u16 {
        self.places.get(entry).map_or(0, |place| self.machine.copies(place))
    }

    fn wait_for(&mut self, entry: EntryId, copies: u16, reply: oneshot::Sender<()>) {
        if self.copies(&entry) >= copies {
            reply.send(()).ok();
        } else {
            self.waiting.entry(entry).or_default().push((copies, reply));
        }
    }

    /// Makes entries of other nodes visible that are durable now.
    fn show(&mut self, ticket: Ticket) {
        let (Some(rows), Some(shared)) = (self.storing.remove(&ticket), self.shared.upgrade()) else {
            return;
        };
        let directory = directory_bucket(self.parts.realm);
        let parts = rows.iter().map(|row| (&row.entry, row.payload.as_ref().map(|p| p.as_slice())));
        let (names, objects): (Vec<_>, Vec<_>) = parts.partition(|(entry, _)| entry.bucket == directory);
        shared.absorb(names.into_iter().filter_map(|(entry, payload)| Some((entry, payload?))));
        shared.vault.apply_remote(objects);
    }

    fn carry_out(&mut self) {
        let mut changed = BTreeSet::new();
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Store(ticket, rows) => self.store(ticket, rows),
                Output::Evidence(row) => self.keep_evidence(*row),
                Output::Send(peer, message) => self.send(peer, &message),
                Output::Load(load) => self.load(load),
                Output::Fetch { from, blob, patience, .. } => self.fetch(from, blob, patience),
                Output::Stop(blob) => self.stop(blob),
                Output::Verify { blob, .. } => self.check(blob),
                Output::Drop(peer) => {
                    tracing::warn!(peer = %peer.short(), "a node sends garbage and is cut");
                    if let Some(mesh) = self.parts.mesh.get() {
                        mesh.disconnect(peer);
                    }
                }
                Output::Tell(event) => self.note(&event, &mut changed),
            }
        }
        self.publish(&changed);
    }

    fn note(&mut self, event: &Event, changed: &mut BTreeSet<BucketId>) {
        match event {
            Event::Confirmed { entry, copies, .. } => {
                if let Some(waiting) = self.waiting.remove(entry) {
                    let (ready, rest): (Vec<_>, Vec<_>) =
                        waiting.into_iter().partition(|(want, _)| *copies >= *want);
                    for (_, reply) in ready {
                        reply.send(()).ok();
                    }
                    if !rest.is_empty() {
                        self.waiting.insert(*entry, rest);
                    }
                }
            }
            Event::Protection(bucket) => {
                changed.insert(*bucket);
            }
            Event::CaughtUp(_) => tracing::info!("this node has all its own entries again"),
            Event::OutOfOrder(place) => tracing::error!(?place, "an own entry came out of order"),
            event => {
                if let Some(alarm) = Alarm::of(event, self.parts.me, clock::wall()) {
                    self.alarm(alarm);
                }
            }
        }
    }

    fn say_forged(&mut self, by: NodeId) {
        self.alarm(Alarm::forgery(by));
        self.publish(&BTreeSet::new());
    }

    fn alarm(&mut self, alarm: Alarm) {
        self.alarms.raise(clock::monotonic(), alarm);
    }

    fn publish(&mut self, changed: &BTreeSet<BucketId>) {
        let before = Arc::clone(&self.report.borrow());
        if !changed.is_empty() && self.view.iter().any(|view| view.draining().next().is_some()) {
            self.weigh.get_or_insert(clock::monotonic().plus(WEIGH_AFTER));
        }
        if !changed.is_empty() {
            self.unseen.extend(changed);
            self.see.get_or_insert(clock::monotonic().plus(SEE_AFTER));
        }
        if let Some(view) = &self.view {
            self.alarms.settle(clock::monotonic(), &self.machine, view);
        }
        let alarms = self.alarms.list();
        let missing = self.machine.missing();
        let buckets = self.view.iter().flat_map(|view| view.buckets.keys().chain([&view.directory]));
        let own: BTreeMap<_, _> = buckets.map(|bucket| (*bucket, self.machine.own(bucket))).collect();
        let same = before.missing == missing
            && before.alarms == alarms
            && before.own == own
            && before.view == self.view
            && before.burdens == self.burdens
            && before.looked == self.looked
            && before.blind == self.blind;
        if changed.is_empty() && same {
            return;
        }
        let mut report = Report {
            me: self.parts.me,
            view: self.view.clone(),
            blind: self.blind,
            own,
            protection: before.protection.clone(),
            missing,
            alarms,
            counted: self.machine.lengths(&self.parts.me),
            looked: self.looked.clone(),
            burdens: self.burdens.clone(),
            heard: Arc::clone(&before.heard),
        };
        for bucket in changed {
            report.protection.insert(*bucket, self.machine.protection(bucket));
        }
        self.report.send_replace(Arc::new(report));
    }

    fn store(&mut self, ticket: Ticket, rows: Vec<Row>) {
        let kept: Vec<EntryRow> = rows
            .iter()
            .map(|row| EntryRow {
                bucket: row.entry.bucket,
                origin: row.entry.origin,
                seq: row.entry.seq,
                entry: row.entry.to_bytes(),
                payload: row.payload.as_ref().map(|payload| payload.to_vec()),
            })
            .collect();
        self.storing.insert(ticket, rows);
        let inbox = self.inbox.clone();
        self.parts.entries.submit(
            move |txn| kept.iter().try_for_each(|row| txn.insert(row).map(drop)),
            move |stored| drop(inbox.blocking_send(Ask::Stored(ticket, stored.is_ok()))),
        );
    }

    fn keep_evidence(&self, row: Row) {
        let kept = EntryRow {
            bucket: row.entry.bucket,
            origin: row.entry.origin,
            seq: row.entry.seq,
            entry: row.entry.to_bytes(),
            payload: row.payload.map(|payload| payload.to_vec()),
        };
        self.parts.entries.submit(
            move |txn| txn.insert(&kept).map(drop),
            |kept| {
                if let Err(error) = kept {
                    tracing::error!(%error, "proof of a number used twice could not be kept");
                }
            },
        );
    }

    fn send(&self, peer: NodeId, message: &Message) {
        let Some(mesh) = self.parts.mesh.get() else { return };
        // What is lost with a full queue or a broken line is told again.
        if let Err(error) = mesh.send(peer, Channel::Replica, message.encode().into()) {
            tracing::debug!(%error, message = message.name(), "a message was not sent");
        }
    }

    fn load(&mut self, load: Load) {
        let Load { first, count, .. } = load;
        let read = tokio::task::block_in_place(|| {
            self.parts.entries.entries(&first.bucket, &first.origin, first.seq, count)
        });
        let rows = read.inspect_err(|error| tracing::error!(%error, "entries for a peer cannot be read"));
        let rows = rows.unwrap_or_default().into_iter().filter_map(|row| {
            let entry = Entry::decode(&row.entry).ok()?;
            Some(Row { entry, payload: row.payload.map(Into::into) })
        });
        self.machine.handle(clock::monotonic(), Input::Loaded(load, rows.collect()));
    }

    fn fetch(&mut self, from: NodeId, blob: BlobRef, patience: u32) {
        let (depot, mesh, inbox) =
            (self.parts.depot.clone(), Arc::clone(&self.parts.mesh), self.inbox.clone());
        let stop = CancellationToken::new();
        self.under_way.insert(blob.name, stop.clone());
        let pace = Arc::clone(&self.pace);
        self.fetches.spawn(async move {
            let whole = fetch(&depot, mesh.get(), (from, patience), &blob, pace);
            let outcome = stop.run_until_cancelled(whole).await.unwrap_or(Err(FetchError::Unreachable));
            drop(inbox.send(Ask::Fetched(blob, outcome)).await);
        });
    }

    fn stop(&self, blob: BlobName) {
        if let Some(stop) = self.under_way.get(&blob) {
            stop.cancel();
        }
    }

    fn check(&mut self, blob: BlobRef) {
        let (depot, inbox) = (self.parts.depot.clone(), self.inbox.clone());
        self.fetches.spawn(async move {
            let is_good = is_good(&depot, &blob).await;
            drop(inbox.send(if is_good { Ask::Verified(blob) } else { Ask::Lost(blob) }).await);
        });
    }
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Owner({})", self.machine.describe())
    }
}

//! The world in which `placement` replicates entries and blobs.

mod check;
mod heal;
mod machine;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use freehold_placement::{
    BlobRef, BucketView, Event, FetchError, Input, Message, NodeView, Output, Place, Replica, Row, View,
};
use freehold_wire::{BlobName, BucketId, Hlc, Millis, NodeId, RealmId};

use self::machine::{Health, Machine, Write, id_of};
use crate::network::{Name, Network};
use crate::{Choose, Fault, Kind, Options, Trace, World};

/// Wall time at the beginning.
const EPOCH: Millis = Millis(1_795_000_000_000);

/// A blob on its way.
#[derive(Debug, Clone, Copy)]
struct Fetch {
    to: Name,
    from: Name,
    blob: BlobRef,
}

/// Nodes with entries and blobs, their disks, and the network between them.
#[derive(Debug)]
pub struct ReplicaWorld {
    options: Options,
    now: Millis,
    nodes: BTreeMap<Name, Machine>,
    ids: BTreeMap<NodeId, Name>,
    /// The same the other way round; working it out from the key takes long.
    keys: BTreeMap<Name, NodeId>,
    network: Network<Message>,
    fetches: Vec<Fetch>,
    /// The realm as it is; nodes hear of changes one by one.
    view: View,
    buckets: Vec<BucketId>,
    names: u8,
    written: usize,
    nonce: u64,
    acknowledged: check::Acknowledged,
    erased: BTreeSet<Place>,
    /// Blobs that a disk has lost in silence.
    lied: BTreeSet<(Name, BlobName)>,
    wrong: Option<String>,
    trace: Trace,
}

impl ReplicaWorld {
    /// A new world, all nodes connected.
    pub fn new(options: Options, choose: &mut dyn Choose) -> Self {
        let directory = BucketId::from_bytes([0xd0; 32]);
        let count = u8::try_from(options.buckets.min(2)).unwrap_or(1);
        let mut buckets: Vec<BucketId> = (0..count).map(|n| BucketId::from_bytes([0xb0 + n; 32])).collect();
        let bucket = BucketView { copies: options.copies, ..BucketView::default() };
        let views = buckets.iter().map(|id| (*id, bucket.clone())).collect();
        if options.buckets > 1 {
            buckets.push(directory);
        }
        let view = View {
            realm: RealmId::from_bytes([7; 32]),
            directory,
            nodes: BTreeMap::new(),
            buckets: views,
            members: BTreeSet::new(),
            writers: BTreeSet::new(),
            cuts: BTreeMap::new(),
            quiet: BTreeSet::new(),
        };
        let mut world = Self {
            now: Millis(0),
            nodes: BTreeMap::new(),
            ids: BTreeMap::new(),
            keys: BTreeMap::new(),
            network: Network::new(),
            fetches: Vec::new(),
            view,
            buckets,
            names: 0,
            written: 0,
            nonce: 0,
            acknowledged: check::Acknowledged::default(),
            erased: BTreeSet::new(),
            lied: BTreeSet::new(),
            wrong: None,
            trace: Trace::default(),
            options,
        };
        for number in 0..world.options.nodes {
            // One of many may be without storage, a gateway; or a mere store.
            let stores = number != 2 || choose.below(2) == 0;
            let writes = number != 2 || choose.below(2) == 0;
            world.admit(Name(u8::try_from(number).unwrap_or(0)), stores, writes);
        }
        for number in 0..world.options.nodes {
            let clock = if world.options.crash_between == 0 { 0 } else { choose.below(86_400_000) };
            world.found(
                Name(u8::try_from(number).unwrap_or(0)),
                Millis(u64::try_from(clock).unwrap_or(0)),
                choose,
            );
        }
        world
    }

    fn admit(&mut self, name: Name, stores: bool, writes: bool) {
        self.names = self.names.max(name.0.saturating_add(1));
        let id = id_of(name);
        self.ids.insert(id, name);
        self.keys.insert(name, id);
        self.view.nodes.insert(id, NodeView { stores, ..NodeView::default() });
        self.view.members.insert(id);
        if writes {
            self.view.writers.insert(id);
        }
    }

    fn id(&self, name: Name) -> NodeId {
        self.keys.get(&name).copied().unwrap_or_else(|| id_of(name))
    }

    fn found(&mut self, name: Name, clock: Millis, choose: &mut dyn Choose) {
        self.nodes.insert(name, Machine::new(name, clock, self.view.clone()));
        self.start(name, choose);
    }

    fn start(&mut self, name: Name, choose: &mut dyn Choose) {
        if let Some(node) = self.nodes.get_mut(&name) {
            node.start(self.now);
            self.note(name, "start", format_args!(""));
            // The first inputs of the core: what it found out while it started.
            self.hand(name, Input::Clock(self.wall()), choose);
            self.hand(name, Input::View(self.view_of(name)), choose);
            self.connect_all(choose);
        }
    }

    /// Wall time.
    const fn wall(&self) -> Millis {
        self.now.plus(EPOCH)
    }

    fn view_of(&self, name: Name) -> View {
        self.nodes.get(&name).map_or_else(|| self.view.clone(), |node| node.view.clone())
    }

    fn stop(&mut self, name: Name, choose: &mut dyn Choose) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        node.core = None;
        let lost = node.writes.len();
        node.writes.clear();
        self.note(name, "crash", format_args!("{lost} writes lost"));
        self.fetches.retain(|fetch| fetch.to != name);
        for other in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.part(name, other, choose);
        }
        self.wrong = self.wrong.take().or_else(|| self.acknowledged.lost(&self.nodes));
    }

    fn connect_all(&mut self, choose: &mut dyn Choose) {
        let names: Vec<Name> = self.nodes.keys().copied().collect();
        for a in &names {
            for b in names.iter().filter(|b| *b > a) {
                if self.is_running(*a) && self.is_running(*b) && self.network.connect(*a, *b) {
                    self.hand(*a, Input::Connected(self.id(*b)), choose);
                    if self.network.is_up(*a, *b) {
                        self.hand(*b, Input::Connected(self.id(*a)), choose);
                    }
                }
            }
        }
    }

    fn is_running(&self, name: Name) -> bool {
        self.nodes.get(&name).is_some_and(|node| node.core.is_some())
    }

    fn part(&mut self, a: Name, b: Name, choose: &mut dyn Choose) {
        if self.network.disconnect(a, b) {
            self.hand(a, Input::Disconnected(self.id(b)), choose);
            self.hand(b, Input::Disconnected(self.id(a)), choose);
        }
    }

    /// Hands an input to a running node and carries out what comes of it.
    fn hand(&mut self, name: Name, input: Input, choose: &mut dyn Choose) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(&name)
            && let Some(core) = &mut node.core
        {
            core.handle(now.plus(node.clock), input);
            self.carry_out(name, choose);
        }
    }

    fn carry_out(&mut self, name: Name, choose: &mut dyn Choose) {
        while let Some(output) =
            self.nodes.get_mut(&name).and_then(|node| node.core.as_mut()).and_then(Replica::poll_output)
        {
            let of = self.options.crash_between;
            if of > 0 && choose.below(of * 10) == 1 {
                return self.stop(name, choose);
            }
            self.perform(name, output, choose);
        }
    }

    fn perform(&mut self, name: Name, output: Output, choose: &mut dyn Choose) {
        match output {
            Output::Store(ticket, rows) => {
                self.check_believed(name, &rows);
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.writes.push_back(Write::Rows(ticket, rows));
                }
                if self.options.fault == Some(Fault::StoredEarly) {
                    self.hand(name, Input::Stored(ticket), choose);
                }
            }
            Output::Send(to, message) => {
                let heard = self.nodes.get(&name).is_some_and(|node| node.view.is_active(&to));
                let Some(other) = self.ids.get(&to).copied().filter(|_| heard) else {
                    self.wrong = Some(format!("{name} sends {} to a node without rights", message.name()));
                    return;
                };
                if let Message::Ask { bucket, origin, .. } = &message
                    && !self.view_of(name).may_write(bucket, origin)
                {
                    self.wrong = Some(format!("{name} asks for what {} may not write", origin.short()));
                }
                self.network.send(name, other, message);
            }
            Output::Load(load) => {
                if let Some(node) = self.nodes.get(&name) {
                    let rows = node.load(&load);
                    self.hand(name, Input::Loaded(load, rows), choose);
                }
            }
            Output::Fetch { from, blob, .. } => {
                if let Some(from) = self.ids.get(&from) {
                    self.fetches.push(Fetch { to: name, from: *from, blob });
                }
            }
            Output::Stop(blob) => {
                let fetch = self.fetches.iter().position(|fetch| fetch.to == name && fetch.blob.name == blob);
                if self.options.fault != Some(Fault::StopIgnored)
                    && let Some(Fetch { blob, .. }) = fetch.map(|at| self.fetches.remove(at))
                {
                    self.hand(name, Input::FetchFailed(blob, FetchError::Unreachable), choose);
                }
            }
            Output::Verify { blob, .. } => {
                self.lose_blob(name, blob.name, choose);
                self.hand(name, Input::Verified(blob), choose);
            }
            Output::Evidence(row) => {
                self.wrong = Some(format!("{name} has proof against {:?}", row.entry.origin));
            }
            Output::Drop(peer) => {
                self.wrong = Some(format!("{name} drops {}, which is honest", peer.short()));
            }
            Output::Tell(event) => self.told(name, &event),
        }
    }

    fn told(&mut self, name: Name, event: &Event) {
        match event {
            Event::Confirmed { place, by, copies, .. } => {
                if let Some(by) = self.ids.get(by) {
                    self.acknowledged.confirmed(*place, *by, *copies >= self.options.copies);
                }
            }
            Event::Protection(_) | Event::PeerBehind { .. } | Event::CaughtUp(_) | Event::Early { .. } => {}
            Event::Conflict(_) | Event::Disputed(_) | Event::Behind { .. } | Event::OutOfOrder(_) => {
                self.wrong = Some(format!("{name} raises {event:?}"));
            }
        }
    }

    /// What a node takes in is of somebody who may write there, and not from the future.
    fn check_believed(&mut self, name: Name, rows: &[Row]) {
        let Some(node) = self.nodes.get(&name) else { return };
        let latest = self.wall().plus(Hlc::DRIFT_MAX);
        for row in rows {
            let (bucket, origin) = (row.entry.bucket, row.entry.origin);
            if !node.view.may_write(&bucket, &origin) {
                self.wrong = Some(format!("{name} keeps what {} may not write", origin.short()));
            } else if row.entry.hlc.wall > latest && origin != node.id {
                self.wrong = Some(format!("{name} keeps what {} will write", origin.short()));
            }
        }
    }

    /// A copy comes only to where its bucket may lie, as far as the node knows.
    fn check_allowed(&mut self, name: Name, blob: &BlobRef) {
        let Some(node) = self.nodes.get(&name).filter(|node| !node.disk.blobs.contains_key(&blob.name))
        else {
            return;
        };
        let mut rows = node.disk.rows.values().filter(|row| row.entry.blobs.contains(blob));
        if rows.any(|row| !node.view.allows(&row.entry.bucket, &node.id)) {
            let region = node.view.nodes.get(&node.id).map(|node| node.region);
            self.wrong =
                Some(format!("{} comes to {name} in a forbidden region, {region:?}", blob.name.short()));
        }
    }

    /// A blob arrives, or fails to.
    fn arrive(&mut self, at: usize, breaks: bool, choose: &mut dyn Choose) {
        if at >= self.fetches.len() {
            return;
        }
        let Fetch { to, from, blob } = self.fetches.remove(at);
        let reached = self.network.is_up(from, to) && !breaks;
        let source = self.nodes.get(&from).filter(|_| reached).map(|node| node.disk.blobs.get(&blob.name));
        let local = self.nodes.get(&to).and_then(|node| node.disk.blobs.get(&blob.name));
        let result = match (local, source) {
            (Some(Health::Good), _) | (_, Some(Some(Health::Good))) => Ok(()),
            (_, None) => Err(FetchError::Unreachable),
            (_, Some(None)) => Err(FetchError::Missing),
            (_, Some(Some(Health::Flipped))) => Err(FetchError::Corrupt),
        };
        self.note(to, "fetch", format_args!("{} from {from}: {result:?}", blob.name.short()));
        let input = match result {
            Ok(()) => {
                self.check_allowed(to, &blob);
                if let Some(node) = self.nodes.get_mut(&to) {
                    node.disk.blobs.insert(blob.name, Health::Good);
                    self.lied.remove(&(to, blob.name));
                    self.acknowledged.repaired(to, blob.name);
                }
                Input::Fetched(blob)
            }
            Err(why) => Input::FetchFailed(blob, why),
        };
        self.hand(to, input, choose);
    }

    fn deliver(&mut self, at: usize, keep: bool, choose: &mut dyn Choose) {
        let flight = if keep { self.network.flights.get(at).cloned() } else { self.network.take(at) };
        let Some(flight) = flight else { return };
        let what = if keep { "repeat" } else { "deliver" };
        self.note(flight.to, what, format_args!("{} from {}", flight.message.name(), flight.from));
        match Message::decode(&flight.message.encode()) {
            Ok(message) => self.hand(flight.to, Input::Received(self.id(flight.from), message), choose),
            Err(error) => self.wrong = Some(format!("a message does not decode: {error}")),
        }
    }

    fn sync(&mut self, name: Name, fails: bool, choose: &mut dyn Choose) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        let input = if fails { node.fail() } else { node.sync() };
        self.note(name, if fails { "fail" } else { "sync" }, format_args!(""));
        match input {
            Some(Input::Stored(_)) if self.options.fault == Some(Fault::StoredEarly) => {}
            Some(Input::Wrote(entry, payload)) => {
                let at = machine::place_of(&entry);
                self.acknowledged.wrote(at, &entry, name, self.options.copies <= 1);
                self.hand(name, Input::Wrote(entry, payload), choose);
            }
            Some(input) => self.hand(name, input, choose),
            None => {}
        }
    }

    fn hear(&mut self, name: Name, choose: &mut dyn Choose) {
        let view = self.view.clone();
        if let Some(node) = self.nodes.get_mut(&name) {
            node.view = view.clone();
            self.note(name, "hear", format_args!(""));
            self.hand(name, Input::View(view), choose);
        }
    }

    /// Lets time pass until the first thing that is due.
    fn wait(&mut self, choose: &mut dyn Choose) {
        let due = self.nodes.iter().filter_map(|(name, node)| {
            let (at, why) = node.core.as_ref()?.poll_timeout()?;
            Some((at.since(node.clock).max(self.now), *name, why))
        });
        let Some((at, name, why)) = due.min() else { return };
        self.now = at;
        self.note(name, "wait", format_args!("{why}"));
        if let Some(node) = self.nodes.get_mut(&name)
            && let Some(core) = &mut node.core
        {
            core.handle_timeout(at.plus(node.clock));
            self.carry_out(name, choose);
        }
    }

    fn note(&mut self, name: Name, what: &str, detail: std::fmt::Arguments<'_>) {
        let state = self.nodes.get(&name).and_then(|node| node.core.as_ref()).map(Replica::describe);
        let state = state.unwrap_or_else(|| "stopped".to_owned());
        self.trace.note(self.now, name, what, format_args!("{detail} | {state}"));
    }
}

impl World for ReplicaWorld {
    fn options(&self) -> &Options {
        &self.options
    }

    fn allows(&self, kind: Kind) -> bool {
        self.possible(kind)
    }

    fn step(&mut self, kind: Kind, choose: &mut dyn Choose) {
        self.take_step(kind, choose);
    }

    fn violation(&self) -> Option<String> {
        self.wrong.clone()
    }

    fn heal(&mut self, choose: &mut dyn Choose) -> Result<(), String> {
        self.heal_all(choose)?;
        self.acknowledged.lost(&self.nodes).map_or(Ok(()), Err)
    }

    fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }
}

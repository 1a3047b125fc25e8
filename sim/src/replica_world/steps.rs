//! The steps of the first phase.

use freehold_crypt::hash;
use freehold_placement::{BlobRef, Draft, Input, Message, Own, Place, Row, Vector, payload_hash};
use freehold_wire::{BlobName, Bounded, Hlc, Millis, NodeId, Region, Regions, ZoneId};

use super::ReplicaWorld;
use super::check::describe;
use super::machine::{Health, Machine, Write, key_of, ref_of};
use crate::{Choose, Fault, Kind, Name};

/// Whose key the realm never let in.
const STRANGER: Name = Name(0xe0);

impl ReplicaWorld {
    pub(super) fn possible(&self, kind: Kind) -> bool {
        let any = |fits: fn(&Machine) -> bool| self.nodes.values().any(fits);
        match kind {
            Kind::Write | Kind::Early => {
                self.written < self.options.writes && any(|node| node.core.is_some())
            }
            Kind::Deliver | Kind::Lose | Kind::Repeat => !self.network.flights.is_empty(),
            Kind::Sync | Kind::Fail => any(|node| !node.writes.is_empty()),
            Kind::Crash => any(|node| node.core.is_some()),
            Kind::Restart => any(|node| node.core.is_none()),
            Kind::Cut => self.nodes.len() > 1,
            Kind::Mend => !self.network.cuts().is_empty(),
            Kind::Wait => any(|node| node.core.as_ref().is_some_and(|core| core.poll_timeout().is_some())),
            Kind::Fetch => !self.fetches.is_empty(),
            Kind::Lie | Kind::Sweep => any(|node| !node.disk.blobs.is_empty()),
            Kind::Destroy => self.names < 8,
            Kind::Hear => self.nodes.values().any(|node| node.view != self.view),
            Kind::Suspend | Kind::Drain | Kind::Move => true,
            Kind::Smuggle => any(|node| node.core.is_some()),
            Kind::Erase => any(|node| !node.disk.rows.is_empty()),
        }
    }

    fn pick(&self, choose: &mut dyn Choose, fits: impl Fn(&Machine) -> bool) -> Option<Name> {
        let fitting: Vec<Name> =
            self.nodes.iter().filter(|(_, node)| fits(node)).map(|(name, _)| *name).collect();
        fitting.get(choose.below(fitting.len())).copied()
    }

    pub(super) fn take_step(&mut self, kind: Kind, choose: &mut dyn Choose) {
        match kind {
            Kind::Write => self.write(Millis(0), choose),
            Kind::Early => {
                let ahead = Millis(u64::try_from(choose.below(60_000)).unwrap_or(0));
                self.write(Hlc::DRIFT_MAX.plus(ahead), choose);
            }
            Kind::Smuggle => self.smuggle(choose),
            Kind::Deliver | Kind::Repeat => {
                if let Some(at) = self.network.pick(choose, self.options.reorder) {
                    self.deliver(at, kind == Kind::Repeat, choose);
                }
            }
            Kind::Lose => {
                if let Some(flight) = self.network.pick(choose, true).and_then(|at| self.network.take(at)) {
                    self.note(
                        flight.to,
                        "lose",
                        format_args!("{} from {}", flight.message.name(), flight.from),
                    );
                }
            }
            Kind::Sync | Kind::Fail => {
                if let Some(name) = self.pick(choose, |node| !node.writes.is_empty()) {
                    self.sync(name, kind == Kind::Fail, choose);
                }
            }
            Kind::Crash => {
                if let Some(name) = self.pick(choose, |node| node.core.is_some()) {
                    self.stop(name, choose);
                }
            }
            Kind::Restart => {
                if let Some(name) = self.pick(choose, |node| node.core.is_none()) {
                    self.start(name, choose);
                }
            }
            Kind::Cut | Kind::Mend => self.relink(kind, choose),
            Kind::Wait => self.wait(choose),
            Kind::Fetch => {
                let at = choose.below(self.fetches.len());
                let breaks = self.options.weights.iter().any(|weight| *weight > 1) && choose.below(8) == 1;
                self.arrive(at, breaks, choose);
            }
            Kind::Lie => self.lie(choose),
            Kind::Destroy => self.destroy(choose),
            Kind::Hear => {
                let view = self.view.clone();
                if let Some(name) = self.pick(choose, |node| node.view != view) {
                    self.hear(name, choose);
                }
            }
            Kind::Suspend => self.suspend(choose),
            Kind::Drain => self.drain(choose),
            Kind::Move => self.relocate(choose),
            Kind::Sweep => self.sweep(choose),
            Kind::Erase => self.erase(choose),
        }
    }

    fn write(&mut self, ahead: Millis, choose: &mut dyn Choose) {
        let Some(name) = self.pick(choose, |node| node.core.is_some()) else { return };
        let Some(bucket) = self.buckets.get(choose.below(self.buckets.len())).copied() else { return };
        let blobs = if bucket == self.view.directory { 0 } else { choose.below(self.options.buckets + 1) };
        let blobs = (0..blobs).map(|_| {
            self.nonce += 1;
            ref_of(BlobName::from_bytes(hash::digest("freehold 2026 sim blob", &self.nonce.to_be_bytes())))
        });
        let blobs: Vec<BlobRef> = blobs.collect();
        let (wall, nonce) = (self.wall().plus(ahead), self.nonce);
        let Some(node) = self.nodes.get_mut(&name) else { return };
        let may = |own| !matches!(own, Own::Stranger | Own::Barred);
        if !node.core.as_ref().is_some_and(|core| may(core.own(&bucket))) {
            return;
        }
        let row = node.draft(wall, bucket, blobs, nonce);
        let detail = format!(
            "{} with {} blobs",
            describe(&super::machine::place_of(&row.entry)),
            row.entry.blobs.len()
        );
        node.writes.push_back(Write::Own(Box::new(row)));
        self.written += 1;
        self.note(name, "write", format_args!("{detail}"));
    }

    /// A member passes on an entry, or tells of entries, whose writer may not write there: nobody
    /// that the realm knows, or a mere store.
    fn smuggle(&mut self, choose: &mut dyn Choose) {
        let (Some(from), Some(to)) =
            (self.pick(choose, |node| node.core.is_some()), self.pick(choose, |node| node.core.is_some()))
        else {
            return;
        };
        let Some(bucket) = self.buckets.get(choose.below(self.buckets.len())).copied() else { return };
        let stores = self.view.nodes.keys().find(|id| !self.view.may_write(&bucket, id));
        let store = stores.and_then(|id| self.ids.get(id)).copied().filter(|_| choose.below(2) == 0);
        let key = key_of(store.unwrap_or(STRANGER));
        let origin = NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap_or_default());
        let message = if choose.below(2) == 0 {
            let chain = minicbor::bytes::ByteArray::from([1; 16]);
            let vector = Vector { bucket, origin, seq: 3, chain, held: 1 };
            Message::Vectors { vectors: Bounded::fill(&mut [vector].into_iter()), whole: false, view: 0 }
        } else {
            let draft = Draft {
                realm: self.view.realm,
                bucket,
                origin,
                seq: 1,
                hlc: Hlc { wall: self.wall(), count: 0 },
                blobs: Bounded::new(),
                payload_hash: payload_hash(b"lie"),
                says: None,
            };
            let row = Row { entry: draft.sign(&key), payload: Some(b"lie".to_vec().into()) };
            Message::Entries { rows: Bounded::fill(&mut [row].into_iter()) }
        };
        self.note(from, "smuggle", format_args!("{} of {} to {to}", message.name(), origin.short()));
        self.network.send(from, to, message);
    }

    fn relink(&mut self, kind: Kind, choose: &mut dyn Choose) {
        if kind == Kind::Mend {
            let cuts = self.network.cuts();
            if let Some((a, b)) = cuts.get(choose.below(cuts.len())).copied() {
                self.note(a, "mend", format_args!("to {b}"));
                self.network.mend(a, b);
                self.connect_all(choose);
            }
        } else if let (Some(a), Some(b)) = (self.pick(choose, |_| true), self.pick(choose, |_| true))
            && a != b
        {
            self.note(a, "cut", format_args!("from {b}"));
            self.network.cut(a, b);
            self.part(a, b, choose);
        }
    }

    /// A disk flips or loses a blob and says nothing; not the last good copy, of which nothing
    /// could be said afterwards.
    fn lie(&mut self, choose: &mut dyn Choose) {
        let Some(name) = self.pick(choose, |node| !node.disk.blobs.is_empty()) else { return };
        let Some(node) = self.nodes.get(&name) else { return };
        let Some(blob) = node.disk.blobs.keys().nth(choose.below(node.disk.blobs.len())).copied() else {
            return;
        };
        let good = |(other, node): (&Name, &Machine)| {
            *other != name && node.disk.blobs.get(&blob) == Some(&Health::Good)
        };
        if !self.nodes.iter().any(good) {
            return;
        }
        let flips = choose.below(2) == 0;
        if let Some(node) = self.nodes.get_mut(&name) {
            if flips {
                node.disk.blobs.insert(blob, Health::Flipped);
            } else {
                node.disk.blobs.remove(&blob);
                self.lied.insert((name, blob));
            }
        }
        self.acknowledged.excuse(name, &blob);
        self.note(name, "lie", format_args!("{} {}", blob.short(), if flips { "flipped" } else { "lost" }));
    }

    fn destroy(&mut self, choose: &mut dyn Choose) {
        let Some(name) = self.pick(choose, |_| true) else { return };
        self.acknowledged.destroyed(name);
        self.stop(name, choose);
        self.nodes.remove(&name);
        let id = self.id(name);
        let stores = self.view.nodes.remove(&id).is_none_or(|node| node.stores);
        let writes = self.view.writers.contains(&id);
        let new = Name(self.names);
        self.admit(new, stores, writes);
        self.found(new, Millis(0), choose);
    }

    fn suspend(&mut self, choose: &mut dyn Choose) {
        if let Some(node) = self.view.nodes.values_mut().find(|node| node.suspended) {
            node.suspended = false;
        } else if let Some(name) = self.pick(choose, |_| true)
            && let Some(node) = self.keys.get(&name).and_then(|id| self.view.nodes.get_mut(id))
        {
            node.suspended = true;
            self.note(name, "suspend", format_args!(""));
        }
    }

    fn drain(&mut self, choose: &mut dyn Choose) {
        if let Some(name) = self.pick(choose, |_| true)
            && let Some(node) = self.keys.get(&name).and_then(|id| self.view.nodes.get_mut(id))
        {
            node.draining = !node.draining;
            let what = if node.draining { "to be emptied" } else { "not to be emptied" };
            self.note(name, "drain", format_args!("{what}"));
        }
    }

    /// Somebody says where a node stands, or where a bucket may lie.
    fn relocate(&mut self, choose: &mut dyn Choose) {
        let region = |choose: &mut dyn Choose| {
            let name = ["DE", "FR", "US", "ZZ"].get(choose.below(4)).copied().unwrap_or("ZZ");
            name.parse::<Region>().unwrap_or_default()
        };
        if choose.below(3) == 0 {
            let at = choose.below(self.view.buckets.len());
            let (zones, never) = (u16::try_from(choose.below(3)).unwrap_or(0), region(choose));
            let Some(bucket) = self.view.buckets.values_mut().nth(at) else { return };
            let never = Bounded::fill(&mut Some(never).filter(|region| region.is_known()).into_iter());
            bucket.regions = Regions { never, ..Regions::default() };
            bucket.zones = zones.min(bucket.copies);
        } else if let Some(name) = self.pick(choose, |_| true) {
            let zone = u8::try_from(choose.below(3)).unwrap_or(0);
            let region = region(choose);
            let node = self.keys.get(&name).and_then(|id| self.view.nodes.get_mut(id));
            if let Some(node) = node {
                (node.zone, node.region) = (ZoneId::from_bytes([zone; 16]), region);
            }
            self.note(name, "move", format_args!("to {region}, zone {zone}"));
        }
    }

    /// A node removes a blob that is not its own to keep.
    fn sweep(&mut self, choose: &mut dyn Choose) {
        let Some(name) = self.pick(choose, |node| node.core.is_some()) else { return };
        let Some(node) = self.nodes.get_mut(&name) else { return };
        let Some(core) = &node.core else { return };
        let careless = self.options.fault == Some(Fault::DrainedEarly) && node.view.is_draining(&node.id);
        let rows = node
            .disk
            .rows
            .values()
            .flat_map(|row| row.entry.blobs.iter().map(|blob| (row.entry.bucket, *blob)));
        let loose: Vec<BlobName> = rows
            .filter(|(bucket, blob)| {
                node.disk.blobs.contains_key(&blob.name) && (careless || !core.keeps(bucket, &blob.name))
            })
            .map(|(_, blob)| blob.name)
            .collect();
        let Some(blob) = loose.get(choose.below(loose.len())).copied() else { return };
        node.disk.blobs.remove(&blob);
        self.note(name, "sweep", format_args!("{}", blob.short()));
        self.wrong = self.wrong.take().or(self.acknowledged.swept(&self.nodes, name, &blob));
        self.hand(name, Input::Lost(ref_of(blob)), choose);
    }

    /// A node erases an entry: it was overwritten, and its key is gone.
    fn erase(&mut self, choose: &mut dyn Choose) {
        let Some(name) = self.pick(choose, |node| !node.disk.rows.is_empty()) else { return };
        let Some(node) = self.nodes.get_mut(&name) else { return };
        let places: Vec<Place> = node.disk.rows.keys().copied().collect();
        let Some(place) = places.get(choose.below(places.len())).copied() else { return };
        if node.erase(&place) {
            self.erased.insert(place);
            self.acknowledged.erased(&place);
            self.note(name, "erase", format_args!("{}", describe(&place)));
            self.hand(name, Input::Erased(place), choose);
        }
    }
}

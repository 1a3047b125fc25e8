//! The second phase: everything works again, and must come right.

use freehold_placement::Input;
use freehold_wire::{BlobName, Millis, Regions};

use super::ReplicaWorld;
use super::check::is_hopeless;
use super::machine::{Health, ref_of};
use crate::{Choose, Name};

/// How long a healed world may take.
const HEAL_MAX: Millis = Millis::from_secs(600);

impl ReplicaWorld {
    pub(super) fn heal_all(&mut self, choose: &mut dyn Choose) -> Result<(), String> {
        self.options.crash_between = 0;
        for (a, b) in self.network.cuts() {
            self.network.mend(a, b);
        }
        for node in self.view.nodes.values_mut() {
            node.suspended = false;
        }
        // Who is to be emptied stays so where there are others; else nothing could come right.
        if self.view.buckets.keys().any(|bucket| self.view.lack(bucket).is_some()) {
            for node in self.view.nodes.values_mut() {
                node.draining = false;
            }
            for bucket in self.view.buckets.values_mut() {
                (bucket.zones, bucket.regions) = (0, Regions::default());
            }
        }
        for name in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.hear(name, choose);
            if self.nodes.get(&name).is_some_and(|node| node.core.is_none()) {
                self.start(name, choose);
            }
        }
        self.connect_all(choose);
        // What was dated into the future is a minute from being due at most.
        let until = self.now.plus(HEAL_MAX);
        while self.now < until && self.wrong.is_none() {
            self.trace.step();
            let writing = self.nodes.iter().find(|(_, node)| !node.writes.is_empty()).map(|(name, _)| *name);
            if !self.network.flights.is_empty() {
                self.deliver(0, false, choose);
            } else if let Some(name) = writing {
                self.sync(name, false, choose);
            } else if !self.fetches.is_empty() {
                self.arrive(0, false, choose);
            } else if !self.scrub(choose) {
                match self.unhealed() {
                    None => return Ok(()),
                    Some(_) => self.wait(choose),
                }
            }
        }
        Err(format!("{HEAL_MAX} after everything was healed: {}", self.unhealed().unwrap_or_default()))
    }

    /// Looks at every blob, and erases what was erased anywhere; whether that found anything.
    fn scrub(&mut self, choose: &mut dyn Choose) -> bool {
        for place in self.erased.clone() {
            for name in self.nodes.keys().copied().collect::<Vec<_>>() {
                if self.nodes.get_mut(&name).is_some_and(|node| node.erase(&place)) {
                    self.hand(name, Input::Erased(place), choose);
                    return true;
                }
            }
        }
        let bad: Option<(Name, BlobName)> = self.nodes.iter().find_map(|(name, node)| {
            let (blob, _) = node.disk.blobs.iter().find(|(_, health)| **health == Health::Flipped)?;
            Some((*name, *blob))
        });
        let bad = bad.or_else(|| self.lied.pop_first());
        if let Some((name, blob)) = bad {
            self.lose_blob(name, blob, choose);
        }
        bad.is_some()
    }

    /// A blob is found to be bad or missing.
    pub(super) fn lose_blob(&mut self, name: Name, blob: BlobName, choose: &mut dyn Choose) {
        let Some(node) = self.nodes.get_mut(&name) else { return };
        if node.disk.blobs.get(&blob) != Some(&Health::Good) {
            node.disk.blobs.remove(&blob);
            self.note(name, "find", format_args!("{} is bad", blob.short()));
            self.hand(name, Input::Lost(ref_of(blob)), choose);
        }
    }

    fn unhealed(&self) -> Option<String> {
        let mut streams = self.nodes.iter().map(|(name, node)| (name, node.disk.rows.values()));
        let (_, first) = streams.next()?;
        let first: Vec<_> = first.map(|row| row.entry.id()).collect();
        for (name, rows) in streams {
            if !rows.map(|row| row.entry.id()).eq(first.iter().copied()) {
                return Some(format!("{name} has other entries than the first node"));
            }
        }
        self.acknowledged.missing(&self.nodes).or_else(|| self.unprotected()).or_else(|| self.burdened())
    }

    /// Nothing depends on a node that is to be emptied.
    fn burdened(&self) -> Option<String> {
        self.nodes.iter().find_map(|(name, node)| {
            let core = node.core.as_ref()?;
            let draining = self.view.draining().find(|id| core.burden(id).entries > 0)?;
            Some(format!("{name} says that {:?} depends on {}", core.burden(&draining), draining.short()))
        })
    }

    /// Every replica says full protection, but for what no node has any more.
    fn unprotected(&self) -> Option<String> {
        self.nodes.iter().find_map(|(name, node)| {
            let core = node.core.as_ref()?;
            self.buckets.iter().find_map(|bucket| {
                let rows = node.disk.rows.values().filter(|row| row.entry.bucket == *bucket);
                let live = rows.filter(|row| row.payload.is_some());
                let hopeless = live.filter(|row| is_hopeless(&self.nodes, &row.entry)).count();
                let told = core.protection(bucket);
                let short = told.partly + told.nowhere;
                (u64::try_from(hopeless) != Ok(short))
                    .then(|| format!("{name} says {told:?} of {}, but {hopeless} are lost", bucket.short()))
            })
        })
    }
}

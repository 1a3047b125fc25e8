//! A machine with a replica: its disk, and the shell around the core.

use std::collections::{BTreeMap, VecDeque};

use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_placement::{
    BlobRef, Draft, Entry, Input, Load, Place, Replica, Row, Ticket, View, payload_hash,
};
use freehold_wire::{BlobName, Bounded, BucketId, Digest, Hlc, Millis, NodeId};

use crate::Name;

/// Whether a blob on a disk is what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    Flipped,
}

/// What is durable.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) rows: BTreeMap<Place, Row>,
    pub(crate) blobs: BTreeMap<BlobName, Health>,
}

/// A write that is not durable yet.
#[derive(Debug)]
pub(crate) enum Write {
    /// Entries of others.
    Rows(Ticket, Vec<Row>),
    /// An entry of this node, whose blobs are in the depot.
    Own(Box<Row>),
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: NodeId,
    key: SigningKey,
    pub(crate) clock: Millis,
    pub(crate) disk: Disk,
    pub(crate) writes: VecDeque<Write>,
    /// The realm as this node knows it.
    pub(crate) view: View,
    /// Nothing while it is stopped.
    pub(crate) core: Option<Replica>,
}

pub(crate) fn place_of(entry: &Entry) -> Place {
    Place { bucket: entry.bucket, origin: entry.origin, seq: entry.seq }
}

/// A blob as its entry names it, in a world where the name says it all.
pub(crate) const fn ref_of(name: BlobName) -> BlobRef {
    BlobRef { name, len: 100, hash: Digest::from_bytes(*name.as_bytes()) }
}

pub(crate) fn key_of(name: Name) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([name.0.wrapping_add(1); 32]))
}

pub(crate) fn id_of(name: Name) -> NodeId {
    NodeId::from_bytes(key_of(name).verifying().ed25519_bytes().unwrap_or_default())
}

impl Machine {
    pub(crate) fn new(name: Name, clock: Millis, view: View) -> Self {
        let (disk, writes) = (Disk::default(), VecDeque::new());
        Self { id: id_of(name), key: key_of(name), clock, disk, writes, view, core: None }
    }

    /// Starts the core from what is on the disk.
    pub(crate) fn start(&mut self, now: Millis) {
        let mut core = Replica::new(self.id, self.view.clone());
        for row in self.disk.rows.values() {
            let len = row.payload.as_ref().map(|payload| payload.len());
            // A flipped blob looks like a good one.
            core.restore(now.plus(self.clock), &row.entry, len, &mut |blob| {
                self.disk.blobs.contains_key(&blob.name)
            });
        }
        self.core = Some(core);
    }

    /// Whether an entry is durable here with its payload and good blobs.
    pub(crate) fn holds(&self, place: &Place) -> bool {
        let good = |blob: &BlobRef| self.disk.blobs.get(&blob.name) == Some(&Health::Good);
        self.disk.rows.get(place).is_some_and(|row| row.payload.is_none() || row.entry.blobs.iter().all(good))
    }

    /// Signs the next entry of this node.
    pub(crate) fn draft(&self, wall: Millis, bucket: BucketId, blobs: Vec<BlobRef>, nonce: u64) -> Row {
        let stored = self.disk.rows.keys().filter(|place| (place.bucket, place.origin) == (bucket, self.id));
        let queued = self.writes.iter().filter_map(|write| match write {
            Write::Own(row) if row.entry.bucket == bucket => Some(row.entry.seq),
            _ => None,
        });
        let seq = stored.map(|place| place.seq).chain(queued).max().unwrap_or(0) + 1;
        let payload = nonce.to_be_bytes().to_vec();
        let draft = Draft {
            realm: self.view.realm,
            bucket,
            origin: self.id,
            seq,
            hlc: Hlc { wall, count: 0 },
            blobs: Bounded::fill(&mut blobs.into_iter()),
            payload_hash: payload_hash(&payload),
            says: None,
        };
        Row { entry: draft.sign(&self.key), payload: Some(payload.into()) }
    }

    /// Makes the oldest write durable; what the core is to be told.
    pub(crate) fn sync(&mut self) -> Option<Input> {
        match self.writes.pop_front()? {
            Write::Rows(ticket, rows) => {
                for row in rows {
                    self.disk.rows.entry(place_of(&row.entry)).or_insert(row);
                }
                Some(Input::Stored(ticket))
            }
            Write::Own(row) => {
                for blob in &row.entry.blobs {
                    self.disk.blobs.insert(blob.name, Health::Good);
                }
                self.disk.rows.insert(place_of(&row.entry), (*row).clone());
                let Row { entry, payload } = *row;
                Some(Input::Wrote(Box::new(entry), payload.map(Into::into).unwrap_or_default()))
            }
        }
    }

    /// The oldest write fails; what the core is to be told, which knows only of those it asked for.
    pub(crate) fn fail(&mut self) -> Option<Input> {
        match self.writes.pop_front()? {
            Write::Rows(ticket, _) => Some(Input::StoreFailed(ticket)),
            Write::Own(failed) => {
                // Later ones of the stream were numbered after it, and fail with it.
                self.writes.retain(
                    |write| !matches!(write, Write::Own(row) if row.entry.bucket == failed.entry.bucket),
                );
                None
            }
        }
    }

    pub(crate) fn load(&self, load: &Load) -> Vec<Row> {
        let last = Place { seq: u64::MAX, ..load.first };
        self.disk.rows.range(load.first..=last).take(load.count).map(|(_, row)| row.clone()).collect()
    }

    /// Erases the payload of an entry and removes its blobs.
    pub(crate) fn erase(&mut self, place: &Place) -> bool {
        let Some(row) = self.disk.rows.get_mut(place).filter(|row| row.payload.is_some()) else {
            return false;
        };
        row.payload = None;
        for blob in &row.entry.blobs {
            self.disk.blobs.remove(&blob.name);
        }
        true
    }
}

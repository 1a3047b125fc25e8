//! The journal of a backend's node: what it knows (the realm's operations, and the entries of all
//! buckets), kept on its store beside the blobs, so that the store and two guardians' phrases are
//! enough to be that node again. It is a set of parts. A part holds facts that are true by
//! themselves (an operation and an entry are signed and numbered), so parts may be lost, repeated and
//! added up in any order: what comes out is what the node knew, or less.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::Secret;
use freehold_crypt::hash::digest;
use freehold_disk::EntryRow;
use freehold_wire::{BlobName, Bounded, BucketId, DecodeError, NodeId, OpId, from_canonical, to_canonical};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// A part is full when it has so many bytes; a single entry may be longer.
const FULL: usize = 1 << 20;
/// No part is longer.
const PART_MAX: usize = 64 << 20;
/// Operations, and entries, of one part.
const MOST: usize = 16 << 10;
/// Of each row, beside its bytes.
const ROW: usize = 96;

/// A part of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Part {
    /// Recoveries of the realm that have waited long enough for this node.
    #[n(0)]
    matured: Bounded<OpId, 1024>,
    #[n(1)]
    ops: Bounded<OpRow, MOST>,
    #[n(2)]
    rows: Bounded<Row, MOST>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct OpRow {
    #[n(0)]
    id: OpId,
    #[n(1)]
    bytes: ByteVec,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Row {
    #[n(0)]
    bucket: BucketId,
    #[n(1)]
    origin: NodeId,
    #[n(2)]
    seq: u64,
    #[n(3)]
    entry: ByteVec,
    #[n(4)]
    payload: Option<ByteVec>,
}

impl Part {
    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`DecodeError`] if this is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, PART_MAX)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.rows.is_empty() && self.matured.is_empty()
    }
}

/// Makes parts of what there is to say.
#[derive(Debug, Default)]
pub struct Cutter {
    ops: Vec<OpRow>,
    rows: Vec<Row>,
    len: usize,
}

impl Cutter {
    /// Adds an operation of the realm's log; gives out what is full.
    pub fn op(&mut self, id: OpId, bytes: Vec<u8>) -> Option<Part> {
        self.len = self.len.saturating_add(bytes.len()).saturating_add(ROW);
        self.ops.push(OpRow { id, bytes: bytes.into() });
        self.full()
    }

    /// Adds an entry; gives out what is full.
    pub fn entry(&mut self, row: EntryRow) -> Option<Part> {
        let EntryRow { bucket, origin, seq, entry, payload } = row;
        let len = entry.len().saturating_add(payload.as_ref().map_or(0, Vec::len));
        self.len = self.len.saturating_add(len).saturating_add(ROW);
        let (entry, payload) = (entry.into(), payload.map(Into::into));
        self.rows.push(Row { bucket, origin, seq, entry, payload });
        self.full()
    }

    fn full(&mut self) -> Option<Part> {
        let full = self.len >= FULL || self.ops.len() >= MOST || self.rows.len() >= MOST;
        full.then(|| self.finish(&BTreeSet::new()))
    }

    /// The rest, with the recoveries that have matured.
    pub fn finish(&mut self, matured: &BTreeSet<OpId>) -> Part {
        self.len = 0;
        Part {
            matured: Bounded::fill(&mut matured.iter().copied()),
            // Nobody adds more than fits.
            ops: Bounded::fill(&mut std::mem::take(&mut self.ops).into_iter()),
            rows: Bounded::fill(&mut std::mem::take(&mut self.rows).into_iter()),
        }
    }
}

type Stream = (BucketId, NodeId);
/// An entry, and its payload unless that was erased.
type Kept = (Vec<u8>, Option<Vec<u8>>);

/// What the parts of a journal add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    matured: BTreeSet<OpId>,
    ops: BTreeMap<OpId, Vec<u8>>,
    rows: BTreeMap<Stream, BTreeMap<u64, Kept>>,
}

impl Sum {
    /// Adds the next part in the order of their numbers. Of an operation the later one has more
    /// signatures; of an entry the first counts, and its payload is there if the later one has it: it
    /// may have been erased.
    pub fn add(&mut self, part: Part) {
        self.matured.extend(part.matured);
        self.ops.extend(part.ops.into_iter().map(|op| (op.id, op.bytes.into())));
        for row in part.rows {
            let stream = self.rows.entry((row.bucket, row.origin)).or_default();
            let payload = row.payload.map(Into::into);
            match stream.get_mut(&row.seq) {
                None => drop(stream.insert(row.seq, (row.entry.into(), payload))),
                Some(known) if known.0 == *row.entry => known.1 = payload,
                Some(_) => {}
            }
        }
    }

    /// Recoveries that have matured.
    pub const fn matured(&self) -> &BTreeSet<OpId> {
        &self.matured
    }

    /// The operations.
    pub const fn ops(&self) -> &BTreeMap<OpId, Vec<u8>> {
        &self.ops
    }

    /// The entries that follow one another without a gap from the first of each origin, and how many
    /// beyond a gap are left out: a node that held those would never ask for what is missing.
    pub fn entries(&self) -> (impl Iterator<Item = EntryRow>, u64) {
        let whole = |rows: &BTreeMap<u64, _>| {
            (1u64..).zip(rows.keys()).take_while(|(expected, seq)| expected == *seq).count()
        };
        let beyond: usize = self.rows.values().map(|rows| rows.len() - whole(rows)).sum();
        let entries = self.rows.iter().flat_map(move |((bucket, origin), rows)| {
            let row = |(seq, (entry, payload)): (&u64, &Kept)| EntryRow {
                bucket: *bucket,
                origin: *origin,
                seq: *seq,
                entry: entry.clone(),
                payload: payload.clone(),
            };
            rows.iter().take(whole(rows)).map(row)
        });
        (entries, beyond as u64)
    }
}

/// The names of a backend's parts among its blobs: all begin alike, then comes the number, then what
/// was drawn by lot, since two who write at once must not take each other's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartNames([u8; 16]);

impl PartNames {
    pub(crate) fn of(key: &Secret) -> Self {
        let all = digest("freehold 2026 backend journal", key.expose());
        Self(all.first_chunk().copied().unwrap_or_default())
    }

    pub(crate) fn name(self, number: u64, lot: [u8; 8]) -> BlobName {
        let mut name = [0; 32];
        let parts = self.0.into_iter().chain(number.to_be_bytes()).chain(lot);
        name.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        BlobName::from_bytes(name)
    }

    /// The number in a name; `None` if it is no part's.
    pub(crate) fn number(self, name: &BlobName) -> Option<u64> {
        let rest = name.as_bytes().strip_prefix(&self.0)?;
        rest.first_chunk().copied().map(u64::from_be_bytes)
    }
}

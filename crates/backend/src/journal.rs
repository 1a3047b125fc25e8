//! The journal of a backend's node: what it knows (the realm's operations, and the entries of all
//! buckets), kept on its store beside the blobs, so that the store and two guardians' phrases are
//! enough to be that node again. It is a set of parts. A part holds facts that are true by
//! themselves (an operation and an entry are signed and numbered), so parts may be lost and repeated:
//! what comes out is what the node knew, or less. Each names the one before it, and the letter the last: so
//! it shows when some are missing.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::Secret;
use freehold_crypt::hash::digest;
use freehold_disk::EntryRow;
use freehold_wire::{
    BlobName, Bounded, BucketId, DecodeError, Digest, NodeId, OpId, from_canonical, to_canonical,
};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// A part is full when it has so many bytes; a single entry may be longer.
const FULL: usize = 1 << 20;
/// No part is longer.
const PART_MAX: usize = 64 << 20;
/// Operations, and entries, of one part.
const MOST: usize = 16 << 10;
/// All operations together have no more bytes: they are read into memory.
const OPS_MAX: usize = 1 << 30;
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
    /// The part that was told before it, by its hash; none of the first when all is told anew.
    #[n(3)]
    after: Option<Digest>,
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

    /// How the part after it names it, from its bytes.
    pub fn hash(bytes: &[u8]) -> Digest {
        Digest::from_bytes(digest("freehold 2026 backend journal part", bytes))
    }

    /// The same as the one told after another.
    #[must_use]
    pub fn after(self, before: Option<Digest>) -> Self {
        Self { after: before, ..self }
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
            after: None,
        }
    }
}

type Stream = (BucketId, NodeId);

/// A part does not count.
#[derive(Debug, thiserror::Error)]
pub enum SumError {
    /// It is none.
    #[error("a part of the journal is damaged")]
    Damaged(#[from] DecodeError),
    /// The realm's log would not fit into this machine.
    #[error("the log in the journal is longer than {} MiB, more than a realm's ever is", OPS_MAX >> 20)]
    TooMuch,
}

/// What the parts of a journal add up to. Entries go to whoever adds: there may be millions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    matured: BTreeSet<OpId>,
    ops: BTreeMap<OpId, Vec<u8>>,
    /// Bytes of all operations that came.
    len: usize,
    /// The last entry of each origin in each bucket.
    lasts: BTreeMap<Stream, u64>,
    left_out: u64,
    /// The parts that came, with the one before each.
    links: BTreeMap<Digest, Option<Digest>>,
}

impl Sum {
    /// Adds the next part in the order of their numbers, and gives out its entries: those that follow
    /// one another without a gap from the first of each origin (a node that held those beyond a gap would
    /// never ask for what is missing), and those that came already, whose payload was erased since if
    /// there is none now. Of an operation the later one counts, which has more signatures.
    ///
    /// # Errors
    /// [`SumError`]; the part then says nothing.
    pub fn add(
        &mut self,
        bytes: &[u8],
        mut stands: impl FnMut(&EntryRow) -> bool,
    ) -> Result<Vec<EntryRow>, SumError> {
        let part = Part::from_bytes(bytes)?;
        let ops = part.ops.iter().map(|op| op.bytes.len().saturating_add(ROW));
        self.len = ops.fold(self.len, usize::saturating_add);
        if self.len > OPS_MAX {
            return Err(SumError::TooMuch);
        }
        self.links.insert(Part::hash(bytes), part.after);
        self.matured.extend(part.matured);
        self.ops.extend(part.ops.into_iter().map(|op| (op.id, op.bytes.into())));
        let mut rows = Vec::new();
        for row in part.rows {
            let Row { bucket, origin, seq, entry, payload } = row;
            let row = EntryRow { bucket, origin, seq, entry: entry.into(), payload: payload.map(Into::into) };
            let last = self.lasts.get(&(bucket, origin)).copied().unwrap_or(0);
            if seq == 0 || seq > last.saturating_add(1) || !stands(&row) {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            }
            self.lasts.insert((bucket, origin), seq.max(last));
            rows.push(row);
        }
        Ok(rows)
    }

    /// Recoveries that have matured, by the node's own word.
    pub const fn matured(&self) -> &BTreeSet<OpId> {
        &self.matured
    }

    /// The operations.
    pub const fn ops(&self) -> &BTreeMap<OpId, Vec<u8>> {
        &self.ops
    }

    /// Who wrote the entries.
    pub fn origins(&self) -> BTreeSet<NodeId> {
        self.lasts.keys().map(|(_, origin)| *origin).collect()
    }

    /// Entries that were left out, since one before them is missing or they do not stand.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether this part is here, and every one before it.
    pub fn is_whole(&self, last: &Digest) -> bool {
        let mut at = Some(*last);
        while let Some(part) = at {
            match self.links.get(&part) {
                Some(before) => at = *before,
                None => return false,
            }
        }
        true
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

//! One origin's entries in one bucket, as much of them as stays in memory.

use std::collections::BTreeMap;

use freehold_crypt::hash::Hasher;
use freehold_wire::{BucketId, EntryId, Hlc, NodeId};

use crate::bits::Bits;
use crate::message::Chain;
use crate::{BlobRef, Entry};

/// How many nodes hold an entry, as people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// As many as the bucket asks for.
    Full,
    /// Some.
    Partly,
    /// Nobody that counts.
    Nowhere,
    /// Its payload was erased: there is nothing to hold.
    Erased,
}

impl Class {
    /// Whether copies are missing.
    pub(crate) const fn is_short(self) -> bool {
        matches!(self, Self::Partly | Self::Nowhere)
    }
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: EntryId,
    pub(crate) chain: Chain,
    pub(crate) hlc: Hlc,
    pub(crate) class: Class,
    /// How many that count hold it.
    pub(crate) copies: u16,
    /// Bytes of the payload; none if it was erased.
    pub(crate) payload_len: Option<u32>,
    pub(crate) blobs: Box<[BlobRef]>,
}

impl Record {
    /// Bytes of its blobs.
    pub(crate) fn bytes(&self) -> u64 {
        self.blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.len))
    }

    /// About how long it is in a message.
    pub(crate) fn message_len(&self) -> usize {
        400 + self.blobs.len() * 80
            + self.payload_len.map_or(0, |len| usize::try_from(len).unwrap_or(usize::MAX))
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) bucket: BucketId,
    pub(crate) origin: NodeId,
    /// Stands for bucket and origin where space counts.
    pub(crate) number: u32,
    records: Vec<Record>,
    /// Before this number no entry is short of copies.
    short_from: u64,
    /// Entries held here with all their blobs.
    pub(crate) mine: Bits,
    /// The same of others, as they told.
    pub(crate) held: BTreeMap<NodeId, Bits>,
    /// The last number handed out to be stored.
    pub(crate) storing: u64,
    /// A number that stands on two different entries: nothing is added from then on.
    pub(crate) fork: Option<u64>,
}

impl Stream {
    pub(crate) const fn new(bucket: BucketId, origin: NodeId, number: u32) -> Self {
        Self {
            bucket,
            origin,
            number,
            records: Vec::new(),
            short_from: 1,
            mine: Bits::new(),
            held: BTreeMap::new(),
            storing: 0,
            fork: None,
        }
    }

    /// The last number here, and durable.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.records.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn record(&self, seq: u64) -> Option<&Record> {
        self.records.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    pub(crate) fn record_mut(&mut self, seq: u64) -> Option<&mut Record> {
        self.records.get_mut(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, &Record)> {
        (1..=self.len()).zip(&self.records)
    }

    /// Sets how many nodes hold an entry; says what it was before.
    pub(crate) fn classify(&mut self, seq: u64, (class, copies): (Class, u16)) -> Option<(Class, u16)> {
        let record = self.record_mut(seq)?;
        let before = (record.class, record.copies);
        (record.class, record.copies) = (class, copies);
        if class.is_short() {
            self.short_from = self.short_from.min(seq);
        }
        while self.record(self.short_from).is_some_and(|record| !record.class.is_short()) {
            self.short_from = self.short_from.saturating_add(1);
        }
        Some(before)
    }

    /// The first entry that is short of copies, known without looking at all.
    pub(crate) fn first_short(&self) -> Option<&Record> {
        debug_assert_eq!(
            self.records().find(|(_, record)| record.class.is_short()).map(|(seq, _)| seq),
            Some(self.short_from).filter(|seq| *seq <= self.len()),
        );
        self.record(self.short_from)
    }

    /// Entries that are short of copies.
    pub(crate) fn short_records(&self) -> impl Iterator<Item = (u64, &Record)> {
        let first = usize::try_from(self.short_from.saturating_sub(1)).unwrap_or(usize::MAX);
        self.records().skip(first).filter(|(_, record)| record.class.is_short())
    }

    /// The history up to a number.
    pub(crate) fn chain(&self, seq: u64) -> Option<Chain> {
        if seq == 0 { Some([0; 16].into()) } else { self.record(seq).map(|record| record.chain) }
    }

    /// Adds the next entry, which is durable; `false` if it is not the next.
    pub(crate) fn push(&mut self, entry: &Entry, payload_len: Option<usize>) -> bool {
        let len = self.len();
        if entry.seq != len.saturating_add(1) {
            return false;
        }
        let Some(before) = self.chain(len) else { return false };
        let id = entry.id();
        self.records.push(Record {
            id,
            chain: link(&before, &id),
            hlc: entry.hlc,
            class: Class::Erased,
            copies: 0,
            payload_len: payload_len.map(|len| u32::try_from(len).unwrap_or(u32::MAX)),
            blobs: entry.blobs.iter().copied().collect(),
        });
        self.storing = self.storing.max(entry.seq);
        true
    }
}

fn link(before: &Chain, id: &EntryId) -> Chain {
    let digest =
        Hasher::new("freehold 2026 entry chain").update(before.as_slice()).update(id.as_bytes()).finish();
    digest.first_chunk::<16>().copied().unwrap_or_default().into()
}

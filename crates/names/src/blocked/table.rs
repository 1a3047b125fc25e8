//! A set of numbers in buckets of eight, one cache line each; a full bucket runs over into the next.
//! What belongs to a number is kept apart, where only a hit looks.

use crate::suffix::Suffixes;

const WIDTH: usize = 8;
/// Buckets are filled to four fifths: one in five runs over.
const FILLED: usize = 4;
const OF: usize = 5;

/// The lists that have a name, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Member {
    pub(super) exact: u32,
    pub(super) under: u32,
}

/// From the first slot on; zero is an empty one.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([u64; WIDTH]);

#[derive(Default)]
pub(super) struct Table {
    buckets: Vec<Bucket>,
    numbers: Vec<[u16; WIDTH]>,
    len: usize,
    /// How many labels the names have, one bit each: other suffixes need not be looked for.
    depths: u128,
}

impl Table {
    pub(super) fn with_room(names: usize) -> Self {
        let mut table = Self::default();
        if names > 0 {
            table.resize(buckets_for(names));
        }
        table
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>() + self.numbers.capacity() * size_of::<[u16; WIDTH]>()
    }

    /// The shortest suffix with a rule of these lists.
    pub(super) fn hit(&self, name: &Suffixes, lists: u32, members: &[Member]) -> Option<super::Hit> {
        if self.len == 0 {
            return None;
        }
        for (index, hash) in name.hashes().iter().enumerate() {
            let depth = index + 1;
            if self.depths & (1 << depth) == 0 {
                continue;
            }
            let Some(number) = self.member(*hash) else { continue };
            let Some(member) = members.get(usize::from(number)) else { continue };
            let exact = if depth == name.depth() { member.exact } else { 0 };
            let lists = (member.under | exact) & lists;
            if lists != 0 {
                return Some(super::Hit { lists, depth });
            }
        }
        None
    }

    /// What belongs to a number.
    pub(super) fn member(&self, hash: u64) -> Option<u16> {
        let (bucket, slot) = self.place(hash).ok()?;
        self.numbers.get(bucket)?.get(slot).copied()
    }

    pub(super) fn put(&mut self, hash: u64, number: u16, depth: usize) {
        self.depths |= 1 << depth;
        if (self.len + 1) * OF > self.buckets.len() * WIDTH * FILLED {
            let grown = self.buckets.len() + self.buckets.len() / 2;
            self.resize(grown.max(buckets_for(self.len + 1)));
        }
        self.set(hash, number);
    }

    /// Gives back what was made ready and not used, unless that is little.
    pub(super) fn shrink(&mut self) {
        let needed = if self.len == 0 { 0 } else { buckets_for(self.len) };
        if self.buckets.len() > needed + needed / 8 {
            self.resize(needed);
        }
    }

    fn set(&mut self, hash: u64, number: u16) {
        let (bucket, slot) = match self.place(hash) {
            Ok(place) => place,
            Err(Some(place)) => {
                self.len += 1;
                place
            }
            Err(None) => return,
        };
        if let Some(kept) = self.buckets.get_mut(bucket).and_then(|bucket| bucket.0.get_mut(slot)) {
            *kept = hash.max(1);
        }
        if let Some(kept) = self.numbers.get_mut(bucket).and_then(|numbers| numbers.get_mut(slot)) {
            *kept = number;
        }
    }

    /// Where a number is, or else where it would go.
    fn place(&self, hash: u64) -> Result<(usize, usize), Option<(usize, usize)>> {
        let hash = hash.max(1);
        let mut at = home(hash, self.buckets.len());
        for _ in 0..self.buckets.len() {
            let Some(Bucket(slots)) = self.buckets.get(at) else { break };
            if let Some(slot) = slots.iter().position(|kept| *kept == hash) {
                return Ok((at, slot));
            }
            let [.., last] = slots;
            if *last == 0 {
                return Err(slots.iter().position(|kept| *kept == 0).map(|slot| (at, slot)));
            }
            at = if at + 1 == self.buckets.len() { 0 } else { at + 1 };
        }
        Err(None)
    }

    fn resize(&mut self, count: usize) {
        let buckets = std::mem::replace(&mut self.buckets, vec![Bucket::default(); count]);
        let numbers = std::mem::replace(&mut self.numbers, vec![[0; WIDTH]; count]);
        self.len = 0;
        for (Bucket(slots), numbers) in buckets.iter().zip(&numbers) {
            for (hash, number) in slots.iter().zip(numbers).filter(|(hash, _)| **hash != 0) {
                self.set(*hash, *number);
            }
        }
    }
}

fn buckets_for(names: usize) -> usize {
    (names * OF).div_ceil(WIDTH * FILLED).max(2)
}

/// The bucket that a number belongs to: its upper half, scaled.
fn home(hash: u64, buckets: usize) -> usize {
    let buckets = u64::try_from(buckets).unwrap_or(u64::MAX) & u64::from(u32::MAX);
    usize::try_from(((hash >> 32) * buckets) >> 32).unwrap_or(0)
}

//! Restores that are tried before anybody needs them. A few files at random, often; everything, once a month. A backup
//! that was never restored is a hope.

use std::collections::BinaryHeap;

use freehold_wire::Millis;

/// How often, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillPlan {
    /// How often a few files are tried.
    pub sample_every: Millis,
    /// How often everything is.
    pub everything_every: Millis,
    /// At most so many files of a sample.
    pub files: usize,
    /// At most so many bytes of a sample; one file is tried in any case.
    pub bytes: u64,
}

impl Default for DrillPlan {
    /// Every day 100 files or 256 MiB, everything every 30 days.
    fn default() -> Self {
        Self {
            sample_every: Millis::from_hours(24),
            everything_every: Millis::from_hours(30 * 24),
            files: 100,
            bytes: 256 << 20,
        }
    }
}

/// What to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drill {
    /// Some files at random.
    Sample,
    /// Everything, into a place for it.
    Everything,
}

/// Which drill is due, if the last ones that succeeded ended at these times and there has been something to restore since
/// `first`. One of everything counts as one of a sample too. Times that lie ahead, by a clock put back, count as never.
pub fn drill_due(
    plan: &DrillPlan,
    first: Millis,
    sample: Option<Millis>,
    everything: Option<Millis>,
    now: Millis,
) -> Option<Drill> {
    let past = |time: Option<Millis>| time.filter(|time| *time <= now);
    let (sample, everything) = (past(sample), past(everything));
    if now.since(everything.unwrap_or(first)) >= plan.everything_every {
        return Some(Drill::Everything);
    }
    match sample.max(everything) {
        Some(last) if now.since(last) < plan.sample_every => None,
        _ => Some(Drill::Sample),
    }
}

/// Draws files from a listing of any length in one pass and in little memory: each file has a number made of the seed and
/// its place, and the lowest numbers win. Each file's chance is the same, whatever its size, as long as its bytes fit.
#[derive(Debug)]
pub struct Sample {
    seed: u64,
    files: usize,
    bytes: u64,
    seen: u64,
    /// The greatest number on top, to be pushed out by a lower one.
    lowest: BinaryHeap<(u64, u64, u64)>,
    /// The smallest file so far, for when no other fits: its size and place.
    smallest: Option<(u64, u64)>,
}

impl Sample {
    /// A sample by this plan. The seed is fresh for each drill: whoever keeps the bytes must not know what is tried.
    pub const fn new(plan: &DrillPlan, seed: u64) -> Self {
        let (files, bytes) = (plan.files, plan.bytes);
        Self { seed, files, bytes, seen: 0, lowest: BinaryHeap::new(), smallest: None }
    }

    /// The next file of the listing, by its size in bytes.
    pub fn offer(&mut self, size: u64) {
        let place = self.seen;
        self.seen += 1;
        if self.smallest.is_none_or(|smallest| (size, place) < smallest) {
            self.smallest = Some((size, place));
        }
        if size > self.bytes {
            return;
        }
        self.lowest.push((mixed(self.seed ^ mixed(place)), place, size));
        if self.lowest.len() > self.files {
            self.lowest.pop();
        }
    }

    /// The places of the files to try, in the order of the listing. Empty only where none was offered.
    pub fn chosen(self) -> Vec<u64> {
        let mut left = self.bytes;
        let mut places = Vec::new();
        for (_, place, size) in self.lowest.into_sorted_vec() {
            if let Some(rest) = left.checked_sub(size) {
                left = rest;
                places.push(place);
            }
        }
        if places.is_empty() {
            places.extend(self.smallest.map(|(_, place)| place));
        }
        places.sort_unstable();
        places
    }
}

/// SplitMix64's last step: a bijection in which each bit depends on all.
const fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

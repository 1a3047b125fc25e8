//! Who has a place at a port. Decisions only: the clock is handed in, and nothing is closed here.
//!
//! A connection rests while no request of it is under way; what has not asked anything yet rests too.
//! Those that rest make room for those that come: first of the source that takes the most. So silent
//! connections shut nobody out, and many sources share the port evenly.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Source;

/// How many places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// For everybody together.
    pub total: usize,
    /// For one source. Many honest clients may share one, behind a NAT or on this machine.
    pub each: usize,
    /// Of all places, those that only this machine may take.
    pub reserve: usize,
    /// How long a connection may rest.
    pub rest: Duration,
}

impl Places {
    /// Half of the places for one source, an eighth in reserve.
    pub const fn of(total: usize, rest: Duration) -> Self {
        Self { total, each: total.div_ceil(2), reserve: total / 8, rest }
    }

    fn open_to(&self, source: Source) -> usize {
        if source == Source::Here { self.total } else { self.total.saturating_sub(self.reserve) }
    }
}

#[derive(Debug)]
struct Place {
    source: Source,
    /// Since when; none while a request is under way.
    resting: Option<Instant>,
}

/// A place that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// Its number, never used again.
    pub place: u64,
    /// Who had to go for it.
    pub instead_of: Option<u64>,
}

/// The places of one port.
#[derive(Debug)]
pub struct Table {
    places: Places,
    taken: BTreeMap<u64, Place>,
    next: u64,
}

impl Table {
    /// All free.
    pub const fn new(places: Places) -> Self {
        Self { places, taken: BTreeMap::new(), next: 0 }
    }

    /// Takes a place; none if all that this source might have are busy.
    pub fn enter(&mut self, source: Source, now: Instant) -> Option<Entered> {
        let own = self.taken.values().filter(|place| place.source == source).count();
        let instead_of = if own >= self.places.each {
            Some(self.longest_resting(source)?)
        } else if self.taken.len() >= self.places.open_to(source) {
            Some(self.least_missed()?)
        } else {
            None
        };
        if let Some(place) = instead_of {
            self.taken.remove(&place);
        }
        let place = self.next;
        self.next += 1;
        self.taken.insert(place, Place { source, resting: Some(now) });
        Some(Entered { place, instead_of })
    }

    /// A request is under way.
    pub fn work(&mut self, place: u64) {
        if let Some(place) = self.taken.get_mut(&place) {
            place.resting = None;
        }
    }

    /// No request is under way any more.
    pub fn rest(&mut self, place: u64, now: Instant) {
        if let Some(place) = self.taken.get_mut(&place) {
            place.resting = Some(now);
        }
    }

    /// When this one has rested for too long, if it rests.
    pub fn rests_until(&self, place: u64) -> Option<Instant> {
        self.taken.get(&place).and_then(|place| place.resting).map(|since| since + self.places.rest)
    }

    /// The place is free again.
    pub fn leave(&mut self, place: u64) {
        self.taken.remove(&place);
    }

    /// How many are taken.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether none is taken.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    fn longest_resting(&self, source: Source) -> Option<u64> {
        let resting = self.taken.iter().filter(|(_, place)| place.source == source);
        let resting = resting.filter_map(|(number, place)| Some((place.resting?, *number)));
        resting.min().map(|(_, number)| number)
    }

    /// Of the source that takes the most places, among those of which one rests, the one that has
    /// rested longest.
    fn least_missed(&self) -> Option<u64> {
        let mut sources: BTreeMap<Source, (usize, bool)> = BTreeMap::new();
        for place in self.taken.values() {
            let (taken, rests) = sources.entry(place.source).or_default();
            *taken += 1;
            *rests |= place.resting.is_some();
        }
        let most = sources.iter().filter(|(_, (_, rests))| *rests).max_by_key(|(_, (taken, _))| *taken);
        most.and_then(|(source, _)| self.longest_resting(*source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    fn table() -> Table {
        Table::new(Places { total: 8, each: 4, reserve: 1, rest: REST })
    }

    fn fill(table: &mut Table, source: Source, count: usize, now: Instant) -> Vec<u64> {
        (0..count).map(|_| table.enter(source, now).unwrap().place).collect()
    }

    #[test]
    fn silent_connections_of_one_source_shut_nobody_out() {
        let (mut table, now) = (table(), Instant::now());
        let silent = fill(&mut table, Source::V4([1; 4]), 4, now);
        let next = table.enter(Source::V4([1; 4]), now + REST).unwrap();
        assert_eq!(next.instead_of, silent.first().copied(), "its own longest resting one goes");
        assert_eq!(
            table.enter(Source::V4([2; 4]), now).unwrap().instead_of,
            None,
            "there is room for others"
        );
    }

    #[test]
    fn requests_under_way_are_never_cut_for_a_newcomer() {
        let (mut table, now) = (table(), Instant::now());
        for place in fill(&mut table, Source::V4([1; 4]), 4, now) {
            table.work(place);
        }
        assert_eq!(table.enter(Source::V4([1; 4]), now), None, "the source has its share");
        let resting = fill(&mut table, Source::V4([2; 4]), 3, now);
        assert_eq!(table.enter(Source::V4([3; 4]), now).unwrap().instead_of, resting.first().copied());
    }

    #[test]
    fn the_source_that_takes_most_makes_room() {
        let (mut table, now) = (table(), Instant::now());
        let lone = table.enter(Source::V4([9; 4]), now).unwrap().place;
        let crowd = fill(&mut table, Source::V6(7), 4, now + REST);
        fill(&mut table, Source::V4([2; 4]), 2, now);
        let entered = table.enter(Source::V4([3; 4]), now + REST).unwrap();
        assert_eq!(entered.instead_of, crowd.first().copied());
        assert!(table.rests_until(lone).is_some(), "the one that has rested longest is alone, and stays");
    }

    #[test]
    fn this_machine_has_places_in_reserve() {
        let (mut table, now) = (table(), Instant::now());
        for source in [1, 2] {
            for place in fill(&mut table, Source::V6(source), if source == 1 { 4 } else { 3 }, now) {
                table.work(place);
            }
        }
        assert_eq!(table.enter(Source::V6(3), now), None);
        assert_eq!(table.enter(Source::Here, now).unwrap().instead_of, None);
    }

    #[test]
    fn a_place_is_free_again_and_a_rest_has_an_end() {
        let (mut table, now) = (table(), Instant::now());
        let place = table.enter(Source::Here, now).unwrap().place;
        assert_eq!(table.rests_until(place), Some(now + REST));
        table.work(place);
        assert_eq!(table.rests_until(place), None);
        table.rest(place, now + REST);
        assert_eq!(table.rests_until(place), Some(now + REST + REST));
        table.leave(place);
        assert!(table.is_empty() && table.rests_until(place).is_none());
    }
}

//! How much was asked, hour by hour and group by group. Which names, only if somebody has asked for
//! that: then the most frequent of the last day, in memory and nowhere else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freehold_wire::Millis;

use crate::domain::Domain;

/// Hours that are kept, this one included.
const HOURS: usize = 24;
/// Groups that are told apart; further ones count as the last.
const GROUPS_MAX: usize = 256;
/// Names of an hour that are told apart.
const NAMES_MAX: usize = 256;
const HOUR: u64 = 3_600_000;

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered from rows.
    Local,
    /// Blocked, or refused at this hour.
    Blocked,
    /// Answered with another name.
    Rewritten,
    /// Answered from the cache.
    Cached,
    /// Answered by others.
    Asked,
    /// Not answered, or not to be verified.
    Failed,
}

/// How often each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// From rows.
    pub local: u64,
    /// Blocked.
    pub blocked: u64,
    /// With another name.
    pub rewritten: u64,
    /// From the cache.
    pub cached: u64,
    /// By others.
    pub asked: u64,
    /// Not at all.
    pub failed: u64,
}

impl Counts {
    /// All together.
    pub fn total(&self) -> u64 {
        [self.local, self.blocked, self.rewritten, self.cached, self.asked, self.failed].iter().sum()
    }

    fn of(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Local => &mut self.local,
            Outcome::Blocked => &mut self.blocked,
            Outcome::Rewritten => &mut self.rewritten,
            Outcome::Cached => &mut self.cached,
            Outcome::Asked => &mut self.asked,
            Outcome::Failed => &mut self.failed,
        }
    }

    fn add(&mut self, other: &Self) {
        self.local += other.local;
        self.blocked += other.blocked;
        self.rewritten += other.rewritten;
        self.cached += other.cached;
        self.asked += other.asked;
        self.failed += other.failed;
    }
}

/// The most frequent names of many, within bounds (space saving, Metwally et al., 2005): a newcomer
/// takes the place and the count of the least frequent, so a frequent one is never missed, and no count
/// is too low.
#[derive(Debug, Clone, Default)]
struct Frequent {
    counts: BTreeMap<Domain, u64>,
    order: BTreeSet<(u64, Domain)>,
}

impl Frequent {
    fn add(&mut self, name: &Domain) {
        let known = self.counts.get(name).copied();
        let before = match known {
            Some(count) => {
                self.order.remove(&(count, name.clone()));
                count
            }
            None if self.counts.len() < NAMES_MAX => 0,
            None => self.order.pop_first().map_or(0, |(count, least)| {
                self.counts.remove(&least);
                count
            }),
        };
        self.counts.insert(name.clone(), before + 1);
        self.order.insert((before + 1, name.clone()));
    }
}

#[derive(Debug, Default)]
struct Hour {
    number: u64,
    groups: Vec<Counts>,
    blocked: Frequent,
    passed: Frequent,
}

/// How much was asked in the last 24 hours.
#[derive(Debug, Default)]
pub struct Tally {
    hours: VecDeque<Hour>,
    names: bool,
}

impl Tally {
    /// Whether names are kept from now on; if not, those that were are forgotten at once.
    pub fn log_names(&mut self, names: bool) {
        self.names = names;
        if !names {
            for hour in &mut self.hours {
                (hour.blocked, hour.passed) = Default::default();
            }
        }
    }

    /// One more question.
    pub fn add(&mut self, now: Millis, group: usize, outcome: Outcome, name: &[u8]) {
        let names = self.names;
        let Some(hour) = self.hour(now.0 / HOUR) else { return };
        let group = group.min(GROUPS_MAX - 1);
        if hour.groups.len() <= group {
            hour.groups.resize(group + 1, Counts::default());
        }
        if let Some(counts) = hour.groups.get_mut(group) {
            *counts.of(outcome) += 1;
        }
        if names && let Some(name) = Domain::from_wire(name) {
            let frequent = if outcome == Outcome::Blocked { &mut hour.blocked } else { &mut hour.passed };
            frequent.add(&name);
        }
    }

    /// What a group asked, or all of them, in each hour, the oldest first: how many hours ago, and how
    /// often.
    pub fn hours(&self, now: Millis, group: Option<usize>) -> Vec<(u64, Counts)> {
        let of = |hour: &Hour| {
            let mut sum = Counts::default();
            for (index, counts) in hour.groups.iter().enumerate() {
                if group.is_none_or(|group| group == index) {
                    sum.add(counts);
                }
            }
            sum
        };
        self.recent(now).map(|(ago, hour)| (ago, of(hour))).collect()
    }

    /// The names that were blocked, or that passed, most often, and about how often.
    pub fn frequent(&self, now: Millis, blocked: bool, most: usize) -> Vec<(Domain, u64)> {
        let mut sums: BTreeMap<&Domain, u64> = BTreeMap::new();
        for (_, hour) in self.recent(now) {
            let frequent = if blocked { &hour.blocked } else { &hour.passed };
            for (name, count) in &frequent.counts {
                *sums.entry(name).or_default() += count;
            }
        }
        let mut all: Vec<(Domain, u64)> =
            sums.into_iter().map(|(name, count)| (name.clone(), count)).collect();
        all.sort_by(|(one, first), (other, second)| second.cmp(first).then(one.cmp(other)));
        all.truncate(most);
        all
    }

    fn recent(&self, now: Millis) -> impl Iterator<Item = (u64, &Hour)> {
        let current = now.0 / HOUR;
        let recent = self.hours.iter().map(move |hour| (current.saturating_sub(hour.number), hour));
        recent.filter(|(ago, _)| usize::try_from(*ago).is_ok_and(|ago| ago < HOURS))
    }

    /// The hour that it is. A clock that was put back goes on in the last hour that there was.
    fn hour(&mut self, number: u64) -> Option<&mut Hour> {
        if self.hours.back().is_none_or(|last| last.number < number) {
            self.hours.push_back(Hour { number, ..Hour::default() });
        }
        while self.hours.len() > HOURS {
            self.hours.pop_front();
        }
        let oldest = number.saturating_sub(u64::try_from(HOURS).unwrap_or(0) - 1);
        while self.hours.front().is_some_and(|hour| hour.number < oldest) {
            self.hours.pop_front();
        }
        self.hours.back_mut()
    }
}

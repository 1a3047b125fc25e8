//! Which snapshots are kept, as restic's `forget` keeps them: of each hour, day, week, month and year the newest one, for
//! as many of these as there is a count for; and the oldest of all while a count has something left, so that history
//! reaches as far back as it can.
//!
//! A snapshot's time is what its writer says. Whoever has taken a laptop could date snapshots into each day of the past
//! and have every true one forgotten for them. So where a target has noted when a snapshot came, that counts.

use std::collections::BTreeMap;

use freehold_wire::Millis;
use jiff::{Timestamp, civil::DateTime, tz::Offset};

/// Seconds in the longest distance from UTC that is counted with; what is further away is taken as UTC.
const OFFSET_MAX: u32 = 93_599;

/// How many of something are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// None for this reason.
    #[default]
    None,
    /// The newest so many.
    Newest(u32),
    /// Each.
    All,
}

impl Keep {
    const fn wants(self) -> bool {
        !matches!(self, Self::None | Self::Newest(0))
    }

    const fn less_one(self) -> Self {
        match self {
            Self::Newest(count) => Self::Newest(count.saturating_sub(1)),
            other => other,
        }
    }
}

/// What a snapshot can be the newest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// Of itself: every snapshot counts.
    Last,
    /// Of an hour.
    Hour,
    /// Of a day.
    Day,
    /// Of a week of ISO 8601, which begins on Monday.
    Week,
    /// Of a month.
    Month,
    /// Of a year.
    Year,
}

/// How many are kept of each. One that keeps nothing keeps everything, as restic's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The newest ones.
    pub last: Keep,
    /// One for each hour in which there is one.
    pub hourly: Keep,
    /// One for each day.
    pub daily: Keep,
    /// One for each week.
    pub weekly: Keep,
    /// One for each month.
    pub monthly: Keep,
    /// One for each year.
    pub yearly: Keep,
}

impl Policy {
    const fn counts(&self) -> [(Period, Keep); 6] {
        [
            (Period::Last, self.last),
            (Period::Hour, self.hourly),
            (Period::Day, self.daily),
            (Period::Week, self.weekly),
            (Period::Month, self.monthly),
            (Period::Year, self.yearly),
        ]
    }

    /// Whether nothing is said, so that nothing is forgotten.
    pub fn is_empty(&self) -> bool {
        !self.counts().iter().any(|(_, keep)| keep.wants())
    }
}

/// A time, and the distance from UTC in seconds that was in use where it was noted: days begin at that midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Since the epoch.
    pub at: Millis,
    /// Seconds east of UTC.
    pub offset: i32,
}

impl Moment {
    fn local(self) -> DateTime {
        let at = i64::try_from(self.at.0).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        let offset = Some(self.offset).filter(|offset| offset.unsigned_abs() <= OFFSET_MAX);
        let offset = offset.and_then(|offset| Offset::from_seconds(offset).ok()).unwrap_or(Offset::UTC);
        offset.to_datetime(at.unwrap_or(Timestamp::MAX))
    }

    /// Two moments have the same mark if they lie in the same period. The first number tells weeks' years.
    fn mark(self, period: Period, place: usize) -> (i16, u64) {
        let local = self.local();
        let [month, day, hour] =
            [local.month(), local.day(), local.hour()].map(|part| part.unsigned_abs().into());
        match period {
            Period::Last => (0, u64::try_from(place).unwrap_or(u64::MAX)),
            Period::Hour => (local.year(), (month * 100 + day) * 100 + hour),
            Period::Day => (local.year(), month * 100 + day),
            Period::Week => {
                let week = local.date().iso_week_date();
                (week.year(), week.week().unsigned_abs().into())
            }
            Period::Month => (local.year(), month),
            Period::Year => (local.year(), 0),
        }
    }
}

/// A time in UTC as a name has it, to the millisecond: names of later times come later.
pub fn compact(at: Millis) -> String {
    let utc = Moment { at, offset: 0 }.local();
    let millis = at.0 % 1000;
    format!("{}-{millis:03}", utc.strftime("%Y%m%dT%H%M%S"))
}

/// A snapshot, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot<I, G> {
    /// Its id.
    pub id: I,
    /// Of what it is one: each machine's each set of paths is counted by itself.
    pub group: G,
    /// When its writer says that it was made.
    pub claimed: Moment,
    /// When its target noted it, in the target's zone; `None` where no target did, as in a repository that was taken over.
    pub received: Option<Moment>,
    /// Whether a person said that it stays.
    pub pinned: bool,
}

impl<I, G> Snapshot<I, G> {
    /// The time that counts.
    fn counted(&self) -> Moment {
        self.received.unwrap_or(self.claimed)
    }
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The policy says nothing.
    NoPolicy,
    /// A person said so.
    Pinned,
    /// It is the newest of such a period.
    Newest(Period),
    /// It is the oldest there is, and the count of such periods is not used up.
    Oldest(Period),
}

/// What becomes of each snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<I> {
    /// What stays and why, newest first within its group.
    pub keep: Vec<(I, Vec<Reason>)>,
    /// What may go, newest first within its group.
    pub forget: Vec<I>,
}

/// Says which snapshots stay. The order in which they come does not matter; of two of one time the one with the greater
/// id counts as the newer.
pub fn choose<I: Ord + Clone, G: Ord + Clone>(policy: &Policy, snapshots: &[Snapshot<I, G>]) -> Choice<I> {
    let mut groups: BTreeMap<G, Vec<&Snapshot<I, G>>> = BTreeMap::new();
    for snapshot in snapshots {
        groups.entry(snapshot.group.clone()).or_default().push(snapshot);
    }
    let mut choice = Choice { keep: Vec::new(), forget: Vec::new() };
    for mut group in groups.into_values() {
        group.sort_by(|a, b| (b.counted().at, &b.id).cmp(&(a.counted().at, &a.id)));
        for (snapshot, reasons) in group.iter().zip(reasons(policy, &group)) {
            if reasons.is_empty() {
                choice.forget.push(snapshot.id.clone());
            } else {
                choice.keep.push((snapshot.id.clone(), reasons));
            }
        }
    }
    choice
}

/// The reasons for each snapshot of one group, newest first.
fn reasons<I, G>(policy: &Policy, group: &[&Snapshot<I, G>]) -> Vec<Vec<Reason>> {
    if policy.is_empty() {
        return vec![vec![Reason::NoPolicy]; group.len()];
    }
    let mut left = policy.counts().map(|(period, keep)| (period, keep, None));
    let mut all = Vec::with_capacity(group.len());
    for (place, snapshot) in group.iter().enumerate() {
        let oldest = place + 1 == group.len();
        let mut why = Vec::new();
        if snapshot.pinned {
            why.push(Reason::Pinned);
        }
        for (period, keep, before) in left.iter_mut().filter(|(_, keep, _)| keep.wants()) {
            let mark = Some(snapshot.counted().mark(*period, place));
            if mark != *before {
                why.push(Reason::Newest(*period));
            } else if oldest {
                why.push(Reason::Oldest(*period));
            } else {
                continue;
            }
            *before = mark;
            *keep = keep.less_one();
        }
        all.push(why);
    }
    all
}

//! Lifecycle: what a bucket's rules remove, and when. Decisions only: they are told the time.

use freehold_wire::{Bounded, DecodeError, Millis, Text, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::Version;

/// A day, as people mean it.
pub const DAY: Millis = Millis::from_hours(24);
/// Rules of one bucket at most.
pub const RULES_MAX: usize = 1000;
const DOCUMENT_MAX: usize = 1 << 16;

/// The rules of a bucket: the document of the setting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Lifecycle(#[n(0)] pub Bounded<Rule, RULES_MAX>);

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rule {
    /// What people call it.
    #[n(0)]
    pub id: Text<255>,
    /// Whether it counts.
    #[n(1)]
    pub enabled: bool,
    /// What it is about.
    #[n(2)]
    pub filter: Filter,
    /// When the current version goes.
    #[n(3)]
    pub expiration: Option<Expiration>,
    /// When the versions behind it go.
    #[n(4)]
    pub noncurrent: Option<Noncurrent>,
    /// After how many days an upload that is not complete goes.
    #[n(5)]
    pub abort_days: Option<u32>,
}

/// What a rule is about: all of this must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Filter {
    /// How the key begins.
    #[n(0)]
    pub prefix: Option<Text<1024>>,
    /// Tags of the version.
    #[n(1)]
    pub tags: Bounded<(Text<512>, Text<1024>), 50>,
    /// More bytes than this.
    #[n(2)]
    pub larger: Option<u64>,
    /// Fewer bytes than this.
    #[n(3)]
    pub smaller: Option<u64>,
    /// How it was spelled, so that it is shown the same.
    #[n(4)]
    pub spelled: Spelled,
}

/// How a filter was spelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Spelled {
    /// A prefix in the rule itself, as in old times.
    #[n(0)]
    Rule,
    /// One condition in a filter, or none.
    #[default]
    #[n(1)]
    One,
    /// Several, in an And.
    #[n(2)]
    And,
}

/// When a current version goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Expiration {
    /// So many days after it was written.
    #[n(0)]
    Days(#[n(0)] u32),
    /// From then on.
    #[n(1)]
    Date(#[n(0)] Millis),
    /// If it is a delete marker with nothing behind it, and this is true.
    #[n(2)]
    Marker(#[n(0)] bool),
}

/// When versions go that are not the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Noncurrent {
    /// So many days after the next one was written.
    #[n(0)]
    pub days: u32,
    /// But not the latest so many of them.
    #[n(1)]
    pub keep: Option<u32>,
}

/// A version, as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The version.
    pub version: Version,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Millis,
    /// Its tags; `None` if they have not been looked at, and then any could be there.
    pub tags: Option<Vec<(String, String)>>,
}

/// What is to be done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Its current version, this one, is deleted as people would.
    Expire(Version),
    /// This version goes for good.
    Remove(Version),
}

impl Lifecycle {
    /// The document.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, DOCUMENT_MAX)
    }

    fn rules_for<'a, 'k>(&'a self, key: &'k str) -> impl Iterator<Item = &'a Rule> + use<'a, 'k> {
        self.0.iter().filter(move |rule| rule.enabled && rule.filter.begins(key))
    }

    /// Whether any rule looks at tags.
    pub fn asks_tags(&self) -> bool {
        self.0.iter().any(|rule| rule.enabled && !rule.filter.tags.is_empty())
    }

    /// When the current version of an object expires, and by which rule.
    pub fn expires<'a>(&'a self, key: &str, seen: &Seen) -> Option<(Millis, &'a str)> {
        let of = |rule: &Rule| {
            let at = match rule.expiration? {
                Expiration::Days(days) => after(seen.modified, days, DAY),
                Expiration::Date(date) => date,
                Expiration::Marker(_) => return None,
            };
            (!seen.marker && rule.filter.matches(seen)).then_some(at)
        };
        let expires = self.rules_for(key).filter_map(|rule| Some((of(rule)?, rule.id.as_str())));
        expires.min_by_key(|(at, _)| *at)
    }

    /// Whether an upload that was begun then is given up.
    pub fn gives_up(&self, key: &str, begun: Millis, now: Millis, day: Millis) -> bool {
        let mut rules = self.rules_for(key).filter_map(|rule| rule.abort_days);
        rules.any(|days| after(begun, days, day) <= now)
    }
}

impl Filter {
    fn begins(&self, key: &str) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
    }

    fn matches(&self, seen: &Seen) -> bool {
        let has = |name: &str, value: &str| {
            seen.tags.as_ref().is_none_or(|tags| tags.iter().any(|(n, v)| n == name && v == value))
        };
        self.larger.is_none_or(|bound| seen.size > bound)
            && self.smaller.is_none_or(|bound| seen.size < bound)
            && self.tags.iter().all(|(name, value)| has(name.as_str(), value.as_str()))
    }
}

/// So many days later. Days end at midnight (UTC), unless a test has made them shorter.
fn after(from: Millis, days: u32, day: Millis) -> Millis {
    let at = from.plus(Millis(day.0.saturating_mul(u64::from(days))));
    if day == DAY { Millis(at.0.div_ceil(DAY.0).saturating_mul(DAY.0)) } else { at }
}

/// What the rules do to an object now. `versions` are those that live, latest first.
pub fn due(rules: &Lifecycle, key: &str, versions: &[Seen], now: Millis, day: Millis) -> Vec<Action> {
    let mut actions = Vec::new();
    for rule in rules.rules_for(key) {
        actions.extend(
            versions.first().and_then(|current| due_current(rule, current, versions.len() == 1, now, day)),
        );
        let Some(Noncurrent { days, keep }) = rule.noncurrent else { continue };
        let keep = keep.map_or(0, |keep| usize::try_from(keep).unwrap_or(usize::MAX));
        for pair in versions.windows(2).skip(keep) {
            let [next, seen] = pair else { continue };
            if after(next.modified, days, day) <= now && rule.filter.matches(seen) {
                actions.push(Action::Remove(seen.version));
            }
        }
    }
    actions.sort_unstable();
    actions.dedup();
    actions
}

fn due_current(rule: &Rule, current: &Seen, alone: bool, now: Millis, day: Millis) -> Option<Action> {
    let is_due = match rule.expiration? {
        Expiration::Days(days) => after(current.modified, days, day) <= now,
        Expiration::Date(date) => date <= now,
        Expiration::Marker(on) => on && current.marker,
    };
    if !is_due || !rule.filter.matches(current) {
        return None;
    }
    if current.marker {
        // A marker with nothing behind it hides nothing.
        return alone.then_some(Action::Remove(current.version));
    }
    Some(Action::Expire(current.version))
}

#[cfg(test)]
mod tests;

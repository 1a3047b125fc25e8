//! Which rows have to be read. The whole filter is asked of every document that they lead to, so a
//! plan can be slow but never wrong about which documents meet it.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::filter::{Compare, Filter, sort};
use crate::index::IndexSpec;
use crate::key::{after_all, encode, encode_text, text_without_end};
use crate::layout::{document_prefix, index_prefix};
use crate::query::{Cursor, Direction, Query};
use crate::value::Path;
use crate::words::words;

/// Keys from `start`, itself included, up to `end`, itself excluded; without end if there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRange {
    /// The first.
    pub start: Vec<u8>,
    /// Behind the last.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Whether a key lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_ref().is_none_or(|end| key < end.as_slice())
    }
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The documents themselves.
    Documents,
    /// The rows of an index, and the documents that they stand for.
    Index {
        /// Its name.
        name: String,
    },
    /// The rows of words, each with the documents that have it, and the documents that have all.
    Words {
        /// The index's name.
        name: String,
        /// Its number.
        number: u32,
    },
}

/// How a query will be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is read.
    pub access: Access,
    /// Which keys of it, in their order.
    pub ranges: Vec<KeyRange>,
    /// From the last key to the first.
    pub reverse: bool,
    /// The rows come in the order of the query: reading stops when the page is full. Else all of
    /// them are read.
    pub in_order: bool,
    /// Fields that the keys bind.
    pub bound: Vec<Path>,
    /// How much of the query the keys answer; the plan with the most is taken.
    pub(crate) score: u32,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.reverse { " backwards" } else { "" };
        let bound: Vec<String> = self.bound.iter().map(ToString::to_string).collect();
        let by = if bound.is_empty() { String::new() } else { format!(" by {}", bound.join(", ")) };
        match &self.access {
            Access::Documents if bound.is_empty() => write!(f, "reads every document{way}")?,
            Access::Documents => write!(f, "reads documents{by}{way}")?,
            Access::Index { name } if bound.is_empty() => write!(f, "reads the whole index {name}{way}")?,
            Access::Index { name } => write!(f, "reads the index {name}{by}{way}")?,
            Access::Words { name, .. } => write!(f, "reads the words of the index {name}{by}")?,
        }
        if self.in_order && matches!(self.access, Access::Words { .. }) {
            return f.write_str("; ranks them; stops when the page is full");
        }
        f.write_str(if self.in_order { "; stops when the page is full" } else { "; sorts what it finds" })
    }
}

/// Makes the best plan. `indexes` are those that are whole; `after` is where the page before ended.
pub fn plan<'a>(
    collection: &str,
    query: &Query,
    indexes: impl IntoIterator<Item = (u32, &'a IndexSpec)>,
    after: Option<&Cursor>,
) -> Plan {
    let conjuncts = query.filter.conjuncts();
    let mut best = documents(collection, query, &conjuncts, after);
    for (number, spec) in indexes {
        let prefix = index_prefix(collection, number);
        let planned = if spec.text {
            text(&prefix, number, spec, query, &conjuncts)
        } else {
            index(prefix, spec, query, &conjuncts, after)
        };
        if let Some(planned) = planned.filter(|planned| planned.score > best.score) {
            best = planned;
        }
    }
    best
}

/// The name by which queries call a document's id.
const ID: &str = "$id";

fn is_id(path: &Path) -> bool {
    String::from(path.clone()) == ID
}

/// The terms of the order that the ids of equal documents do not decide.
fn terms(query: &Query) -> Vec<(usize, &Path, Direction)> {
    let all = query.order.iter().enumerate().map(|(at, term)| (at, &term.path, term.direction));
    all.take_while(|(_, path, _)| !is_id(path)).collect()
}

/// Which way ids go: what comes behind them in the order does not matter.
fn id_direction(query: &Query) -> Direction {
    let id = query.order.iter().find(|term| is_id(&term.path));
    id.map_or_else(|| query.tie(), |term| term.direction)
}

fn documents(collection: &str, query: &Query, conjuncts: &[&Filter], after: Option<&Cursor>) -> Plan {
    let prefix = document_prefix(collection);
    let id: Option<Path> = ID.parse().ok();
    let narrowed = id.as_ref().and_then(|id| narrow(&prefix, id, conjuncts));
    let bound: Vec<Path> = narrowed.as_ref().and(id).into_iter().collect();
    let score = if narrowed.is_some() { 100 } else { 0 };
    let ranges = narrowed.unwrap_or_else(|| vec![KeyRange::below(prefix.clone())]);
    let in_order = terms(query).is_empty();
    let mut plan = Plan {
        access: Access::Documents,
        ranges,
        reverse: in_order && id_direction(query) == Direction::Down,
        in_order,
        bound,
        score: score + u32::from(in_order),
    };
    plan.seek(&prefix, &[], after);
    plan
}

fn index(
    prefix: Vec<u8>,
    spec: &IndexSpec,
    query: &Query,
    conjuncts: &[&Filter],
    after: Option<&Cursor>,
) -> Option<Plan> {
    let mut start = prefix;
    let mut bound: Vec<Path> = Vec::new();
    for (position, path) in spec.fields.iter().enumerate() {
        let element = spec.each && position == 0;
        let Some(value) = conjuncts.iter().find_map(|filter| equal_to(filter, path, element)) else { break };
        encode(Some(value), &mut start);
        bound.push(path.clone());
    }
    // Only documents with such an element are in it at all.
    if spec.each && bound.is_empty() {
        return None;
    }
    let rest = spec.fields.get(bound.len()..).unwrap_or_default();
    let equal = u32::try_from(bound.len()).unwrap_or(u32::MAX);
    let narrowed = rest.first().and_then(|path| narrow(&start, path, conjuncts).map(|ranges| (path, ranges)));
    let wanted: Vec<_> = terms(query).into_iter().filter(|(_, path, _)| !bound.contains(path)).collect();
    let way = id_direction(query);
    let in_order = wanted.len() == rest.len()
        && wanted.iter().zip(rest).all(|((_, path, direction), field)| *path == field && *direction == way);
    let score = 10 * equal + if narrowed.is_some() { 5 } else { 0 } + 2 * u32::from(in_order);
    let ranges = match narrowed {
        Some((path, ranges)) => {
            bound.push(path.clone());
            ranges
        }
        None => vec![KeyRange::below(start.clone())],
    };
    let mut plan = Plan {
        access: Access::Index { name: spec.name.clone() },
        ranges,
        reverse: in_order && way == Direction::Down,
        in_order,
        bound,
        score,
    };
    let places: Vec<usize> = wanted.into_iter().map(|(at, ..)| at).collect();
    plan.seek(&start, &places, after);
    (!plan.bound.is_empty() || plan.in_order).then_some(plan)
}

/// A range for each word that must be there.
fn text(prefix: &[u8], number: u32, spec: &IndexSpec, query: &Query, conjuncts: &[&Filter]) -> Option<Plan> {
    let field = spec.fields.first()?;
    let wanted = conjuncts.iter().find_map(|filter| match filter {
        Filter::Matches(path, wanted) if path == field => Some(wanted),
        _ => None,
    })?;
    let wanted: BTreeSet<String> = words(wanted).collect();
    let range = |word: &String| {
        let mut start = prefix.to_vec();
        encode_text(word, &mut start);
        KeyRange::below(start)
    };
    let ranges: Vec<KeyRange> = wanted.iter().map(range).collect();
    let access = Access::Words { name: spec.name.clone(), number };
    // Only this knows a score.
    let score = 8 + if query.ranks() { 1000 } else { 0 };
    let in_order = query.only_ranks();
    (!ranges.is_empty()).then(|| Plan {
        access,
        ranges,
        reverse: false,
        in_order,
        bound: vec![field.clone()],
        score,
    })
}

impl Plan {
    /// Leaves out what was on the pages before, where keys are in the order of the query.
    fn seek(&mut self, start: &[u8], places: &[usize], after: Option<&Cursor>) {
        if let Some(cursor) = after.filter(|_| self.in_order) {
            let mut key = start.to_vec();
            for bytes in places.iter().filter_map(|at| cursor.components.get(*at)) {
                key.extend(bytes);
            }
            encode_text(&cursor.id, &mut key);
            for range in &mut self.ranges {
                if self.reverse {
                    range.end =
                        Some(range.end.take().map_or_else(|| key.clone(), |end| end.min(key.clone())));
                } else {
                    range.start = range.start.clone().max(key.clone());
                }
            }
        }
        self.ranges.retain(|range| !range.is_empty());
        self.ranges.sort();
        self.ranges.dedup();
        if self.reverse {
            self.ranges.reverse();
        }
    }
}

/// The scalar that a field, or an element of it, must equal by this filter.
fn equal_to<'a>(filter: &'a Filter, path: &Path, element: bool) -> Option<&'a Value> {
    match filter {
        Filter::Field(own, Compare::Equal, value) if own == path && !element => Some(value),
        Filter::Has(own, value) if own == path && element => Some(value),
        _ => None,
    }
    .filter(|value| !value.is_array() && !value.is_object())
}

/// The keys behind `prefix` whose next component can meet the filters about one field; none if
/// they say nothing of it.
fn narrow(prefix: &[u8], path: &Path, conjuncts: &[&Filter]) -> Option<Vec<KeyRange>> {
    let mut all: Option<Vec<KeyRange>> = None;
    for ranges in conjuncts.iter().filter_map(|filter| ranges_of(prefix, path, filter)) {
        all = Some(match all {
            None => ranges,
            Some(before) => both(&before, &ranges),
        });
    }
    all
}

fn both(some: &[KeyRange], others: &[KeyRange]) -> Vec<KeyRange> {
    let mut out = Vec::new();
    for one in some {
        for other in others {
            let start = one.start.clone().max(other.start.clone());
            let end = match (&one.end, &other.end) {
                (Some(one), Some(other)) => Some(one.min(other).clone()),
                (end, None) | (None, end) => end.clone(),
            };
            out.push(KeyRange { start, end });
        }
    }
    out.retain(|range| !range.is_empty());
    out
}

fn ranges_of(prefix: &[u8], path: &Path, filter: &Filter) -> Option<Vec<KeyRange>> {
    match filter {
        Filter::Field(own, compare, value) if own == path && !value.is_array() && !value.is_object() => {
            range_of(prefix, *compare, value).map(|range| vec![range])
        }
        Filter::In(own, values) if own == path => {
            let mut ranges: Vec<_> =
                values.iter().filter_map(|value| range_of(prefix, Compare::Equal, value)).collect();
            ranges.sort();
            ranges.dedup();
            Some(ranges)
        }
        Filter::Starts(own, start) if own == path => {
            let mut key = prefix.to_vec();
            text_without_end(start, &mut key);
            Some(vec![KeyRange::below(key)])
        }
        _ => None,
    }
}

fn range_of(prefix: &[u8], compare: Compare, value: &Value) -> Option<KeyRange> {
    let mut key = prefix.to_vec();
    encode(Some(value), &mut key);
    let (first, behind) = sort_bounds(prefix, value);
    let range = match compare {
        Compare::Unequal => return None,
        Compare::Equal => KeyRange::below(key),
        Compare::Below => KeyRange { start: first, end: Some(key) },
        Compare::AtMost => KeyRange { start: first, end: after_all(&key) },
        Compare::Above => KeyRange { start: after_all(&key)?, end: Some(behind) },
        Compare::AtLeast => KeyRange { start: key, end: Some(behind) },
    };
    Some(range)
}

/// From the first to behind the last of what can be compared with a value.
fn sort_bounds(prefix: &[u8], value: &Value) -> (Vec<u8>, Vec<u8>) {
    let (first, behind) = match sort(value) {
        0 => (1, 2),
        1 => (2, 4),
        2 => (4, 5),
        _ => (5, 6),
    };
    let with = |byte: u8| prefix.iter().copied().chain([byte]).collect();
    (with(first), with(behind))
}

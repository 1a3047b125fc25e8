//! Listing: by prefix, with a delimiter that folds deeper keys together, page by page.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::{Living, Row, State, Version};

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// Fold what follows the first occurrence of this behind the prefix.
    pub delimiter: Option<String>,
    /// Only keys and folded prefixes after this one.
    pub after: Option<String>,
    /// At most so many objects and prefixes together.
    pub max: usize,
}

/// A line of a listing.
#[derive(Debug)]
pub enum Item<'a, V> {
    /// A key, and what it stands for.
    Object(&'a str, &'a V),
    /// Keys that were folded together.
    Prefix(&'a str),
}

/// What can be listed: some values are there but not to be shown.
pub trait Listed {
    /// Whether to show it.
    fn shown(&self) -> bool;
}

/// Walks the lines of a listing until `see` returns false.
pub fn walk<K: Borrow<str> + Ord, V: Listed>(
    rows: &BTreeMap<K, V>,
    query: &ListQuery,
    see: impl FnMut(Item<'_, V>) -> bool,
) {
    walk_shown(rows, query, V::shown, see);
}

fn walk_shown<K: Borrow<str> + Ord, V>(
    rows: &BTreeMap<K, V>,
    query: &ListQuery,
    shown: impl Fn(&V) -> bool,
    mut see: impl FnMut(Item<'_, V>) -> bool,
) {
    let prefix = query.prefix.as_str();
    let after = query.after.as_deref();
    let mut from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after.to_owned()),
        _ => Bound::Included(prefix.to_owned()),
    };
    let mut folded_last = String::new();
    loop {
        let mut jump = None;
        for (key, row) in rows.range::<str, _>((as_str(&from), Bound::Unbounded)) {
            let key: &str = key.borrow();
            if !key.starts_with(prefix) {
                return;
            }
            if !shown(row) {
                continue;
            }
            let Some(folded) = query.folded(key) else {
                if see(Item::Object(key, row)) {
                    continue;
                }
                return;
            };
            let fresh = folded != folded_last && after.is_none_or(|after| folded > after);
            if fresh && !see(Item::Prefix(folded)) {
                return;
            }
            folded.clone_into(&mut folded_last);
            // Behind everything below the folded prefix, but for keys with the very last
            // character, which fold to the same prefix and are passed over.
            jump = Some(Bound::Excluded(format!("{folded}\u{10ffff}")).map(|end| end.max(key.to_owned())));
            break;
        }
        match jump {
            Some(to) => from = to,
            None => return,
        }
    }
}

impl ListQuery {
    /// What a key with the right prefix is folded to.
    fn folded<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let at = key.strip_prefix(self.prefix.as_str())?.find(delimiter)?;
        key.get(..self.prefix.len() + at + delimiter.len())
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(key) => Bound::Included(key.as_str()),
        Bound::Excluded(key) => Bound::Excluded(key.as_str()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// Which versions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionQuery {
    /// As for objects; `max` counts versions, markers and prefixes.
    pub keys: ListQuery,
    /// Also the versions of the key `keys.after` that are older than this one; all of them if there is
    /// no such version any more.
    pub older_than: Option<Version>,
}

/// A line of a listing of versions.
#[derive(Debug)]
pub enum VersionItem<'a> {
    /// A version or a marker.
    Version {
        /// The object.
        key: &'a str,
        /// The version.
        row: &'a Row,
        /// Whether it is the current one.
        current: bool,
    },
    /// Keys that were folded together.
    Prefix(&'a str),
}

/// Walks the versions of objects, by key and then latest first, until `see` returns false.
pub fn versions<K: Borrow<str> + Ord>(
    rows: &BTreeMap<K, State>,
    query: &VersionQuery,
    mut see: impl FnMut(VersionItem<'_>) -> bool,
) {
    let keys = &query.keys;
    let begun = keys.after.as_deref().filter(|key| key.starts_with(keys.prefix.as_str()));
    if let (Some(key), Some(version)) = (begun, query.older_than)
        && keys.folded(key).is_none()
        && let Some(state) = rows.get(key)
    {
        let is_marker = |living: &Living<'_>| living.row.version() == version;
        let skip = state.living().position(|living| is_marker(&living)).map_or(0, |at| at + 1);
        let mut rest = state.living().skip(skip);
        if !rest.all(|Living { row, current }| see(VersionItem::Version { key, row, current })) {
            return;
        }
    }
    let shown = |state: &State| state.living().next().is_some();
    walk_shown(rows, keys, shown, |item| match item {
        Item::Object(key, state) => {
            state.living().all(|Living { row, current }| see(VersionItem::Version { key, row, current }))
        }
        Item::Prefix(prefix) => see(VersionItem::Prefix(prefix)),
    });
}

#[cfg(test)]
mod tests;

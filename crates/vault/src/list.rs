//! Listing: by prefix, with a delimiter that folds deeper keys together, page by page.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ObjectMeta;
use crate::index::Row;

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

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// Objects in the order of their keys; without what only reading them tells.
    pub objects: Vec<ObjectMeta>,
    /// Folded prefixes, in order.
    pub prefixes: Vec<String>,
    /// Give this as `after` to go on; `None` at the end.
    pub next: Option<String>,
}

pub(crate) fn list(rows: &BTreeMap<String, Row>, query: &ListQuery) -> ListPage {
    let mut page = ListPage::default();
    if query.max == 0 {
        return page;
    }
    walk(rows, query, |item| {
        if page.objects.len() + page.prefixes.len() >= query.max {
            page.next =
                page.objects.last().map(|object| object.key.clone()).max(page.prefixes.last().cloned());
            return false;
        }
        match item {
            Item::Object(key, row) => page.objects.push(row.meta(key)),
            Item::Prefix(prefix) => page.prefixes.push(prefix.to_owned()),
        }
        true
    });
    page
}

/// A line of a listing.
pub(crate) enum Item<'a, V> {
    Object(&'a str, &'a V),
    Prefix(&'a str),
}

/// What can be listed: some values are there but not to be shown.
pub(crate) trait Listed {
    fn shown(&self) -> bool;
}

/// Walks the lines of a listing until `see` returns false.
pub(crate) fn walk<V: Listed>(
    rows: &BTreeMap<String, V>,
    query: &ListQuery,
    mut see: impl FnMut(Item<'_, V>) -> bool,
) {
    let prefix = query.prefix.as_str();
    let delimiter = query.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let after = query.after.as_deref();
    let mut from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after.to_owned()),
        _ => Bound::Included(prefix.to_owned()),
    };
    let mut folded_last = String::new();
    loop {
        let mut jump = None;
        for (key, row) in rows.range::<str, _>((as_str(&from), Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else { return };
            if !row.shown() {
                continue;
            }
            let fold = delimiter.and_then(|d| rest.find(d).map(|at| prefix.len() + at + d.len()));
            let Some(folded) = fold.and_then(|end| key.get(..end)) else {
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
            jump = Some(Bound::Excluded(format!("{folded}\u{10ffff}")).map(|end| end.max(key.clone())));
            break;
        }
        match jump {
            Some(to) => from = to,
            None => return,
        }
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(key) => Bound::Included(key.as_str()),
        Bound::Excluded(key) => Bound::Excluded(key.as_str()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests;

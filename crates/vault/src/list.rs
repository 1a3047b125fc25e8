//! Pages of listings.

use freehold_index::{BucketIndex, Item, ListQuery, VersionItem, VersionQuery, versions, walk};

use crate::{ObjectMeta, Version};

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

/// A page of a listing of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Versions and markers in the order of their keys, latest first.
    pub versions: Vec<VersionMeta>,
    /// Folded prefixes, in order.
    pub prefixes: Vec<String>,
    /// Give these as `after` and `older_than` to go on; `None` at the end.
    pub next: Option<(String, Option<Version>)>,
}

/// A version in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionMeta {
    /// The version; without what only reading it tells.
    pub meta: ObjectMeta,
    /// Whether it is the object's current one.
    pub current: bool,
    /// Whether it is the marker that the object was deleted.
    pub marker: bool,
}

pub(crate) fn list(index: &BucketIndex, query: &ListQuery) -> ListPage {
    let mut page = ListPage::default();
    if query.max == 0 {
        return page;
    }
    walk(index.keys(), query, |item| {
        if page.objects.len() + page.prefixes.len() >= query.max {
            page.next =
                page.objects.last().map(|object| object.key.clone()).max(page.prefixes.last().cloned());
            return false;
        }
        match item {
            Item::Object(key, state) => {
                page.objects.extend(state.visible().map(|row| ObjectMeta::listed(key, row)));
            }
            Item::Prefix(prefix) => page.prefixes.push(prefix.to_owned()),
        }
        true
    });
    page
}

pub(crate) fn list_versions(index: &BucketIndex, query: &VersionQuery) -> VersionPage {
    let mut page = VersionPage::default();
    let max = query.keys.max;
    if max == 0 {
        return page;
    }
    let mut last = (String::new(), None);
    versions(index.keys(), query, |item| {
        if page.versions.len() + page.prefixes.len() >= max {
            page.next = Some(std::mem::take(&mut last));
            return false;
        }
        match item {
            VersionItem::Version { key, row, current } => {
                last = (key.to_owned(), Some(row.version()));
                let meta = ObjectMeta::listed(key, row);
                page.versions.push(VersionMeta { meta, current, marker: row.is_marker() });
            }
            VersionItem::Prefix(prefix) => {
                last = (prefix.to_owned(), None);
                page.prefixes.push(prefix.to_owned());
            }
        }
        true
    });
    page
}

//! A bucket's list of versions, put in order: S3 shows versions and delete markers each by themselves, and says only by
//! the time of writing how the two follow each other.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use crate::{Page, Seen};

/// What a bucket has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// By key, oldest first.
    pub objects: BTreeMap<String, Vec<Seen>>,
    /// Keys of which a version and a marker have the same time: in which order they were written is not told.
    pub unclear: BTreeSet<String>,
}

/// Puts the pages of a list together.
pub fn listing(pages: impl IntoIterator<Item = Page>) -> Listing {
    let mut all: BTreeMap<String, (Vec<Seen>, Vec<Seen>)> = BTreeMap::new();
    for (key, seen) in pages.into_iter().flat_map(|page| page.lines) {
        let (versions, markers) = all.entry(key).or_default();
        if seen.marker { markers.push(seen) } else { versions.push(seen) }
    }
    let mut out = Listing::default();
    for (key, (versions, markers)) in all {
        let (merged, clear) = merged(versions.into_iter().peekable(), markers.into_iter().peekable());
        if !clear {
            out.unclear.insert(key.clone());
        }
        out.objects.insert(key, merged);
    }
    out
}

/// Both newest first; what comes out is oldest first.
fn merged(
    mut versions: Peekable<impl Iterator<Item = Seen>>,
    mut markers: Peekable<impl Iterator<Item = Seen>>,
) -> (Vec<Seen>, bool) {
    let (mut out, mut clear) = (Vec::new(), true);
    loop {
        let next = match (versions.peek(), markers.peek()) {
            (Some(version), Some(marker)) => {
                let (version, marker) = (moment(&version.modified), moment(&marker.modified));
                clear &= version != marker;
                if version > marker { versions.next() } else { markers.next() }
            }
            (Some(_), None) => versions.next(),
            (None, _) => markers.next(),
        };
        let Some(next) = next else { break };
        out.push(next);
    }
    out.reverse();
    (out, clear)
}

/// A time as lists have it, such that later ones are larger: with or without a fraction of the second.
fn moment(text: &str) -> (String, String) {
    let text = text.trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    (whole.to_owned(), format!("{fraction:0<9}"))
}

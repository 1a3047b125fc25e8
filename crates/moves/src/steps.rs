//! One object: which of its versions are there already, and what is to be done for the rest.

use serde::{Deserialize, Serialize};

/// A version of an object, or a delete marker, as a list shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its id; `null` where no versions are kept.
    pub version: String,
    /// Its ETag, without quotes; none of a marker.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written, as the list has it.
    pub modified: String,
    /// Whether it is a delete marker.
    pub marker: bool,
}

/// A version that was brought over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What it was in the old realm.
    pub from: Seen,
    /// Its id in the new one; `null` where no versions are kept.
    pub to: String,
    /// The SHA-256 of its bytes as they left the old realm, in hex; none of a marker.
    pub sha256: String,
    /// What keeps it from being removed, as headers of a write say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<(String, String)>,
    /// Whether it was read back from the new realm and has that SHA-256.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked: bool,
}

/// What is to be done next for an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Take this version away in the new realm.
    Remove(String),
    /// Bring this one over; it becomes the newest there.
    Copy(Seen),
    /// Delete the object there, so that it has this marker.
    Mark(Seen),
}

/// What makes the object in the new realm what it is in the old one: `source` has its versions there, oldest first,
/// `there` what was brought over, in the order in which that was done. A version can only be added as the newest, so
/// what does not follow from what the old realm has now is taken away first, newest first.
pub fn steps(source: &[Seen], there: &[Kept], keeps: bool) -> Vec<Step> {
    if !keeps {
        return single(source.last().filter(|seen| !seen.marker), there.last());
    }
    let same = source.iter().zip(there).take_while(|(seen, kept)| **seen == kept.from).count();
    let wrong = there.iter().skip(same).rev().map(|kept| Step::Remove(kept.to.clone()));
    let add = |seen: &Seen| if seen.marker { Step::Mark(seen.clone()) } else { Step::Copy(seen.clone()) };
    wrong.chain(source.iter().skip(same).map(add)).collect()
}

/// A bucket that keeps no versions: a write takes the place of what was there.
fn single(seen: Option<&Seen>, kept: Option<&Kept>) -> Vec<Step> {
    match (seen, kept) {
        (Some(seen), Some(kept)) if *seen == kept.from => Vec::new(),
        (Some(seen), _) => vec![Step::Copy(seen.clone())],
        (None, Some(kept)) => vec![Step::Remove(kept.to.clone())],
        (None, None) => Vec::new(),
    }
}

/// Notes that a version was brought over.
pub fn apply(there: &mut Vec<Kept>, kept: Kept) {
    if kept.to == "null" {
        there.retain(|one| one.to != "null");
    }
    there.push(kept);
}

/// What a list of the new realm says of what was written down: whoever was killed between a write and its note
/// finds versions that are nobody's, which go, and notes of what is not there, which are forgotten. Returns the ids
/// to remove; `there` has the rest.
pub fn settle(there: &mut Vec<Kept>, found: &[Seen]) -> Vec<String> {
    let is_it = |kept: &Kept, seen: &Seen| {
        kept.to == seen.version
            && kept.from.marker == seen.marker
            && (seen.marker || kept.from.size == seen.size)
            // Where versions have ids, the id alone says which it is.
            && (kept.to != "null" || kept.from.etag == seen.etag)
    };
    let strays = found.iter().filter(|seen| !there.iter().any(|kept| is_it(kept, seen)));
    let strays = strays.map(|seen| seen.version.clone()).collect();
    there.retain(|kept| found.iter().any(|seen| is_it(kept, seen)));
    strays
}

//! What people are called. Each person has a *record*: a bucket that no client sees, whose key goes to the nodes
//! that hold the realm's secrets, and in which nothing stands but the name. So the name ends with that key, in every
//! copy of a disk; in the directory it would stay open with the directory's.

use std::collections::BTreeMap;

use freehold_api::Problem;
use freehold_seal::Setting;
use freehold_wire::{BucketId, PersonId};

use crate::shared::Shared;

/// What the names of records begin with; a person's id follows.
const RECORD: &str = "person/";
/// The shortest start of an id that stands for it.
const ID_START_MIN: usize = 4;

/// What the record of a person is called.
pub(crate) fn record_of(person: PersonId) -> String {
    format!("{RECORD}{person}")
}

/// Whether a bucket is somebody's record.
pub(crate) fn is_record(bucket: &str) -> bool {
    bucket.starts_with(RECORD)
}

/// The records: two nodes apart can make two for one person.
pub(crate) fn records(shared: &Shared) -> Vec<(PersonId, BucketId)> {
    let of = |(id, info): (BucketId, freehold_vault::BucketInfo)| {
        Some((info.name.strip_prefix(RECORD)?.parse().ok()?, id))
    };
    shared.vault.buckets().into_iter().filter_map(of).collect()
}

/// What people are called, as far as this node can read it.
pub(crate) fn names(shared: &Shared) -> BTreeMap<PersonId, String> {
    let mut said = BTreeMap::new();
    for (person, record) in records(shared) {
        for word in shared.vault.words(&record, Setting::Name) {
            let is_newer = said.get(&person).is_none_or(|(stamp, _)| *stamp < word.stamp);
            if is_newer && let Some(name) = word.document {
                said.insert(person, (word.stamp, String::from_utf8_lossy(&name).into_owned()));
            }
        }
    }
    said.into_iter().map(|(person, (_, name))| (person, name)).collect()
}

/// What somebody is called.
pub(crate) fn name_of(shared: &Shared, person: PersonId) -> String {
    names(shared).remove(&person).unwrap_or_else(|| person.short())
}

/// The member that somebody typed: a name, an id, or the start of one.
pub(crate) fn named(shared: &Shared, typed: &str, not: &str) -> Result<PersonId, Problem> {
    let members: Vec<PersonId> = shared.log.view().state().persons.keys().copied().collect();
    meant(shared, members, typed, not)
}

/// The one of these that somebody typed.
pub(crate) fn meant(
    shared: &Shared,
    people: impl IntoIterator<Item = PersonId>,
    typed: &str,
    not: &str,
) -> Result<PersonId, Problem> {
    one_of(&names(shared), people.into_iter(), typed).map_err(|several| {
        let why = match several {
            0 => format!("the realm has no member {typed:?}"),
            several => format!("{typed:?} may be any of {several} members"),
        };
        Problem::not_found(not, why, Some("freehold person list"))
    })
}

/// The one that is meant; else how many may be.
fn one_of(
    names: &BTreeMap<PersonId, String>,
    people: impl Iterator<Item = PersonId>,
    typed: &str,
) -> Result<PersonId, usize> {
    let people: Vec<PersonId> = people.collect();
    // Whoever is called as another one's id is not that one.
    if let Some(whole) = typed.parse().ok().filter(|whole| people.contains(whole)) {
        return Ok(whole);
    }
    let is_meant = |person: &PersonId| {
        names.get(person).is_some_and(|name| name == typed)
            || (typed.len() >= ID_START_MIN && person.to_string().starts_with(typed))
    };
    let meant: Vec<PersonId> = people.into_iter().filter(is_meant).collect();
    match meant.as_slice() {
        [person] => Ok(*person),
        several => Err(several.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_the_start_of_an_id_means_one_person_or_nobody() {
        let [a, b] = [1, 2].map(|n| PersonId::from_bytes([n; 32]));
        let names = BTreeMap::from([(a, "bo".to_owned()), (b, "ann".to_owned())]);
        let find = |typed| one_of(&names, [a, b].into_iter(), typed);
        assert_eq!((find("bo"), find("ann"), find("0101")), (Ok(a), Ok(b), Ok(a)));
        assert_eq!((find("010"), find("eve"), find("")), (Err(0), Err(0), Err(0)));
        let alike = BTreeMap::from([(a, "ann".to_owned()), (b, "ann".to_owned())]);
        assert_eq!(one_of(&alike, [a, b].into_iter(), "ann"), Err(2));
        let called = BTreeMap::from([(b, a.to_string())]);
        assert_eq!(one_of(&called, [a, b].into_iter(), &a.to_string()), Ok(a), "b is called as the id of a");
    }
}

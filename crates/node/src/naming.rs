//! What buckets are called here. A private bucket says its name itself, and whoever writes into it can
//! say any. So one of somebody else gets a name that nobody else has, or none; the directory's names
//! stand before it. One that this node's person named keeps its name here: a keeper who gives it to
//! a bucket that keepers read would get what is meant for the private one.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::BucketId;

/// What a bucket is called, by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called {
    /// By the directory.
    Listed(String),
    /// By itself, through a machine of this node's person.
    Ours(String),
    /// By itself, through somebody else's.
    Itself(String),
    /// By nobody, as far as this node can read.
    Not,
}

/// The name of each bucket. It follows from what is said alone, not from what was said first: nobody
/// can take over a name by being early, or late.
pub(crate) fn names(buckets: &BTreeMap<BucketId, Called>) -> BTreeMap<BucketId, String> {
    let mut shorts: BTreeMap<String, usize> = BTreeMap::new();
    let mut itself: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ours: BTreeMap<&str, usize> = BTreeMap::new();
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for (id, called) in buckets {
        *shorts.entry(id.short()).or_default() += 1;
        match called {
            Called::Listed(name) => drop(listed.insert(name)),
            Called::Ours(name) => *ours.entry(name).or_default() += 1,
            Called::Itself(name) => *itself.entry(name).or_default() += 1,
            Called::Not => {}
        }
    }
    // Beginnings of ids can be made alike, with patience.
    let by_id = |id: &BucketId| {
        let short = id.short();
        if shorts.get(&short).is_some_and(|count| *count > 1) { id.to_string() } else { short }
    };
    let is_one = |all: &BTreeMap<&str, usize>, name: &str| all.get(name).is_some_and(|count| *count == 1);
    let has = |called: &Called| match called {
        Called::Listed(name) => !ours.contains_key(name.as_str()),
        Called::Ours(name) => !shorts.contains_key(name) && is_one(&ours, name),
        Called::Itself(name) => {
            let is_taken = listed.contains(name.as_str()) || ours.contains_key(name.as_str());
            !is_taken && !shorts.contains_key(name) && is_one(&itself, name)
        }
        Called::Not => false,
    };
    let name = |(id, called): (&BucketId, &Called)| {
        let name = match called {
            Called::Listed(name) | Called::Ours(name) | Called::Itself(name) if has(called) => name.clone(),
            _ => by_id(id),
        };
        (*id, name)
    };
    buckets.iter().map(name).collect()
}

/// The shortest start of an id that stands for it: what lists show.
pub(crate) const ID_START_MIN: usize = 8;

/// The start of an id that tells it from the others, as it is typed.
pub(crate) fn start_of(id: &BucketId, others: &[BucketId]) -> String {
    let short = id.short();
    if others.iter().filter(|other| other.short() == short).count() > 1 { id.to_string() } else { short }
}

/// The bucket that somebody typed, of these with their names: a whole id, a name, or the start of an id. Else all that
/// may be meant: two machines apart can give one name to two buckets, and nothing says whose is to go.
pub(crate) fn meant<'a>(
    buckets: impl IntoIterator<Item = (&'a BucketId, &'a str)>,
    typed: &str,
) -> Result<BucketId, Vec<BucketId>> {
    let whole: Option<BucketId> = typed.parse().ok();
    let is_start = typed.len() >= ID_START_MIN;
    let mut found = Vec::new();
    for (id, name) in buckets {
        if whole == Some(*id) {
            return Ok(*id);
        }
        if name == typed || (is_start && id.to_string().starts_with(typed)) {
            found.push(*id);
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        _ => Err(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_meant_by_its_name_or_id_and_never_by_chance() {
        let all = [(id(1), "photos"), (id(2), "photos"), (id(3), "papers"), (id(4), "03030303")];
        let find = |typed: &str| meant(all.iter().map(|(id, name)| (id, *name)), typed);
        assert_eq!(find("papers"), Ok(id(3)));
        assert_eq!(find("photos"), Err(vec![id(1), id(2)]), "two machines apart made one each");
        assert_eq!((find("01010101"), find(&id(2).to_string())), (Ok(id(1)), Ok(id(2))));
        assert_eq!(find("03030303"), Err(vec![id(3), id(4)]), "a name like the start of another's id");
        assert_eq!(find(&id(3).to_string()), Ok(id(3)));
        assert_eq!((find("0101010"), find(""), find("music")), (Err(vec![]), Err(vec![]), Err(vec![])));
        let named = [(id(5), id(6).to_string()), (id(6), "x".to_owned())];
        let of = named.iter().map(|(id, name)| (id, name.as_str()));
        assert_eq!(meant(of, &id(6).to_string()), Ok(id(6)), "whoever is called as another one's id");
    }

    fn id(byte: u8) -> BucketId {
        BucketId::from_bytes([byte; 32])
    }

    fn called<const N: usize>(said: [(u8, Called); N]) -> BTreeMap<u8, String> {
        let buckets = said.into_iter().map(|(n, called)| (id(n), called)).collect();
        names(&buckets).into_iter().map(|(id, name)| (id.as_bytes()[0], name)).collect()
    }

    fn listed(name: &str) -> Called {
        Called::Listed(name.to_owned())
    }

    fn itself(name: &str) -> Called {
        Called::Itself(name.to_owned())
    }

    #[test]
    fn a_private_bucket_takes_no_name_of_the_directory() {
        // With a lower id or a higher one.
        for hostile in [1, 9] {
            let names = called([(5, listed("photos")), (hostile, itself("photos"))]);
            assert_eq!(names[&5], "photos");
            assert_eq!(names[&hostile], id(hostile).short());
        }
    }

    #[test]
    fn two_private_buckets_of_one_name_have_none() {
        let names = called([(1, itself("letters")), (2, itself("letters")), (3, itself("papers"))]);
        assert_eq!(names[&1], id(1).short());
        assert_eq!(names[&2], id(2).short());
        assert_eq!(names[&3], "papers");
    }

    #[test]
    fn what_is_meant_for_ones_own_bucket_goes_to_no_other() {
        let ours = || Called::Ours("clients".to_owned());
        let names = called([(1, listed("clients")), (2, ours()), (3, itself("clients"))]);
        assert_eq!(names[&2], "clients");
        assert_eq!([&names[&1], &names[&3]], [&id(1).short(), &id(3).short()]);
        let names = called([(1, listed("clients")), (2, ours()), (3, ours())]);
        assert!(names.values().all(|name| name != "clients"), "{names:?}");
    }

    #[test]
    fn a_private_bucket_is_not_called_by_the_id_of_another() {
        let names = called([(1, Called::Not), (2, itself(&id(1).short()))]);
        assert_eq!(names[&1], id(1).short());
        assert_eq!(names[&2], id(2).short());
    }

    #[test]
    fn ids_that_begin_alike_are_told_apart() {
        let mut alike = [1; 32];
        alike[31] = 2;
        let alike = BucketId::from_bytes(alike);
        let buckets = [(id(1), Called::Not), (alike, Called::Not)].into();
        let names: BTreeSet<String> = names(&buckets).into_values().collect();
        assert_eq!(names, [id(1).to_string(), alike.to_string()].into());
    }
}

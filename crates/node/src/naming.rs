//! What buckets are called here. The directory's names stand. A private bucket says its name itself,
//! and whoever writes into it can say any: it gets one that nobody else has, or none.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::BucketId;

/// What a bucket is called, by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called {
    /// By the directory.
    Listed(String),
    /// By itself.
    Itself(String),
    /// By nobody, as far as this node can read.
    Not,
}

/// The name of each bucket. It follows from what is said alone, not from what was said first: nobody
/// can take over a name by being early, or late.
pub(crate) fn names(buckets: &BTreeMap<BucketId, Called>) -> BTreeMap<BucketId, String> {
    let mut shorts: BTreeMap<String, usize> = BTreeMap::new();
    let mut itself: BTreeMap<&str, usize> = BTreeMap::new();
    let mut listed: BTreeSet<&str> = BTreeSet::new();
    for (id, called) in buckets {
        *shorts.entry(id.short()).or_default() += 1;
        match called {
            Called::Listed(name) => drop(listed.insert(name)),
            Called::Itself(name) => *itself.entry(name).or_default() += 1,
            Called::Not => {}
        }
    }
    // Beginnings of ids can be made alike, with patience.
    let by_id = |id: &BucketId| {
        let short = id.short();
        if shorts.get(&short).is_some_and(|count| *count > 1) { id.to_string() } else { short }
    };
    let is_free = |name: &str| {
        !listed.contains(name)
            && !shorts.contains_key(name)
            && itself.get(name).is_some_and(|count| *count == 1)
    };
    let name = |(id, called): (&BucketId, &Called)| {
        let name = match called {
            Called::Listed(name) => name.clone(),
            Called::Itself(name) if is_free(name) => name.clone(),
            Called::Itself(_) | Called::Not => by_id(id),
        };
        (*id, name)
    };
    buckets.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

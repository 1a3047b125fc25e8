//! Which number is which thing. The kernel knows things by numbers that stay, and what is in a snapshot never changes: each
//! directory that is listed gets a range of them for what is in it, so that nothing has to be remembered of files. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{Entry, Kind};

/// The folder itself.
pub(crate) const TOP: u64 = 1;
/// The one with the snapshots.
pub(crate) const SNAPSHOTS: u64 = 2;
/// The link to the newest.
pub(crate) const LATEST: u64 = 3;
/// The first snapshot; the others follow.
pub(crate) const FIRST: u64 = 4;
/// So many things of directories are held, about, in each of two generations.
const HELD: usize = 100_000;

/// What is in a directory, by name.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The directory above.
    pub(crate) above: u64,
    pub(crate) tree: Arc<str>,
    /// The number of the first thing in it.
    pub(crate) first: u64,
    pub(crate) entries: Vec<Entry>,
}

impl Listing {
    pub(crate) fn find(&self, name: &[u8]) -> Option<(u64, &Entry)> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_slice().cmp(name)).ok()?;
        Some((self.first + at as u64, self.entries.get(at)?))
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

/// A directory that was listed once.
#[derive(Debug, Clone)]
struct Known {
    number: u64,
    above: u64,
    name: Vec<u8>,
    tree: Arc<str>,
    first: u64,
    count: u64,
}

/// The numbers that were given, and what was listed lately.
#[derive(Debug)]
pub(crate) struct Numbers {
    next: u64,
    dirs: HashMap<u64, Known>,
    /// Which directory's range begins with a number.
    ranges: BTreeMap<u64, u64>,
    young: HashMap<u64, Arc<Listing>>,
    old: HashMap<u64, Arc<Listing>>,
    held: usize,
}

/// A directory, as far as it has to be known to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dir {
    pub(crate) above: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) tree: Arc<str>,
}

impl Numbers {
    pub(crate) fn new(snapshots: usize) -> Self {
        Self {
            next: FIRST + snapshots as u64,
            dirs: HashMap::new(),
            ranges: BTreeMap::new(),
            young: HashMap::new(),
            old: HashMap::new(),
            held: 0,
        }
    }

    /// The directory that a number is in.
    pub(crate) fn above(&self, number: u64) -> Option<u64> {
        let (_, dir) = self.ranges.range(..=number).next_back()?;
        let known = self.dirs.get(dir)?;
        (number - known.first < known.count).then_some(*dir)
    }

    /// One that was listed before.
    pub(crate) fn dir(&self, number: u64) -> Option<Dir> {
        let known = self.dirs.get(&number)?;
        Some(Dir { above: known.above, name: known.name.clone(), tree: Arc::clone(&known.tree) })
    }

    /// The directory that something is in.
    pub(crate) fn dir_above(&self, number: u64) -> Option<Dir> {
        self.dir(self.above(number)?)
    }

    /// What is in a directory, if that is held.
    pub(crate) fn held(&mut self, number: u64) -> Option<Arc<Listing>> {
        if let Some(listing) = self.young.get(&number) {
            return Some(Arc::clone(listing));
        }
        let listing = self.old.get(&number).cloned()?;
        self.hold(number, &listing);
        Some(listing)
    }

    /// Takes what was listed, and gives it numbers: the same each time.
    pub(crate) fn take(&mut self, number: u64, dir: Dir, mut entries: Vec<Entry>) -> Arc<Listing> {
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.dedup_by(|one, other| one.name == other.name);
        let count = entries.len() as u64;
        let next = self.next;
        let known = self.dirs.entry(number).or_insert_with(|| Known {
            number,
            above: dir.above,
            name: dir.name,
            tree: Arc::clone(&dir.tree),
            first: next,
            count,
        });
        // What a tree has is what its name says: it is never another number of things.
        entries.truncate(usize::try_from(known.count).unwrap_or(usize::MAX));
        let (first, count, above, tree) = (known.first, known.count, known.above, Arc::clone(&known.tree));
        if first == next && count > 0 {
            self.ranges.insert(first, known.number);
            self.next += count;
        }
        let listing = Arc::new(Listing { above, tree, first, entries });
        self.hold(number, &listing);
        listing
    }

    fn hold(&mut self, number: u64, listing: &Arc<Listing>) {
        if self.held >= HELD {
            self.old = std::mem::take(&mut self.young);
            self.held = 0;
        }
        self.held += 1 + listing.entries.len();
        self.young.insert(number, Arc::clone(listing));
    }

    /// The names from a snapshot down to a directory, and the number at which they begin.
    pub(crate) fn path(&self, mut number: u64) -> (u64, Vec<u8>) {
        let mut names = Vec::new();
        while let Some(known) = self.dirs.get(&number).filter(|known| known.above != SNAPSHOTS) {
            names.push(known.name.as_slice());
            number = known.above;
        }
        names.reverse();
        (number, names.join(&b'/'))
    }
}

/// The directory that something is, below another one.
pub(crate) fn below(above: u64, entry: &Entry) -> Option<Dir> {
    let Kind::Dir(tree) = &entry.kind else { return None };
    Some(Dir { above, name: entry.name.clone(), tree: tree.as_str().into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, kind: Kind) -> Entry {
        let times = [(0, 0); 3];
        let name = name.as_bytes().to_vec();
        Entry { at: 0, name, kind, mode: 0o644, user: 0, group: 0, size: 0, links: 1, times }
    }

    fn dir(above: u64, name: &str) -> Dir {
        Dir { above, name: name.as_bytes().to_vec(), tree: name.into() }
    }

    #[test]
    fn a_number_leads_to_what_it_was_given_for() {
        let mut numbers = Numbers::new(2);
        let top = numbers.take(
            FIRST,
            dir(SNAPSHOTS, "one"),
            vec![entry("b", Kind::File), entry("a", Kind::Dir("t".to_owned())), entry("b", Kind::Pipe)],
        );
        assert_eq!(top.entries.len(), 2, "a name is there once");
        let (number, found) = top.find(b"a").unwrap();
        assert_eq!((numbers.above(number), top.get(number)), (Some(FIRST), Some(found)));
        let below = numbers.take(number, below(FIRST, found).unwrap(), vec![entry("c", Kind::File)]);
        let (deep, _) = below.find(b"c").unwrap();
        assert_eq!(numbers.above(deep), Some(number));
        assert_eq!(numbers.path(number), (FIRST, b"a".to_vec()));
        assert_eq!(numbers.above(deep + 1), None);
        assert_eq!(numbers.above(FIRST), None);
    }

    proptest! {
        /// Directories are listed in any order, some again after they were dropped: numbers stay, and no two things
        /// have the same.
        #[test]
        fn numbers_stay_and_are_nobody_elses(visits in prop::collection::vec((0_u64..12, 0_usize..5), 1..60)) {
            let mut numbers = Numbers::new(12);
            let mut sizes = HashMap::new();
            let mut seen: HashMap<u64, (u64, Vec<u8>)> = HashMap::new();
            for (which, size) in visits {
                let size = *sizes.entry(which).or_insert(size);
                let entries = (0..size).map(|n| entry(&format!("{n}"), Kind::File)).collect();
                let number = FIRST + which;
                let listing = numbers.take(number, dir(SNAPSHOTS, "x"), entries);
                prop_assert_eq!(listing.entries.len(), size);
                for (at, entry) in listing.entries.iter().enumerate() {
                    let of = listing.first + at as u64;
                    prop_assert_eq!(numbers.above(of), Some(number));
                    let known = seen.entry(of).or_insert((number, entry.name.clone()));
                    prop_assert_eq!(&(number, entry.name.clone()), known);
                }
            }
        }
    }
}

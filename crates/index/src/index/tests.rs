use std::collections::BTreeSet;

use freehold_placement::{Cuts, is_cut_off};
use freehold_seal::{Deed, VersionId};
use freehold_wire::NodeId;
use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;
use crate::{Etag, ListQuery, Locks, Mode, Retention, Says, VersionItem, VersionQuery, Writers, versions};

const BUCKET: BucketId = BucketId::from_bytes([1; 32]);
const LATER: Millis = Millis(1 << 40);

/// An entry, as the tests make them up.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    stamp: Stamp,
    fact: Fact,
}

fn id(n: u8) -> VersionId {
    VersionId::from_bytes([n; 16])
}

fn stamp(wall: u64, origin: u8, seq: u64) -> Stamp {
    Stamp { hlc: Hlc { wall: Millis(wall), count: 0 }, origin: NodeId::from_bytes([origin; 32]), seq }
}

fn version(stamp: Stamp, key: &str, n: u8, deed: Deed, retention: Option<Retention>) -> Entry {
    let size = if matches!(deed, Deed::NullWrite | Deed::KeptWrite) { 10 } else { 0 };
    let row = Row {
        stamp,
        id: id(n),
        size,
        etag: Etag::single([0; 16]),
        modified: stamp.hlc.wall,
        deed,
        generation: 1,
    };
    Entry { stamp, fact: Fact::Version { key: key.into(), row, locks: Locks { retention, hold: false } } }
}

fn removal(stamp: Stamp, key: &str, n: u8) -> Entry {
    Entry { stamp, fact: Fact::Removal { key: key.into(), version: id(n) } }
}

fn said(stamp: Stamp, key: &str, target: Target, aspect: Aspect, retention: Option<Retention>) -> Entry {
    let says = Says { some: true, retention, hold: aspect == Aspect::Hold };
    Entry { stamp, fact: Fact::Said { key: key.into(), target, aspect, says } }
}

#[expect(clippy::unnecessary_wraps, reason = "as everything that may be locked takes it")]
const fn until(mode: Mode, wall: u64) -> Option<Retention> {
    Some(Retention { mode, until: Millis(wall) })
}

fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Index {
    let mut index = Index::default();
    for Entry { stamp, fact } in entries {
        index.restore(BUCKET, *stamp, fact.clone(), LATER);
    }
    index
}

fn listed(index: &Index) -> Vec<String> {
    let mut lines = Vec::new();
    let query = VersionQuery { keys: ListQuery { max: 1000, ..ListQuery::default() }, older_than: None };
    let Some(bucket) = index.bucket(&BUCKET) else { return lines };
    versions(bucket.keys(), &query, |item| {
        match item {
            VersionItem::Version { key, row, current } => {
                let now = Millis(50);
                let locks = bucket.state(key).unwrap().locks(row, now);
                let tags = bucket.state(key).unwrap().amended(row.target(), Aspect::Tags);
                let mark = if current { "*" } else { "" };
                lines.push(format!("{key} {:?} {}{mark} {locks:?} {tags:?}", row.deed, row.version()));
            }
            VersionItem::Prefix(prefix) => lines.push(prefix.to_owned()),
        }
        true
    });
    lines
}

/// Entries of three nodes that do not always know of each other.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let one = (0u8..9, 1u64..100, 1u8..4, 0u8..2, 0u8..4, any::<Pick>(), any::<Option<bool>>());
    prop::collection::vec(one, 1..24).prop_map(|made| {
        let mut entries: Vec<Entry> = Vec::new();
        for (seq, (what, wall, origin, key, n, which, strict)) in (1u64..).zip(made) {
            let (stamp, key) = (stamp(wall, origin, seq), if key == 0 { "a" } else { "b/c" });
            let mode = if strict == Some(true) { Mode::Compliance } else { Mode::Governance };
            let retention = strict.and(until(mode, wall + u64::from(n) * 20));
            // A kept version's id is its own, but for one that was forged.
            let own = if n == 3 { 3 } else { u8::try_from(seq).unwrap() + 10 };
            let there: Vec<Target> = entries
                .iter()
                .filter_map(|entry| match &entry.fact {
                    Fact::Version { key: of, row, .. } if **of == *key => Some(row.target()),
                    _ => None,
                })
                .collect();
            let target = if there.is_empty() { Target::Kept(id(3)) } else { *which.get(&there) };
            let aspect = if n < 2 { Aspect::Retention } else { Aspect::Tags };
            let retention_of = retention.filter(|_| aspect == Aspect::Retention);
            entries.push(match what {
                0 => version(stamp, key, own, Deed::NullWrite, retention),
                1 => version(stamp, key, own, Deed::NullRemoval, None),
                2 => version(stamp, key, own, Deed::NullMarker, None),
                3 | 4 => version(stamp, key, own, Deed::KeptWrite, retention),
                5 => version(stamp, key, own, Deed::KeptMarker, None),
                6 => match target {
                    Target::Kept(version) => {
                        Entry { stamp, fact: Fact::Removal { key: key.into(), version } }
                    }
                    Target::Null(..) => said(stamp, key, target, aspect, retention_of),
                },
                7 => said(stamp, key, target, aspect, retention_of),
                _ => {
                    let setting = match n {
                        0 => Setting::Policy,
                        1 => Setting::Tags,
                        _ => Setting::Holders,
                    };
                    let document = strict.map(|_| vec![own].into());
                    let generation = if key == "a" { 1 } else { 2 };
                    Entry { stamp, fact: Fact::Setting { setting, document, generation } }
                }
            });
        }
        entries
    })
}

/// The living versions of a key by their definition, from all entries at once.
fn living(entries: &[Entry], wanted: &str) -> BTreeSet<Stamp> {
    let of_key = |entry: &&Entry| match &entry.fact {
        Fact::Version { key, .. } | Fact::Removal { key, .. } | Fact::Said { key, .. } => **key == *wanted,
        Fact::Setting { .. } => false,
    };
    let all: Vec<&Entry> = entries.iter().filter(of_key).collect();
    let rows = || {
        all.iter().filter_map(|entry| match &entry.fact {
            Fact::Version { row, locks, .. } => Some((row, locks)),
            _ => None,
        })
    };
    let null = rows().map(|(row, _)| row).filter(|row| row.is_null()).max_by_key(|row| row.stamp);
    let null = null.filter(|row| row.deed != Deed::NullRemoval).map(|row| row.stamp);
    let ids: BTreeSet<VersionId> = rows().filter(|(row, _)| !row.is_null()).map(|(row, _)| row.id).collect();
    let kept = ids.into_iter().filter_map(|id| {
        let (row, locks) =
            rows().filter(|(row, _)| !row.is_null() && row.id == id).min_by_key(|(row, _)| row.stamp)?;
        let later = all.iter().filter_map(|entry| match &entry.fact {
            Fact::Said { target, says, .. } if *target == Target::Kept(id) => says.retention?.compliance(),
            _ => None,
        });
        let locked = later.chain(locks.retention.and_then(Retention::compliance)).max();
        let removed = all.iter().any(|entry| {
            let late = locked.is_none_or(|until| until <= entry.stamp.hlc.wall);
            matches!(&entry.fact, Fact::Removal { version, .. } if *version == id) && late
        });
        (!removed).then_some(row.stamp)
    });
    kept.chain(null).collect()
}

fn words(index: &Index) -> Vec<Word> {
    index.words(&BUCKET, Setting::Holders)
}

fn superseded(index: &Index) -> BTreeSet<Locator> {
    index.superseded.keys().copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_order_of_arrival_gives_the_same_index(
        (entries, shuffled) in entries().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        twice in any::<bool>(),
    ) {
        let (one, mut other) = (fold(&entries), fold(&shuffled));
        if twice {
            for Entry { stamp, fact } in &entries {
                other.apply(BUCKET, *stamp, fact.clone(), LATER);
            }
        }
        prop_assert_eq!(&one.buckets, &other.buckets);
        prop_assert_eq!(superseded(&one), superseded(&other));
    }

    #[test]
    fn what_lives_is_what_the_definition_says(entries in entries()) {
        let index = fold(&entries);
        let (mut versions, mut bytes, mut objects) = (0, 0, 0);
        for key in ["a", "b/c"] {
            let wanted = living(&entries, key);
            let state = index.state(&BUCKET, key);
            let there: Vec<Stamp> = state.into_iter().flat_map(State::living).map(|l| l.row.stamp).collect();
            prop_assert_eq!(&there, &wanted.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(state.and_then(State::current).map(|row| row.stamp), wanted.last().copied());
            for at in &wanted {
                prop_assert!(!index.is_superseded(&at.locator(BUCKET)));
            }
            versions += there.len() as u64;
            bytes += state.into_iter().flat_map(State::living).map(|l| l.row.size).sum::<u64>();
            objects += u64::from(index.visible(&BUCKET, key).is_some());
        }
        if let Some(bucket) = index.bucket(&BUCKET) {
            prop_assert_eq!((bucket.objects(), bucket.versions(), bucket.bytes()), (objects, versions, bytes));
        }
    }

    #[test]
    fn what_is_superseded_may_go_in_any_order(entries in entries(), keep in any::<u64>()) {
        // A forged second entry with the id of a removed version may come up again: it is a lie anyway.
        prop_assume!(!entries.iter().enumerate().any(|(at, one)| entries.iter().skip(at + 1).any(|two| same_id(one, two))));
        let index = fold(&entries);
        let mut rest = entries.clone();
        let mut bit = 0u32;
        rest.retain(|entry| {
            bit += 1;
            !index.is_superseded(&entry.stamp.locator(BUCKET)) || keep.wrapping_shr(bit) & 1 == 1
        });
        let left = fold(&rest);
        prop_assert_eq!(listed(&index), listed(&left));
        prop_assert_eq!(index.settings(&BUCKET), left.settings(&BUCKET));
        prop_assert_eq!(words(&index), words(&left));
        // What was kept of it is superseded still, or it would stay for ever.
        for entry in &rest {
            let at = entry.stamp.locator(BUCKET);
            prop_assert!(!index.is_superseded(&at) || left.is_superseded(&at) || is_silent(&left, entry));
        }
    }

    #[test]
    fn who_may_not_write_adds_nothing_but_words(entries in entries(), origin in 1u8..4, last in 0u64..24) {
        let may = |n: &u8| *n != origin;
        let writers = Writers {
            all: [1, 2, 3].into_iter().filter(may).map(|n| NodeId::from_bytes([n; 32])).collect(),
            until: [(NodeId::from_bytes([origin; 32]), last)].into(),
        };
        let is_word = |entry: &Entry| matches!(&entry.fact, Fact::Setting { setting, .. } if is_of_each(*setting));
        let counts =
            |entry: &&Entry| is_word(entry) || writers.lets(&entry.stamp.origin, entry.stamp.seq);
        let mut index = fold(&entries);
        let before = listed(&index);
        index.begin_hiding(&BUCKET, &Cuts::new(), Some(&writers));
        for Entry { stamp, fact } in entries.iter().filter(counts) {
            index.restore(BUCKET, *stamp, fact.clone(), LATER);
        }
        prop_assert_eq!(listed(&index), before);
        prop_assert!(index.end_hiding(&BUCKET, &Cuts::new(), Some(&writers), LATER));
        let wanted = fold(entries.iter().filter(counts));
        prop_assert_eq!(listed(&index), listed(&wanted));
        prop_assert_eq!(index.settings(&BUCKET), wanted.settings(&BUCKET));
        prop_assert_eq!(words(&index), words(&wanted));
    }

    #[test]
    fn any_cut_gives_the_index_of_what_counts(entries in entries(), origin in 1u8..4, last in 0u64..24) {
        let cuts: Cuts = [(NodeId::from_bytes([origin; 32]), [(BUCKET, last)].into())].into();
        let counts = |entry: &&Entry| !is_cut_off(&cuts, &BUCKET, &entry.stamp.origin, entry.stamp.seq);
        let mut index = fold(&entries);
        index.begin_hiding(&BUCKET, &cuts, None);
        for Entry { stamp, fact } in entries.iter().filter(counts) {
            index.restore(BUCKET, *stamp, fact.clone(), LATER);
        }
        index.end_hiding(&BUCKET, &cuts, None, LATER);
        let wanted = fold(entries.iter().filter(counts));
        prop_assert_eq!(listed(&index), listed(&wanted));
        prop_assert_eq!(index.settings(&BUCKET), wanted.settings(&BUCKET));
        prop_assert_eq!(words(&index), words(&wanted));
    }

    #[test]
    fn each_nodes_last_word_stands_whatever_others_say(entries in entries()) {
        let index = fold(&entries);
        let mut wanted: BTreeMap<NodeId, (u16, Stamp)> = BTreeMap::new();
        for entry in &entries {
            if let Fact::Setting { setting: Setting::Holders, generation, .. } = entry.fact {
                let last = wanted.entry(entry.stamp.origin).or_insert((generation, entry.stamp));
                *last = (*last).max((generation, entry.stamp));
            }
        }
        let there: Vec<_> = words(&index).into_iter().map(|word| (word.generation, word.stamp)).collect();
        prop_assert_eq!(&there, &wanted.values().copied().collect::<Vec<_>>());
        for (_, stamp) in there {
            prop_assert!(!index.is_superseded(&stamp.locator(BUCKET)));
        }
    }

    #[test]
    fn a_listing_in_pages_is_the_whole_listing(entries in entries(), max in 1usize..4, fold_at in any::<bool>()) {
        let index = fold(&entries);
        let Some(bucket) = index.bucket(&BUCKET) else { return Ok(()) };
        let delimiter = fold_at.then(|| "/".to_owned());
        let page = |after: Option<String>, older_than, max| {
            let keys = ListQuery { prefix: String::new(), delimiter: delimiter.clone(), after, max };
            let mut page: Vec<(String, Option<Version>)> = Vec::new();
            versions(bucket.keys(), &VersionQuery { keys, older_than }, |item| {
                page.push(match item {
                    VersionItem::Version { key, row, .. } => (key.to_owned(), Some(row.version())),
                    VersionItem::Prefix(prefix) => (prefix.to_owned(), None),
                });
                page.len() < max
            });
            page
        };
        let (mut all, mut last) = (Vec::new(), (None, None));
        loop {
            let got = page(last.0.take(), last.1.take(), max);
            let Some((key, version)) = got.last().cloned() else { break };
            last = (Some(key), version);
            all.extend(got);
        }
        prop_assert_eq!(all, page(None, None, 1000));
    }
}

fn same_id(one: &Entry, two: &Entry) -> bool {
    let id = |entry: &Entry| match &entry.fact {
        Fact::Version { key, row, .. } if !row.is_null() => Some((key.clone(), row.id)),
        _ => None,
    };
    id(one).is_some() && id(one) == id(two)
}

/// Said of a version that is not known any more: it is there, and nobody sees it.
fn is_silent(index: &Index, entry: &Entry) -> bool {
    match &entry.fact {
        Fact::Said { key, target: Target::Kept(version), .. } | Fact::Removal { key, version } => {
            index.find(&BUCKET, key, Version::Id(*version)).is_none()
        }
        Fact::Said { key, target, .. } => {
            let living = index.state(&BUCKET, key).into_iter().flat_map(State::living);
            living.map(|living| living.row.target()).all(|there| there != *target)
        }
        _ => false,
    }
}

#[test]
fn a_removal_during_compliance_is_void_even_if_the_lock_is_heard_later() {
    let locked =
        said(stamp(2, 1, 2), "k", Target::Kept(id(1)), Aspect::Retention, until(Mode::Compliance, 100));
    let entries = [
        version(stamp(1, 1, 1), "k", 1, Deed::KeptWrite, None),
        removal(stamp(50, 2, 1), "k", 1),
        locked.clone(),
    ];
    let without = fold(&entries[..2]);
    assert!(without.visible(&BUCKET, "k").is_none());
    let index = fold(&entries);
    assert!(index.visible(&BUCKET, "k").is_some());
    assert_eq!(superseded(&index), [stamp(50, 2, 1).locator(BUCKET)].into());
    // A weaker word that comes later takes nothing back.
    let weaker =
        said(stamp(3, 2, 9), "k", Target::Kept(id(1)), Aspect::Retention, until(Mode::Governance, 4));
    let index = fold(entries.iter().chain([&weaker]));
    let state = index.state(&BUCKET, "k").unwrap();
    assert_eq!(state.locks(state.visible().unwrap(), Millis(50)).retention, until(Mode::Compliance, 100));
    // When its time is over it may go.
    let late = removal(stamp(101, 2, 10), "k", 1);
    let index = fold(entries.iter().chain([&late]));
    assert!(index.visible(&BUCKET, "k").is_none());
    assert!(index.is_superseded(&stamp(1, 1, 1).locator(BUCKET)));
}

#[test]
fn what_was_erased_is_forgotten() {
    let entries = [
        version(stamp(1, 1, 1), "k", 1, Deed::KeptWrite, None),
        version(stamp(2, 1, 2), "k", 2, Deed::KeptMarker, None),
        removal(stamp(3, 1, 3), "k", 1),
    ];
    let mut index = fold(&entries);
    let first = stamp(1, 1, 1).locator(BUCKET);
    assert_eq!(index.due(LATER, Millis(0)), [(first, None)]);
    index.erased(&first);
    assert_eq!(index, fold(&entries[1..]));
}

const fn carried(generation: u16, stamp: Stamp) -> Carried {
    Carried { counts: true, generation, stamp }
}

#[test]
fn nothing_goes_because_of_what_one_sealed_anew_who_does_not_count() {
    let first = version(stamp(1, 1, 1), "k", 1, Deed::NullWrite, None);
    let (at, by) = (stamp(1, 1, 1).locator(BUCKET), stamp(9, 2, 1));
    let mut index = fold([&first]);
    index.carried(BUCKET, stamp(1, 1, 1), Carried { counts: false, ..carried(2, by) }, false, Millis(9));
    assert!(index.is_borrowed(&at) && index.place_of(at) == at);
    assert_eq!(index.sealed_before(&BUCKET, 2), [stamp(1, 1, 1)]);
    assert_eq!(index.generations(&BUCKET), [(1, 1)].into());
    assert!(index.due(LATER, Millis(0)).is_empty());
    // Where the first is gone it is all there is.
    index.are_erased([&at]);
    assert_eq!(index.place_of(at), by.locator(BUCKET));
    let again = stamp(12, 3, 1);
    index.carried(BUCKET, stamp(1, 1, 1), carried(2, again), false, Millis(12));
    assert_eq!(index.place_of(at), again.locator(BUCKET));
    assert_eq!(index.due(LATER, Millis(0)), [(by.locator(BUCKET), Some(again.locator(BUCKET)))]);
    // Its node's rights are taken away: who counts takes over again.
    let out = Writers { all: [stamp(1, 2, 1).origin, stamp(1, 1, 1).origin].into(), ..Writers::default() };
    assert!(index.begin_hiding(&BUCKET, &Cuts::new(), Some(&out)));
    assert!(index.due(LATER, Millis(0)).is_empty());
    // Reading it failed, and it is begun anew.
    assert!(index.begin_hiding(&BUCKET, &Cuts::new(), Some(&out)));
    assert!(index.due(LATER, Millis(0)).is_empty());
    index.carried(BUCKET, stamp(1, 1, 1), carried(2, by), false, Millis(9));
    assert!(index.end_hiding(&BUCKET, &Cuts::new(), Some(&out), LATER));
    assert_eq!(index.place_of(at), by.locator(BUCKET));
}

#[test]
fn what_was_sealed_anew_stands_where_the_first_entry_stood() {
    let first = version(stamp(1, 1, 1), "k", 1, Deed::NullWrite, None);
    let (at, by) = (stamp(1, 1, 1).locator(BUCKET), stamp(9, 2, 1));
    let mut index = fold([&first]);
    assert_eq!(index.sealed_before(&BUCKET, 2), [stamp(1, 1, 1)]);
    index.carried(BUCKET, stamp(1, 1, 1), carried(2, by), false, Millis(9));
    assert_eq!(index.place_of(at), by.locator(BUCKET));
    assert_eq!(index.generations(&BUCKET), [(2, 1)].into());
    assert!(index.sealed_before(&BUCKET, 2).is_empty());
    assert_eq!(index.sealed_before(&BUCKET, 3), [stamp(1, 1, 1)]);
    // The first entry may go once the carrier is on as many nodes.
    assert!(index.due(Millis(10), Millis(5)).is_empty());
    assert_eq!(index.due(LATER, Millis(5)), [(at, Some(by.locator(BUCKET)))]);
    index.erased(&at);
    assert!(index.due(LATER, Millis(5)).is_empty());
    assert!(index.visible(&BUCKET, "k").is_some());
    // Later generations take over, whatever came first; what was in between goes.
    let (late, middle) = (stamp(20, 1, 8), stamp(21, 2, 2));
    index.carried(BUCKET, stamp(1, 1, 1), carried(4, late), false, Millis(20));
    index.carried(BUCKET, stamp(1, 1, 1), carried(3, middle), false, Millis(21));
    assert_eq!(index.place_of(at), late.locator(BUCKET));
    let mut due = index.due(LATER, Millis(0));
    due.sort();
    let winner = Some(late.locator(BUCKET));
    assert_eq!(due, [(by.locator(BUCKET), winner), (middle.locator(BUCKET), winner)]);
    // A write that came later than the first entry wins, though it is older than the carrier.
    let write = version(stamp(2, 3, 1), "k", 2, Deed::NullWrite, None);
    index.restore(BUCKET, write.stamp, write.fact, LATER);
    assert_eq!(index.visible(&BUCKET, "k").unwrap().id, id(2));
    let due: BTreeSet<Locator> = index.due(LATER, Millis(0)).into_iter().map(|(at, _)| at).collect();
    assert!(due.contains(&at) && due.contains(&late.locator(BUCKET)));
}

#[test]
fn what_took_a_place_must_be_on_as_many_nodes_first() {
    let tags = |wall, seq| {
        let target = Target::Null(Hlc { wall: Millis(1), count: 0 }, NodeId::from_bytes([1; 32]), 1);
        said(stamp(wall, 1, seq), "k", target, Aspect::Tags, None)
    };
    let first = version(stamp(1, 1, 1), "k", 1, Deed::NullWrite, None);
    let at = |seq| Locator { bucket: BUCKET, origin: NodeId::from_bytes([1; 32]), seq };
    let index = fold(&[first.clone(), tags(2, 2), tags(3, 3)]);
    assert_eq!(index.due(LATER, Millis(0)), [(at(2), Some(at(3)))]);
    let second = version(stamp(4, 1, 4), "k", 2, Deed::NullWrite, None);
    let index = fold(&[first.clone(), tags(2, 2), second.clone(), tags(3, 3)]);
    assert_eq!(index.due(LATER, Millis(0)), [(at(1), Some(at(4))), (at(2), None), (at(3), None)]);
    assert!(matches!(index.state(&BUCKET, "k"), Some(State::One(_))));
    let gone = version(stamp(5, 1, 5), "k", 3, Deed::NullRemoval, None);
    let index = fold(&[first, second, gone]);
    assert_eq!(index.due(LATER, Millis(0)), [(at(1), None), (at(4), None)]);
}

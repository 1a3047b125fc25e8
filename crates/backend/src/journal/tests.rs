use proptest::prelude::*;

use super::*;

fn row(origin: u8, seq: u64, payload: Option<u8>) -> EntryRow {
    EntryRow {
        bucket: BucketId::from_bytes([7; 32]),
        origin: NodeId::from_bytes([origin; 32]),
        seq,
        entry: vec![origin, seq.to_be_bytes()[7]],
        payload: payload.map(|byte| vec![byte; 3]),
    }
}

fn op(number: u8, signatures: u8) -> (OpId, Vec<u8>) {
    (OpId::from_bytes([number; 32]), vec![signatures; 4])
}

fn part(ops: &[(u8, u8)], rows: &[EntryRow]) -> Part {
    let mut cutter = Cutter::default();
    for (number, signatures) in ops {
        let (id, bytes) = op(*number, *signatures);
        assert_eq!(cutter.op(id, bytes), None);
    }
    for row in rows {
        assert_eq!(cutter.entry(row.clone()), None);
    }
    cutter.finish(&BTreeSet::new())
}

/// A sum, and the entries that a node keeps of it.
#[derive(Debug, Default, PartialEq)]
struct Whole {
    sum: Sum,
    rows: BTreeMap<(NodeId, u64), EntryRow>,
}

fn sum(parts: impl IntoIterator<Item = Part>) -> Whole {
    let mut whole = Whole::default();
    for part in parts {
        for row in whole.sum.add(&part.to_bytes(), |_| true).unwrap() {
            match whole.rows.get_mut(&(row.origin, row.seq)) {
                None => drop(whole.rows.insert((row.origin, row.seq), row)),
                Some(known) if row.payload.is_none() => known.payload = None,
                Some(_) => {}
            }
        }
    }
    whole
}

/// Each names the one before.
fn linked(parts: Vec<Part>) -> Vec<Part> {
    let mut before = None;
    let link = |part: Part| {
        let part = part.after(before);
        before = Some(Part::hash(&part.to_bytes()));
        part
    };
    parts.into_iter().map(link).collect()
}

#[test]
fn what_comes_later_counts_and_gaps_are_left_out() {
    let first = part(&[(1, 1), (2, 1)], &[row(1, 1, Some(1)), row(1, 2, Some(2)), row(2, 1, Some(3))]);
    let second = part(&[(1, 2)], &[row(1, 1, None), row(1, 4, Some(4)), row(3, 2, Some(5))]);
    let Whole { sum, rows } = sum([first, second]);
    assert_eq!(sum.ops().values().map(|bytes| bytes[0]).collect::<Vec<_>>(), [2, 1]);
    let rows: Vec<EntryRow> = rows.into_values().collect();
    assert_eq!(rows, [row(1, 1, None), row(1, 2, Some(2)), row(2, 1, Some(3))]);
    assert_eq!(sum.left_out(), 2);
}

#[test]
fn what_does_not_stand_is_left_out_with_all_after_it() {
    let part =
        part(&[], &[row(1, 1, None), row(1, 2, None), row(1, 3, None), row(2, 0, None), row(2, 1, None)]);
    let mut sum = Sum::default();
    let kept = sum.add(&part.to_bytes(), |row| row.seq != 2).unwrap();
    assert_eq!(kept, [row(1, 1, None), row(2, 1, None)]);
    assert_eq!((sum.left_out(), sum.origins().len()), (3, 2));
}

#[test]
fn a_part_is_full_at_a_mebibyte() {
    let mut cutter = Cutter::default();
    let long = |seq| EntryRow { entry: vec![1; 300_000], ..row(1, seq, None) };
    let full: Vec<Part> = (1..=9).filter_map(|seq| cutter.entry(long(seq))).collect();
    assert_eq!(full.iter().map(|part| part.rows.len()).collect::<Vec<_>>(), [4, 4]);
    let rest = cutter.finish(&BTreeSet::new());
    assert_eq!(rest.rows.len(), 1);
    assert!(cutter.finish(&BTreeSet::new()).is_empty());
    assert_eq!(sum(full.into_iter().chain([rest])).rows.len(), 9);
}

#[test]
fn a_part_is_known_by_its_name_and_by_nobody_else() {
    let (ours, theirs) =
        (PartNames::of(&Secret::from_bytes([1; 32])), PartNames::of(&Secret::from_bytes([2; 32])));
    let name = ours.name(300, [9; 8]);
    assert_eq!((ours.number(&name), theirs.number(&name)), (Some(300), None));
    assert!(name < ours.name(301, [0; 8]));
}

/// Two origins whose entries come one after another, in parts of any size; some payloads are erased
/// later, and some parts tell again what was told.
fn journal() -> impl Strategy<Value = Vec<Part>> {
    let step = (1u8..=2, prop::bool::weighted(0.2), prop::bool::weighted(0.4));
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let (mut parts, mut open, mut last) = (Vec::new(), Vec::new(), [0u64; 2]);
        for (origin, again, cut) in steps {
            let place = &mut last[usize::from(origin) - 1];
            if again && *place > 0 {
                open.push(row(origin, *place, None));
            } else {
                *place += 1;
                open.push(row(origin, *place, Some(origin)));
            }
            if cut {
                parts.push(part(&[(u8::try_from(parts.len()).unwrap(), 1)], &std::mem::take(&mut open)));
            }
        }
        parts.push(part(&[], &open));
        parts
    })
}

proptest! {
    #[test]
    fn any_loss_leaves_what_the_node_knew_or_less_and_shows(
        parts in journal(),
        lost in prop::collection::vec(prop::bool::weighted(0.3), 60),
    ) {
        let parts = linked(parts);
        let last = Part::hash(&parts.last().unwrap().to_bytes());
        let all = sum(parts.clone());
        prop_assert!(all.sum.is_whole(&last));
        prop_assert_eq!(all.sum.left_out(), 0);
        let count = parts.len();
        let left: Vec<Part> =
            parts.into_iter().zip(lost).filter(|(_, lost)| !lost).map(|(part, _)| part).collect();
        let is_whole = left.len() == count;
        let left = sum(left);
        prop_assert_eq!(left.sum.is_whole(&last), is_whole);
        prop_assert!(left.sum.ops().iter().all(|(id, bytes)| all.sum.ops().get(id) == Some(bytes)));
        let mut last: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (place, row) in &left.rows {
            let before = last.insert(row.origin, row.seq).unwrap_or(0);
            prop_assert_eq!(row.seq, before + 1);
            prop_assert_eq!(&all.rows[place].entry, &row.entry);
        }
    }

    #[test]
    fn another_journals_part_in_the_place_of_one_shows(
        parts in journal(), others in journal(), at in any::<prop::sample::Index>(),
    ) {
        let (mut parts, others) = (linked(parts), linked(others));
        let last = Part::hash(&parts.last().unwrap().to_bytes());
        let at = at.index(parts.len());
        let other = others[at.min(others.len() - 1)].clone();
        let same = other == parts[at];
        parts[at] = other;
        prop_assert_eq!(sum(parts).sum.is_whole(&last), same);
    }

    #[test]
    fn told_twice_is_told_once(parts in journal()) {
        let once = sum(parts.clone());
        let twice = sum(parts.iter().cloned().chain(parts.clone()));
        prop_assert_eq!((twice.sum.ops(), &twice.rows), (once.sum.ops(), &once.rows));
        let kept = parts.iter().map(|part| Part::from_bytes(&part.to_bytes()).unwrap());
        prop_assert_eq!(&sum(kept), &once);
    }

    #[test]
    fn no_bytes_are_taken_for_a_part_that_are_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(part) = Part::from_bytes(&bytes) {
            prop_assert_eq!(part.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_damaged_part_is_an_error_or_another_part(
        parts in journal(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut bytes = parts[0].to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(part) = Part::from_bytes(&bytes) {
            prop_assert_eq!(part.to_bytes(), bytes);
        }
    }
}

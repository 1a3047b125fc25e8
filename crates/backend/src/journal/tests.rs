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

fn sum(parts: impl IntoIterator<Item = Part>) -> Sum {
    let mut sum = Sum::default();
    parts.into_iter().for_each(|part| sum.add(part));
    sum
}

#[test]
fn what_comes_later_counts_and_gaps_are_left_out() {
    let first = part(&[(1, 1), (2, 1)], &[row(1, 1, Some(1)), row(1, 2, Some(2)), row(2, 1, Some(3))]);
    let second = part(&[(1, 2)], &[row(1, 1, None), row(1, 4, Some(4)), row(3, 2, Some(5))]);
    let sum = sum([first, second]);
    assert_eq!(sum.ops().values().map(|bytes| bytes[0]).collect::<Vec<_>>(), [2, 1]);
    let (entries, beyond) = sum.entries();
    let entries: Vec<EntryRow> = entries.collect();
    assert_eq!(entries, [row(1, 1, None), row(1, 2, Some(2)), row(2, 1, Some(3))]);
    assert_eq!(beyond, 2);
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
    let sum = sum(full.into_iter().chain([rest]));
    assert_eq!(sum.entries().0.count(), 9);
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
    fn any_loss_leaves_what_the_node_knew_or_less(
        parts in journal(),
        lost in prop::collection::vec(prop::bool::weighted(0.3), 60),
    ) {
        let all = sum(parts.clone());
        let (entries, beyond) = all.entries();
        let known: BTreeMap<_, _> =
            entries.map(|row| ((row.bucket, row.origin, row.seq), row)).collect();
        prop_assert_eq!(beyond, 0);
        let left = parts.into_iter().zip(lost).filter(|(_, lost)| !lost).map(|(part, _)| part);
        let left = sum(left);
        prop_assert!(left.ops().iter().all(|(id, bytes)| all.ops().get(id) == Some(bytes)));
        let mut last: BTreeMap<NodeId, u64> = BTreeMap::new();
        for row in left.entries().0 {
            let before = last.insert(row.origin, row.seq).unwrap_or(0);
            prop_assert_eq!(row.seq, before + 1);
            prop_assert_eq!(&known[&(row.bucket, row.origin, row.seq)].entry, &row.entry);
        }
    }

    #[test]
    fn told_twice_is_told_once(parts in journal()) {
        let once = sum(parts.clone());
        prop_assert_eq!(&sum(parts.iter().cloned().chain(parts.clone())), &once);
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

//! When it is a node's turn to erase. Who has keys sees what must be kept; who has none cannot, and what it erases
//! is gone all the same: so it waits for the others' word.

use std::collections::BTreeSet;

use freehold_wire::{Millis, NodeId};

/// How long a node without keys waits where nobody is left who could see what must be kept.
pub(super) const NOBODY: Millis = Millis::from_hours(7 * 24);

/// What this node can see of what is to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It has keys.
    Keyed {
        /// It has read all that anybody has told, and somebody has if there is anybody.
        is_sure: bool,
        /// Versions that must be kept.
        kept: u64,
    },
    /// It has none.
    Blind {
        /// How long it has known of the erasure.
        waited: Millis,
    },
}

/// Whether it may erase. `keyed` are those of the other nodes whose rights hold that have keys, or had; `said`
/// those whose word counts and who have erased.
pub(super) fn has_come(sight: Sight, keyed: &BTreeSet<NodeId>, said: &BTreeSet<NodeId>) -> bool {
    match sight {
        Sight::Keyed { is_sure, kept } => is_sure && kept == 0,
        Sight::Blind { waited } => {
            keyed.is_subset(said) && (!keyed.is_empty() || !said.is_empty() || waited >= NOBODY)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How one node stands to an erasure.
    #[derive(Debug, Clone, Copy)]
    enum Kind {
        Blind,
        Sees,
        /// Has not heard the others yet.
        Deaf,
        /// Knows of something that must be kept.
        Keeps,
        /// Has keys, and is off for good.
        Off,
    }

    const KINDS: [Kind; 5] = [Kind::Blind, Kind::Sees, Kind::Deaf, Kind::Keeps, Kind::Off];

    fn node(n: usize) -> NodeId {
        NodeId::from_bytes([u8::try_from(n).unwrap(); 32])
    }

    /// Who has erased in the end, if each hears of the others' words at once.
    fn end(kinds: &[Kind], waited: Millis) -> BTreeSet<NodeId> {
        let keyed = |me: usize| -> BTreeSet<NodeId> {
            let others = (0..kinds.len()).filter(|n| *n != me && !matches!(kinds[*n], Kind::Blind));
            others.map(node).collect()
        };
        let mut said = BTreeSet::new();
        loop {
            let before = said.len();
            for (n, kind) in kinds.iter().enumerate() {
                let sight = match kind {
                    Kind::Off => continue,
                    Kind::Blind => Sight::Blind { waited },
                    Kind::Sees => Sight::Keyed { is_sure: true, kept: 0 },
                    Kind::Deaf => Sight::Keyed { is_sure: false, kept: 0 },
                    Kind::Keeps => Sight::Keyed { is_sure: true, kept: 1 },
                };
                if has_come(sight, &keyed(n), &said) {
                    said.insert(node(n));
                }
            }
            if said.len() == before {
                return said;
            }
        }
    }

    #[test]
    fn no_node_without_keys_erases_before_all_that_can_see_have() {
        let of = |n: usize| KINDS[n];
        for world in 0..5_usize.pow(4) {
            let kinds = [0, 1, 2, 3].map(|n| of(world / 5_usize.pow(n) % 5));
            for waited in [Millis(0), NOBODY] {
                let said = end(&kinds, waited);
                let keyed = kinds.iter().filter(|kind| !matches!(kind, Kind::Blind)).count();
                let all_see = kinds.iter().all(|kind| matches!(kind, Kind::Blind | Kind::Sees));
                for (n, kind) in kinds.iter().enumerate() {
                    let erased = said.contains(&node(n));
                    let expected = match kind {
                        Kind::Sees => true,
                        Kind::Deaf | Kind::Keeps | Kind::Off => false,
                        Kind::Blind => all_see && (keyed > 0 || waited >= NOBODY),
                    };
                    assert_eq!(erased, expected, "{kinds:?} {n} {waited:?}");
                }
            }
        }
    }

    #[test]
    fn what_one_waits_with_for_another_keeps_no_other_bucket() {
        // Two buckets of one person, and what each of three machines is to each.
        let of = |n: usize| [Kind::Blind, Kind::Sees, Kind::Keeps][n];
        let said = |kinds: [[Kind; 3]; 2]| kinds.map(|kinds| end(&kinds, Millis(0)));
        for world in 0..3_usize.pow(6) {
            let kind = |n: usize| of(world / 3_usize.pow(u32::try_from(n).unwrap()) % 3);
            let kinds = [[0, 1, 2], [3, 4, 5]].map(|bucket| bucket.map(kind));
            for (kinds, said) in kinds.iter().zip(said(kinds)) {
                let sees = kinds.iter().filter(|kind| matches!(kind, Kind::Sees)).count();
                let keeps = kinds.iter().any(|kind| matches!(kind, Kind::Keeps));
                let expected = if keeps || sees == 0 { sees } else { kinds.len() };
                assert_eq!(said.len(), expected, "{kinds:?}");
            }
        }
        // Each sees what the other does not: as long as they waited for a word on both, neither went on.
        let [one, two] =
            said([[Kind::Sees, Kind::Blind, Kind::Blind], [Kind::Blind, Kind::Sees, Kind::Blind]]);
        assert_eq!((one.len(), two.len()), (3, 3));
    }

    #[test]
    fn the_word_of_one_who_has_left_is_enough_where_nobody_else_can_see() {
        let (none, gone) = (BTreeSet::new(), BTreeSet::from([node(9)]));
        assert!(has_come(Sight::Blind { waited: Millis(0) }, &none, &gone));
        assert!(!has_come(Sight::Blind { waited: NOBODY }, &gone, &none));
    }
}

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn id(n: usize) -> OpId {
    OpId::from_bytes(hash::digest("freehold 2026 test", &n.to_be_bytes()))
}

/// Each operation names some earlier ones.
fn graph(parents: &[Vec<prop::sample::Index>]) -> (Graph, Vec<BTreeSet<usize>>) {
    let mut graph = Graph::new();
    let mut pasts: Vec<BTreeSet<usize>> = Vec::new();
    for (n, wanted) in parents.iter().enumerate() {
        let parents: BTreeSet<usize> =
            if n == 0 { BTreeSet::new() } else { wanted.iter().map(|index| index.index(n)).collect() };
        let mut past: BTreeSet<usize> = parents.iter().flat_map(|p| pasts[*p].iter().copied()).collect();
        past.insert(n);
        let ids: Vec<OpId> = parents.iter().map(|p| id(*p)).collect();
        assert!(graph.add(id(n), &ids, &n.to_be_bytes()));
        pasts.push(past);
    }
    (graph, pasts)
}

proptest! {
    #[test]
    fn beyond_is_what_the_other_lacks_parents_first(
        parents in proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 0..4), 1..40),
        have in proptest::collection::vec(0..60_usize, 0..5),
    ) {
        let (graph, pasts) = graph(&parents);
        let had: BTreeSet<usize> =
            have.iter().filter_map(|n| pasts.get(*n)).flat_map(|past| past.iter().copied()).collect();
        let wanted: Vec<OpId> = (0..parents.len()).filter(|n| !had.contains(n)).map(id).collect();
        let have: Vec<OpId> = have.into_iter().map(id).collect();
        // Numbers are given in order of arrival, so this is also parents before children.
        prop_assert_eq!(graph.beyond(&have), wanted);
    }

    #[test]
    fn heads_are_those_that_nobody_names(
        parents in proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 0..4), 1..40),
    ) {
        let (graph, pasts) = graph(&parents);
        let heads: BTreeSet<OpId> = graph.heads().collect();
        let last = parents.len() - 1;
        for n in 0..=last {
            let named = ((n + 1)..=last).any(|later| pasts[later].contains(&n));
            prop_assert_eq!(heads.contains(&id(n)), !named);
        }
    }
}

#[test]
fn an_operation_without_its_parent_is_not_taken() {
    let mut graph = Graph::new();
    assert!(!graph.add(id(1), &[id(0)], &[]));
    assert_eq!(graph.len(), 0);
}

#[test]
fn sums_tell_signatures_apart_and_say_where() {
    let (mut one, _) = graph(&[vec![], vec![], vec![]]);
    let (other, _) = graph(&[vec![], vec![], vec![]]);
    assert_eq!(one.sum(), other.sum());
    one.mark(&id(1), b"more signatures");
    assert_ne!(one.sum(), other.sum());
    let differ: Vec<usize> = (0..256).filter(|n| one.sums()[*n] != other.sums()[*n]).collect();
    assert_eq!(differ, [bucket(&id(1))]);
    let first = BTreeSet::from([id(1).as_bytes()[0]]);
    assert!(one.beginning_with(&first).contains(&id(1)));
    one.mark(&id(1), &1_usize.to_be_bytes());
    assert_eq!(one.sum(), other.sum());
}

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::RealmId;
use proptest::prelude::*;

use super::*;
use crate::{BucketView, Cuts, NodeView};

const BUCKET: BucketId = BucketId::from_bytes([1; 32]);
const DIRECTORY: BucketId = BucketId::from_bytes([2; 32]);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn entry(n: u32) -> EntryId {
    EntryId::from_bytes(freehold_crypt::hash::digest("freehold 2026 test", &n.to_be_bytes()))
}

fn view(nodes: &BTreeMap<u8, (bool, bool)>, copies: u16) -> View {
    View {
        realm: RealmId::from_bytes([0; 32]),
        directory: DIRECTORY,
        nodes: nodes
            .iter()
            .map(|(n, (stores, suspended))| (node(*n), NodeView { stores: *stores, suspended: *suspended }))
            .collect(),
        buckets: BTreeMap::from([(BUCKET, BucketView { copies })]),
        members: BTreeSet::new(),
        writers: BTreeSet::new(),
        cuts: Cuts::new(),
        quiet: BTreeSet::new(),
    }
}

fn realms() -> impl Strategy<Value = BTreeMap<u8, (bool, bool)>> {
    proptest::collection::btree_map(any::<u8>(), (prop::bool::weighted(0.8), prop::bool::weighted(0.2)), 0..9)
}

proptest! {
    #[test]
    fn as_many_distinct_nodes_as_asked_or_possible_and_only_those_that_store(
        nodes in realms(), copies in 0..6_u16, n in any::<u32>(),
    ) {
        let view = view(&nodes, copies);
        let placed = place(&view, &BUCKET, &entry(n));
        let eligible: Vec<NodeId> = nodes.iter().filter(|(_, v)| v.0 && !v.1).map(|(n, _)| node(*n)).collect();
        prop_assert_eq!(placed.len(), eligible.len().min(usize::from(copies)));
        prop_assert_eq!(placed.iter().collect::<BTreeSet<_>>().len(), placed.len());
        prop_assert!(placed.iter().all(|node| eligible.contains(node)));
        prop_assert_eq!(&placed, &place(&view, &BUCKET, &entry(n)));
    }

    #[test]
    fn a_node_that_joins_moves_only_what_it_takes_over(
        nodes in realms(), new in any::<u8>(), copies in 1..5_u16, n in any::<u32>(),
    ) {
        prop_assume!(!nodes.contains_key(&new));
        let before = place(&view(&nodes, copies), &BUCKET, &entry(n));
        let mut more = nodes;
        more.insert(new, (true, false));
        let after = place(&view(&more, copies), &BUCKET, &entry(n));
        // Read from right to left this is the law for a node that leaves.
        if after.contains(&node(new)) {
            let stayed = before.iter().filter(|node| after.contains(node)).count();
            prop_assert_eq!(stayed, after.len() - 1);
        } else {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn every_active_node_has_the_directory(nodes in realms(), n in any::<u32>()) {
        let view = view(&nodes, 1);
        let active: Vec<NodeId> = nodes.iter().filter(|(_, v)| !v.1).map(|(n, _)| node(*n)).collect();
        prop_assert_eq!(place(&view, &DIRECTORY, &entry(n)), active);
    }
}

#[test]
fn the_load_is_shared_about_evenly() {
    let nodes: BTreeMap<u8, (bool, bool)> = (0..5).map(|n| (n, (true, false))).collect();
    let view = view(&nodes, 2);
    let mut counts: BTreeMap<NodeId, u32> = BTreeMap::new();
    for n in 0..5000 {
        for node in place(&view, &BUCKET, &entry(n)) {
            *counts.entry(node).or_default() += 1;
        }
    }
    assert!(counts.values().all(|count| (1800..2200).contains(count)), "{counts:?}");
}

#[test]
fn nobody_holds_what_no_bucket_asks_for() {
    let nodes = BTreeMap::from([(1, (true, false))]);
    assert!(place(&view(&nodes, 2), &BucketId::from_bytes([9; 32]), &entry(1)).is_empty());
}

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{Bounded, RealmId, Region, Regions};
use proptest::prelude::*;

use super::*;
use crate::{BucketView, Cuts, Lack, NodeView};

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
            .map(|(n, (stores, suspended))| {
                (node(*n), NodeView { stores: *stores, suspended: *suspended, ..NodeView::default() })
            })
            .collect(),
        buckets: BTreeMap::from([(BUCKET, BucketView { copies, ..BucketView::default() })]),
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

const REGIONS: [&str; 4] = ["DE", "FR", "US", "ZZ"];

fn region(at: usize) -> Region {
    REGIONS[at].parse().unwrap()
}

/// Nodes by zone, region, and whether they are to be emptied.
fn spread() -> impl Strategy<Value = BTreeMap<u8, (u8, usize, bool)>> {
    let node = (0..4_u8, 0..REGIONS.len(), prop::bool::weighted(0.2));
    proptest::collection::btree_map(any::<u8>(), node, 0..9)
}

fn rules() -> impl Strategy<Value = (u16, u16, BTreeSet<usize>, BTreeSet<usize>)> {
    let list = || proptest::collection::btree_set(0..3_usize, 0..3);
    (1..5_u16, 0..4_u16, list(), list())
}

fn spread_view(
    nodes: &BTreeMap<u8, (u8, usize, bool)>,
    (copies, zones, only, never): &(u16, u16, BTreeSet<usize>, BTreeSet<usize>),
) -> View {
    let all: BTreeMap<u8, (bool, bool)> = nodes.keys().map(|n| (*n, (true, false))).collect();
    let mut view = view(&all, *copies);
    for (n, (zone, at, draining)) in nodes {
        let node = view.nodes.get_mut(&node(*n)).unwrap();
        (node.zone, node.region) = (ZoneId::from_bytes([*zone; 16]), region(*at));
        node.draining = *draining;
    }
    let list = |all: &BTreeSet<usize>| Bounded::fill(&mut all.iter().map(|at| region(*at)));
    let regions = Regions { only: list(only), never: list(never) };
    view.buckets.insert(BUCKET, BucketView { copies: *copies, zones: *zones, regions });
    view
}

proptest! {
    #[test]
    fn nothing_is_placed_where_it_must_not_lie_or_on_a_node_that_is_emptied(
        nodes in spread(), rules in rules(), n in any::<u32>(),
    ) {
        let view = spread_view(&nodes, &rules);
        let placed = place(&view, &BUCKET, &entry(n));
        for (id, (_, at, draining)) in &nodes {
            let (_, _, only, never) = &rules;
            let matters = !only.is_empty() || !never.is_empty();
            let barred = matters && (*at == 3 || never.contains(at) || !only.is_empty() && !only.contains(at));
            prop_assert!(!placed.contains(&node(*id)) || !barred && !draining);
            prop_assert_eq!(view.counts(&BUCKET, &node(*id)), !barred && !draining);
        }
        prop_assert_eq!(view.suffice(&BUCKET, &placed), view.lack(&BUCKET).is_none() && {
            // Copies in more zones than there are copies nobody can have.
            rules.1 <= rules.0
        });
        prop_assert_eq!(placed.is_empty(), view.lack(&BUCKET) == Some(Lack::Nowhere));
    }

    #[test]
    fn copies_are_in_as_many_zones_as_can_be(nodes in spread(), rules in rules(), n in any::<u32>()) {
        let view = spread_view(&nodes, &rules);
        let eligible: Vec<NodeId> = view.eligible(&BUCKET).collect();
        let placed = place(&view, &BUCKET, &entry(n));
        let most = view.zones_of(&eligible).min(usize::from(rules.0));
        prop_assert_eq!(view.zones_of(&placed), most);
    }

    #[test]
    fn a_node_that_joins_a_zone_moves_only_what_it_takes_over(
        nodes in spread(), new in any::<u8>(), at in (0..4_u8, 0..REGIONS.len()), rules in rules(), n in any::<u32>(),
    ) {
        prop_assume!(!nodes.contains_key(&new));
        let before = place(&spread_view(&nodes, &rules), &BUCKET, &entry(n));
        let mut more = nodes;
        more.insert(new, (at.0, at.1, false));
        let after = place(&spread_view(&more, &rules), &BUCKET, &entry(n));
        if after.contains(&node(new)) {
            let stayed = before.iter().filter(|node| after.contains(node)).count();
            prop_assert_eq!(stayed, after.len() - 1);
        } else {
            prop_assert_eq!(before, after);
        }
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

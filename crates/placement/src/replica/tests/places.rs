use freehold_wire::{Region, Regions, ZoneId};

use super::*;

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn never(names: &[&str]) -> Regions {
    Regions { never: Bounded::fill(&mut names.iter().map(|name| region(name))), ..Regions::default() }
}

/// Three nodes that know each other, and the view they go by.
fn three(copies: u16, change: impl Fn(&mut View)) -> (Vec<Node>, View) {
    let mut view = view(&[1, 2, 3], copies);
    change(&mut view);
    let mut nodes: Vec<Node> = [1, 2, 3].map(|n| Node::new(n, view.clone())).into();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        connect(&mut nodes, a, b);
    }
    settle(&mut nodes);
    (nodes, view)
}

fn tell(nodes: &mut [Node], view: &View) {
    for one in nodes.iter_mut() {
        one.core.handle(NOW, Input::View(view.clone()));
    }
    settle(nodes);
    for one in nodes.iter_mut() {
        one.core.handle_timeout(NOW.plus(TELL_EVERY));
    }
    settle(nodes);
}

fn set(view: &mut View, n: u8, change: impl FnOnce(&mut NodeView)) {
    change(view.nodes.get_mut(&node(n)).unwrap());
}

#[test]
fn a_node_that_is_emptied_serves_keeps_and_is_needed_until_others_have_it() {
    let (mut nodes, mut view) = three(2, |_| {});
    for seq in 1..=20 {
        nodes[0].write(row(1, seq, &[blob(seq)], "a"));
    }
    settle(&mut nodes);
    let held = |node: &Node, n: u64| node.blobs.contains_key(&blob(n).name);
    set(&mut view, 2, |node| node.draining = true);
    nodes[0].core.handle(NOW, Input::View(view.clone()));
    let burden = nodes[0].core.burden(&node(2));
    assert!(burden.entries > 0 && burden.bytes == burden.entries * 10, "{burden:?}");
    assert!(!nodes[0].core.protection(&BUCKET).is_full(), "its copies do not count");
    tell(&mut nodes, &view);
    for one in &nodes {
        assert_eq!(one.core.burden(&node(2)), Burden::default());
        assert!(one.core.protection(&BUCKET).is_full());
    }
    // What is new does not go there, and what is there stays.
    nodes[0].write(row(1, 21, &[blob(21)], "a"));
    settle(&mut nodes);
    assert!(!held(&nodes[1], 21) && held(&nodes[2], 21));
    assert!((1..=20).all(|n| nodes[1].core.keeps(&BUCKET, &blob(n).name)));
    // Nothing is lost without it, even the node that wrote.
    view.nodes.remove(&node(2));
    tell(&mut nodes, &view);
    assert!((1..=21).all(|n| held(&nodes[0], n) && held(&nodes[2], n)));
}

#[test]
fn too_few_nodes_for_one_that_is_emptied_show() {
    let (mut nodes, mut view) = three(3, |_| {});
    nodes[0].write(row(1, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    set(&mut view, 3, |node| node.draining = true);
    tell(&mut nodes, &view);
    assert_eq!(nodes[0].core.burden(&node(3)), Burden { entries: 1, bytes: 10 });
    let told = nodes[0].core.protection(&BUCKET);
    assert_eq!((told.partly, told.worst(), told.bytes), (1, Some(2), 10));
    assert_eq!(view.lack(&BUCKET), Some(crate::Lack::Nodes(2)));
}

#[test]
fn what_is_on_its_way_to_a_forbidden_region_is_stopped() {
    let mut view = view(&[1, 2], 2);
    let mut core = Replica::new(node(2), view.clone());
    let first = row(1, 1, &[blob(1)], "a");
    core.handle(NOW, Input::Connected(node(1)));
    let rows = Bounded::fill(&mut std::iter::once(first));
    core.handle(NOW, Input::Received(node(1), Message::Entries { rows }));
    core.handle(NOW, Input::Stored(Ticket(1)));
    let holds = Message::Holds { bucket: BUCKET, origin: node(1), from: 1, count: 1, bits: vec![1].into() };
    core.handle(NOW, Input::Received(node(1), holds));
    let outputs = |core: &mut Replica| std::iter::from_fn(|| core.poll_output()).collect::<Vec<_>>();
    assert!(outputs(&mut core).iter().any(|output| matches!(output, Output::Fetch { .. })));
    view.buckets.insert(BUCKET, BucketView { copies: 2, regions: never(&["US"]), ..BucketView::default() });
    core.handle(NOW, Input::View(view));
    assert!(outputs(&mut core).contains(&Output::Stop(blob(1).name)));
    assert_eq!((core.own(&BUCKET), core.missing()), (Own::Barred, (0, 0)));
    core.handle(NOW, Input::FetchFailed(blob(1), FetchError::Unreachable));
    core.handle_timeout(NOW.plus(Millis::from_secs(60)));
    assert!(!outputs(&mut core).iter().any(|output| matches!(output, Output::Fetch { .. })));
}

#[test]
fn a_copy_leaves_a_region_that_is_forbidden_once_others_have_it() {
    let (mut nodes, mut view) = three(2, |view| {
        for (n, name) in [(1, "DE"), (2, "US"), (3, "FR")] {
            set(view, n, |node| node.region = region(name));
        }
    });
    // On the first and the second.
    let fits = |at: u64| {
        let row = row(1, 1, &[blob(at)], "a");
        crate::place(&view, &BUCKET, &row.entry.id()) == {
            let mut two = [node(1), node(2)];
            two.sort();
            two
        }
    };
    let at = (0..200).find(|at| fits(*at)).unwrap();
    nodes[0].write(row(1, 1, &[blob(at)], "a"));
    settle(&mut nodes);
    assert!(nodes[1].blobs.contains_key(&blob(at).name));
    view.buckets.insert(BUCKET, BucketView { copies: 2, regions: never(&["US"]), ..BucketView::default() });
    nodes[1].core.handle(NOW, Input::View(view.clone()));
    assert!(nodes[1].core.keeps(&BUCKET, &blob(at).name), "the third does not have it");
    assert!(nodes[1].core.is_barred() && nodes[1].core.may_go(9).is_empty());
    tell(&mut nodes, &view);
    assert!(nodes[2].blobs.contains_key(&blob(at).name));
    assert!(!nodes[1].core.keeps(&BUCKET, &blob(at).name));
    assert!(nodes[0].core.protection(&BUCKET).is_full());
    assert_eq!((nodes[0].core.may_go(9), nodes[1].core.may_go(9)), (vec![], vec![blob(at)]));
    nodes[1].core.handle(NOW, Input::Lost(blob(at)));
    settle(&mut nodes);
    assert!(!nodes[1].core.is_barred() && nodes[0].core.protection(&BUCKET).is_full());
}

#[test]
fn nobody_relies_on_a_node_that_goes_by_another_view() {
    let (mut nodes, mut view) = three(1, |_| {});
    let belongs = |view: &View, at: u64, n: u8| {
        crate::place(view, &BUCKET, &row(1, 1, &[blob(at)], "a").entry.id()) == [node(n)]
    };
    let mut later = view.clone();
    set(&mut later, 2, |node| node.stores = false);
    // It belongs to the second, and then to the first, which wrote it.
    let at = (0..200).find(|at| belongs(&view, *at, 2) && belongs(&later, *at, 1)).unwrap();
    nodes[0].write(row(1, 1, &[blob(at)], "a"));
    settle(&mut nodes);
    for one in &mut nodes {
        one.core.handle_timeout(NOW.plus(TELL_EVERY));
    }
    settle(&mut nodes);
    assert!(!nodes[0].core.keeps(&BUCKET, &blob(at).name), "the second has it");
    view = later;
    nodes[1].core.handle(NOW, Input::View(view.clone()));
    assert!(nodes[1].core.keeps(&BUCKET, &blob(at).name), "the first may give it up as well");
    tell(&mut nodes, &view);
    assert!(nodes[0].core.keeps(&BUCKET, &blob(at).name) && !nodes[1].core.keeps(&BUCKET, &blob(at).name));
}

fn part(nodes: &mut [Node], a: usize, b: usize) {
    let (x, y) = (node(nodes[a].id), node(nodes[b].id));
    nodes[a].core.handle(NOW, Input::Disconnected(y));
    nodes[b].core.handle(NOW, Input::Disconnected(x));
}

#[test]
fn what_a_node_alone_has_shows_before_it_leaves() {
    let (mut nodes, _) = three(2, |view| set(view, 3, |node| node.stores = false));
    assert_eq!(nodes[0].core.ahead(&node(3)), Some(0));
    // Written there, told, and fetched by nobody yet.
    part(&mut nodes, 0, 2);
    assert_eq!(nodes[0].core.ahead(&node(3)), None, "it is away");
    part(&mut nodes, 1, 2);
    nodes[2].write(row(3, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    nodes[0].core.handle(NOW, Input::Connected(node(3)));
    assert_eq!(nodes[0].core.ahead(&node(3)), None, "it has not said yet what it has");
    connect(&mut nodes, 0, 2);
    settle(&mut nodes);
    assert_eq!(nodes[0].core.ahead(&node(3)), Some(0));
    assert_eq!(nodes[0].core.only_copies(&node(3)), Burden::default(), "it was fetched");
}

#[test]
fn the_oldest_check_of_any_holder_counts() {
    let (mut nodes, mut view) = three(2, |_| {});
    for seq in 1..=20 {
        nodes[0].write(row(1, seq, &[blob(seq)], "a"));
    }
    settle(&mut nodes);
    let looked = |nodes: &[Node]| {
        let known = |one: &Node| {
            let looked = one.core.looked(&BUCKET);
            (looked.oldest(), looked.at.len(), looked.never.len())
        };
        nodes.iter().map(known).collect::<Vec<_>>()
    };
    let written = row(1, 1, &[blob(1)], "a").entry.hlc.wall;
    assert_eq!(looked(&nodes), vec![(Some(written), 0, 3); 3]);
    let walls = [500, 300, 400].map(|wall| Millis(written.0 + wall));
    for (node, wall) in nodes.iter_mut().zip(walls) {
        node.core.handle(NOW, Input::Looked(BUCKET, wall));
    }
    settle(&mut nodes);
    assert_eq!(looked(&nodes), vec![(Some(walls[1]), 3, 0); 3]);
    // Whose copies do not count is not asked.
    set(&mut view, 2, |node| node.draining = true);
    tell(&mut nodes, &view);
    assert_eq!(looked(&nodes), vec![(Some(walls[2]), 2, 0); 3]);
    // It outlives a restart, what others told as well.
    let kept = nodes[0].core.new_looks().unwrap();
    assert_eq!((kept.len(), nodes[0].core.new_looks()), (3, None));
}

#[test]
fn two_copies_in_one_zone_are_not_what_two_zones_are() {
    let zone = |n: u8| ZoneId::from_bytes([n; 16]);
    let (mut nodes, mut view) = three(2, |view| {
        set(view, 3, |node| node.stores = false);
        view.buckets.insert(BUCKET, BucketView { copies: 2, zones: 2, ..BucketView::default() });
    });
    nodes[0].write(row(1, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    let told = nodes[0].core.protection(&BUCKET);
    assert_eq!((told.partly, told.copies[2], told.bytes), (1, 1, 10));
    assert_eq!(view.lack(&BUCKET), Some(crate::Lack::Zones(1)));
    set(&mut view, 2, |node| node.zone = zone(1));
    tell(&mut nodes, &view);
    assert!(nodes.iter().all(|node| node.core.protection(&BUCKET).is_full()));
}

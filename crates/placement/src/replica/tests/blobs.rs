//! Which blobs are fetched from whom, and looked at for whom.

use super::*;

/// Node 2 with peers, who hold the rows of node 1 that it has heard of.
fn hearer(peers: &[u8], rows: Vec<Row>) -> Replica {
    let mut core = Replica::new(node(2), view(&[1, 2, 3, 4], 4));
    let count = u32::try_from(rows.len()).unwrap();
    for peer in peers {
        core.handle(NOW, Input::Connected(node(*peer)));
    }
    let rows = Bounded::fill(&mut rows.into_iter());
    core.handle(NOW, Input::Received(node(peers[0]), Message::Entries { rows }));
    let stored = std::iter::from_fn(|| core.poll_output()).find_map(|output| match output {
        Output::Store(ticket, _) => Some(ticket),
        _ => None,
    });
    for peer in peers {
        let bits = vec![0xff; usize::try_from(count.div_ceil(8)).unwrap()].into();
        let holds = Message::Holds { bucket: BUCKET, origin: node(1), from: 1, count, bits };
        core.handle(NOW, Input::Received(node(*peer), holds));
    }
    core.handle(NOW, Input::Stored(stored.unwrap()));
    core
}

fn fetches(core: &mut Replica) -> Vec<(NodeId, BlobRef, u32)> {
    std::iter::from_fn(|| core.poll_output())
        .filter_map(|output| match output {
            Output::Fetch { from, blob, patience, .. } => Some((from, blob, patience)),
            _ => None,
        })
        .collect()
}

fn large(n: u64) -> BlobRef {
    BlobRef { len: 5 << 30, ..blob(n) }
}

#[test]
fn large_blobs_come_two_at_a_time_and_keep_no_small_one_waiting() {
    let rows = (1..=20).map(|n| row(1, n, &[if n <= 10 { large(n) } else { blob(n) }], "x")).collect();
    let mut core = hearer(&[1], rows);
    let begun = fetches(&mut core);
    assert_eq!(begun.iter().filter(|(_, blob, _)| blob.len > 10).count(), 2, "{begun:?}");
    assert_eq!(begun.len(), 8, "{begun:?}");
    let (_, small, _) = begun.into_iter().find(|(_, blob, _)| blob.len == 10).unwrap();
    core.handle(NOW, Input::Fetched(small));
    assert_eq!(fetches(&mut core).iter().filter(|(_, blob, _)| blob.len == 10).count(), 1);
}

#[test]
fn who_is_slow_is_asked_after_all_others_and_not_for_everything() {
    let rows = (1..=40).map(|n| row(1, n, &[blob(n)], "x")).collect();
    let mut core = hearer(&[1, 3], rows);
    let begun = fetches(&mut core);
    let froms: BTreeSet<NodeId> = begun.iter().map(|(from, ..)| *from).collect();
    assert_eq!(froms.len(), 2, "nobody is the first to be asked for everything: {begun:?}");
    for (_, blob, _) in begun.iter().filter(|(from, ..)| *from == node(1)) {
        core.handle(NOW, Input::FetchFailed(*blob, FetchError::Slow));
    }
    let next = fetches(&mut core);
    assert!(!next.is_empty() && next.iter().all(|(from, ..)| *from == node(3)), "{next:?}");
    // Where nobody else is left, it has its chance again, with more patience each time.
    core.handle(NOW, Input::Disconnected(node(3)));
    for (_, blob, _) in next.iter().chain(begun.iter().filter(|(from, ..)| *from == node(3))) {
        core.handle(NOW, Input::FetchFailed(*blob, FetchError::Unreachable));
    }
    let soon = NOW.plus(Millis::from_secs(5));
    core.handle_timeout(soon);
    let last = fetches(&mut core);
    assert_eq!(last.len(), 6, "{last:?}");
    core.handle(soon, Input::Connected(node(4)));
    for (_, blob, _) in &last {
        core.handle(soon, Input::FetchFailed(*blob, FetchError::Slow));
    }
    core.handle_timeout(soon.plus(Millis::from_secs(5)));
    let crowded = fetches(&mut core);
    assert_eq!(crowded.len(), 2, "a slow one does not take all places: {crowded:?}");
    let tried = begun.iter().chain(&next).chain(&last).filter(|(_, blob, _)| *blob == crowded[0].1).count();
    assert_eq!(usize::try_from(crowded[0].2), Ok(tried));
}

#[test]
fn a_blob_of_two_entries_is_wanted_until_neither_needs_it() {
    let rows = vec![row(1, 1, &[blob(1)], "a"), row(1, 2, &[blob(1), blob(2)], "b")];
    let mut core = hearer(&[1], rows);
    core.handle(NOW, Input::FetchFailed(blob(1), FetchError::Unreachable));
    core.handle(NOW, Input::Erased(Place { bucket: BUCKET, origin: node(1), seq: 1 }));
    core.handle(NOW, Input::Fetched(blob(2)));
    assert_eq!(core.missing(), (1, 10), "the second entry still needs it");
    assert_eq!(core.copies(&Place { bucket: BUCKET, origin: node(1), seq: 2 }), 1, "it is not held");
    core.handle(NOW, Input::Erased(Place { bucket: BUCKET, origin: node(1), seq: 2 }));
    assert_eq!(core.missing(), (0, 0));
}

fn checks(core: &mut Replica) -> Vec<BlobRef> {
    std::iter::from_fn(|| core.poll_output())
        .filter_map(|output| match output {
            Output::Verify { blob, .. } => Some(blob),
            _ => None,
        })
        .collect()
}

#[test]
fn a_flood_of_complaints_has_two_blobs_looked_at_at_a_time() {
    let mut nodes = two(2);
    for n in 1..=400 {
        nodes[0].write(row(1, n, &[blob(n)], "x"));
    }
    settle(&mut nodes);
    let core = &mut nodes[0].core;
    for n in 1..=400 {
        let complaint = Message::Bad { bucket: BUCKET, blob: blob(n).name };
        core.handle(NOW, Input::Received(node(2), complaint));
    }
    let mut looked_at = Vec::new();
    loop {
        let next = checks(core);
        assert!(next.len() <= 2, "{}", next.len());
        let Some(first) = next.first() else { break };
        looked_at.extend(next.clone());
        for blob in &next {
            // One of them is found to be bad.
            let is_bad = looked_at.len() == 2 && blob == first;
            let input = if is_bad { Input::Lost(*blob) } else { Input::Verified(*blob) };
            core.handle(NOW, input);
        }
    }
    assert_eq!(looked_at.len(), 256, "nor has one peer all of them looked at");
}

#[test]
fn who_has_the_blobs_of_what_was_sealed_anew_holds_it_and_who_wrote_it_may_not() {
    let mut seen = view(&[1, 2], 1);
    seen.nodes.get_mut(&node(2)).unwrap().stores = false;
    let mut nodes: Vec<Node> = [1, 2].map(|n| Node::new(n, seen.clone())).into();
    connect(&mut nodes, 0, 1);
    nodes[0].write(row(1, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    assert!(nodes[1].blobs.is_empty());
    let anew = row(2, 1, &[blob(1)], "b");
    nodes[1].rows.insert(place(&anew), anew.clone());
    nodes[1].core.handle(NOW, Input::Wrote(Box::new(anew.entry.clone()), b"b".to_vec()));
    settle(&mut nodes);
    for one in &nodes {
        assert_eq!(one.core.copies(&place(&anew)), 1, "of node 1, for the first entry's sake");
    }
    assert_eq!(nodes[1].core.holders(&blob(1)), [node(1)]);
    assert!(nodes[1].blobs.is_empty());
    nodes[1].write(row(2, 2, &[blob(2)], "c"));
    assert_eq!(nodes[1].core.copies(&place(&row(2, 2, &[blob(2)], "c"))), 1, "its own it has");
}

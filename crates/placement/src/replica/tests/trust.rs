//! Entries of somebody who may not write there, that dispute a blob, or from the future.

use super::*;

/// A view in which a node is no gateway.
fn without(nodes: &[u8], stranger: u8) -> View {
    let mut view = view(nodes, 2);
    view.writers.remove(&node(stranger));
    view
}

#[test]
fn who_may_not_write_is_not_believed_until_the_realm_says_so() {
    let mut nodes: Vec<Node> = [1, 2, 3].map(|n| Node::new(n, view(&[1, 2, 3], 2))).into();
    nodes[0].core.handle(NOW, Input::View(without(&[1, 2, 3], 3)));
    connect(&mut nodes, 0, 1);
    connect(&mut nodes, 1, 2);
    settle(&mut nodes);
    nodes[2].write(row(3, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    connect(&mut nodes, 0, 2);
    nodes[2].write(row(3, 2, &[], "b"));
    settle(&mut nodes);
    assert_eq!(nodes[1].core.vector(&BUCKET)[&node(3)], 2);
    assert!(nodes[0].core.vector(&BUCKET).is_empty());
    nodes[0].core.handle(NOW.plus(TELL_EVERY), Input::View(without(&[1, 2, 3, 4], 3)));
    assert!(!settle(&mut nodes).contains(&"ask"), "it is not asked for in vain");
    nodes[0].core.handle(NOW, Input::View(view(&[1, 2, 3], 2)));
    settle(&mut nodes);
    assert_eq!(nodes[0].core.vector(&BUCKET)[&node(3)], 2);
    assert!(nodes.iter().all(|node| node.core.protection(&BUCKET).is_full()));
}

#[test]
fn what_a_suspended_node_wrote_afterwards_is_not_passed_on() {
    let mut nodes: Vec<Node> = [1, 2, 3].map(|n| Node::new(n, view(&[1, 2, 3], 2))).into();
    connect(&mut nodes, 0, 1);
    connect(&mut nodes, 1, 2);
    nodes[2].write(row(3, 1, &[], "before"));
    settle(&mut nodes);
    let mut cut = view(&[1, 2, 3], 2);
    cut.nodes.insert(node(3), NodeView { stores: true, suspended: true, ..NodeView::default() });
    cut.cuts.insert(node(3), nodes[0].core.lengths(&node(3)));
    nodes[0].core.handle(NOW, Input::View(cut.clone()));
    // The second one has not heard of it yet.
    nodes[2].write(row(3, 2, &[], "after"));
    settle(&mut nodes);
    assert_eq!(nodes[1].core.vector(&BUCKET)[&node(3)], 2);
    assert_eq!(nodes[0].core.vector(&BUCKET)[&node(3)], 1);
    nodes[1].core.handle(NOW.plus(TELL_EVERY), Input::View(cut.clone()));
    assert!(!settle(&mut nodes).contains(&"ask"), "it is not asked for in vain");
    nodes[2].core.handle(NOW, Input::View(cut));
    assert_eq!(nodes[2].core.own(&BUCKET), Own::Stranger);
    for at in &mut nodes {
        at.core.handle(NOW, Input::View(view(&[1, 2, 3], 2)));
    }
    settle(&mut nodes);
    assert_eq!(nodes[0].core.vector(&BUCKET)[&node(3)], 2, "the suspension was lifted");
}

#[test]
fn what_is_pushed_before_the_realm_names_its_writer_is_asked_for_then() {
    let mut nodes: Vec<Node> = [1, 2].map(|n| Node::new(n, view(&[1, 2], 2))).into();
    nodes[0].core.handle(NOW, Input::View(without(&[1, 2], 2)));
    connect(&mut nodes, 0, 1);
    settle(&mut nodes);
    nodes[1].write(row(2, 1, &[], "a"));
    settle(&mut nodes);
    assert!(nodes[0].rows.is_empty());
    nodes[0].core.handle(NOW, Input::View(view(&[1, 2], 2)));
    settle(&mut nodes);
    assert_eq!(nodes[0].rows.len(), 1);
}

#[test]
fn a_mere_store_names_nobodys_blob() {
    let mut nodes: Vec<Node> = [1, 2, 6].map(|n| Node::new(n, view(&[1, 2, 6], 3))).into();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        connect(&mut nodes, a, b);
    }
    nodes[0].write(row(1, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    assert_eq!(nodes[2].core.own(&BUCKET), Own::Stranger);
    assert_eq!(nodes[1].core.own(&BUCKET), Own::Sure);
    let lie = BlobRef { hash: Digest::from_bytes([6; 32]), ..blob(1) };
    let forged = row(6, 1, &[lie], "a");
    let mut named = Draft::clone(&forged.entry);
    named.bucket = nodes[0].core.view.directory;
    let named = Row { entry: named.sign(&key(6)), payload: forged.payload.clone() };
    for row in [forged, named] {
        let rows = Bounded::fill(&mut std::iter::once(row));
        nodes[1].core.handle(NOW, Input::Received(node(6), Message::Entries { rows }));
    }
    settle(&mut nodes);
    assert_eq!(nodes[1].rows.len(), 1, "neither is kept");
    assert!(nodes[1].core.is_wanted(&blob(1)) && !nodes[1].core.is_wanted(&lie));
}

/// Two honest nodes, and a gateway that gives their blob another hash and has such bytes.
fn attacked(genuine: u8, hostile: u8, lie: BlobRef) -> Vec<Node> {
    let all = [genuine, 3, hostile];
    let mut nodes: Vec<Node> = all.map(|n| Node::new(n, view(&all, 3))).into();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        connect(&mut nodes, a, b);
    }
    nodes[0].write(row(genuine, 1, &[blob(1)], "genuine"));
    settle(&mut nodes);
    nodes[2].write(row(hostile, 1, &[lie], "hostile"));
    nodes[2].blobs.insert(lie.name, lie);
    settle(&mut nodes);
    nodes
}

#[test]
fn a_hostile_gateway_displaces_no_genuine_blob() {
    for (genuine, hostile) in [(1, 2), (2, 1)] {
        for lie in [
            BlobRef { hash: Digest::from_bytes([6; 32]), ..blob(1) },
            BlobRef { len: 11, hash: Digest::from_bytes([6; 32]), ..blob(1) },
        ] {
            let mut nodes = attacked(genuine, hostile, lie);
            let alarm = |event: &Event| matches!(event, Event::Disputed(of) if of.kept == blob(1));
            assert!(nodes[..2].iter().all(|node| node.events.iter().any(alarm)));
            let theirs = Place { bucket: BUCKET, origin: node(hostile), seq: 1 };
            for round in 0..3 {
                let bad = Message::Bad { bucket: BUCKET, blob: blob(1).name };
                nodes[1].core.handle(NOW, Input::Received(node(hostile), bad));
                nodes[1].core.handle(NOW, Input::Lost(lie));
                settle(&mut nodes);
                assert_eq!(nodes[1].blobs[&blob(1).name], blob(1));
                nodes[1].blobs.remove(&blob(1).name);
                nodes[1].core.handle(NOW, Input::Lost(blob(1)));
                settle(&mut nodes);
                assert_eq!(nodes[1].blobs[&blob(1).name], blob(1), "round {round}");
                assert!(nodes[1].core.is_wanted(&blob(1)) && !nodes[1].core.is_wanted(&lie));
                assert_eq!(nodes[0].core.copies(&theirs), 1, "nobody else says to hold the other");
                // A restart reads the entries in another order; what is here decides.
                nodes[1].roll_back(view(&[genuine, 3, hostile], 3), u64::MAX);
                for said in nodes[1].core.disputes() {
                    if nodes[1].blobs[&said.name] == said {
                        nodes[1].core.decide(NOW, &said);
                    }
                }
                for other in [0, 2] {
                    let gone = node(3);
                    nodes[other].core.handle(NOW, Input::Disconnected(gone));
                    connect(&mut nodes, 1, other);
                }
                settle(&mut nodes);
            }
        }
    }
}

#[test]
fn when_the_genuine_entry_is_erased_the_name_is_free() {
    let lie = BlobRef { hash: Digest::from_bytes([6; 32]), ..blob(1) };
    let mut nodes = attacked(1, 2, lie);
    let genuine = Place { bucket: BUCKET, origin: node(1), seq: 1 };
    for node in &mut nodes[..2] {
        node.core.handle(NOW, Input::Erased(genuine));
    }
    settle(&mut nodes);
    assert_eq!(nodes[1].blobs[&lie.name], lie);
    assert!(nodes[1].core.disputes().is_empty());
    assert!(nodes[1].core.protection(&BUCKET).is_full());
}

#[test]
fn an_entry_from_the_future_waits_until_it_is_due() {
    let mut nodes = two(2);
    let hour = Hlc::DRIFT_MAX;
    let mut draft = Draft::clone(&row(1, 1, &[blob(1)], "a").entry);
    draft.hlc.wall = NOW.plus(hour).plus(Millis(5000));
    let early = Row { entry: draft.sign(&key(1)), payload: Some(b"a".to_vec().into()) };
    nodes[0].write(early.clone());
    nodes[0].write(row(1, 2, &[], "b"));
    settle(&mut nodes);
    assert!(nodes[1].rows.is_empty());
    let told = Event::Early { place: place(&early), wall: early.entry.hlc.wall };
    assert_eq!(nodes[1].events.iter().filter(|event| **event == told).count(), 1);
    // Told again of it, it does not ask in vain.
    nodes[1].core.handle(NOW, Input::Disconnected(node(1)));
    connect(&mut nodes, 0, 1);
    assert!(!settle(&mut nodes).contains(&"ask"));
    let due = NOW.plus(Millis(5000));
    assert!(nodes[1].core.poll_timeout().is_some_and(|(at, _)| at <= due));
    nodes[1].core.handle_timeout(due);
    settle_at(&mut nodes, due);
    assert_eq!(nodes[1].rows.len(), 2);
}

/// A row of the directory.
fn named(by: u8, seq: u64, says: &str) -> Row {
    let mut draft = Draft::clone(&row(by, seq, &[], says).entry);
    draft.bucket = view(&[1], 1).directory;
    Row { entry: draft.sign(&key(by)), payload: Some(says.as_bytes().to_vec().into()) }
}

#[test]
fn a_store_that_renames_itself_without_end_waits_its_turn() {
    let mut nodes: Vec<Node> = [1, 6].map(|n| Node::new(n, view(&[1, 6], 2))).into();
    connect(&mut nodes, 0, 1);
    let directory = nodes[0].core.view.directory;
    for seq in 1..=600 {
        nodes[1].write(named(6, seq, "bob"));
    }
    settle(&mut nodes);
    let have = |nodes: &[Node]| nodes[0].core.vector(&directory)[&node(6)];
    assert_eq!(have(&nodes), 512);
    assert!(!settle(&mut nodes).contains(&"ask"), "it is not asked for in vain");
    let turn = NOW.plus(Millis::from_secs(120));
    assert!(nodes[0].core.poll_timeout().is_some_and(|(at, _)| at <= turn));
    nodes[0].core.handle_timeout(turn);
    settle_at(&mut nodes, turn);
    assert_eq!(have(&nodes), 513);
    // Nor may it say much at once.
    let long = Bounded::fill(&mut std::iter::once(named(7, 1, &"b".repeat(5000))));
    nodes[0].core.handle(NOW, Input::Received(node(6), Message::Entries { rows: long }));
    assert!(!nodes[0].core.vector(&directory).contains_key(&node(7)));
}

#[test]
fn a_clock_that_is_set_right_lets_in_what_waited() {
    let mut nodes = two(2);
    nodes[1].core.handle(NOW, Input::Clock(Millis(0)));
    let mut draft = Draft::clone(&row(1, 1, &[], "a").entry);
    draft.hlc.wall = Millis(1_795_000_000_000);
    nodes[0].write(Row { entry: draft.sign(&key(1)), payload: Some(b"a".to_vec().into()) });
    settle(&mut nodes);
    assert!(nodes[1].rows.is_empty());
    nodes[1].core.handle(NOW, Input::Clock(Millis(1_795_000_000_000)));
    settle(&mut nodes);
    assert_eq!(nodes[1].rows.len(), 1);
}

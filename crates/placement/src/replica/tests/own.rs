//! Whether a node may write, which a copy of its disk from earlier must not do blindly.

use super::*;

/// Two nodes, the first one set back to a copy of its disk that has no entry, and restarted.
fn set_back() -> Vec<Node> {
    let mut nodes = two(2);
    for seq in 1..=5 {
        nodes[0].write(row(1, seq, &[], "x"));
    }
    settle(&mut nodes);
    nodes[1].core.handle(NOW, Input::Disconnected(node(1)));
    nodes[0].roll_back(view(&[1, 2], 2), 0);
    nodes
}

#[test]
fn a_node_listens_before_it_writes_but_not_for_long() {
    let mut alone = Replica::new(node(1), view(&[1], 2));
    assert_eq!(alone.own(&BUCKET), Own::Sure, "there is nobody to wait for");
    alone.handle(NOW, Input::Clock(NOW));
    assert_eq!(alone.own(&BUCKET), Own::Sure);
    alone.handle(NOW, Input::View(view(&[1, 2], 2)));
    assert_eq!(alone.own(&BUCKET), Own::Unheard, "nor when somebody joins");
    let mut core = Replica::new(node(1), view(&[1, 2], 2));
    assert_eq!(core.own(&BUCKET), Own::Listening);
    core.handle(NOW, Input::Clock(NOW));
    assert_eq!(core.own(&BUCKET), Own::Listening);
    let (at, _) = core.poll_timeout().unwrap();
    assert_eq!(at, NOW.plus(LISTEN));
    core.handle_timeout(at);
    assert_eq!(core.own(&BUCKET), Own::Unheard, "it goes on without them");
    assert_eq!(core.poll_timeout(), None);
    let mut suspended = view(&[1, 2], 2);
    suspended.nodes.get_mut(&node(2)).unwrap().suspended = true;
    let mut core = Replica::new(node(1), view(&[1, 2], 2));
    core.handle(NOW, Input::View(suspended));
    assert_eq!(core.own(&BUCKET), Own::Sure, "nobody is left to wait for");
}

#[test]
fn a_telling_counts_when_all_of_it_was_heard() {
    let part = |from: u64, count: u64| {
        let vector = |n: u64| Vector {
            bucket: BucketId::from_bytes(freehold_crypt::hash::digest("t", &n.to_be_bytes())),
            origin: node(2),
            seq: 1,
            chain: [1; 16].into(),
            held: 0,
        };
        let vectors = Bounded::fill(&mut (from..from + count).map(vector));
        Input::Received(node(2), Message::Vectors { vectors, whole: true, view: 0 })
    };
    let mut core = Replica::new(node(1), view(&[1, 2], 2));
    core.handle(NOW, Input::Connected(node(2)));
    core.handle(NOW, part(0, 1024));
    assert_eq!(core.own(&BUCKET), Own::Listening, "our own entries may come in the next part");
    core.handle(NOW, part(2000, 0));
    assert_eq!(core.own(&BUCKET), Own::Sure);
}

#[test]
fn a_bucket_that_the_log_names_later_is_not_written_to_blindly() {
    let mut nodes = set_back();
    let mut before = view(&[1, 2], 2);
    before.buckets.clear();
    nodes[0].core = Replica::new(node(1), before);
    connect(&mut nodes, 0, 1);
    settle(&mut nodes);
    nodes[0].core.handle(NOW, Input::View(view(&[1, 2], 2)));
    assert_eq!(nodes[0].core.own(&BUCKET), Own::Behind);
    settle(&mut nodes);
    assert_eq!(nodes[0].core.own(&BUCKET), Own::Sure);
    assert_eq!(nodes[0].core.vector(&BUCKET)[&node(1)], 5);
}

/// Tells of entries of ours that are nowhere.
fn lie() -> Message {
    let vector = Vector { bucket: BUCKET, origin: node(1), seq: 1 << 40, chain: [1; 16].into(), held: 0 };
    Message::Vectors { vectors: Bounded::fill(&mut std::iter::once(vector)), whole: true, view: 0 }
}

#[test]
fn what_was_told_counts_while_its_teller_is_away_but_not_after_its_rights_ended() {
    let mut core = Replica::new(node(1), view(&[1, 2, 3], 2));
    core.handle(NOW, Input::Connected(node(2)));
    core.handle(NOW, Input::Received(node(2), lie()));
    assert_eq!(core.own(&BUCKET), Own::Behind);
    core.handle(NOW, Input::Disconnected(node(2)));
    core.handle(NOW, Input::View(view(&[1, 2, 3, 4], 2)));
    assert_eq!(core.own(&BUCKET), Own::Behind, "it may come back and prove right");
    let mut suspended = view(&[1, 2, 3], 2);
    suspended.nodes.get_mut(&node(2)).unwrap().suspended = true;
    core.handle(NOW, Input::View(suspended));
    assert_eq!(core.own(&BUCKET), Own::Sure, "whoever lies holds us up no longer");
}

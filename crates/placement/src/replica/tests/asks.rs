//! Who is asked for entries, when some do not answer.

use super::*;

/// A telling of streams of our four writers in as many buckets, of which the teller has `seq` entries.
fn telling(buckets: u8, seq: u64) -> Message {
    let one = |n: u8| Vector {
        bucket: BucketId::from_bytes([n; 32]),
        origin: node(3),
        seq,
        chain: [1; 16].into(),
        held: 0,
    };
    Message::Vectors { vectors: Bounded::fill(&mut (0..buckets).map(one)), whole: false, view: 0 }
}

fn wide() -> View {
    let mut view = view(&[1, 2, 3, 4], 2);
    view.buckets = (0..20)
        .map(|n| (BucketId::from_bytes([n; 32]), BucketView { copies: 2, ..BucketView::default() }))
        .collect();
    view
}

/// Whom it asks for which bucket now.
fn asked(core: &mut Replica) -> Vec<(NodeId, u8)> {
    std::iter::from_fn(|| core.poll_output())
        .filter_map(|output| match output {
            Output::Send(to, Message::Ask { bucket, .. }) => Some((to, bucket.as_bytes()[0])),
            _ => None,
        })
        .collect()
}

#[test]
fn who_claims_much_and_never_answers_holds_nobody_up() {
    let mut core = Replica::new(node(1), wide());
    for peer in [2, 4] {
        core.handle(NOW, Input::Connected(node(peer)));
    }
    core.handle(NOW, Input::Received(node(2), telling(19, u64::MAX)));
    let mut honest = telling(20, 1);
    if let Message::Vectors { vectors, .. } = &mut honest {
        *vectors = Bounded::fill(&mut vectors.iter().skip(19).copied());
    }
    core.handle(NOW, Input::Received(node(4), honest));
    let first = asked(&mut core);
    assert_eq!(first.iter().filter(|(to, _)| *to == node(2)).count(), 4, "{first:?}");
    assert!(first.contains(&(node(4), 19)), "the honest one is asked as well: {first:?}");
    let mut seen: BTreeSet<u8> = first.iter().map(|(_, bucket)| *bucket).collect();
    let mut now = NOW;
    for _ in 0..6 {
        now = now.plus(ANSWER_WITHIN);
        core.handle_timeout(now);
        seen.extend(asked(&mut core).iter().map(|(_, bucket)| *bucket));
    }
    assert_eq!(seen.len(), 20, "all have their turn: {seen:?}");
}

#[test]
fn who_did_not_answer_is_asked_ever_more_seldom_until_it_does() {
    let mut core = Replica::new(node(1), wide());
    core.handle(NOW, Input::Connected(node(2)));
    core.handle(NOW, Input::Received(node(2), telling(1, 5)));
    assert_eq!(asked(&mut core), [(node(2), 0)]);
    let mut times = 0;
    let mut now = NOW;
    while now < NOW.plus(Millis::from_secs(600)) {
        let (at, _) = core.poll_timeout().unwrap();
        assert!(at > now, "it waits for what is past");
        now = at;
        core.handle_timeout(now);
        times += asked(&mut core).len();
    }
    assert!((5..12).contains(&times), "{times}");
    let mut late = row(3, 1, &[], "a");
    late.entry = {
        let draft = Draft { bucket: BucketId::from_bytes([0; 32]), ..(*late.entry).clone() };
        draft.sign(&key(3))
    };
    let rows = Bounded::fill(&mut std::iter::once(late));
    core.handle(now, Input::Received(node(2), Message::Entries { rows }));
    let stored = std::iter::from_fn(|| core.poll_output()).find_map(|output| match output {
        Output::Store(ticket, _) => Some(ticket),
        _ => None,
    });
    core.handle(now, Input::Stored(stored.expect("a late answer counts")));
    assert_eq!(asked(&mut core), [(node(2), 0)], "it goes on at once");
}

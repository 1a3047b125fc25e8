//! Lines: packets as datagrams, on connections of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_mesh::{Config, Line, LineError, LineEvent, Lines, Opener, Path, Trouble, Why};
use freehold_wire::NodeId;
use iroh::endpoint::ConnectionError;

use crate::relay::apart;
use crate::world::{LIMIT, Node, Realm, bare, by_id, config, id, pair, poll, target, within};

/// As docs/formats/mesh.md has it.
const PROTOCOL: &str = "freehold 2026 mesh protocol, packets, 1";

/// Lines and what was told of them.
struct Wire {
    lines: Lines,
    opener: Opener,
}

impl Wire {
    async fn of(node: &Node) -> Self {
        let lines = node.mesh.lines().await;
        Self { opener: lines.opener(), lines }
    }

    async fn event(&mut self) -> LineEvent {
        within("an event of a line", self.lines.next()).await.expect("the mesh is up")
    }

    async fn up(&mut self, of: NodeId) -> Line {
        loop {
            match self.event().await {
                LineEvent::Up(line) if line.node() == of => return line,
                // Another one is on its way: the end that chose knows of it first.
                LineEvent::Down(node, Why::Replaced) if node == of => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn down(&mut self, of: NodeId) -> Why {
        match self.event().await {
            LineEvent::Down(node, why) if node == of => why,
            other => panic!("{other:?}"),
        }
    }

    async fn failed(&mut self, of: NodeId) -> Trouble {
        match self.event().await {
            LineEvent::Failed(node, trouble) if node == of => trouble,
            other => panic!("{other:?}"),
        }
    }
}

fn batch(from: u32, count: u32, len: usize) -> Vec<Bytes> {
    let one = |number: u32| {
        let mut bytes = vec![0; len];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Bytes::from(bytes)
    };
    (from..from + count).map(one).collect()
}

/// Waits for a datagram with this number.
async fn wait_for(line: &Line, number: u32) {
    let mut into = vec![Bytes::new(); 16];
    within("a datagram", async {
        loop {
            let count = line.receive(&mut into).await.expect("the line is open");
            if into[..count].iter().any(|bytes| bytes[..4] == number.to_be_bytes()) {
                return;
            }
        }
    })
    .await;
}

/// Two nodes that are connected and have their lines.
async fn both(realm: &Arc<Realm>) -> (Node, Node, Wire, Wire) {
    let (a, b) = pair(realm, 1, 2).await;
    let (wa, wb) = (Wire::of(&a).await, Wire::of(&b).await);
    (a, b, wa, wb)
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_travel_both_ways_as_they_were() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b, mut wa, mut wb) = both(&realm).await;
    wa.opener.open(b.id());
    wa.opener.open(b.id());
    let (there, here) = (wa.up(b.id()).await, wb.up(a.id()).await);
    for (from, to) in [(&there, &here), (&here, &there)] {
        let sent = batch(0, 200, 1100);
        assert_eq!(from.send(&sent), Ok(200));
        let (mut got, mut into) = (Vec::new(), vec![Bytes::new(); 64]);
        while got.len() < 200 {
            let count = within("datagrams", to.receive(&mut into)).await.unwrap();
            got.extend_from_slice(&into[..count]);
        }
        assert_eq!(got, sent, "one socket to another on one machine loses nothing and keeps the order");
    }
    // What does not fit is told with what would.
    let room = there.room().unwrap();
    assert_eq!(there.send(&batch(0, 2, room + 1)), Err(LineError::TooLarge { room }));
    assert_eq!(there.send(&batch(7, 1, room)), Ok(1));
    wait_for(&here, 7).await;
    // Nothing else was told, and the members' connection knows nothing of it.
    assert!(a.told.is_empty() && b.told.is_empty());
    a.stop().await;
    assert_eq!(wb.down(there_was(&here)).await, Why::Left);
    assert_eq!(here.send(&batch(0, 1, 9)), Err(LineError::Gone));
}

fn there_was(line: &Line) -> NodeId {
    line.node()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_held_back_for_and_a_direct_path_is_not() {
    let realm = Realm::of(&[id(1), id(2), id(3)]);
    let (_a, b, mut wa, _wb) = both(&realm).await;
    wa.opener.open(b.id());
    let line = wa.up(b.id()).await;
    poll("an open window", || (line.window() == 64 << 20).then_some(())).await;
    let (_host, a, b) = apart(&realm, &realm).await;
    let (mut wa, mut wb) = (Wire::of(&a).await, Wire::of(&b).await);
    wa.opener.open(b.id());
    let (there, here) = (wa.up(b.id()).await, wb.up(a.id()).await);
    assert_eq!(there.send(&batch(0, 100, 1100)), Ok(100));
    wait_for(&here, 99).await;
    assert!(matches!(there.path().0, Path::Relay(_)), "{:?}", there.path());
    assert!((1..1 << 20).contains(&there.window()), "{}", there.window());
    // What waits for a relay waits in a short queue, and nobody waits to get into it.
    let all = batch(0, 4000, 1100);
    let taken = there.send_within(&all, LIMIT).await.unwrap();
    assert!(taken < 400, "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_no_more_and_keeps_what_it_has() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (_a, b, mut wa, mut wb) = both(&realm).await;
    wa.opener.open(b.id());
    let (there, here) = (wa.up(b.id()).await, wb.up(id(1)).await);
    // Without a pause for the line to work: there is an end to what it takes.
    let all = batch(0, 4000, 1100);
    let taken = there.send(&all).unwrap();
    assert!(0 < taken && taken < 4000, "{taken}");
    // What was taken is not pushed out by what was not: the first one arrives.
    wait_for(&here, 0).await;
    // Who has patience gets all of it through.
    assert_eq!(there.send_within(&all, LIMIT).await, Ok(4000));
    wait_for(&here, 3999).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_ends_without_packets_and_comes_again_with_them() {
    let realm = Realm::of(&[id(1), id(2)]);
    let quick = |of| Config { line_idle: Duration::from_millis(1500), ..config(of) };
    let (a, b) = (Node::with(quick(1), &realm).await, Node::with(quick(2), &realm).await);
    a.expect(&[&b]).await;
    let (mut wa, mut wb) = (Wire::of(&a).await, Wire::of(&b).await);
    for round in 0..2 {
        wa.opener.open(b.id());
        let (there, here) = (wa.up(b.id()).await, wb.up(a.id()).await);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            assert_eq!(there.send(&batch(round, 1, 8)), Ok(1));
            wait_for(&here, round).await;
        }
        assert_eq!(wa.down(b.id()).await, Why::Left);
        assert_eq!(wb.down(a.id()).await, Why::Left);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_peer_loses_its_line_at_once_and_gets_none() {
    let realm = Realm::of(&[id(1), id(2)]);
    // The suspended one does not believe it.
    let its_own = Realm::of(&[id(1), id(2)]);
    let (a, b) = (Node::start(1, &realm).await, Node::start(2, &its_own).await);
    a.expect(&[&b]).await;
    b.expect(&[&a]).await;
    let (mut wa, mut wb) = (Wire::of(&a).await, Wire::of(&b).await);
    wb.opener.open(a.id());
    let there = wb.up(a.id()).await;
    wa.up(b.id()).await;
    realm.remove(b.id());
    let begun = Instant::now();
    a.mesh.disconnect(b.id());
    assert_eq!(wb.down(a.id()).await, Why::Refused);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(!there.is_open());
    assert_eq!(wa.down(b.id()).await, Why::Cut);
    // It may ask as often as it likes, and we do not go to it either.
    wb.opener.open(a.id());
    match wb.event().await {
        LineEvent::Failed(_, trouble) => assert_eq!(trouble, Trouble::Refused),
        // Whoever dials may be through with the handshake before the other end has looked who it is.
        LineEvent::Up(line) => {
            assert_eq!(wb.down(a.id()).await, Why::Refused);
            assert!(!line.is_open());
        }
        other @ LineEvent::Down(..) => panic!("{other:?}"),
    }
    wa.opener.open(b.id());
    assert_eq!(wa.failed(b.id()).await, Trouble::NotAdmitted);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_dial_at_once_the_smaller_id_dialled_the_one_that_counts() {
    let realm = Realm::of(&[id(1), id(2)]);
    let order = by_id(2);
    let mut led = 0;
    for _ in 0..8 {
        let (a, b) = pair(&realm, order[0], order[1]).await;
        let (mut wa, mut wb) = (Wire::of(&a).await, Wire::of(&b).await);
        wa.opener.open(b.id());
        wb.opener.open(a.id());
        let (mut there, mut here) = (wa.up(b.id()).await, wb.up(a.id()).await);
        // Whichever came first: what is sent over the one that counts at the end arrives, both ways.
        within("both ends to agree", async {
            let (mut from_a, mut from_b) = (vec![Bytes::new(); 16], vec![Bytes::new(); 16]);
            let (mut at_a, mut at_b) = (false, false);
            let agree = |there: &Line, here: &Line| {
                there.is_open() && here.is_open() && there.was_dialled() != here.was_dialled()
            };
            while !(at_a && at_b && agree(&there, &here)) {
                drop(there.send(&batch(1, 1, 8)));
                drop(here.send(&batch(2, 1, 8)));
                tokio::select! {
                    line = wa.up(b.id()) => there = line,
                    line = wb.up(a.id()) => here = line,
                    got = here.receive(&mut from_a) => at_b |= got.is_ok(),
                    got = there.receive(&mut from_b) => at_a |= got.is_ok(),
                }
            }
        })
        .await;
        led += u8::from(there.was_dialled());
        a.stop().await;
        b.stop().await;
    }
    assert!(led > 0, "one that leads is not always the last to dial");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_lines_with_a_node_that_wants_none() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let mut wa = Wire::of(&a).await;
    wa.opener.open(b.id());
    // TLS has proven who answers before it turns us away.
    wa.up(b.id()).await;
    assert_eq!(wa.down(b.id()).await, Why::Refused);
    // Once it wants some it has them, and with whoever holds them they end.
    let mut wb = Wire::of(&b).await;
    wb.opener.open(a.id());
    let (there, here) = (wb.up(a.id()).await, wa.up(b.id()).await);
    drop(wb);
    assert_eq!(wa.down(b.id()).await, Why::Left);
    assert!(!there.is_open() && !here.is_open());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_turned_away_and_nobody_is_told() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let (mut wa, mut wb) = (Wire::of(&a).await, Wire::of(&b).await);
    let stranger = bare(9).await;
    let protocol = freehold_crypt::hash::digest(PROTOCOL, a.id().as_bytes());
    for _ in 0..3 {
        let dialled = stranger.connect(target(&a).await, &protocol).await.unwrap();
        match within("the end", dialled.closed()).await {
            ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code.into_inner(), 1),
            other => panic!("{other:?}"),
        }
    }
    // The first that is told of is a member's.
    wb.opener.open(a.id());
    wb.up(a.id()).await;
    wa.up(b.id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_reached_is_told_so_once_a_second() {
    let realm = Realm::of(&[id(1), id(2)]);
    let a = Node::start(1, &realm).await;
    let mut wa = Wire::of(&a).await;
    for _ in 0..3 {
        wa.opener.open(id(2));
        assert!(matches!(wa.failed(id(2)).await, Trouble::Unreachable | Trouble::NoAddress));
    }
    wa.opener.open(id(9));
    assert_eq!(wa.failed(id(9)).await, Trouble::NotAdmitted);
}

use freehold_crypt::{Algorithm, BoxSecret, Secret, SigningKey};
use freehold_realm::body::{BucketSet, GuardianSet, NodeAdd, Unknown};
use freehold_realm::{Body, Head, LEVEL, NodeRoles, Op, OpSet};
use freehold_wire::{Bounded, BucketId, Digest, Hlc};
use proptest::prelude::*;

use super::*;
use crate::{Answer, RealmRefusal};

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([n; 32]))
}

fn peer(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn founded() -> OpSet {
    let box_key = BoxSecret::from_seed(&Secret::from_bytes([9; 32])).public();
    let guardians = GuardianSet { threshold: 0, guardians: Bounded::new(), recovery: box_key };
    let genesis = freehold_realm::draft::genesis(
        &key(1),
        box_key,
        [3; 32],
        guardians,
        Digest::from_bytes([4; 32]),
        Millis(1),
    )
    .unwrap();
    let mut set = OpSet::new(genesis.realm());
    set.insert(genesis).unwrap();
    set
}

fn next(set: &OpSet, n: u64) -> Op {
    let (last, _) = set.newest_of(&key(1).verifying()).unwrap();
    let head = Head {
        realm: Some(set.realm()),
        level: LEVEL,
        author: key(1).verifying(),
        seq: last.head().seq + 1,
        prev: Some(last.id()),
        parents: Bounded::fill(&mut std::iter::once(last.id())),
        epoch: 0,
        hlc: Hlc { wall: Millis(n), count: 0 },
    };
    let mut bucket = [0; 32];
    bucket[..8].copy_from_slice(&n.to_be_bytes());
    let body: Body =
        BucketSet { bucket: BucketId::from_bytes(bucket), copies: 2, confirm: 1, rules: None }.into();
    Op::sign(head, body, &key(1)).unwrap()
}

fn grown(from: &OpSet, count: u64) -> OpSet {
    let mut set = from.clone();
    for n in 0..count {
        let op = next(&set, n);
        set.restore(op).unwrap();
    }
    set
}

/// Two machines on a perfect network with instant disks, and what went over it.
#[derive(Default)]
struct Counted {
    wants: usize,
    messages: usize,
    longest: usize,
    in_step: usize,
}

fn settle(one: &mut LogSync<OpSet>, two: &mut LogSync<OpSet>) -> Counted {
    let (mut counted, mut again, mut now) = (Counted::default(), 3, Millis(0));
    one.handle(Millis(0), Input::Connected(peer(2)));
    two.handle(Millis(0), Input::Connected(peer(1)));
    loop {
        let mut quiet = true;
        for (me, other) in [(1, 2), (2, 1)] {
            let (from, to) = if me == 1 { (&mut *one, &mut *two) } else { (&mut *two, &mut *one) };
            while let Some(output) = from.poll_output() {
                quiet = false;
                match output {
                    Output::Store(ticket, _) => from.handle(now, Input::Stored(ticket)),
                    Output::Send(_, message) => {
                        let bytes = message.encode();
                        counted.messages += 1;
                        counted.longest = counted.longest.max(bytes.len());
                        counted.wants += usize::from(matches!(message, Message::Want { .. }));
                        to.handle(now, Input::Received(peer(me), Message::decode(&bytes).unwrap()));
                    }
                    Output::Drop(_) => panic!("{other} was dropped"),
                    Output::Tell(event) => {
                        counted.in_step += usize::from(matches!(event, Event::InStep(_)));
                    }
                }
            }
        }
        if quiet && again == 0 {
            return counted;
        }
        if quiet {
            // Heads are told again.
            now = now.plus(TELL_EVERY);
            again -= 1;
            one.handle_timeout(now);
            two.handle_timeout(now);
        }
    }
}

#[test]
fn ten_thousand_operations_take_few_round_trips() {
    let genesis = founded();
    let (mut full, mut empty) = (LogSync::new(grown(&genesis, 10_000)), LogSync::new(genesis));
    let counted = settle(&mut full, &mut empty);
    assert_eq!(empty.log().len(), 10_001);
    assert_eq!(empty.log().heads(), full.log().heads());
    // One for the full heads; the answer to the other's heads is empty.
    assert!(
        counted.wants <= 2 && counted.messages < 30,
        "{} wants, {} messages",
        counted.wants,
        counted.messages
    );
    assert!(counted.longest <= crate::MESSAGE_MAX);
}

/// The node of a key.
fn node(n: u8) -> NodeId {
    NodeId::from_bytes(key(n).verifying().ed25519_bytes().unwrap())
}

/// The realm with one more node.
fn with_node(set: &OpSet, n: u8, roles: NodeRoles) -> OpSet {
    let mut head = next(set, 0).head().clone();
    head.parents = Bounded::fill(&mut set.heads().iter().copied());
    let box_key = BoxSecret::from_seed(&Secret::from_bytes([9; 32])).public();
    let body = NodeAdd { node: key(n).verifying(), box_key, roles };
    let mut add = Op::sign(head, body.into(), &key(1)).unwrap();
    add.add_signature(&key(n));
    let mut set = set.clone();
    set.insert(add).unwrap();
    set
}

#[test]
fn both_get_what_the_other_has_and_little_else() {
    let shared = grown(&with_node(&founded(), 7, NodeRoles::GATEWAY), 300);
    let (mut one, mut two) = (shared.clone(), shared.clone());
    let mut said: Option<Op> = None;
    for n in 0..20 {
        one.insert(next(&one, 2000 + n)).unwrap();
        let op = by_store(&two, said.as_ref(), 1);
        two.insert(op.clone()).unwrap();
        said = Some(op);
    }
    // Each has a signature on what both have that the other has not.
    let last: Vec<Op> = shared.iter().skip(290).take(2).cloned().collect();
    for (set, op) in [&mut one, &mut two].into_iter().zip(&last) {
        let mut op = op.clone();
        op.add_signature(&key(7));
        assert_eq!(set.insert(op), Ok(freehold_realm::Inserted::MoreSignatures));
    }
    let (mut one, mut two) = (LogSync::new(one), LogSync::new(two));
    let counted = settle(&mut one, &mut two);
    assert_eq!((one.log().heads(), one.log().len()), (two.log().heads(), 342));
    for (set, op) in [one.log(), two.log()].iter().flat_map(|set| last.iter().map(move |op| (set, op))) {
        assert_eq!(set.get(&op.id()).unwrap().signatures().len(), 2);
    }
    assert!(counted.in_step >= 2 && counted.messages <= 24, "{} messages", counted.messages);
}

/// The operation with other bytes as its first signature.
fn signed_anew(op: &Op) -> Op {
    let mut bytes = op.to_bytes();
    let signature = op.signatures()[0].signature;
    let at = bytes.windows(64).position(|w| w == signature.as_bytes()).unwrap();
    bytes[at..at + 64].fill(0);
    Op::decode(&bytes).unwrap()
}

#[test]
fn it_does_not_matter_which_signature_of_a_key_each_has() {
    let shared = grown(&founded(), 300);
    let mut other = OpSet::new(shared.realm());
    for op in shared.iter() {
        other.restore(signed_anew(op)).unwrap();
    }
    let (mut one, mut two) = (LogSync::new(shared), LogSync::new(other));
    let counted = settle(&mut one, &mut two);
    assert!(counted.in_step >= 2 && counted.messages <= 8, "{} messages", counted.messages);
    // Nor is another one passed on.
    let op = signed_anew(one.log().iter().last().unwrap());
    let operations = Bounded::fill(&mut std::iter::once(op.to_bytes().into()));
    one.handle(Millis(0), Input::Received(peer(2), Message::Operations { operations, answer: Answer::Push }));
    assert_eq!(one.poll_output(), None);
}

#[test]
fn a_new_operation_is_pushed_only_when_it_is_durable() {
    let set = founded();
    let mut sync = LogSync::new(set.clone());
    sync.handle(Millis(0), Input::Connected(peer(2)));
    while sync.poll_output().is_some() {}
    let op = next(&set, 1);
    sync.handle(Millis(0), Input::Append(op.to_bytes()));
    let Some(Output::Store(ticket, rows)) = sync.poll_output() else { panic!("nothing to store") };
    assert_eq!(rows, [(op.id(), op.to_bytes())]);
    assert_eq!(sync.poll_output(), None);
    assert!(!sync.log().contains(&op.id()));
    sync.handle(Millis(0), Input::Append(op.to_bytes()));
    assert_eq!(sync.poll_output(), Some(Output::Tell(Event::Busy(op.id()))));
    sync.handle(Millis(0), Input::Stored(ticket));
    assert_eq!(sync.poll_output(), Some(Output::Tell(Event::Admitted(vec![op.id()]))));
    let Some(Output::Send(to, Message::Operations { .. })) = sync.poll_output() else { panic!("not pushed") };
    assert_eq!(to, peer(2));
}

#[test]
fn a_file_of_operations_is_taken_at_once() {
    let set = founded();
    let long = grown(&set, 50);
    let mut sync = LogSync::new(set);
    sync.handle(Millis(0), Input::Take(long.iter().map(Op::to_bytes).collect()));
    let Some(Output::Store(ticket, rows)) = sync.poll_output() else { panic!("nothing to store") };
    assert_eq!(rows.len(), 50);
    sync.handle(Millis(0), Input::Stored(ticket));
    assert_eq!(sync.log().heads(), long.heads());
}

#[test]
fn a_peer_that_sends_garbage_is_dropped_and_stays_suspect() {
    let mut sync = LogSync::new(founded());
    sync.handle(Millis(0), Input::Connected(peer(2)));
    let garbage = || Message::Operations {
        operations: Bounded::fill(&mut std::iter::once(vec![1, 2, 3].into())),
        answer: Answer::Push,
    };
    for _ in 0..GARBAGE_MAX {
        sync.handle(Millis(0), Input::Received(peer(2), garbage()));
    }
    let outputs: Vec<_> = std::iter::from_fn(|| sync.poll_output()).collect();
    let refused = |output: &&Output<RealmRefusal>| matches!(output, Output::Tell(Event::Refused { .. }));
    assert_eq!(outputs.iter().filter(refused).count(), GARBAGE_MAX as usize);
    assert_eq!(outputs.last(), Some(&Output::Drop(peer(2))));
    // Dialling again does not help: one more piece is enough.
    sync.handle(Millis(0), Input::Connected(peer(2)));
    sync.handle(Millis(0), Input::Garbage(peer(2)));
    assert!(std::iter::from_fn(|| sync.poll_output()).any(|output| output == Output::Drop(peer(2))));
}

/// An operation of a node that merely stores, after `prev`.
fn by_store(set: &OpSet, prev: Option<&Op>, level: u32) -> Op {
    let head = Head {
        realm: Some(set.realm()),
        level,
        author: key(7).verifying(),
        seq: prev.map_or(1, |op| op.head().seq + 1),
        prev: prev.map(Op::id),
        parents: Bounded::fill(&mut prev.map(Op::id).into_iter().chain(set.heads().iter().copied()).take(1)),
        epoch: 0,
        hlc: Hlc::default(),
    };
    let bucket = BucketSet { bucket: BucketId::from_bytes([8; 32]), copies: 2, confirm: 1, rules: None };
    let unknown = Unknown { kind: 999, bytes: vec![0; 60_000] };
    Op::sign(head, if level > 1 { Body::Unknown(unknown) } else { bucket.into() }, &key(7)).unwrap()
}

/// What a store says without end comes from `sender`. Returns whether that one is dropped.
fn flooded_by(sender: NodeId) -> bool {
    let set = with_node(&founded(), 7, NodeRoles::STORAGE);
    let mut chain: Vec<Op> = Vec::new();
    for _ in 0..400 {
        chain.push(by_store(&set, chain.last(), 1));
    }
    let big = (0..20).map(|_| by_store(&set, None, 2));
    let mut sync = LogSync::new(set.clone());
    sync.handle(Millis(0), Input::Connected(sender));
    let (mut dropped, mut kept) = (false, 0);
    for op in chain.iter().cloned().chain(big) {
        let operations = Bounded::fill(&mut std::iter::once(op.to_bytes().into()));
        let message = Message::Operations { operations, answer: Answer::Push };
        sync.handle(Millis(0), Input::Received(sender, message));
        while let Some(output) = sync.poll_output() {
            match output {
                Output::Store(ticket, rows) => {
                    kept += rows.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
                    sync.handle(Millis(0), Input::Stored(ticket));
                }
                Output::Tell(Event::Refused { written, .. }) => assert!(!written),
                Output::Drop(_) => dropped = true,
                _ => {}
            }
        }
    }
    assert_eq!(sync.log().len(), set.len() + 256);
    assert!(kept < 100_000, "{kept} bytes were written");
    dropped
}

#[test]
fn a_store_that_talks_without_end_is_cut_and_fills_no_disk() {
    assert!(flooded_by(node(7)), "it may go on for ever");
    assert!(!flooded_by(peer(2)), "whoever passes it on may have heard what makes it fit");
}

#[test]
fn garbage_is_forgiven_in_time() {
    let mut sync = LogSync::new(founded());
    sync.handle(Millis(0), Input::Connected(peer(2)));
    for n in 0..u64::from(GARBAGE_MAX) * 3 {
        sync.handle(Millis(n * GARBAGE_FORGIVEN.0 * 9 / 10), Input::Garbage(peer(2)));
    }
    assert!(!std::iter::from_fn(|| sync.poll_output()).any(|output| output == Output::Drop(peer(2))));
}

#[test]
fn what_was_written_before_it_was_refused_is_told() {
    let set = founded();
    let mut sync = LogSync::new(set.clone());
    // Its child by somebody unknown is in the same file, and is judged when the parent is here.
    let parent = next(&set, 1);
    let child = by_store(&grown(&set, 1), Some(&parent), 1);
    sync.handle(Millis(0), Input::Take(vec![parent.to_bytes(), child.to_bytes()]));
    let Some(Output::Store(ticket, _)) = sync.poll_output() else { panic!("nothing to store") };
    sync.handle(Millis(0), Input::Stored(ticket));
    let told = std::iter::from_fn(|| sync.poll_output());
    let refused: Vec<bool> = told
        .filter_map(|output| match output {
            Output::Tell(Event::Refused { written, .. }) => Some(written),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [true]);
}

#[test]
fn orphans_are_bounded_and_their_parents_are_asked_for() {
    let set = founded();
    let long = grown(&set, 1200);
    let mut sync = LogSync::new(set);
    sync.handle(Millis(0), Input::Connected(peer(2)));
    let orphans = long.iter().skip(3).map(|op| op.to_bytes().into());
    let message =
        Message::Operations { operations: Bounded::fill(&mut orphans.take(1150)), answer: Answer::Push };
    sync.handle(Millis(0), Input::Received(peer(2), message));
    assert!(sync.orphans.len() <= 1024);
    let asked = std::iter::from_fn(|| sync.poll_output())
        .any(|output| matches!(output, Output::Send(_, Message::Want { .. })));
    assert!(asked);
    sync.handle(Millis(0), Input::Disconnected(peer(2)));
    assert_eq!(sync.orphans.len(), 0);
}

/// An operation by a key whose parents nobody has.
fn adrift(set: &OpSet, author: u8, n: u64) -> Op {
    let mut head = next(set, 0).head().clone();
    let mut nowhere = [0xee; 32];
    nowhere[..8].copy_from_slice(&n.to_be_bytes());
    head.author = key(author).verifying();
    head.seq = 1;
    head.prev = None;
    head.parents = Bounded::fill(&mut std::iter::once(OpId::from_bytes(nowhere)));
    let bucket = BucketSet { bucket: BucketId::from_bytes([1; 32]), copies: 1, confirm: 1, rules: None };
    Op::sign(head, bucket.into(), &key(author)).unwrap()
}

fn push(sync: &mut LogSync<OpSet>, from: NodeId, op: &Op) {
    let operations = Bounded::fill(&mut std::iter::once(op.to_bytes().into()));
    sync.handle(Millis(0), Input::Received(from, Message::Operations { operations, answer: Answer::Push }));
    while let Some(output) = sync.poll_output() {
        if let Output::Store(ticket, _) = output {
            sync.handle(Millis(0), Input::Stored(ticket));
        }
    }
}

#[test]
fn what_one_key_invents_leaves_room_for_what_others_wait_for() {
    let set = with_node(&founded(), 7, NodeRoles::STORAGE);
    let honest = grown(&set, 3);
    let mut sync = LogSync::new(set.clone());
    sync.handle(Millis(0), Input::Connected(peer(2)));
    push(&mut sync, peer(2), &adrift(&set, 99, 0));
    assert_eq!(sync.orphans.len(), 0, "nobody has heard of its author");
    for n in 0..1100 {
        push(&mut sync, peer(2), &adrift(&set, 7, n));
    }
    assert_eq!(sync.orphans.len(), 1024);
    let news: Vec<Op> = honest.iter().skip(set.len()).cloned().collect();
    for op in news.iter().rev() {
        push(&mut sync, peer(2), op);
    }
    assert_eq!(sync.log().len(), honest.len(), "what came before its parents waited for them");
}

#[test]
fn what_builds_on_a_refused_operation_does_not_wait() {
    let set = with_node(&founded(), 7, NodeRoles::STORAGE);
    let mut sync = LogSync::new(set.clone());
    sync.handle(Millis(0), Input::Connected(peer(2)));
    // The third with one number is surplus, and so is what its author adds to it.
    let twin = |n| {
        let hlc = Hlc { wall: Millis(n), count: 0 };
        let first = by_store(&set, None, 1);
        Op::sign(Head { hlc, ..first.head().clone() }, first.body().clone(), &key(7)).unwrap()
    };
    for op in [twin(1), twin(2)] {
        push(&mut sync, peer(2), &op);
    }
    let surplus = twin(3);
    for op in [by_store(&set, Some(&surplus), 1), surplus] {
        push(&mut sync, peer(2), &op);
    }
    assert_eq!((sync.log().len(), sync.orphans.len()), (set.len() + 2, 0));
}

#[test]
fn a_peer_that_does_not_answer_is_passed_over() {
    let set = founded();
    let long = grown(&set, 5);
    let mut sync = LogSync::new(set);
    let heads = Message::Heads { heads: Bounded::fill(&mut long.heads().iter().copied()), total: 6, sum: 0 };
    for n in [2, 3] {
        sync.handle(Millis(0), Input::Connected(peer(n)));
        sync.handle(Millis(0), Input::Received(peer(n), heads.clone()));
    }
    let wants = |sync: &mut LogSync<OpSet>| -> Vec<NodeId> {
        let outputs: Vec<_> = std::iter::from_fn(|| sync.poll_output()).collect();
        let want = |output| match output {
            Output::Send(to, Message::Want { .. }) => Some(to),
            _ => None,
        };
        outputs.into_iter().filter_map(want).collect()
    };
    assert_eq!(wants(&mut sync), [peer(2)]);
    let (at, why) = sync.poll_timeout().unwrap();
    assert_eq!((at, why), (ANSWER_WITHIN, "operations asked of a peer"));
    sync.handle_timeout(at);
    assert_eq!(wants(&mut sync), [peer(3)]);
}

proptest! {
    #[test]
    fn no_messages_make_it_panic_or_grow(bytes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..40)) {
        let mut sync = LogSync::new(founded());
        sync.handle(Millis(0), Input::Connected(peer(2)));
        for bytes in bytes {
            let operations = Bounded::fill(&mut std::iter::once(bytes.into()));
            let message = Message::Operations { operations, answer: Answer::End };
            sync.handle(Millis(0), Input::Received(peer(2), message));
        }
        prop_assert_eq!(sync.log().len(), 1);
    }
}

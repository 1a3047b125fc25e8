use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_wire::{Bounded, Digest, RealmId};

use super::*;
use crate::{BucketView, Cuts, Draft, Message, NodeView, Row, Vector, payload_hash};

const REALM: RealmId = RealmId::from_bytes([7; 32]);
const BUCKET: BucketId = BucketId::from_bytes([1; 32]);
const NOW: Millis = Millis(1000);

mod asks;
mod blobs;
mod own;
mod places;
mod trust;

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([n; 32]))
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes(key(n).verifying().ed25519_bytes().unwrap())
}

fn view(nodes: &[u8], copies: u16) -> View {
    View {
        realm: REALM,
        directory: BucketId::from_bytes([9; 32]),
        nodes: nodes.iter().map(|n| (node(*n), NodeView { stores: true, ..NodeView::default() })).collect(),
        buckets: BTreeMap::from([(BUCKET, BucketView { copies, ..BucketView::default() })]),
        members: (1..10).map(node).collect(),
        writers: (1..5).map(node).collect(),
        cuts: Cuts::new(),
        quiet: (6..10).map(node).collect(),
    }
}

fn blob(n: u64) -> BlobRef {
    let bytes = freehold_crypt::hash::digest("freehold 2026 test", &n.to_be_bytes());
    BlobRef { name: BlobName::from_bytes(bytes), len: 10, hash: Digest::from_bytes(bytes) }
}

fn row(by: u8, seq: u64, blobs: &[BlobRef], says: &str) -> Row {
    let draft = Draft {
        realm: REALM,
        bucket: BUCKET,
        origin: node(by),
        seq,
        hlc: Hlc { wall: Millis(seq), count: 0 },
        blobs: Bounded::fill(&mut blobs.iter().copied()),
        payload_hash: payload_hash(says.as_bytes()),
        says: None,
    };
    Row { entry: draft.sign(&key(by)), payload: Some(says.as_bytes().to_vec().into()) }
}

/// A replica with its store and depot, all of it instant.
struct Node {
    id: u8,
    core: Replica,
    rows: BTreeMap<Place, Row>,
    /// What lies under each name.
    blobs: BTreeMap<BlobName, BlobRef>,
    events: Vec<Event>,
    evidence: Vec<Row>,
}

fn place(row: &Row) -> Place {
    Place { bucket: row.entry.bucket, origin: row.entry.origin, seq: row.entry.seq }
}

impl Node {
    fn new(id: u8, view: View) -> Self {
        let core = Replica::new(node(id), view);
        Self { id, core, rows: BTreeMap::new(), blobs: BTreeMap::new(), events: vec![], evidence: vec![] }
    }

    fn write(&mut self, row: Row) {
        self.rows.insert(place(&row), row.clone());
        self.blobs.extend(row.entry.blobs.iter().map(|blob| (blob.name, *blob)));
        let payload = row.payload.unwrap().to_vec();
        self.core.handle(NOW, Input::Wrote(Box::new(row.entry), payload));
    }

    /// A restart from a disk as it was when `rows` were all there was.
    fn roll_back(&mut self, view: View, last: u64) {
        self.rows.retain(|place, _| place.origin != node(self.id) || place.seq <= last);
        self.core = Replica::new(node(self.id), view);
        for row in self.rows.values() {
            let len = row.payload.as_ref().map(|payload| payload.len());
            assert!(self.core.restore(NOW, &row.entry, len, &mut |blob| {
                self.blobs.get(&blob.name).is_some_and(|here| here.len == blob.len)
            }));
        }
    }
}

/// Carries out everything until nothing is left to do.
fn settle(nodes: &mut [Node]) -> Vec<&'static str> {
    settle_at(nodes, NOW)
}

fn settle_at(nodes: &mut [Node], now: Millis) -> Vec<&'static str> {
    settle_without(nodes, now, &[])
}

/// The same while messages of some kinds are lost.
fn settle_without(nodes: &mut [Node], now: Millis, lost: &[&str]) -> Vec<&'static str> {
    let mut said = Vec::new();
    loop {
        let mut quiet = true;
        for at in 0..nodes.len() {
            while let Some(output) = nodes[at].core.poll_output() {
                quiet = false;
                let me = node(nodes[at].id);
                match output {
                    Output::Store(ticket, rows) => {
                        for row in rows {
                            nodes[at].rows.entry(place(&row)).or_insert(row);
                        }
                        nodes[at].core.handle(now, Input::Stored(ticket));
                    }
                    Output::Send(to, message) => {
                        said.push(message.name());
                        if lost.contains(&message.name()) {
                            continue;
                        }
                        if let Some(other) = nodes.iter_mut().find(|other| node(other.id) == to) {
                            other.core.handle(now, Input::Received(me, message));
                        }
                    }
                    Output::Load(load) => {
                        let last = Place { seq: u64::MAX, ..load.first };
                        let rows = nodes[at].rows.range(load.first..=last).take(load.count);
                        let rows = rows.map(|(_, row)| row.clone()).collect();
                        nodes[at].core.handle(now, Input::Loaded(load, rows));
                    }
                    Output::Fetch { from, blob, .. } => {
                        let source = nodes.iter().find(|other| node(other.id) == from);
                        let there = source.and_then(|other| other.blobs.get(&blob.name)).copied();
                        let input = if there == Some(blob) || nodes[at].blobs.get(&blob.name) == Some(&blob) {
                            nodes[at].blobs.insert(blob.name, blob);
                            Input::Fetched(blob)
                        } else if there.is_some() {
                            Input::FetchFailed(blob, FetchError::Corrupt)
                        } else {
                            Input::FetchFailed(blob, FetchError::Missing)
                        };
                        nodes[at].core.handle(now, input);
                    }
                    Output::Verify { blob, .. } => {
                        let is_good = nodes[at].blobs.get(&blob.name) == Some(&blob);
                        let input = if is_good { Input::Verified(blob) } else { Input::Lost(blob) };
                        nodes[at].core.handle(now, input);
                    }
                    // What was fetched has come at once.
                    Output::Stop(blob) => panic!("{blob} is not on its way"),
                    Output::Evidence(row) => nodes[at].evidence.push(*row),
                    Output::Drop(peer) => panic!("drops {peer}"),
                    Output::Tell(event) => nodes[at].events.push(event),
                }
            }
        }
        if quiet {
            return said;
        }
    }
}

fn connect(nodes: &mut [Node], a: usize, b: usize) {
    let (x, y) = (node(nodes[a].id), node(nodes[b].id));
    nodes[a].core.handle(NOW, Input::Connected(y));
    nodes[b].core.handle(NOW, Input::Connected(x));
}

fn two(copies: u16) -> Vec<Node> {
    let mut nodes: Vec<Node> = [1, 2].map(|n| Node::new(n, view(&[1, 2], copies))).into();
    connect(&mut nodes, 0, 1);
    settle(&mut nodes);
    nodes
}

#[test]
fn a_write_is_pushed_fetched_confirmed_and_counted() {
    let mut nodes = two(2);
    let first = row(1, 1, &[blob(1), blob(2)], "a");
    nodes[0].write(first.clone());
    assert!(!nodes[0].core.protection(&BUCKET).is_full());
    let said = settle(&mut nodes);
    assert!(!said.contains(&"ask"), "a new entry is pushed: {said:?}");
    let confirmed =
        Event::Confirmed { place: place(&first), entry: first.entry.id(), by: node(2), copies: 2 };
    assert!(nodes[0].events.contains(&confirmed));
    for one in &nodes {
        let copies = [0, 0, 1, 0, 0, 0, 0, 0];
        assert_eq!(
            one.core.protection(&BUCKET),
            Protection { full: 1, copies, sealed: 20, ..Protection::default() }
        );
        assert_eq!(one.core.copies(&place(&first)), 2);
    }
    assert_eq!(nodes[0].core.holders(&blob(1)), [node(2)]);
}

#[test]
fn what_was_missed_is_caught_up_with_after_an_absence() {
    let mut nodes: Vec<Node> = [1, 2].map(|n| Node::new(n, view(&[1, 2], 2))).into();
    for seq in 1..=2500 {
        nodes[0].write(row(1, seq, &[blob(seq)], "x"));
    }
    settle(&mut nodes);
    assert_eq!(nodes[0].core.protection(&BUCKET).partly, 2500);
    connect(&mut nodes, 0, 1);
    let said = settle(&mut nodes);
    assert_eq!(nodes[1].core.protection(&BUCKET).full, 2500);
    assert_eq!(nodes[0].core.protection(&BUCKET).full, 2500);
    assert!(said.iter().filter(|said| **said == "ask").count() <= 6);
}

#[test]
fn a_lost_blob_is_repaired_and_the_loss_is_seen_meanwhile() {
    let mut nodes = two(2);
    nodes[0].write(row(1, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    nodes[1].blobs.remove(&blob(1).name);
    nodes[1].core.handle(NOW, Input::Lost(blob(1)));
    assert_eq!(nodes[1].core.protection(&BUCKET).partly, 1);
    settle(&mut nodes);
    assert_eq!(nodes[1].blobs.get(&blob(1).name), Some(&blob(1)));
    assert!(nodes.iter().all(|node| node.core.protection(&BUCKET).is_full()));
}

#[test]
fn a_node_that_was_rolled_back_is_told_its_own_entries_before_it_writes() {
    let mut nodes = two(2);
    for seq in 1..=5 {
        nodes[0].write(row(1, seq, &[], "x"));
    }
    settle(&mut nodes);
    nodes[0].roll_back(view(&[1, 2], 2), 2);
    assert_eq!(nodes[0].core.own(&BUCKET), Own::Listening);
    nodes[1].core.handle(NOW, Input::Disconnected(node(1)));
    connect(&mut nodes, 0, 1);
    settle(&mut nodes);
    assert!(nodes[0].events.contains(&Event::Behind { bucket: BUCKET, have: 2, told: 5 }));
    assert!(nodes[0].events.contains(&Event::CaughtUp(BUCKET)));
    assert!(nodes[1].events.contains(&Event::PeerBehind { node: node(1), bucket: BUCKET }));
    assert_eq!(nodes[0].core.own(&BUCKET), Own::Sure);
    assert_eq!(nodes[0].core.vector(&BUCKET)[&node(1)], 5);
    nodes[0].write(row(1, 6, &[], "y"));
    settle(&mut nodes);
    assert_eq!(nodes[1].core.vector(&BUCKET)[&node(1)], 6);
    assert!(nodes.iter().all(|node| node.evidence.is_empty()));
}

#[test]
fn two_entries_with_one_number_are_proof() {
    let mut nodes = two(2);
    for seq in 1..=20 {
        nodes[0].write(row(1, seq, &[], "x"));
    }
    settle(&mut nodes);
    // It hears nobody, so nobody can tell it that number 8 is taken; it even writes more.
    nodes[0].roll_back(view(&[1, 2], 2), 7);
    for seq in 8..=30 {
        nodes[0].write(row(1, seq, &[], "other"));
    }
    nodes[1].core.handle(NOW, Input::Disconnected(node(1)));
    connect(&mut nodes, 0, 1);
    settle(&mut nodes);
    let at = Place { bucket: BUCKET, origin: node(1), seq: 8 };
    for (mine, theirs) in [(0, 1), (1, 0)] {
        let conflict = Conflict {
            place: at,
            kept: nodes[mine].rows[&at].entry.id(),
            other: nodes[theirs].rows[&at].entry.id(),
        };
        assert!(nodes[mine].events.contains(&Event::Conflict(conflict)));
        assert_eq!(nodes[mine].evidence, [nodes[theirs].rows[&at].clone()]);
    }
    assert_eq!(nodes[0].core.own(&BUCKET), Own::Forked);
    assert_eq!(nodes[1].core.vector(&BUCKET)[&node(1)], 20);
}

#[test]
fn a_search_for_the_fork_goes_on_after_a_lost_message() {
    let mut nodes = two(2);
    for seq in 1..=20 {
        nodes[0].write(row(1, seq, &[], "x"));
    }
    settle(&mut nodes);
    nodes[0].roll_back(view(&[1, 2], 2), 7);
    for seq in 8..=30 {
        nodes[0].write(row(1, seq, &[], "other"));
    }
    nodes[1].core.handle(NOW, Input::Disconnected(node(1)));
    connect(&mut nodes, 0, 1);
    // Everything arrives but what the search says.
    settle_without(&mut nodes, NOW, &["chain", "entries"]);
    let later = NOW.plus(TELL_EVERY);
    for node in &mut nodes {
        node.core.handle_timeout(later);
    }
    settle_at(&mut nodes, later);
    assert!(nodes.iter().all(|node| node.evidence.len() == 1), "nobody found the fork");
}

#[test]
fn a_suspended_node_counts_for_nothing_and_hears_nothing() {
    let mut nodes = two(2);
    nodes[0].write(row(1, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    let mut suspended = view(&[1, 2], 2);
    suspended.nodes.get_mut(&node(2)).unwrap().suspended = true;
    nodes[0].core.handle(NOW, Input::View(suspended));
    assert_eq!(nodes[0].core.protection(&BUCKET).partly, 1);
    assert!(nodes[0].core.holders(&blob(1)).is_empty());
    nodes[0].write(row(1, 2, &[], "b"));
    nodes[0].core.handle_timeout(Millis(1 << 40));
    assert!(!std::iter::from_fn(|| nodes[0].core.poll_output()).any(|o| matches!(o, Output::Send(..))));
    nodes[0].core.handle(NOW, Input::View(view(&[1, 2], 2)));
    settle(&mut nodes);
    assert_eq!(nodes[0].core.protection(&BUCKET).full, 2);
}

#[test]
fn garbage_is_counted_and_its_sender_dropped() {
    let mut core = Replica::new(node(1), view(&[1, 2], 2));
    core.handle(NOW, Input::Connected(node(2)));
    let mut forged = row(2, 1, &[], "a");
    forged.payload = Some(b"b".to_vec().into());
    for _ in 0..GARBAGE_MAX {
        let rows = Bounded::fill(&mut std::iter::once(forged.clone()));
        core.handle(NOW, Input::Received(node(2), Message::Entries { rows }));
    }
    let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
    assert!(!outputs.iter().any(|output| matches!(output, Output::Store(..))));
    assert!(outputs.contains(&Output::Drop(node(2))));
}

#[test]
fn one_piece_of_garbage_in_ten_minutes_is_forgiven() {
    let mut core = Replica::new(node(1), view(&[1, 2], 2));
    core.handle(NOW, Input::Connected(node(2)));
    let mut now = NOW;
    for _ in 0..200 {
        now = now.plus(Millis::from_secs(9 * 60));
        core.handle(now, Input::Garbage(node(2)));
        let dropped = std::iter::from_fn(|| core.poll_output()).any(|o| o == Output::Drop(node(2)));
        // Twenty come in the time in which eighteen are forgiven.
        assert!(!dropped || now > NOW.plus(Millis::from_secs(20 * 3600)), "{now:?}");
    }
}

#[test]
fn a_surplus_copy_stays_until_those_to_whom_it_belongs_have_it() {
    let mut nodes: Vec<Node> = [1, 2, 3].map(|n| Node::new(n, view(&[1, 2, 3], 2))).into();
    // An entry that belongs to the two others.
    let (at, entry) = (0..100)
        .map(|n| (n, row(1, 1, &[blob(n)], "a")))
        .find(|(_, row)| !crate::place(&view(&[1, 2, 3], 2), &BUCKET, &row.entry.id()).contains(&node(1)))
        .unwrap();
    nodes[0].write(entry);
    assert!(nodes[0].core.keeps(&BUCKET, &blob(at).name));
    connect(&mut nodes, 0, 1);
    settle(&mut nodes);
    assert!(nodes[0].core.keeps(&BUCKET, &blob(at).name), "only one of the two has it");
    connect(&mut nodes, 0, 2);
    settle(&mut nodes);
    for node in &mut nodes {
        node.core.handle_timeout(NOW.plus(TELL_EVERY));
    }
    settle(&mut nodes);
    assert!(!nodes[0].core.keeps(&BUCKET, &blob(at).name));
    assert!(nodes[1].core.keeps(&BUCKET, &blob(at).name));
    assert!(nodes[0].core.keeps(&BUCKET, &blob(999).name), "a write under way may need it");
    nodes[0].core.handle(NOW, Input::Disconnected(node(3)));
    assert!(nodes[0].core.keeps(&BUCKET, &blob(at).name), "who is away may have lost it");
}

#[test]
fn what_peers_hold_outlives_a_restart() {
    let mut nodes = two(2);
    nodes[0].write(row(1, 1, &[blob(1)], "a"));
    settle(&mut nodes);
    assert!(nodes[0].core.has_news());
    let beliefs: Vec<Belief> = nodes[0].core.news();
    assert!(!nodes[0].core.has_news());
    nodes[0].roll_back(view(&[1, 2], 2), u64::MAX);
    assert_eq!(nodes[0].core.protection(&BUCKET).partly, 1);
    for belief in beliefs {
        nodes[0].core.recall(NOW, belief);
    }
    assert!(nodes[0].core.protection(&BUCKET).is_full());
    nodes[0].core.restored();
    assert!(nodes[0].core.protection(&BUCKET).is_full());
}

#[test]
fn what_is_remembered_lets_no_copy_go() {
    let mut nodes: Vec<Node> = [1, 2, 3].map(|n| Node::new(n, view(&[1, 2, 3], 2))).into();
    let belongs = |row: &Row| crate::place(&view(&[1, 2, 3], 2), &BUCKET, &row.entry.id());
    let (at, entry) = (0..100)
        .map(|n| (n, row(1, 1, &[blob(n)], "a")))
        .find(|(_, row)| !belongs(row).contains(&node(1)))
        .unwrap();
    nodes[0].write(entry);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        connect(&mut nodes, a, b);
    }
    settle(&mut nodes);
    let beliefs = nodes[0].core.news();
    nodes[0].roll_back(view(&[1, 2, 3], 2), u64::MAX);
    for belief in beliefs {
        nodes[0].core.recall(NOW, belief);
    }
    nodes[0].core.restored();
    assert_eq!(nodes[0].core.holders(&blob(at)), [node(2), node(3)]);
    assert!(nodes[0].core.keeps(&BUCKET, &blob(at).name));
}

#[test]
fn fetches_and_queues_are_bounded() {
    let mut nodes = two(2);
    for seq in 1..=300 {
        let row = row(1, seq, &[blob(seq)], "x");
        nodes[0].rows.insert(place(&row), row.clone());
        nodes[0].core.handle(NOW, Input::Wrote(Box::new(row.entry), b"x".to_vec()));
    }
    let sent = std::iter::from_fn(|| nodes[0].core.poll_output())
        .filter(|output| matches!(output, Output::Send(..)))
        .count();
    assert!(sent <= QUEUED_MAX, "{sent}");
    let (at, _) = nodes[0].core.poll_timeout().unwrap();
    assert!(at <= NOW.plus(TELL_SOON), "what did not fit is told soon");
}

//! Those who do not belong, and members who do not play by the rules.

use std::collections::BTreeMap;
use std::time::Duration;

use freehold_mesh::{Trouble, Why};
use iroh::endpoint::{Connection, ConnectionError, RecvStream};

use crate::world::{Node, Realm, bare, by_id, door_protocol, id, member_protocol, pair, target, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nothing() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (mut a, b) = pair(&realm, 1, 2).await;
    let mut x = Node::start(3, &Realm::of(&[id(1), id(3)])).await;
    x.mesh.set_peers(BTreeMap::from([(a.id(), a.addresses().await)])).await;
    x.healthy(a.id(), |health| health.trouble == Some(Trouble::Refused)).await;
    assert!(x.told.try_recv().is_err(), "it was never up");
    assert!(a.told.try_recv().is_err(), "nothing was told of it");
    assert!(a.health(x.id()).is_none());
    assert!(a.health(b.id()).unwrap().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_scanner_sees_says_nothing_of_the_realm() {
    let realm = Realm::of(&[id(1)]);
    let a = Node::start(1, &realm).await;
    let scanner = bare(9).await;
    // Who does not know the node's id is not answered at all.
    for unknown in [b"h3".to_vec(), b"freehold/1".to_vec(), member_protocol(id(2))] {
        let to = target(&a).await;
        let dial = tokio::time::timeout(Duration::from_secs(2), scanner.connect(to, &unknown)).await;
        assert!(dial.is_err(), "{dial:?}");
    }
    for (protocol, is_door) in [(member_protocol(a.id()), false), (door_protocol(a.id()), true)] {
        let connection = within("a handshake", scanner.connect(target(&a).await, &protocol)).await.unwrap();
        if is_door {
            let (mut tx, mut rx) = within("the nonce", connection.accept_bi()).await.unwrap();
            let mut nonce = [0; 33];
            rx.read_exact(&mut nonce).await.unwrap();
            tx.write_all(b"\0\0\0\x04nope").await.unwrap();
            assert!(within("an end", rx.read_to_end(1000)).await.is_err(), "not a byte in answer");
        }
        match within("the end", connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => {
                assert_eq!((close.error_code.into_inner(), close.reason.len()), (1, 0));
            }
            other => panic!("{other}"),
        }
    }
}

/// A member's key in the hands of somebody who speaks the protocol as he likes. He leads.
async fn rogue(a: &Node, of: u8) -> (iroh::Endpoint, Connection) {
    let endpoint = bare(of).await;
    let connection =
        within("a handshake", endpoint.connect(target(a).await, &member_protocol(a.id()))).await.unwrap();
    let (mut tx, mut rx) = connection.open_bi().await.unwrap();
    tx.write_all(&[1; 17]).await.unwrap();
    let mut taken = [0];
    within("a hello", rx.read_exact(&mut taken)).await.unwrap();
    (endpoint, connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_breaks_the_rules_is_cut_and_does_no_harm() {
    let seeds = by_id(3);
    let (rogue_seed, one, two) = (seeds[0], seeds[1], seeds[2]);
    let realm = Realm::of(&[id(one), id(two), id(rogue_seed)]);
    let (mut a, b) = pair(&realm, one, two).await;
    let huge = [&[1], (1_u32 << 30).to_be_bytes().as_slice()].concat();
    let cases: [(&str, Vec<Vec<u8>>); 5] = [
        ("a huge frame", vec![huge]),
        ("an unknown channel", vec![vec![77]]),
        ("a channel twice", vec![vec![1, 0, 0, 0, 1, 9], vec![1, 0, 0, 0, 1, 9]]),
        ("half a frame", vec![vec![2, 0, 0, 0, 200, 1, 2, 3]]),
        ("half a head", vec![vec![2, 0, 0]]),
    ];
    for (what, streams) in cases {
        let (_endpoint, connection) = rogue(&a, rogue_seed).await;
        a.up(id(rogue_seed)).await;
        for bytes in streams {
            let mut stream = connection.open_uni().await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            if what.starts_with("half") {
                stream.finish().unwrap();
            }
        }
        assert_eq!(a.down(id(rogue_seed)).await, Why::Broke, "{what}");
    }
    assert!(a.health(b.id()).unwrap().connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_for_blobs_that_make_no_sense_end_the_connection() {
    let seeds = by_id(2);
    let realm = Realm::of(&[id(seeds[0]), id(seeds[1])]);
    let mut a = Node::start(seeds[1], &realm).await;
    let backwards = [&[1], [5; 32].as_slice(), &[0, 0, 0, 0, 0, 0, 0, 9], &[0; 8]].concat();
    for question in [vec![3; 49], backwards] {
        let (_endpoint, connection) = rogue(&a, seeds[0]).await;
        a.up(id(seeds[0])).await;
        let (mut tx, _rx): (_, RecvStream) = connection.open_bi().await.unwrap();
        tx.write_all(&question).await.unwrap();
        tx.finish().unwrap();
        assert_eq!(a.down(id(seeds[0])).await, Why::Broke);
    }
}

/// Who asks may give it up while its question waits for room on the line.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_breaks_off_ends_nothing_else() {
    let seeds = by_id(2);
    let realm = Realm::of(&[id(seeds[0]), id(seeds[1])]);
    let mut a = Node::start(seeds[1], &realm).await;
    let (_endpoint, connection) = rogue(&a, seeds[0]).await;
    a.up(id(seeds[0])).await;
    let (mut tx, mut rx) = connection.open_bi().await.unwrap();
    tx.write_all(&[1; 10]).await.unwrap();
    tx.finish().unwrap();
    assert!(within("its end", rx.read_to_end(10)).await.is_err());
    let (mut tx, mut rx) = connection.open_bi().await.unwrap();
    let question = [&[1], [5; 32].as_slice(), &[0; 8], &[0, 0, 0, 0, 0, 0, 0, 9]].concat();
    tx.write_all(&question).await.unwrap();
    assert_eq!(within("an answer", rx.read_to_end(10)).await.unwrap(), [1], "it is not here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nobody_says_hello_is_given_up() {
    let seeds = by_id(2);
    let realm = Realm::of(&[id(seeds[0]), id(seeds[1])]);
    let a = Node::start(seeds[1], &realm).await;
    let mute = bare(seeds[0]).await;
    let connection =
        within("a handshake", mute.connect(target(&a).await, &member_protocol(a.id()))).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(45), connection.closed()).await.unwrap();
    assert!(matches!(end, ConnectionError::ApplicationClosed(_)), "{end}");
}

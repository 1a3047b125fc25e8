//! Members among each other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_mesh::{Addresses, Channel, Event, MAX_FRAME, Path, SendError, Trouble, Why};

use crate::world::{Node, Realm, by_id, config, id, pair, poll, within};

#[tokio::test(flavor = "multi_thread")]
async fn members_connect_and_exchange_in_order() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (mut a, mut b) = pair(&realm, 1, 2).await;
    for number in 0..200_u32 {
        let channel = if number % 2 == 0 { Channel::Log } else { Channel::Replica };
        a.mesh.send(b.id(), channel, Bytes::copy_from_slice(&number.to_be_bytes())).unwrap();
    }
    let mut last = BTreeMap::new();
    for _ in 0..200 {
        let (channel, body) = b.message(a.id()).await;
        let number = u32::from_be_bytes(body[..].try_into().unwrap());
        assert!(last.insert(channel, number).is_none_or(|before| before + 2 == number));
    }
    let large = Bytes::from(vec![9; MAX_FRAME]);
    b.mesh.send(a.id(), Channel::Log, large.clone()).unwrap();
    b.mesh.send(a.id(), Channel::Log, Bytes::new()).unwrap();
    assert_eq!(a.message(b.id()).await, (Channel::Log, large));
    assert_eq!(a.message(b.id()).await, (Channel::Log, Bytes::new()));
    let over = Bytes::from(vec![0; MAX_FRAME + 1]);
    assert_eq!(a.mesh.send(b.id(), Channel::Log, over), Err(SendError::TooLarge(MAX_FRAME + 1)));
    assert_eq!(a.mesh.send(id(9), Channel::Log, Bytes::new()), Err(SendError::NotConnected(id(9))));

    let health = a.healthy(b.id(), |health| health.rtt.is_some()).await;
    assert!(health.connected && health.trouble.is_none());
    assert_eq!(health.path, Path::Direct(b.mesh.bound()[0]));
    assert!(health.last_heard.unwrap() < Duration::from_secs(15));

    let gone = a.id();
    a.stop().await;
    assert_eq!(b.down(gone).await, Why::Left);
    b.healthy(gone, |health| !health.connected && health.trouble == Some(Trouble::Unreachable)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_realm_dialling_at_once_settle_on_one_connection_each() {
    let realm = Realm::of(&(1..=6).map(id).collect::<Vec<_>>());
    let mut nodes = Vec::new();
    for of in 1..=6 {
        nodes.push(Node::start(of, &realm).await);
    }
    for node in &nodes {
        node.expect(&nodes.iter().collect::<Vec<_>>()).await;
    }
    for node in &nodes {
        poll("all peers", || {
            (node.mesh.peers().iter().filter(|peer| peer.connected).count() == 5).then_some(())
        })
        .await;
    }
    // Each gets one message from each, over connections that both ends count as the one.
    for node in &nodes {
        for peer in nodes.iter().filter(|peer| peer.id() != node.id()) {
            node.mesh.send_wait(peer.id(), Channel::Log, Bytes::from_static(b"hello")).await.unwrap();
        }
    }
    let mut lost = 0;
    for node in &mut nodes {
        let mut heard = 0;
        while heard < 5 {
            match within("greetings", node.told.recv()).await.unwrap() {
                Event::Message(..) => heard += 1,
                Event::Down(..) => lost += 1,
                Event::Up(..) => {}
            }
        }
    }
    assert_eq!(lost, 0, "connections were replaced in an undisturbed start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_peer_is_cut_off_at_once_and_stays_away() {
    for (keeper, suspended) in [(1, 2), (2, 1)] {
        let realm = Realm::of(&[id(1), id(2)]);
        // The suspended one does not believe it.
        let its_own = Realm::of(&[id(1), id(2)]);
        let mut a = Node::start(keeper, &realm).await;
        let mut b = Node::start(suspended, &its_own).await;
        a.expect(&[&b]).await;
        b.expect(&[&a]).await;
        a.up(b.id()).await;
        b.up(a.id()).await;
        realm.remove(b.id());
        let begun = Instant::now();
        a.mesh.disconnect(b.id());
        assert_eq!(b.down(a.id()).await, Why::Refused);
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(a.down(b.id()).await, Why::Cut);
        // It comes back, and is refused; and we do not go to it either.
        b.healthy(a.id(), |health| health.trouble == Some(Trouble::Refused)).await;
        a.healthy(b.id(), |health| health.trouble == Some(Trouble::NotAdmitted)).await;
        assert_eq!(a.mesh.send(b.id(), Channel::Log, Bytes::new()), Err(SendError::NotConnected(b.id())));
        assert!(a.told.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_was_cut_off_but_is_still_admitted_comes_back() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (mut a, mut b) = pair(&realm, 1, 2).await;
    for _ in 0..2 {
        a.mesh.disconnect(b.id());
        assert_eq!(a.down(b.id()).await, Why::Cut);
        assert_eq!(b.down(a.id()).await, Why::Refused);
        a.up(b.id()).await;
        b.up(a.id()).await;
        // Also while it is being dialled.
        a.mesh.disconnect(b.id());
        a.mesh.disconnect(b.id());
        a.up(b.id()).await;
        b.up(a.id()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_let_in_is_dialled_when_the_list_is_given_again() {
    let realm = Realm::of(&[id(1)]);
    let (mut a, b) = (Node::start(1, &realm).await, Node::start(2, &Realm::of(&[id(1)])).await);
    a.expect(&[&b]).await;
    assert!(!a.healthy(b.id(), |health| health.trouble == Some(Trouble::NotAdmitted)).await.connected);
    realm.members.write().unwrap().insert(b.id());
    a.expect(&[&b]).await;
    a.up(b.id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mesh_itself_notices_that_a_peer_is_no_longer_admitted() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (mut a, b) = pair(&realm, 1, 2).await;
    realm.remove(b.id());
    assert_eq!(a.down(b.id()).await, Why::Cut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_restarts_on_another_port_is_found_by_its_new_addresses() {
    for (stays, moves) in [(1, 2), (2, 1)] {
        let realm = Realm::of(&[id(1), id(2)]);
        let (mut a, b) = pair(&realm, stays, moves).await;
        let before = b.addresses().await;
        b.stop().await;
        assert_eq!(a.down(id(moves)).await, Why::Left);
        // It does not know where we are: we have to find it.
        let b = Node::start(moves, &realm).await;
        assert_ne!(before, b.addresses().await);
        let begun = Instant::now();
        a.expect(&[&b]).await;
        a.up(b.id()).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_peer_that_crashed_and_came_back_replaces_its_dead_connection() {
    for (stays, crashes) in [(1, 2), (2, 1)] {
        let realm = Realm::of(&[id(1), id(2)]);
        let here = tokio::runtime::Runtime::new().unwrap();
        let there = tokio::runtime::Runtime::new().unwrap();
        let (mut a, at) = here.block_on(async {
            let node = Node::start(stays, &realm).await;
            let at = node.addresses().await;
            (node, at)
        });
        let start = async {
            let node = Node::start(crashes, &realm).await;
            node.mesh.set_peers(BTreeMap::from([(id(stays), at)])).await;
            node
        };
        let b = there.block_on(start);
        here.block_on(a.up(b.id()));
        // No goodbye: all its tasks stop where they are.
        there.shutdown_background();
        std::mem::forget(b);
        let at = here.block_on(a.addresses());
        let begun = Instant::now();
        here.block_on(async {
            let mut b = Node::start(crashes, &realm).await;
            b.mesh.set_peers(BTreeMap::from([(id(stays), at)])).await;
            b.up(id(stays)).await;
            assert_eq!(a.down(b.id()).await, Why::Replaced);
            a.up(b.id()).await;
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
            a.mesh.send(b.id(), Channel::Log, Bytes::from_static(b"again")).unwrap();
            assert_eq!(b.message(id(stays)).await.1, "again");
        });
    }
}

/// As with the bridge of a container engine, which has the same address on every machine.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_at_which_we_ourselves_or_others_live_do_not_mislead() {
    for (here, there) in [(1, 2), (2, 1)] {
        let realm = Realm::of(&[id(1), id(2), id(3)]);
        let mut a = Node::start(here, &realm).await;
        let b = Node::start(there, &realm).await;
        let other = Node::start(3, &realm).await;
        let at = [&a, &b, &other].map(|node| node.mesh.bound()[0]);
        a.mesh.set_peers(BTreeMap::from([(b.id(), Addresses::new(at, [], None))])).await;
        a.up(b.id()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_peer_holds_us_back_and_loses_nothing() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, mut b) = pair(&realm, 1, 2).await;
    let body = Bytes::from(vec![1; 256 << 10]);
    let mut sent = 0_u64;
    let full = loop {
        match a.mesh.send(b.id(), Channel::Replica, body.clone()) {
            Ok(()) => sent += 1,
            // Full for good only if it stays full while the line takes what it can.
            Err(SendError::Full(_)) => {
                let room = a.mesh.send_wait(b.id(), Channel::Replica, body.clone());
                match tokio::time::timeout(Duration::from_secs(1), room).await {
                    Ok(sent_later) => sent_later.unwrap(),
                    Err(_) => break true,
                }
                sent += 1;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(sent < 4000, "a gigabyte was taken for somebody who reads nothing");
    };
    assert!(full);
    assert!(sent < 60, "{sent} times 256 KiB wait on both sides");
    for _ in 0..sent {
        assert_eq!(b.message(a.id()).await.1.len(), body.len());
    }
    a.mesh.send(b.id(), Channel::Replica, Bytes::from_static(b"end")).unwrap();
    assert_eq!(b.message(a.id()).await.1, "end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_an_address_has_to_come_to_us() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (mut a, b) = (Node::start(1, &realm).await, Node::start(2, &realm).await);
    a.mesh.set_peers(BTreeMap::from([(b.id(), Addresses::default())])).await;
    a.healthy(b.id(), |health| health.trouble == Some(Trouble::NoAddress)).await;
    b.expect(&[&a]).await;
    a.up(b.id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_last_handle_the_mesh_ends() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, mut b) = pair(&realm, 1, 2).await;
    let me = a.id();
    drop(a);
    assert_eq!(b.down(me).await, Why::Left);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_is_in_order_and_within_its_time() {
    let realm = Realm::of(&[id(1), id(2)]);
    let seeds = by_id(2);
    let (a, mut b) = pair(&realm, seeds[0], seeds[1]).await;
    let port = a.mesh.bound()[0];
    let me = a.id();
    let begun = Instant::now();
    a.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(b.down(me).await, Why::Left);
    // The port is free again as soon as iroh has let go of it.
    poll("the port", || std::net::UdpSocket::bind(port).ok()).await;
    let mut again = config(seeds[0]);
    again.bind = vec![port];
    Node::with(again, &realm).await.stop().await;
}

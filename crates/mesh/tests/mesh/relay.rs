//! The relay that a node runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_mesh::{Addresses, Channel, Config, KnockError, Path, RelayServe, Trouble, Why};

use crate::world::{Node, Realm, config, id, key, poll, relay_only, with_relay, within};

/// A relay, and two members who can be reached through it only.
pub(crate) async fn apart(hosts: &Arc<Realm>, realm: &Arc<Realm>) -> (Node, Node, Node) {
    let host = Node::with(with_relay(1), hosts).await;
    let url = host.addresses().await.serves().unwrap().clone();
    let a = Node::with(relay_only(2, vec![url.clone()]), realm).await;
    let b = Node::with(relay_only(3, vec![url]), realm).await;
    let (at_a, at_b) = (a.relayed().await, b.relayed().await);
    assert!(at_a.direct().is_empty() && at_b.direct().is_empty());
    a.mesh.set_peers(BTreeMap::from([(b.id(), at_b)])).await;
    b.mesh.set_peers(BTreeMap::from([(a.id(), at_a)])).await;
    (host, a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_who_share_only_a_relay_talk_through_it() {
    let realm = Realm::of(&[id(1), id(2), id(3)]);
    let (host, mut a, mut b) = apart(&realm, &realm).await;
    a.up(b.id()).await;
    b.up(a.id()).await;
    let body = Bytes::from(vec![5; 700_000]);
    for _ in 0..4 {
        a.mesh.send_wait(b.id(), Channel::Replica, body.clone()).await.unwrap();
    }
    for _ in 0..4 {
        assert_eq!(b.message(a.id()).await, (Channel::Replica, body.clone()));
    }
    let url = host.addresses().await.serves().unwrap().clone();
    assert_eq!(a.healthy(b.id(), |health| health.rtt.is_some()).await.path, Path::Relay(url));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_use_the_relay_that_a_peer_says_it_runs() {
    let realm = Realm::of(&[id(1), id(2)]);
    let mut host = Node::with(with_relay(1), &realm).await;
    let serves = host.addresses().await.serves().unwrap().clone();
    // No relay in its configuration, and no direct address of the host in its directory.
    let mut a = Node::with(relay_only(2, Vec::new()), &realm).await;
    a.mesh.set_peers(BTreeMap::from([(host.id(), Addresses::new([], [], Some(serves.clone())))])).await;
    a.up(host.id()).await;
    host.up(a.id()).await;
    assert_eq!(a.relayed().await.relays(), [serves]);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_may_not_use_it() {
    let realm = Realm::of(&[id(1), id(2), id(3)]);
    let (host, mut a, mut b) = apart(&realm, &realm).await;
    a.up(b.id()).await;
    b.up(a.id()).await;
    let url = host.addresses().await.serves().unwrap().clone();
    // The stranger knows everything but is not of the realm.
    let all = Realm::of(&[id(1), id(2), id(3), id(4)]);
    let x = Node::with(relay_only(4, vec![url]), &all).await;
    x.mesh.set_peers(BTreeMap::from([(a.id(), a.relayed().await)])).await;
    x.healthy(a.id(), |health| health.trouble == Some(Trouble::Unreachable)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_member_loses_its_place_at_it() {
    let realm = Realm::of(&[id(1), id(2), id(3)]);
    let hosts = Realm::of(&[id(1), id(2), id(3)]);
    let (host, mut a, mut b) = apart(&hosts, &realm).await;
    a.up(b.id()).await;
    b.up(a.id()).await;
    // Suspended, and only the relay has heard of it: it lets go of it, and the two lose each other.
    hosts.remove(b.id());
    host.mesh.disconnect(b.id());
    assert_eq!(b.down(a.id()).await, Why::Silent);
    assert_eq!(a.down(b.id()).await, Why::Silent);
    b.healthy(a.id(), |health| health.trouble == Some(Trouble::Unreachable)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_restarts_is_found_again() {
    let realm = Realm::of(&[id(1), id(2), id(3)]);
    let (host, mut a, mut b) = apart(&realm, &realm).await;
    a.up(b.id()).await;
    b.up(a.id()).await;
    assert!(a.mesh.relays().iter().all(|relay| relay.connected && !relay.refused));
    let bind = host.mesh.relay_bound().unwrap();
    host.stop().await;
    poll("the relay's port", || std::net::TcpListener::bind(bind).ok()).await;
    let again = Config { relay_serve: Some(RelayServe { bind, url: None, connections: 64 }), ..config(1) };
    let _host = Node::with(again, &realm).await;
    // Be it over the same connection or a new one.
    let body = Bytes::from_static(b"still here");
    poll("a way", || a.mesh.send(b.id(), Channel::Log, body.clone()).ok()).await;
    assert_eq!(b.message(a.id()).await.1, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_relay_dies_another_takes_over() {
    let realm = Realm::of(&[id(1), id(2), id(3), id(4)]);
    let (one, two) = (Node::with(with_relay(1), &realm).await, Node::with(with_relay(4), &realm).await);
    let mut urls = Vec::new();
    for host in [&one, &two] {
        urls.push(host.addresses().await.serves().unwrap().clone());
    }
    let mut a = Node::with(relay_only(2, urls.clone()), &realm).await;
    let mut b = Node::with(relay_only(3, urls.clone()), &realm).await;
    a.mesh.set_peers(BTreeMap::from([(b.id(), b.relayed().await)])).await;
    b.mesh.set_peers(BTreeMap::from([(a.id(), a.relayed().await)])).await;
    a.up(b.id()).await;
    b.up(a.id()).await;
    let in_use = a.healthy(b.id(), |health| matches!(health.path, Path::Relay(_))).await.path;
    let (dies, _stays) = if in_use == Path::Relay(urls[0].clone()) { (one, two) } else { (two, one) };
    dies.stop().await;
    let body = Bytes::from_static(b"by another way");
    // What is sent into the dead connection is lost; the next one carries the rest.
    let arrived = async {
        loop {
            let _lost_or_not = a.mesh.send(b.id(), Channel::Log, body.clone());
            let next = b.message(a.id());
            if tokio::time::timeout(Duration::from_secs(1), next).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), arrived).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_reaches_the_door_through_it_with_an_invitation() {
    let realm = Realm::of(&[id(1), id(2)]);
    realm.invitations.write().unwrap().push(key(100).verifying());
    let host = Node::with(with_relay(1), &realm).await;
    let url = host.addresses().await.serves().unwrap().clone();
    let a = Node::with(relay_only(2, vec![url]), &realm).await;
    let at = a.relayed().await;
    let hello = Bytes::from_static(b"hello");
    // Somebody without an invitation does not even reach it.
    let x = Node::with(relay_only(4, Vec::new()), &Realm::of(&[id(2)])).await;
    let refused = within("a refusal", x.mesh.knock(&at, a.id(), &[&key(101)], hello.clone())).await;
    assert_eq!(refused, Err(KnockError::Unreachable));
    let newcomer = Node::with(relay_only(3, Vec::new()), &Realm::of(&[id(2)])).await;
    let answer = within("the door", newcomer.mesh.knock(&at, a.id(), &[&key(100)], hello)).await;
    assert_eq!(answer.unwrap(), "welcome, you said hello");
}

const UPGRADE: &[u8] = b"GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: iroh-relay-v1\r\nX-Freehold-Place: 0\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_nothing_is_cut_and_shuts_no_member_out() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let realm = Realm::of(&[id(1), id(2), id(3)]);
    let mut config = with_relay(1);
    config.relay_serve.as_mut().unwrap().connections = 8;
    let host = Node::with(config, &realm).await;
    let url = host.addresses().await.serves().unwrap().clone();
    let at = host.mesh.relay_bound().unwrap();
    let mut strangers = Vec::new();
    for says in [UPGRADE, b"GET /re", b""].iter().cycle().take(24) {
        let mut stranger = tokio::net::TcpStream::connect(at).await.unwrap();
        stranger.write_all(says).await.unwrap();
        strangers.push(stranger);
    }
    // The host is at its own relay, so this has to make room.
    let a = Node::with(relay_only(2, vec![url.clone()]), &realm).await;
    assert_eq!(a.relayed().await.relays(), [url]);
    for mut stranger in strangers {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(30), stranger.read_to_end(&mut rest)).await;
        drop(end.expect("it is cut"));
    }
    assert_eq!(a.relayed().await.relays().len(), 1, "the member stays");
    host.stop().await;
}

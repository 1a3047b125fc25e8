//! Newcomers and guardians.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use freehold_crypt::{Algorithm, SigningKey};
use freehold_mesh::{Addresses, KnockError, MAX_REQUEST};
use iroh::endpoint::Connection;

use crate::world::{Node, Realm, bare, door_protocol, id, key, pair, seed, target, within};

const HELLO: Bytes = Bytes::from_static(b"hello");

async fn knock(x: &Node, a: &Node, keys: &[&SigningKey]) -> Result<Bytes, KnockError> {
    within("the door", x.mesh.knock(&a.addresses().await, a.id(), keys, HELLO)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_of_either_algorithm_opens_the_door() {
    let realm = Realm::of(&[id(1)]);
    let mut a = Node::start(1, &realm).await;
    for (newcomer, algorithm) in [(2, Algorithm::Ed25519), (3, Algorithm::P256)] {
        let invitation = SigningKey::from_seed(algorithm, &seed(100 + newcomer));
        realm.invitations.write().unwrap().push(invitation.verifying());
        let mut x = Node::start(newcomer, &Realm::of(&[id(1)])).await;
        assert_eq!(knock(&x, &a, &[&invitation]).await.unwrap(), "welcome, you said hello");
        // Now it is a member.
        x.expect(&[&a]).await;
        x.up(a.id()).await;
        a.up(x.id()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guardians_open_it_together_only() {
    let realm = Realm::of(&[id(1)]);
    let guardians = [key(50), SigningKey::from_seed(Algorithm::P256, &seed(51)), key(52)];
    realm.guardians.write().unwrap().extend(guardians.iter().map(SigningKey::verifying));
    let a = Node::start(1, &realm).await;
    let x = Node::start(2, &Realm::of(&[id(1)])).await;
    assert_eq!(knock(&x, &a, &[&guardians[0]]).await, Err(KnockError::Refused));
    assert_eq!(
        knock(&x, &a, &[&guardians[0], &guardians[0]]).await,
        Err(KnockError::Refused),
        "one key twice"
    );
    assert_eq!(knock(&x, &a, &[&guardians[2], &key(60)]).await, Err(KnockError::Refused));
    assert_eq!(realm.served.load(Ordering::SeqCst), 0);
    assert!(knock(&x, &a, &[&guardians[1], &guardians[0]]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_without_a_reason() {
    let realm = Realm::of(&[id(1)]);
    realm.invitations.write().unwrap().push(key(100).verifying());
    let a = Node::start(1, &realm).await;
    let x = Node::start(2, &Realm::of(&[id(1)])).await;
    assert_eq!(knock(&x, &a, &[&key(101)]).await, Err(KnockError::Refused));
    assert_eq!(knock(&x, &a, &[]).await, Err(KnockError::Keys(0)));
    let many: Vec<_> = (0..17).map(|of| key(100 + of)).collect();
    assert_eq!(knock(&x, &a, &many.iter().collect::<Vec<_>>()).await, Err(KnockError::Keys(17)));
    let huge = Bytes::from(vec![0; MAX_REQUEST + 1]);
    let too_large = x.mesh.knock(&a.addresses().await, a.id(), &[&key(100)], huge).await;
    assert_eq!(too_large, Err(KnockError::TooLarge(MAX_REQUEST + 1)));
    let nowhere = x.mesh.knock(&Addresses::default(), a.id(), &[&key(100)], HELLO).await;
    assert_eq!(nowhere, Err(KnockError::NoAddress));
    assert_eq!(realm.served.load(Ordering::SeqCst), 0);
}

/// Another node at the address: TLS proves that it is not the one of the invitation.
#[tokio::test(flavor = "multi_thread")]
async fn the_node_of_the_invitation_is_the_only_one_spoken_to() {
    let realm = Realm::of(&[id(1), id(3)]);
    realm.invitations.write().unwrap().push(key(100).verifying());
    let impostor = Node::start(3, &realm).await;
    let x = Node::start(2, &Realm::of(&[id(1)])).await;
    let (at, invitation) = (impostor.addresses().await, key(100));
    assert!(within("the door", x.mesh.knock(&at, id(1), &[&invitation], HELLO)).await.is_err());
    assert_eq!(realm.served.load(Ordering::SeqCst), 0);
}

async fn nonce(
    connection: &Connection,
) -> (iroh::endpoint::SendStream, iroh::endpoint::RecvStream, [u8; 33]) {
    let (tx, mut rx) = within("the nonce", connection.accept_bi()).await.unwrap();
    let mut head = [0; 33];
    within("the nonce", rx.read_exact(&mut head)).await.unwrap();
    (tx, rx, head)
}

/// Somebody between the newcomer and the node: he ends one connection and begins another.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_does_not_hold_in_another_session_or_for_another_node() {
    let realm = Realm::of(&[id(1)]);
    realm.invitations.write().unwrap().push(key(100).verifying());
    let a = Node::start(1, &realm).await;
    let x = Node::start(2, &Realm::of(&[id(4)])).await;
    // x has been given an invitation text that names node 4, which plays a's nonce back to it.
    let between = bare(4).await;
    between.set_alpns(vec![door_protocol(id(4))]);
    let here = Addresses::new(between.bound_sockets(), [], None);
    let to_a =
        within("a handshake", between.connect(target(&a).await, &door_protocol(a.id()))).await.unwrap();
    let (mut tx, mut rx, head) = nonce(&to_a).await;
    let trick = async {
        let from_x = between.accept().await.unwrap().await.unwrap();
        let (mut to_x, mut of_x) = from_x.open_bi().await.unwrap();
        to_x.write_all(&head).await.unwrap();
        let mut length = [0; 4];
        of_x.read_exact(&mut length).await.unwrap();
        let mut proof = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        of_x.read_exact(&mut proof).await.unwrap();
        [length.as_slice(), &proof].concat()
    };
    let invitation = key(100);
    let keys = [&invitation];
    let knocking = x.mesh.knock(&here, id(4), &keys, HELLO);
    let proof = tokio::select! {
        proof = trick => proof,
        knocked = knocking => panic!("{knocked:?}"),
    };
    tx.write_all(&proof).await.unwrap();
    assert!(within("a refusal", rx.read_to_end(10)).await.is_err());
    // And a second time, in a session of its own.
    let again =
        within("a handshake", between.connect(target(&a).await, &door_protocol(a.id()))).await.unwrap();
    let (mut tx, mut rx, _) = nonce(&again).await;
    tx.write_all(&proof).await.unwrap();
    assert!(within("a refusal", rx.read_to_end(10)).await.is_err());
    assert_eq!(realm.served.load(Ordering::SeqCst), 0);
    assert!(!realm.members.read().unwrap().contains(&id(4)));
}

/// Whoever knows the node's id can come in; without an invitation it can only stand there.
#[tokio::test(flavor = "multi_thread")]
async fn who_stands_at_the_door_and_shows_nothing_shuts_nobody_out() {
    let realm = Realm::of(&[id(1)]);
    realm.invitations.write().unwrap().push(key(100).verifying());
    let a = Node::start(1, &realm).await;
    let crowd = bare(9).await;
    let to = target(&a).await;
    let mut standing = Vec::new();
    for _ in 0..20 {
        let door = door_protocol(a.id());
        standing.push(within("the door", crowd.connect(to.clone(), &door)).await.unwrap());
    }
    let x = Node::start(2, &Realm::of(&[id(1)])).await;
    assert_eq!(knock(&x, &a, &[&key(100)]).await.unwrap(), "welcome, you said hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_the_door_is_held_off_and_members_do_not_feel_it() {
    let realm = Realm::of(&[id(1), id(2)]);
    realm.invitations.write().unwrap().push(key(100).verifying());
    let (a, b) = pair(&realm, 1, 2).await;
    let crowd = bare(9).await;
    let to = target(&a).await;
    let attempts = (0..150).map(|_| {
        let (crowd, to, door) = (crowd.clone(), to.clone(), door_protocol(a.id()));
        async move { crowd.connect(to, &door).await }
    });
    let outcomes = within("the crowd", futures::future::join_all(attempts)).await;
    assert!(outcomes.iter().any(Result::is_err), "nobody was held off");
    assert!(a.health(b.id()).unwrap().connected);
    a.mesh.send(b.id(), freehold_mesh::Channel::Log, HELLO).unwrap();
    drop(outcomes);
    let mut b = b;
    assert_eq!(b.message(a.id()).await.1, HELLO);
    drop(Arc::clone(&realm));
}

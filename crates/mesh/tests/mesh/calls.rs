//! Calls: an answer for whoever has something to say that counts, and nothing for others.

use bytes::Bytes;
use freehold_mesh::{Addresses, KnockError};

use crate::world::{Node, Realm, bare, call_protocol, id, target, within};

async fn call(x: &Node, a: &Node, question: &'static [u8]) -> Result<Bytes, KnockError> {
    within("an answer", x.mesh.call(&a.addresses().await, a.id(), Bytes::from_static(question))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_answered_if_what_it_says_counts() {
    let a = Node::start(1, &Realm::of(&[id(1)])).await;
    let x = Node::start(2, &Realm::of(&[id(2)])).await;
    assert_eq!(call(&x, &a, b"pass, please").await.unwrap(), "heard you, 2");
    assert_eq!(call(&x, &a, b"hello").await, Err(KnockError::Refused));
    assert_eq!(call(&x, &a, &[7; (8 << 10) + 1]).await, Err(KnockError::TooLarge((8 << 10) + 1)));
    let at = a.addresses().await;
    let other = within("an answer", x.mesh.call(&at, id(3), Bytes::from_static(b"pass"))).await;
    assert!(other.is_err(), "another node's name is not answered: {other:?}");
    let itself = x.mesh.call(&at, id(2), Bytes::from_static(b"pass")).await;
    assert_eq!(itself, Err(KnockError::NoAddress));
    let nowhere = within("an end", x.mesh.call(&Addresses::default(), id(4), Bytes::new())).await;
    assert!(nowhere.is_err());
    // It is no more than a caller: no member, and no line.
    assert!(a.health(x.id()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_say_nothing_make_room_for_those_who_do() {
    let a = Node::start(1, &Realm::of(&[id(1)])).await;
    let mute = bare(9).await;
    let (to, name) = (target(&a).await, call_protocol(a.id()));
    let mut held = Vec::new();
    for _ in 0..40 {
        // Whoever is too fast is asked to come again, or turned away.
        if let Ok(connection) = within("a connection", mute.connect(to.clone(), &name)).await {
            held.push(connection);
        }
    }
    let x = Node::start(2, &Realm::of(&[id(2)])).await;
    assert_eq!(call(&x, &a, b"pass").await.unwrap(), "heard you, 2");
    drop(held);
}

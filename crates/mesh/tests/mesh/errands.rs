//! Errands: done for those who may come, many on one connection, and for nobody else.

use bytes::Bytes;
use freehold_mesh::{KnockError, MAX_BODY};

use crate::world::{Node, Realm, id, within};

async fn errand(
    x: &Node,
    a: &Node,
    question: &'static [u8],
    body: Bytes,
) -> Result<(Bytes, Bytes), KnockError> {
    let at = a.addresses().await;
    within("an answer", x.mesh.errand(&at, a.id(), Bytes::from_static(question), body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn errands_are_done_for_whoever_may_come_and_nobody_else() {
    let street = Realm::of(&[id(1)]);
    let a = Node::start(1, &street).await;
    let x = Node::start(2, &Realm::of(&[id(2)])).await;
    assert_eq!(errand(&x, &a, b"turn", Bytes::new()).await, Err(KnockError::Refused));
    street.let_in.write().unwrap().insert(id(2));
    let large: Bytes = (0u8..251).cycle().take(MAX_BODY).collect();
    let turned: Bytes = large.iter().rev().copied().collect();
    let (answer, body) = errand(&x, &a, b"turn", large.clone()).await.unwrap();
    assert!(answer == "turn" && body == turned, "{} bytes came back", body.len());
    let many = (0..12).map(|_| errand(&x, &a, b"turn", large.slice(..100_000)));
    for done in futures::future::join_all(many).await {
        assert_eq!(done.unwrap().1.len(), 100_000);
    }
    let too_much = errand(&x, &a, b"turn", vec![0; MAX_BODY + 1].into()).await;
    assert!(matches!(too_much, Err(KnockError::TooLarge(_))));
    // What is not understood ends the connection, and the next errand begins another one.
    assert_eq!(errand(&x, &a, b"what?", Bytes::new()).await, Err(KnockError::Refused));
    assert!(errand(&x, &a, b"turn", Bytes::new()).await.is_ok());
    // Whoever may come no longer is turned away on the connection that stands.
    street.let_in.write().unwrap().clear();
    assert_eq!(errand(&x, &a, b"turn", Bytes::new()).await, Err(KnockError::Refused));
    assert!(a.health(x.id()).is_none(), "it is no member");
}

//! Blobs between members.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_mesh::{FetchError, Haste, Unavailable};
use freehold_wire::BlobName;
use futures::StreamExt as _;

use crate::world::{Blob, Node, Realm, id, pair, within};

fn body(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect::<Vec<_>>().into()
}

async fn all(node: &Node, from: &Node, blob: BlobName, range: Range<u64>) -> Result<Vec<u8>, FetchError> {
    let mut stream = within("an answer", node.mesh.fetch_blob(from.id(), blob, range, Haste::Read)).await?;
    let mut got = Vec::new();
    while let Some(piece) = within("a piece", stream.next()).await {
        got.extend_from_slice(&piece?);
    }
    assert_eq!(got.len() as u64, stream.range().end - stream.range().start);
    Ok(got)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_or_any_range_of_it_arrives() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let body = body(5_000_000);
    let blob = realm.put(1, Blob::Whole(body.clone()));
    let empty = realm.put(2, Blob::Whole(Bytes::new()));
    assert_eq!(all(&a, &b, blob, 0..u64::MAX).await.unwrap(), body);
    assert_eq!(all(&a, &b, blob, 1_234_567..1_234_568).await.unwrap(), body[1_234_567..1_234_568]);
    assert_eq!(all(&b, &a, blob, 4_999_000..6_000_000).await.unwrap(), body[4_999_000..]);
    assert_eq!(all(&a, &b, blob, 6_000_000..7_000_000).await.unwrap(), b"");
    assert_eq!(all(&a, &b, empty, 0..u64::MAX).await.unwrap(), b"");
    assert_eq!(a.mesh.fetch_blob(b.id(), blob, 0..10, Haste::Read).await.unwrap().total(), body.len() as u64);
    let nowhere = BlobName::from_bytes([99; 32]);
    let error = all(&a, &b, nowhere, 0..10).await.unwrap_err();
    assert_eq!(error, FetchError::Unavailable { from: b.id(), why: Unavailable::NotHere });
    assert_eq!(all(&a, &a, blob, 0..1).await.unwrap_err(), FetchError::NotConnected(a.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_all_arrive() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let body = body(300_000);
    let blob = realm.put(1, Blob::Whole(body.clone()));
    let fetches = (0..40_u64).map(|start| {
        let (a, b, body) = (&a, &b, &body);
        async move {
            let got = all(a, b, blob, start..u64::MAX).await.unwrap();
            assert_eq!(got, body[usize::try_from(start).unwrap()..]);
        }
    });
    futures::future::join_all(fetches).await;
}

/// As when a disk is slow: what comes is not read on.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_does_not_wait_for_what_comes_in_the_background() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let endless = realm.put(1, Blob::Endless);
    let mut begun = Vec::new();
    for _ in 0..8 {
        let fetch = a.mesh.fetch_blob(b.id(), endless, 0..u64::MAX, Haste::Background);
        let mut stream = within("an answer", fetch).await.unwrap();
        // As much as may be on its way is on its way.
        let mut taken = 0;
        while taken < 3 << 20 {
            taken += within("a piece", stream.next()).await.unwrap().unwrap().len();
        }
        begun.push(stream);
    }
    let one_more = a.mesh.fetch_blob(b.id(), endless, 0..u64::MAX, Haste::Background);
    let body = body(3_000_000);
    let blob = realm.put(2, Blob::Whole(body.clone()));
    let read = async {
        let (first, second) = tokio::join!(all(&a, &b, blob, 0..u64::MAX), all(&a, &b, blob, 5..u64::MAX));
        assert_eq!((first.unwrap(), second.unwrap()), (body.to_vec(), body[5..].to_vec()));
    };
    let begun_at = Instant::now();
    let (crowded, ()) = tokio::join!(within("no place", one_more), async {
        read.await;
        assert!(begun_at.elapsed() < Duration::from_secs(30), "{:?}", begun_at.elapsed());
    });
    assert_eq!(crowded.unwrap_err(), FetchError::Crowded(b.id()), "it does not wait without end");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_little_now_and_then_is_given_up() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let blob = realm.put(1, Blob::Drip);
    let mut stream = a.mesh.fetch_blob(b.id(), blob, 0..u64::MAX, Haste::Read).await.unwrap();
    let end = async {
        loop {
            if let Err(error) = stream.next().await.unwrap() {
                return error;
            }
        }
    };
    assert_eq!(within("an end", end).await, FetchError::Slow(b.id()));
    assert!(a.health(b.id()).unwrap().connected);
}

fn failed(from: &Node) -> FetchError {
    FetchError::Unavailable { from: from.id(), why: Unavailable::Failed }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_or_too_long_is_an_error() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let cut = realm.put(1, Blob::Cut(body(1_000_000), 400_000));
    match all(&a, &b, cut, 0..u64::MAX).await.unwrap_err() {
        FetchError::Cut { from, missing } => assert!(from == b.id() && missing >= 600_000, "{missing}"),
        // The break can overtake the beginning.
        other => assert_eq!(other, failed(&b)),
    }
    let over = realm.put(2, Blob::TooMuch(body(1_000_000)));
    let error = all(&a, &b, over, 0..u64::MAX).await.unwrap_err();
    assert!(matches!(error, FetchError::Cut { .. }) || error == failed(&b), "{error}");
    // The connection is none the worse.
    let whole = realm.put(3, Blob::Whole(body(10)));
    assert_eq!(all(&a, &b, whole, 0..10).await.unwrap(), body(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn suspension_cuts_a_blob_on_its_way() {
    let realm = Realm::of(&[id(1), id(2)]);
    let (a, b) = pair(&realm, 1, 2).await;
    let blob = realm.put(1, Blob::Endless);
    let mut stream = a.mesh.fetch_blob(b.id(), blob, 0..u64::MAX, Haste::Read).await.unwrap();
    stream.next().await.unwrap().unwrap();
    realm.remove(a.id());
    let begun = Instant::now();
    b.mesh.disconnect(a.id());
    let error = loop {
        if let Err(error) = within("the cut", stream.next()).await.unwrap() {
            break error;
        }
    };
    assert!(matches!(error, FetchError::Cut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(stream.next().await.is_none());
}

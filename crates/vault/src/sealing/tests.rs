use super::*;

#[test]
fn many_bodies_take_no_more_memory_than_few() {
    let press = Press::default();
    let mut shares = Vec::new();
    for bodies in 1..=32 {
        shares.push(press.enter());
        for share in &shares {
            assert!((BATCH_MIN..=BATCH).contains(&share.batch()) && share.batch().is_power_of_two());
            assert!(share.batch() * bodies <= BATCHES, "{bodies} bodies");
        }
    }
    shares.truncate(1);
    assert_eq!(shares[0].batch(), BATCH);
}

#[tokio::test]
async fn batches_are_of_one_size_whatever_pieces_come() {
    for piece in [1, 999, 1000, 1001, 3500] {
        let pieces = vec![7; 10_000];
        let pieces: Vec<_> = pieces.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let body = futures::stream::iter(pieces).boxed();
        let mut source = Source { body, rest: None, expected: Some(10_000), len: 0 };
        for _ in 0..10 {
            let batch = source.gather(1000).await.unwrap();
            assert!(!batch.last);
            assert_eq!(batch.pieces.iter().map(Bytes::len).sum::<usize>(), 1000);
        }
        let batch = source.gather(1000).await.unwrap();
        assert!(batch.last && batch.pieces.is_empty());
        assert_eq!(source.len, 10_000);
    }
}

#[tokio::test]
async fn more_than_announced_is_refused_as_it_comes() {
    let pieces = (0..10).map(|_| Ok(Bytes::from_static(&[7; 100])));
    let body = futures::stream::iter(pieces).boxed();
    let mut source = Source { body, rest: None, expected: Some(250), len: 0 };
    assert!(matches!(source.gather(1000).await, Err(PutError::Length { expected: 250, got: 300 })));
}

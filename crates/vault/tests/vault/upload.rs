use std::collections::BTreeMap;

use freehold_vault::{
    BucketInfo, ByteRange, CompleteRequest, GetError, ListQuery, PartRequest, PutError, UploadId,
    UploadRequest,
};
use freehold_wire::{BucketId, Millis};

use crate::world::{Setup, World, body, random};

fn complete(parts: &[(u16, &str)]) -> CompleteRequest {
    let parts = parts.iter().map(|(number, etag)| (*number, (*etag).to_owned())).collect();
    CompleteRequest { parts, ..CompleteRequest::default() }
}

#[tokio::test]
async fn parts_make_an_object() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let request = UploadRequest { content_type: Some("video/mp4".into()), ..UploadRequest::default() };
    let id = vault.begin_upload(bucket, "film", request).await.unwrap();
    let (a, b, c) = (random(5 << 20), random((5 << 20) + 70_001), random(1000));
    let mut etags = Vec::new();
    // Out of order, with a gap, and one written twice.
    vault.put_part(bucket, "film", id, 3, PartRequest::default(), body(&a)).await.unwrap();
    for (number, content) in [(7u16, &c), (1, &a), (3, &b)] {
        let done =
            vault.put_part(bucket, "film", id, number, PartRequest::default(), body(content)).await.unwrap();
        etags.push((number, done.etag));
    }
    drop(world);

    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    assert!(matches!(world.get("film").await, Err(GetError::NoSuchKey)), "not there before it is complete");
    let parts = vault.list_parts(bucket, "film", id).await.unwrap().parts;
    assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 3, 7]);
    etags.sort();
    let request = CompleteRequest { parts: etags, ..CompleteRequest::default() };
    let done = vault.complete_upload(bucket, "film", id, request).await.unwrap();
    assert!(done.etag.ends_with("-3"));
    let whole = [a, b, c].concat();
    assert_eq!(world.get("film").await.unwrap(), whole);
    let across = ByteRange::From { first: (5 << 20) - 5, last: Some((10 << 20) + 70_005) };
    assert_eq!(world.range("film", Some(across)).await.unwrap(), &whole[(5 << 20) - 5..=(10 << 20) + 70_005]);
    let head = vault.head(bucket, "film", None).await.unwrap();
    assert_eq!((head.parts, head.content_type.as_deref()), (3, Some("video/mp4")));
    assert!(matches!(vault.list_parts(bucket, "film", id).await, Err(PutError::NoSuchUpload)));
}

#[tokio::test]
async fn what_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let id = vault.begin_upload(bucket, "k", UploadRequest::default()).await.unwrap();
    let small =
        vault.put_part(bucket, "k", id, 1, PartRequest::default(), body(b"small")).await.unwrap().etag;
    let last = vault.put_part(bucket, "k", id, 2, PartRequest::default(), body(b"last")).await.unwrap().etag;
    for number in [0, 10_001] {
        let refused = vault.put_part(bucket, "k", id, number, PartRequest::default(), body(b"")).await;
        assert!(matches!(refused, Err(PutError::PartNumber(_))));
    }
    let stranger = vault.put_part(bucket, "other", id, 1, PartRequest::default(), body(b"")).await;
    assert!(matches!(stranger, Err(PutError::NoSuchUpload)));
    let refuse = |parts: &[(u16, &str)]| vault.complete_upload(bucket, "k", id, complete(parts));
    assert!(matches!(refuse(&[]).await, Err(PutError::PartOrder)));
    assert!(matches!(refuse(&[(2, &last), (1, &small)]).await, Err(PutError::PartOrder)));
    assert!(matches!(refuse(&[(1, &small), (1, &small)]).await, Err(PutError::PartOrder)));
    assert!(matches!(refuse(&[(1, &small), (2, &last)]).await, Err(PutError::PartTooSmall(1))));
    assert!(matches!(refuse(&[(1, &last)]).await, Err(PutError::InvalidPart(1))));
    assert!(matches!(refuse(&[(5, &last)]).await, Err(PutError::InvalidPart(5))));
    refuse(&[(2, &last)]).await.unwrap();
    assert_eq!(world.get("k").await.unwrap(), b"last");
    refuse(&[(2, &last)]).await.unwrap();
}

#[tokio::test]
async fn uploads_are_listed_aborted_and_swept() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let mut ids: Vec<UploadId> = Vec::new();
    for key in ["a/1", "a/2", "b", "b"] {
        ids.push(vault.begin_upload(bucket, key, UploadRequest::default()).await.unwrap());
        let last = *ids.last().unwrap();
        vault.put_part(bucket, key, last, 1, PartRequest::default(), body(&random(1000))).await.unwrap();
    }
    let query = ListQuery { delimiter: Some("/".into()), max: 100, ..ListQuery::default() };
    let page = vault.list_uploads(bucket, &query).await.unwrap();
    assert_eq!((page.uploads.len(), page.prefixes), (2, vec!["a/".to_owned()]));
    vault.abort_upload(bucket, "a/1", ids[0]).await.unwrap();
    assert!(matches!(vault.abort_upload(bucket, "a/1", ids[0]).await, Err(PutError::NoSuchUpload)));

    let late = Millis(u64::MAX / 2);
    let swept = vault.sweep(late).await.unwrap();
    assert_eq!(swept.uploads_ended, 3);
    vault.sweep(late).await.unwrap();
    assert_eq!(vault.depot().measure().await.unwrap(), (0, 0));
    let page = vault.list_uploads(bucket, &ListQuery { max: 9, ..ListQuery::default() }).await.unwrap();
    assert!(page.uploads.is_empty());
}

#[tokio::test]
async fn a_part_can_be_a_copy() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let content = random(200_000);
    world.put("from", &content).await.unwrap();
    let id = vault.begin_upload(bucket, "to", UploadRequest::default()).await.unwrap();
    let range = ByteRange::From { first: 1000, last: Some(150_000) };
    let part = vault.copy_part((bucket, "from"), None, Some(range), (bucket, "to"), id, 1).await.unwrap();
    vault.complete_upload(bucket, "to", id, complete(&[(1, &part.etag)])).await.unwrap();
    assert_eq!(world.get("to").await.unwrap(), &content[1000..=150_000]);
}

#[tokio::test]
async fn who_completes_again_is_told_the_same() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let id = vault.begin_upload(bucket, "film", UploadRequest::default()).await.unwrap();
    let part = vault.put_part(bucket, "film", id, 1, PartRequest::default(), body(b"all")).await.unwrap();
    let first = vault.complete_upload(bucket, "film", id, complete(&[(1, &part.etag)])).await.unwrap();
    drop(world);
    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let again = vault.complete_upload(bucket, "film", id, complete(&[(1, &part.etag)])).await.unwrap();
    assert_eq!((first.etag, first.version, first.size), (again.etag, again.version, again.size));
    let other = vault.complete_upload(bucket, "other", id, complete(&[(1, &part.etag)])).await;
    assert!(matches!(other, Err(PutError::NoSuchUpload)));
    world.delete("film").await;
    world.vault.sweep(Millis(u64::MAX / 2)).await.unwrap();
    let gone = vault.complete_upload(bucket, "film", id, complete(&[(1, &part.etag)])).await;
    assert!(matches!(gone, Err(PutError::NoSuchUpload)), "{gone:?}");
}

#[tokio::test]
async fn a_completion_that_too_few_confirmed_may_be_asked_again() {
    let home = tempfile::tempdir().unwrap();
    let world = World::with(home.path(), Setup { confirm: 2, ..Setup::default() }).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let id = vault.begin_upload(bucket, "film", UploadRequest::default()).await.unwrap();
    let part = vault.put_part(bucket, "film", id, 1, PartRequest::default(), body(b"all")).await.unwrap();
    for _ in 0..2 {
        let done = vault.complete_upload(bucket, "film", id, complete(&[(1, &part.etag)])).await;
        assert!(matches!(done, Err(PutError::NotConfirmed { have: 1, want: 2 })), "{done:?}");
    }
}

#[tokio::test]
async fn an_upload_to_a_bucket_that_is_gone_is_swept() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let (vault, bucket) = (&world.vault, &world.bucket);
    let id = vault.begin_upload(bucket, "film", UploadRequest::default()).await.unwrap();
    vault.put_part(bucket, "film", id, 1, PartRequest::default(), body(b"all")).await.unwrap();
    let other = BucketId::from_bytes([9; 32]);
    let info = BucketInfo { name: "other".into(), copies: 1, confirm: 1, created: Millis(1) };
    vault.set_buckets(BTreeMap::from([(other, info)]));
    let swept = vault.sweep(Millis(u64::MAX / 2)).await.unwrap();
    assert_eq!((swept.uploads_ended, swept.removed), (1, 1));
}

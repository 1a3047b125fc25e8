use std::collections::BTreeMap;

use freehold_seal::{Checksum, ChecksumAlgorithm};
use freehold_vault::{
    Annotations, ByteRange, Conditions, CopyMeta, CopyRequest, Expect, GetError, PartRequest, PutError,
    PutRequest,
};
use freehold_wire::Text;

use crate::world::{World, body, random};

const CHUNK: usize = 1 << 16;

#[tokio::test]
async fn every_edge_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let sizes = [
        0,
        1,
        4096,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        (32 << 10) + 1,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
        5 << 20,
        (5 << 20) + 4711,
    ];
    for size in sizes {
        let content = random(size);
        let key = format!("size/{size}");
        let done = world.put(&key, &content).await.unwrap();
        assert_eq!(done.size, size as u64);
        assert_eq!(world.get(&key).await.unwrap(), content, "{size} bytes");
        let head = world.vault.head(&world.bucket, &key, None).await.unwrap();
        assert_eq!((head.size, head.etag, head.version), (size as u64, done.etag, done.version));
    }
}

#[tokio::test]
async fn ranges() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let content = random(3 * CHUNK + 1234);
    let size = content.len() as u64;
    world.put("k", &content).await.unwrap();
    let edges = [0, 1, CHUNK as u64 - 1, CHUNK as u64, CHUNK as u64 + 1, 2 * CHUNK as u64, size - 1];
    for first in edges {
        for last in edges.iter().filter(|last| **last >= first) {
            let range = ByteRange::From { first, last: Some(*last) };
            let got = world.range("k", Some(range)).await.unwrap();
            let wanted = usize::try_from(first).unwrap()..=usize::try_from(*last).unwrap();
            assert_eq!(got, &content[wanted], "{first}-{last}");
        }
    }
    let open = ByteRange::From { first: size - 10, last: None };
    assert_eq!(world.range("k", Some(open)).await.unwrap(), &content[content.len() - 10..]);
    let long = ByteRange::From { first: 5, last: Some(u64::MAX) };
    assert_eq!(world.range("k", Some(long)).await.unwrap(), &content[5..]);
    for count in [1, 100, size, size + 5] {
        let got = world.range("k", Some(ByteRange::Last(count))).await.unwrap();
        assert_eq!(got.len() as u64, count.min(size));
        assert!(content.ends_with(&got));
    }
    for range in [ByteRange::From { first: size, last: None }, ByteRange::Last(0)] {
        assert!(matches!(world.range("k", Some(range)).await, Err(GetError::Range { .. })));
    }
}

#[tokio::test]
async fn what_was_said_of_an_object_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let checksum = Checksum { algorithm: ChecksumAlgorithm::Crc32c, value: Text::new("yZRlqg==").unwrap() };
    let kept = checksum.clone();
    let request = PutRequest {
        content_type: Some("image/jpeg".into()),
        headers: BTreeMap::from([("cache-control".into(), "no-store".into())]),
        user_meta: BTreeMap::from([("owner".into(), "Zoë".into())]),
        at_end: Some(Box::new(move || Ok(vec![checksum]))),
        ..PutRequest::default()
    };
    let done = world.put_with("k", request, b"hello world").await.unwrap();
    assert_eq!(done.etag, "5eb63bbbe01eeed093cb22bb8f5acdc3");
    let head = world.vault.head(&world.bucket, "k", None).await.unwrap();
    assert_eq!(head.content_type.as_deref(), Some("image/jpeg"));
    assert_eq!(head.headers["cache-control"], "no-store");
    assert_eq!(head.user_meta["owner"], "Zoë");
    assert_eq!(head.checksums, std::slice::from_ref(&kept));
    assert_eq!(head.modified, done.modified);

    let copy = |meta| CopyRequest {
        version: None,
        meta,
        keep_tags: true,
        annotations: Annotations::new(),
        conditions: Conditions::default(),
    };
    let (bucket, keep) = (&world.bucket, CopyMeta::Keep);
    let copied = world.vault.copy((bucket, "k"), (bucket, "copy"), copy(keep)).await.unwrap();
    assert_eq!(copied.etag, done.etag);
    let head = world.vault.head(bucket, "copy", None).await.unwrap();
    assert_eq!((head.user_meta["owner"].as_str(), head.checksums), ("Zoë", vec![kept]));
    let other = CopyMeta::Replace {
        content_type: None,
        headers: BTreeMap::new(),
        user_meta: BTreeMap::from([("a".into(), "b".into())]),
    };
    world.vault.copy((bucket, "k"), (bucket, "k"), copy(other)).await.unwrap();
    let head = world.vault.head(bucket, "k", None).await.unwrap();
    assert_eq!((head.content_type, head.user_meta["a"].as_str()), (None, "b"));
    assert_eq!(world.get("k").await.unwrap(), b"hello world");
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be_leave_nothing() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let content = random(3 << 20);
    let expect = |len, md5| PutRequest { expect: Expect { len, md5 }, ..PutRequest::default() };
    let short = world.put_with("k", expect(Some(3_000_000), None), &content).await;
    assert!(matches!(short, Err(PutError::Length { expected: 3_000_000, .. })));
    let long = world.put_with("k", expect(Some(4_000_000), None), &content).await;
    assert!(matches!(long, Err(PutError::Length { expected: 4_000_000, got: 3_145_728 })));
    let wrong = world.put_with("k", expect(None, Some([0; 16])), &content).await;
    assert!(matches!(wrong, Err(PutError::Digest)));
    let refused = PutRequest { at_end: Some(Box::new(|| Err("no".into()))), ..PutRequest::default() };
    assert!(matches!(world.put_with("k", refused, &content).await, Err(PutError::Refused(_))));
    let broken = futures::StreamExt::chain(body(&content), futures::stream::iter([Err("gone".into())]));
    let broken = world.vault.put(&world.bucket, "k", PutRequest::default(), Box::pin(broken)).await;
    assert!(matches!(broken, Err(PutError::Body(_))));
    assert!(matches!(world.put("", b"").await, Err(PutError::KeyLength(0))));
    assert!(matches!(world.put(&"x".repeat(1025), b"").await, Err(PutError::KeyLength(1025))));

    assert!(matches!(world.get("k").await, Err(GetError::NoSuchKey)));
    assert_eq!(world.entries.count().unwrap(), 0);
    assert_eq!(world.vault.depot().measure().await.unwrap(), (0, 0));
}

#[tokio::test]
async fn a_restart_makes_the_same_index() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    for number in 0..40 {
        world.put(&format!("k{:02}", number % 25), &random(number * 3)).await.unwrap();
    }
    for gone in ["k03", "k24"] {
        assert!(world.delete(gone).await);
        assert!(!world.delete(gone).await);
    }
    let query = freehold_vault::ListQuery { max: 1000, ..Default::default() };
    let before = world.vault.list(&world.bucket, &query).unwrap();
    let stats = world.vault.stats();
    assert_eq!(before.objects.len(), 23);
    drop(world);

    let world = World::open(home.path()).await;
    assert_eq!(world.vault.list(&world.bucket, &query).unwrap(), before);
    assert_eq!(world.vault.stats(), stats);
    let done = world.put("after", b"x").await.unwrap();
    assert!(before.objects.iter().all(|object| object.modified <= done.modified));
}

#[tokio::test]
async fn nothing_in_clear_reaches_the_disk() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let marker = b"MARKER-OF-THE-CONTENT";
    let key = "a-very-private-name.txt";
    let request = || PutRequest {
        content_type: Some("text/secret".into()),
        user_meta: BTreeMap::from([("hidden".into(), "meta-marker-value".into())]),
        ..PutRequest::default()
    };
    let content = marker.repeat(100_000);
    world.put_with(key, request(), &content).await.unwrap();
    world.put_with(key, request(), marker).await.unwrap();
    let vault = &world.vault;
    let upload = vault
        .begin_upload(
            &world.bucket,
            key,
            freehold_vault::UploadRequest { user_meta: request().user_meta, ..Default::default() },
        )
        .await
        .unwrap();
    vault.put_part(&world.bucket, key, upload, 1, PartRequest::default(), body(&content)).await.unwrap();
    let home_path = world.home.clone();
    drop(world);

    let needles: [&[u8]; 5] =
        [&marker[..12], key.as_bytes(), b"private", b"text/secret", b"meta-marker-value"];
    let mut files = 0;
    let mut dirs = vec![home_path];
    while let Some(dir) = dirs.pop() {
        for file in std::fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            for needle in needles {
                let name = path.to_string_lossy().into_owned();
                assert!(!name.as_bytes().windows(needle.len()).any(|window| window == needle));
                let found = bytes.windows(needle.len()).any(|window| window == needle);
                assert!(!found, "{name} shows {}", String::from_utf8_lossy(needle));
            }
        }
    }
    assert!(files >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_opens_all_and_tells_of_each_once_in_order() {
    const WRITERS: u64 = 32;
    const EACH: u64 = 40;
    let home = tempfile::tempdir().unwrap();
    let world = std::sync::Arc::new(World::open(home.path()).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let world = std::sync::Arc::clone(&world);
        writers.spawn(async move {
            for number in 0..EACH {
                // Half of them are overwritten.
                world.put(&format!("{writer}/{}", number / 2), &number.to_be_bytes()).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let before = world.vault.stats();
    let keys = world.keys();
    drop(world);
    let (world, told) = World::telling(home.path()).await;
    assert_eq!(told, (1..=WRITERS * EACH).collect::<Vec<_>>());
    assert_eq!(world.vault.stats(), before);
    assert_eq!(world.keys(), keys);
    assert_eq!(keys.len() as u64, WRITERS * EACH / 2);
    assert_eq!(world.get("7/3").await.unwrap(), 7u64.to_be_bytes());
}

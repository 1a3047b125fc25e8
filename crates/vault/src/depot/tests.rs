use super::*;

fn limits() -> DepotLimits {
    DepotLimits { reserve_bytes: 0, quota_bytes: None }
}

fn blob(content: &[u8], name: u8) -> BlobRef {
    BlobRef {
        name: BlobName::from_bytes([name; 32]),
        len: content.len() as u64,
        hash: freehold_wire::Digest::from_bytes(
            freehold_crypt::hash::Hasher::plain().update(content).finish(),
        ),
    }
}

fn stream(content: &[u8], piece: usize) -> BoxStream<'static, Result<Bytes, BoxError>> {
    let pieces: Vec<_> = content.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces).boxed()
}

fn files(root: &Path) -> usize {
    let shards = std::fs::read_dir(root).unwrap().map(|shard| shard.unwrap().path());
    shards.filter(|shard| shard.is_dir()).map(|shard| std::fs::read_dir(shard).unwrap().count()).sum()
}

#[tokio::test]
async fn keeps_what_was_announced_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let depot = Depot::local(home.path(), limits()).await.unwrap();
    for len in [0, 1, 100_000, 5 << 20] {
        let content = vec![7; len];
        let good = blob(&content, 1);
        depot.put_stream(&good, stream(&content, 300_000)).await.unwrap();
        assert_eq!(depot.len(good.name).await.unwrap(), Some(len as u64));
        let reader = depot.open(good.name).await.unwrap();
        let back: Vec<Bytes> = reader.stream(0..good.len).try_collect().await.unwrap();
        assert_eq!(back.concat(), content);
    }
    let content = vec![8; 3 << 20];
    let mut other = blob(&content, 2);
    let refused = depot.put_stream(&other, stream(&content[1..], 1 << 20)).await;
    assert!(matches!(refused, Err(DepotError::NotAsAnnounced { .. })));
    other.len -= 1;
    let refused = depot.put_stream(&other, stream(&content, 1 << 20)).await;
    assert!(matches!(refused, Err(DepotError::NotAsAnnounced { .. })));
    assert_eq!(depot.measure().await.unwrap().0, 1);
    depot.delete(blob(&[], 1).name).await.unwrap();
    depot.delete(blob(&[], 1).name).await.unwrap();
    assert_eq!(depot.measure().await.unwrap(), (0, 0));
}

#[tokio::test]
async fn ranges_stop_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let depot = Depot::local(home.path(), limits()).await.unwrap();
    let content: Vec<u8> = (0..200u8).collect();
    let good = blob(&content, 1);
    depot.put_stream(&good, stream(&content, 64)).await.unwrap();
    let reader = depot.open(good.name).await.unwrap();
    assert_eq!(reader.read(10..20).await.unwrap(), &content[10..20]);
    assert_eq!(reader.read(190..500).await.unwrap(), &content[190..]);
    assert!(reader.read(500..600).await.unwrap().is_empty());
    assert!(matches!(depot.open(blob(&[], 9).name).await, Err(DepotError::Missing { .. })));
}

#[tokio::test]
async fn what_a_killed_writer_left_is_removed() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("ab")).unwrap();
    replace_for_test(&home.path().join("ab/abcd#1"));
    let depot = Depot::local(home.path(), limits()).await.unwrap();
    assert_eq!(files(home.path()), 0);
    drop(depot);
}

#[tokio::test]
async fn a_quota_refuses_before_it_is_passed_and_counts_again_at_the_start() {
    let home = tempfile::tempdir().unwrap();
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: Some(1000) };
    let depot = Depot::local(home.path(), limits).await.unwrap();
    let content = vec![1; 600];
    depot.put_stream(&blob(&content, 1), stream(&content, 100)).await.unwrap();
    let refused = depot.put_stream(&blob(&content, 2), stream(&content, 100)).await;
    assert!(matches!(refused, Err(DepotError::NoSpace { free: 400, .. })));
    drop(depot);
    let depot = Depot::local(home.path(), limits).await.unwrap();
    assert_eq!(depot.free().unwrap(), Some(400));
    depot.delete(blob(&content, 1).name).await.unwrap();
    depot.put_stream(&blob(&content, 2), stream(&content, 100)).await.unwrap();
}

#[tokio::test]
async fn what_is_used_is_known_without_looking() {
    let home = tempfile::tempdir().unwrap();
    let depot = Depot::local(home.path(), limits()).await.unwrap();
    let content = vec![1; 600];
    for name in 1..=3 {
        depot.put_stream(&blob(&content, name), stream(&content, 100)).await.unwrap();
    }
    depot.put_stream(&blob(&content[1..], 4), stream(&content, 100)).await.unwrap_err();
    assert_eq!(depot.used(), 1800);
    depot.delete(blob(&content, 1).name).await.unwrap();
    depot.delete(blob(&content, 1).name).await.unwrap();
    assert_eq!(depot.used(), 1200);
    // Started anew it is told, and once it looks it knows.
    let depot = Depot::local(home.path(), limits()).await.unwrap();
    depot.assume(1);
    assert_eq!(depot.used(), 1);
    depot.count_anew().await.unwrap();
    assert_eq!(depot.used(), 1200);
}

#[tokio::test]
async fn names_are_those_that_are_there() {
    let home = tempfile::tempdir().unwrap();
    let depot = Depot::local(home.path(), limits()).await.unwrap();
    assert!(depot.names().await.unwrap().is_empty());
    let content = vec![1; 10];
    for name in [1, 2] {
        depot.put_stream(&blob(&content, name), stream(&content, 10)).await.unwrap();
    }
    std::fs::create_dir(home.path().join("ff")).unwrap();
    replace_for_test(&home.path().join("ff/not a blob"));
    let both = [blob(&content, 1).name, blob(&content, 2).name];
    for depot in [depot, Depot::local(home.path(), limits()).await.unwrap()] {
        for _ in 0..2 {
            let mut names = depot.names().await.unwrap();
            names.sort_unstable();
            assert_eq!(names, both);
        }
    }
}

#[tokio::test]
async fn a_repair_counts_against_the_quota_once() {
    let home = tempfile::tempdir().unwrap();
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: Some(1000) };
    let depot = Depot::local(home.path(), limits).await.unwrap();
    let content = vec![1; 600];
    let blob = blob(&content, 1);
    for _ in 0..3 {
        depot.put_stream(&blob, stream(&content, 100)).await.unwrap();
        assert_eq!(depot.free().unwrap(), Some(400));
    }
    let broken = depot.put_stream(&blob, stream(&content[1..], 100)).await;
    assert!(matches!(broken, Err(DepotError::NotAsAnnounced { .. })));
    assert_eq!(depot.free().unwrap(), Some(400), "the old copy is still there");
}

#[tokio::test]
async fn a_reserve_is_never_touched() {
    let home = tempfile::tempdir().unwrap();
    let limits = DepotLimits { reserve_bytes: u64::MAX / 2, quota_bytes: None };
    let depot = Depot::local(home.path(), limits).await.unwrap();
    assert!(matches!(depot.begin(blob(&[], 1).name, None), Err(DepotError::NoSpace { .. })));
    assert_eq!(files(home.path()), 0);
}

fn replace_for_test(path: &Path) {
    freehold_disk::replace(path, b"half", 0o600).unwrap();
}

#[tokio::test]
async fn a_small_blob_is_read_as_it_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let depot = Depot::local(home.path(), limits()).await.unwrap();
    let content: Vec<u8> = (0..=250).cycle().take(5000).collect();
    let good = blob(&content, 1);
    depot.put_stream(&good, stream(&content, 1000)).await.unwrap();
    let reader = depot.open_reading(good.name, good.len).await.unwrap();
    assert!(reader.is_held() && reader.len() == 5000);
    for range in [0..5000, 0..48, 48..5000, 4999..9000, 6000..7000] {
        let plain = depot.open(good.name).await.unwrap().read(range.clone()).await.unwrap();
        assert_eq!(reader.read(range).await.unwrap(), plain);
    }
    // A file that has grown is told by its length.
    assert_eq!(depot.open_reading(good.name, 10).await.unwrap().len(), 5000);
    let missing = depot.open_reading(BlobName::from_bytes([9; 32]), 10).await;
    assert!(matches!(missing, Err(DepotError::Missing { .. })));
}

/// All of a blob, as it is read.
async fn read(depot: &Depot, name: BlobName) -> Vec<u8> {
    let reader = depot.open(name).await.unwrap();
    reader.read(0..reader.len()).await.unwrap()
}

#[tokio::test]
async fn a_small_blob_is_mended_where_it_lies_however_many_there_are() {
    let home = tempfile::tempdir().unwrap();
    let (root, limits) = (home.path().join("depot"), limits());
    let entries = Arc::new(EntryStore::open(&home.path().join("entries.redb")).unwrap());
    let small = Small::new(Arc::clone(&entries), 1000);
    let depot = Depot::in_directory(&root, Some(small), limits).await.unwrap();
    let content = vec![1; 600];
    let [first, second, third] = [1, 2, 3].map(|name| blob(&content, name));
    for blob in [&first, &second, &third] {
        depot.put_stream(blob, stream(&content, 100)).await.unwrap();
    }
    assert_eq!(files(&root), 1, "the third is one too many");
    // One of either form is damaged; more room comes for the third, which stays what it is.
    let damage = |len: usize| {
        move |txn: &mut freehold_disk::EntryTxn<'_>| {
            txn.put_blob(&BlobName::from_bytes([1; 32]), &vec![9; len], Millis(1)).map(drop)
        }
    };
    let path = root.join(place(third.name).as_ref());
    for (len, lack) in [(600, false), (600, true), (1, false)] {
        entries.write(damage(len)).unwrap();
        freehold_disk::replace(&path, &vec![9; len], 0o600).unwrap();
        if lack {
            depot.delete(second.name).await.unwrap();
        }
        for blob in [&first, &third] {
            depot.put_stream(blob, stream(&content, 100)).await.unwrap();
            assert_eq!(read(&depot, blob.name).await, content);
        }
        assert_eq!(files(&root), 1);
    }
    depot.count_anew().await.unwrap();
    assert_eq!((depot.measure().await.unwrap(), depot.used()), ((2, 1200), 1200));
    // A file of the same name goes with it.
    std::fs::create_dir_all(root.join(place(first.name).as_ref()).parent().unwrap()).unwrap();
    freehold_disk::replace(&root.join(place(first.name).as_ref()), &content, 0o600).unwrap();
    depot.delete_all(&[first.name, third.name]).await.unwrap();
    assert_eq!(depot.measure().await.unwrap(), (0, 0));
    assert!(matches!(depot.open(first.name).await, Err(DepotError::Missing { .. })));
}

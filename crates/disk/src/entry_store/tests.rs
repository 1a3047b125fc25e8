use std::sync::mpsc::channel;

use super::*;

fn bucket(n: u8) -> BucketId {
    BucketId::from_bytes([n; 32])
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn row(b: u8, o: u8, seq: u64, entry: &[u8]) -> EntryRow {
    EntryRow {
        bucket: bucket(b),
        origin: node(o),
        seq,
        entry: entry.to_vec(),
        payload: Some([entry, b" payload"].concat()),
    }
}

#[test]
fn keeps_entries_in_order_and_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("entries.redb");
    let store = EntryStore::open(&path).unwrap();
    store
        .write(|txn| {
            assert_eq!(txn.last_seq(&bucket(1), &node(1))?, 0);
            for seq in 1..=3 {
                txn.insert(&row(1, 1, seq, b"a"))?;
            }
            txn.insert(&row(1, 2, 1, b"b"))?;
            txn.insert(&row(2, 1, 7, b"c"))?;
            assert_eq!(txn.last_seq(&bucket(1), &node(1))?, 3);
            Ok(())
        })
        .unwrap();
    drop(store);

    let store = EntryStore::open(&path).unwrap();
    assert_eq!(store.count().unwrap(), 5);
    assert_eq!(store.vector(&bucket(1)).unwrap(), BTreeMap::from([(node(1), 3), (node(2), 1)]));
    assert_eq!(store.vector(&bucket(3)).unwrap(), BTreeMap::new());
    let seqs: Vec<u64> =
        store.entries(&bucket(1), &node(1), 2, 9).unwrap().into_iter().map(|row| row.seq).collect();
    assert_eq!(seqs, [2, 3]);
    assert_eq!(store.entries(&bucket(1), &node(1), 1, 1).unwrap().len(), 1);
    let mut seen = 0;
    store
        .scan_bucket(&bucket(1), |_| {
            seen += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, 4);
    assert_eq!(store.entry(&bucket(2), &node(1), 7).unwrap(), Some(row(2, 1, 7, b"c")));
}

#[test]
fn two_entries_with_one_number_are_proof() {
    let dir = tempfile::tempdir().unwrap();
    let store = EntryStore::open(&dir.path().join("entries.redb")).unwrap();
    let (first, same, other) = store
        .write(|txn| {
            Ok((
                txn.insert(&row(1, 1, 1, b"one"))?,
                txn.insert(&row(1, 1, 1, b"one"))?,
                txn.insert(&row(1, 1, 1, b"two"))?,
            ))
        })
        .unwrap();
    assert_eq!((first, same, other), (Inserted::New, Inserted::Known, Inserted::Conflict));
    assert_eq!(store.entry(&bucket(1), &node(1), 1).unwrap().unwrap().entry, b"one");
    assert_eq!(store.conflicts().unwrap(), [ConflictRow { kept: b"one".to_vec(), later: b"two".to_vec() }]);
}

#[test]
fn a_failed_job_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = EntryStore::open(&dir.path().join("entries.redb")).unwrap();
    let failed: Result<(), StoreError> = store.write(|txn| {
        txn.insert(&row(1, 1, 1, b"one"))?;
        Err(StoreError::Closed { path: "test".into() })
    });
    assert!(failed.is_err());
    assert_eq!(store.count().unwrap(), 0);
    store.write(|txn| txn.insert(&row(1, 1, 1, b"one"))).unwrap();
    assert_eq!(store.count().unwrap(), 1);
}

#[test]
fn many_small_writes_share_commits_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = EntryStore::open(&dir.path().join("entries.redb")).unwrap();
    let (tell, told) = channel();
    for _ in 0..500 {
        let tell = tell.clone();
        store.submit(
            |txn| {
                let seq = txn.last_seq(&bucket(1), &node(1))? + 1;
                txn.insert(&row(1, 1, seq, b"x"))?;
                Ok(seq)
            },
            move |result| tell.send(result.unwrap()).unwrap(),
        );
    }
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), (1..=500).collect::<Vec<u64>>());
}

#[test]
fn uploads_beliefs_and_marks() {
    let dir = tempfile::tempdir().unwrap();
    let store = EntryStore::open(&dir.path().join("entries.redb")).unwrap();
    let upload = [9; 32];
    let blob = BlobName::from_bytes([4; 32]);
    store
        .write(move |txn| {
            txn.put_upload(&upload, b"record")?;
            txn.put_part(&upload, &PartRow { number: 2, record: b"two".to_vec() })?;
            txn.put_part(&upload, &PartRow { number: 1, record: b"one".to_vec() })?;
            let old = txn.put_part(&upload, &PartRow { number: 1, record: b"uno".to_vec() })?;
            assert_eq!(old, Some(b"one".to_vec()));
            for bits in [vec![1], vec![3, 1]] {
                txn.set_belief(&BeliefRow { bucket: bucket(1), origin: node(1), node: node(2), bits })?;
            }
            txn.set_heard(&node(2), Millis(8))?;
            txn.mark_unreferenced(&blob, Millis(1))?;
            txn.mark_unreferenced(&blob, Millis(2))?;
            Ok(())
        })
        .unwrap();
    assert_eq!(store.uploads().unwrap(), [UploadRow { id: upload, record: b"record".to_vec() }]);
    let numbers: Vec<u16> = store.parts(&upload).unwrap().iter().map(|part| part.number).collect();
    assert_eq!(numbers, [1, 2]);
    let belief = BeliefRow { bucket: bucket(1), origin: node(1), node: node(2), bits: vec![3, 1] };
    assert_eq!(store.beliefs().unwrap(), [belief]);
    assert_eq!(store.heard().unwrap(), BTreeMap::from([(node(2), Millis(8))]));
    assert_eq!(store.unreferenced().unwrap(), BTreeMap::from([(blob, Millis(1))]));
    let ended = store
        .write(move |txn| {
            txn.unmark(&blob)?;
            txn.end_upload(&upload)
        })
        .unwrap();
    assert_eq!(ended.len(), 2);
    assert!(store.parts(&upload).unwrap().is_empty() && store.uploads().unwrap().is_empty());
}

#[test]
fn small_blobs_are_found_replaced_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("entries.redb");
    let store = EntryStore::open(&path).unwrap();
    let name = |number: u8| BlobName::from_bytes([number; 32]);
    let put = |number: u8, bytes: Vec<u8>| {
        store.write(move |txn| txn.put_blob(&name(number), &bytes, Millis(5))).unwrap()
    };
    assert_eq!(put(2, vec![2; 5000]), 0);
    assert_eq!(put(1, vec![]), 0);
    assert_eq!(put(3, vec![3; 16_000]), 0);
    assert_eq!(put(2, vec![4; 10]), 5000, "it says what it replaced");
    drop(store);

    let store = EntryStore::open(&path).unwrap();
    assert_eq!(store.blob(&name(2)).unwrap(), Some(vec![4; 10]));
    assert_eq!(store.blob(&name(9)).unwrap(), None);
    let all = store.blobs(None, 9).unwrap();
    let lens: Vec<_> = all.iter().map(|blob| (blob.name, blob.len, blob.modified)).collect();
    let expected = [(1, 0), (2, 10), (3, 16_000)];
    assert_eq!(lens, expected.map(|(number, len)| (name(number), len, Millis(5))));
    assert_eq!(store.blobs(Some(&name(1)), 1).unwrap(), [all[1]]);
    assert_eq!(store.find_blob(&name(3)).unwrap(), Some(all[2]));
    let removed = store.write(move |txn| Ok((txn.remove_blob(&name(3))?, txn.remove_blob(&name(3))?)));
    assert_eq!(removed.unwrap(), (Some(16_000), None));
    assert_eq!(store.blobs(None, 9).unwrap(), all[..2]);
}

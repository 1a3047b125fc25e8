//! A disk that is full for a while: writes are refused, nothing is lost, and when there is room
//! again the store goes on without a restart.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

use freehold_disk::{EntryRow, EntryStore, Inserted, Kind, StoreError};
use freehold_wire::{BucketId, NodeId};

const BUCKET: BucketId = BucketId::from_bytes([1; 32]);
const NODE: NodeId = NodeId::from_bytes([2; 32]);

/// A small file system of its own; needs root, and the test is skipped without.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at).status();
        mount.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn append(store: &EntryStore) -> Result<u64, StoreError> {
    store.write(|txn| {
        let seq = txn.last_seq(&BUCKET, &NODE)? + 1;
        let row = EntryRow {
            bucket: BUCKET,
            origin: NODE,
            seq,
            entry: seq.to_be_bytes().to_vec(),
            payload: Some(vec![7; 50_000]),
        };
        assert_eq!(txn.insert(&row)?, Inserted::New);
        Ok(seq)
    })
}

fn rows(store: &EntryStore) -> Vec<u64> {
    store.entries(&BUCKET, &NODE, 1, usize::MAX).unwrap().into_iter().map(|row| row.seq).collect()
}

#[test]
fn it_goes_on_when_there_is_room_again() {
    let home = tempfile::tempdir().unwrap();
    let Some(mounted) = Tmpfs::mount(home.path()) else { return };
    let store = EntryStore::open(&home.path().join("entries.redb")).unwrap();
    let mut last = append(&store).unwrap();
    let filler = home.path().join("filler");
    let free = freehold_disk::free_bytes(home.path()).unwrap();
    let filled = usize::try_from(free).unwrap() - 300_000;
    freehold_disk::replace(&filler, &vec![1; filled], 0o600).unwrap();
    let error = loop {
        match append(&store) {
            Ok(seq) => last = seq,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::NoSpace, "{error}");
    assert!(matches!(append(&store).unwrap_err().kind(), Kind::NoSpace | Kind::Failed));

    std::fs::remove_file(&filler).unwrap();
    assert_eq!(append(&store).unwrap(), last + 1);
    assert_eq!(rows(&store), (1..=last + 1).collect::<Vec<u64>>());
    drop(store);
    let store = EntryStore::open(&home.path().join("entries.redb")).unwrap();
    assert_eq!(rows(&store), (1..=last + 1).collect::<Vec<u64>>());
    drop(store);
    drop(mounted);
}

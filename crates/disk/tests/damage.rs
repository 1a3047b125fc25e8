//! Stores that are not what they should be: each gets its own error and remedy, and is left alone.

#![cfg(test)]

use std::fs::{OpenOptions, Permissions, set_permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use freehold_disk::{Kind, LogStore, StoreError};
use freehold_wire::{Millis, OpId};

fn filled(path: &Path) {
    let log = LogStore::open(path).unwrap();
    for number in 0..50 {
        log.append(vec![(OpId::from_bytes([number; 32]), vec![number; 2000])], Millis(1)).unwrap();
    }
}

fn kind(path: &Path) -> Kind {
    let error = LogStore::open(path).unwrap_err();
    assert!(!error.remedy().is_empty());
    error.kind()
}

#[test]
fn something_else_in_its_place() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log.redb");
    for content in [b"".to_vec(), b"short".to_vec(), vec![7; 100_000]] {
        freehold_disk::replace(&path, &content, 0o600).unwrap();
        assert_eq!(kind(&path), Kind::Damaged);
        assert_eq!(std::fs::read(&path).unwrap(), content, "it is left as it is");
    }
}

#[test]
fn a_flipped_bit_is_never_taken_for_data() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log.redb");
    filled(&path);
    let sound = std::fs::read(&path).unwrap();
    let before = LogStore::open(&path).unwrap().operations().unwrap();
    let mut refused = 0;
    for at in (0..sound.len()).step_by(sound.len() / 61) {
        freehold_disk::replace(&path, &sound, 0o600).unwrap();
        drop(std::fs::remove_file(home.path().join("log.redb.damaged")));
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[sound[at] ^ 0x10], at as u64).unwrap();
        match LogStore::open(&path) {
            // The bit was in a page that nothing uses.
            Ok(log) => assert_eq!(log.operations().unwrap(), before, "byte {at}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Damaged, "byte {at}: {error}");
                assert_eq!(kind(&path), Kind::Damaged, "byte {at}: the second start says nothing");
                refused += 1;
            }
        }
    }
    assert!(refused > 5, "only {refused} were refused");
}

#[test]
fn a_cut_store() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log.redb");
    filled(&path);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert_eq!(kind(&path), Kind::Damaged);
}

#[test]
fn open_twice() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log.redb");
    let first = LogStore::open(&path).unwrap();
    assert_eq!(kind(&path), Kind::InUse);
    drop(first);
    LogStore::open(&path).unwrap();
}

#[test]
fn of_a_newer_program() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log.redb");
    filled(&path);
    let db = redb::Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(redb::TableDefinition::<&str, u64>::new("freehold")).unwrap().insert("format", 9).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert!(matches!(LogStore::open(&path), Err(StoreError::Newer { found: 9, known: 1, .. })));
}

#[test]
fn of_another_program() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log.redb");
    drop(redb::Database::create(&path).unwrap());
    assert!(matches!(LogStore::open(&path), Err(StoreError::NotAStore { .. })));
}

#[test]
fn where_nothing_can_be_written() {
    let home = tempfile::tempdir().unwrap();
    let error = LogStore::open(&home.path().join("missing/log.redb")).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    set_permissions(home.path(), Permissions::from_mode(0o500)).unwrap();
    // Root may write anywhere; then there is nothing to see here.
    if let Err(error) = LogStore::open(&home.path().join("log.redb")) {
        assert_eq!(error.kind(), Kind::NotAllowed);
    }
    set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
}

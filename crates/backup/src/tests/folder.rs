use std::{fs, sync::Arc};

use freehold_retention::{Keep, Policy};
use rustic_core::{BytesList, FileType, Id, ReadBackend, WriteBackend};

use super::{Place, password};
use crate::{Folder, Repository, Rights};

fn bytes(content: &[u8]) -> BytesList {
    BytesList::from(content.to_vec())
}

fn id(digit: char) -> Id {
    digit.to_string().repeat(64).parse().expect("an id")
}

#[test]
fn who_may_only_add_neither_removes_nor_replaces() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = Folder::new(dir.path(), Rights::Append);
    for kind in [FileType::Pack, FileType::Index, FileType::Snapshot, FileType::Key, FileType::Config] {
        folder.write_bytes(kind, &id('a'), false, bytes(b"first")).expect("added");
        folder.write_bytes(kind, &id('a'), false, bytes(b"another")).expect_err("replaced");
        folder.remove(kind, &id('a'), false).expect_err("removed");
        assert_eq!(&*folder.read_full(kind, &id('a')).expect("there"), b"first");
        assert_eq!(folder.list_with_size(kind).expect("listed").len(), 1);
    }
    // The same again is no harm: two machines may have made the same pack.
    folder.write_bytes(FileType::Pack, &id('a'), false, bytes(b"first")).expect("the same");
    assert_eq!(super::files(dir.path()).len(), 5, "and nothing half written is left");
    Folder::new(dir.path(), Rights::Prune).remove(FileType::Pack, &id('a'), false).expect("removed");
}

#[test]
fn what_is_half_written_is_not_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = Folder::new(dir.path(), Rights::Append);
    folder.write_bytes(FileType::Pack, &id('b'), false, bytes(b"whole")).expect("added");
    let beside = super::files(dir.path()).pop().expect("a pack").with_file_name(".1-0.tmp");
    fs::File::create_new(beside).expect("as a run leaves it that was killed");
    assert_eq!(folder.list_with_size(FileType::Pack).expect("listed"), [(id('b'), 5)]);
}

#[test]
fn an_index_that_asks_for_more_than_there_is_gets_an_error_and_no_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = Folder::new(dir.path(), Rights::Append);
    folder.write_bytes(FileType::Pack, &id('c'), false, bytes(b"0123456789")).expect("added");
    let part = |offset, length| folder.read_partial(FileType::Pack, &id('c'), false, offset, length);
    assert_eq!(&*part(3, 4).expect("there"), b"3456");
    for (offset, length) in [(3, 8), (10, 1), (11, 0), (0, u32::MAX), (u32::MAX, u32::MAX)] {
        assert!(part(offset, length).is_err() || length == 0, "{offset} {length}");
    }
}

/// Whoever has taken a machine has its keys and its password, and comes through the target with them.
#[test]
fn a_thief_with_the_keys_of_the_machine_takes_no_history_away() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    let honest = place.backup();
    let before = super::files(&place.dir.path().join("backup"));
    let folder = Folder::new(&place.dir.path().join("backup"), Rights::Append);
    let thief = Repository::open(folder, &password()).expect("it has the password");
    place.write("letter", b"pay 2 bitcoin");
    thief.backup(&place.source(), "laptop").expect("it may add");
    let only_last = Policy { last: Keep::Newest(1), ..Policy::default() };
    let told = thief.forget(&only_last, true).expect("it may look");
    assert_eq!(told.forget.len(), 1);
    thief.forget(&only_last, false).expect_err("forgotten");
    for path in &before {
        assert!(path.exists(), "{} is gone", path.display());
    }
    let everything = Arc::new(Folder::new(&place.dir.path().join("backup"), Rights::Append));
    for kind in rustic_core::ALL_FILE_TYPES {
        for id in everything.list(kind).expect("listed") {
            everything.remove(kind, &id, false).expect_err("removed");
        }
    }
    let to = place.dir.path().join("back");
    place.repository.restore(&honest.snapshot, Some(&place.home()), &to).expect("restored");
    assert_eq!(fs::read(to.join("letter")).expect("there"), b"Dear Ann");
}

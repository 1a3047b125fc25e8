use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use freehold_retention::{Keep, Policy};
use rustic_core::{BytesList, FileType, Id, ReadBackend, WriteBackend};
use sha2::{Digest, Sha256};

use super::{Place, password};
use crate::{Folder, Repository, Rights, store::Stored};

fn stored(dir: &Path, rights: Rights) -> Stored {
    Folder::new(dir, rights).into()
}

fn bytes(content: &[u8]) -> BytesList {
    BytesList::from(content.to_vec())
}

/// The id of a file with this content.
fn id(content: &[u8]) -> Id {
    hex::encode(Sha256::digest(content)).parse().expect("an id")
}

#[test]
fn who_may_only_add_neither_removes_nor_replaces() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = stored(dir.path(), Rights::Append);
    let first = id(b"first");
    for kind in [FileType::Pack, FileType::Index, FileType::Snapshot, FileType::Key, FileType::Config] {
        folder.write_bytes(kind, &first, false, bytes(b"first")).expect("added");
        folder.write_bytes(kind, &first, false, bytes(b"another")).expect_err("replaced");
        folder.remove(kind, &first, false).expect_err("removed");
        assert_eq!(&*folder.read_full(kind, &first).expect("there"), b"first");
        assert_eq!(folder.list_with_size(kind).expect("listed").len(), 1);
    }
    // The same again is no harm: two machines may have made the same pack.
    folder.write_bytes(FileType::Pack, &first, false, bytes(b"first")).expect("the same");
    assert_eq!(super::files(dir.path()).len(), 5, "and nothing half written is left");
    stored(dir.path(), Rights::Prune).remove(FileType::Pack, &first, false).expect("removed");
}

/// Long files go past the kernel's memory where they lie as disks like it, and come out the same, whatever is left over.
#[test]
fn what_is_written_past_the_cache_is_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = stored(dir.path(), Rights::Append);
    let content: Vec<u8> = (0..2_000_000_u32).map(|at| at.to_le_bytes()[1] ^ at.to_le_bytes()[0]).collect();
    let content = Bytes::from(content);
    let aligned = content.as_ptr().align_offset(4096);
    for from in [aligned, aligned + 4096, aligned + 1] {
        for length in [1 << 20, (1 << 20) + 1, (1 << 20) - 1, 256 << 10, (256 << 10) - 1, 5] {
            let part = content.slice(from..from + length);
            let name = id(&part);
            let mut list = BytesList::default();
            list.add(part.clone());
            folder.write_bytes(FileType::Pack, &name, false, list).expect("added");
            assert_eq!(folder.read_full(FileType::Pack, &name).expect("there"), part);
        }
    }
}

/// A file under a name that is not its hash, or of any size, would stop all that lists or reads.
#[test]
fn what_can_be_no_file_of_a_backup_is_not_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = stored(dir.path(), Rights::Append);
    let add = |kind, id: &Id, content| folder.write_bytes(kind, id, false, content);
    for kind in [FileType::Pack, FileType::Index, FileType::Snapshot, FileType::Key] {
        add(kind, &id(b"whole"), bytes(b"something else")).expect_err("not its hash");
    }
    let mut large = BytesList::default();
    let part = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..513 {
        large.add(part.clone());
    }
    add(FileType::Config, &Id::default(), large).expect_err("too large");
    assert_eq!(super::files(dir.path()), Vec::<PathBuf>::new());
    // One that came there another way hides nothing else.
    add(FileType::Index, &id(b"whole"), bytes(b"whole")).expect("added");
    let odd = dir.path().join("index").join("e".repeat(64));
    fs::File::create_new(odd).and_then(|file| file.set_len(5 << 30)).expect("made");
    assert_eq!(folder.list_with_size(FileType::Index).expect("listed"), [(id(b"whole"), 5)]);
}

#[test]
fn what_is_half_written_is_not_there_and_goes_a_day_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = stored(dir.path(), Rights::Append);
    folder.write_bytes(FileType::Pack, &id(b"whole"), false, bytes(b"whole")).expect("added");
    let pack = super::files(dir.path()).pop().expect("a pack");
    let [old, young, other] = [".freehold-0a.tmp", ".freehold-0b.tmp", ".other.tmp"].map(|name| {
        let path = pack.with_file_name(name);
        fs::File::create_new(&path).expect("as a run leaves it that was killed");
        path
    });
    let long_ago = SystemTime::now() - Duration::from_hours(25);
    for path in [&old, &other, &pack] {
        let file = fs::File::options().write(true).open(path).expect("there");
        file.set_modified(long_ago).expect("set");
    }
    assert_eq!(folder.list_with_size(FileType::Pack).expect("listed"), [(id(b"whole"), 5)]);
    folder.sweep();
    assert_eq!([&old, &young, &other, &pack].map(|path| path.exists()), [false, true, true, true]);
}

/// As two containers on one share do, whose processes have the same number.
#[test]
fn many_who_write_the_same_file_at_once_leave_one_that_is_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    for seed in 0..20 {
        let content = super::noise(seed, 200_000);
        let id = id(&content);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let folder = stored(dir.path(), Rights::Append);
                    folder
                        .write_bytes(FileType::Index, &id, false, bytes(&content))
                        .expect("added, or the same");
                    assert!(folder.read_full(FileType::Index, &id).expect("there") == content);
                });
            }
        });
    }
    assert_eq!(super::files(dir.path()).len(), 20, "and nothing half written is left");
}

#[test]
fn an_index_that_asks_for_more_than_there_is_gets_an_error_and_no_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = stored(dir.path(), Rights::Append);
    let id = id(b"0123456789");
    folder.write_bytes(FileType::Pack, &id, false, bytes(b"0123456789")).expect("added");
    let part = |offset, length| folder.read_partial(FileType::Pack, &id, false, offset, length);
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
    let everything = Arc::new(stored(&place.dir.path().join("backup"), Rights::Append));
    for kind in rustic_core::ALL_FILE_TYPES {
        for id in everything.list(kind).expect("listed") {
            everything.remove(kind, &id, false).expect_err("removed");
        }
    }
    let to = place.dir.path().join("back");
    place.repository.restore(&honest.snapshot, Some(&place.home()), &to).expect("restored");
    assert_eq!(fs::read(to.join("letter")).expect("there"), b"Dear Ann");
}

#[test]
fn nothing_is_written_where_a_disk_is_no_more() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    place.backup();
    let (root, away) = (place.dir.path().join("backup"), place.dir.path().join("away"));
    fs::rename(&root, &away).expect("unmounted");
    fs::create_dir(&root).expect("the mount point");
    let folder = place.repository.store();
    let refused = folder.write_bytes(FileType::Pack, &id(b"whole"), false, bytes(b"whole"));
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(fs::read_dir(&root).expect("listed").count(), 0);
    fs::remove_dir(&root).and_then(|()| fs::rename(&away, &root)).expect("mounted");
    folder.write_bytes(FileType::Pack, &id(b"whole"), false, bytes(b"whole")).expect("added");
}

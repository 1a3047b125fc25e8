use std::path::Path;
use std::sync::Mutex;

use freehold_passes::storage::{Meter, Refusal};
use freehold_passes::{KEYS_MAX, Part, Sort};
use freehold_wire::{Digest, Millis, NodeId};
use sha2::Digest as _;

use crate::{Ledger, Room, RoomError, Shelf, received, repository};

const NOW: Millis = Millis(1_800_000_000_000);

/// Room for so many bytes.
struct Free(Mutex<u64>);

impl Ledger for Free {
    fn reserve(&self, len: u64) -> Result<(), RoomError> {
        let mut left = self.0.lock().unwrap();
        *left = left.checked_sub(len).ok_or(Refusal::NoRoom)?;
        Ok(())
    }

    fn release(&self, len: u64) {
        *self.0.lock().unwrap() += len;
    }

    fn keep(&self, _: u64) {}

    fn send(&self, _: u64, _: Millis) -> Result<(), RoomError> {
        Ok(())
    }
}

fn plenty() -> Free {
    Free(Mutex::new(1 << 40))
}

fn named(content: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::digest(content).into())
}

fn part(sort: Sort, content: &[u8]) -> Part {
    Part { sort, name: named(content), upload: 1, at: 0, len: content.len() as u64 }
}

fn add(shelf: &Shelf, sort: Sort, content: &[u8]) -> Result<(), RoomError> {
    shelf.add(&part(sort, content), content, NOW, &plenty())
}

fn refusal<T: std::fmt::Debug>(done: Result<T, RoomError>) -> Refusal {
    match done {
        Err(RoomError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn on_its_way(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("coming")).map_or(0, Iterator::count)
}

#[test]
fn what_comes_lies_as_restic_has_it_and_a_snapshot_has_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path()).unwrap();
    for sort in [Sort::Key, Sort::Snapshot, Sort::Index, Sort::Pack, Sort::Letter] {
        add(&shelf, sort, b"content").unwrap();
    }
    let config = Part { name: Digest::from_bytes([0; 32]), ..part(Sort::Config, b"config") };
    shelf.add(&config, b"config", NOW, &plenty()).unwrap();
    let name = named(b"content").to_string();
    let there = |path: &str| std::fs::read(repository(dir.path()).join(path)).unwrap();
    assert_eq!(there("config"), b"config");
    for path in [format!("keys/{name}"), format!("snapshots/{name}"), format!("data/{}/{name}", &name[..2])] {
        assert_eq!(there(&path), b"content", "{path}");
    }
    let noted = std::fs::read_to_string(received(dir.path()).join(&name)).unwrap();
    assert_eq!(noted, "1800000000000\n");
    assert_eq!(shelf.list(Sort::Snapshot, None).unwrap()[0].received, Some(NOW));
    assert_eq!(shelf.list(Sort::Pack, None).unwrap()[0].received, None);
    assert_eq!(shelf.usage().unwrap(), (6 + 5 * 7, 6));
    // The same once more, even later, changes nothing.
    shelf.add(&part(Sort::Snapshot, b"content"), b"content", NOW.plus(Millis(9)), &plenty()).unwrap();
    assert_eq!(shelf.list(Sort::Snapshot, None).unwrap()[0].received, Some(NOW));
    assert_eq!(on_its_way(dir.path()), 0);
}

#[test]
fn nothing_is_replaced_and_nothing_has_a_name_that_is_not_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path()).unwrap();
    let ledger = Free(Mutex::new(1000));
    let config = |content: &[u8]| {
        let part = Part { name: Digest::from_bytes([0; 32]), ..part(Sort::Config, content) };
        shelf.add(&part, content, NOW, &ledger)
    };
    config(b"first").unwrap();
    config(b"first").unwrap();
    assert_eq!(refusal(config(b"other")), Refusal::Taken);
    assert_eq!(refusal(config(b"longer than that")), Refusal::Taken);
    for sort in [Sort::Key, Sort::Snapshot, Sort::Index, Sort::Pack, Sort::Letter] {
        let false_name = Part { name: named(b"content"), ..part(sort, b"another") };
        assert_eq!(refusal(shelf.add(&false_name, b"another", NOW, &ledger)), Refusal::Mismatch);
        let nameless = Part { name: Digest::from_bytes([0; 32]), ..part(sort, b"another") };
        assert_eq!(refusal(shelf.add(&nameless, b"another", NOW, &ledger)), Refusal::Mismatch);
        shelf.add(&part(sort, b"content"), b"content", NOW, &ledger).unwrap();
        let longer = Part { len: 8, ..part(sort, b"content") };
        assert_eq!(refusal(shelf.add(&longer, b"content!", NOW, &ledger)), Refusal::Taken);
        assert_eq!(refusal(shelf.add(&part(sort, b""), b"", NOW, &ledger)), Refusal::Mismatch);
    }
    let named_config = part(Sort::Config, b"first");
    assert_eq!(refusal(shelf.add(&named_config, b"first", NOW, &ledger)), Refusal::Mismatch);
    assert_eq!(shelf.usage().unwrap(), (5 + 5 * 7, 6));
    assert_eq!(*ledger.0.lock().unwrap(), 1000 - 40, "what was refused takes no room");
    assert_eq!(on_its_way(dir.path()), 0);
}

#[test]
fn a_file_comes_in_parts_and_a_part_elsewhere_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path()).unwrap();
    let ledger = Free(Mutex::new(10));
    let whole = part(Sort::Pack, b"0123456789");
    let send = |at: u64, body: &[u8]| shelf.add(&Part { at, ..whole }, body, NOW, &ledger);
    send(0, b"0123").unwrap();
    assert!(shelf.list(Sort::Pack, None).unwrap().is_empty(), "a part is nothing");
    assert_eq!(refusal(send(5, b"56789")), Refusal::Mismatch);
    assert_eq!(*ledger.0.lock().unwrap(), 10, "what did not go on is forgotten");
    send(0, b"0123").unwrap();
    assert_eq!(*ledger.0.lock().unwrap(), 0, "the whole is counted from its beginning");
    assert_eq!(
        refusal(shelf.add(&Part { upload: 3, ..part(Sort::Index, b"x") }, b"x", NOW, &ledger)),
        Refusal::NoRoom
    );
    assert_eq!(refusal(send(4, b"4567890")), Refusal::Mismatch);
    send(0, b"01").unwrap();
    send(2, b"23456789").unwrap();
    send(8, b"89").unwrap();
    let read = |from, to| shelf.read((Sort::Pack, whole.name), (from, to), NOW, &ledger).unwrap().unwrap();
    assert_eq!(read(3, 5), (10, b"34".to_vec()));
    assert_eq!(read(8, u64::MAX), (10, b"89".to_vec()));
    assert_eq!(read(20, 30), (10, Vec::new()));
    assert!(shelf.read((Sort::Key, whole.name), (0, 1), NOW, &ledger).unwrap().is_none());
    // A keeper that was killed has nothing half.
    shelf.add(&Part { upload: 2, len: 3, ..part(Sort::Index, b"abc") }, b"a", NOW, &plenty()).unwrap();
    drop(shelf);
    let shelf = Shelf::open(dir.path()).unwrap();
    assert_eq!((shelf.usage().unwrap(), on_its_way(dir.path())), ((10, 1), 0));
}

#[test]
fn keys_are_few_and_lists_go_on_behind_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(dir.path()).unwrap();
    for number in 0..KEYS_MAX {
        add(&shelf, Sort::Key, format!("key {number}").as_bytes()).unwrap();
    }
    assert_eq!(refusal(add(&shelf, Sort::Key, b"one more")), Refusal::Full);
    add(&shelf, Sort::Key, b"key 3").unwrap();
    for number in 0..700 {
        add(&shelf, Sort::Pack, format!("pack {number}").as_bytes()).unwrap();
    }
    let first = shelf.list(Sort::Pack, None).unwrap();
    let rest = shelf.list(Sort::Pack, first.last().map(|file| file.name)).unwrap();
    assert_eq!((first.len(), rest.len()), (512, 188));
    let all: Vec<Digest> = first.iter().chain(&rest).map(|file| file.name).collect();
    assert!(all.is_sorted_by(|one, other| one < other));
}

#[test]
fn in_a_room_it_counts_to_the_byte_and_goes_with_the_room() {
    let dir = tempfile::tempdir().unwrap();
    let of = NodeId::from_bytes([7; 32]);
    let room = Room::open(dir.path(), (100, 50), NOW).unwrap();
    let put = |room: &Room, content: &[u8]| {
        room.shelf(of).unwrap().add(&part(Sort::Pack, content), content, NOW, room)
    };
    put(&room, &[1; 60]).unwrap();
    assert_eq!(refusal(put(&room, &[2; 41])), Refusal::Full);
    assert_eq!(room.meter(|meter| (meter.kept(), meter.objects(), meter.free())), (60, 1, 40));
    drop(room);
    let room = Room::open(dir.path(), (100, 50), NOW).unwrap();
    assert_eq!(room.meter(Meter::kept), 60, "after a restart, too");
    put(&room, &[2; 40]).unwrap();
    let read = |room: &Room| {
        let shelf = room.shelf(of).unwrap();
        shelf.read((Sort::Pack, named(&[2; 40])), (0, 40), NOW, room)
    };
    assert_eq!(read(&room).unwrap().unwrap().1.len(), 40);
    assert_eq!(refusal(read(&room)), Refusal::Sent);
    // What replaces and removes objects does not come near it.
    room.remove(freehold_wire::BlobName::from_bytes(*named(&[2; 40]).as_bytes())).unwrap();
    assert_eq!((room.meter(Meter::kept), room.shelves().unwrap()), (100, vec![of]));
    let deleted = room.delete().unwrap();
    assert_eq!((deleted.objects, deleted.bytes), (2, 100));
    assert_eq!(room.meter(Meter::kept), 0);
    assert!(!dir.path().join("shelves").exists());
}

use std::collections::BTreeMap;
use std::path::Path;

use freehold_disk::replace;
use freehold_passes::storage::{Meter, Refusal};
use freehold_wire::{BlobName, Millis};
use proptest::prelude::*;

use crate::{Deleted, Room, RoomError};

const NOW: Millis = Millis(1_800_000_000_000);
const NOBODY: BlobName = BlobName::from_bytes([0; 32]);

fn name(n: u8) -> BlobName {
    BlobName::from_bytes([n; 32])
}

fn open(dir: &Path, share: (u64, u64)) -> Room {
    Room::open(dir, share, NOW).unwrap()
}

fn refusal<T: std::fmt::Debug>(done: Result<T, RoomError>) -> Refusal {
    match done {
        Err(RoomError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Bytes of files, wherever they lie in the room.
fn on_disk(dir: &Path) -> u64 {
    let objects = std::fs::read_dir(dir.join("objects")).unwrap();
    objects.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn listed(room: &Room) -> Vec<(BlobName, u64)> {
    room.list(NOBODY).unwrap().into_iter().map(|object| (object.name, object.len)).collect()
}

#[test]
fn what_is_stored_comes_back_and_counts_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let room = open(dir.path(), (1000, 5000));
    room.put(name(1), &[7; 600]).unwrap();
    assert_eq!(refusal(room.put(name(2), &[7; 401])), Refusal::Full);
    room.put(name(2), &[8; 400]).unwrap();
    assert_eq!((room.meter(Meter::kept), on_disk(dir.path())), (1000, 1000));
    // There is no room for both the old one and the new one.
    assert_eq!(refusal(room.put(name(2), &[9; 1])), Refusal::Full);
    room.remove(name(1)).unwrap();
    room.remove(name(1)).unwrap();
    room.put(name(2), &[9; 300]).unwrap();
    assert_eq!(refusal(room.put(NOBODY, &[1])), Refusal::Mismatch, "it would be in no list");
    let (object, bytes) = room.get(name(2), (100, 200), NOW).unwrap().unwrap();
    assert_eq!((object.len, bytes), (300, vec![9; 100]));
    let (_, past) = room.get(name(2), (290, 900), NOW).unwrap().unwrap();
    assert_eq!(past.len(), 10);
    assert!(room.get(name(2), (900, 1000), NOW).unwrap().unwrap().1.is_empty());
    assert!(room.get(name(1), (0, 1), NOW).unwrap().is_none());
    assert_eq!((listed(&room), on_disk(dir.path())), (vec![(name(2), 300)], 300));
    // After a restart it is the same, by what lies there.
    drop(room);
    let room = open(dir.path(), (1000, 5000));
    assert_eq!((room.meter(Meter::kept), listed(&room)), (300, vec![(name(2), 300)]));
}

#[test]
fn a_large_object_comes_in_parts_that_count_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let room = open(dir.path(), (1000, 5000));
    let upload = name(100);
    room.part(upload, 0, &[1; 400], NOW).unwrap();
    room.part(upload, 400, &[2; 400], NOW).unwrap();
    room.part(upload, 400, &[2; 400], NOW).unwrap();
    assert_eq!(refusal(room.part(upload, 900, &[3; 10], NOW)), Refusal::Mismatch);
    assert_eq!(refusal(room.part(upload, 800, &[3; 300], NOW)), Refusal::Full);
    assert_eq!(refusal(room.put(name(3), &[0; 201])), Refusal::Full);
    assert_eq!(refusal(room.finish(upload, name(1), 900)), Refusal::Mismatch);
    assert_eq!(listed(&room), []);
    room.finish(upload, name(1), 800).unwrap();
    // Whoever did not hear of it asks again.
    room.finish(upload, name(1), 800).unwrap();
    let (_, bytes) = room.get(name(1), (0, 800), NOW).unwrap().unwrap();
    assert_eq!(bytes, [[1; 400], [2; 400]].concat());

    // What was given up, or was on its way at a crash, takes no room.
    room.part(name(101), 0, &[4; 200], NOW).unwrap();
    assert_eq!(refusal(room.put(name(3), &[0; 1])), Refusal::Full);
    room.abort(name(101)).unwrap();
    room.part(name(102), 0, &[4; 200], NOW).unwrap();
    drop(room);
    let room = open(dir.path(), (1000, 5000));
    assert_eq!(refusal(room.part(name(102), 200, &[4; 1], NOW)), Refusal::Mismatch);
    room.put(name(3), &[0; 200]).unwrap();
    assert_eq!(room.meter(Meter::kept), on_disk(dir.path()));
}

#[test]
fn what_does_not_go_on_makes_room_for_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let room = open(dir.path(), (100, 0));
    room.part(name(1), 0, &[1; 90], NOW).unwrap();
    assert_eq!(refusal(room.part(name(2), 0, &[1; 90], NOW)), Refusal::Full);
    let later = NOW.plus(Millis::from_hours(1));
    room.part(name(2), 0, &[1; 90], later).unwrap();
    assert_eq!(refusal(room.part(name(1), 90, &[1; 1], later)), Refusal::Mismatch);
}

#[test]
fn what_was_read_counts_across_restarts_and_months() {
    let dir = tempfile::tempdir().unwrap();
    let share = (1 << 20, 1500);
    open(dir.path(), share).put(name(1), &[1; 1000]).unwrap();
    let room = open(dir.path(), share);
    assert_eq!(room.get(name(1), (0, 1000), NOW).unwrap().unwrap().1.len(), 1000);
    assert_eq!(refusal(room.get(name(1), (0, 1000), NOW)), Refusal::Sent);
    // To look how long it is costs nothing.
    assert_eq!(room.get(name(1), (0, 0), NOW).unwrap().unwrap().0.len, 1000);
    drop(room);
    let room = open(dir.path(), share);
    assert_eq!(refusal(room.get(name(1), (0, 1000), NOW)), Refusal::Sent, "a restart forgets nothing");
    let next = NOW.plus(Millis::from_hours(30 * 24));
    assert!(room.get(name(1), (0, 1000), next).is_ok());
    assert_eq!(
        refusal(room.get(name(1), (0, 1000), NOW)),
        Refusal::Sent,
        "a clock that goes back opens no month"
    );
}

#[test]
fn at_the_end_nothing_lies_there() {
    let dir = tempfile::tempdir().unwrap();
    let room = open(dir.path(), (1000, 1000));
    room.put(name(1), &[1; 10]).unwrap();
    room.put(name(2), &[1; 20]).unwrap();
    room.part(name(3), 0, &[1; 30], NOW).unwrap();
    assert_eq!(room.delete().unwrap(), Deleted { objects: 2, bytes: 30 });
    assert_eq!(room.meter(Meter::kept), 0);
    assert!(!dir.path().join("objects").exists() && !dir.path().join("coming").exists());
}

#[test]
fn a_name_that_is_none_is_passed_over_and_a_bad_note_is_told() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), (10, 10)));
    replace(&dir.path().join("objects/lost+found"), &[1; 100], 0o600).unwrap();
    assert_eq!(open(dir.path(), (10, 10)).meter(Meter::kept), 0);
    replace(&dir.path().join("sent"), &[0xff; 3], 0o600).unwrap();
    assert!(matches!(Room::open(dir.path(), (10, 10), NOW), Err(RoomError::Disk { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever is asked, and wherever the machine starts anew, the meter says what lies on the disk.
    #[test]
    fn the_meter_says_what_lies_on_the_disk(
        steps in prop::collection::vec((0u8..6, 0u8..4, 0usize..400), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut room = open(dir.path(), (1000, u64::MAX));
        let mut model: BTreeMap<BlobName, u64> = BTreeMap::new();
        for (what, n, len) in steps {
            let (n, upload) = (n + 1, name(100 + n));
            match what {
                0 | 1 => if room.put(name(n), &vec![n; len]).is_ok() {
                    model.insert(name(n), len as u64);
                },
                2 => {
                    room.remove(name(n)).unwrap();
                    model.remove(&name(n));
                }
                3 => drop(room.part(upload, 0, &vec![n; len], NOW)),
                4 => if room.finish(upload, name(n), len as u64).is_ok() {
                    model.insert(name(n), len as u64);
                },
                _ => {
                    drop(room);
                    room = open(dir.path(), (1000, u64::MAX));
                }
            }
            prop_assert_eq!(room.meter(Meter::kept), on_disk(dir.path()));
            prop_assert!(on_disk(dir.path()) <= 1000);
            prop_assert_eq!(listed(&room), model.clone().into_iter().collect::<Vec<_>>());
        }
    }
}

use std::fs;

use rustic_core::{FileType, ReadBackend as _};

use super::{Place, files, noise};

fn summary(place: &Place, id: &str) -> rustic_core::repofile::SnapshotSummary {
    let open = place.repository.opened().expect("open");
    let snapshot = open.get_snapshot_from_str(id, |_| true).expect("there");
    snapshot.summary.expect("a summary")
}

#[test]
fn what_is_as_it_was_is_not_read_again_and_the_rest_is_counted() {
    let place = Place::new();
    place.write("kept", &noise(1, 3 << 20));
    place.write("deep/changed", b"one");
    place.write("deep/gone", b"two");
    place.write("other/empty", b"");
    let first = place.backup();
    let said = summary(&place, &first.snapshot);
    assert_eq!((said.files_new, said.files_changed, said.files_unmodified), (4, 0, 0));
    assert_eq!(said.total_bytes_processed, (3 << 20) + 6);
    assert!(said.dirs_new >= 4 && said.dirs_unmodified == 0, "{said:?}");
    // Nothing is read of a file that cannot be told from what it was; if it were, this would be found.
    let kept = place.home().join("kept");
    let times = fs::metadata(&kept).expect("there").modified().expect("a time");
    place.write("deep/changed", b"three");
    place.write("deep/new", b"four");
    fs::remove_file(place.home().join("deep/gone")).expect("removed");
    let second = place.backup();
    let said = summary(&place, &second.snapshot);
    assert_eq!((said.files_new, said.files_changed, said.files_unmodified), (1, 1, 2));
    assert_eq!((said.dirs_unmodified, said.dirs_new), (1, 0), "{said:?}");
    assert_eq!(said.data_blobs, 2);
    assert!(second.added < 4096, "{second:?}");
    // The same length and time, written anew: by its change time.
    place.write("kept", &noise(2, 3 << 20));
    fs::File::options().write(true).open(&kept).and_then(|file| file.set_modified(times)).expect("set");
    let third = place.backup();
    assert!(third.added > 3 << 20, "{third:?}");
    let (restored, to) = place.restore("back");
    assert_eq!(restored.failed, 0, "{restored:?}");
    assert_eq!(fs::read(to.join("kept")).expect("there"), noise(2, 3 << 20));
    assert!(place.repository.check(true).expect("checked").is_empty());
}

#[test]
fn the_same_content_is_kept_once_however_many_threads_find_it() {
    let place = Place::new();
    for number in 0..40 {
        place.write(&format!("{number}/same"), b"the same in each of them, and in none of them another");
        place.write(&format!("{number}/large"), &noise(9, 1 << 20));
    }
    let made = place.backup();
    assert!(made.added < 3 << 20, "{made:?}");
    let said = summary(&place, &made.snapshot);
    assert_eq!(said.files_new, 80);
    let (restored, to) = place.restore("back");
    assert_eq!((restored.failed, files(&to).len()), (0, 80));
    assert!(place.repository.check(true).expect("checked").is_empty());
}

#[test]
fn a_pack_that_is_gone_is_read_again_as_soon_as_no_index_names_it() {
    let place = Place::new();
    place.write("letter", &noise(3, 2 << 20));
    place.backup();
    for index in place.repository.store().list(FileType::Index).expect("listed") {
        let path = place.dir.path().join("backup/index").join(index.to_hex().as_str());
        fs::remove_file(path).expect("removed");
    }
    for pack in place.packs() {
        fs::remove_file(pack).expect("removed");
    }
    let again = place.backup();
    assert!(again.added > 2 << 20, "{again:?}");
    let (restored, _) = place.restore("back");
    assert_eq!(restored.failed, 0, "{restored:?}");
}

#[test]
fn how_far_a_run_is_is_told() {
    let place = Place::new();
    place.write("letter", &noise(4, 2 << 20));
    place.backup();
    let meter = place.repository.meter();
    assert_eq!(meter.done(), 2 << 20);
    place.write("more", &noise(5, 1 << 20));
    place.backup();
    // What the last one covered was expected, and there was more.
    assert_eq!((meter.done(), meter.total()), (3 << 20, 3 << 20));
}

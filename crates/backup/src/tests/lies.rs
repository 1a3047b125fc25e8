//! What an index says that need not be so, and several who write at the same time.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Place, files, noise, password};
use crate::{BackupError, Folder, Repository, Rights};

impl Place {
    /// Another repository with the same keys, in which the same files lie in other packs.
    fn twin(&self) -> PathBuf {
        let (from, to) = (self.dir.path().join("backup"), self.dir.path().join("twin"));
        fs::create_dir_all(to.join("keys")).expect("made");
        for path in files(&from.join("keys")).into_iter().chain([from.join("config")]) {
            fs::copy(&path, to.join(path.strip_prefix(&from).expect("below"))).expect("copied");
        }
        let twin = Repository::open(Folder::new(&to, Rights::Append), &password()).expect("open");
        twin.backup(&self.source(), "laptop").expect("backed up");
        to
    }

    /// Adds what lies below a directory of the twin.
    fn add(&self, twin: &Path, below: &str) -> Vec<PathBuf> {
        let add = |path: PathBuf| {
            let to = self.dir.path().join("backup").join(path.strip_prefix(twin).expect("below"));
            fs::create_dir_all(to.parent().expect("below")).expect("made");
            fs::copy(&path, &to).expect("copied");
            to
        };
        files(&twin.join(below)).into_iter().map(add).collect()
    }

    /// A machine that may only add.
    fn adding(&self) -> Repository {
        let folder = Folder::new(&self.dir.path().join("backup"), Rights::Append);
        Repository::open(folder, &password()).expect("open")
    }

    fn everything_comes_back(&self, to: &str) {
        let (restored, to) = self.restore(to);
        assert_eq!((restored.failed, &restored.named), (0, &Vec::new()));
        for path in files(&self.home()) {
            let back = to.join(path.strip_prefix(self.home()).expect("below"));
            assert!(fs::read(&path).expect("there") == fs::read(&back).expect("there"), "{}", back.display());
        }
    }
}

fn full() -> Place {
    let place = Place::new();
    for seed in 0..20 {
        place.write(&format!("{seed}/file"), &noise(seed + 1, 20_000));
    }
    place.backup();
    place
}

#[test]
fn an_index_of_packs_that_are_not_there_stops_nobody_and_takes_nothing_away() {
    let place = full();
    let before = place.packs();
    let twin = place.twin();
    place.add(&twin, "index");
    place.everything_comes_back("back");
    place.write("new", b"new");
    place.adding().backup(&place.source(), "laptop").expect("one may still add");
    place.everything_comes_back("again");
    let refused = place.repository.prune().expect_err("by that index").to_string();
    assert!(refused.contains("nothing is pruned"), "{refused}");
    assert!(before.iter().all(|pack| pack.exists()));
}

/// The engine counts a blob as needed in one of its places only, whatever lies there.
#[test]
fn a_pack_that_is_said_to_have_what_it_has_not_takes_nothing_away() {
    let place = full();
    let before = place.packs();
    let twin = place.twin();
    let added = place.add(&twin, "data");
    for pack in &added {
        let mut bytes = fs::read(pack).expect("there");
        // In the midst of what it has; its own list at the end says as before.
        bytes[40..80].fill(0);
        #[expect(clippy::disallowed_methods, reason = "what a thief does")]
        fs::write(pack, bytes).expect("written");
    }
    place.add(&twin, "index");
    place.everything_comes_back("back");
    let refused = place.repository.prune().expect_err("nothing says which is true");
    assert!(matches!(refused, BackupError::FalseIndex { count: 1.., .. }), "{refused}");
    let named = added.iter().any(|pack| {
        let id = pack.file_name().expect("a name").to_str().expect("hexadecimal");
        refused.to_string().contains(id)
    });
    assert!(named, "{refused}");
    assert!(before.iter().all(|pack| pack.exists()));
    place.everything_comes_back("again");
}

#[test]
fn two_true_places_of_everything_are_pruned_and_all_comes_back() {
    let place = full();
    let twin = place.twin();
    place.add(&twin, "data");
    place.add(&twin, "index");
    place.repository.prune().expect("both are true");
    place.everything_comes_back("back");
    let severe = place.repository.check(true).expect("checked").into_iter().find(|found| found.severe);
    assert_eq!(severe, None);
}

/// The engine removes at once what was marked a day ago: a mark with an old date, of what somebody is just writing.
#[test]
fn a_mark_that_is_older_than_the_pack_removes_nothing() {
    let place = full();
    let twin = place.twin();
    for snapshot in files(&twin.join("snapshots")) {
        fs::remove_file(snapshot).expect("removed");
    }
    let pruned = Repository::open(Folder::new(&twin, Rights::Prune), &password()).expect("open");
    pruned.prune().expect("all is marked, as nobody needs it");
    let added = place.add(&twin, "data");
    place.add(&twin, "index");
    let an_hour = Duration::from_hours(1);
    for (written, refused) in [(SystemTime::now() + an_hour, true), (SystemTime::now(), false)] {
        for pack in &added {
            let file = fs::File::options().write(true).open(pack).expect("there");
            file.set_modified(written).expect("set");
        }
        assert_eq!(place.repository.prune().is_err(), refused);
        assert!(added.iter().all(|pack| pack.exists()), "and what is marked honestly stays for a day");
    }
    place.everything_comes_back("back");
}

/// The index of what a machine writes comes minutes after its packs: until then they look like those of a run that was
/// cut off.
#[test]
fn who_writes_at_the_same_time_harms_nobody() {
    let place = full();
    let index = place.dir.path().join("backup/index");
    let aside = place.dir.path().join("aside");
    fs::rename(&index, &aside).expect("the first machine has not come to it yet");
    place.write("second", &noise(77, 50_000));
    place.adding().backup(&place.source(), "second").expect("backed up");
    for path in files(&aside) {
        fs::rename(&path, index.join(path.file_name().expect("a name"))).expect("now it has");
    }
    // And one was cut off.
    let twin = place.twin();
    place.add(&twin, "data");
    for run in 0..3 {
        place.write("third", &noise(100 + run, 50_000));
        place.adding().backup(&place.source(), "third").expect("who may only add still can");
    }
    place.everything_comes_back("back");
    let severe = place.repository.check(true).expect("checked").into_iter().find(|found| found.severe);
    assert_eq!(severe, None);
    place.repository.prune().expect("pruned");
    place.everything_comes_back("again");
}

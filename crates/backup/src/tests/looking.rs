use std::{fs, path::Path};

use freehold_retention::DrillPlan;

use super::{Place, noise};
use crate::{BackupError, Folder, Kind, Repository, Rights, Source, Stop};

#[test]
fn a_snapshot_is_looked_into_path_by_path() {
    let place = Place::new();
    place.write("letters/ann.txt", b"Dear Ann");
    std::os::unix::fs::symlink("letters", place.home().join("post")).expect("linked");
    place.backup();
    let all = place.repository.list("latest", Some(&place.home())).expect("listed");
    let told: Vec<_> = all.iter().map(|entry| (entry.path.clone(), entry.kind)).collect();
    assert_eq!(told, [(place.home().join("letters"), Kind::Dir), (place.home().join("post"), Kind::Link)]);
    let one =
        place.repository.list("latest", Some(&place.home().join("letters/ann.txt"))).expect("a file itself");
    assert!(one.len() == 1 && one[0].size == 8 && one[0].modified.is_some(), "{one:?}");
    assert!(!place.repository.list("latest", None).expect("the root").is_empty());
    let nothing = place.repository.list("latest", Some(Path::new("/no/such")));
    assert!(matches!(nothing, Err(BackupError::NotInSnapshot { .. })), "{nothing:?}");
}

#[test]
fn a_trial_restores_files_at_random_and_finds_what_is_damaged() {
    let place = Place::new();
    for number in 0..40 {
        place.write(&format!("{number}"), &noise(number + 1, 50_000));
    }
    place.backup();
    let plan = DrillPlan { files: 10, ..DrillPlan::default() };
    let to = place.dir.path().join("trial");
    fs::create_dir(&to).expect("made");
    let tried = place.repository.drill("latest", &plan, 7, &to).expect("tried");
    assert_eq!((tried.of, tried.restored.files, tried.restored.bytes), (40, 10, 500_000));
    assert_eq!((tried.restored.failed, fs::read_dir(&to).expect("listed").count()), (0, 10));
    let everything = DrillPlan { files: 40, ..plan };
    // The first pack is that with the files.
    let pack = &place.packs()[0];
    let mut bytes = fs::read(pack).expect("read");
    bytes[1000] ^= 1;
    #[expect(clippy::disallowed_methods, reason = "damage")]
    fs::write(pack, bytes).expect("written");
    let to = place.dir.path().join("again");
    fs::create_dir(&to).expect("made");
    let tried = place.repository.drill("latest", &everything, 8, &to).expect("tried");
    assert!(tried.restored.failed >= 1 && tried.restored.files < 40, "{tried:?}");
    assert!(tried.restored.named[0].path.starts_with(place.home()), "told by where it was: {tried:?}");
}

#[test]
fn what_is_named_is_left_out_by_whichever_name() {
    let place = Place::new();
    place.write("letter", b"kept");
    place.write("machine/store", b"left out");
    std::os::unix::fs::symlink(place.home().join("machine"), place.dir.path().join("alias")).expect("linked");
    let source = Source { never: vec![place.dir.path().join("alias")], ..place.source() };
    let made = place.repository.backup(&source, "laptop").expect("backed up");
    assert_eq!(made.files, 1);
    let all = place.repository.list("latest", Some(&place.home())).expect("listed");
    assert_eq!(all.len(), 1, "{all:?}");
}

#[test]
fn what_is_stopped_makes_no_snapshot_and_goes_on_later() {
    let place = Place::new();
    place.write("letter", &noise(3, 100_000));
    let stop = Stop::default();
    let at = place.dir.path().join("backup");
    let folder = Folder::new(&at, Rights::Append).stopped_by(&stop);
    let repository = Repository::open(folder, &super::password()).expect("opened");
    stop.ask();
    let stopped = repository.backup(&place.source(), "laptop").expect_err("stopped");
    assert!(stopped.to_string().contains("it was stopped"), "{stopped}");
    assert!(repository.snapshots().is_err(), "nothing goes through it any more");
    assert!(place.repository.snapshots().expect("listed").is_empty());
    assert_eq!(place.backup().unread, 0);
}

#[test]
fn paths_in_any_order_and_within_each_other_are_each_found() {
    let place = Place::new();
    for name in ["z/last", "a/first", "a/deep/in"] {
        place.write(name, name.as_bytes());
    }
    let other = place.dir.path().join("besides");
    fs::create_dir(&other).expect("made");
    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    fs::write(other.join("one"), b"one").expect("written");
    let paths =
        vec![place.home().join("z"), other.clone(), place.home().join("a/deep"), place.home().join("a")];
    let made = place.repository.backup(&Source { paths, ..Source::default() }, "laptop").expect("backed up");
    assert_eq!(made.files, 4);
    for path in [place.home().join("z/last"), place.home().join("a/deep/in"), other.join("one")] {
        assert_eq!(
            place.repository.list("latest", Some(&path)).map(|found| found.len()).ok(),
            Some(1),
            "{path:?}"
        );
    }
}

#[test]
fn a_link_that_was_named_is_gone_through() {
    let place = Place::new();
    place.write("papers/letter", b"Dear Ann");
    let link = place.dir.path().join("documents");
    std::os::unix::fs::symlink(place.home().join("papers"), &link).expect("linked");
    let source = Source { paths: vec![link.clone()], ..Source::default() };
    place.repository.backup(&source, "laptop").expect("backed up");
    let found = place.repository.list("latest", Some(&link.join("letter"))).expect("listed");
    assert_eq!(found.len(), 1);
    let to = place.dir.path().join("back");
    fs::create_dir(&to).expect("made");
    let restored = place.repository.restore("latest", Some(&link), &to).expect("restored");
    assert_eq!((restored.files, restored.failed), (1, 0));
}

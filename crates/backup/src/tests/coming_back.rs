use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt, fs::PermissionsExt, fs::symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use super::{Place, files, noise};
use crate::{BackupError, placing};

/// Everything that is said of a file, but for what restoring changes by nature.
fn said_of(path: &Path) -> (u32, u64, i64, i64, u32, u32) {
    let there = path.symlink_metadata().expect("there");
    let length = if there.is_dir() { 0 } else { there.len() };
    (there.mode(), length, there.mtime(), there.mtime_nsec(), there.uid(), there.gid())
}

#[test]
fn all_kinds_of_files_come_back_as_they_were() {
    let place = Place::new();
    let home = place.home();
    place.write("empty", b"");
    place.write("deep/er/letter", "Grüße".as_bytes());
    place.write("large", &noise(1, 5 << 20));
    fs::hard_link(home.join("large"), home.join("deep/twin")).expect("linked");
    symlink("../nowhere", home.join("deep/link")).expect("linked");
    let odd = home.join(OsStr::from_bytes(b"odd \xff\n name"));
    fs::copy(home.join("deep/er/letter"), &odd).expect("copied");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        home.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("made");
    fs::set_permissions(home.join("empty"), fs::Permissions::from_mode(0o640)).expect("set");
    fs::set_permissions(home.join("deep"), fs::Permissions::from_mode(0o1750)).expect("set");
    let before_unix = SystemTime::UNIX_EPOCH - Duration::from_millis(1500);
    fs::File::options()
        .write(true)
        .open(home.join("empty"))
        .and_then(|file| file.set_modified(before_unix))
        .expect("set");
    let made = place.backup();
    assert_eq!((made.unread, made.bytes > 10 << 20), (0, true), "{made:?}");

    let (restored, to) = place.restore("back");
    assert_eq!((restored.failed, &restored.named), (0, &Vec::new()));
    let relative = |root: &Path| -> Vec<_> {
        files(root).iter().map(|path| path.strip_prefix(root).expect("below").to_owned()).collect()
    };
    assert_eq!(relative(&home), relative(&to));
    for path in relative(&home)
        .iter()
        .map(std::path::PathBuf::as_path)
        .chain([Path::new("deep"), Path::new("deep/er")])
    {
        assert_eq!(said_of(&home.join(path)), said_of(&to.join(path)), "{}", path.display());
        if home.join(path).symlink_metadata().expect("there").is_file() {
            assert!(fs::read(home.join(path)).expect("there") == fs::read(to.join(path)).expect("there"));
        }
    }
    assert_eq!(fs::read_link(to.join("deep/link")).expect("a link"), Path::new("../nowhere"));
    let inode = |name| fs::metadata(to.join(name)).expect("there").ino();
    assert_eq!(inode("large"), inode("deep/twin"), "one file with two names");
}

#[test]
fn a_restore_goes_on_where_it_was_and_puts_back_what_changed() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        place.write(name, name.as_bytes());
    }
    place.backup();
    let (first, to) = place.restore("back");
    assert_eq!((first.files, first.bytes, first.unchanged), (3, 3, 0));
    fs::remove_file(to.join("a")).expect("removed");
    fs::copy(place.home().join("a"), to.join("b")).expect("changed");
    fs::copy(place.home().join("a"), to.join("mine")).expect("another file");
    let (second, _) = place.restore("back");
    assert_eq!((second.files, second.unchanged, second.failed), (2, 1, 0));
    assert_eq!(fs::read(to.join("b")).expect("there"), b"b");
    assert!(to.join("mine").exists(), "what no snapshot knows is nobody's to take away");
}

/// After a `chmod -R` by mistake the contents are right, and that is no reason to leave them so.
#[test]
fn what_was_changed_of_a_file_that_is_there_is_put_back() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    place.backup();
    let (_, to) = place.restore("back");
    fs::set_permissions(to.join("letter"), fs::Permissions::from_mode(0o600)).expect("set");
    fs::set_permissions(place.home().join("letter"), fs::Permissions::from_mode(0o644)).expect("set");
    let before = said_of(&place.home().join("letter"));
    let (restored, _) = place.restore("back");
    assert_eq!((restored.files, restored.unchanged, restored.failed), (0, 1, 0));
    assert_eq!(said_of(&to.join("letter")), before);
}

#[test]
fn what_cannot_come_back_takes_nothing_away() {
    let place = Place::new();
    place.write("first", &noise(1, 300_000));
    fs::hard_link(place.home().join("first"), place.home().join("second")).expect("linked");
    place.backup();
    let (_, to) = place.restore("back");
    for pack in place.packs() {
        let bytes = vec![0; fs::read(&pack).expect("there").len()];
        if bytes.len() > 300_000 {
            #[expect(clippy::disallowed_methods, reason = "what a failing disk does")]
            fs::write(&pack, bytes).expect("written");
        }
    }
    fs::remove_file(to.join("first")).expect("removed");
    let (restored, _) = place.restore("back");
    assert_eq!((restored.files, restored.unchanged, restored.failed), (0, 1, 1), "{restored:?}");
    assert!(fs::read(to.join("second")).expect("still there") == noise(1, 300_000));
    // Nor does a link to what is not there.
    placing::link(&to.join("first"), &to.join("second")).expect_err("nothing to link to");
    assert!(to.join("second").exists());
    assert_eq!(files(&to), [to.join("second")], "nothing beside it is left");
}

#[test]
fn what_a_killed_restore_left_goes_a_day_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let names = [".freehold-restore-0123456789abcdef", ".freehold-restore-plan", "letter"];
    for name in names {
        fs::File::create_new(dir.path().join(name)).expect("made");
    }
    let there = || names.map(|name| dir.path().join(name).exists());
    placing::sweep(dir.path(), SystemTime::now() + Duration::from_hours(23));
    assert_eq!(there(), [true; 3]);
    placing::sweep(dir.path(), SystemTime::now() + Duration::from_hours(25));
    assert_eq!(there(), [false, true, true]);
}

#[test]
fn a_damaged_snapshot_is_no_spelling_mistake() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    let made = place.backup();
    let file = place.dir.path().join("backup/snapshots").join(&made.snapshot);
    #[expect(clippy::disallowed_methods, reason = "what a failing disk does")]
    fs::write(&file, [0; 100]).expect("written");
    for wanted in ["latest", &made.snapshot[..8]] {
        let told = place.repository.restore(wanted, None, &place.dir.path().join("back"));
        let told = told.expect_err("it cannot be read");
        assert!(matches!(told, BackupError::Engine { .. }), "{told}");
    }
}

#[test]
fn one_file_comes_back_alone_and_what_is_not_there_is_told() {
    let place = Place::new();
    place.write("deep/letter", b"Dear Ann");
    place.write("other", b"other");
    let made = place.backup();
    let to = place.dir.path().join("one");
    let file = place.home().join("deep/letter");
    let restored = place.repository.restore(&made.snapshot[..10], Some(&file), &to).expect("restored");
    assert_eq!((restored.files, files(&to)), (1, vec![to.join("letter")]));
    for path in ["/gone", "/../etc", "other/../deep"] {
        let told = place
            .repository
            .restore("latest", Some(Path::new(path)), &to)
            .expect_err("not there")
            .to_string();
        assert!(told.contains("has nothing at"), "{told}");
    }
    let told = place.repository.restore("feedfeed", None, &to).expect_err("no such snapshot").to_string();
    assert!(told.contains("feedfeed"), "{told}");
}

#[test]
fn a_wrong_byte_is_found_and_everything_else_comes_back() {
    let place = Place::new();
    place.write("a", &noise(1, 300_000));
    place.backup();
    place.write("b", &noise(2, 200_000));
    place.backup();
    assert_eq!(place.repository.check(true).expect("checked"), []);
    let pack = place.packs().remove(0);
    let mut bytes = fs::read(&pack).expect("there");
    bytes[150_000] ^= 1;
    fs::remove_file(&pack).expect("removed");
    #[expect(clippy::disallowed_methods, reason = "what a failing disk does")]
    fs::write(&pack, bytes).expect("written");
    let found = place.repository.check(true).expect("checked");
    assert!(found.iter().any(|finding| finding.severe), "{found:?}");
    let (restored, to) = place.restore("back");
    assert_eq!((restored.files, restored.failed), (1, 1));
    assert_eq!(restored.named[0].path, to.canonicalize().expect("there").join("a"));
    assert_eq!(files(&to), [to.join("b")], "nothing half written is left");
}

/// Whoever keeps the packs has no key, but may exchange them: each is sealed as it ought to be.
#[test]
fn packs_that_were_exchanged_are_found() {
    let place = Place::new();
    place.write("a", &noise(1, 300_000));
    place.backup();
    place.write("b", &noise(2, 300_000));
    place.write("c", b"small");
    place.backup();
    let packs = place.packs();
    let (first, second) = (fs::metadata(&packs[0]).expect("there"), fs::metadata(&packs[1]).expect("there"));
    // The second has the small file as well, at its end or its beginning: the blobs may lie elsewhere.
    assert!(first.len() > 300_000 && second.len() > 300_000);
    let beside = packs[0].with_extension("beside");
    for (from, to) in [(&packs[0], &beside), (&packs[1], &packs[0]), (&beside, &packs[1])] {
        fs::rename(from, to).expect("renamed");
    }
    let (restored, to) = place.restore("back");
    let expected = |name: &str| fs::read(place.home().join(name)).expect("there");
    for path in files(&to) {
        let name = path.file_name().expect("a name").to_str().expect("ours");
        assert!(fs::read(&path).expect("there") == expected(name), "{name} came back as something else");
    }
    assert!(restored.failed >= 2, "{restored:?}");
    assert!(place.repository.check(true).expect("checked").iter().any(|finding| finding.severe));
}

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{Place, noise};
use crate::{Compared, Fate};

/// What a restore of the home into a directory is said to do, by the paths below it.
fn compared(place: &Place, to: &Path) -> (Compared, BTreeMap<PathBuf, Fate>) {
    let mut seen = BTreeMap::new();
    let found = place
        .repository
        .compare("latest", Some(&place.home()), to, &mut |path, fate, _| {
            let path = path.strip_prefix(to).expect("below").to_owned();
            assert!(seen.insert(path, fate).is_none(), "twice");
        })
        .expect("compared");
    (found, seen)
}

fn furnished() -> Place {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    place.write("deep/er/film", &noise(1, 1 << 20));
    place.write("deep/song", b"la la");
    symlink("letter", place.home().join("post")).expect("linked");
    place.backup();
    place
}

#[test]
fn where_nothing_is_all_is_new_and_nothing_is_made() {
    let place = furnished();
    let to = place.dir.path().join("not/there");
    let (found, seen) = compared(&place, &to);
    assert_eq!((found.new.things, found.new.bytes, found.failed), (4, (1 << 20) + 13, 0), "{found:?}");
    assert!(seen.values().all(|fate| *fate == Fate::New), "{seen:?}");
    assert!(!place.dir.path().join("not").exists(), "a look made something");
}

#[test]
fn what_is_said_is_what_a_restore_then_does() {
    let place = furnished();
    let (_, to) = place.restore("back");
    let (found, _) = compared(&place, &to);
    assert_eq!((found.same.things, found.new.things + found.replaced.things), (4, 0), "{found:?}");

    place.write("../back/letter", b"spoilt");
    place.write("../back/later", b"later");
    fs::set_permissions(to.join("deep/song"), fs::Permissions::from_mode(0o600)).expect("set");
    fs::remove_file(to.join("post")).expect("removed");
    symlink("elsewhere", to.join("post")).expect("linked");
    fs::remove_file(to.join("deep/er/film")).expect("removed");
    let (found, seen) = compared(&place, &to);
    let expected = [
        ("deep/er/film", Fate::New),
        ("deep/song", Fate::Marked),
        ("letter", Fate::Replaced),
        ("post", Fate::Replaced),
    ];
    assert_eq!(seen, expected.map(|(path, fate)| (PathBuf::from(path), fate)).into());
    assert_eq!((found.replaced.things, found.replaced.bytes, found.new.bytes), (2, 8, 1 << 20), "{found:?}");
    assert_eq!(fs::read(to.join("letter")).expect("read"), b"spoilt");

    let (restored, _) = place.restore("back");
    assert_eq!((restored.files, restored.unchanged, restored.failed), (2, 1, 0), "{restored:?}");
    assert_eq!(compared(&place, &to).0.same.things, 4);
}

#[test]
fn behind_a_link_in_place_of_a_directory_all_is_new() {
    let place = furnished();
    let (_, to) = place.restore("back");
    fs::rename(to.join("deep"), place.dir.path().join("moved")).expect("moved");
    symlink(place.dir.path().join("moved"), to.join("deep")).expect("linked");
    let (found, seen) = compared(&place, &to);
    assert_eq!(seen.get(Path::new("deep")), Some(&Fate::Replaced), "{seen:?}");
    assert_eq!(seen.get(Path::new("deep/song")), Some(&Fate::New), "{seen:?}");
    assert_eq!((found.same.things, found.new.things), (2, 2), "{found:?}");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_in_the_way() {
    let place = furnished();
    let (_, to) = place.restore("back");
    fs::remove_file(to.join("letter")).expect("removed");
    fs::create_dir(to.join("letter")).expect("made");
    let (found, _) = compared(&place, &to);
    assert_eq!((found.blocked.things, found.blocked.bytes), (1, 8), "{found:?}");
    assert_eq!(place.restore("back").0.failed, 1);
    let file = to.join("deep/song");
    assert!(place.repository.compare("latest", None, &file, &mut |_, _, _| ()).is_err(), "into a file");
}

#[test]
fn what_a_snapshot_has_is_known() {
    let place = furnished();
    let open = &place.repository;
    assert!(open.has("latest", &place.home().join("deep/song")).expect("looked"));
    assert!(!open.has("latest", &place.home().join("deep/letter")).expect("looked"));
}

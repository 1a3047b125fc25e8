use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use freehold_retention::{DrillPlan, Keep, Policy};
use rustic_core::ReadSource;

use super::{Place, noise};
use crate::{
    Source, Stop,
    source::{Tally, Watched},
};

fn damage(pack: &Path, place: usize) {
    let mut bytes = fs::read(pack).expect("read");
    bytes[place] ^= 1;
    #[expect(clippy::disallowed_methods, reason = "damage")]
    fs::write(pack, bytes).expect("written");
}

#[test]
fn a_trial_of_everything_needs_the_room_of_one_file_and_finds_what_is_damaged() {
    let place = Place::new();
    for number in 0..40 {
        place.write(&format!("{}/{number}", number % 7), &noise(number + 1, 50_000));
    }
    place.write("film", &noise(99, 400_000));
    place.backup();
    let to = place.dir.path().join("trial");
    fs::create_dir(&to).expect("made");
    let whole = place.repository.drill_whole("latest", 1 << 20, &to).expect("tried");
    let back = (whole.tried.of, whole.tried.restored.files, whole.tried.restored.bytes);
    assert_eq!((back, whole.no_room), ((41, 41, 2_400_000), None));
    assert_eq!(fs::read_dir(&to).expect("listed").count(), 0, "nothing is left");
    let whole = place.repository.drill_whole("latest", 100_000, &to).expect("tried");
    assert_eq!((whole.tried.restored.files, whole.no_room), (40, Some(400_000)), "it is said what was not");
    damage(&place.packs()[0], 1000);
    let whole = place.repository.drill_whole("latest", 1 << 20, &to).expect("tried");
    assert!(whole.tried.restored.failed >= 1 && whole.tried.restored.files < 41, "{whole:?}");
}

#[test]
fn a_trial_gives_no_owners_modes_or_attributes() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    fs::set_permissions(place.home().join("letter"), fs::Permissions::from_mode(0o644)).expect("set");
    place.backup();
    let to = place.dir.path().join("trial");
    fs::create_dir(&to).expect("made");
    let tried = place.repository.drill("latest", &DrillPlan::default(), 7, &to).expect("tried");
    assert_eq!((tried.restored.files, tried.restored.failed), (1, 0));
    let there = fs::metadata(to.join("0")).expect("there");
    assert_eq!(there.permissions().mode() & 0o777, 0o600, "for this user alone, whatever it was");
    assert!(there.modified().expect("a time").elapsed().is_ok_and(|age| age.as_secs() < 3600));
}

#[test]
fn each_pack_is_in_one_of_the_parts_of_a_check() {
    let place = Place::new();
    for number in 0..6 {
        place.write("letter", &noise(number + 1, 30_000));
        place.backup();
    }
    let packs = place.packs();
    assert!(packs.len() >= 6);
    for part in 0..4 {
        assert_eq!(place.repository.check_part(part, 4).expect("checked"), []);
    }
    for pack in &packs {
        let before = fs::read(pack).expect("read");
        damage(pack, 20);
        let found = |part| {
            let found = place.repository.check_part(part, 4).expect("checked");
            found.iter().any(|finding| finding.severe)
        };
        let parts: Vec<u32> = (0..4).filter(|part| found(*part)).collect();
        // Trees are read by each part, whichever pack they lie in.
        assert!(parts.len() == 1 || parts.len() == 4, "{parts:?}");
        #[expect(clippy::disallowed_methods, reason = "mended")]
        fs::write(pack, before).expect("written");
    }
}

#[test]
fn of_other_machines_and_paths_nothing_is_forgotten() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    place.write("photos/sea", b"blue");
    let photos = Source { paths: vec![place.home().join("photos")], ..Source::default() };
    for _ in 0..3 {
        place.backup();
        place.repository.backup(&photos, "laptop").expect("backed up");
        place.repository.backup(&place.source(), "server").expect("backed up");
    }
    let policy = Policy { last: Keep::Newest(1), ..Policy::default() };
    assert_eq!(place.repository.thin(&policy, "laptop", &[place.home()]).expect("forgotten"), 2);
    assert_eq!(place.repository.snapshots().expect("listed").len(), 7);
    let nothing = Policy::default();
    assert_eq!(place.repository.thin(&nothing, "server", &[place.home()]).expect("forgotten"), 0);
    assert_eq!(place.repository.thin(&policy, "phone", &[place.home()]).expect("forgotten"), 0);
}

/// What is noted of a walk that has come to its first entry when this happens.
fn walked(place: &Place, happens: impl FnOnce()) -> u64 {
    let tally = Arc::new(Tally::default());
    let roots: Vec<PathBuf> = vec![place.home()];
    let inner = place.source().walk().expect("a walk");
    let never = Vec::new();
    let watched = Watched { inner, roots, never, tally: Arc::clone(&tally), stop: Stop::default() };
    let mut entries = watched.entries();
    for _ in 0..2 {
        assert!(entries.next().is_some_and(|entry| entry.is_ok()));
    }
    happens();
    entries.for_each(drop);
    tally.told().0
}

#[test]
fn what_is_removed_while_it_is_backed_up_is_missing_to_nobody() {
    let place = Place::new();
    let furnish = || (0..20).for_each(|number| place.write(&format!("mail/{number}"), b"new"));
    furnish();
    let mail = place.home().join("mail");
    assert_eq!(walked(&place, || fs::remove_dir_all(&mail).expect("removed")), 0);
    furnish();
    let gone = walked(&place, || fs::remove_dir_all(place.home()).expect("removed"));
    assert!(gone > 0, "a disk that was unmounted is told");
}

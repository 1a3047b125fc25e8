use std::{collections::BTreeSet, path::PathBuf};

use proptest::prelude::*;

use crate::{Candidate, Cover, Guard, Spared, guard};

fn paths(all: &[&str]) -> BTreeSet<PathBuf> {
    all.iter().map(PathBuf::from).collect()
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn dir(path: &str, mount: &str) -> Candidate {
    Candidate::Dir { path: PathBuf::from(path), mount: PathBuf::from(mount) }
}

fn of(all: &[&str]) -> Cover {
    Cover { paths: paths(all), ..Cover::default() }
}

#[test]
fn what_a_backup_has_as_it_is_or_from_above_is_covered() {
    let music = dir("/home/ann/music", "/");
    for covers in [of(&["/home/ann/music"]), of(&["/home/ann"]), of(&["/etc", "/"])] {
        assert_eq!(guard(&music, &[Cover::default(), covers], &Spared::default()), Guard::Covered);
    }
    let bare = |covers: &[Cover]| guard(&music, covers, &Spared::default());
    assert_eq!(bare(&[]), Guard::Bare(paths(&[])));
    assert_eq!(bare(&[of(&["/home/ann/mus", "/home/ann/music-2"])]), Guard::Bare(paths(&[])), "names");
    let two = [of(&["/home/ann/music/bach"]), of(&["/home/ann/music/blues/old", "/srv"])];
    assert_eq!(bare(&two), Guard::Bare(paths(&["/home/ann/music/bach", "/home/ann/music/blues/old"])));
}

#[test]
fn one_that_stays_on_its_file_system_has_nothing_of_another_one() {
    let cover = Cover { one_file_system: true, ..of(&["/home/ann"]) };
    let films = dir("/home/ann/films", "/home/ann/films");
    let bare = guard(&films, std::slice::from_ref(&cover), &Spared::default());
    assert_eq!(bare, Guard::Bare(paths(&[])));
    let music = dir("/home/ann/music", "/home");
    assert_eq!(guard(&music, std::slice::from_ref(&cover), &Spared::default()), Guard::Covered);
    let itself = Cover { one_file_system: true, ..of(&["/home/ann/films"]) };
    assert_eq!(guard(&films, &[cover, itself], &Spared::default()), Guard::Covered);
}

#[test]
fn buckets_and_databases_go_by_their_names() {
    let cover = Cover { buckets: names(&["photos"]), databases: names(&["shop"]), ..of(&["/"]) };
    let spared = Spared { buckets: names(&["shop"]), ..Spared::default() };
    let covers = [cover];
    for (candidate, expected) in [
        (Candidate::Bucket("photos".to_owned()), Guard::Covered),
        (Candidate::Bucket("shop".to_owned()), Guard::Spared),
        (Candidate::Database("shop".to_owned()), Guard::Covered),
        (Candidate::Database("photos".to_owned()), Guard::Bare(paths(&[]))),
    ] {
        assert_eq!(guard(&candidate, &covers, &spared), expected, "{candidate:?}");
        let realm = Cover { realm: true, ..Cover::default() };
        assert_eq!(guard(&candidate, &[realm], &spared), Guard::Covered, "{candidate:?}");
    }
}

#[test]
fn what_is_meant_so_is_so_with_all_below_and_stays_covered_if_it_is() {
    let spared = Spared { paths: paths(&["/srv"]), ..Spared::default() };
    assert_eq!(guard(&dir("/srv/www", "/"), &[], &spared), Guard::Spared);
    assert_eq!(guard(&dir("/srvx", "/"), &[], &spared), Guard::Bare(paths(&[])));
    assert_eq!(guard(&dir("/srv/www", "/"), &[of(&["/srv"])], &spared), Guard::Covered);
}

fn any_path() -> impl Strategy<Value = PathBuf> {
    prop::collection::vec("[ab]", 0..4)
        .prop_map(|parts| parts.iter().fold(PathBuf::from("/"), |path, part| path.join(part)))
}

proptest! {
    /// One more backup takes protection away from nothing.
    #[test]
    fn more_backups_protect_no_less(
        path in any_path(),
        covers in prop::collection::vec((prop::collection::btree_set(any_path(), 0..3), any::<bool>()), 0..4),
    ) {
        let covers: Vec<Cover> = covers
            .into_iter()
            .map(|(paths, one_file_system)| Cover { paths, one_file_system, ..Cover::default() })
            .collect();
        let candidate = Candidate::Dir { mount: PathBuf::from("/"), path };
        let mut covered = false;
        for some in 0..=covers.len() {
            let now = guard(&candidate, &covers[..some], &Spared::default()) == Guard::Covered;
            prop_assert!(now || !covered);
            covered = now;
        }
    }
}

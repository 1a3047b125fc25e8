//! A repository that somebody walks through.

use std::{fs, path::Component};

use super::{Place, noise};
use crate::{Browsing, Leaf, LeafKind};

/// What lies in a directory of home, and the tree that it is in.
fn found(browsing: &Browsing, root: &str, place: &Place, name: &str) -> (String, Leaf) {
    let mut tree = root.to_owned();
    for part in place.home().components().skip(1) {
        let Component::Normal(part) = part else { panic!("{part:?}") };
        let part = part.to_str().expect("text").as_bytes();
        let entries = browsing.entries(&tree).expect("listed");
        let found = entries.into_iter().find(|leaf| leaf.name == part).expect("there");
        let LeafKind::Dir(below) = found.kind else { panic!("{found:?}") };
        tree = below;
    }
    let leaf = browsing.entries(&tree).expect("listed").into_iter().find(|leaf| leaf.name == name.as_bytes());
    (tree, leaf.expect("there"))
}

#[test]
fn what_is_damaged_is_an_error_and_the_rest_is_read() {
    let place = Place::new();
    let film = noise(7, 20_000_000);
    place.write("film", &film);
    place.backup();
    for pack in place.packs() {
        let mut bytes = fs::read(&pack).expect("read");
        if bytes.len() > 1_000_000 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            #[expect(clippy::disallowed_methods, reason = "damage")]
            fs::write(&pack, bytes).expect("written");
        }
    }
    let snapshot = place.repository.snapshots().expect("listed").remove(0);
    let browsing = place.adding_browsing();
    let (tree, leaf) = found(&browsing, &snapshot.root, &place, "film");
    let (mut good, mut bad) = (0, 0);
    for from in (0..film.len()).step_by(65_536) {
        let length = 65_536.min(film.len() - from);
        match browsing.read(&tree, leaf.at, from as u64, length as u64) {
            Ok(read) => {
                assert!(film[from..from + length] == read[..], "other bytes at {from}");
                good += 1;
            }
            Err(_) => bad += 1,
        }
    }
    assert!(good > 100 && bad > 0, "{good} and {bad}");
}

use std::fs;

use proptest::prelude::*;

use super::Place;
use crate::{Hits, Sought};

fn sought(pattern: &str) -> Sought {
    Sought::new(pattern).expect("a pattern")
}

fn told(hits: &Hits) -> Vec<(String, usize, u64)> {
    let one = |hit: &crate::Hit| (hit.entry.path.display().to_string(), hit.newest, hit.snapshots);
    hits.found.iter().map(one).collect()
}

#[test]
fn a_file_is_found_in_each_form_that_it_had() {
    let place = Place::new();
    let path = |name: &str| place.home().join(name).display().to_string();
    place.write("papers/Letter to Ann.txt", b"Dear Ann");
    place.write("photos/sea.jpg", b"blue");
    place.backup();
    place.backup();
    place.write("papers/Letter to Ann.txt", b"Dear Ann, dear Ben");
    place.write("other/letter", b"another");
    place.backup();
    fs::remove_dir_all(place.home().join("papers")).expect("removed");
    place.backup();
    let mut newest_first = place.repository.snapshots().expect("listed");
    newest_first.reverse();
    let seek =
        |pattern: &str, most| place.repository.seek(&sought(pattern), &newest_first, most).expect("looked");
    let letters = seek("LETTER", 10);
    let expected = [
        (path("other/letter"), 0, 2),
        (path("papers/Letter to Ann.txt"), 1, 1),
        (path("papers/Letter to Ann.txt"), 2, 2),
    ];
    assert_eq!(told(&letters), expected);
    assert!(!letters.more && letters.unread.is_empty());
    assert_eq!(told(&seek("*.txt", 10)), expected[1..]);
    assert_eq!(told(&seek("letter", 1)), [(path("other/letter"), 0, 2)]);
    assert!(seek("letter", 1).more);
    assert_eq!(told(&seek("papers/*ann*", 10)), expected[1..]);
    assert_eq!(told(&seek("hotos/SEA", 10)), [(path("photos/sea.jpg"), 0, 4)]);
    assert_eq!(told(&seek("photos", 10)), [(path("photos"), 0, 4)], "a directory, not what lies in it");
    assert_eq!(told(&seek("nothing", 10)), []);
    assert_eq!(told(&seek("s?a.jpg", 10)), [(path("photos/sea.jpg"), 0, 4)]);
}

#[test]
fn what_is_no_pattern_is_refused() {
    assert!(Sought::new("").is_err());
    assert!(Sought::new("[a").is_err());
}

proptest! {
    #[test]
    fn no_pattern_is_too_strange(pattern in "\\PC{0,40}") {
        drop(Sought::new(&pattern));
    }
}

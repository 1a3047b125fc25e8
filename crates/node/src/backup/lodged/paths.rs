//! What an object's key is called as a path. A key is any text of up to 1024 bytes; a file's name is neither empty nor `..`, has
//! at most 255 bytes, and is not a directory's as well. Keys that are plain paths stay what they are; what else a key may be
//! is marked with a `%`, so that each key has a path of its own, and those that begin alike lie together.

use std::path::PathBuf;

/// A name is cut once it is so long.
const CUT: usize = 200;

/// The path of a key below a bucket's directory; `is_above` says that another key goes on behind this one and a `/`.
pub(super) fn path_of(bucket: &str, key: &str, is_above: bool) -> PathBuf {
    let mut path = PathBuf::from("/buckets");
    path.push(bucket);
    let mut parts = key.split('/').peekable();
    while let Some(part) = parts.next() {
        let mut names = names_of(part);
        let last = names.pop().unwrap_or_default();
        path.extend(names);
        let is_last = parts.peek().is_none();
        path.push(if is_last && is_above { format!("{last}%f") } else { last });
    }
    path
}

/// The names that stand for what is between two slashes: one, and more where it is long.
fn names_of(part: &str) -> Vec<String> {
    match part {
        "" => return vec!["%".to_owned()],
        "." => return vec!["%2E".to_owned()],
        ".." => return vec!["%2E%2E".to_owned()],
        _ => {}
    }
    let (mut names, mut name) = (Vec::new(), String::new());
    for c in part.chars() {
        match c {
            '%' => name.push_str("%25"),
            '\0' => name.push_str("%00"),
            c => name.push(c),
        }
        // By what stands before alone, so that all that begin so are cut here.
        if name.len() >= CUT {
            names.push(std::mem::take(&mut name) + "%+");
        }
    }
    names.push(if name.is_empty() { "%".to_owned() } else { name });
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    fn told(key: &str, is_above: bool) -> String {
        path_of("b", key, is_above).to_str().unwrap().to_owned()
    }

    #[test]
    fn plain_keys_are_paths_and_others_are_marked() {
        assert_eq!(told("2024/sea.jpg", false), "/buckets/b/2024/sea.jpg");
        assert_eq!(told("a", true), "/buckets/b/a%f");
        assert_eq!(told("a/", false), "/buckets/b/a/%");
        assert_eq!(told("/a//b", false), "/buckets/b/%/a/%/b");
        assert_eq!(told("../x/.", false), "/buckets/b/%2E%2E/x/%2E");
        assert_eq!(told("100%", false), "/buckets/b/100%25");
        let long = "x".repeat(450);
        assert_eq!(
            told(&long, false),
            format!("/buckets/b/{0}%+/{0}%+/{1}", "x".repeat(200), "x".repeat(50))
        );
        assert_eq!(told(&"x".repeat(200), false), format!("/buckets/b/{}%+/%", "x".repeat(200)));
    }

    /// The paths of all keys, as a backup of the bucket has them.
    fn all(keys: &BTreeSet<String>) -> Vec<PathBuf> {
        let is_above = |key: &str| {
            let below = format!("{key}/");
            keys.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
        };
        keys.iter().map(|key| path_of("b", key, is_above(key))).collect()
    }

    proptest! {
        #[test]
        fn each_key_has_a_path_of_its_own_and_directories_lie_together(
            keys in prop::collection::btree_set("[a%/.!ü\u{0}]{1,6}|[ab/]{195,210}|[%ü]{60,120}", 1..30)
        ) {
            let paths = all(&keys);
            let different: BTreeSet<_> = paths.iter().collect();
            prop_assert_eq!(different.len(), paths.len());
            let mut left = BTreeSet::new();
            let mut at = PathBuf::from("/");
            for path in &paths {
                for part in path.components().skip(1) {
                    let Component::Normal(name) = part else { panic!("{path:?}") };
                    prop_assert!(name.len() <= 255 && !name.is_empty());
                }
                let dir = path.parent().unwrap().to_owned();
                for above in at.ancestors().filter(|above| !dir.starts_with(above)) {
                    left.insert(above.to_owned());
                }
                for above in dir.ancestors() {
                    prop_assert!(!left.contains(above), "{above:?} again, for {path:?}");
                    prop_assert!(!different.contains(&above.to_owned()), "{above:?} is a file, too");
                }
                at = dir;
            }
        }
    }
}

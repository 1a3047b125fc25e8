use super::*;

impl Listed for bool {
    fn shown(&self) -> bool {
        *self
    }
}

fn lines(keys: &[&str], query: &ListQuery) -> Vec<String> {
    let rows: BTreeMap<String, bool> =
        keys.iter().map(|key| (key.trim_start_matches('!').to_owned(), !key.starts_with('!'))).collect();
    let mut lines = Vec::new();
    walk(&rows, query, |item| {
        lines.push(match item {
            Item::Object(key, _) => key.to_owned(),
            Item::Prefix(prefix) => format!("[{prefix}]"),
        });
        lines.len() < query.max
    });
    lines
}

fn query(prefix: &str, delimiter: &str, after: &str) -> ListQuery {
    ListQuery {
        prefix: prefix.into(),
        delimiter: (!delimiter.is_empty()).then(|| delimiter.into()),
        after: (!after.is_empty()).then(|| after.into()),
        max: 100,
    }
}

const KEYS: [&str; 7] = ["a", "a/1", "a/2/x", "a/2/y", "!a/3", "b", "c/\u{10ffff}z"];

#[test]
fn plain_and_by_prefix() {
    assert_eq!(lines(&KEYS, &query("", "", "")), ["a", "a/1", "a/2/x", "a/2/y", "b", "c/\u{10ffff}z"]);
    assert_eq!(lines(&KEYS, &query("a/", "", "")), ["a/1", "a/2/x", "a/2/y"]);
    assert_eq!(lines(&KEYS, &query("a/2", "", "a/2/x")), ["a/2/y"]);
    assert!(lines(&KEYS, &query("x", "", "")).is_empty());
}

#[test]
fn folds_at_the_delimiter() {
    assert_eq!(lines(&KEYS, &query("", "/", "")), ["a", "[a/]", "b", "[c/]"]);
    assert_eq!(lines(&KEYS, &query("a/", "/", "")), ["a/1", "[a/2/]"]);
    assert_eq!(lines(&KEYS, &query("", "/2/", "")), ["a", "a/1", "[a/2/]", "b", "c/\u{10ffff}z"]);
}

#[test]
fn goes_on_after_a_folded_prefix() {
    assert_eq!(lines(&KEYS, &query("", "/", "a/")), ["b", "[c/]"]);
    assert_eq!(lines(&KEYS, &query("", "/", "a")), ["[a/]", "b", "[c/]"]);
    assert_eq!(lines(&KEYS, &query("", "/", "b")), ["[c/]"]);
    assert!(lines(&KEYS, &query("", "/", "c/")).is_empty());
}

#[test]
fn hidden_rows_make_no_prefix() {
    assert!(lines(&["!d/1", "!d/2"], &query("", "/", "")).is_empty());
}

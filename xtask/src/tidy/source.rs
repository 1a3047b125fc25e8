//! Rules about source files and words.

use super::Text;

const LINES_MAX: usize = 800;
const LINES_TO_WARN: usize = 600;

/// Names that say nothing about what a module holds.
const EMPTY_NAMES: [&str; 12] = [
    "utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "handlers", "types",
    "prelude", "mod",
];

/// The one file that may hold the words it looks for.
const THIS: &str = "xtask/src/tidy/source.rs";

/// A text that must not appear, and what to do instead.
struct Banned {
    text: &'static str,
    instead: &'static str,
    /// A line with this text is an exception.
    unless: &'static [&'static str],
}

const fn banned(text: &'static str, instead: &'static str) -> Banned {
    Banned { text, instead, unless: &[] }
}

/// Compared in lower case.
const BANNED: [Banned; 19] = [
    banned("/root/", "a path of one machine"),
    banned("static.crates.io", "no registry hosts"),
    banned("index.crates.io", "no registry hosts"),
    banned("registry.npmjs", "no registry hosts"),
    banned("pypi.org", "no registry hosts"),
    banned("files.pythonhosted", "no registry hosts"),
    banned("deb.debian.org", "no registry hosts"),
    Banned { text: "cluster", instead: "say realm", unless: &["kubernetes", "s3", "garage"] },
    banned("user account", "say person, member or device"),
    banned("whitelist", "say allow list"),
    banned("blacklist", "say blocklist"),
    banned("master node", "every node is equal"),
    banned("slave", "every node is equal"),
    banned("super user", "say admin"),
    banned("superuser", "say admin"),
    banned("recovery seed", "say guardian phrase"),
    banned("todo(", "open an issue instead"),
    banned("fixme", "open an issue instead"),
    banned("xxx:", "open an issue instead"),
];

/// Words that may not stand in any text of ours.
pub(super) fn words(text: &Text) -> Vec<String> {
    if text.path == THIS {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in numbered(&text.text) {
        let lower = line.to_lowercase();
        for banned in &BANNED {
            if lower.contains(banned.text) && !banned.unless.iter().any(|good| lower.contains(good)) {
                found.push(format!("{}:{number}: `{}`: {}", text.path, banned.text, banned.instead));
            }
        }
        if line.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "TODO") {
            found.push(format!("{}:{number}: `TODO`: open an issue instead", text.path));
        }
    }
    found
}

/// Rules about Rust files.
pub(super) fn rust(text: &Text) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{}: {lines} lines, at most {LINES_MAX}: split it", text.path));
    }
    let stem = text.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let folder = text.path.rsplit('/').nth(1).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) || EMPTY_NAMES.contains(&folder) {
        found.push(format!("{}: the name says nothing: name it after what it holds", text.path));
    }
    if stem == "lib" && !opens_with_a_paragraph(&text.text) {
        found.push(format!("{}: opens with no `//!` paragraph", text.path));
    }
    found
}

/// Files that are on the way to being too long.
pub(super) fn nearly_too_long(text: &Text) -> Option<String> {
    let lines = text.text.lines().count();
    (text.is("rs") && lines > LINES_TO_WARN)
        .then(|| format!("{}: {lines} lines: think of splitting it", text.path))
}

/// What for, what never, where to start: that takes more than one short line.
fn opens_with_a_paragraph(text: &str) -> bool {
    text.lines().take_while(|line| line.starts_with("//!")).map(str::len).sum::<usize>() > 100
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index.saturating_add(1), line))
}

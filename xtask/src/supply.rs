//! The supply check: every external crate has an allowed licence, comes from the public registry,
//! and is not one of the banned ones. It reads the same `deny.toml` as cargo-deny, and takes a
//! tenth of a second instead of building a tool with 300 dependencies first.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::Package;

use crate::layers::{Graph, place};

/// The lists of `deny.toml` that are checked here.
#[derive(Debug, Default)]
struct Policy {
    licences: BTreeSet<String>,
    exceptions: BTreeSet<String>,
    banned: BTreeSet<String>,
}

/// The `supply` step.
pub(crate) fn check(root: &Path) -> Result<()> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("read deny.toml")?;
    let policy = Policy {
        licences: quoted(&text, "\nallow = ["),
        exceptions: quoted(&text, "\nexceptions = ["),
        banned: quoted(&text, "\ndeny = ["),
    };
    let graph = Graph::load(root)?;
    let outside = graph.packages().filter(|package| place(package).is_none());
    let found: Vec<String> = outside.filter_map(|package| refusal(package, &policy)).collect();
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    Ok(())
}

fn refusal(package: &Package, policy: &Policy) -> Option<String> {
    let name = format!("{} {}", package.name, package.version);
    let from_registry = package.source.as_ref().is_some_and(cargo_metadata::Source::is_crates_io);
    if !from_registry {
        return Some(format!("{name}: does not come from the public registry"));
    }
    if policy.banned.contains(package.name.as_str()) {
        return Some(format!("{name}: banned in deny.toml"));
    }
    if policy.exceptions.contains(package.name.as_str()) {
        return None;
    }
    let licence = package.license.as_deref().unwrap_or("none");
    (!allowed(licence, &policy.licences)).then(|| format!("{name}: licence `{licence}` is not allowed"))
}

/// Judges an SPDX expression: `AND` binds tighter than `OR`, brackets group.
fn allowed(expression: &str, licences: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let verdict = any_of(&mut rest, licences);
    verdict && rest.is_empty()
}

fn any_of(words: &mut &[&str], licences: &BTreeSet<String>) -> bool {
    let mut verdict = all_of(words, licences);
    while let [word, rest @ ..] = words {
        if *word != "OR" {
            break;
        }
        *words = rest;
        verdict |= all_of(words, licences);
    }
    verdict
}

fn all_of(words: &mut &[&str], licences: &BTreeSet<String>) -> bool {
    let mut verdict = one(words, licences);
    while let [word, rest @ ..] = words {
        if *word != "AND" {
            break;
        }
        *words = rest;
        verdict &= one(words, licences);
    }
    verdict
}

fn one(words: &mut &[&str], licences: &BTreeSet<String>) -> bool {
    match words {
        ["(", rest @ ..] => {
            *words = rest;
            let verdict = any_of(words, licences);
            if let [")", rest @ ..] = words {
                *words = rest;
            }
            verdict
        }
        [name, "WITH", exception, rest @ ..] => {
            let with = format!("{name} WITH {exception}");
            *words = rest;
            licences.contains(&with)
        }
        [name, rest @ ..] => {
            *words = rest;
            licences.contains(*name)
        }
        [] => false,
    }
}

/// The first quoted word of each entry of the list that starts with `opening`.
fn quoted(text: &str, opening: &str) -> BTreeSet<String> {
    let list =
        text.split_once(opening).and_then(|(_, rest)| rest.split_once("\n]")).map_or("", |(list, _)| list);
    let lines = list.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split('"').nth(1).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_judged_as_spdx_says() {
        let licences = BTreeSet::from(["MIT".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()]);
        for (expression, good) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("(GPL-3.0 OR MIT) AND MIT", true),
            ("GPL-3.0/MIT", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("(MIT", true),
            ("MIT )", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression, &licences), good, "{expression}");
        }
    }
}

//! Lists that must agree with each other.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::Text;

const PAGE: &str = "docs/dependencies.md";

/// docs/dependencies.md has one line for each external crate of the workspace, and no other.
pub(super) fn dependencies(root: &Path, texts: &[Text]) -> Result<Vec<String>> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).context("read Cargo.toml")?;
    let used = declared(&manifest);
    let page = texts.iter().find(|text| text.path == PAGE).context("docs/dependencies.md is missing")?;
    let explained = rows(&page.text);
    let silent = used.difference(&explained).map(|name| format!("{PAGE}: no line says why {name} is used"));
    let stale = explained.difference(&used).map(|name| format!("{PAGE}: {name} is not in Cargo.toml"));
    Ok(silent.chain(stale).collect())
}

/// The external names under `[workspace.dependencies]`.
fn declared(manifest: &str) -> BTreeSet<String> {
    let section = manifest.split_once("[workspace.dependencies]").map_or("", |(_, rest)| rest);
    let lines = section.lines().skip(1).take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.starts_with('#') && !line.contains("path = "))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.trim().to_owned())
        .collect()
}

/// The first column of the page's tables.
fn rows(page: &str) -> BTreeSet<String> {
    let cells =
        page.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|line| line.split_once(" |"));
    cells.map(|(name, _)| name.trim_matches('`').to_owned()).filter(|name| name != "crate").collect()
}

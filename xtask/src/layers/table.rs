//! The crate table in ARCHITECTURE.md, generated so that it cannot be wrong.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::Package;

use super::{Graph, place};

const BEGIN: &str = "<!-- crates: written by `cargo xtask layers --write` -->\n";
const END: &str = "<!-- end of crates -->";
const PAGE: &str = "ARCHITECTURE.md";

/// Writes the table.
pub(crate) fn write(root: &Path) -> Result<()> {
    let graph = Graph::load(root)?;
    let (head, _, tail) = parts(root)?;
    let page = format!("{head}{BEGIN}{}{END}{tail}", rendered(&graph));
    #[expect(clippy::disallowed_methods, reason = "a page under version control needs no fsync")]
    std::fs::write(root.join(PAGE), page).context("write ARCHITECTURE.md")
}

/// Compares the table with the crates.
pub(crate) fn check(root: &Path, graph: &Graph) -> Result<Vec<String>> {
    let (_, table, _) = parts(root)?;
    let stale = table != rendered(graph);
    Ok(stale
        .then(|| "ARCHITECTURE.md: the crate table is stale: cargo xtask layers --write".to_owned())
        .into_iter()
        .collect())
}

fn parts(root: &Path) -> Result<(String, String, String)> {
    let page = std::fs::read_to_string(root.join(PAGE)).context("read ARCHITECTURE.md")?;
    let (head, rest) = page.split_once(BEGIN).context("ARCHITECTURE.md has no mark for the crate table")?;
    let (table, tail) =
        rest.split_once(END).context("ARCHITECTURE.md has no end mark for the crate table")?;
    Ok((head.to_owned(), table.to_owned(), tail.to_owned()))
}

fn rendered(graph: &Graph) -> String {
    let mut rows: Vec<(u64, String, String)> = Vec::new();
    for member in graph.members() {
        let Some(own) = place(member) else { continue };
        let mut below: Vec<String> =
            graph.uses(&member.id).filter(|to| place(to).is_some()).map(|to| short(&to.name)).collect();
        below.sort();
        let row = format!(
            "| {} | `{}` | {} | {} | {} |\n",
            own.rank,
            short(&member.name),
            own.layer,
            purpose(member),
            below.join(" ")
        );
        rows.push((own.rank, member.name.to_string(), row));
    }
    rows.sort();
    let mut table = String::from("| rank | crate | layer | what for | stands on |\n|---|---|---|---|---|\n");
    table.extend(rows.into_iter().map(|(_, _, row)| row));
    table
}

fn short(name: &str) -> String {
    name.strip_prefix("freehold-").unwrap_or(name).to_owned()
}

/// The first sentence of the crate's own documentation.
fn purpose(member: &Package) -> String {
    let source = member
        .targets
        .iter()
        .find(|target| !target.is_custom_build())
        .and_then(|target| std::fs::read_to_string(&target.src_path).ok())
        .unwrap_or_default();
    let docs: Vec<&str> = source
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line.trim_start_matches("//!").trim())
        .take_while(|line| !line.is_empty())
        .collect();
    let docs = docs.join(" ");
    let sentence = docs.split_once(". ").map_or(docs.as_str(), |(first, _)| first);
    sentence.trim_end_matches('.').replace('|', "/")
}

//! The tidy check: what a reviewer would otherwise say by hand. Each rule is a list of findings.

mod lists;
mod pages;
mod source;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A text file of the tree.
#[derive(Debug)]
pub(crate) struct Text {
    /// Its path from the top.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Text {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }
}

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 6] = [".git", "target", "node_modules", "fuzz/corpus", "artifacts", "test-results"];
/// Files that tools write.
const WRITTEN_BY_TOOLS: [&str; 2] = ["Cargo.lock", "package-lock.json"];
/// What a rule about text can read.
const TEXT: [&str; 13] =
    ["rs", "md", "toml", "html", "css", "js", "mjs", "ts", "py", "sh", "json", "service", "txt"];

/// The `tidy` step.
pub(crate) fn check(root: &Path) -> Result<()> {
    for warning in read(root)?.iter().filter_map(source::nearly_too_long) {
        println!("   {warning}");
    }
    let found = findings(root)?;
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    Ok(())
}

/// Every broken rule, one line each.
fn findings(root: &Path) -> Result<Vec<String>> {
    let texts = read(root)?;
    let mut found = Vec::new();
    for text in &texts {
        found.extend(source::words(text));
        if text.is("rs") {
            found.extend(source::rust(text));
        }
        if text.is("md") {
            found.extend(pages::links(root, text));
        }
    }
    found.extend(pages::decisions(&texts));
    found.extend(pages::invariants(&texts));
    found.extend(lists::dependencies(root, &texts)?);
    Ok(found)
}

fn read(root: &Path) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(root.join(&folder)).with_context(|| format!("read {}", folder.display()))?
        {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| path.ends_with(skipped)) {
                folders.push(path);
            } else if kind.is_file() && is_ours(&name, &path) {
                let text = std::fs::read_to_string(root.join(&path))
                    .with_context(|| format!("read {}", path.display()))?;
                texts.push(Text { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    texts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(texts)
}

fn is_ours(name: &str, path: &Path) -> bool {
    let text = path.extension().is_some_and(|own| TEXT.iter().any(|text| own == *text));
    (text || path.starts_with(".ci")) && !WRITTEN_BY_TOOLS.contains(&name)
}

#[cfg(test)]
mod tests;

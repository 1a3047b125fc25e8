//! Rules about the pages under docs/ and at the top.

use std::path::Path;

use super::Text;

/// Every relative link leads to something.
pub(super) fn links(root: &Path, page: &Text) -> Vec<String> {
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let targets =
        page.text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets
        .filter(|target| {
            !target.contains("://") && !target.starts_with('#') && !target.contains(char::is_whitespace)
        })
        .map(|target| target.split_once('#').map_or(target, |(file, _)| file))
        .filter(|target| !root.join(folder).join(target).exists())
        .map(|target| format!("{}: the link to {target} leads nowhere", page.path))
        .collect()
}

/// Decisions are numbered without gaps and their titles say the number.
pub(super) fn decisions(texts: &[Text]) -> Vec<String> {
    let mut found = Vec::new();
    let pages = texts.iter().filter_map(|text| Some((text, text.path.strip_prefix("docs/adr/")?)));
    for (index, (text, name)) in pages.enumerate() {
        let number = index.saturating_add(1);
        if !name.starts_with(&format!("{number:04}-")) {
            found.push(format!("docs/adr/{name}: should be number {number:04}"));
        }
        if !text.text.starts_with(&format!("# {number}. ")) {
            found.push(format!("docs/adr/{name}: should begin with `# {number}. `"));
        }
    }
    found
}

/// Pages that name the tests which hold what they say.
const HELD_BY_TESTS: [&str; 2] = ["ARCHITECTURE.md", "docs/attacks.md"];

/// Each test that such a page names exists: ``test `name` ``.
pub(super) fn invariants(texts: &[Text]) -> Vec<String> {
    HELD_BY_TESTS.into_iter().flat_map(|page| missing_tests(texts, page)).collect()
}

fn missing_tests(texts: &[Text], path: &str) -> Vec<String> {
    let Some(page) = texts.iter().find(|text| text.path == path) else {
        return vec![format!("{path} is missing")];
    };
    let named =
        page.text.split("test `").skip(1).filter_map(|rest| rest.split_once('`')).map(|(name, _)| name);
    named
        .filter(|name| {
            let function = format!("fn {name}(");
            !texts.iter().any(|text| text.is("rs") && text.text.contains(&function))
        })
        .map(|name| format!("{path}: there is no test `{name}`"))
        .collect()
}

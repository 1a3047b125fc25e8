use super::*;

fn text(path: &str, text: &str) -> Text {
    Text { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn the_tree_is_tidy() {
    let found = findings(&crate::root()).unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    assert!(source::rust(&text("crates/a/src/b.rs", &"\n".repeat(800))).is_empty());
    assert_eq!(source::rust(&text("crates/a/src/b.rs", &"\n".repeat(801))).len(), 1);
}

#[test]
fn an_empty_name_is_refused() {
    assert_eq!(source::rust(&text("crates/a/src/helpers.rs", "")).len(), 1);
    assert_eq!(source::rust(&text("crates/a/src/common/b.rs", "")).len(), 1);
    assert!(source::rust(&text("crates/a/src/grant.rs", "")).is_empty());
}

#[test]
fn a_library_says_what_it_is_for() {
    assert_eq!(source::rust(&text("crates/a/src/lib.rs", "//! A.\nmod b;")).len(), 1);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = text("docs/a.md", "[x](no-such-page.md) [y](#here) [z](https://example.org/)");
    assert_eq!(pages::links(&crate::root(), &page).len(), 1);
}

#[test]
fn decisions_have_no_gaps() {
    let one = text("docs/adr/0001-a.md", "# 1. A");
    let three = text("docs/adr/0003-b.md", "# 3. B");
    assert!(pages::decisions(std::slice::from_ref(&one)).is_empty());
    assert_eq!(pages::decisions(&[one, three]).len(), 2);
}

#[test]
fn an_invariant_without_its_test_is_found() {
    let page = text("ARCHITECTURE.md", "Logs converge [test `logs_converge`].");
    let test = text("sim/src/a.rs", "#[test]\nfn logs_converge() {}");
    let attacks = text("docs/attacks.md", "| a rollback | test `logs_converge`, test `b` |");
    assert_eq!(pages::invariants(std::slice::from_ref(&page)).len(), 2, "its test, and the other page");
    let found = pages::invariants(&[page, test, attacks]);
    assert_eq!(found, ["docs/attacks.md: there is no test `b`"]);
}

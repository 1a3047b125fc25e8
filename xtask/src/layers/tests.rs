use super::*;

#[test]
fn edges_go_down_and_the_core_reaches_no_io() {
    let found = findings(&Graph::load(&crate::root()).unwrap());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

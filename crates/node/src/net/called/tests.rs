use freehold_realm::body::ServiceSet;

use super::super::change;
use super::super::lab::{Lab, node};
use super::*;

fn service(n: u8) -> ServiceId {
    ServiceId::from_bytes([n; 32])
}

fn serve(lab: &mut Lab, n: u8, name: &str) -> ServiceSet {
    let wish = freehold_api::NewService {
        name: name.to_owned(),
        nodes: vec!["nas".to_owned()],
        ports: vec!["tcp/80".to_owned()],
        ..freehold_api::NewService::default()
    };
    let body = change::of_service(&lab.called(), service(n), &wish).unwrap();
    lab.must(body.clone());
    lab.said.things.insert(Thing::Service(service(n)), name.to_owned());
    body
}

#[test]
fn a_thing_is_meant_by_name_by_its_name_in_the_zone_or_by_the_start_of_its_id() {
    let mut lab = Lab::house();
    serve(&mut lab, 1, "wiki");
    let called = lab.called();
    assert_eq!(called.zone(), "the-smiths.internal");
    let id = node("nas").to_string();
    for typed in ["nas", "NAS", "nas.the-smiths.internal", "nas.the-smiths.internal.", &id[..6], "node:nas"] {
        assert_eq!(called.node(typed).unwrap(), node("nas"), "{typed}");
    }
    assert_eq!(called.meant("wiki", &[Sort::Node, Sort::Service]).unwrap(), Thing::Service(service(1)));
    assert_eq!(called.meant("0101", &[Sort::Service]).unwrap(), Thing::Service(service(1)));
    for typed in ["010", "na", "", "wiki", "service:nas", "person:nas"] {
        assert_eq!(called.node(typed).unwrap_err().kind, freehold_api::ProblemKind::NotFound, "{typed}");
    }
}

#[test]
fn what_may_be_several_is_refused_and_each_is_named_so_that_it_can_be_typed() {
    let mut lab = Lab::house();
    // A person's machine is often called as they are.
    lab.said.things.insert(Thing::Node(node("pad")), "bo".to_owned());
    let called = lab.called();
    let bo = lab.person("bo");
    let problem = called.rule_from("bo").unwrap_err();
    assert_eq!(problem.why, "node:bo, person:bo", "{problem:?}");
    assert_eq!(called.rule_from("node:bo").unwrap(), RuleFrom::Node(node("pad")));
    assert_eq!(called.sender_shown(&RuleFrom::Person(bo)), "person:bo");
    assert_eq!(called.shown(Thing::Node(node("nas"))), "nas");
    // Two of one sort: nothing is left but ids.
    lab.said.things.insert(Thing::Node(node("door")), "bo".to_owned());
    let called = lab.called();
    let exact = called.shown(Thing::Node(node("door")));
    assert_eq!(exact, format!("node:{}", node("door")));
    assert_eq!(called.node(&exact).unwrap(), node("door"));
    // Nobody takes a label over: both have their ids behind theirs.
    assert_ne!(called.domain(Thing::Node(node("door"))), called.domain(Thing::Node(node("pad"))));
    assert!(called.domain(Thing::Node(node("door"))).starts_with("bo-"));
}

#[test]
fn roles_stand_for_all_who_have_them() {
    let lab = Lab::house();
    let called = lab.called();
    for typed in ["role:admin+operator", "nodes:gateway", "ann", "nas"] {
        assert_eq!(called.sender_shown(&called.rule_from(typed).unwrap()), typed);
    }
    for typed in ["role:king", "nodes:admin", "role:", "all"] {
        assert!(called.rule_from(typed).is_err(), "{typed}");
    }
    assert_eq!(called.target_shown(&called.rule_to("all").unwrap()), "all");
    assert!(called.rule_to("ann").is_err());
}

#[test]
fn a_service_has_no_label_of_a_machine_nor_of_another_service() {
    let mut lab = Lab::house();
    lab.said.things.insert(Thing::Node(node("nas")), "The NAS".to_owned());
    assert!(lab.called().has_label("the-nas"));
    assert!(!lab.called().has_label("wiki"));
    lab.said.things.insert(Thing::Node(node("nas")), "nas".to_owned());
    serve(&mut lab, 1, "wiki");
    assert!(lab.called().has_label("wiki"));
}

#[test]
fn without_a_name_there_is_the_start_of_an_id() {
    let mut lab = Lab::house();
    lab.said = Said::default();
    let called = lab.called();
    let short = node("nas").short();
    assert_eq!(called.name(Thing::Node(node("nas"))), short);
    assert_eq!(called.zone(), format!("{}.internal", lab.state().realm.short()));
    assert_eq!(called.node(&short).unwrap(), node("nas"));
}

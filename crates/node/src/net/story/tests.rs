use freehold_realm::NodeRoles;
use freehold_realm::body::{Ports, Proto, RuleFrom, RuleSet, RuleTo};
use freehold_wire::{Bounded, RuleId};

use super::super::change;
use super::super::lab::{Lab, NOW, node};
use super::*;

/// What is told of one question: allowed or not, why, which operation, what to type.
fn ask(
    lab: &Lab,
    from: &str,
    to: &str,
    port: Option<&str>,
) -> Vec<(bool, String, Option<OpId>, Option<String>)> {
    let (state, called) = (lab.state(), lab.called());
    let port = port.map(str::to_owned);
    let question = Question { from: from.to_owned(), to: to.to_owned(), port };
    let answer = answer(&state, &called, NOW, &question).unwrap();
    let one = |told: &Told| {
        let (from, to) = (party_shown(&called, told.from), called.shown(told.to));
        let port = ports::one_shown(told.port);
        let (why, next) = why(&state, &called, told, (&from, &to, &port));
        (told.story.verdict.allowed(), why, operation(&told.story), next)
    };
    answer.told.iter().map(one).collect()
}

fn service(lab: &mut Lab, access: &str) -> OpId {
    let wish = freehold_api::NewService {
        name: "wiki".to_owned(),
        nodes: vec!["nas".to_owned()],
        ports: vec!["tcp/80".to_owned(), "udp/53".to_owned()],
        access: vec![access.to_owned()],
        ..freehold_api::NewService::default()
    };
    let id = ServiceId::from_bytes([1; 32]);
    let body = change::of_service(&lab.called(), id, &wish).unwrap();
    lab.said.things.insert(Thing::Service(id), "wiki".to_owned());
    lab.must(body)
}

#[test]
fn what_nothing_opens_is_shut_and_it_is_said_what_would_open_it() {
    let lab = Lab::house();
    let told = ask(&lab, "pad", "nas", Some("443"));
    let [(false, why, None, Some(next))] = told.as_slice() else { panic!("{told:?}") };
    assert!(why.contains("nothing in the realm's log opens it"), "{why}");
    assert_eq!(next, "freehold net rule add NAME --from pad --to nas --port tcp/443");
    let told = ask(&lab, "pad", "nas", Some("22"));
    assert!(told[0].1.contains("open to others: the laptops of admins"), "{told:?}");
    let told = ask(&lab, "door", "nas", Some("ping"));
    assert!(told[0].0 && told[0].2.is_some(), "{told:?}");
    let told = ask(&lab, "lan", "nas", Some("80"));
    assert!(told[0].3.as_deref().unwrap().contains("--access lan"), "{told:?}");
}

#[test]
fn a_rule_opens_and_is_named() {
    let mut lab = Lab::house();
    let id = RuleId::from_bytes([2; 32]);
    let op = lab.must(RuleSet {
        rule: id,
        from: Bounded::fill(&mut [RuleFrom::Nodes(NodeRoles::GATEWAY)].into_iter()),
        to: Bounded::fill(&mut [RuleTo::Node(node("nas"))].into_iter()),
        ports: Bounded::fill(&mut [Ports::one(Proto::Tcp, 22)].into_iter()),
        until: None,
    });
    lab.said.things.insert(Thing::Rule(id), "night".to_owned());
    let told = ask(&lab, "door", "nas", Some("22"));
    assert_eq!(told, [(true, "the rule night lets it".to_owned(), Some(op), None)]);
    let told = ask(&lab, "door", "nas", Some("23"));
    assert!(!told[0].0 && told[0].1.contains("door reaches others there: the rule night"), "{told:?}");
    assert_eq!(told[0].2, Some(op));
}

#[test]
fn of_a_service_all_its_ports_are_told_and_no_other_is_open_at_its_address() {
    let mut lab = Lab::house();
    let op = service(&mut lab, "realm");
    let told = ask(&lab, "pad", "wiki", None);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|one| one.0 && one.2 == Some(op)), "{told:?}");
    assert_eq!(told[0].1, "the service wiki is open to realm");
    // The machine's own ports are not at the service's address.
    assert!(!ask(&lab, "pad", "wiki", Some("22"))[0].0);
    let by = lab.suspend("nas");
    let told = ask(&lab, "pad", "wiki", Some("80"));
    assert!(told[0].1.contains("none of the machines that wiki runs on"), "{told:?}");
    let told = ask(&lab, "pad", "nas", Some("80"));
    assert_eq!((told[0].2, told[0].0), (Some(by), false));
    assert!(told[0].3.as_deref().unwrap().starts_with("freehold node lift nas"), "{told:?}");
}

#[test]
fn a_person_is_their_laptops_and_phones() {
    let mut lab = Lab::house();
    let op = service(&mut lab, "realm");
    assert_eq!(ask(&lab, "bo", "wiki", Some("80"))[0].2, Some(op));
    let question = Question { from: "ann".to_owned(), to: "wiki".to_owned(), port: None };
    let answer = answer(&lab.state(), &lab.called(), NOW, &question).unwrap();
    assert!(answer.told.is_empty() && answer.notes[0].contains("ann has no laptop"), "{answer:?}");
}

#[test]
fn a_machine_has_many_ports_and_one_is_to_be_named() {
    let lab = Lab::house();
    let ask = |port: Option<&str>| {
        let port = port.map(str::to_owned);
        let question = Question { from: "pad".to_owned(), to: "nas".to_owned(), port };
        answer(&lab.state(), &lab.called(), NOW, &question).unwrap_err()
    };
    for (port, says) in [(None, "many ports"), (Some("1-2"), "no single port"), (Some("http"), "no single")] {
        assert!(ask(port).why.contains(says), "{port:?}");
    }
}

use std::collections::BTreeMap;

use freehold_names::{Owned, Question, Zones, kind};

use super::super::change;
use super::super::lab::{Lab, NOW, node};
use super::*;

fn zones(lab: &Lab) -> Zones {
    let state = lab.state();
    let net = Net::of(&state, node("nas"), &BTreeMap::new(), NOW);
    Zones::of(&rows(&state, &net, &lab.called(), node("nas"), 7))
}

/// What the zone answers a question, as a client reads it: whether there is such a name, and the addresses.
fn ask(zones: &Zones, name: &str, kind: u16) -> (bool, Vec<u8>) {
    let name: Domain = name.parse().unwrap();
    let head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let asked = [&head[..], name.as_wire(), &kind.to_be_bytes(), &[0, 1]].concat();
    let question = Question::parse(&asked).unwrap();
    let mut out = Vec::new();
    let owned = zones.answer(&question, &mut out);
    (owned == Owned::Answered, out)
}

#[test]
fn every_machine_and_service_has_a_name_and_its_addresses_have_it_back() {
    let mut lab = Lab::house();
    let v4 = freehold_api::NetNodeSetting { ipv4: Some("auto".to_owned()), ..Default::default() };
    let body = change::of_node(&lab.state(), &lab.called(), node("nas"), &v4).unwrap();
    let v4 = body.v4.unwrap();
    lab.must(body);
    let id = freehold_wire::ServiceId::from_bytes([1; 32]);
    let wish = freehold_api::NewService {
        name: "wiki".to_owned(),
        nodes: vec!["nas".to_owned()],
        ports: vec!["80".to_owned()],
        ..Default::default()
    };
    let body = change::of_service(&lab.called(), id, &wish).unwrap();
    lab.must(body);
    lab.said.things.insert(Thing::Service(id), "wiki".to_owned());
    let (zones, realm) = (zones(&lab), lab.state().realm);
    for (name, at) in [
        ("nas", address::of_node(&realm, &node("nas"))),
        ("pad", address::of_node(&realm, &node("pad"))),
        ("wiki", address::of_service(&realm, &id)),
    ] {
        let domain = format!("{name}.the-smiths.internal");
        let (is, said) = ask(&zones, &domain, kind::AAAA);
        assert!(is && said.ends_with(&at.octets()), "{domain}");
        let (is, said) = ask(&zones, &reverse::name_of(at.into()).to_string(), kind::PTR);
        let label = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        assert!(is && said.windows(label.len()).any(|part| part == label), "{domain}");
    }
    assert!(ask(&zones, "nas.the-smiths.internal", kind::A).1.ends_with(&v4.octets()));
    assert!(ask(&zones, &reverse::name_of(v4.into()).to_string(), kind::PTR).0);
    assert!(!ask(&zones, "attic.the-smiths.internal", kind::AAAA).0);
    // Nobody outside is asked for an address of ours that nobody has.
    let free = reverse::name_of(Ipv4Addr::from_bits(v4.to_bits() + 9).into());
    assert!(zones.owns(&free));
}

#[test]
fn who_is_suspended_has_no_address_and_keeps_its_name() {
    let mut lab = Lab::house();
    lab.suspend("pad");
    let zones = zones(&lab);
    assert!(!ask(&zones, "pad.the-smiths.internal", kind::AAAA).0);
    assert_eq!(lab.called().domain(Thing::Node(node("pad"))), "pad.the-smiths.internal");
}

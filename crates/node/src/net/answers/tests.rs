use std::collections::BTreeMap;

use freehold_names::{Domain, Owned, PolicyParty, Question, Zones};
use freehold_reach::{Net, address};
use freehold_wire::Prefix;

use super::super::lab::{Lab, NOW, node};
use super::super::zone;
use super::*;

fn snapshot(lab: &Lab) -> Snapshot {
    let (state, called) = (lab.state(), lab.called());
    let net = Net::of(&state, node("nas"), &BTreeMap::new(), NOW);
    let zone = zone::rows(&state, &net, &called, node("nas"), 7).into();
    let own = [freehold_realm::network_of(&state.realm), state.network.range];
    Snapshot { generation: 1, net: Arc::new(net), called: Arc::new(called), zone, own }
}

fn asking(lab: &Lab) -> Who {
    let named: Vec<Prefix> = vec!["192.168.1.0/24".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    let around = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
    Who::of(Arc::new(snapshot(lab)), node("nas"), &lab.state(), Near::of(around, ""), named)
}

#[test]
fn strangers_are_refused_and_who_is_suspended_is_one() {
    let mut lab = Lab::house();
    let (realm, who) = (lab.state().realm, asking(&lab));
    let pad = IpAddr::from(address::of_node(&realm, &node("pad")));
    let own = |name, person| PolicyParty {
        node: Some(node(name)),
        person: Some(lab.person(person)),
        ..PolicyParty::default()
    };
    assert_eq!(who.party(pad), Some(own("pad", "bo")));
    // What this machine asks itself is its owner's, so that the same holds at home and on the road.
    assert_eq!(who.party("127.0.0.1".parse().unwrap()), Some(own("nas", "ann")));
    for (at, is_served) in [
        ("::1", true),
        ("192.168.1.7", true),
        ("::ffff:192.168.1.7", true),
        ("fe80::1", true),
        ("192.168.2.7", false),
        ("100.64.0.1", false),
        ("192.0.2.1", false),
        ("2606:4700::1111", false),
        ("fd99::1", false),
    ] {
        assert_eq!(who.party(at.parse().unwrap()).is_some(), is_served, "{at}");
    }
    lab.suspend("pad");
    assert_eq!(asking(&lab).party(pad), None);
}

#[test]
fn only_the_realms_own_names_are_answered_of_those_that_mean_something_here_alone() {
    let lab = Lab::house();
    let zones = Zones::of(&rows(&snapshot(&lab)));
    let ask = |name: &str| {
        let name: Domain = name.parse().unwrap();
        let head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let asked = [&head[..], name.as_wire(), &[0, 28, 0, 1]].concat();
        zones.answer(&Question::parse(&asked).unwrap(), &mut Vec::new())
    };
    assert_eq!(ask("nas.the-smiths.internal"), Owned::Answered);
    // Nobody outside is asked for these.
    for name in ["attic.the-smiths.internal", "nas.jones.internal", "printer.local"] {
        assert_eq!(ask(name), Owned::NoSuch, "{name}");
    }
    assert_eq!(ask("example.org"), Owned::NotOurs);
}

#[test]
fn a_server_that_makes_no_sense_is_refused() {
    assert!(upstreams(&[]).unwrap().is_empty());
    let good = ["192.0.2.1".to_owned(), "tls://dns.example@192.0.2.1".to_owned()];
    assert_eq!(upstreams(&good).unwrap()[0].servers.len(), 2);
    let problem = upstreams(&["dns.example".to_owned()]).unwrap_err();
    assert!(problem.next.is_some() && problem.kind == freehold_api::ProblemKind::Invalid);
}

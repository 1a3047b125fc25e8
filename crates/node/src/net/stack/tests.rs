use std::collections::BTreeMap;

use freehold_realm::body::{Preset, Proto, RuleFrom, RuleSet, ServiceSet};
use freehold_wire::{Bounded, RuleId, ServiceId};

use super::super::lab::{Lab, NOW, node};
use super::super::zone;
use super::*;

fn flow(to: IpAddr, dport: u16) -> Flow {
    Flow { src: "fd00::1".parse().unwrap(), dst: to, proto: 6, sport: 40_000, dport }
}

#[test]
fn only_a_port_that_somebody_has_named_means_the_loopback_too() {
    let mut lab = Lab::house();
    let at = "fd00::2".parse().unwrap();
    let named = |lab: &Lab, port| is_named(&lab.state(), node("nas"), &flow(at, port));
    assert!(!named(&lab, 8080) && !named(&lab, 22));
    let ports = |all: &[Ports]| Bounded::fill(&mut all.iter().copied());
    lab.must(ServiceSet {
        service: ServiceId::from_bytes([1; 32]),
        homes: Bounded::fill(&mut [node("nas")].into_iter()),
        ports: ports(&[Ports::one(Proto::Tcp, 8080)]),
        preset: Preset::Realm,
        grants: Bounded::new(),
        gateways: Bounded::new(),
        sign_on: false,
    });
    assert!(named(&lab, 8080) && !named(&lab, 8081));
    assert!(!is_named(&lab.state(), node("door"), &flow(at, 8080)), "it runs elsewhere");
    let rule = |id: u8, open: &[Ports]| RuleSet {
        rule: RuleId::from_bytes([id; 32]),
        from: Bounded::fill(&mut [RuleFrom::Node(node("pad"))].into_iter()),
        to: Bounded::fill(&mut [RuleTo::Node(node("nas"))].into_iter()),
        ports: ports(open),
        until: None,
    };
    lab.must(rule(1, &[Ports::ALL]));
    assert!(!named(&lab, 5432), "everything is nothing in particular");
    lab.must(rule(2, &[Ports::one(Proto::Tcp, 5432)]));
    assert!(named(&lab, 5432));
}

#[derive(Debug)]
struct Nobody;

impl Realm for Nobody {
    fn own(&self) -> Vec<IpAddr> {
        Vec::new()
    }

    fn inlet(&self, _: &Flow) -> Inlet {
        Inlet::Shut
    }

    fn look_up(&self, _: &str) -> Found {
        Found::Foreign
    }

    fn leads(&self, _: IpAddr) -> bool {
        false
    }
}

#[tokio::test]
async fn what_the_stack_brings_is_never_this_machine() {
    let (stack, _hands) = start(Arc::new(Nobody));
    let by_hand = Way::Stack(stack.dialer());
    let seen = |way: Option<&Way>, from: &str| {
        let from = SocketAddr::new(from.parse().unwrap(), 4000);
        behind(way, from) == Some(from)
    };
    for (from, device, hand) in [
        ("127.0.0.1", true, true),
        ("::ffff:127.0.0.1", true, true),
        // Nobody's any more, or never the stack's.
        ("127.0.0.3", false, false),
        ("::ffff:127.0.0.3", false, false),
        ("::1", true, false),
        ("192.0.2.1", true, true),
        ("fd00::1", true, true),
    ] {
        assert_eq!((seen(Some(&Way::Kernel), from), seen(Some(&by_hand), from)), (device, hand), "{from}");
        assert_eq!(seen(None, from), device, "{from}");
    }
}

#[test]
fn names_of_the_realm_are_found_and_others_are_somebody_elses() {
    let lab = Lab::house();
    let (state, called) = (lab.state(), lab.called());
    let net = Net::of(&state, node("nas"), &BTreeMap::new(), NOW);
    let rows = zone::rows(&state, &net, &called, node("nas"), 7);
    let (door, _) = net.addresses(Party::Node(node("door"))).unwrap();
    let find = |name: &str| look_up(called.zone(), &rows, name);
    for name in ["door", "DOOR", "door.the-smiths.internal", "Door.The-Smiths.internal."] {
        assert_eq!(find(name), Found::Here(vec![door.into()]), "{name}");
    }
    for name in ["attic", "attic.the-smiths.internal", "the-smiths.internal"] {
        assert_eq!(find(name), Found::Nothing, "{name}");
    }
    for name in ["example.org", "door.the-joneses.internal", "", ".", "localhost.localdomain", "127.0.0.1"] {
        assert_eq!(find(name), Found::Foreign, "{name}");
    }
    assert_eq!(own(&net, node("nas")).len(), 1);
}

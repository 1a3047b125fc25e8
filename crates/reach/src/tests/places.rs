//! Addresses, ways, neighbours and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use freehold_realm::body::{GrantRevoke, NodeNet, Ports, Preset, Proto, ServiceSet, Target};
use freehold_realm::{NodeRoles, draft, network_of, own_range};
use freehold_wire::{Digest, Millis, NodeId, RealmId};
use serde_json::Value;

use super::lab::*;
use crate::{Accepted, CLOSE_MAX, Guest, Net, Party, Wish, address, label, labels, neighbours};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/network/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn id(value: &Value) -> [u8; 32] {
    *value.as_str().unwrap().parse::<Digest>().unwrap().as_bytes()
}

#[test]
fn addresses_and_labels_are_as_the_vectors_say() {
    let vectors = vectors();
    let realms = vectors["realms"].as_array().unwrap();
    for realm in realms {
        let of = RealmId::from_bytes(id(&realm["realm"]));
        assert_eq!(network_of(&of).to_string(), realm["network"]);
        assert_eq!(own_range(&of).to_string(), realm["range"]);
        for machine in realm["addresses"].as_array().unwrap() {
            let bytes = id(&machine["id"]);
            let at = match machine["kind"].as_str().unwrap() {
                "node" => address::of_node(&of, &NodeId::from_bytes(bytes)),
                "phone" => address::of_phone(&of, &freehold_wire::PhoneId::from_bytes(bytes)),
                _ => address::of_service(&of, &freehold_wire::ServiceId::from_bytes(bytes)),
            };
            assert_eq!(at.to_string(), machine["address"]);
            assert!(network_of(&of).contains(at.into()));
        }
    }
    let sets = vectors["labels"].as_array().unwrap();
    for set in sets {
        let said = set.as_array().unwrap();
        let names =
            said.iter().map(|one| (Digest::from_bytes(id(&one["id"])), one["name"].as_str().unwrap()));
        let made = labels(names);
        for one in said {
            assert_eq!(made[&Digest::from_bytes(id(&one["id"]))], one["label"]);
        }
    }
    assert!(realms.len() > 1 && sets.len() > 2);
}

#[test]
fn a_label_is_one_that_a_name_can_have_and_no_two_are_the_same() {
    for (name, expected) in [
        ("NAS", "nas"),
        ("Alice's laptop", "alice-s-laptop"),
        ("  a..b  ", "a-b"),
        ("ä", ""),
        ("-", ""),
        ("ÖBB Büro 7", "bb-b-ro-7"),
    ] {
        assert_eq!(label(name), expected, "{name}");
    }
    assert_eq!(label(&"x".repeat(99)).len(), 63);
    let long = format!("{}-{}", "x".repeat(62), "y");
    assert_eq!(label(&long), "x".repeat(62));
    let ids = |n: u8| Digest::from_bytes([n; 32]);
    // Who copies a name takes it from nobody for long: both have their ids behind.
    let made =
        labels([(ids(1), "nas"), (ids(2), "NAS"), (ids(3), "nas-01010101"), (ids(4), "vps"), (ids(5), "")]);
    assert_eq!(
        (made[&ids(2)].as_str(), made[&ids(4)].as_str(), made[&ids(5)].as_str()),
        ("nas-02020202", "vps", "05050505")
    );
    let different: BTreeSet<&String> = made.values().collect();
    assert_eq!(different.len(), made.len());
    assert!(made.values().all(|label| label.len() <= 63 && crate::label(label) == **label), "{made:?}");
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tcp(port: u16) -> Ports {
    Ports::one(Proto::Tcp, port)
}

fn v6(net: &Net, of: Party) -> IpAddr {
    net.addresses(of).unwrap().0.into()
}

#[test]
fn a_packet_is_taken_from_whom_its_line_leads_to() {
    let mut lab = Lab::house();
    let IpAddr::V4(first) = own_range(&lab.set.realm()).first() else { unreachable!() };
    let v4 = Ipv4Addr::from_bits(first.to_bits() + 9);
    lab.must("a", NodeNet { v4: Some(v4), ..part("o") }, &[]);
    lab.must("a", serve(1, &["m"], &[tcp(443)], Preset::Realm), &[]);
    let routes = Some(list([ip_net("192.168.7.0/24")]));
    lab.must("a", NodeNet { routes, exit: Some(true), ..part("g") }, &[]);
    let net = lab.net("n");
    let phone1 = Party::Phone(phone(1));
    let x = Party::Guest(grant(1), node("x"));
    for (line, source, expected) in [
        ("o", v6(&net, at("o")), Some(at("o"))),
        ("o", v4.into(), Some(at("o"))),
        ("m", v6(&net, at("o")), None),
        ("m", v4.into(), None),
        ("g", v6(&net, phone1), Some(phone1)),
        ("k", v6(&net, phone1), None),
        ("x", v6(&net, x), Some(x)),
        ("y", v6(&net, x), None),
        ("g", v6(&net, x), None),
        ("g", ip("192.168.7.1"), None),
        ("g", ip("1.1.1.1"), None),
        ("m", net_service(&lab, 1), None),
    ] {
        assert_eq!(net.carries(node(line), source), expected, "{source} over {line}");
    }
    assert_eq!(
        (net.party_of(v4.into()), net.service_of(net_service(&lab, 1))),
        (Some(at("o")), Some(service(1)))
    );
    for (line, source, may) in [
        ("g", ip("192.168.7.1"), true),
        ("g", ip("1.1.1.1"), true),
        ("g", ip("192.168.8.1"), false),
        ("g", v6(&net, at("o")), false),
        ("k", ip("192.168.7.1"), false),
        ("k", ip("1.1.1.1"), false),
        ("m", net_service(&lab, 1), true),
        ("o", net_service(&lab, 1), false),
        ("g", ip("127.0.0.1"), false),
    ] {
        assert_eq!(net.answers(node(line), source), may, "{source} over {line}");
    }
    // Who is suspended sends nothing from anywhere.
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(node("g"))), &[]);
    let net = lab.net("n");
    let gone = address::of_node(&lab.set.realm(), &node("g"));
    assert_eq!(
        (net.carries(node("g"), gone.into()), net.party_of(v6(&lab.net("n"), at("o")))),
        (None, Some(at("o")))
    );
    assert!(net.addresses(phone1).is_none() && !net.answers(node("g"), ip("1.1.1.1")));
}

fn ip_net(text: &str) -> freehold_wire::Prefix {
    text.parse().unwrap()
}

fn net_service(lab: &Lab, n: u8) -> IpAddr {
    address::of_service(&lab.set.realm(), &service(n)).into()
}

#[test]
fn a_packet_goes_where_the_log_and_this_machine_say() {
    let mut lab = Lab::house();
    lab.must("a", serve(1, &["m", "o"], &[tcp(443)], Preset::Realm), &[]);
    let give = |name, routes: &[&str]| NodeNet {
        routes: Some(list(routes.iter().map(|route| ip_net(route)))),
        exit: Some(name == "g"),
        ..part(name)
    };
    lab.must("a", give("g", &["192.168.0.0/16"]), &[]);
    lab.must("a", give("k", &["192.168.7.0/24"]), &[]);
    let net = lab.net("lc");
    let via = |to: IpAddr, wish: &Wish| net.via(to, wish);
    let (none, all) = (Wish::default(), Wish { exit: Some(node("g")), routes: Accepted::All });
    let only_g = Wish { exit: Some(node("k")), routes: Accepted::Of(vec![node("g")]) };
    for (to, without, with, of_g) in [
        (v6(&net, at("o")), Some("o"), Some("o"), Some("o")),
        (v6(&net, at("lc")), None, None, None),
        (v6(&net, Party::Phone(phone(2))), Some("k"), Some("k"), Some("k")),
        (v6(&net, Party::Guest(grant(1), node("x"))), Some("x"), Some("x"), Some("x")),
        // m was let in before o.
        (net_service(&lab, 1), Some("m"), Some("m"), Some("m")),
        (ip("192.168.7.7"), None, Some("k"), Some("g")),
        (ip("192.168.9.7"), None, Some("g"), Some("g")),
        (ip("10.0.0.1"), None, None, None),
        // k offers no exit.
        (ip("1.1.1.1"), None, Some("g"), None),
        (network_of(&lab.set.realm()).last(), None, None, None),
    ] {
        let named = |name: Option<&str>| name.map(node);
        let expected = (named(without), named(with), named(of_g));
        assert_eq!((via(to, &none), via(to, &all), via(to, &only_g)), expected, "{to}");
    }
    // At a home, a gateway, a router and an exit the way ends.
    assert_eq!(lab.net("o").via(net_service(&lab, 1), &none), None);
    assert_eq!(lab.net("k").via(v6(&net, Party::Phone(phone(2))), &none), None);
    assert!(lab.net("k").serves(&phone(2)) && !lab.net("g").serves(&phone(2)));
    assert_eq!(lab.net("k").via(ip("192.168.7.7"), &all), None);
    assert_eq!(lab.net("g").via(ip("1.1.1.1"), &all), None);
    // What is used of others, for the kernel's routes; of what is behind this machine as well, nothing.
    let used = |name: &str, wish: &Wish| -> Vec<String> {
        lab.net(name).accepted(wish).iter().map(ToString::to_string).collect()
    };
    assert_eq!(used("lc", &all), ["192.168.0.0/16", "192.168.7.0/24"]);
    assert_eq!((used("lc", &only_g), used("lc", &none)), (vec!["192.168.0.0/16".to_owned()], vec![]));
    assert!(used("g", &all).is_empty() && used("k", &all) == ["192.168.0.0/16"]);
    assert!(net.is_exit(&node("g")) && !net.is_exit(&node("k")));
    let behind = |at: &str| lab.net("k").lies_behind(ip(at));
    assert!(behind("192.168.7.7") && behind("1.1.1.1") && !behind("192.168.9.7") && !behind("fe80::1"));
    // A service's address leads to its ports, and to nothing else on its home.
    let judge = |lab: &Lab, from: &str, port| {
        lab.net("m").judge(at(from), &flow(net_service(lab, 1), 6, port)).allowed()
    };
    assert!(judge(&lab, "lc", 443) && !judge(&lab, "lc", 22) && !judge(&lab, "lh", 443));
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(node("m"))), &[]);
    assert_eq!(lab.net("lc").via(net_service(&lab, 1), &none), Some(node("o")));
}

#[test]
fn a_pass_that_has_lapsed_is_nobodys() {
    let mut lab = Lab::house();
    let open = ServiceSet { grants: list([grant(1)]), ..serve(1, &["m"], &[tcp(443)], Preset::Lan) };
    lab.must("a", open, &[]);
    let from = Party::Guest(grant(1), node("x"));
    let own = net_service(&lab, 1);
    let judge = |lab: &Lab| lab.net("m").judge(from, &flow(own, 6, 443)).allowed();
    assert!(judge(&lab));
    // Another machine of that realm, which has shown nothing.
    assert!(!lab.net("m").judge(Party::Guest(grant(1), node("z")), &flow(own, 6, 443)).allowed());
    lab.guests.insert(node("x"), Guest { grant: grant(1), until: Millis(NOW.0 - 1) });
    assert!(!judge(&lab));
}

#[test]
fn a_service_of_another_realm_is_reached_at_its_machine_and_opens_nothing_here() {
    let mut lab = Lab::house();
    let lent = lab.state().grants[&grant(1)].clone();
    let there = IpAddr::V6(address::of_service(&lent.other, &service(9)));
    let abroad = |lab: &Lab, home| {
        let offered = [(grant(1), service(9), node(home))];
        lab.net("m").with_abroad(&lab.state(), offered, NOW)
    };
    let net = abroad(&lab, "x");
    let none = Wish::default();
    assert_eq!(net.via(there, &none), Some(node("x")));
    assert!(
        net.answers(node("x"), there) && !net.answers(node("y"), there) && !net.answers(node("n"), there)
    );
    // It can only answer: nobody stands behind that address.
    assert_eq!((net.carries(node("x"), there), net.party_of(there)), (None, None));
    // A machine that has shown nothing, and one of a realm that lends something else.
    for other in ["z", "n", "y"] {
        assert_eq!(abroad(&lab, other).via(there, &none), None, "{other}");
    }
    lab.must("a", GrantRevoke { grant: grant(1) }, &[]);
    let net = abroad(&lab, "x");
    assert!(net.via(there, &none).is_none() && !net.answers(node("x"), there));
}

#[test]
fn a_large_realm_hangs_together_with_few_connections() {
    let mut lab = Lab::house();
    assert_eq!(neighbours(&lab.state(), &node("lc")).len(), 10);
    let mut state = lab.state();
    let like = state.nodes[&node("lx")].clone();
    for n in 0..200_u8 {
        let roles = match n % 10 {
            0 => NodeRoles::STORAGE,
            1 => NodeRoles::COMPUTE,
            _ => NodeRoles::NONE,
        };
        state.nodes.insert(NodeId::from_bytes([n; 32]), freehold_realm::Node { roles, ..like.clone() });
    }
    let all: Vec<NodeId> = state.nodes.keys().copied().collect();
    assert!(all.len() > CLOSE_MAX);
    let mut edges: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
    for me in &all {
        let kept = neighbours(&state, me);
        let client = state.nodes[me].roles.is_empty();
        assert!(kept.len() <= if client { 8 } else { 25 + 8 } && !kept.contains(me), "{}", kept.len());
        for other in kept {
            assert!(!client || !state.nodes[&other].roles.is_empty());
            edges.entry(*me).or_default().insert(other);
            edges.entry(other).or_default().insert(*me);
        }
    }
    let mut seen: BTreeSet<NodeId> = BTreeSet::new();
    let mut next = vec![all[0]];
    while let Some(at) = next.pop() {
        if seen.insert(at) {
            next.extend(&edges[&at]);
        }
    }
    assert_eq!(seen.len(), all.len());
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(node("o"))), &[]);
    assert!(!neighbours(&lab.state(), &node("lc")).contains(&node("o")));
}

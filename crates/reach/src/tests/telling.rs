//! Who may reach whom, line by line, and what people are told.

use freehold_realm::body::{
    self, NetSet, NodeNet, Ports, Preset, Proto, RuleFrom, RuleTo, ServiceSet, Target,
};
use freehold_realm::{MemberRoles, NodeRoles, draft};
use freehold_wire::Millis;

use super::lab::*;
use crate::{Barrier, Cause, Miss, Party, Through, Why, explain, explain_service};

const TCP: u8 = 6;
const PING: u8 = 58;

fn tcp(port: u16) -> Ports {
    Ports::one(Proto::Tcp, port)
}

fn guest(n: u8, name: &str) -> Party {
    Party::Guest(grant(n), node(name))
}

fn why(lab: &Lab, from: Party, to: &str, port: u16) -> Option<Why> {
    lab.may(from, to, TCP, port).map(|cause| cause.why)
}

#[test]
fn without_a_word_from_anybody_little_is_open() {
    let lab = Lab::house();
    let c1 = Party::Phone(phone(1));
    // (a) Everybody in the realm may see who is there, and nobody else.
    for (from, may) in
        [(at("lx"), true), (at("o"), true), (c1, true), (guest(1, "x"), false), (Party::Lan, false)]
    {
        assert_eq!(lab.may(from, "lc", PING, 7).is_some(), may, "{from:?}");
    }
    for (from, to, port, expected) in [
        // (b) One's own laptop to one's own machines, whatever the port; nobody else's, and no phone.
        (at("lc"), "m", 5432, Some(Why::Own)),
        (at("la"), "n", 5432, Some(Why::Own)),
        (at("la"), "m", 5432, None),
        (at("lc"), "n", 5432, None),
        (at("lx"), "m", 22, None),
        (c1, "m", 5432, None),
        // A machine with a role is nobody's laptop: what takes it over has not all that its owner has.
        (at("m"), "lc", 22, None),
        (at("n"), "o", 22, None),
        // (c) Admins and operators administer servers, and not other people's laptops.
        (at("lb"), "o", 22, Some(Why::Steward)),
        (at("lq"), "m", 8443, Some(Why::Steward)),
        (at("lq"), "m", 8444, None),
        (at("lb"), "lc", 22, None),
        (at("lc"), "o", 22, None),
        (at("lh"), "o", 22, None),
        // (d) Members ask gateways for names.
        (at("lc"), "g", 53, Some(Why::Names)),
        (c1, "g", 853, Some(Why::Names)),
        (at("lh"), "g", 53, None),
        (at("lc"), "o", 53, None),
        (Party::Lan, "g", 53, None),
        (guest(1, "x"), "g", 53, None),
    ] {
        assert_eq!(why(&lab, from, to, port), expected, "{from:?} to {to} at {port}");
    }
}

#[test]
fn strict_takes_ones_own_laptop_its_rights() {
    let mut lab = Lab::house();
    lab.must("a", NetSet { strict: true, ..NetSet::default() }, &[]);
    assert_eq!(why(&lab, at("lc"), "m", 5432), None);
    assert_eq!(why(&lab, at("la"), "n", 22), Some(Why::Steward));
}

#[test]
fn a_service_is_open_to_whom_its_preset_says() {
    let mut lab = Lab::house();
    let parties = || {
        let nodes = ["la", "lq", "lc", "lh", "lx", "o", "k"].map(at);
        let others =
            [Party::Phone(phone(1)), Party::Phone(phone(2)), guest(1, "x"), guest(2, "y"), Party::Lan];
        nodes.into_iter().chain(others)
    };
    let open_to = |lab: &Lab| -> String {
        let may = parties().map(|from| why(lab, from, "m", 443) == Some(Why::Service(service(1))));
        may.map(|may| if may { '+' } else { '-' }).collect()
    };
    for (preset, lent, gateway, expected) in [
        //                             a q c h x o k 1 2 x y lan
        (Preset::Realm, false, false, "++?---++----"),
        (Preset::Lan, false, false, "--?----+---+"),
        (Preset::Public, false, false, "++?++++++--+"),
        (Preset::Lan, true, false, "--?----+-+-+"),
        (Preset::Lan, false, true, "--?---++---+"),
    ] {
        let grants = if lent { list([grant(1)]) } else { list([]) };
        let gateways = if gateway { list([node("k")]) } else { list([]) };
        lab.must("a", ServiceSet { grants, gateways, ..serve(1, &["m"], &[tcp(443)], preset) }, &[]);
        // c's own laptop reaches everything on m anyway.
        assert_eq!(why(&lab, at("lc"), "m", 443), Some(Why::Own));
        let open = open_to(&lab);
        let same = open.chars().zip(expected.chars()).all(|(is, should)| is == should || should == '?');
        assert!(same, "{preset:?} {lent} {gateway}: {open}");
        assert_eq!(why(&lab, at("la"), "m", 444), None);
        assert_eq!(why(&lab, at("la"), "o", 443), None);
    }
    lab.must("a", body::ServiceEnd { service: service(1) }, &[]);
    assert!(!open_to(&lab).contains('+'));
}

#[test]
fn a_rule_opens_what_it_says_for_as_long_as_it_says() {
    let mut lab = Lab::house();
    lab.must("a", serve(1, &["m"], &[tcp(443)], Preset::Lan), &[]);
    let (c1, h2) = (Party::Phone(phone(1)), Party::Phone(phone(2)));
    for (from, to, yes, no) in [
        (
            RuleFrom::Person(person("h")),
            RuleTo::Node(node("o")),
            vec![(at("lh"), "o"), (h2, "o")],
            vec![(at("lh"), "n"), (c1, "o")],
        ),
        (
            RuleFrom::Person(person("c")),
            RuleTo::All,
            vec![(at("lc"), "lh"), (c1, "n")],
            vec![(at("m"), "n"), (at("lx"), "n")],
        ),
        (
            RuleFrom::Members(MemberRoles::GUEST),
            RuleTo::All,
            vec![(at("lh"), "n")],
            vec![(at("lx"), "n"), (c1, "n")],
        ),
        (
            RuleFrom::Nodes(NodeRoles::GATEWAY),
            RuleTo::Node(node("o")),
            vec![(at("g"), "o")],
            vec![(at("n"), "o"), (at("lc"), "o")],
        ),
        (RuleFrom::Node(node("lx")), RuleTo::Node(node("o")), vec![(at("lx"), "o")], vec![(at("lh"), "o")]),
        (RuleFrom::Phone(phone(2)), RuleTo::All, vec![(h2, "g")], vec![(c1, "n"), (at("lh"), "g")]),
        (
            RuleFrom::Grant(grant(2)),
            RuleTo::Node(node("o")),
            vec![(guest(2, "y"), "o")],
            vec![(guest(1, "x"), "o"), (guest(2, "y"), "n")],
        ),
    ] {
        let rule = allow(1, from, to, &[tcp(3000)]);
        let op = lab.must("a", rule.clone(), &[]);
        let cause = Cause { why: Why::Rule(rule.rule), op };
        for (from, to) in yes {
            assert_eq!(lab.may(from, to, TCP, 3000), Some(cause), "{from:?} to {to}");
            assert_eq!(lab.may(from, to, 17, 3000), None);
        }
        for (from, to) in no {
            assert_eq!(why(&lab, from, to, 3000), None, "{from:?} to {to}");
        }
    }
    // Whoever may send everything may also see whether somebody is there.
    assert_eq!(lab.may(guest(2, "y"), "o", PING, 1), None);
    lab.must("a", allow(1, RuleFrom::Grant(grant(2)), RuleTo::Node(node("o")), &[Ports::ALL]), &[]);
    assert!(lab.may(guest(2, "y"), "o", PING, 1).is_some());
    // A service has its own ports, and that machine's others stay shut.
    let rule = allow(1, RuleFrom::Person(person("h")), RuleTo::Service(service(1)), &[]);
    lab.must("a", rule.clone(), &[]);
    assert_eq!(
        (why(&lab, at("lh"), "m", 443), why(&lab, at("lh"), "m", 22)),
        (Some(Why::Rule(rule.rule)), None)
    );
    lab.must("a", body::RuleSet { until: Some(Millis(NOW.0 - 1)), ..rule.clone() }, &[]);
    assert_eq!(why(&lab, at("lh"), "m", 443), None);
    lab.must("a", body::RuleSet { until: Some(NOW), ..rule.clone() }, &[]);
    assert!(why(&lab, at("lh"), "m", 443).is_some());
    assert_eq!(lab.net("m").next_change(), Some(Millis(NOW.0 + 1)));
    lab.must("b", body::RuleEnd { rule: rule.rule }, &[]);
    assert_eq!(why(&lab, at("lh"), "m", 443), None);
}

#[test]
fn what_stands_in_the_way_is_told_with_the_operation() {
    let mut lab = Lab::house();
    let story = |lab: &Lab, from: Party, to: Party, port| explain(&lab.state(), NOW, from, to, TCP, port);
    // Nothing opens it: what comes near is told.
    let opened = lab.must("a", serve(1, &["m"], &[tcp(443)], Preset::Realm), &[]);
    let near = story(&lab, at("lh"), at("m"), 443).near;
    assert_eq!(near, Some((Miss::Who, Cause { why: Why::Service(service(1)), op: opened })));
    let near = story(&lab, at("lb"), at("m"), 5000).near.unwrap();
    assert_eq!((near.0, near.1.why), (Miss::Port, Why::Steward));
    assert_eq!(story(&lab, at("lc"), Party::Phone(phone(1)), 1).receiver, Some(Barrier::NoReceiver));
    assert_eq!(story(&lab, at("zz"), at("m"), 1).sender, Some(Barrier::Unknown));
    // A machine, a person, a device, a phone, a grant.
    let by = lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(node("la"))), &[]);
    assert_eq!(story(&lab, at("la"), at("n"), 22).sender, Some(Barrier::Suspended { by }));
    assert_eq!(story(&lab, at("n"), at("la"), 22).receiver, Some(Barrier::Suspended { by }));
    assert_eq!(lab.may(at("la"), "n", PING, 0), None);
    let by = lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Person(person("c"))), &[]);
    // A laptop goes with its owner, a server does not.
    assert_eq!(story(&lab, at("lc"), at("m"), 443).sender, Some(Barrier::Suspended { by }));
    assert_eq!(lab.may(at("lc"), "m", PING, 0), None);
    assert_eq!(lab.net("n").party_of(lab.net("n").addresses(at("m")).unwrap().0.into()), Some(at("m")));
    assert!(lab.net("n").addresses(at("lc")).is_none() && lab.may(at("m"), "n", PING, 0).is_some());
    let from = Party::Phone(phone(1));
    assert_eq!(story(&lab, from, at("g"), 53).sender, Some(Barrier::Suspended { by }));
    let by = lab.must("a", body::PhoneEnd { phone: phone(2) }, &[]);
    assert_eq!(story(&lab, Party::Phone(phone(2)), at("g"), 53).sender, Some(Barrier::Ended { by }));
    let by = lab.must("a", body::GrantRevoke { grant: grant(1) }, &[]);
    assert_eq!(story(&lab, guest(1, "x"), at("m"), 443).sender, Some(Barrier::Ended { by }));
    let target = Target::Grant(grant(2));
    let by = lab.must("a", body::Suspend { target, last: list([]) }, &[]);
    assert_eq!(story(&lab, guest(2, "y"), at("m"), 443).sender, Some(Barrier::Suspended { by }));
    lab.must("a", call(3, "q", "k"), &[]);
    assert_eq!(story(&lab, Party::Phone(phone(3)), at("g"), 53).sender, None);
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(node("k"))), &[]);
    assert_eq!(story(&lab, Party::Phone(phone(3)), at("g"), 53).sender, Some(Barrier::NoGateway));
    let said_in = lab.must("a", body::PhoneAdd { until: Some(Millis(5)), ..call(4, "q", "g") }, &[]);
    assert_eq!(story(&lab, Party::Phone(phone(4)), at("g"), 53).sender, Some(Barrier::Lapsed { said_in }));
}

#[test]
fn a_phone_goes_with_the_device_that_let_it_in() {
    let mut lab = Lab::house();
    let more = draft::add_device(&lab.state(), &key("c"), &key("c2"), box_key("c2")).unwrap();
    lab.must("c", more, &[]);
    let mine = |n| Party::Phone(phone(n));
    // Whoever has the laptop for an hour.
    lab.must("c2", call(7, "c", "g"), &[]);
    assert_eq!(why(&lab, mine(7), "g", 53), Some(Why::Names));
    let gone = draft::remove_device(&lab.set, &lab.state(), &key("c"), key_id("c2")).unwrap();
    lab.must("c", gone, &[]);
    assert_eq!(why(&lab, mine(7), "g", 53), None);
    let sender = |lab: &Lab, n| explain(&lab.state(), NOW, mine(n), at("g"), TCP, 53).sender;
    assert_eq!(sender(&lab, 7), Some(Barrier::NoGiver));
    // What was the owner's after all is said again.
    lab.must("c", call(7, "c", "k"), &[]);
    assert_eq!(why(&lab, mine(7), "g", 53), Some(Why::Names));
    // The same of an admin's device, for somebody else's phone.
    lab.must("b", call(8, "q", "g"), &[]);
    assert_eq!(sender(&lab, 8), None);
    let target = Target::Device(key_id("b"));
    let body = draft::suspend(&lab.set, &lab.state(), target);
    lab.must("a", body, &["b"]);
    assert_eq!(sender(&lab, 8), Some(Barrier::NoGiver));
}

#[test]
fn a_laptop_is_the_persons_whose_device_came_with_it_while_that_is_theirs() {
    let mut lab = Lab::house();
    let delegate = draft::delegate_device(&lab.state(), &key("a"), key("i").verifying()).unwrap();
    let (roles, expires) = (NodeRoles::NONE, Millis(START + 9 * DAY));
    lab.must(
        "a",
        body::InvitationIssue { key: key("i").verifying(), roles, expires, device: Some(delegate) },
        &[],
    );
    let device = draft::invited_device(&lab.state(), &key("i"), &key("a2"), box_key("a2"));
    let redeem = body::InvitationRedeem { node: key("l2").verifying(), box_key: box_key("l2"), device };
    let came = lab.must("i", redeem, &["l2", "a"]);
    assert_eq!(lab.may(at("l2"), "n", TCP, 5432), Some(Cause { why: Why::Own, op: came }));
    // Whoever merely let it in does not own it.
    assert_eq!(why(&lab, at("lx"), "n", 5432), None);
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Device(key_id("a2"))), &[]);
    assert_eq!(why(&lab, at("l2"), "n", 5432), None);
    // What an admin says counts before that.
    let said = lab.must("b", owned("l2", "c"), &[]);
    assert_eq!(lab.may(at("l2"), "m", TCP, 5432), Some(Cause { why: Why::Own, op: said }));
}

#[test]
fn an_exit_leads_to_the_internet_and_not_into_the_house() {
    let mut lab = Lab::house();
    let judge = |lab: &Lab, from: Party, to: &str| {
        lab.net("g").judge(from, &flow(to.parse().unwrap(), TCP, 443)).cause.map(|cause| cause.why)
    };
    assert_eq!(judge(&lab, at("lc"), "1.1.1.1"), None);
    let routes = Some(list(["192.168.7.0/24".parse().unwrap()]));
    lab.must("a", NodeNet { exit: Some(true), routes, ..part("g") }, &[]);
    let c1 = Party::Phone(phone(1));
    for (from, to, expected) in [
        (at("lc"), "1.1.1.1", Some(Why::Exit)),
        (c1, "2606:4700::1111", Some(Why::Exit)),
        (at("lc"), "192.168.7.9", Some(Why::Route)),
        (at("lh"), "1.1.1.1", None),
        (at("lh"), "192.168.7.9", None),
        (at("o"), "1.1.1.1", None),
        (at("lx"), "1.1.1.1", None),
        (guest(1, "x"), "1.1.1.1", None),
        // What the exit itself stands in, or is.
        (at("lc"), "192.168.1.1", None),
        (at("lc"), "10.0.0.1", None),
        (at("lc"), "127.0.0.1", None),
        (at("lc"), "169.254.169.254", None),
        (at("lc"), "224.0.0.251", None),
        (at("lc"), "255.255.255.255", None),
        (at("lc"), "fe80::1", None),
        (at("lc"), "fd12::1", None),
        (at("lc"), "::1", None),
        (at("lc"), "::ffff:192.168.1.1", None),
        (at("lc"), "ff02::1", None),
        (at("lc"), "0.0.0.0", None),
        (at("lc"), "241.0.0.1", None),
    ] {
        assert_eq!(judge(&lab, from, to), expected, "{from:?} to {to}");
    }
    let said = NetSet { guests_exit: true, ..NetSet::default() };
    lab.must("a", said, &[]);
    assert_eq!(
        (judge(&lab, at("lh"), "1.1.1.1"), judge(&lab, at("lh"), "192.168.7.9")),
        (Some(Why::Exit), None)
    );
    let through = lab.net("g").through();
    let address = |of| std::net::IpAddr::from(lab.net("g").addresses(of).unwrap().0);
    assert!([at("lc"), at("lh"), c1].into_iter().all(|of| through.world.contains(&address(of))));
    // What guests may is the internet alone.
    assert!(through.behind.contains(&address(at("lc"))) && !through.behind.contains(&address(at("lh"))));
    for of in [at("o"), at("lx"), guest(1, "x")].map(address) {
        assert!(!through.world.contains(&of) && !through.behind.contains(&of));
    }
    assert_eq!(lab.net("k").through(), Through::default());
}

#[test]
fn at_a_services_own_address_only_its_ports_are_open() {
    let mut lab = Lab::house();
    let op = lab.must("a", serve(1, &["m", "o"], &[tcp(443)], Preset::Realm), &[]);
    let ask = |lab: &Lab, from, port| explain_service(&lab.state(), NOW, from, service(1), (TCP, port));
    let (home, told) = ask(&lab, at("lc"), 443);
    assert_eq!(told.verdict.cause, Some(Cause { why: Why::Service(service(1)), op }));
    // As it is judged where it arrives, also of c's own laptop, which reaches everything on m.
    let place = crate::address::of_service(&lab.state().realm, &service(1)).into();
    let home = home.unwrap();
    for (from, port) in [(at("lc"), 443), (at("lc"), 22), (at("lh"), 443), (at("lq"), 22), (at("o"), 443)] {
        let net = seen_by(&lab, home);
        assert_eq!(
            ask(&lab, from, port).1.verdict,
            net.judge(from, &flow(place, TCP, port)),
            "{from:?} {port}"
        );
    }
    assert_eq!(ask(&lab, at("lh"), 443).1.near.map(|(miss, _)| miss), Some(Miss::Who));
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(home)), &[]);
    assert_ne!(ask(&lab, at("lc"), 443).0, Some(home));
    let other = ask(&lab, at("lc"), 443).0.unwrap();
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(other)), &[]);
    assert_eq!(ask(&lab, at("lc"), 443).1.receiver, Some(Barrier::NoHome));
    let by = lab.must("a", body::ServiceEnd { service: service(1) }, &[]);
    assert_eq!(ask(&lab, at("lc"), 443).1.receiver, Some(Barrier::Ended { by }));
}

fn seen_by(lab: &Lab, me: freehold_wire::NodeId) -> crate::Net {
    crate::Net::of(&lab.state(), me, &lab.guests, NOW)
}

#[test]
fn a_persons_hands_are_their_laptops_and_phones() {
    let mut lab = Lab::house();
    let of = |lab: &Lab, name: &str| crate::hands(&lab.state(), &person(name));
    assert_eq!(of(&lab, "c"), [at("lc"), Party::Phone(phone(1))]);
    assert_eq!(crate::owner_of_node(&lab.state(), &node("m")), Some(person("c")));
    assert_eq!(crate::owner_of_node(&lab.state(), &node("o")), None);
    // What has no rights at present is theirs all the same.
    lab.must("a", draft::suspend(&lab.set, &lab.state(), Target::Node(node("lc"))), &[]);
    assert_eq!(of(&lab, "c"), [at("lc"), Party::Phone(phone(1))]);
    assert!(matches!(crate::barrier(&lab.state(), NOW, at("lc")), Some(Barrier::Suspended { .. })));
}

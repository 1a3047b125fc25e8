//! What is said of the network, by whom it counts, and what happens where two say it apart.

use freehold_wire::{Bounded, GrantId, Millis, NodeId, OpId, PhoneId, Prefix, RuleId, ServiceId};

use crate::body::{
    self, Body, NOBODY, NetSet, NodeNet, PhoneAdd, Ports, Preset, Proto, RuleFrom, RuleSet, RuleTo,
    ServiceSet, Terms,
};
use crate::roles::{MemberRoles, NodeRoles};
use crate::state::own_range;

use super::Scene;
use crate::tests::lab::*;

pub(crate) const NETWORK: &[Scene] = &[
    Scene {
        name: "network_said",
        about: "Admins say what the network is like; nodes and members try to, and may what is their own.",
        play: said,
    },
    Scene {
        name: "network_numbers",
        about: "What does not fit: ports, lists, addresses and networks that are not people's own.",
        play: numbers,
    },
    Scene {
        name: "network_twice",
        about: "Two admins who do not hear of each other give one address and one network to two nodes: one holds. An address outside a changed range waits for the range to come back.",
        play: twice,
    },
    Scene {
        name: "network_suspended",
        about: "A suspended admin's word about the network is held, and what they say knowing of it is void; who is no member adds no phone.",
        play: suspended,
    },
    Scene {
        name: "network_ended",
        about: "What was ended stays ended, whatever was changed elsewhere at the same time.",
        play: ended,
    },
];

pub(crate) fn service(n: u8) -> ServiceId {
    ServiceId::from_bytes([n; 32])
}

pub(crate) fn rule(n: u8) -> RuleId {
    RuleId::from_bytes([n; 32])
}

pub(crate) fn phone(n: u8) -> PhoneId {
    PhoneId::from_bytes([n; 32])
}

pub(crate) fn grant(n: u8) -> GrantId {
    GrantId::from_bytes([n; 32])
}

pub(crate) fn tcp(port: u16) -> Ports {
    Ports::one(Proto::Tcp, port)
}

fn sorted_nodes<const N: usize>(names: &[&str]) -> Bounded<NodeId, N> {
    let mut nodes: Vec<NodeId> = names.iter().map(|name| node_id(name)).collect();
    nodes.sort();
    list(nodes)
}

pub(crate) fn serve(n: u8, homes: &[&str], preset: Preset) -> ServiceSet {
    let (homes, gateways) = (sorted_nodes(homes), list([]));
    ServiceSet {
        service: service(n),
        homes,
        ports: list([tcp(443)]),
        preset,
        grants: list([]),
        gateways,
        sign_on: false,
    }
}

pub(crate) fn allow(n: u8, from: RuleFrom, to: RuleTo, ports: &[Ports]) -> RuleSet {
    RuleSet {
        rule: rule(n),
        from: list([from]),
        to: list([to]),
        ports: list(ports.iter().copied()),
        until: None,
    }
}

pub(crate) fn call(n: u8, whose: &str, gateways: &[&str]) -> PhoneAdd {
    let (key, gateways) = (box_key(&format!("phone {n}")), sorted_nodes(gateways));
    PhoneAdd { phone: phone(n), key, person: person(whose), gateways, until: None }
}

pub(crate) fn lend(n: u8) -> Body {
    let terms = Terms {
        resource: body::Resource::Services,
        ceilings: body::Ceilings::default(),
        from: Millis(START),
        until: Millis(START + 365 * DAY),
        wind_down_days: 0,
    };
    let (to, keys) = (freehold_wire::RealmId::from_bytes([8; 32]), list([key("pass").verifying()]));
    body::GrantOffer { grant: grant(n), to, terms, keys, homes: None }.into()
}

/// The address with this last number in the realm's own range.
pub(crate) fn v4(lab: &Lab, last: u8) -> std::net::Ipv4Addr {
    let std::net::IpAddr::V4(first) = own_range(&lab.set.realm()).first() else {
        unreachable!("a range of IPv4")
    };
    let [a, b, c, _] = first.octets();
    std::net::Ipv4Addr::new(a, b, c, last)
}

fn part(name: &str) -> NodeNet {
    NodeNet::of(node_id(name))
}

fn routes(of: &[&str]) -> Bounded<Prefix, { body::ROUTES_MAX }> {
    list(of.iter().map(|text| text.parse().unwrap()))
}

/// Admins a and b, an operator q, a member c, a guest h; a store n, gateways g and k.
fn house() -> Lab {
    let mut lab = Lab::new(&["a", "b"]);
    lab.say("a", add_member("c"), &[]);
    for (name, roles) in [("q", MemberRoles::OPERATOR), ("h", MemberRoles::GUEST)] {
        lab.say("a", body::MemberAdd { chain: list([founding(name)]), roles }, &[]);
    }
    for (name, roles) in [("n", NodeRoles::STORAGE), ("g", NodeRoles::GATEWAY), ("k", NodeRoles::GATEWAY)] {
        lab.say("a", add_node(name, roles), &[name]);
    }
    lab.say("a", lend(1), &[]);
    lab
}

fn check(lab: &Lab, said: Vec<(OpId, &str)>) {
    for (at, (op, code)) in said.into_iter().enumerate() {
        assert_eq!(lab.code(&op), code, "{at}");
    }
}

/// Who says what, and what becomes of it.
type Steps = Vec<(&'static str, Body, &'static str)>;

fn about_nodes(lab: &Lab) -> Steps {
    let all = NodeNet {
        v4: Some(v4(lab, 9)),
        exit: Some(true),
        routes: Some(routes(&["192.168.7.0/24", "fd77::/32"])),
        owner: Some(person("c")),
        ingress: Some(true),
        ..part("g")
    };
    let less = NodeNet { exit: Some(false), owner: Some(NOBODY), ..part("g") };
    let strict = NetSet { range: None, guests_exit: true, strict: true };
    vec![
        ("g", NetSet::default().into(), "not-allowed"),
        ("q", strict.into(), "not-allowed"),
        ("a", strict.into(), "ok"),
        ("g", all.clone().into(), "not-allowed"),
        ("c", all.clone().into(), "not-allowed"),
        ("a", all.into(), "ok"),
        ("b", less.into(), "ok"),
        ("a", NodeNet { owner: Some(person("s")), ..part("g") }.into(), "no-such"),
        ("a", part("o").into(), "no-such"),
    ]
}

fn about_services() -> Steps {
    let open = ServiceSet {
        grants: list([grant(1)]),
        gateways: sorted_nodes(&["g"]),
        sign_on: true,
        ..serve(1, &["n", "k"], Preset::Public)
    };
    let lent = |n| ServiceSet { grants: list([grant(n)]), ..serve(3, &["k"], Preset::Realm) };
    vec![
        ("n", open.clone().into(), "not-allowed"),
        ("c", open.clone().into(), "not-allowed"),
        ("g", open.clone().into(), "not-allowed"),
        ("q", open.into(), "ok"),
        ("k", serve(1, &["k"], Preset::Realm).into(), "not-allowed"),
        ("k", serve(2, &["k"], Preset::Realm).into(), "ok"),
        ("k", serve(2, &["k"], Preset::Public).into(), "not-allowed"),
        ("g", serve(2, &["g"], Preset::Realm).into(), "not-allowed"),
        ("k", serve(3, &["g"], Preset::Realm).into(), "not-allowed"),
        ("k", lent(1).into(), "not-allowed"),
        ("q", lent(2).into(), "no-such"),
        ("q", serve(3, &["o"], Preset::Realm).into(), "no-such"),
        ("q", serve(4, &["n"], Preset::Lan).into(), "ok"),
        ("c", body::ServiceEnd { service: service(4) }.into(), "not-allowed"),
        ("n", body::ServiceEnd { service: service(2) }.into(), "not-allowed"),
        ("k", body::ServiceEnd { service: service(1) }.into(), "not-allowed"),
        ("g", body::ServiceEnd { service: service(4) }.into(), "not-allowed"),
        ("n", body::ServiceEnd { service: service(4) }.into(), "ok"),
        ("q", serve(4, &["n"], Preset::Lan).into(), "no-such"),
        ("a", body::ServiceEnd { service: service(9) }.into(), "no-such"),
    ]
}

fn about_rules_and_phones() -> Steps {
    let guests = allow(1, RuleFrom::Members(MemberRoles::GUEST), RuleTo::Service(service(1)), &[]);
    let ports = [tcp(22), Ports::one(Proto::Udp, 53)];
    let mut long = allow(2, RuleFrom::Person(person("c")), RuleTo::Node(node_id("n")), &ports);
    let (nodes, grants) = (RuleFrom::Nodes(NodeRoles::GATEWAY), RuleFrom::Grant(grant(1)));
    long.from = list([RuleFrom::Person(person("c")), nodes, grants]);
    long.until = Some(Millis(START + DAY));
    let anything = |from| allow(3, from, RuleTo::All, &[Ports::ALL]);
    vec![
        ("q", guests.clone().into(), "not-allowed"),
        ("a", guests.into(), "ok"),
        ("a", long.into(), "ok"),
        ("a", anything(RuleFrom::Phone(phone(1))).into(), "no-such"),
        ("a", anything(RuleFrom::Grant(grant(2))).into(), "no-such"),
        ("a", allow(3, RuleFrom::Node(node_id("n")), RuleTo::Service(service(4)), &[]).into(), "no-such"),
        ("c", call(1, "c", &["g"]).into(), "ok"),
        ("c", call(2, "a", &["g"]).into(), "not-allowed"),
        ("h", call(2, "h", &["g"]).into(), "not-allowed"),
        ("g", call(2, "c", &["g"]).into(), "not-allowed"),
        ("a", call(2, "h", &["g", "k"]).into(), "ok"),
        ("a", call(3, "s", &["g"]).into(), "no-such"),
        ("a", call(3, "c", &["o"]).into(), "no-such"),
        ("a", PhoneAdd { person: person("h"), ..call(1, "c", &["g"]) }.into(), "in-use"),
        ("a", PhoneAdd { key: box_key("other"), ..call(1, "c", &["g"]) }.into(), "in-use"),
        ("a", PhoneAdd { until: Some(Millis(START + DAY)), ..call(1, "c", &["g", "k"]) }.into(), "ok"),
        ("a", PhoneAdd { phone: phone(3), ..call(1, "c", &["g"]) }.into(), "in-use"),
        ("a", anything(RuleFrom::Phone(phone(1))).into(), "ok"),
        ("q", body::RuleEnd { rule: rule(3) }.into(), "not-allowed"),
        ("b", body::RuleEnd { rule: rule(3) }.into(), "ok"),
        ("b", body::RuleEnd { rule: rule(3) }.into(), "no-such"),
        ("c", body::PhoneEnd { phone: phone(2) }.into(), "not-allowed"),
        ("h", body::PhoneEnd { phone: phone(2) }.into(), "ok"),
        ("a", call(2, "h", &["g"]).into(), "in-use"),
    ]
}

fn said() -> Lab {
    let mut lab = house();
    let steps = about_nodes(&lab).into_iter().chain(about_services()).chain(about_rules_and_phones());
    let said = steps.map(|(who, body, code)| (lab.say(who, body, &[]), code)).collect();
    check(&lab, said);
    let state = lab.fold().state;
    let of = &state.nodes[&node_id("g")].network;
    assert_eq!(of.v4.as_ref().unwrap().what, v4(&lab, 9));
    assert_eq!((of.exit, of.owner.as_ref(), of.ingress.is_some()), (None, None, true));
    let live = [state.live_services().count(), state.live_rules().count(), state.live_phones().count()];
    assert_eq!(live, [2, 2, 1]);
    lab
}

fn numbers() -> Lab {
    let mut lab = house();
    let range = |text: &str| NetSet { range: Some(text.parse().unwrap()), ..NetSet::default() };
    let lies = |of: &[&str]| NodeNet { routes: Some(routes(of)), ..part("n") };
    let own = crate::state::network_of(&lab.set.realm()).to_string();
    let carriers = own_range(&lab.set.realm()).to_string();
    let at = |lab: &Lab, last| NodeNet { v4: Some(v4(lab, last)), ..part("n") };
    let from = RuleFrom::Node(node_id("g"));
    let (none, all) = (RuleFrom::Members(MemberRoles::NONE), RuleTo::All);
    let service_at = |ports: &[Ports]| ServiceSet {
        ports: list(ports.iter().copied()),
        ..serve(1, &["n"], Preset::Realm)
    };
    let odd = Ports { proto: Proto::Any, first: 80, last: 80 };
    let twice = ServiceSet { homes: list([node_id("n"), node_id("n")]), ..service_at(&[tcp(80)]) };
    let steps: Vec<(Body, &str)> = vec![
        (range("8.0.0.0/8").into(), "numbers"),
        (range("10.0.0.0/31").into(), "numbers"),
        (range("fd00::/8").into(), "numbers"),
        (lies(&["192.168.0.0/16", "10.0.0.0/8"]).into(), "numbers"),
        (lies(&["1.0.0.0/8"]).into(), "numbers"),
        (lies(&["fd00::/8"]).into(), "numbers"),
        (lies(&[&own]).into(), "numbers"),
        (lies(&[&carriers]).into(), "numbers"),
        (lies(&["10.0.0.0/8", "192.168.0.0/16"]).into(), "ok"),
        (range("10.1.0.0/16").into(), "in-use"),
        (at(&lab, 0).into(), "numbers"),
        (NodeNet { v4: Some([10, 1, 0, 1].into()), ..part("n") }.into(), "numbers"),
        (at(&lab, 1).into(), "ok"),
        (service_at(&[]).into(), "numbers"),
        (service_at(&[tcp(0)]).into(), "numbers"),
        (service_at(&[odd]).into(), "numbers"),
        (service_at(&[tcp(81), tcp(80)]).into(), "numbers"),
        (twice.into(), "numbers"),
        (serve(1, &[], Preset::Realm).into(), "numbers"),
        (service_at(&[tcp(80), Ports { proto: Proto::Udp, first: 5000, last: 5100 }]).into(), "ok"),
        (allow(1, none, all, &[tcp(80)]).into(), "numbers"),
        (allow(1, from, all, &[]).into(), "numbers"),
        (allow(1, from, RuleTo::Service(service(1)), &[tcp(80)]).into(), "numbers"),
        (RuleSet { from: list([]), ..allow(1, from, all, &[tcp(80)]) }.into(), "numbers"),
        (call(1, "c", &[]).into(), "numbers"),
    ];
    let said = steps.into_iter().map(|(body, code)| (lab.say("a", body, &[]), code)).collect();
    check(&lab, said);
    lab
}

fn twice() -> Lab {
    let mut lab = house();
    let heads = lab.heads();
    let give = |lab: &Lab, node, last| NodeNet {
        v4: Some(v4(lab, last)),
        routes: Some(routes(&["192.168.7.0/24"])),
        ..part(node)
    };
    let (one, two) = (give(&lab, "n", 5), give(&lab, "g", 5));
    let one = lab.say_from(&heads, "a", one, &[]);
    let two = lab.say_from(&heads, "b", two, &[]);
    let mut outcome = [lab.code(&one), lab.code(&two)];
    outcome.sort_unstable();
    assert_eq!(outcome, ["in-use", "ok"]);
    // Who is asked again hears which.
    let again = give(&lab, if lab.code(&one) == "ok" { "g" } else { "n" }, 6);
    let again = lab.say("a", again, &[]);
    assert_eq!(lab.code(&again), "in-use");
    let narrower = NodeNet { routes: Some(routes(&["192.168.7.0/25"])), v4: Some(v4(&lab, 7)), ..part("k") };
    let narrower = lab.say("a", narrower, &[]);
    assert_eq!(lab.code(&narrower), "ok");
    let kept = |lab: &Lab| lab.fold().state.nodes[&node_id("k")].network.v4.is_some();
    lab.say("a", NetSet { range: Some("10.9.0.0/16".parse().unwrap()), ..NetSet::default() }, &[]);
    assert!(!kept(&lab));
    lab.say("b", NetSet::default(), &[]);
    assert!(kept(&lab));
    // A node that goes leaves its address to others, and comes back without.
    lab.say("a", body::NodeRemove { node: node_id("k"), last: 0 }, &[]);
    let freed = NodeNet { v4: Some(v4(&lab, 7)), ..part("n") };
    let freed = lab.say("a", freed, &[]);
    lab.say("a", add_node("k", NodeRoles::GATEWAY), &["k"]);
    assert_eq!((lab.code(&freed), kept(&lab)), ("ok", false));
    lab
}

fn suspended() -> Lab {
    let mut lab = Lab::new(&["a", "b", "m"]);
    lab.say("a", add_member("c"), &[]);
    lab.say("a", add_node("g", NodeRoles::GATEWAY), &["g"]);
    let heads = lab.heads();
    let early = lab.say("m", allow(1, RuleFrom::Person(person("c")), RuleTo::All, &[tcp(22)]), &[]);
    let last = lab.set.last_seq(&key_id("m"));
    lab.say("a", suspend("m", last), &["b"]);
    let late =
        lab.say_from(&heads, "m", allow(2, RuleFrom::Person(person("c")), RuleTo::All, &[Ports::ALL]), &[]);
    let knowing = lab.say("m", NodeNet { exit: Some(true), ..part("g") }, &[]);
    let phone_of = lab.say("c", call(1, "c", &["g"]), &[]);
    assert_eq!(
        [&early, &late, &knowing, &phone_of].map(|op| lab.code(op)),
        ["ok", "held", "suspended", "ok"]
    );
    lab.say("a", remove("c", 1), &[]);
    let after = lab.say("c", call(2, "c", &["g"]), &[]);
    assert_eq!(lab.code(&after), "stranger");
    lab
}

fn ended() -> Lab {
    let mut lab = house();
    lab.say("a", serve(1, &["n"], Preset::Realm), &[]);
    lab.say("a", allow(1, RuleFrom::Person(person("c")), RuleTo::All, &[tcp(22)]), &[]);
    lab.say("a", call(1, "c", &["g"]), &[]);
    let heads = lab.heads();
    let ends: [Body; 3] = [
        body::ServiceEnd { service: service(1) }.into(),
        body::RuleEnd { rule: rule(1) }.into(),
        body::PhoneEnd { phone: phone(1) }.into(),
    ];
    let mut mine = heads.clone();
    for end in ends {
        let end = lab.say_from(&mine, "a", end, &[]);
        mine = vec![end];
    }
    let mut theirs = heads;
    let wider: [Body; 3] = [
        ServiceSet { grants: list([grant(1)]), ..serve(1, &["n", "k"], Preset::Public) }.into(),
        allow(1, RuleFrom::Nodes(NodeRoles::STORAGE), RuleTo::All, &[Ports::ALL]).into(),
        call(1, "h", &["k"]).into(),
    ];
    for body in wider {
        let said = lab.say_from(&theirs, "b", body, &[]);
        theirs = vec![said];
    }
    let state = lab.fold().state;
    assert_eq!(
        (state.live_services().count(), state.live_rules().count(), state.live_phones().count()),
        (0, 0, 0)
    );
    assert_eq!(state.services[&service(1)].ended.is_some(), state.rules[&rule(1)].ended.is_some());
    lab
}

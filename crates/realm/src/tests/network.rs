//! The network's part of the state: random histories of people who do not always hear each other.

use freehold_wire::{Millis, OpId};
use serde_json::{Value, json};

use crate::body::{self, Body, NOBODY, NetSet, NodeNet, Ports, Preset, Proto, RuleFrom, RuleTo, ServiceSet};
use crate::fold::{Clock, fold};
use crate::op::Op;
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::OpSet;
use crate::state::State;

use super::lab::*;
use super::random::Dice;
use super::scenes::network::{allow, call, grant, lend, phone, rule, serve, service, tcp, v4};

/// What the state says of the network, for the vectors; none if nobody said anything.
pub(super) fn expectation(state: &State) -> Option<Value> {
    let quiet = state.network.said_in.is_none()
        && state.services.is_empty()
        && state.rules.is_empty()
        && state.phones.is_empty()
        && state.nodes.values().all(|node| node.network == crate::NodeNetwork::default());
    let ports =
        |list: &[Ports]| list.iter().map(|p| json!([p.proto as u8, p.first, p.last])).collect::<Vec<_>>();
    let ids = |list: &[freehold_wire::NodeId]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let nodes = state.nodes.iter().map(|(id, node)| {
        let of = &node.network;
        let routes = of.routes.iter().flat_map(|said| &said.what);
        json!({
            "id": id.to_string(), "v4": of.v4.as_ref().map(|said| said.what.to_string()),
            "exit": of.exit.is_some(), "ingress": of.ingress.is_some(),
            "routes": routes.map(ToString::to_string).collect::<Vec<_>>(),
            "owner": of.owner.as_ref().map(|said| said.what.to_string()),
        })
    });
    let services = state.live_services().map(|(id, of)| {
        json!({
            "id": id.to_string(), "by": of.said_in.to_string(), "homes": ids(&of.homes), "ports": ports(&of.ports),
            "preset": of.preset as u8, "grants": of.grants.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "gateways": ids(&of.gateways), "sign_on": of.sign_on,
        })
    });
    let rules = state.live_rules().map(|(id, of)| {
        json!({
            "id": id.to_string(), "by": of.said_in.to_string(), "ports": ports(&of.ports),
            "from": of.from.iter().map(from).collect::<Vec<_>>(), "to": of.to.iter().map(to).collect::<Vec<_>>(),
            "until": of.until.map(|until| until.0),
        })
    });
    let phones = state.live_phones().map(|(id, of)| {
        json!({
            "id": id.to_string(), "by": of.said_in.to_string(), "person": of.person.to_string(),
            "gateways": ids(&of.gateways), "until": of.until.map(|until| until.0),
            "given_by": of.given_by.to_string(),
        })
    });
    (!quiet).then(|| {
        json!({
            "range": state.network.range.to_string(),
            "guests_exit": state.network.guests_exit,
            "strict": state.network.strict,
            "nodes": nodes.collect::<Vec<_>>(),
            "services": services.collect::<Vec<_>>(),
            "rules": rules.collect::<Vec<_>>(),
            "phones": phones.collect::<Vec<_>>(),
        })
    })
}

fn from(from: &RuleFrom) -> Value {
    match from {
        RuleFrom::Person(id) => json!([0, id.to_string()]),
        RuleFrom::Members(roles) => json!([1, roles.names().collect::<Vec<_>>()]),
        RuleFrom::Nodes(roles) => json!([2, roles.names().collect::<Vec<_>>()]),
        RuleFrom::Node(id) => json!([3, id.to_string()]),
        RuleFrom::Phone(id) => json!([4, id.to_string()]),
        RuleFrom::Grant(id) => json!([5, id.to_string()]),
    }
}

fn to(to: &RuleTo) -> Value {
    match to {
        RuleTo::All => json!([0]),
        RuleTo::Node(id) => json!([1, id.to_string()]),
        RuleTo::Service(id) => json!([2, id.to_string()]),
    }
}

const AUTHORS: [&str; 6] = ["a", "b", "m", "q", "c", "g"];
const NODES: [&str; 3] = ["g", "k", "n"];

/// Something about the network, with few ids, so that much of it is about the same.
fn something(dice: &mut Dice, lab: &Lab) -> Body {
    let one = |dice: &mut Dice| u8::try_from(1 + dice.roll(3)).unwrap();
    let node = NODES[dice.roll(3)];
    let person_of = ["a", "m", "c", "q"][dice.roll(4)];
    let port = [tcp(22), tcp(80), Ports::ALL, Ports::one(Proto::Udp, 53)][dice.roll(4)];
    match dice.roll(10) {
        0 => {
            let ranges = [None, Some("10.3.0.0/16"), Some("192.168.0.0/24")];
            let range = ranges[dice.roll(3)].map(|text| text.parse().unwrap());
            NetSet { range, guests_exit: dice.roll(2) == 0, strict: dice.roll(2) == 0 }.into()
        }
        1 | 2 => {
            let routes = [&[][..], &["10.3.7.0/24"], &["192.168.7.0/24", "fd77::/32"]][dice.roll(3)];
            NodeNet {
                v4: [None, Some([0; 4].into()), Some(v4(lab, 3)), Some([10, 3, 0, 9].into())][dice.roll(4)],
                exit: [None, Some(true), Some(false)][dice.roll(3)],
                routes: (dice.roll(2) == 0).then(|| list(routes.iter().map(|text| text.parse().unwrap()))),
                owner: [None, Some(NOBODY), Some(person(person_of))][dice.roll(3)],
                ingress: [None, Some(true)][dice.roll(2)],
                ..NodeNet::of(node_id(node))
            }
            .into()
        }
        3 | 4 => {
            let preset = [Preset::Realm, Preset::Lan, Preset::Public][dice.roll(3)];
            let grants = if dice.roll(3) == 0 { list([grant(1)]) } else { list([]) };
            ServiceSet { grants, sign_on: dice.roll(2) == 0, ..serve(one(dice), &[node], preset) }.into()
        }
        5 => body::ServiceEnd { service: service(one(dice)) }.into(),
        6 => {
            let from = [
                RuleFrom::Person(person(person_of)),
                RuleFrom::Members(MemberRoles::OPERATOR.with(MemberRoles::GUEST)),
                RuleFrom::Nodes(NodeRoles::GATEWAY),
                RuleFrom::Phone(phone(one(dice))),
                RuleFrom::Grant(grant(1)),
            ][dice.roll(5)];
            let to =
                [RuleTo::All, RuleTo::Node(node_id(node)), RuleTo::Service(service(one(dice)))][dice.roll(3)];
            let ports = if matches!(to, RuleTo::Service(_)) { &[][..] } else { &[port] };
            allow(one(dice), from, to, ports).into()
        }
        7 => body::RuleEnd { rule: rule(one(dice)) }.into(),
        8 => call(one(dice), person_of, &[node]).into(),
        _ => body::PhoneEnd { phone: phone(one(dice)) }.into(),
    }
}

/// A history in which everybody speaks from something that they may have heard, and now and then
/// somebody loses rights.
pub(super) fn history(seed: u64) -> Lab {
    let mut dice = Dice(seed);
    let mut lab = Lab::new(&["a", "b", "m"]);
    lab.say("a", add_member("c"), &[]);
    lab.say("a", body::MemberAdd { chain: list([founding("q")]), roles: MemberRoles::OPERATOR }, &[]);
    for node in NODES {
        let roles = if node == "n" { NodeRoles::STORAGE } else { NodeRoles::GATEWAY };
        lab.say("a", add_node(node, roles), &[node]);
    }
    lab.say("a", lend(1), &[]);
    let start = lab.heads();
    for _ in 0..25 {
        let author = AUTHORS[dice.roll(AUTHORS.len())];
        let all: Vec<OpId> = lab.set.iter().map(Op::id).collect();
        let newest = all[all.len() - 1 - dice.roll(3).min(all.len() - 1)];
        let parents = if dice.roll(2) == 0 { lab.heads() } else { vec![start[0], newest] };
        let (body, co): (Body, &[&str]) = match dice.roll(16) {
            0 => (suspend("m", dice.roll(4) as u64), &["a", "b"]),
            1 => (lift("m"), &["a", "b"]),
            2 => (remove("c", dice.roll(3) as u64), &["a"]),
            3 => (body::NodeRemove { node: node_id("k"), last: 0 }.into(), &[]),
            4 => (add_node("k", NodeRoles::GATEWAY), &["k"]),
            _ => (something(&mut dice, &lab), &[]),
        };
        lab.say_from(&parents, author, body, co);
    }
    lab
}

#[test]
fn the_network_is_the_same_in_any_order_of_arrival() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..150 {
        let lab = history(seed);
        let end = lab.fold();
        let mut ops: Vec<Op> = lab.set.iter().cloned().collect();
        let about = ops.iter().filter(|op| (40..48).contains(&op.body().kind()));
        for op in about {
            *(if end.refused.contains_key(&op.id()) { &mut refused } else { &mut accepted }) += 1;
        }
        let mut dice = Dice(seed ^ 0xabcd);
        for _ in 0..2 {
            dice.shuffle(&mut ops);
            let mut set = OpSet::new(lab.set.realm());
            for op in &ops {
                drop(set.restore(op.clone()));
            }
            assert_eq!(fold(&set, &Clock::default()), end, "seed {seed}: another order, another state");
        }
    }
    assert!(accepted > 300 && refused > 300, "{accepted} accepted, {refused} refused");
}

/// Whoever is named by the state is so by an operation that was accepted.
#[test]
fn the_state_names_the_operation_that_says_so() {
    for seed in 0..40 {
        let lab = history(seed);
        let folded = lab.fold();
        let stands = |id: &OpId, kinds: &[u32]| {
            let kind = lab.set.get(id).unwrap().body().kind();
            assert!(kinds.contains(&kind) && !folded.refused.contains_key(id), "seed {seed}: {kind}");
        };
        let state = &folded.state;
        for person in state.persons.values() {
            stands(&person.roles_in, &[0, 1, 2]);
            person.standing_in.iter().for_each(|by| stands(by, &[6]));
            assert_eq!(person.standing_in.is_some(), person.standing != crate::Standing::Active);
        }
        for node in state.nodes.values() {
            stands(&node.roles_in, &[18]);
            let part = &node.network;
            let said = [part.exit, part.ingress, part.v4.as_ref().map(|said| said.by)];
            let more = [part.routes.as_ref().map(|said| said.by), part.owner.as_ref().map(|said| said.by)];
            said.into_iter().chain(more).flatten().for_each(|by| stands(&by, &[41]));
        }
        state.network.said_in.iter().for_each(|by| stands(by, &[40]));
        state.grants.values().for_each(|grant| stands(&grant.said_in, &[21]));
        for (said, ended, kinds) in state
            .services
            .values()
            .map(|of| (of.said_in, of.ended, [42, 43]))
            .chain(state.rules.values().map(|of| (of.said_in, of.ended, [44, 45])))
            .chain(state.phones.values().map(|of| (of.said_in, of.ended, [46, 47])))
        {
            stands(&said, &kinds[..1]);
            if let Some(by) = &ended {
                stands(by, &kinds[1..]);
            }
        }
    }
}

#[test]
fn there_is_a_bound_to_phones_of_one_member() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_member("c"), &[]);
    lab.say("a", add_node("g", NodeRoles::GATEWAY), &["g"]);
    for n in 0..16 {
        let op = lab.say("c", call(n, "c", &["g"]), &[]);
        assert_eq!(lab.code(&op), "ok", "{n}");
    }
    let more = lab.say("c", call(16, "c", &["g"]), &[]);
    assert_eq!(lab.code(&more), "numbers");
    lab.say("c", body::PhoneEnd { phone: phone(3) }, &[]);
    let again = lab.say("c", body::PhoneAdd { until: Some(Millis(1)), ..call(17, "c", &["g"]) }, &[]);
    assert_eq!(lab.code(&again), "ok");
}

#[test]
fn a_gateway_leaves_others_room_for_services() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("g", NodeRoles::GATEWAY), &["g"]);
    for n in 0..64 {
        let op = lab.say("g", serve(n, &["g"], Preset::Realm), &[]);
        assert_eq!(lab.code(&op), "ok", "{n}");
    }
    let more = lab.say("g", serve(64, &["g"], Preset::Realm), &[]);
    let admins = lab.say("a", serve(65, &["g"], Preset::Realm), &[]);
    let same = lab.say("g", serve(3, &["g"], Preset::Lan), &[]);
    assert_eq!([&more, &admins, &same].map(|op| lab.code(op)), ["numbers", "ok", "ok"]);
}

#[test]
fn a_device_that_comes_with_its_machine_is_told() {
    let mut lab = Lab::new(&["a"]);
    let delegate = crate::draft::delegate_device(&lab.fold().state, &key("a"), key("i").verifying()).unwrap();
    let (roles, expires) = (NodeRoles::NONE, Millis(START + DAY));
    let issue = body::InvitationIssue { key: key("i").verifying(), roles, expires, device: Some(delegate) };
    lab.say("a", issue, &[]);
    let device = crate::draft::invited_device(&lab.fold().state, &key("i"), &key("a2"), box_key("a2"));
    let redeem = body::InvitationRedeem { node: key("l").verifying(), box_key: box_key("l"), device };
    lab.say("i", redeem, &["l", "a"]);
    // Whoever merely let a machine in does not own it.
    lab.invite("a", "j", NodeRoles::STORAGE);
    let plain = lab.redemption(&lab.heads(), "j", "n", &["a"]);
    lab.take(plain);
    lab.say("a", add_node("o", NodeRoles::STORAGE), &["o"]);
    let state = lab.fold().state;
    let brought = |name| state.nodes[&node_id(name)].brought;
    assert_eq!((brought("l"), brought("n"), brought("o")), (Some(key_id("a2")), None, None));
    let seniority = |name| state.nodes[&node_id(name)].seniority;
    assert!(seniority("l") < seniority("n") && seniority("n") < seniority("o"));
}

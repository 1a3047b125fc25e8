//! What holds of any history.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use freehold_realm::body::{
    self, Body, NetSet, NodeNet, Ports, Preset, Proto, RuleFrom, RuleTo, ServiceSet, Target,
};
use freehold_realm::{Clock, MemberRoles, NodeRoles, OpSet, State, draft, fold};
use freehold_wire::NodeId;

use super::lab::*;
use crate::{Cause, Net, Party, Why, explain};

pub(super) const RECEIVERS: [&str; 8] = ["la", "lc", "lh", "n", "m", "o", "g", "k"];
/// An echo, names, an administered port, a served port, another one, and something without ports.
pub(super) const KINDS: [(u8, u16); 7] =
    [(58, 3), (17, 53), (6, 22), (6, 443), (6, 3000), (17, 3000), (47, 0)];

type Open = BTreeMap<(Party, NodeId, IpAddr, u8, u16), Cause>;

fn own_address(state: &State, node: &NodeId) -> IpAddr {
    crate::address::of_node(&state.realm, node).into()
}

/// Everything that is open, as the receivers judge.
fn open(lab: &Lab, state: &State) -> Open {
    let parties = lab.parties();
    let mut open = Open::new();
    for to in RECEIVERS.map(node) {
        let net = Net::of(state, to, &lab.guests, NOW);
        let services = [1, 2, 3].map(|n| crate::address::of_service(&state.realm, &service(n)).into());
        let beyond = ["1.1.1.1", "192.168.7.7", "192.168.9.9"].map(|at| at.parse().unwrap());
        for at in [own_address(state, &to)].into_iter().chain(services).chain(beyond) {
            for (from, (proto, port)) in parties.iter().flat_map(|from| KINDS.map(|kind| (*from, kind))) {
                if let Some(cause) = net.judge(from, &flow(at, proto, port)).cause {
                    open.insert((from, to, at, proto, port), cause);
                }
            }
        }
    }
    open
}

/// Something that may open or shut something.
fn widening(dice: &mut Dice) -> Body {
    let one = |dice: &mut Dice| u8::try_from(1 + dice.roll(3)).unwrap();
    let to = RECEIVERS[dice.roll(8)];
    let who = ["a", "b", "q", "c", "h"][dice.roll(5)];
    let port = [Ports::ALL, Ports::one(Proto::Tcp, 443), Ports::one(Proto::Udp, 3000)][dice.roll(3)];
    match dice.roll(7) {
        0 => NetSet { range: None, guests_exit: dice.roll(2) == 0, strict: dice.roll(3) == 0 }.into(),
        1 => {
            let route = ["192.168.0.0/16", "192.168.7.0/24"][dice.roll(2)].parse().unwrap();
            let (exit, owner) = (Some(dice.roll(2) == 0), Some(person(who)));
            NodeNet { exit, owner, routes: Some(list([route])), ..part(to) }.into()
        }
        2 | 3 => {
            let preset = [Preset::Realm, Preset::Lan, Preset::Public][dice.roll(3)];
            let grants = if dice.roll(3) == 0 { list([grant(1)]) } else { list([]) };
            let gateways = if dice.roll(3) == 0 { list([node("k")]) } else { list([]) };
            ServiceSet { grants, gateways, ..serve(one(dice), &[to], &[port], preset) }.into()
        }
        4 | 5 => {
            let from = [
                RuleFrom::Person(person(who)),
                RuleFrom::Members(MemberRoles::GUEST.with(MemberRoles::OPERATOR)),
                RuleFrom::Nodes(NodeRoles::GATEWAY),
                RuleFrom::Node(node(RECEIVERS[dice.roll(8)])),
                RuleFrom::Phone(phone(one(dice))),
                RuleFrom::Grant(grant(1 + u8::try_from(dice.roll(2)).unwrap())),
            ][dice.roll(6)];
            let target =
                [RuleTo::All, RuleTo::Node(node(to)), RuleTo::Service(service(one(dice)))][dice.roll(3)];
            let ports = if matches!(target, RuleTo::Service(_)) { &[][..] } else { &[port] };
            allow(one(dice), from, target, ports).into()
        }
        _ => call(one(dice), who, ["g", "k"][dice.roll(2)]).into(),
    }
}

/// Something that one admin may always say, to take rights away.
fn reducing(dice: &mut Dice, lab: &Lab) -> Body {
    let one = |dice: &mut Dice| u8::try_from(1 + dice.roll(3)).unwrap();
    let (who, machine) = (["q", "c", "h"][dice.roll(3)], RECEIVERS[dice.roll(8)]);
    let state = lab.state();
    match dice.roll(10) {
        8 => draft::suspend(&lab.set, &state, Target::Device(key_id(who))).into(),
        0 => body::ServiceEnd { service: service(one(dice)) }.into(),
        1 => body::RuleEnd { rule: freehold_wire::RuleId::from_bytes([one(dice); 32]) }.into(),
        2 => body::PhoneEnd { phone: phone(one(dice)) }.into(),
        3 => draft::suspend(&lab.set, &state, Target::Node(node(machine))).into(),
        4 => draft::suspend(&lab.set, &state, Target::Person(person(who))).into(),
        5 => body::NodeRemove { node: node(machine), last: lab.set.last_seq(&key_id(machine)) }.into(),
        6 => {
            let last = draft::suspend(&lab.set, &state, Target::Person(person(who))).last;
            body::MemberRemove { person: person(who), last }.into()
        }
        7 => body::GrantRevoke { grant: grant(1) }.into(),
        _ => body::Suspend { target: Target::Grant(grant(2)), last: list([]) }.into(),
    }
}

/// Nothing crosses from another realm but under a grant that a service or a rule names.
fn no_realm_is_open_to_another(state: &State, open: &Open) {
    for ((from, ..), cause) in open {
        let Party::Guest(grant, _) = from else { continue };
        let named = match cause.why {
            Why::Service(id) => state.services[&id].grants.contains(grant),
            Why::Rule(id) => state.rules[&id].from.contains(&RuleFrom::Grant(*grant)),
            _ => false,
        };
        assert!(named, "{from:?} by {cause:?}");
    }
}

/// Whatever is open is so by an operation that was accepted.
fn there_is_an_operation_for_it(lab: &Lab, open: &Open) {
    let folded = lab.fold();
    for cause in open.values().filter(|cause| cause.op.as_bytes() != &[0; 32]) {
        let stands = lab.set.get(&cause.op).is_some() && !folded.refused.contains_key(&cause.op);
        assert!(stands, "{cause:?}");
    }
    assert!(
        open.iter().all(|((from, ..), cause)| *from != Party::Lan || matches!(cause.why, Why::Service(_)))
    );
}

fn told_as_judged(lab: &Lab, state: &State, open: &Open) {
    for (from, to) in lab.parties().iter().flat_map(|from| RECEIVERS.map(|to| (*from, to))) {
        for (proto, port) in KINDS {
            let story = explain(state, NOW, from, at(to), proto, port);
            let judged = open.get(&(from, node(to), own_address(state, &node(to)), proto, port));
            assert_eq!(story.verdict.cause.as_ref(), judged, "{from:?} to {to}");
            let blocked = story.sender.is_some() || story.receiver.is_some();
            assert!(
                !(blocked && story.verdict.allowed()) && (story.near.is_none() || !story.verdict.allowed())
            );
        }
    }
}

/// Says the next word of a history; whether it takes rights away.
fn go_on(lab: &mut Lab, dice: &mut Dice, step: usize) -> bool {
    let reduces = step > 5 && dice.roll(3) == 0;
    let body = if reduces { reducing(dice, lab) } else { widening(dice) };
    // Members add phones of their own; admins say everything.
    let own =
        ["c", "q"].into_iter().find(|who| matches!(&body, Body::PhoneAdd(add) if add.person == person(who)));
    let author = own.filter(|_| dice.roll(2) == 0).unwrap_or(["a", "b"][dice.roll(2)]);
    lab.say(author, body, &[]);
    reduces
}

/// A history for the vectors.
pub(super) fn some_history(seed: u64) -> Lab {
    let (mut dice, mut lab) = (Dice(seed), Lab::house());
    for step in 0..24 {
        go_on(&mut lab, &mut dice, step);
    }
    lab
}

#[test]
fn what_takes_rights_away_opens_nothing_and_what_is_told_is_what_is_judged() {
    let house = Lab::house();
    let mut shut = 0;
    for seed in 0..12 {
        let (mut dice, mut lab) = (Dice(seed), house.clone());
        let mut before = open(&lab, &lab.state());
        for step in 0..24 {
            let reduces = go_on(&mut lab, &mut dice, step);
            let state = lab.state();
            let after = open(&lab, &state);
            no_realm_is_open_to_another(&state, &after);
            if reduces {
                let more: BTreeSet<_> = after.keys().filter(|key| !before.contains_key(key)).collect();
                assert!(more.is_empty(), "seed {seed}, step {step}: {more:?}");
                shut += before.len() - after.len();
            }
            before = after;
        }
        let state = lab.state();
        there_is_an_operation_for_it(&lab, &before);
        told_as_judged(&lab, &state, &before);
        in_any_order(&lab, &mut dice);
    }
    assert!(shut > 500, "{shut}");
}

/// The same operations make the same network.
fn in_any_order(lab: &Lab, dice: &mut Dice) {
    let whole =
        |state: &State| format!("{:?}", RECEIVERS.map(|me| Net::of(state, node(me), &lab.guests, NOW)));
    let mut ops = ops(&lab.set);
    for at in (1..ops.len()).rev() {
        ops.swap(at, dice.roll(at + 1));
    }
    let mut set = OpSet::new(lab.set.realm());
    for op in ops {
        set.restore(op).unwrap();
    }
    assert_eq!(whole(&fold(&set, &Clock::default()).state), whole(&lab.state()));
}

#[test]
fn a_realm_in_which_nobody_said_anything_is_open_to_nobody_else() {
    let lab = Lab::house();
    for ((from, ..), cause) in open(&lab, &lab.state()) {
        assert!(matches!(cause.why, Why::Ping | Why::Own | Why::Steward | Why::Names));
        assert!(!matches!(from, Party::Guest(..) | Party::Lan), "{from:?}");
    }
    // Nor to itself, where it has no such machine.
    let net = Net::of(&lab.state(), node("zz"), &lab.guests, NOW);
    let own = own_address(&lab.state(), &node("zz"));
    assert!(lab.parties().into_iter().all(|from| !net.judge(from, &flow(own, 58, 0)).allowed()));
}

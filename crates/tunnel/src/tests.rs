//! What comes over a line, judged: by a realm of three servers, which may ping each other, and of which s
//! may reach port 80 of t.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use freehold_crypt::{Algorithm, BoxSecret, Secret, SigningKey, hash};
use freehold_packet::icmp::{self, Refusal};
use freehold_packet::{Head, Icmp, protocol};
use freehold_reach::{Flows, Net, Party, Verdict, Wish};
use freehold_realm::body::{self, Body, GuardianSet, Ports, Proto, RuleFrom, RuleSet, RuleTo};
use freehold_realm::{Clock, NodeRoles, OpSet, State, draft, fold};
use freehold_wire::{Bounded, Digest, Millis, NodeId, RuleId};
use proptest::prelude::*;

use crate::View;
use crate::fate::Fates;
use crate::inward::{Fate, Guard, Judge};

pub(crate) const START: u64 = 1_800_000_000_000;
pub(crate) const NOW: Millis = Millis(5_000_000);

pub(crate) fn seed(name: &str) -> Secret {
    Secret::from_bytes(hash::digest("freehold test key", name.as_bytes()))
}

pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &seed(name))
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::from_bytes(key(name).verifying().ed25519_bytes().unwrap())
}

pub(crate) fn list<T, const N: usize>(items: impl IntoIterator<Item = T>) -> Bounded<T, N> {
    Bounded::from_vec(items.into_iter().collect()).unwrap()
}

pub(crate) fn say(set: &mut OpSet, number: u64, body: impl Into<Body>, cosigners: &[&str]) {
    let at = Millis(START + number * 1000);
    let mut op = draft(set, &state(set), &key("a"), body.into(), at).unwrap();
    for name in cosigners {
        op.add_signature(&key(name));
    }
    set.insert(op).unwrap();
}

pub(crate) fn state(set: &OpSet) -> State {
    fold(set, &Clock::default()).state
}

/// The network as t sees it, with the rule or without.
fn view(generation: u64, with_rule: bool) -> View {
    let bx = |name| BoxSecret::from_seed(&seed(name)).public();
    let none = GuardianSet { threshold: 0, guardians: list([]), recovery: bx("a") };
    let start = Millis(START);
    let genesis = draft::genesis(&key("a"), bx("a"), [7; 32], none, Digest::from_bytes([9; 32]), start);
    let genesis = genesis.unwrap();
    let mut set = OpSet::new(genesis.realm());
    set.insert(genesis).unwrap();
    for (number, name) in [(1, "s"), (2, "t"), (3, "u")] {
        let body =
            body::NodeAdd { node: key(name).verifying(), box_key: bx(name), roles: NodeRoles::STORAGE };
        say(&mut set, number, body, &[name]);
    }
    if with_rule {
        let rule = RuleSet {
            rule: RuleId::from_bytes([1; 32]),
            from: list([RuleFrom::Node(node("s"))]),
            to: list([RuleTo::Node(node("t"))]),
            ports: list([Ports::one(Proto::Tcp, 80), Ports::one(Proto::Udp, 4710)]),
            until: None,
        };
        say(&mut set, 4, rule, &[]);
    }
    let net = Net::of(&state(&set), node("t"), &BTreeMap::new(), Millis(START + 10_000));
    View { generation, net, wish: Wish::default(), networks: Vec::new(), realm: Vec::new() }
}

/// One side's eyes.
struct Desk {
    view: View,
    guard: Guard,
    flows: Flows,
    fates: Fates,
}

impl Desk {
    fn new() -> Self {
        let view = view(1, true);
        let guard = Guard { ports: Arc::from([4710]), addresses: view.own(node("t")) };
        Self { view, guard, flows: Flows::new([1; 16], 1024), fates: Fates::default() }
    }

    fn at(&self, name: &str) -> Ipv6Addr {
        self.view.net.addresses(Party::Node(node(name))).unwrap().0
    }

    /// What becomes of a packet over this one's line.
    fn over(&mut self, line: &str, packet: &[u8]) -> Option<Fate> {
        let head = Head::parse(packet).ok()?;
        let judge = Judge { view: &self.view, guard: &self.guard, line: node(line), now: NOW };
        Some(judge.judge(&mut self.flows, &mut self.fates, packet, &head))
    }
}

/// A packet with these ports; for ICMP the first is its type.
pub(crate) fn packet(src: Ipv6Addr, dst: Ipv6Addr, proto: u8, sport: u16, dport: u16) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 20, proto, 64];
    packet.extend_from_slice(&src.octets());
    packet.extend_from_slice(&dst.octets());
    match proto {
        protocol::ICMP6 => packet.extend_from_slice(&[u8::try_from(sport).unwrap(), 0, 0, 0, 0, 7, 0, 1]),
        protocol::UDP => {
            packet.extend_from_slice(&sport.to_be_bytes());
            packet.extend_from_slice(&dport.to_be_bytes());
            packet.extend_from_slice(&[0, 20, 0, 0]);
        }
        _ => {
            packet.extend_from_slice(&sport.to_be_bytes());
            packet.extend_from_slice(&dport.to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 9, 9, 0, 0, 0, 0]);
        }
    }
    packet.resize(60, 0);
    packet
}

#[test]
fn what_the_log_opens_passes_and_nothing_else() {
    let mut desk = Desk::new();
    let (s, t, u) = (desk.at("s"), desk.at("t"), desk.at("u"));
    assert_eq!(desk.over("s", &packet(s, t, 6, 40_000, 80)), Some(Fate::Passes));
    assert_eq!(desk.over("s", &packet(s, t, 6, 40_000, 81)), Some(Fate::Refused));
    assert_eq!(desk.over("s", &packet(s, t, 17, 40_000, 80)), Some(Fate::Refused));
    assert_eq!(desk.over("u", &packet(u, t, 6, 40_000, 80)), Some(Fate::Refused));
    assert_eq!(desk.over("s", &packet(s, t, 58, 128, 0)), Some(Fate::Passes), "ping");
    // Nobody speaks for another, and nobody from outside for anybody.
    assert_eq!(desk.over("u", &packet(s, t, 6, 40_000, 80)), Some(Fate::Broken));
    assert_eq!(desk.over("s", &packet(Ipv6Addr::LOCALHOST, t, 6, 1, 80)), Some(Fate::Broken));
    assert_eq!(desk.over("s", &packet(t, t, 6, 40_000, 80)), Some(Fate::Broken));
    // Nor is it passed on to a third one, or to what is only this machine's.
    assert_eq!(desk.over("s", &packet(s, u, 6, 40_000, 80)), Some(Fate::Refused));
    assert_eq!(desk.over("s", &packet(s, Ipv6Addr::LOCALHOST, 6, 40_000, 80)), Some(Fate::Refused));
    // Neighbours and routers are not asked for over a tunnel, and an answer only comes to a question.
    assert_eq!(desk.over("s", &packet(s, t, 58, 134, 0)), Some(Fate::Broken));
    assert_eq!(desk.over("s", &packet(s, t, 58, 129, 0)), Some(Fate::Broken));
}

#[test]
fn a_rule_that_ended_ends_what_it_had_let_in() {
    let mut desk = Desk::new();
    let open = packet(desk.at("s"), desk.at("t"), 6, 40_000, 80);
    assert_eq!(desk.over("s", &open), Some(Fate::Passes));
    desk.view = view(2, false);
    assert_eq!(desk.over("s", &open), Some(Fate::Refused));
}

#[test]
fn the_meshs_own_packets_never_travel_inside() {
    let mut desk = Desk::new();
    let (s, t) = (desk.at("s"), desk.at("t"));
    // There is a rule for that port; it is the mesh's all the same.
    assert_eq!(desk.over("s", &packet(s, t, 17, 40_000, 4710)), Some(Fate::Broken));
    assert!(desk.guard.is_of_the_mesh(
        &Head::parse(&packet(t, s, 17, 4710, 9)).unwrap().flow,
        t.into(),
        4710
    ));
    // Another machine's programs may use the same number.
    let s: IpAddr = s.into();
    assert!(!desk.guard.is_of_the_mesh(&Head::parse(&packet(t, t, 17, 4710, 9)).unwrap().flow, s, 4710));
}

#[test]
fn errors_pass_if_they_are_about_something_under_way() {
    let mut desk = Desk::new();
    let (s, t) = (desk.at("s"), desk.at("t"));
    let ours = packet(t, s, 6, 50_000, 443);
    let unreachable = icmp::error(&ours, s.into(), Refusal::Unreachable).unwrap();
    assert_eq!(desk.over("s", &unreachable), Some(Fate::Broken), "nobody sent that");
    let flow = Head::parse(&ours).unwrap().flow;
    assert!(desk.flows.outbound(1, NOW, &flow, true, || Verdict::SHUT));
    assert_eq!(desk.over("s", &unreachable), Some(Fate::Passes));
    // From somebody whom it does not concern.
    let u = desk.at("u");
    let forged = icmp::error(&ours, u.into(), Refusal::Unreachable).unwrap();
    assert_eq!(desk.over("s", &forged), Some(Fate::Broken));
}

proptest! {
    #[test]
    fn whatever_passes_is_open(
        mut bytes in prop::collection::vec(any::<u8>(), 48..120),
        proto in prop::sample::select(vec![protocol::TCP, protocol::UDP, protocol::ICMP6, 0, 44, 47]),
        port in prop::sample::select(vec![80_u16, 81, 4710, 22]),
        from in prop::sample::select(vec!["s", "u"]),
    ) {
        let mut desk = Desk::new();
        bytes[0] = 0x60 | bytes[0] & 15;
        let length = u16::try_from(bytes.len() - 40).unwrap();
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        bytes[6] = proto;
        let (s, t, source) = (desk.at("s"), desk.at("t"), desk.at(from));
        bytes[8..24].copy_from_slice(&source.octets());
        bytes[24..40].copy_from_slice(&t.octets());
        bytes[42..44].copy_from_slice(&port.to_be_bytes());
        let fate = desk.over("s", &bytes);
        let head = Head::parse(&bytes);
        if let (Some(Fate::Passes), Ok(head)) = (fate, &head) {
            let open = (head.flow.proto, head.flow.dport) == (protocol::TCP, 80);
            prop_assert!(source == s && (open || head.icmp == Some(Icmp::Echo)), "{:?}", head);
        }
        // And what is open passes: so the first half is about something.
        let is_plain = head.is_ok_and(|head| head.piece.is_none());
        if (proto, port, from) == (protocol::TCP, 80, "s") && is_plain {
            prop_assert_eq!(fate, Some(Fate::Passes));
        }
    }

    #[test]
    fn no_bytes_are_too_strange(mut bytes in prop::collection::vec(any::<u8>(), 0..120), v6: bool) {
        let mut desk = Desk::new();
        if let Some(first) = bytes.first_mut() {
            *first = *first & 15 | if v6 { 0x60 } else { 0x40 };
        }
        if let (true, Some(length)) = (v6, bytes.len().checked_sub(40)) {
            bytes[4..6].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        // From an address that is known, so that it is looked into.
        if bytes.len() >= 24 && v6 {
            bytes[8..24].copy_from_slice(&desk.at("s").octets());
        }
        // A random address is nobody's here.
        prop_assert_ne!(desk.over("s", &bytes), Some(Fate::Passes));
    }
}

//! What phones send, and what is sent to them, at gateway t, which serves phone 1 of a; phone 2 comes by gateway u.
//! Rule 1 opens port 80 of t to a's.

use std::net::Ipv6Addr;

use freehold_crypt::BoxSecret;
use freehold_packet::{Piece, protocol};
use freehold_reach::{Wish, address};
use freehold_realm::body::{self, GuardianSet, Ports, Proto, RuleFrom, RuleSet, RuleTo};
use freehold_realm::{NodeRoles, OpSet, draft};
use freehold_wire::{Digest, RuleId};

use super::*;
use crate::tests::{NOW, START, key, list, node, packet, say, seed, state};

fn phone(number: u8) -> PhoneId {
    PhoneId::from_bytes([number; 32])
}

/// The realm, with phone 1 or after its end.
fn realm(with_phone: bool) -> freehold_realm::State {
    let bx = |name| BoxSecret::from_seed(&seed(name)).public();
    let none = GuardianSet { threshold: 0, guardians: list([]), recovery: bx("a") };
    let (start, root) = (Millis(START), Digest::from_bytes([9; 32]));
    let genesis = draft::genesis(&key("a"), bx("a"), [7; 32], none, root, start).unwrap();
    let mut set = OpSet::new(genesis.realm());
    set.insert(genesis).unwrap();
    let a = *state(&set).persons.keys().next().unwrap();
    let gateway = NodeRoles::STORAGE.with(NodeRoles::GATEWAY);
    for (number, name, roles) in [(1, "s", NodeRoles::STORAGE), (2, "t", gateway), (3, "u", gateway)] {
        let body = body::NodeAdd { node: key(name).verifying(), box_key: bx(name), roles };
        say(&mut set, number, body, &[name]);
    }
    let rule = RuleSet {
        rule: RuleId::from_bytes([1; 32]),
        from: list([RuleFrom::Person(a)]),
        to: list([RuleTo::Node(node("t"))]),
        ports: list([Ports::one(Proto::Tcp, 80), Ports::one(Proto::Udp, 4710)]),
        until: None,
    };
    say(&mut set, 4, rule, &[]);
    for (number, by) in [(1, "t"), (2, "u")] {
        let (gateways, key) = (list([node(by)]), bx(by));
        let body = body::PhoneAdd { phone: phone(number), key, person: a, gateways, until: None };
        say(&mut set, 5 + u64::from(number), body, &[]);
    }
    if !with_phone {
        say(&mut set, 8, body::PhoneEnd { phone: phone(1) }, &[]);
    }
    state(&set)
}

fn view(generation: u64, with_phone: bool) -> View {
    let net = Net::of(&realm(with_phone), node("t"), &BTreeMap::new(), Millis(START + 10_000));
    View { generation, net, wish: Wish::default(), networks: Vec::new(), realm: Vec::new() }
}

struct Side {
    view: View,
    guard: Guard,
    known: Known,
}

impl Side {
    fn new() -> Self {
        let view = view(1, true);
        let guard = Guard { ports: Arc::from([4710]), addresses: view.own(node("t")) };
        Self { view, guard, known: Known::default() }
    }

    fn at(&self, name: &str) -> Ipv6Addr {
        self.view.net.addresses(Party::Node(node(name))).unwrap().0
    }

    fn desktop(&mut self) -> (Desktop<'_>, &mut Known) {
        let Self { view, guard, known } = self;
        (Desktop { view, guard, me: node("t"), now: NOW }, known)
    }

    /// Where a packet goes that a phone sent.
    fn sends(&mut self, packet: &[u8]) -> Way {
        let head = Head::parse(packet).unwrap();
        let (desktop, known) = self.desktop();
        desktop.way(known, packet, &head)
    }

    /// Whether a packet of this machine's kernel may go to phone 1.
    fn answers(&mut self, packet: &[u8]) -> bool {
        let head = Head::parse(packet).unwrap();
        let (desktop, known) = self.desktop();
        desktop.may_go(known, phone(1), &head)
    }
}

fn of_phone(number: u8) -> Ipv6Addr {
    address::of_phone(&realm(true).realm, &phone(number))
}

#[test]
fn a_phone_reaches_what_is_open_here_and_others_judge_the_rest() {
    let mut side = Side::new();
    let (one, s, t, u) = (of_phone(1), side.at("s"), side.at("t"), side.at("u"));
    for (dst, proto, port, way) in [
        (t, protocol::TCP, 80, Way::Here),
        (t, protocol::UDP, 53, Way::Here),
        (t, protocol::TCP, 81, Way::Refused),
        // The mesh's own port: there must be no tunnel inside the tunnel.
        (t, protocol::UDP, 4710, Way::Lost),
        (s, protocol::TCP, 81, Way::Line(node("s"))),
        (u, protocol::TCP, 81, Way::Line(node("u"))),
        // Another phone, by its own gateway, which lets nobody reach it.
        (of_phone(2), protocol::TCP, 80, Way::Line(node("u"))),
        (one, protocol::TCP, 80, Way::Refused),
        ("fd00::1".parse().unwrap(), protocol::TCP, 80, Way::Refused),
        ("2001:db8::1".parse().unwrap(), protocol::TCP, 80, Way::Refused),
    ] {
        assert_eq!(side.sends(&packet(one, dst, proto, 40_000, port)), way, "{dst} {proto} {port}");
    }
    assert_eq!(side.sends(&packet(one, t, protocol::ICMP6, 128, 0)), Way::Here);
    // Whoever is no phone of this gateway's is not believed to be one, whatever the door says.
    for src in [of_phone(2), s, t, "fd00::1".parse().unwrap(), "2001:db8::1".parse().unwrap()] {
        assert_eq!(side.sends(&packet(src, t, protocol::TCP, 40_000, 80)), Way::Lost, "{src}");
        assert_eq!(side.sends(&packet(src, s, protocol::TCP, 40_000, 80)), Way::Lost, "{src}");
    }
}

#[test]
fn nobody_begins_anything_with_a_phone() {
    let mut side = Side::new();
    let (one, t) = (of_phone(1), side.at("t"));
    assert!(!side.answers(&packet(t, one, protocol::TCP, 4000, 22)));
    assert!(!side.answers(&packet(t, one, protocol::UDP, 4000, 22)));
    assert!(!side.answers(&packet(t, one, protocol::ICMP6, 128, 0)));
    side.sends(&packet(one, t, protocol::UDP, 40_000, 53));
    assert!(side.answers(&packet(t, one, protocol::UDP, 53, 40_000)));
    assert!(!side.answers(&packet(t, one, protocol::UDP, 54, 40_000)));
    assert!(side.answers(&packet(t, one, protocol::TCP, 80, 40_000)), "it is older than this start");
}

#[test]
fn later_pieces_go_to_a_phone_after_a_first_one_that_might() {
    let mut side = Side::new();
    let (one, t) = (of_phone(1), side.at("t"));
    let goes = |side: &mut Side, port, id, first| {
        let packet = packet(t, one, protocol::UDP, port, 40_000);
        let head = Head { piece: Some(Piece { id, first }), ..Head::parse(&packet).unwrap() };
        let (desktop, known) = side.desktop();
        desktop.may_go(known, phone(1), &head)
    };
    assert!(!goes(&mut side, 54, 7, true) && !goes(&mut side, 0, 7, false), "it may not ask there");
    side.sends(&packet(one, t, protocol::UDP, 40_000, 53));
    assert!(!goes(&mut side, 0, 7, false));
    assert!(goes(&mut side, 53, 7, true) && goes(&mut side, 0, 7, false));
    assert!(!goes(&mut side, 0, 8, false));
}

#[test]
fn what_a_phone_had_under_way_ends_with_it() {
    let mut side = Side::new();
    let (one, s, t) = (of_phone(1), side.at("s"), side.at("t"));
    assert_eq!(side.sends(&packet(one, t, protocol::TCP, 40_000, 80)), Way::Here);
    assert!(side.answers(&packet(t, one, protocol::TCP, 80, 40_000)));
    side.view = view(2, false);
    assert_eq!(side.sends(&packet(one, t, protocol::TCP, 40_000, 80)), Way::Lost);
    assert_eq!(side.sends(&packet(one, s, protocol::TCP, 40_000, 80)), Way::Lost);
    assert!(!side.answers(&packet(t, one, protocol::TCP, 80, 40_000)));
    side.known.keep(&side.view.net);
    assert!(side.known.0.is_empty());
}

#[tokio::test]
async fn a_phone_gets_whole_sums_and_the_next_tunnel_goes_on() {
    let (to_tunnel, from) = mpsc::channel(8);
    let (to, mut to_phone) = mpsc::channel(2);
    let phones = Phones::new(from, to);
    // A partial sum covers the addresses, the protocol and the length alone.
    let mut partial =
        packet("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), protocol::UDP, 53, 40_000);
    let head = Head::parse(&partial).unwrap();
    let sum = checksum::pseudo(&head, partial.len() - usize::from(head.l4));
    partial[46..48].copy_from_slice(&sum.to_be_bytes());
    phones.outlet().give(Kind::Partial, &partial);
    let whole = to_phone.recv().await.unwrap();
    assert!(checksum::verify(&whole, &head) && !checksum::verify(&partial, &head));
    // What nobody takes is lost and holds up nobody.
    for _ in 0..10 {
        phones.outlet().give(Kind::Whole, &partial);
    }
    assert_eq!(to_phone.len(), 2);

    let (mut first, mut second) = (phones.inlet(), phones.inlet());
    let (mut came, mut later) = (Vec::new(), Vec::new());
    to_tunnel.send(Bytes::from_static(b"x")).await.unwrap();
    first.next(&mut came).await;
    assert_eq!(came, [Bytes::from_static(b"x")]);
    to_tunnel.send(Bytes::from_static(b"y")).await.unwrap();
    {
        let waits = std::pin::pin!(second.next(&mut later));
        assert!(futures::poll!(waits).is_pending(), "there is one tunnel at a time");
    }
    // However late that one ends.
    drop(first);
    second.next(&mut later).await;
    assert_eq!(later, [Bytes::from_static(b"y")]);
}

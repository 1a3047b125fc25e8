//! A realm whose people and machines are called by letters, made of real operations.

use std::collections::BTreeMap;
use std::net::IpAddr;

use freehold_crypt::{Algorithm, BoxPublic, BoxSecret, Secret, SigningKey, hash};
use freehold_packet::Flow;
use freehold_realm::body::{
    self, Body, GuardianSet, NodeNet, Ports, Preset, RuleFrom, RuleSet, RuleTo, ServiceSet,
};
use freehold_realm::{Clock, Folded, MemberRoles, NodeRoles, Op, OpSet, State, Statement, draft, fold};
use freehold_wire::{
    Bounded, Digest, GrantId, KeyId, Millis, NodeId, OpId, PersonId, PhoneId, RealmId, RuleId, ServiceId,
};

use crate::{Guest, Net, Party, explain};

pub(crate) const START: u64 = 1_800_000_000_000;
pub(crate) const DAY: u64 = 24 * 3600 * 1000;
const NONCE: [u8; 32] = [7; 32];
pub(crate) const NOW: Millis = Millis(START + DAY);

fn seed(name: &str) -> Secret {
    Secret::from_bytes(hash::digest("freehold test key", name.as_bytes()))
}

pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &seed(name))
}

pub(crate) fn key_id(name: &str) -> KeyId {
    key(name).verifying().id()
}

pub(crate) fn box_key(name: &str) -> BoxPublic {
    BoxSecret::from_seed(&seed(name)).public()
}

fn founding(name: &str) -> Statement {
    let mut nonce = [0; 16];
    // The founder's as a genesis has it.
    let founder = hash::digest("freehold 2026 founder nonce", &NONCE);
    let bytes = if name == "a" { &founder[..] } else { name.as_bytes() };
    nonce.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    Statement::found(nonce, &key(name), box_key(name))
}

pub(crate) fn person(name: &str) -> PersonId {
    founding(name).person()
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::from_bytes(key(name).verifying().ed25519_bytes().unwrap())
}

pub(crate) fn at(name: &str) -> Party {
    Party::Node(node(name))
}

pub(crate) fn list<T, const N: usize>(items: impl IntoIterator<Item = T>) -> Bounded<T, N> {
    Bounded::from_vec(items.into_iter().collect()).unwrap()
}

pub(crate) fn service(n: u8) -> ServiceId {
    ServiceId::from_bytes([n; 32])
}

pub(crate) fn phone(n: u8) -> PhoneId {
    PhoneId::from_bytes([n; 32])
}

pub(crate) fn grant(n: u8) -> GrantId {
    GrantId::from_bytes([n; 32])
}

pub(crate) fn serve(n: u8, homes: &[&str], ports: &[Ports], preset: Preset) -> ServiceSet {
    let mut homes: Vec<NodeId> = homes.iter().map(|name| node(name)).collect();
    homes.sort();
    ServiceSet {
        service: service(n),
        homes: list(homes),
        ports: list(ports.iter().copied()),
        preset,
        grants: list([]),
        gateways: list([]),
        sign_on: false,
    }
}

pub(crate) fn allow(n: u8, from: RuleFrom, to: RuleTo, ports: &[Ports]) -> RuleSet {
    let rule = RuleId::from_bytes([n; 32]);
    RuleSet { rule, from: list([from]), to: list([to]), ports: list(ports.iter().copied()), until: None }
}

pub(crate) fn call(n: u8, whose: &str, gateway: &str) -> body::PhoneAdd {
    let key = box_key(&format!("phone {n}"));
    body::PhoneAdd {
        phone: phone(n),
        key,
        person: person(whose),
        gateways: list([node(gateway)]),
        until: None,
    }
}

pub(crate) fn lend(n: u8) -> Body {
    let terms = body::Terms {
        resource: body::Resource::Services,
        ceilings: body::Ceilings::default(),
        from: Millis(START),
        until: Millis(START + 30 * DAY),
        wind_down_days: 0,
    };
    let keys = list([key("pass").verifying()]);
    body::GrantOffer { grant: grant(n), to: RealmId::from_bytes([n; 32]), terms, keys, homes: None }.into()
}

pub(crate) fn part(name: &str) -> NodeNet {
    NodeNet::of(node(name))
}

pub(crate) fn owned(name: &str, by: &str) -> NodeNet {
    NodeNet { owner: Some(person(by)), ..part(name) }
}

#[derive(Clone)]
pub(crate) struct Lab {
    pub(crate) set: OpSet,
    pub(crate) now: u64,
    /// Machines of other realms with good passes.
    pub(crate) guests: BTreeMap<NodeId, Guest>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let none = GuardianSet { threshold: 0, guardians: list([]), recovery: box_key("recovery") };
        let (nonce, now) = (NONCE, Millis(START));
        let genesis =
            draft::genesis(&key("a"), box_key("a"), nonce, none, Digest::from_bytes([9; 32]), now).unwrap();
        let mut set = OpSet::new(genesis.realm());
        set.insert(genesis).unwrap();
        Self { set, now: START, guests: BTreeMap::new() }
    }

    /// Admins a and b, an operator q, a member c, a guest h; each has a laptop: la, lb, lq, lc, lh, and
    /// lx is nobody's. Servers: n of a's, m of c's, o that stores; gateways g and k. Phones: 1 of c, 2 of h.
    /// Grant 1 and 2, each with a machine: x and y.
    pub(crate) fn house() -> Self {
        let mut lab = Self::new();
        for (name, roles) in [
            ("b", MemberRoles::ADMIN),
            ("q", MemberRoles::OPERATOR),
            ("c", MemberRoles::MEMBER),
            ("h", MemberRoles::GUEST),
        ] {
            lab.say("a", body::MemberAdd { chain: list([founding(name)]), roles }, &[]);
        }
        for laptop in ["la", "lb", "lq", "lc", "lh", "lx"] {
            lab.node(laptop, NodeRoles::NONE);
            if laptop != "lx" {
                lab.say("a", owned(laptop, &laptop[1..]), &[]);
            }
        }
        for (name, roles) in [
            ("n", NodeRoles::STORAGE),
            ("m", NodeRoles::STORAGE.with(NodeRoles::COMPUTE)),
            ("o", NodeRoles::STORAGE),
            ("g", NodeRoles::GATEWAY),
            ("k", NodeRoles::GATEWAY),
        ] {
            lab.node(name, roles);
        }
        lab.say("a", owned("n", "a"), &[]);
        lab.say("a", owned("m", "c"), &[]);
        lab.say("a", call(1, "c", "g"), &[]);
        lab.say("a", call(2, "h", "k"), &[]);
        for (n, name) in [(1, "x"), (2, "y")] {
            lab.say("a", lend(n), &[]);
            let until = Millis(START + 2 * DAY);
            lab.guests.insert(node(name), Guest { grant: grant(n), until });
        }
        lab
    }

    pub(crate) fn node(&mut self, name: &str, roles: NodeRoles) {
        let (public, bx) = (key(name).verifying(), box_key(name));
        self.say("a", body::NodeAdd { node: public, box_key: bx, roles }, &[name]);
    }

    pub(crate) fn say(&mut self, author: &str, body: impl Into<Body>, cosigners: &[&str]) -> OpId {
        self.now += 1000;
        let mut op = draft(&self.set, &self.state(), &key(author), body.into(), Millis(self.now)).unwrap();
        for name in cosigners {
            op.add_signature(&key(name));
        }
        let id = op.id();
        self.set.insert(op).unwrap();
        id
    }

    /// What has to be taken.
    pub(crate) fn must(&mut self, author: &str, body: impl Into<Body>, cosigners: &[&str]) -> OpId {
        let id = self.say(author, body, cosigners);
        let folded = self.fold();
        assert!(
            !folded.refused.contains_key(&id) && !folded.pending.contains_key(&id),
            "{:?}",
            folded.refused.get(&id)
        );
        id
    }

    pub(crate) fn fold(&self) -> Folded {
        fold(&self.set, &Clock::default())
    }

    pub(crate) fn state(&self) -> State {
        self.fold().state
    }

    pub(crate) fn net(&self, me: &str) -> Net {
        Net::of(&self.state(), node(me), &self.guests, NOW)
    }

    /// Whoever may be asked about.
    pub(crate) fn parties(&self) -> Vec<Party> {
        let state = self.state();
        let nodes = state.nodes.keys().map(|id| Party::Node(*id));
        let phones = state.phones.keys().map(|id| Party::Phone(*id));
        let guests = self.guests.iter().map(|(id, guest)| Party::Guest(guest.grant, *id));
        nodes.chain(phones).chain(guests).chain([Party::Lan]).collect()
    }

    /// Whether it may, as the receiver judges and as it is told; both must be the same.
    pub(crate) fn may(&self, from: Party, to: &str, proto: u8, port: u16) -> Option<crate::Cause> {
        let (state, net) = (self.state(), self.net(to));
        let told = explain(&state, NOW, from, at(to), proto, port).verdict;
        let own = crate::address::of_node(&state.realm, &node(to));
        let judged = net.judge(from, &flow(own.into(), proto, port));
        assert_eq!(told, judged, "{from:?} to {to} at {proto} {port}");
        judged.cause
    }
}

/// A flow to an address; where it comes from is another question.
pub(crate) fn flow(dst: IpAddr, proto: u8, port: u16) -> Flow {
    Flow { src: "fd00::1".parse().unwrap(), dst, proto, sport: 40_000, dport: port }
}

/// The operations of a set, for other orders of arrival.
pub(crate) fn ops(set: &OpSet) -> Vec<Op> {
    set.iter().cloned().collect()
}

/// SplitMix64: the same on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
    }
}

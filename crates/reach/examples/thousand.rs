//! A realm of a thousand nodes: how long its network takes to make anew when the log has changed, how much
//! memory it takes, and what judging, routing, and knowing a flow cost; prints rows for docs/benchmarks.md.
//!
//! `cargo run --release -p freehold-reach --example thousand`

#![expect(clippy::print_stdout, clippy::disallowed_types, reason = "it measures and prints")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use freehold_crypt::{Algorithm, BoxSecret, Secret, SigningKey, hash};
use freehold_packet::Flow;
use freehold_reach::{Flows, Net, Party, Wish, explain, neighbours};
use freehold_realm::body::{self, Body, GuardianSet, NodeNet, Ports, Preset, Proto, ServiceSet};
use freehold_realm::{Clock, NodeRoles, OpSet, State, draft, draft::genesis, fold};
use freehold_wire::{Bounded, Digest, Millis, NodeId, ServiceId};

type Failure = Box<dyn std::error::Error>;

const NODES: u32 = 1000;
const SERVICES: u32 = 100;
const FLOWS: u16 = 10_000;
const NOW: Millis = Millis(1_800_000_000_000);

fn key(n: u32) -> SigningKey {
    let seed = hash::digest("freehold bench key", &n.to_be_bytes());
    SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes(seed))
}

fn node(n: u32) -> Result<NodeId, Failure> {
    Ok(NodeId::from_bytes(key(n).verifying().ed25519_bytes().ok_or("no key of a node")?))
}

struct Realm {
    set: OpSet,
    founded: State,
    admin: SigningKey,
}

impl Realm {
    fn new() -> Result<Self, Failure> {
        let admin = key(u32::MAX);
        let bx = BoxSecret::from_seed(&Secret::from_bytes([1; 32])).public();
        let guardians = GuardianSet { threshold: 0, guardians: Bounded::new(), recovery: bx };
        let genesis = genesis(&admin, bx, [2; 32], guardians, Digest::from_bytes([3; 32]), NOW)?;
        let mut set = OpSet::new(genesis.realm());
        set.insert(genesis)?;
        let founded = fold(&set, &Clock::default()).state;
        Ok(Self { set, founded, admin })
    }

    fn say(&mut self, body: impl Into<Body>, cosigner: Option<&SigningKey>) -> Result<(), Failure> {
        let mut op = draft(&self.set, &self.founded, &self.admin, body.into(), NOW)?;
        if let Some(key) = cosigner {
            op.add_signature(key);
        }
        self.set.insert(op)?;
        Ok(())
    }

    /// One in ten stores, one in a hundred answers; the others are laptops of the admin.
    fn fill(&mut self) -> Result<(), Failure> {
        let person = *self.founded.persons.keys().next().ok_or("no founder")?;
        let bx = BoxSecret::from_seed(&Secret::from_bytes([4; 32])).public();
        for n in 0..NODES {
            let roles = match n % 100 {
                0 => NodeRoles::GATEWAY,
                n if n % 10 == 0 => NodeRoles::STORAGE,
                _ => NodeRoles::NONE,
            };
            let key = key(n);
            self.say(body::NodeAdd { node: key.verifying(), box_key: bx, roles }, Some(&key))?;
            if roles.is_empty() {
                self.say(NodeNet { owner: Some(person), ..NodeNet::of(node(n)?) }, None)?;
            }
        }
        for n in 0..SERVICES {
            let service = ServiceId::from_bytes(hash::digest("freehold bench service", &n.to_be_bytes()));
            let homes = Bounded::from_vec(vec![node(0)?])?;
            let ports = Bounded::from_vec(vec![Ports::one(Proto::Tcp, u16::try_from(3000 + n)?)])?;
            let (grants, gateways) = (Bounded::new(), Bounded::new());
            let preset = Preset::Realm;
            self.say(ServiceSet { service, homes, ports, preset, grants, gateways, sign_on: false }, None)?;
        }
        Ok(())
    }
}

/// Resident bytes of this process.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn each(what: &str, count: u32, mut one: impl FnMut(u32)) {
    let start = Instant::now();
    (0..count).for_each(&mut one);
    println!("| {what} | {:.2} µs |", start.elapsed().as_secs_f64() * 1e6 / f64::from(count));
}

fn main() -> Result<(), Failure> {
    let mut realm = Realm::new()?;
    realm.fill()?;
    println!("| of {NODES} nodes, {} operations | |\n|---|---|", realm.set.len());
    let mut state = None;
    each("folding the log", 3, |_| state = Some(fold(&realm.set, &Clock::default()).state));
    let state = state.ok_or("no state")?;
    let (me, guests) = (node(0)?, BTreeMap::new());
    each("making the network anew", 10, |_| drop(black_box(Net::of(&state, me, &guests, NOW))));
    let before = resident()?;
    let kept: Vec<Net> = (0..20).map(|_| Net::of(&state, me, &guests, NOW)).collect();
    println!("| memory of it | {} KiB |", (resident()? - before) / 1024 / 20);
    let net = kept.first().ok_or("no network")?;
    let from = Party::Node(node(1)?);
    let own: IpAddr = net.addresses(Party::Node(me)).ok_or("no address")?.0.into();
    let sender: IpAddr = net.addresses(from).ok_or("no address")?.0.into();
    let flow = |sport| Flow { src: sender, dst: own, proto: 6, sport, dport: 3099 };
    let to = Party::Node(me);
    each("whose line, which way", 100_000, |_| {
        black_box((net.carries(node_of(from), sender), net.via(sender, &Wish::default())));
    });
    each("judging what begins", 100_000, |_| {
        black_box(net.judge(from, &flow(1)));
    });
    each("explaining", 1000, |_| {
        black_box(explain(&state, NOW, from, to, 6, 3099));
    });
    each("neighbours", 10, |_| drop(black_box(neighbours(&state, &me))));
    let before = resident()?;
    let mut flows = Flows::new([7; 16], 16_384);
    for sport in 0..FLOWS {
        flows.inbound(1, NOW, &flow(sport), || net.judge(from, &flow(sport)));
    }
    println!("| memory of {FLOWS} flows with one peer | {} KiB |", (resident()? - before) / 1024);
    each("knowing a flow", 1_000_000, |n| {
        let known = flow(u16::try_from(n % u32::from(FLOWS)).unwrap_or(0));
        black_box(flows.inbound(1, NOW, &known, || net.judge(from, &known)));
    });
    each("asking about a flow again", 100_000, |n| {
        let known = flow(u16::try_from(n % u32::from(FLOWS)).unwrap_or(0));
        let generation = u64::from(n / u32::from(FLOWS)) + 2;
        black_box(flows.inbound(generation, NOW, &known, || net.judge(from, &known)));
    });
    Ok(())
}

const fn node_of(party: Party) -> NodeId {
    match party {
        Party::Node(node) | Party::Guest(_, node) => node,
        Party::Phone(_) | Party::Lan => NodeId::from_bytes([0; 32]),
    }
}

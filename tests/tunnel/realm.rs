//! The realm of the story: every host makes the same log by itself, from the same words.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, anyhow};
use freehold_crypt::{Algorithm, BoxSecret, Secret, SigningKey, hash};
use freehold_reach::{Net, Wish};
use freehold_realm::body::{
    self, Body, GuardianSet, NodeNet, Ports, Proto, RuleEnd, RuleFrom, RuleSet, RuleTo, Target,
};
use freehold_realm::{Clock, NodeRoles, OpSet, Standing, State, draft, fold, network_of};
use freehold_tunnel::View;
use freehold_wire::{Bounded, Digest, Millis, NodeId, RuleId};

const START: u64 = 1_800_000_000_000;

/// The seed of whoever is called so.
pub(super) fn seed(name: &str) -> Secret {
    Secret::from_bytes(hash::digest("freehold test key", name.as_bytes()))
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &seed(name))
}

/// The machine that is called so.
pub(super) fn node(name: &str) -> Result<NodeId> {
    key(name).verifying().ed25519_bytes().map(NodeId::from_bytes).context("an Ed25519 key")
}

fn list<T, const N: usize>(items: impl IntoIterator<Item = T>) -> Result<Bounded<T, N>> {
    Bounded::from_vec(items.into_iter().collect()).map_err(|_| anyhow!("too many"))
}

/// The log, as one host has it.
pub(super) struct Realm {
    set: OpSet,
    now: u64,
    rules: u8,
    generation: u64,
}

impl Realm {
    /// Two servers, which may ping each other and no more.
    pub(super) fn found() -> Result<Self> {
        let bx = BoxSecret::from_seed(&seed("a")).public();
        let none = GuardianSet { threshold: 0, guardians: list([])?, recovery: bx };
        let genesis =
            draft::genesis(&key("a"), bx, [7; 32], none, Digest::from_bytes([9; 32]), Millis(START))
                .map_err(|error| anyhow!("{error:?}"))?;
        let mut set = OpSet::new(genesis.realm());
        set.insert(genesis).map_err(|error| anyhow!("{error:?}"))?;
        let mut realm = Self { set, now: START, rules: 0, generation: 0 };
        for (number, name) in [(1, "s"), (2, "t")] {
            let (public, bx) = (key(name).verifying(), BoxSecret::from_seed(&seed(name)).public());
            realm.say(body::NodeAdd { node: public, box_key: bx, roles: NodeRoles::STORAGE }, &[name])?;
            let v4 = realm.v4(number)?;
            realm.say(NodeNet { v4: Some(v4), ..NodeNet::of(node(name)?) }, &[])?;
        }
        Ok(realm)
    }

    /// An address in the realm's own range.
    fn v4(&self, number: u32) -> Result<Ipv4Addr> {
        match self.state().network.range.first() {
            IpAddr::V4(first) => Ok(Ipv4Addr::from_bits(first.to_bits() + number)),
            IpAddr::V6(_) => Err(anyhow!("the range is of IPv4")),
        }
    }

    fn say(&mut self, body: impl Into<Body>, cosigners: &[&str]) -> Result<()> {
        self.now += 1000;
        let mut op = draft(&self.set, &self.state(), &key("a"), body.into(), Millis(self.now))
            .map_err(|error| anyhow!("{error:?}"))?;
        for name in cosigners {
            op.add_signature(&key(name));
        }
        let id = op.id();
        self.set.insert(op).map_err(|error| anyhow!("{error:?}"))?;
        let folded = fold(&self.set, &Clock::default());
        match folded.refused.get(&id) {
            Some(why) => Err(anyhow!("refused: {why:?}")),
            None => Ok(()),
        }
    }

    fn state(&self) -> State {
        fold(&self.set, &Clock::default()).state
    }

    /// Machine s may reach this port of machine t with TCP.
    pub(super) fn allow(&mut self, port: u16) -> Result<()> {
        self.rules += 1;
        let (from, to) = (RuleFrom::Node(node("s")?), RuleTo::Node(node("t")?));
        self.say(
            RuleSet {
                rule: RuleId::from_bytes([self.rules; 32]),
                from: list([from])?,
                to: list([to])?,
                ports: list([Ports::one(Proto::Tcp, port)])?,
                until: None,
            },
            &[],
        )
    }

    /// The newest rule ends.
    pub(super) fn end(&mut self) -> Result<()> {
        self.say(RuleEnd { rule: RuleId::from_bytes([self.rules; 32]) }, &[])
    }

    /// A machine is suspended.
    pub(super) fn suspend(&mut self, name: &str) -> Result<()> {
        self.say(draft::suspend(&self.set, &self.state(), Target::Node(node(name)?)), &[])
    }

    /// Whether a machine belongs.
    pub(super) fn admits(&self, node: NodeId) -> bool {
        self.state().nodes.get(&node).is_some_and(|known| known.standing == Standing::Active)
    }

    /// The network as a machine sees it now.
    pub(super) fn view(&mut self, me: NodeId) -> View {
        self.generation += 1;
        let state = self.state();
        let net = Net::of(&state, me, &BTreeMap::new(), Millis(self.now));
        let realm = vec![network_of(&state.realm), state.network.range];
        let networks = realm.clone();
        View { generation: self.generation, net, wish: Wish::default(), networks, realm }
    }
}

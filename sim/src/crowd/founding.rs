//! Who founds a large realm, and what its log says.

#![expect(clippy::expect_used, reason = "a realm that cannot be founded is a mistake in the simulation")]

use freehold_crypt::{Algorithm, BoxSecret, Secret, SigningKey, hash};
use freehold_realm::body::{self, GuardianSet};
use freehold_realm::{Body, Clock, NodeRoles, Op, OpSet, State, draft, fold};
use freehold_wire::{Bounded, Digest, Millis, NodeId};

const NOW: Millis = Millis(1_800_000_000_000);

/// A realm's log in the hands of its founder.
#[derive(Debug)]
pub(super) struct Founding {
    set: OpSet,
    state: State,
    admin: SigningKey,
    machines: u32,
}

impl Founding {
    /// A realm with so many machines: one in ten stores, one in a hundred is a gateway, the others are laptops.
    pub(super) fn new(machines: u32) -> Self {
        let admin = key(u32::MAX);
        let guardians = GuardianSet { threshold: 0, guardians: Bounded::new(), recovery: box_key() };
        let digest = Digest::from_bytes([3; 32]);
        let genesis = draft::genesis(&admin, box_key(), [2; 32], guardians, digest, NOW);
        let genesis = genesis.expect("a founder may found");
        let mut set = OpSet::new(genesis.realm());
        set.insert(genesis).expect("a genesis goes into an empty set");
        let state = fold(&set, &Clock::default()).state;
        let mut founding = Self { set, state, admin, machines: 0 };
        for _ in 0..machines {
            founding.join();
        }
        founding.state = fold(&founding.set, &Clock::default()).state;
        founding
    }

    pub(super) const fn set(&self) -> &OpSet {
        &self.set
    }

    /// What the log said when all machines were there, and since the last that joined.
    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..self.machines).map(node)
    }

    pub(super) fn say(&mut self, body: Body) -> Op {
        self.sign(body, None)
    }

    /// Lets one more machine in.
    pub(super) fn join(&mut self) -> (NodeId, Op) {
        let n = self.machines;
        self.machines += 1;
        let roles = match n % 100 {
            0 => NodeRoles::GATEWAY,
            n if n % 10 == 0 => NodeRoles::STORAGE,
            _ => NodeRoles::NONE,
        };
        let key = key(n);
        let add = body::NodeAdd { node: key.verifying(), box_key: box_key(), roles };
        (node(n), self.sign(add.into(), Some(&key)))
    }

    fn sign(&mut self, body: Body, cosigner: Option<&SigningKey>) -> Op {
        let mut op = draft(&self.set, &self.state, &self.admin, body, NOW).expect("a founder may say it");
        if let Some(key) = cosigner {
            op.add_signature(key);
        }
        self.set.insert(op.clone()).expect("what is truly signed goes in");
        op
    }
}

fn key(n: u32) -> SigningKey {
    let seed = hash::digest("freehold sim machine key", &n.to_be_bytes());
    SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes(seed))
}

fn node(n: u32) -> NodeId {
    NodeId::from_bytes(key(n).verifying().ed25519_bytes().expect("it is such a key"))
}

fn box_key() -> freehold_crypt::BoxPublic {
    BoxSecret::from_seed(&Secret::from_bytes([1; 32])).public()
}

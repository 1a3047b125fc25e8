//! A small house made of real operations: Ann, who is admin, and Bo; a server `nas` and a gateway `door` of
//! Ann's, Bo's laptop `pad`.

use freehold_crypt::{Algorithm, BoxPublic, BoxSecret, Secret, SigningKey, hash};
use freehold_realm::body::{self, GuardianSet, NodeNet};
use freehold_realm::{Body, Clock, MemberRoles, NodeRoles, OpSet, State, Statement, draft, fold};
use freehold_wire::{Bounded, Digest, Millis, NodeId, OpId, PersonId};

use super::called::{Called, Said, Thing};

const START: u64 = 1_800_000_000_000;
pub(crate) const NOW: Millis = Millis(START + 24 * 3600 * 1000);

pub(crate) struct Lab {
    set: OpSet,
    now: u64,
    pub(crate) said: Said,
}

fn seed(name: &str) -> Secret {
    Secret::from_bytes(hash::digest("freehold test key", name.as_bytes()))
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &seed(name))
}

fn box_key(name: &str) -> BoxPublic {
    BoxSecret::from_seed(&seed(name)).public()
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::from_bytes(key(name).verifying().ed25519_bytes().unwrap())
}

impl Lab {
    pub(crate) fn house() -> Self {
        let guardians =
            GuardianSet { threshold: 0, guardians: Bounded::new(), recovery: box_key("recovery") };
        let (nonce, root) = ([7; 32], Digest::from_bytes([9; 32]));
        let genesis =
            draft::genesis(&key("ann"), box_key("ann"), nonce, guardians, root, Millis(START)).unwrap();
        let mut set = OpSet::new(genesis.realm());
        set.insert(genesis).unwrap();
        let mut lab = Self { set, now: START, said: Said::default() };
        let ann = *lab.state().persons.keys().next().unwrap();
        let founding = Statement::found([1; 16], &key("bo"), box_key("bo"));
        let bo = founding.person();
        let chain = Bounded::fill(&mut [founding].into_iter());
        lab.must(body::MemberAdd { chain, roles: MemberRoles::MEMBER });
        for (name, roles, owner) in [
            ("nas", NodeRoles::STORAGE.with(NodeRoles::SECRETS), ann),
            ("door", NodeRoles::GATEWAY, ann),
            ("pad", NodeRoles::NONE, bo),
        ] {
            let (public, boxed) = (key(name).verifying(), box_key(name));
            lab.say(body::NodeAdd { node: public, box_key: boxed, roles }, Some(name));
            lab.must(NodeNet { owner: Some(owner), ..NodeNet::of(node(name)) });
            lab.said.things.insert(Thing::Node(node(name)), name.to_owned());
        }
        lab.said.realm = Some("The Smiths".to_owned());
        lab.said.things.insert(Thing::Person(ann), "ann".to_owned());
        lab.said.things.insert(Thing::Person(bo), "bo".to_owned());
        lab
    }

    fn say(&mut self, body: impl Into<Body>, cosigner: Option<&str>) -> OpId {
        self.now += 1000;
        let mut op = draft(&self.set, &self.state(), &key("ann"), body.into(), Millis(self.now)).unwrap();
        if let Some(name) = cosigner {
            op.add_signature(&key(name));
        }
        let id = op.id();
        self.set.insert(op).unwrap();
        id
    }

    /// What Ann says and the log has to take.
    pub(crate) fn must(&mut self, body: impl Into<Body>) -> OpId {
        let id = self.say(body, None);
        let folded = fold(&self.set, &Clock::default());
        assert!(!folded.refused.contains_key(&id), "{:?}", folded.refused.get(&id));
        id
    }

    pub(crate) fn suspend(&mut self, name: &str) -> OpId {
        let body = draft::suspend(&self.set, &self.state(), body::Target::Node(node(name)));
        self.must(body)
    }

    pub(crate) fn state(&self) -> State {
        fold(&self.set, &Clock::default()).state
    }

    pub(crate) fn called(&self) -> Called {
        Called::of(&self.state(), &self.said)
    }

    pub(crate) fn person(&self, name: &str) -> PersonId {
        self.called().person(name).unwrap()
    }
}

//! Random histories: honest admins each at their own replica, often apart, and one rogue among them
//! who equivocates, backdates, removes, suspends, double-signs and withholds.

use std::collections::BTreeSet;

use freehold_wire::{Bounded, Millis, OpId, Regions};

use crate::body::{self, Body, Target};
use crate::checkpoint::{Known, Step, due};
use crate::draft::{self, PATIENCE, draft};
use crate::fold::{Clock, Folded, fold};
use crate::op::{Head, LEVEL, Op};
use crate::reason::Reason;
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::OpSet;
use crate::state::{Standing, State};

use super::lab::*;

/// SplitMix64: the histories are the same on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.roll(items.len()))
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.roll(at + 1));
        }
    }
}

fn is_suspended(state: &State, name: &str) -> bool {
    state.persons.get(&person(name)).is_some_and(|person| person.standing == Standing::Suspended)
}

struct History {
    dice: Dice,
    names: Vec<&'static str>,
    /// One replica for each admin; the rogue, who is the last, uses all of them.
    homes: Vec<Lab>,
    /// What the rogue keeps to itself.
    withheld: Vec<Op>,
    /// Everything the rogue ever signed as author.
    rogue_ops: Vec<Op>,
    /// Checkpoints that some honest replica relied on, with the operations that stood in their past.
    relied: Vec<(OpId, BTreeSet<OpId>)>,
    now: u64,
}

const ROGUE: &str = "m";

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        // Of these one signs with P-256.
        let mut names = ["a", "p", "c", "d"][..=dice.roll(4)].to_vec();
        names.push(ROGUE);
        let lab = Lab::new(&names);
        let rogue_ops =
            lab.set.iter().filter(|op| op.head().author == key(ROGUE).verifying()).cloned().collect();
        let homes = names.iter().map(|_| lab.clone()).collect();
        Self { dice, names, homes, withheld: Vec::new(), rogue_ops, relied: Vec::new(), now: START + DAY }
    }

    fn step(&mut self) {
        // Mostly minutes; at times days, in which proposals lapse and checkpoints settle.
        self.now += if self.dice.chance(5) { DAY } else { 60_000 };
        let who = self.dice.roll(self.names.len());
        if self.names[who] == ROGUE {
            self.rogue();
        } else {
            self.honest(who);
        }
        if self.dice.chance(60) {
            let (x, y) = (self.dice.roll(self.homes.len()), self.dice.roll(self.homes.len()));
            let ops: Vec<Op> = self.homes[x].set.iter().cloned().collect();
            for op in ops {
                drop(self.homes[y].set.restore(op));
            }
        }
    }

    fn honest(&mut self, who: usize) {
        let name = self.names[who];
        let (me, now) = (key(name), Millis(self.now));
        let folded = self.homes[who].fold();
        self.rely(who, &folded);
        let (set, state) = (&self.homes[who].set, &folded.state);
        let rogue = person(ROGUE);
        let present = state.persons.contains_key(&rogue);
        let drafted = match self.dice.roll(21) {
            0..4 => {
                let n = u8::try_from(self.dice.roll(200)).unwrap();
                draft(set, state, &me, set_bucket(n), now)
            }
            4 | 11 if present => draft(set, state, &me, remove(ROGUE, set.last_seq(&key_id(ROGUE))), now),
            5 if present => draft(set, state, &me, draft::suspend(set, state, Target::Person(rogue)), now),
            6 | 7 => return self.checkpoint(who, &folded),
            8 if !state.persons.contains_key(&person("e")) => draft(set, state, &me, add_admin("e"), now),
            9 if !state.persons.contains_key(&person("f")) => draft(set, state, &me, add_member("f"), now),
            9 => {
                let roles = MemberRoles::ADMIN;
                let body = body::MemberChange { person: person("f"), roles, last: Bounded::new() };
                draft(set, state, &me, body, now)
            }
            10 => {
                let node = ["n1", "n2", "n3"][self.dice.roll(3)];
                let op = self.homes[who].op(name, add_node(node, NodeRoles::GATEWAY), &[node], |_| {});
                Ok(op)
            }
            12 => {
                let key = key(["i", "j"][self.dice.roll(2)]).verifying();
                let (roles, expires) = (NodeRoles::GATEWAY, Millis(self.now + DAY));
                let body = body::InvitationIssue { key, roles, expires, device: None };
                draft(set, state, &me, body, now)
            }
            13 | 14 => return self.let_in(who, &[name]),
            // An honest admin whom the rogue suspended is let back.
            16 => {
                let node = ["n1", "n2", "n3"][self.dice.roll(3)];
                let (region, draining) = (region(["DE", "US"][self.dice.roll(2)]), self.dice.chance(50));
                let to = body::NodeSet { region: Some(region), draining: Some(draining), ..nowhere() };
                draft(set, state, &me, move_node(node, to), now)
            }
            17 => {
                let never = list([region(["FR", "US"][self.dice.roll(2)])]);
                let regions = Regions { only: list([]), never };
                let n = u8::try_from(self.dice.roll(200)).unwrap();
                let (copies, rules) = (2, body::Rules { zones: 2, regions }.said());
                draft(set, state, &me, body::BucketSet { bucket: bucket(n), copies, confirm: 1, rules }, now)
            }
            18 => {
                let (of, bytes) = (body::QuotaOf::Person(person("f")), self.dice.chance(70).then_some(9));
                draft(set, state, &me, body::QuotaSet { of, bytes }, now)
            }
            15 => match self.names.iter().find(|n| **n != ROGUE && is_suspended(state, n)) {
                Some(victim) => draft(set, state, &me, lift(victim), now),
                None => return self.cosign(who, &folded),
            },
            _ => return self.cosign(who, &folded),
        };
        if let Ok(op) = drafted {
            self.homes[who].set.insert(op).unwrap();
        }
    }

    /// A machine takes up an invitation that may have been used, or leaked, at these doors.
    fn let_in(&mut self, home: usize, doors: &[&str]) {
        let (name, node) = (["i", "j"][self.dice.roll(2)], ["n5", "n6", "n7"][self.dice.roll(3)]);
        let lab = &self.homes[home];
        let open = lab.fold().state.invitations.get(&key_id(name)).is_some_and(|i| i.redeemed.is_none());
        if open || doors != [self.names[home]] {
            let all: Vec<OpId> = lab.set.iter().map(Op::id).collect();
            let parents = if open { lab.heads() } else { vec![*self.dice.pick(&all).unwrap()] };
            let op = lab.redemption(&parents[..parents.len().min(8)], name, node, doors);
            drop(self.homes[home].set.insert(op));
        }
    }

    /// What a program does about checkpoints, by itself or because its admin asks.
    fn checkpoint(&mut self, who: usize, folded: &Folded) {
        let (me, now, home) = (key(self.names[who]), Millis(self.now), &self.homes[who]);
        let (set, state) = (&home.set, &folded.state);
        let clock = Clock { now, ..home.clock.clone() };
        let first_seen = set.iter().map(|op| (op.id(), op.head().hlc.wall)).collect();
        let (first_seen, asked, me_public) = (&first_seen, self.dice.chance(70), &me.verifying());
        let op = match due(&Known { set, folded, clock: &clock, first_seen, me: me_public, asked }) {
            Ok(Step::Propose(proposal)) => draft::propose_checkpoint(set, state, &me, proposal, now),
            Ok(Step::Cosign(id)) => draft::cosign(set, state, &id, &me, &me, now),
            Err(_) => return,
        };
        if let Ok(op) = op {
            self.homes[who].set.insert(op).unwrap();
        }
    }

    /// Signs what another honest admin proposes.
    fn cosign(&mut self, who: usize, folded: &Folded) {
        let (me, now) = (key(self.names[who]), Millis(self.now));
        let home = &self.homes[who];
        let approved = folded.pending.keys().filter(|id| {
            let Some(op) = home.set.get(id) else { return false };
            let honest = op.head().author != key(ROGUE).verifying();
            match op.body() {
                Body::MemberRemove(b) => honest && b.person == person(ROGUE),
                Body::Suspend(b) => honest && b.target == Target::Person(person(ROGUE)),
                Body::MemberAdd(_) | Body::MemberChange(_) => honest,
                _ => false,
            }
        });
        let carried: Vec<Op> = approved
            .filter_map(|id| draft::cosign(&home.set, &folded.state, id, &me, &me, now).ok())
            .take(1)
            .collect();
        for op in carried {
            self.homes[who].set.insert(op).unwrap();
        }
    }

    fn rely(&mut self, who: usize, folded: &Folded) {
        let Some(base) = folded.state.base else { return };
        let set = &self.homes[who].set;
        let stands =
            |op: &&Op| !folded.refused.contains_key(&op.id()) && !folded.pending.contains_key(&op.id());
        let final_ops = set.iter().filter(|op| set.is_before(&op.id(), &base)).filter(stands);
        let entry = (base, final_ops.map(Op::id).collect());
        self.relied.push(entry);
    }

    fn rogue(&mut self) {
        let home = self.dice.roll(self.homes.len());
        if self.dice.chance(30) && !self.withheld.is_empty() {
            let at = self.dice.roll(self.withheld.len());
            let op = self.withheld.swap_remove(at);
            drop(self.homes[home].set.insert(op));
            return;
        }
        if self.dice.chance(25) {
            return self.countersign(home);
        }
        if self.dice.chance(15) {
            let door = ["n1", "n2", "n5", "n6", ROGUE][self.dice.roll(5)];
            return self.let_in(home, &[door]);
        }
        let body = self.mischief(home);
        let all: Vec<OpId> = self.homes[home].set.iter().map(Op::id).collect();
        let parents = if self.dice.chance(50) {
            list(self.homes[home].set.heads().iter().copied().take(8))
        } else {
            sorted(&[*self.dice.pick(&all).unwrap(), *self.dice.pick(&all).unwrap()])
        };
        // Equivocates by following an older operation of its own, or none.
        let newest = self.rogue_ops.iter().max_by_key(|op| op.head().seq);
        let prev = if self.dice.chance(25) { self.dice.pick(&self.rogue_ops) } else { newest };
        let head = Head {
            realm: Some(self.homes[home].set.realm()),
            level: LEVEL,
            author: key(ROGUE).verifying(),
            seq: prev.map_or(1, |op| op.head().seq + 1),
            prev: prev.map(Op::id),
            parents,
            epoch: self.homes[home].fold().state.epoch.saturating_sub(self.dice.roll(2) as u64),
            hlc: freehold_wire::Hlc { wall: Millis(self.now), count: 0 },
        };
        let mut op = Op::sign(head, body, &key(ROGUE)).unwrap();
        for helper in ["s", "n4"] {
            op.add_signature(&key(helper));
        }
        self.rogue_ops.push(op.clone());
        if self.dice.chance(35) {
            self.withheld.push(op);
        } else {
            drop(self.homes[home].set.insert(op));
        }
    }

    /// Signs a checkpoint of whoever asks, also contradicting ones; sometimes only for itself.
    fn countersign(&mut self, home: usize) {
        let proposals: Vec<Op> = self.homes[home]
            .set
            .iter()
            .filter(|op| matches!(op.body(), Body::Checkpoint(_)))
            .cloned()
            .collect();
        let Some(op) = self.dice.pick(&proposals) else { return };
        let mut op = op.clone();
        op.add_signature(&key(ROGUE));
        if self.dice.chance(30) { self.withheld.push(op) } else { drop(self.homes[home].set.insert(op)) }
    }

    fn mischief(&mut self, home: usize) -> Body {
        let honest = &self.names[..self.names.len() - 1];
        let victim = *self.dice.pick(honest).unwrap();
        let folded = self.homes[home].fold();
        match self.dice.roll(20) {
            0 | 1 => remove(victim, 0),
            2 | 3 => suspend(victim, 0),
            4 => add_admin("s"),
            5 => body::Checkpoint { base: folded.state.base, standing: Bounded::new() }.into(),
            6 => body::GuardiansSet { guardians: guardians(&["s1", "s2"], 2) }.into(),
            7 => lift(ROGUE),
            8 => {
                let roles = MemberRoles::MEMBER;
                body::MemberChange { person: person(victim), roles, last: Bounded::new() }.into()
            }
            9 => add_node("n4", NodeRoles::GATEWAY),
            10 => add_member(if self.dice.chance(50) { "e" } else { "f" }),
            11 => remove("f", 0),
            12 => suspend("f", 0),
            13 => {
                let key = key(if self.dice.chance(50) { "e" } else { "f" }).verifying();
                let (roles, expires) = (NodeRoles::STORAGE, Millis(self.now + DAY));
                body::InvitationIssue { key, roles, expires, device: None }.into()
            }
            14 => body::MemberChange { person: person("f"), roles: MemberRoles::GUEST, last: Bounded::new() }
                .into(),
            15 => draft::add_device(&folded.state, &key(ROGUE), &key("m2"), box_key("m2"))
                .map_or_else(|| set_bucket(251), Body::from),
            16 => draft::remove_device(&self.homes[home].set, &folded.state, &key(ROGUE), key_id("m2"))
                .map_or_else(|| set_bucket(252), |body| body::DeviceRemove { last: 0, ..body }.into()),
            17 => body::Suspend { target: Target::Device(key_id(victim)), last: Bounded::new() }.into(),
            _ => set_bucket(250),
        }
    }

    fn everything(&self) -> Vec<Op> {
        self.homes.iter().flat_map(|home| home.set.iter()).chain(&self.withheld).cloned().collect()
    }

    fn merged(&mut self) -> OpSet {
        let mut ops = self.everything();
        self.dice.shuffle(&mut ops);
        let mut set = OpSet::new(self.homes[0].set.realm());
        for op in ops {
            drop(set.restore(op));
        }
        set
    }
}

fn live(seed: u64) -> History {
    let mut history = History::new(seed);
    for _ in 0..40 + history.dice.roll(40) {
        history.step();
    }
    history
}

/// A history as one replica that has heard everything.
pub(super) fn heard(seed: u64) -> Lab {
    let mut history = live(seed);
    Lab { set: history.merged(), ..history.homes[0].clone() }
}

fn play(seed: u64) {
    let mut history = live(seed);
    let clock = history.homes[0].clock.clone();
    let set = history.merged();
    let end = fold(&set, &clock);
    for _ in 0..2 {
        let other = history.merged();
        assert_eq!(fold(&other, &clock), end, "seed {seed}: another order, another state");
    }
    let honest = &history.names[..history.names.len() - 1];
    let admins: BTreeSet<_> = end.state.admins().map(|(id, _)| *id).collect();
    assert!(!admins.contains(&person("s")), "seed {seed}: sock puppet");
    let known = history.names.iter().chain(&["e", "f"]).map(|n| person(n)).collect();
    assert!(admins.is_subset(&known), "seed {seed}: strangers are admins");
    assert_eq!(end.state.guardians, guardians(&["g1", "g2", "g3"], 2), "seed {seed}: guardians");
    for name in honest {
        let row = end.state.persons.get(&person(name));
        assert!(admins.contains(&person(name)), "seed {seed}: {name} lost");
        assert!(row.is_some_and(|p| p.standing == Standing::Active), "seed {seed}: {name} suspended");
        assert!(
            row.unwrap().devices.values().all(|d| d.standing == Standing::Active),
            "seed {seed}: {name}'s device"
        );
    }
    admissions_are_not_undone(seed, &set, &end);
    nothing_after_the_cut(seed, &set, &end);
    final_stays_final(seed, &history, &set, &end);
}

/// What honest admins decide about new admins falls for want of signatures or time, or because a
/// checkpoint passed it, but not by anything that the rogue does on the side.
fn admissions_are_not_undone(seed: u64, set: &OpSet, end: &Folded) {
    for op in set.iter().filter(|op| op.head().author.id() != key_id(ROGUE)) {
        let who = match op.body() {
            Body::MemberAdd(b) if b.roles.contains(MemberRoles::ADMIN) => {
                crate::person::read_chain(&b.chain).unwrap().0
            }
            Body::MemberChange(b) => b.person,
            _ => continue,
        };
        if who == person(ROGUE) {
            continue;
        }
        match end.refused.get(&op.id()) {
            None if !end.pending.contains_key(&op.id()) && end.state.persons.contains_key(&who) => {
                let admin = end.state.admins().any(|(id, p)| *id == who && p.standing == Standing::Active);
                assert!(admin, "seed {seed}: {op:?} stands, but {who:?} is no active admin");
            }
            Some(Reason::InUse(_)) => {
                assert!(end.state.admins().any(|(id, _)| *id == who), "seed {seed}: {op:?} was forestalled");
            }
            // Somebody signed two checkpoints, and the one that it knew was dropped.
            Some(Reason::EpochAhead) => assert!(set.iter().any(|c| {
                end.refused.get(&c.id()) == Some(&Reason::Overtaken) && set.is_before(&c.id(), &op.id())
            })),
            None | Some(Reason::Lapsed | Reason::LeftOut { .. } | Reason::NoSuch(_)) => {}
            Some(why) => panic!("seed {seed}: {op:?} was undone: {why}"),
        }
    }
}

/// What a removed rogue wrote after the last operation that was accepted has no effect.
fn nothing_after_the_cut(seed: u64, set: &OpSet, end: &Folded) {
    let stands = |op: &Op| !end.refused.contains_key(&op.id()) && !end.pending.contains_key(&op.id());
    for removal in set.iter().filter(|op| stands(op)) {
        let Body::MemberRemove(body) = removal.body() else { continue };
        let Some(last) = body.last.iter().find(|l| l.key == key_id(ROGUE)) else { continue };
        for op in set.iter().filter(|op| op.head().author.id() == key_id(ROGUE) && op.head().seq > last.seq) {
            let id = op.id();
            // Or it is the checkpoint itself, which the others signed.
            let fixed = end.state.base.is_some_and(|base| base == id || set.is_before(&id, &base));
            assert!(fixed || !stands(op), "seed {seed}: {op:?} stands after the removal");
        }
    }
}

/// What stood before a checkpoint stands for good, unless somebody provably signed two checkpoints.
fn final_stays_final(seed: u64, history: &History, set: &OpSet, end: &Folded) {
    for (base, ops) in &history.relied {
        let kept = end.state.base.is_some_and(|tip| tip == *base || set.is_before(base, &tip));
        if kept && !end.refused.contains_key(base) {
            for op in ops {
                let lost = end.refused.contains_key(op) || end.pending.contains_key(op);
                assert!(!lost, "seed {seed}: {op:?} was final, now {:?}", end.refused.get(op));
            }
        } else {
            let rogue =
                |id: &OpId| set.get(id).unwrap().signatures().iter().any(|s| s.key == key(ROGUE).verifying());
            // Of two admins the honest one does not sign a rival while its promise holds: three days.
            let proposed = set.get(base).unwrap().head().hlc.wall;
            let lapsed = proposed.plus(PATIENCE) < Millis(history.now);
            assert!(
                rogue(base) && (history.names.len() > 2 || lapsed),
                "seed {seed}: {base:?} was dropped without a double signature"
            );
        }
    }
}

#[test]
fn one_rogue_among_honest_admins_gets_nowhere() {
    (0..200).for_each(play);
}

#[test]
#[ignore = "minutes"]
fn one_rogue_gets_nowhere_for_longer() {
    (2_500..6_000).for_each(play);
}

//! One walk over the set, along a chain of checkpoints and recoveries: first the past of the oldest,
//! then what the next one adds, and at last everything that none of them fixes.
//!
//! A revocation can void operations that come before it in the order. The walk then starts again
//! with that known ([`Learned`]); this is rare, and each time something is learned for good.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{KeyId, Millis, OpId};

use crate::body::{Body, Target};
use crate::reason::Reason;
use crate::set::At;
use crate::world::{Backing, Cut, Holder, Sponsor, View, World};

use super::base::Frame;

/// Why a walk ended early.
pub(super) enum Stop {
    /// Something was learned: walk again.
    Again,
    /// This member of the chain is not valid.
    Invalid(At, Reason),
}

/// What earlier walks found to hold for operations before the one that says so.
#[derive(Debug, Default)]
pub(super) struct Learned {
    cuts: BTreeMap<At, (Target, Cut)>,
    lifts: BTreeMap<At, Target>,
    /// Redemptions of one invitation that contradict others.
    rivals: BTreeMap<At, (KeyId, Sponsor)>,
    defeated: BTreeSet<At>,
}

/// One walk.
pub(super) struct Run<'a> {
    pub(super) frame: &'a Frame<'a>,
    pub(super) invalid: BTreeMap<At, Reason>,
    pub(super) immediate: BTreeSet<At>,
    pub(super) chain: Vec<At>,
    pub(super) world: World,
    /// Per operation: not reached, or what became of it.
    pub(super) verdicts: Vec<Option<Result<(), Reason>>>,
    scope: Vec<bool>,
    sealed: Vec<bool>,
    /// Redemptions that earlier walks found to contradict others.
    rivals: BTreeMap<At, (KeyId, Sponsor)>,
    /// Power operations of this segment that were accepted.
    pub(super) standing: Vec<At>,
    /// Operations of this segment that lack signatures.
    short: Vec<At>,
    /// What the checkpoint that ends this segment lists.
    pub(super) listed: Option<(OpId, BTreeSet<OpId>)>,
    pub(super) epoch: u64,
    pub(super) base: Option<At>,
    pub(super) base_time: Millis,
    /// What the operation just accepted revokes or lifts.
    pub(super) effect: Option<Effect>,
}

/// What reaches beyond an operation's own place in the order.
pub(super) enum Effect {
    Cut(Target, Cut),
    Lift(Target),
    Rivals(KeyId, Vec<(At, Sponsor)>),
}

impl<'a> Run<'a> {
    pub(super) fn new(
        frame: &'a Frame<'a>,
        invalid: &BTreeMap<At, Reason>,
        immediate: &BTreeSet<At>,
        chain: &[At],
    ) -> Self {
        let len = frame.set.len();
        Self {
            frame,
            invalid: invalid.clone(),
            immediate: immediate.clone(),
            chain: chain.to_vec(),
            world: World::default(),
            verdicts: vec![None; len],
            scope: vec![false; len],
            sealed: vec![false; len],
            rivals: BTreeMap::new(),
            standing: Vec::new(),
            short: Vec::new(),
            listed: None,
            epoch: 0,
            base: None,
            base_time: Millis(0),
            effect: None,
        }
    }

    pub(super) fn view(&self, at: At) -> View<'_> {
        View { set: self.frame.set, world: &self.world, at: Some(at) }
    }

    pub(super) fn whole(&self) -> View<'_> {
        View { set: self.frame.set, world: &self.world, at: None }
    }

    pub(super) fn id(&self, at: At) -> OpId {
        self.frame.set.entry(at).map_or(OpId::from_bytes([0; 32]), |e| e.op.id())
    }

    pub(super) fn run(&mut self, learned: &mut Learned) -> Result<(), Stop> {
        let set = self.frame.set;
        let mut rest: Vec<At> = set.all().map(|(at, _)| at).collect();
        // Depth first, so that parents come before children; then reductions; then the id. Within
        // one depth, seniority is put in when its time comes.
        rest.sort_by_cached_key(|at| {
            set.entry(*at).map(|e| (e.depth, !is_reduction(e.op.body()), e.op.id()))
        });
        for base in self.chain.clone() {
            let (segment, after): (Vec<At>, Vec<At>) =
                rest.into_iter().filter(|at| *at != base).partition(|at| set.knows(base, *at));
            rest = after;
            self.listed = set.entry(base).and_then(|e| match e.op.body() {
                Body::Checkpoint(c) => Some((e.op.id(), c.standing.iter().copied().collect())),
                Body::Recovery(r) => Some((e.op.id(), r.standing.iter().copied().collect())),
                _ => None,
            });
            self.segment(&segment, learned)?;
            self.mark_scope(&[base]);
            self.judge_base(base).map_err(|why| Stop::Invalid(base, why))?;
            self.seal(&segment, base);
        }
        self.listed = None;
        self.segment(&rest, learned)
    }

    fn seal(&mut self, segment: &[At], base: At) {
        for at in segment.iter().chain([&base]) {
            if let Some(sealed) = self.sealed.get_mut(*at as usize) {
                *sealed = true;
            }
        }
        self.set_verdict(base, Ok(()));
        self.world.bases.push(base);
        self.epoch += 1;
        self.base = Some(base);
        self.base_time = self.frame.set.entry(base).map_or(Millis(0), |e| e.op.head().hlc.wall);
        self.standing.clear();
        self.short.clear();
    }

    fn segment(&mut self, ops: &[At], learned: &mut Learned) -> Result<(), Stop> {
        self.mark_scope(ops);
        self.burn();
        self.rivals.clone_from(&learned.rivals);
        self.apply_lifts(&learned.lifts);
        let members: BTreeSet<At> = learned.cuts.keys().filter(|at| ops.contains(at)).copied().collect();
        for (target, cut) in members.iter().filter_map(|at| learned.cuts.get(at)) {
            let cut = self.with_lifts(&learned.lifts, target, cut.clone());
            self.world.cuts.entry(*target).or_default().push(cut);
        }
        let mut rest = ops;
        while let Some(first) = rest.first() {
            let depth = self.depth(*first);
            let len = rest.iter().take_while(|at| self.depth(**at) == depth).count();
            let (level, after) = rest.split_at(len);
            rest = after;
            for at in self.by_seniority(level) {
                let verdict =
                    if learned.defeated.contains(&at) { Err(Reason::SelfDefeating) } else { self.judge(at) };
                self.settle_verdict(at, verdict, learned)?;
            }
        }
        let broken = |at: &&At| {
            let stands = self.verdict(**at) == Some(Ok(()));
            let rival = matches!(self.verdict(**at), Some(Err(Reason::Equivocation { .. })));
            let noted = learned.cuts.contains_key(at) || learned.lifts.contains_key(at);
            (noted && !stands) || (learned.rivals.contains_key(at) && !stands && !rival)
        };
        // `ops` are in an order that does not depend on how they arrived.
        let defeated = ops.iter().find(broken);
        match defeated.copied() {
            None => Ok(()),
            Some(at) => {
                learned.cuts.clear();
                learned.lifts.clear();
                learned.rivals.clear();
                learned.defeated.insert(at);
                Err(Stop::Again)
            }
        }
    }

    fn settle_verdict(
        &mut self,
        at: At,
        verdict: Result<(), Reason>,
        learned: &mut Learned,
    ) -> Result<(), Stop> {
        if matches!(verdict, Err(Reason::TooFewSignatures { .. })) {
            self.short.push(at);
        }
        if verdict.is_err() {
            self.note_void_keys(at);
        }
        self.set_verdict(at, verdict);
        match self.effect.take() {
            Some(Effect::Cut(target, cut)) if !learned.cuts.contains_key(&at) => {
                let cut = self.with_lifts(&learned.lifts, &target, cut);
                if self.cut_hits(&target, &cut) {
                    learned.cuts.insert(at, (target, cut));
                    return Err(Stop::Again);
                }
                self.world.cuts.entry(target).or_default().push(cut);
            }
            Some(Effect::Lift(target)) if !learned.lifts.contains_key(&at) => {
                let set = self.frame.set;
                let cuts = self.world.cuts.get_mut(&target).into_iter().flatten();
                let lifted: Vec<At> = cuts
                    .filter(|cut| cut.suspension && set.knows(at, cut.op))
                    .map(|cut| {
                        cut.lifted.push(at);
                        cut.op
                    })
                    .collect();
                if self.lift_hits(&target, &lifted) {
                    learned.lifts.insert(at, target);
                    return Err(Stop::Again);
                }
            }
            Some(Effect::Rivals(key, rivals)) => {
                learned.rivals.extend(rivals.into_iter().map(|(at, by)| (at, (key, by))));
                return Err(Stop::Again);
            }
            _ => {}
        }
        Ok(())
    }

    /// Redemptions of an invitation, in what is looked at, that contradict others.
    pub(super) fn rivals(&self, key: KeyId) -> impl Iterator<Item = (At, Sponsor)> {
        let here = self.rivals.iter().filter(move |(at, (of, _))| *of == key && self.in_scope(**at));
        here.map(|(at, (_, by))| (*at, *by))
    }

    /// The revocation with the lifts that earlier walks found in what is looked at.
    fn with_lifts(&self, lifts: &BTreeMap<At, Target>, target: &Target, mut cut: Cut) -> Cut {
        cut.lifted.clear();
        for (at, lifted) in lifts {
            if cut.suspension && lifted == target && self.in_scope(*at) && self.frame.set.knows(*at, cut.op) {
                cut.lifted.push(*at);
            }
        }
        cut
    }

    /// The same for the revocations of earlier segments.
    fn apply_lifts(&mut self, lifts: &BTreeMap<At, Target>) {
        for (at, target) in lifts {
            if !self.in_scope(*at) {
                continue;
            }
            for cut in self.world.cuts.get_mut(target).into_iter().flatten() {
                if cut.suspension && self.frame.set.knows(*at, cut.op) && !cut.lifted.contains(at) {
                    cut.lifted.push(*at);
                }
            }
        }
    }

    fn in_scope(&self, at: At) -> bool {
        self.scope.get(at as usize) == Some(&true)
    }

    /// Whether a revocation voids something that was accepted already in this segment.
    fn cut_hits(&self, target: &Target, cut: &Cut) -> bool {
        let set = self.frame.set;
        let keys = self.keys_of(target);
        let open =
            |at: At| self.is_open(at) && matches!(self.verdict(at), Some(Ok(()))) && !set.knows(at, cut.op);
        let authored = keys.iter().any(|key| {
            let listed = cut.last.get(key);
            set.authored(key, listed.map_or(1, |last| last.saturating_add(1)))
                .any(|at| at != cut.op && open(at) && (listed.is_some() || !set.knows(cut.op, at)))
        });
        authored || self.standing.iter().any(|at| *at != cut.op && open(*at) && self.signed_by(*at, &keys))
    }

    /// Whether a lift brings back something that was refused already in this segment.
    fn lift_hits(&self, target: &Target, lifted: &[At]) -> bool {
        let set = self.frame.set;
        let keys = self.keys_of(target);
        let held = |at: At| {
            self.is_open(at)
                && matches!(self.verdict(at), Some(Err(_)))
                && lifted.iter().any(|suspension| !set.knows(at, *suspension))
        };
        keys.iter().any(|key| set.authored(key, 1).any(held))
            || self.short.iter().any(|at| held(*at) && self.signed_by(*at, &keys))
    }

    pub(super) fn is_open(&self, at: At) -> bool {
        !self.sealed.get(at as usize).copied().unwrap_or(true)
    }

    fn signed_by(&self, at: At, keys: &BTreeSet<KeyId>) -> bool {
        self.frame.set.entry(at).is_some_and(|e| e.signers.iter().any(|key| keys.contains(key)))
    }

    fn keys_of(&self, target: &Target) -> BTreeSet<KeyId> {
        let invitations = self.world.invitations.iter();
        match target {
            Target::Person(person) => {
                let devices = self.world.persons.get(person).into_iter().flat_map(|p| p.devices.keys());
                let given = invitations.filter(|(_, row)| row.by == *person).map(|(key, _)| key);
                devices.chain(given).copied().collect()
            }
            Target::Device(device) => {
                let given = invitations.filter(|(_, row)| row.with == *device).map(|(key, _)| key);
                given.chain([device]).copied().collect()
            }
            Target::Node(node) => self.world.nodes.get(node).map(|n| n.key.id()).into_iter().collect(),
            Target::Grant(_) => BTreeSet::new(),
        }
    }

    /// Burns the keys whose two operations with one number are both in what is looked at.
    fn burn(&mut self) {
        for (key, seq, ops) in &self.frame.forks {
            let seen: Vec<OpId> =
                ops.iter().filter(|at| self.in_scope(**at)).map(|at| self.id(*at)).collect();
            if let (true, Some(proof)) = (seen.len() > 1, seen.iter().min()) {
                let burned = self.world.burned.entry(*key).or_insert((*seq, *proof));
                if *seq < burned.0 {
                    *burned = (*seq, *proof);
                }
            }
        }
    }

    fn by_seniority(&self, level: &[At]) -> Vec<At> {
        let mut level = level.to_vec();
        if level.len() > 1 {
            level.sort_by_cached_key(|at| {
                self.frame
                    .set
                    .entry(*at)
                    .map(|e| (!is_reduction(e.op.body()), self.seniority(&e.author), e.op.id()))
            });
        }
        level
    }

    fn seniority(&self, key: &KeyId) -> u32 {
        let row = match self.world.keys.get(key) {
            Some(Holder::Device(person)) => self.world.persons.get(person).map(|p| p.seniority),
            Some(Holder::Node(node)) => self.world.nodes.get(node).map(|n| n.seniority),
            Some(Holder::Invitation) | None => None,
        };
        row.unwrap_or(u32::MAX)
    }

    fn note_void_keys(&mut self, at: At) {
        let Some(entry) = self.frame.set.entry(at) else { return };
        for key in crate::person::admitted_keys(entry.op.body()) {
            self.world.void_keys.entry(key).or_insert(entry.op.id());
        }
    }

    fn depth(&self, at: At) -> u32 {
        self.frame.set.entry(at).map_or(0, |e| e.depth)
    }

    fn mark_scope(&mut self, ops: &[At]) {
        for at in ops {
            if let Some(scope) = self.scope.get_mut(*at as usize) {
                *scope = true;
            }
        }
    }

    pub(super) fn verdict(&self, at: At) -> Option<Result<(), Reason>> {
        self.verdicts.get(at as usize).copied().flatten()
    }

    fn set_verdict(&mut self, at: At, verdict: Result<(), Reason>) {
        if let Some(slot) = self.verdicts.get_mut(at as usize) {
            *slot = Some(verdict);
        }
    }

    /// Records that the operation being accepted revokes rights.
    pub(super) fn revoke(
        &mut self,
        at: At,
        target: Target,
        last: BTreeMap<KeyId, u64>,
        backing: Backing,
        suspension: bool,
    ) {
        let cut = Cut { op: at, last, suspension, backing, lifted: Vec::new() };
        self.effect = Some(Effect::Cut(target, cut));
    }
}

const fn is_reduction(body: &Body) -> bool {
    matches!(
        body,
        Body::Suspend(_)
            | Body::MemberRemove(_)
            | Body::DeviceRemove(_)
            | Body::NodeRemove(_)
            | Body::GrantRevoke(_)
            | Body::InvitationCancel(_)
            | Body::RecoveryVeto(_)
            | Body::ServiceEnd(_)
            | Body::RuleEnd(_)
            | Body::PhoneEnd(_)
    )
}

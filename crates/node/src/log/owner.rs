//! The owner of the realm log: the one task that changes it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use freehold_api::Problem;
use freehold_crypt::VerifyingKey;
use freehold_disk::{Kind, LogStore, StoreError};
use freehold_mesh::{Channel, Mesh};
use freehold_realm::audit::Export;
use freehold_realm::draft::draft as write;
use freehold_realm::{Body, Clock, Folded, NodeRoles, Op, OpSet, Pending, Standing, draft, fold};
use freehold_sync::{Event, Input, LogSync, Message, Output};
use freehold_wire::{Millis, NodeId, OpId, PersonId, RealmId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::mark::Mark;
use super::ripening::Ripening;
use super::steps::Steps;
use super::{ASKS, Ask, By, Log, Taken, View, made_unheard, makers};
use crate::clock;
use crate::identity::Keys;
use crate::problem::{store_problem, wrong_state};

/// How often waiting recoveries are looked at again: they wait 72 hours.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// While operations stream in, the state is derived this often at most.
const REFOLD_EVERY: Duration = Duration::from_millis(50);
/// Of what peers send and the log does not take, this much is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Owns the set, the store and the state.
pub struct Owner {
    pub(super) sync: LogSync<OpSet>,
    mesh: Arc<OnceLock<Arc<Mesh>>>,
    store: Arc<LogStore>,
    pub(super) keys: Arc<Keys>,
    pub(super) first_seen: BTreeMap<OpId, Millis>,
    /// When signatures came that an operation did not have at first, since the start.
    pub(super) signed: BTreeMap<OpId, Millis>,
    matured: BTreeSet<OpId>,
    ripening: Ripening,
    /// How far this log has been, and the file that says so.
    mark: Mark,
    marked: Mark,
    seen: PathBuf,
    pub(super) view: watch::Sender<Arc<View>>,
    asks: mpsc::Receiver<Ask>,
    steps: Steps,
    /// When the state must be derived anew from what has come in.
    refold_at: Option<Instant>,
    refold_after: Instant,
    told: Option<Instant>,
    /// Why the store is of no use any more.
    broken: Option<StoreError>,
}

/// Reads the log from its store.
///
/// # Errors
/// [`StoreError`] if the store is damaged.
pub fn open(
    store: Arc<LogStore>,
    seen: PathBuf,
    realm: RealmId,
    keys: Arc<Keys>,
    mesh: Arc<OnceLock<Arc<Mesh>>>,
) -> Result<(Owner, Log), StoreError> {
    let mut set = OpSet::new(realm);
    let mut first_seen = BTreeMap::new();
    for row in store.operations()? {
        match Op::decode(&row.bytes) {
            Ok(op) => {
                first_seen.insert(op.id(), row.first_seen);
                if let Err(error) = set.restore(op) {
                    tracing::error!(op = %row.id.short(), %error, "an operation of the log was left out");
                }
            }
            Err(error) => {
                tracing::error!(op = %row.id.short(), %error, "an operation of the log is unreadable");
            }
        }
    }
    let matured: BTreeSet<OpId> = store
        .meta(MATURED)?
        .map(|bytes| bytes.as_chunks::<32>().0.iter().map(|id| OpId::from_bytes(*id)).collect())
        .unwrap_or_default();
    let ripening = Ripening::from_bytes(&store.meta(WATCHED)?.unwrap_or_default());
    let folded = fold(&set, &Clock { now: clock::wall(), matured: matured.clone() });
    let marked = Mark::read(&seen);
    let mut mark = marked;
    let behind = raise(&mut mark, &set, &folded);
    let epoch_seen = store.remember_epoch(folded.state.epoch.max(mark.epoch))?;
    let first = view_of(&set, folded, (epoch_seen, behind), &first_seen);
    let (view, reader) = watch::channel(Arc::new(first));
    let (asks_in, asks) = mpsc::channel(ASKS);
    let steps = Steps::default();
    let owner = Owner {
        sync: LogSync::new(set),
        mesh,
        store,
        keys,
        first_seen,
        signed: BTreeMap::new(),
        matured,
        ripening,
        mark,
        marked,
        seen,
        view,
        asks,
        steps: steps.clone(),
        refold_at: None,
        refold_after: Instant::now(),
        told: None,
        broken: None,
    };
    Ok((owner, Log { asks: asks_in, view: reader, steps }))
}

fn signers_of(op: &Op) -> BTreeSet<VerifyingKey> {
    op.signatures().iter().map(|signature| signature.key).collect()
}

pub(super) fn not_a_device(what: String) -> Problem {
    Problem::refused(
        what,
        "this machine is not a device of an admin",
        Some("do it on the machine where the realm was made, or on one invited as your device"),
    )
}

/// Notes how far the log is. Returns what it lacks, if it has been further than that.
fn raise(mark: &mut Mark, set: &OpSet, folded: &Folded) -> Option<Mark> {
    let state = &folded.state;
    let now = Mark { epoch: state.epoch, operations: set.len() as u64, base: state.base };
    if mark.is_behind(&now, |id| set.contains(id)) {
        return Some(*mark);
    }
    *mark = now;
    None
}

/// Every node that some operation in effect let in, with every role that one ever gave it. Those
/// that have left count: what they wrote before stands.
pub(crate) fn let_in(set: &OpSet, folded: &Folded) -> BTreeMap<NodeId, NodeRoles> {
    let in_effect = set.iter().filter(|op| !folded.refused.contains_key(&op.id()));
    let given = in_effect.filter_map(|op| match op.body() {
        Body::NodeAdd(add) => Some((add.node.ed25519_bytes()?, add.roles)),
        Body::NodeChange(change) => Some((*change.node.as_bytes(), change.roles)),
        Body::InvitationRedeem(redeem) => {
            let invitation = folded.state.invitations.get(&op.head().author.id())?;
            Some((redeem.node.ed25519_bytes()?, invitation.roles))
        }
        _ => None,
    });
    let mut all = BTreeMap::new();
    for (id, roles) in given {
        let had = all.entry(NodeId::from_bytes(id)).or_insert(NodeRoles::NONE);
        *had = had.with(roles);
    }
    all
}

/// Each node that some operation in effect let in, with that operation.
pub(crate) fn admissions(set: &OpSet, folded: &Folded) -> Vec<(OpId, NodeId)> {
    let mut all = named(set);
    all.retain(|(by, _)| !folded.refused.contains_key(by));
    all
}

/// The same, be the operation refused.
pub(crate) fn named(set: &OpSet) -> Vec<(OpId, NodeId)> {
    let let_in = set.iter().filter_map(|op| {
        let node = match op.body() {
            Body::NodeAdd(add) => add.node.ed25519_bytes()?,
            Body::InvitationRedeem(redeem) => redeem.node.ed25519_bytes()?,
            _ => return None,
        };
        Some((op.id(), NodeId::from_bytes(node)))
    });
    let_in.collect()
}

/// The nodes that can have had keys of what an operation erases: all but those that were let in by somebody
/// who knew of it.
pub(crate) fn asked(set: &OpSet, let_in: &[(OpId, NodeId)], erasure: &OpId) -> BTreeSet<NodeId> {
    let before = let_in.iter().filter(|(by, _)| !set.is_before(erasure, by));
    before.map(|(_, node)| *node).collect()
}

/// Nodes that some operation in effect removed, and that did not come back.
fn removed(set: &OpSet, folded: &Folded) -> BTreeSet<NodeId> {
    let in_effect = set.iter().filter(|op| !folded.refused.contains_key(&op.id()));
    let removed = in_effect.filter_map(|op| match op.body() {
        Body::NodeRemove(remove) => Some(remove.node),
        _ => None,
    });
    removed.filter(|node| !folded.state.nodes.contains_key(node)).collect()
}

/// The person on whose device each node is, or once was: those that have left count as well.
fn owners(set: &OpSet, folded: &Folded) -> BTreeMap<NodeId, PersonId> {
    let in_effect = set.iter().filter(|op| !folded.refused.contains_key(&op.id()));
    let owned = in_effect.filter_map(|op| match op.body() {
        Body::NodeAdd(add) => {
            Some((add.node.ed25519_bytes()?, folded.state.device(&op.head().author.id())?.0))
        }
        Body::InvitationRedeem(redeem) => {
            Some((redeem.node.ed25519_bytes()?, redeem.device.as_ref()?.person()))
        }
        _ => None,
    });
    owned.map(|(node, person)| (NodeId::from_bytes(node), person)).collect()
}

/// Those of them that ever had the role `secrets`: what they named keeps its name.
pub(crate) fn keepers(let_in: &BTreeMap<NodeId, NodeRoles>) -> BTreeSet<NodeId> {
    let keepers = let_in.iter().filter(|(_, roles)| roles.contains(NodeRoles::SECRETS));
    keepers.map(|(id, _)| *id).collect()
}

/// What is so when an operation was refused, in words.
fn undone(body: &Body) -> String {
    let words = match body {
        Body::InvitationIssue(_) => "no invitation was made",
        Body::InvitationCancel(_) => "the invitation was not withdrawn",
        Body::Suspend(_) => "nobody was suspended",
        Body::Lift(_) => "the suspension was not lifted",
        Body::BucketSet(_) => "the bucket was not made or changed",
        Body::NodeSet(_) => "the node was not set",
        Body::QuotaSet(_) => "no quota was set",
        Body::NodeRemove(_) => "the node was not removed",
        Body::BucketDelete(_) => "the bucket was not deleted",
        Body::BucketErase(_) => "the bucket was not erased",
        Body::KeysErase(_) => "nothing was erased",
        Body::MemberAdd(_) => "nobody was taken in",
        Body::MemberRemove(_) | Body::PersonErase(_) => "the person was not erased",
        Body::NetSet(_) | Body::NodeNet(_) => "the network was not changed",
        Body::ServiceSet(_) => "the service was not made or changed",
        Body::ServiceEnd(_) => "the service was not ended",
        Body::RuleSet(_) => "the rule was not made or changed",
        Body::RuleEnd(_) => "the rule was not ended",
        Body::PhoneAdd(_) => "the phone was not let in",
        Body::PhoneEnd(_) => "the phone was not shut out",
        Body::GuardianTested(_) => "the test was not noted in the realm's log",
        Body::RecoveryVeto(_) => "the recovery was not stopped",
        other => return format!("the realm does not take this ({})", other.name()),
    };
    words.to_owned()
}

const MATURED: &str = "matured recoveries";
const WATCHED: &str = "how long recoveries were watched";

/// Remembers which recoveries have waited long enough: what has matured stays so.
///
/// # Errors
/// [`StoreError`]
pub fn keep_matured(store: &LogStore, matured: &BTreeSet<OpId>) -> Result<(), StoreError> {
    store.set_meta(MATURED, matured.iter().flat_map(|id| *id.as_bytes()).collect())
}

fn view_of(
    set: &OpSet,
    folded: Folded,
    (epoch_seen, behind): (u64, Option<Mark>),
    first_seen: &BTreeMap<OpId, Millis>,
) -> View {
    let recoveries = first_seen
        .iter()
        .filter(|(id, _)| matches!(folded.pending.get(id), Some(Pending::Recovery { .. })))
        .map(|(id, seen)| (*id, *seen))
        .collect();
    let let_in = let_in(set, &folded);
    let keepers = keepers(&let_in);
    let owners = owners(set, &folded);
    let removed = removed(set, &folded);
    let made = |bucket: &freehold_realm::Bucket| set.get(&bucket.created_in).map(|op| op.head().hlc.wall);
    let bucket_times =
        folded.state.buckets.iter().map(|(id, b)| (*id, made(b).unwrap_or_default())).collect();
    let devices = folded.state.nodes.iter().filter_map(|(id, n)| Some((*id, draft::device_on(set, n)?)));
    let devices = devices.collect();
    let known = |node: &freehold_realm::Node| first_seen.get(&node.admitted_in).copied();
    let known_since = folded.state.nodes.iter().filter_map(|(id, node)| Some((*id, known(node)?))).collect();
    let ended = folded.state.ended().map(|(_, ended)| ended.erasure);
    let erased = folded.state.erased().map(|(_, erasure)| erasure).chain(ended);
    let erasures: BTreeSet<OpId> = erased.chain(folded.state.erased_persons.keys().copied()).collect();
    let heard = |erasure: &OpId| Some((*erasure, *first_seen.get(erasure)?));
    let erased_since = erasures.iter().filter_map(heard).collect();
    let admissions = admissions(set, &folded);
    let asked = erasures.iter().map(|erasure| (*erasure, asked(set, &admissions, erasure))).collect();
    View {
        unheard: made_unheard(set, &folded.state),
        makers: makers(set, &folded),
        known_since,
        named: named(set).into_iter().map(|(_, node)| node).collect(),
        asked,
        erased_since,
        operations: set.len(),
        heads: set.heads().iter().copied().collect(),
        newest: newest(set, &folded),
        folded,
        epoch_seen,
        behind,
        bucket_times,
        keepers,
        let_in,
        removed,
        owners,
        devices,
        recoveries,
    }
}

/// The newest time that anybody names whose word counts: what is refused proves nothing about this
/// machine's clock.
fn newest(set: &OpSet, folded: &Folded) -> Millis {
    let state = &folded.state;
    // A node that merely stores has nothing to say; what it says all the same is no measure.
    let nodes = state
        .nodes
        .values()
        .filter(|node| node.standing == Standing::Active && !NodeRoles::STORAGE.contains(node.roles));
    let nodes = nodes.map(|node| node.key);
    let persons = state.persons.values().filter(|person| person.standing == Standing::Active);
    let devices = persons.flat_map(|person| person.devices.values());
    let devices = devices.filter(|device| device.standing == Standing::Active).map(|device| device.key);
    let active: BTreeSet<VerifyingKey> = nodes.chain(devices).collect();
    let counts = |op: &&Op| {
        let id = op.id();
        active.contains(&op.head().author)
            && !folded.refused.contains_key(&id)
            && !folded.pending.contains_key(&id)
    };
    set.iter().filter(counts).map(|op| op.head().hlc.wall).max().unwrap_or_default()
}

impl Owner {
    /// Works until told to stop.
    ///
    /// # Errors
    /// What the store said when it failed for good: without it nothing may be acknowledged any more.
    /// A full disk is no such failure: what does not fit is refused, and asked for again.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), String> {
        let mut again = tokio::time::interval(LOOK_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.sync.poll_timeout().map(|(at, _)| at.since(clock::monotonic()));
            let timeout = async {
                match due {
                    Some(wait) => tokio::time::sleep(Duration::from_millis(wait.0)).await,
                    None => std::future::pending().await,
                }
            };
            let refold = self.refold_at;
            let refold = async {
                match refold {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.keep_mark();
                    return self.keep_watched().map_err(|e| e.to_string());
                }
                _ = again.tick() => {
                    self.keep_mark();
                    let done = tokio::task::block_in_place(|| self.ripen());
                    self.note_failure(done);
                }
                () = refold => {
                    let done = tokio::task::block_in_place(|| self.refold());
                    self.note_failure(done);
                }
                ask = self.asks.recv() => match ask {
                    Some(ask) => tokio::task::block_in_place(|| self.answer(ask)),
                    None => return Ok(()),
                },
                () = timeout => {
                    self.sync.handle_timeout(clock::monotonic());
                    let done = tokio::task::block_in_place(|| self.carry_out());
                    self.note_failure(done);
                }
            }
            if let Some(error) = &self.broken {
                return Err(error.to_string());
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        // A caller who went away does not need the answer.
        match ask {
            Ask::Say { body, by, cosigners, reply } => drop(reply.send(self.say(*body, &by, &cosigners))),
            Ask::WouldTake { body, by, reply } => {
                let what = undone(&body);
                let judged = self.draft(*body, &by).and_then(|op| self.judge(&what, &op).map(drop));
                drop(reply.send(judged));
            }
            Ask::Suspend { target, reply } => {
                let body = draft::suspend(self.sync.log(), self.view.borrow().state(), target);
                drop(reply.send(self.say(body.into(), &By::Device, &[])));
            }
            Ask::LastOf { node, reply } => {
                let key = self.view.borrow().state().nodes.get(&node).map(|node| node.key.id());
                reply.send(key.map_or(0, |key| self.sync.log().last_seq(&key))).ok();
            }
            Ask::About { ops, reply } => drop(reply.send(self.about(ops))),
            Ask::Checkpoint { asked, reply } => drop(reply.send(self.checkpoint(asked))),
            Ask::Take { ops, reply } => drop(reply.send(self.take(ops))),
            Ask::LetIn { op, reply } => drop(reply.send(self.let_in(*op))),
            Ask::Export { reply } => {
                let export = Export::of(self.sync.log(), clock::wall()).with_matured(&self.matured);
                drop(reply.send(export.encode()));
            }
            Ask::Up(peer) => self.hear(Input::Connected(peer)),
            Ask::Down(peer) => self.hear(Input::Disconnected(peer)),
            Ask::Heard(peer, body) => match Message::decode(&body) {
                Ok(message) => self.hear(Input::Received(peer, message)),
                Err(_) => self.hear(Input::Garbage(peer)),
            },
        }
    }

    fn hear(&mut self, input: Input) {
        self.sync.handle(clock::monotonic(), input);
        let done = self.carry_out();
        self.note_failure(done);
    }

    /// Of a write that nobody waits for.
    fn note_failure(&mut self, done: Result<(), StoreError>) {
        let Err(error) = done else { return };
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            tracing::error!(%error, "the log was not written; it is tried again");
        }
        if error.kind() != Kind::NoSpace {
            self.broken = Some(error);
        }
    }

    /// Does what the machine wants, in its order: what it sends after a write is sent when the
    /// write is durable.
    ///
    /// # Errors
    /// The first write that failed; the machine then goes on as if it had not been asked for.
    fn carry_out(&mut self) -> Result<(), StoreError> {
        let (mut changed, mut in_step, mut failed) = (false, false, Ok(()));
        let mut useless = Vec::new();
        while let Some(output) = self.sync.poll_output() {
            match output {
                Output::Store(ticket, ops) => {
                    let now = clock::wall();
                    let ids: Vec<OpId> = ops.iter().map(|(id, _)| *id).collect();
                    if let Err(error) = self.store.append(ops, now) {
                        if error.kind() != Kind::NoSpace {
                            // Whoever waits for it hears it, too.
                            self.broken = Some(error.clone());
                        }
                        failed = failed.and(Err(error));
                        self.sync.handle(clock::monotonic(), Input::StoreFailed(ticket));
                        continue;
                    }
                    self.sync.handle(clock::monotonic(), Input::Stored(ticket));
                    self.note_seen(ids, now);
                    changed = true;
                }
                Output::Send(peer, message) => self.send(peer, &message),
                Output::Drop(peer) => {
                    tracing::warn!(peer = %peer.short(), "a node sends garbage and is cut");
                    if let Some(mesh) = self.mesh.get() {
                        mesh.disconnect(peer);
                    }
                }
                Output::Tell(Event::Refused { from, why, written }) => {
                    if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                        self.told = Some(Instant::now());
                        tracing::warn!(?from, %why, "an operation was refused; more are not told for a while");
                    }
                    // Written before it could be judged.
                    useless.extend(why.kept_out().filter(|_| written));
                }
                Output::Tell(Event::InStep(peer)) => in_step |= self.is_in_step(peer),
                Output::Tell(_) => {}
            }
        }
        useless.retain(|id| !self.sync.log().contains(id));
        if !useless.is_empty()
            && let Err(error) = self.store.erase(useless)
        {
            tracing::warn!(%error, "an operation that was refused stays in the store");
        }
        if changed && self.refold_at.is_none() {
            self.refold_at = Some(self.refold_after.max(Instant::now()));
        }
        if self.refold_at.is_none() {
            self.steps.seen();
        }
        if in_step { failed.and(self.ripen()) } else { failed }
    }

    /// Derives the state at once, if something has come in since the last time.
    fn catch_up(&mut self) -> Result<(), Problem> {
        if self.refold_at.is_none() {
            return Ok(());
        }
        self.refold().map_err(|error| store_problem(&error))
    }

    fn send(&self, peer: NodeId, message: &Message) {
        let Some(mesh) = self.mesh.get() else { return };
        // A full queue or a lost line: heads are told again, and what is missing is asked for.
        if let Err(error) = mesh.send(peer, Channel::Log, message.encode().into()) {
            tracing::debug!(%error, message = message.name(), "a log message was not sent");
        }
    }

    fn note_seen(&mut self, ids: Vec<OpId>, now: Millis) {
        for id in ids {
            match self.first_seen.entry(id) {
                Entry::Vacant(first) => drop(first.insert(now)),
                Entry::Occupied(_) => drop(self.signed.insert(id, now)),
            }
        }
    }

    pub(super) fn say(
        &mut self,
        body: Body,
        by: &By,
        cosigners: &[Arc<freehold_crypt::SigningKey>],
    ) -> Result<OpId, Problem> {
        let what = undone(&body);
        let mut op = self.draft(body, by)?;
        for cosigner in cosigners {
            op.add_signature(cosigner);
        }
        self.put(&what, &op)
    }

    fn draft(&mut self, body: Body, by: &By) -> Result<Op, Problem> {
        let what = undone(&body);
        self.catch_up()?;
        let view = Arc::clone(&self.view.borrow());
        if let Some(not_yet) = view.not_yet(self.keys.node_id(), clock::wall()) {
            return Err(Problem::refused(what, not_yet.why(), Some(not_yet.next())));
        }
        let key = match by {
            By::Node => Arc::clone(&self.keys.node),
            By::Key(key) => Arc::clone(key),
            By::Device => self.keys.device.clone().ok_or_else(|| not_a_device(what.clone()))?,
        };
        write(self.sync.log(), view.state(), &key, body, clock::wall())
            .map_err(|error| Problem::refused(what, error.to_string(), None::<&str>))
    }

    /// Takes in an operation of our own, unless the rules refuse it.
    pub(super) fn put(&mut self, what: &str, op: &Op) -> Result<OpId, Problem> {
        let id = op.id();
        // What the rules refuse is never said.
        let (trial, folded) = self.judge(what, op)?;
        let signers = trial.get(&id).map(signers_of).unwrap_or_default();
        self.sync.handle(clock::monotonic(), Input::Append(op.to_bytes()));
        self.carry_out().map_err(|error| store_problem(&error))?;
        if self.sync.log().len() == trial.len() && self.sync.log().heads() == trial.heads() {
            drop(trial);
            self.show(folded).map_err(|error| store_problem(&error))?;
        }
        self.catch_up()?;
        if !self.holds(&id, &signers) {
            return Err(Problem::bug(
                what,
                "the realm's log did not take it",
                Some("freehold stop, then freehold up"),
            ));
        }
        Ok(id)
    }

    /// Whether an operation is in the log, with all its signatures.
    fn holds(&self, id: &OpId, signers: &BTreeSet<VerifyingKey>) -> bool {
        self.sync.log().get(id).is_some_and(|op| *signers == signers_of(op))
    }

    /// What the log would be with an operation of our own, on a copy; or why it may not be.
    fn judge(&self, what: &str, op: &Op) -> Result<(OpSet, Folded), Problem> {
        self.is_whole(what)?;
        let mut trial = self.sync.log().clone();
        trial.insert(op.clone()).map_err(|error| Problem::refused(what, error.to_string(), None::<&str>))?;
        let folded = fold(&trial, &self.clock());
        match folded.refused.get(&op.id()) {
            Some(reason) => Err(wrong_state(what, reason.to_string())),
            None => Ok((trial, folded)),
        }
    }

    /// Nothing is signed on a log that was put back.
    fn is_whole(&self, what: &str) -> Result<(), Problem> {
        let Some(mark) = self.view.borrow().behind else { return Ok(()) };
        Err(Problem::refused(
            what,
            format!(
                "the realm log here is an old copy: it held {} operations, now {}. Whatever is signed now \
                 would contradict what was signed then",
                mark.operations,
                self.sync.log().len()
            ),
            Some("bring another node online; it sends what is missing"),
        ))
    }

    /// Signs a redemption as the door by which a machine comes in, if the invitation is open. One after
    /// the other, so that two machines with one invitation are not both let in here.
    fn let_in(&mut self, mut op: Op) -> Result<Op, Problem> {
        const WHAT: &str = "the machine was not let in";
        self.catch_up()?;
        self.is_whole(WHAT)?;
        let view = Arc::clone(&self.view.borrow());
        let key = op.head().author.id();
        if !view.state().open_invitations(clock::wall()).any(|(open, _)| *open == key) {
            return Err(wrong_state(WHAT, "the invitation was used, has lapsed or was withdrawn"));
        }
        op.add_signature(&self.keys.node);
        if let Some(device) = &self.keys.device {
            op.add_signature(device);
        }
        let id = op.id();
        self.take(vec![op])?;
        let view = Arc::clone(&self.view.borrow());
        match (self.sync.log().get(&id), view.folded.refused.get(&id)) {
            (Some(op), None) if !view.folded.pending.contains_key(&id) => Ok(op.clone()),
            (_, Some(why)) => Err(wrong_state(WHAT, why.to_string())),
            _ => Err(wrong_state(WHAT, "the realm's log does not take the redemption")),
        }
    }

    /// An admin's word for machines that other nodes let in: it settles who came by an invitation,
    /// should it turn up again.
    fn vouch(&mut self) {
        let Some(device) = self.keys.device.clone() else { return };
        let view = Arc::clone(&self.view.borrow());
        let state = view.state();
        let is_admin =
            |key: &VerifyingKey| state.admins().any(|(_, person)| person.devices.contains_key(&key.id()));
        if !is_admin(&device.verifying()) {
            return;
        }
        let open = |id: &&OpId| {
            let log = self.sync.log();
            let op = log.get(id).filter(|op| matches!(op.body(), Body::InvitationRedeem(_)));
            op.is_some_and(|op| !op.signatures().iter().any(|s| is_admin(&s.key)))
                && log.may_sign(id, &device.verifying().id())
                && !state.base.is_some_and(|base| log.is_before(id, &base))
        };
        let unsettled: Vec<OpId> =
            state.nodes.values().map(|n| &n.admitted_in).filter(open).copied().collect();
        for id in unsettled {
            match draft::cosign(self.sync.log(), state, &id, &device, &device, clock::wall()) {
                Ok(op) => {
                    if let Err(problem) = self.put("a newcomer was not vouched for", &op) {
                        tracing::debug!(%problem);
                        return;
                    }
                }
                Err(error) => tracing::debug!(%error, "a newcomer was not vouched for"),
            }
        }
    }

    fn take(&mut self, ops: Vec<Op>) -> Result<Taken, Problem> {
        let mut taken = Taken::default();
        let (mut fresh, mut new) = (Vec::new(), Vec::new());
        for op in ops {
            let known = self.sync.log().contains(&op.id());
            let bytes = op.to_bytes();
            let believable = known || op.verify().is_ok();
            match (known, believable) {
                (true, _) => taken.known += 1,
                (false, true) => new.push(op.id()),
                (false, false) => {
                    taken.unbelievable += 1;
                    continue;
                }
            }
            fresh.push(bytes);
        }
        self.sync.handle(clock::monotonic(), Input::Take(fresh));
        self.carry_out().map_err(|error| store_problem(&error))?;
        self.catch_up()?;
        // What was dropped, or waits for others, has not been taken in.
        let log = self.sync.log();
        let kept = new.iter().filter(|id| log.contains(id)).count();
        taken.new = kept as u64;
        taken.unbelievable += (new.len() - kept) as u64;
        Ok(taken)
    }

    pub(super) fn clock(&self) -> Clock {
        Clock { now: clock::wall(), matured: self.matured.clone() }
    }

    fn refold(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        let folded = fold(self.sync.log(), &self.clock());
        // A long log leaves time for other work as well.
        self.refold_after = Instant::now() + begun.elapsed().saturating_mul(2).max(REFOLD_EVERY);
        self.show(folded).inspect_err(|_| self.refold_at = Some(Instant::now() + TELL_EVERY))
    }

    fn show(&mut self, folded: Folded) -> Result<(), StoreError> {
        self.refold_at = None;
        let epoch_seen = self.store.remember_epoch(folded.state.epoch)?;
        let behind = raise(&mut self.mark, self.sync.log(), &folded);
        if self.mark.epoch > self.marked.epoch {
            self.keep_mark();
        }
        let view = view_of(self.sync.log(), folded, (epoch_seen, behind), &self.first_seen);
        self.view.send_replace(Arc::new(view));
        self.steps.seen();
        Ok(())
    }

    fn keep_mark(&mut self) {
        if self.mark != self.marked {
            self.mark.write(&self.seen);
            self.marked = self.mark;
        }
    }

    fn keep_watched(&self) -> Result<(), StoreError> {
        let watched = self.ripening.to_bytes();
        if watched.is_empty() { Ok(()) } else { self.store.set_meta(WATCHED, watched) }
    }

    /// A peer has what is here. If it is a node of the realm, what it knew of a recovery is known:
    /// whether that is news.
    fn is_in_step(&mut self, peer: NodeId) -> bool {
        self.steps.together(peer, clock::monotonic());
        let view = Arc::clone(&self.view.borrow());
        let node = view.state().nodes.get(&peer);
        if node.is_none_or(|node| node.standing != Standing::Active) {
            return false;
        }
        self.ripening.look(&view.folded, clock::wall(), clock::monotonic());
        self.ripening.is_in_step()
    }

    /// Lets recoveries take effect that have waited long enough.
    fn ripen(&mut self) -> Result<(), StoreError> {
        if self.refold_at.is_some() {
            self.refold()?;
        }
        self.vouch();
        let view = Arc::clone(&self.view.borrow());
        let now = clock::wall();
        if self.ripening.look(&view.folded, now, clock::monotonic()) {
            self.keep_watched()?;
        }
        let ripe = self.ripening.ripe(&self.first_seen, &view.folded, now);
        if ripe.is_subset(&self.matured) {
            return Ok(());
        }
        self.matured.extend(ripe);
        keep_matured(&self.store, &self.matured)?;
        self.refold()
    }
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner").field("operations", &self.sync.log().len()).finish_non_exhaustive()
    }
}

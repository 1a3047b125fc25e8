//! The owner of the realm log: the one task that changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use freehold_api::Problem;
use freehold_disk::{LogStore, StoreError};
use freehold_mesh::{Channel, Mesh};
use freehold_realm::audit::Export;
use freehold_realm::draft::draft as write;
use freehold_realm::{Body, Clock, Folded, NodeRoles, Op, OpSet, Pending, draft, fold, matured};
use freehold_sync::{Event, Input, LogSync, Message, Output};
use freehold_wire::{Millis, NodeId, OpId, RealmId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{ASKS, Ask, By, Log, Taken, View};
use crate::clock;
use crate::identity::Keys;
use crate::problem::{store_problem, wrong_state};

/// How often waiting recoveries are looked at again: they wait 72 hours.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Owns the set, the store and the state.
pub struct Owner {
    sync: LogSync<OpSet>,
    mesh: Arc<OnceLock<Arc<Mesh>>>,
    store: Arc<LogStore>,
    keys: Arc<Keys>,
    first_seen: BTreeMap<OpId, Millis>,
    matured: BTreeSet<OpId>,
    view: watch::Sender<Arc<View>>,
    asks: mpsc::Receiver<Ask>,
}

/// Reads the log from its store.
///
/// # Errors
/// [`StoreError`] if the store is damaged.
pub fn open(
    store: Arc<LogStore>,
    realm: RealmId,
    keys: Arc<Keys>,
    mesh: Arc<OnceLock<Arc<Mesh>>>,
) -> Result<(Owner, Log), StoreError> {
    let mut set = OpSet::new(realm);
    let mut first_seen = BTreeMap::new();
    for row in store.operations()? {
        match Op::decode(&row.bytes) {
            Ok(op) => {
                if matches!(op.body(), Body::Recovery(_)) {
                    first_seen.insert(op.id(), row.first_seen);
                }
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
    let folded = fold(&set, &Clock { now: clock::wall(), matured: matured.clone() });
    let epoch_seen = store.remember_epoch(folded.state.epoch)?;
    let (view, reader) = watch::channel(Arc::new(view_of(&set, folded, epoch_seen, &first_seen)));
    let (asks_in, asks) = mpsc::channel(ASKS);
    let owner = Owner { sync: LogSync::new(set), mesh, store, keys, first_seen, matured, view, asks };
    Ok((owner, Log { asks: asks_in, view: reader }))
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
        Body::BucketSet(_) => "the bucket was not made",
        Body::BucketDelete(_) => "the bucket was not deleted",
        Body::GuardianTested(_) => "the test was not noted in the realm's log",
        Body::RecoveryVeto(_) => "the recovery was not stopped",
        other => return format!("the realm does not take this ({})", other.name()),
    };
    words.to_owned()
}

const MATURED: &str = "matured recoveries";

/// Remembers which recoveries have waited long enough: what has matured stays so.
///
/// # Errors
/// [`StoreError`]
pub fn keep_matured(store: &LogStore, matured: &BTreeSet<OpId>) -> Result<(), StoreError> {
    store.set_meta(MATURED, matured.iter().flat_map(|id| *id.as_bytes()).collect())
}

fn view_of(set: &OpSet, folded: Folded, epoch_seen: u64, first_seen: &BTreeMap<OpId, Millis>) -> View {
    let recoveries = first_seen
        .iter()
        .filter(|(id, _)| matches!(folded.pending.get(id), Some(Pending::Recovery { .. })))
        .map(|(id, seen)| (*id, *seen))
        .collect();
    let let_in = let_in(set, &folded);
    let keepers = keepers(&let_in);
    let made = |bucket: &freehold_realm::Bucket| set.get(&bucket.created_in).map(|op| op.head().hlc.wall);
    let bucket_times =
        folded.state.buckets.iter().map(|(id, b)| (*id, made(b).unwrap_or_default())).collect();
    let devices = folded.state.nodes.iter().filter_map(|(id, n)| Some((*id, draft::device_on(set, n)?)));
    let devices = devices.collect();
    View {
        operations: set.len(),
        heads: set.heads().iter().copied().collect(),
        folded,
        epoch_seen,
        bucket_times,
        keepers,
        let_in,
        devices,
        newest: set.newest_hlc().wall,
        recoveries,
    }
}

impl Owner {
    /// Works until told to stop.
    ///
    /// # Errors
    /// What the store said when it failed: without it nothing may be acknowledged any more.
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
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                _ = again.tick() => self.ripen().map_err(|e| e.to_string())?,
                ask = self.asks.recv() => match ask {
                    Some(ask) => tokio::task::block_in_place(|| self.answer(ask)).map_err(|e| e.to_string())?,
                    None => return Ok(()),
                },
                () = timeout => {
                    self.sync.handle_timeout(clock::monotonic());
                    tokio::task::block_in_place(|| self.carry_out()).map_err(|e| e.to_string())?;
                }
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> Result<(), StoreError> {
        // A caller who went away does not need the answer.
        match ask {
            Ask::Say { body, by, cosigners, reply } => drop(reply.send(self.say(*body, &by, &cosigners))),
            Ask::Suspend { target, reply } => {
                let body = draft::suspend(self.sync.log(), self.view.borrow().state(), target);
                drop(reply.send(self.say(body.into(), &By::Device, &[])));
            }
            Ask::Take { ops, reply } => drop(reply.send(self.take(ops))),
            Ask::Export { reply } => {
                let export = Export::of(self.sync.log(), clock::wall()).with_matured(&self.matured);
                drop(reply.send(export.encode()));
            }
            Ask::Up(peer) => self.hear(Input::Connected(peer))?,
            Ask::Down(peer) => self.hear(Input::Disconnected(peer))?,
            Ask::Heard(peer, body) => match Message::decode(&body) {
                Ok(message) => self.hear(Input::Received(peer, message))?,
                Err(_) => self.hear(Input::Garbage(peer))?,
            },
        }
        Ok(())
    }

    fn hear(&mut self, input: Input) -> Result<(), StoreError> {
        self.sync.handle(clock::monotonic(), input);
        self.carry_out()
    }

    /// Does what the machine wants, in its order: what it sends after a write is sent when the
    /// write is durable.
    fn carry_out(&mut self) -> Result<(), StoreError> {
        let mut changed = false;
        while let Some(output) = self.sync.poll_output() {
            match output {
                Output::Store(ticket, ops) => {
                    let now = clock::wall();
                    let ids: Vec<OpId> = ops.iter().map(|(id, _)| *id).collect();
                    self.store.append(ops, now)?;
                    self.sync.handle(clock::monotonic(), Input::Stored(ticket));
                    self.note_recoveries(&ids, now);
                    changed = true;
                }
                Output::Send(peer, message) => self.send(peer, &message),
                Output::Drop(peer) => {
                    tracing::warn!(peer = %peer.short(), "a node sends garbage and is cut");
                    if let Some(mesh) = self.mesh.get() {
                        mesh.disconnect(peer);
                    }
                }
                Output::Tell(Event::Refused { from, why, .. }) => {
                    tracing::warn!(?from, %why, "an operation was refused");
                }
                Output::Tell(_) => {}
            }
        }
        if changed { self.refold() } else { Ok(()) }
    }

    fn send(&self, peer: NodeId, message: &Message) {
        let Some(mesh) = self.mesh.get() else { return };
        // A full queue or a lost line: heads are told again, and what is missing is asked for.
        if let Err(error) = mesh.send(peer, Channel::Log, message.encode().into()) {
            tracing::debug!(%error, message = message.name(), "a log message was not sent");
        }
    }

    fn note_recoveries(&mut self, ids: &[OpId], now: Millis) {
        for id in ids {
            if self.sync.log().get(id).is_some_and(|op| matches!(op.body(), Body::Recovery(_))) {
                self.first_seen.entry(*id).or_insert(now);
            }
        }
    }

    fn say(
        &mut self,
        body: Body,
        by: &By,
        cosigners: &[Arc<freehold_crypt::SigningKey>],
    ) -> Result<OpId, Problem> {
        let what = undone(&body);
        let view = Arc::clone(&self.view.borrow());
        if let Some(why) = view.not_yet(self.keys.node_id(), clock::wall()) {
            return Err(Problem::refused(what, why, Some("freehold status    (says how long still)")));
        }
        let key = match by {
            By::Node => Arc::clone(&self.keys.node),
            By::Key(key) => Arc::clone(key),
            By::Device => self.keys.device.clone().ok_or_else(|| {
                Problem::refused(
                    what.clone(),
                    "this machine is not a device of an admin",
                    Some("do it on the machine where the realm was made, or on one invited as your device"),
                )
            })?,
        };
        let mut op = write(self.sync.log(), view.state(), &key, body, clock::wall())
            .map_err(|error| Problem::refused(what.clone(), error.to_string(), None::<&str>))?;
        for cosigner in cosigners {
            op.add_signature(cosigner);
        }
        let id = op.id();
        // Judged on a copy first: what the rules refuse is never said.
        let mut trial = self.sync.log().clone();
        trial
            .insert(op.clone())
            .map_err(|error| Problem::refused(what.clone(), error.to_string(), None::<&str>))?;
        let folded = fold(&trial, &self.clock());
        if let Some(reason) = folded.refused.get(&id) {
            return Err(wrong_state(what, reason.to_string()));
        }
        self.sync.handle(clock::monotonic(), Input::Append(op.to_bytes()));
        self.carry_out().map_err(|error| store_problem(&error))?;
        Ok(id)
    }

    fn take(&mut self, ops: Vec<Op>) -> Result<Taken, Problem> {
        let mut taken = Taken::default();
        let mut fresh = Vec::new();
        for op in ops {
            let known = self.sync.log().contains(&op.id());
            let bytes = op.to_bytes();
            let believable = known || op.verify().is_ok();
            match (known, believable) {
                (true, _) => taken.known += 1,
                (false, true) => taken.new += 1,
                (false, false) => {
                    taken.unbelievable += 1;
                    continue;
                }
            }
            fresh.push(bytes);
        }
        self.sync.handle(clock::monotonic(), Input::Take(fresh));
        self.carry_out().map_err(|error| store_problem(&error))?;
        Ok(taken)
    }

    fn clock(&self) -> Clock {
        Clock { now: clock::wall(), matured: self.matured.clone() }
    }

    fn refold(&mut self) -> Result<(), StoreError> {
        let folded = fold(self.sync.log(), &self.clock());
        let epoch_seen = self.store.remember_epoch(folded.state.epoch)?;
        self.view.send_replace(Arc::new(view_of(self.sync.log(), folded, epoch_seen, &self.first_seen)));
        Ok(())
    }

    /// Lets recoveries take effect that have waited long enough.
    fn ripen(&mut self) -> Result<(), StoreError> {
        let view = Arc::clone(&self.view.borrow());
        let ripe = matured(&self.first_seen, &view.folded, clock::wall());
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

//! The realm log on this node: one owner of the set, its store and the state folded from it.
//! Everybody else reads the newest state and asks the owner to say or take operations.

mod about;
mod checkpoint;
mod mark;
mod owner;
mod ripening;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_api::{Problem, words};
use freehold_crypt::SigningKey;
use freehold_realm::body::Target;
use freehold_realm::person::Change;
use freehold_realm::{Body, Bucket, Folded, NodeRoles, Op, OpSet, Pending, RECOVERY_DELAY, Reason, State};
use freehold_wire::{BucketId, KeyId, Millis, NodeId, OpId, PersonId};
use tokio::sync::{mpsc, oneshot, watch};

use self::steps::Steps;
use crate::clock;
use crate::directory::Trust;

pub use mark::Mark;
pub use owner::{Owner, keep_matured, open};
pub(crate) use owner::{admissions, asked, keepers, let_in};

/// Requests that wait for the owner: more than all fronts together have under way.
pub(crate) const ASKS: usize = 256;

const HOUR_MS: u64 = 3_600_000;

/// The log as it was after the last change.
#[derive(Debug, Clone)]
pub struct View {
    /// The state, and what has no effect.
    pub folded: Folded,
    /// How many operations are held.
    pub operations: usize,
    /// Operations that nothing follows.
    pub heads: Vec<OpId>,
    /// The highest epoch this node has ever seen; a state below it was rolled back.
    pub epoch_seen: u64,
    /// How far this node has been, if the log here is behind that: an old copy was put back.
    pub behind: Option<Mark>,
    /// When each bucket was made, as its operation says.
    pub bucket_times: BTreeMap<BucketId, Millis>,
    /// The nodes that may say whose each bucket is: those on which it was made, and admins' machines.
    pub makers: BTreeMap<BucketId, BTreeSet<NodeId>>,
    /// Nodes that hold the realm's secrets, or once did: their word on names stands.
    pub keepers: BTreeSet<NodeId>,
    /// Nodes that the realm ever let in, with every role that each ever had: who may, or once might,
    /// write entries.
    pub let_in: BTreeMap<NodeId, NodeRoles>,
    /// Nodes that some operation was to let in, be it refused.
    pub named: BTreeSet<NodeId>,
    /// Nodes that were removed.
    pub removed: BTreeSet<NodeId>,
    /// The person on whose device a node is, or was before it left.
    pub owners: BTreeMap<NodeId, PersonId>,
    /// The device on the same machine as a node, where there is one.
    pub devices: BTreeMap<NodeId, KeyId>,
    /// When the operation that let each node in first came here.
    pub known_since: BTreeMap<NodeId, Millis>,
    /// Of each erasure the nodes that were let in by somebody who did not know of it.
    pub asked: BTreeMap<OpId, BTreeSet<NodeId>>,
    /// Of each erasure of a person the buckets that somebody made who had not heard of it.
    pub unheard: BTreeMap<OpId, BTreeSet<BucketId>>,
    /// When the operations came here that erase something.
    pub erased_since: BTreeMap<OpId, Millis>,
    /// The newest time that any operation names.
    pub newest: Millis,
    /// When recoveries that wait were first seen here.
    pub recoveries: Vec<(OpId, Millis)>,
}

impl View {
    /// The state.
    pub const fn state(&self) -> &State {
        &self.folded.state
    }

    /// Recoveries that have not taken effect, and how long each waits here still; no time for one
    /// that was vetoed.
    pub fn waiting_recoveries(&self, now: Millis) -> impl Iterator<Item = (OpId, Option<Millis>)> {
        self.recoveries.iter().map(move |(id, seen)| {
            let vetoed = matches!(self.folded.pending.get(id), Some(Pending::Recovery { vetoed: true }));
            let left = seen.plus(RECOVERY_DELAY).since(now);
            (*id, (!vetoed).then_some(left))
        })
    }

    /// Whether an admin stopped a recovery.
    pub fn is_stopped(&self, recovery: &OpId) -> bool {
        matches!(self.folded.pending.get(recovery), Some(Pending::Recovery { vetoed: true }))
            || self.folded.refused.contains_key(recovery)
    }

    /// Why a node that recovers the realm has no rights yet; nothing for one that has, or that
    /// waits for something else.
    pub fn not_yet(&self, node: NodeId, now: Millis) -> Option<NotYet> {
        if self.state().nodes.contains_key(&node) {
            return None;
        }
        let vetoed = || self.folded.refused.values().any(|reason| *reason == Reason::Vetoed);
        match self.waiting_recoveries(now).find_map(|(_, left)| left) {
            Some(left) => Some(NotYet::Waits(left)),
            None if !self.recoveries.is_empty() || vetoed() => Some(NotYet::Stopped),
            None => None,
        }
    }

    /// Whether a node can have had keys of what was erased.
    pub fn was_here(&self, node: NodeId, erasure: OpId) -> bool {
        self.asked.get(&erasure).is_some_and(|nodes| nodes.contains(&node))
    }

    /// Whether a node was of the realm once and was removed.
    pub fn was_removed(&self, node: &NodeId) -> bool {
        self.removed.contains(node)
    }

    /// Whom the directory is to believe.
    pub fn trust(&self) -> Trust {
        let erased = self.state().erased().map(|(bucket, _)| bucket).collect();
        let kept = kept(self.state());
        let (root, keepers) = (self.state().directory, self.keepers.clone());
        Trust { root, keepers, erased, kept, ended: BTreeMap::new() }
    }
}

/// The keys of buckets that stay, with later ones, where earlier ones end.
pub(crate) fn kept(state: &State) -> BTreeMap<BucketId, u32> {
    let ended = state.ended().map(|(bucket, _)| bucket);
    ended.filter_map(|bucket| Some((bucket, state.kept(&bucket)?))).collect()
}

/// The nodes on which each bucket was made, also those that have left, and the machines of admins.
fn makers(set: &OpSet, folded: &Folded) -> BTreeMap<BucketId, BTreeSet<NodeId>> {
    let state = &folded.state;
    // Whoever adds a node with a device is on that machine, or is an admin.
    let signs =
        set.iter().filter(|op| !folded.refused.contains_key(&op.id())).filter_map(|op| match op.body() {
            Body::NodeAdd(add) => Some((add.node, Some(op.head().author.id()))),
            Body::InvitationRedeem(redeem) => {
                let device = redeem.device.as_ref().and_then(|statement| match statement.change() {
                    Change::Add { key, .. } => Some(key.id()),
                    _ => None,
                });
                Some((redeem.node, device))
            }
            _ => None,
        });
    let is_admins = |device: &KeyId| {
        let person = state.device(device).map(|(person, _)| person);
        person.is_some_and(|person| state.active_admins().any(|(admin, _)| *admin == person))
    };
    let (mut of_key, mut of_admins) = (BTreeMap::<KeyId, BTreeSet<NodeId>>::new(), BTreeSet::new());
    for (node, device) in signs {
        let Some(id) = node.ed25519_bytes().map(NodeId::from_bytes) else { continue };
        of_key.entry(node.id()).or_default().insert(id);
        if let Some(device) = device {
            of_key.entry(device).or_default().insert(id);
            of_admins.extend(is_admins(&device).then_some(id));
        }
    }
    let of =
        |bucket: &Bucket| of_key.get(&bucket.created_by).into_iter().flatten().chain(&of_admins).copied();
    state.live_buckets().map(|(id, bucket)| (*id, of(bucket).collect())).collect()
}

/// Of each erasure of a person the buckets that are there and were made in ignorance of it, or after.
fn made_unheard(set: &OpSet, state: &State) -> BTreeMap<OpId, BTreeSet<BucketId>> {
    let of = |erasure: &OpId| {
        let unheard = state.live_buckets().filter(|(_, bucket)| !set.is_before(&bucket.created_in, erasure));
        (*erasure, unheard.map(|(id, _)| *id).collect())
    };
    state.erased_persons.keys().map(of).collect()
}

/// Why a machine that guardians are bringing back has no rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// Its recovery takes effect after this time.
    Waits(Millis),
    /// An admin stopped it.
    Stopped,
}

impl NotYet {
    /// In words.
    pub fn why(self) -> String {
        match self {
            Self::Waits(left) => format!(
                "the recovery takes effect in {}; until then this machine reads everything and changes \
                 nothing",
                words::count(left.0.div_ceil(HOUR_MS), "hour")
            ),
            Self::Stopped => "an admin vetoed the recovery: no node gives this machine anything more, and \
                 it changes nothing"
                .to_owned(),
        }
    }

    /// What its person does now.
    pub const fn next(self) -> &'static str {
        match self {
            Self::Waits(_) => "leave this machine running; freehold status says how long still",
            Self::Stopped => {
                "ask the admins; if it was a mistake, recover anew: freehold --home FOLDER recover --card CARD"
            }
        }
    }
}

/// In whose name an operation is said.
#[derive(Debug, Clone)]
pub enum By {
    /// The person whose device this machine is.
    Device,
    /// This node.
    Node,
    /// Somebody whose key is at hand for this one operation: a guardian, an invitation.
    Key(Arc<SigningKey>),
}

pub(crate) enum Ask {
    Say {
        body: Box<Body>,
        by: By,
        cosigners: Vec<Arc<SigningKey>>,
        reply: oneshot::Sender<Result<OpId, Problem>>,
    },
    WouldTake {
        body: Box<Body>,
        by: By,
        reply: oneshot::Sender<Result<(), Problem>>,
    },
    Suspend {
        target: Target,
        reply: oneshot::Sender<Result<OpId, Problem>>,
    },
    LastOf {
        node: NodeId,
        reply: oneshot::Sender<u64>,
    },
    About {
        ops: BTreeSet<OpId>,
        reply: oneshot::Sender<BTreeMap<OpId, About>>,
    },
    Checkpoint {
        asked: bool,
        reply: oneshot::Sender<Result<OpId, Problem>>,
    },
    Take {
        ops: Vec<Op>,
        reply: oneshot::Sender<Result<Taken, Problem>>,
    },
    LetIn {
        op: Box<Op>,
        reply: oneshot::Sender<Result<Op, Problem>>,
    },
    Export {
        reply: oneshot::Sender<Vec<u8>>,
    },
    Up(NodeId),
    Down(NodeId),
    Heard(NodeId, bytes::Bytes),
}

/// What became of operations that were handed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Were not here.
    pub new: u64,
    /// Were here.
    pub known: u64,
    /// Could not be believed.
    pub unbelievable: u64,
}

/// What an operation says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its kind, as the format names it.
    pub kind: &'static str,
    /// The key that wrote it.
    pub author: KeyId,
    /// When, as its author says.
    pub at: Millis,
}

/// A handle to the log.
#[derive(Debug, Clone)]
pub struct Log {
    asks: mpsc::Sender<Ask>,
    view: watch::Receiver<Arc<View>>,
    steps: Steps,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ask(..)")
    }
}

impl Log {
    /// The newest view.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Connected nodes whose log has differed from this one for minutes, and for how long.
    pub fn apart(&self) -> Vec<(NodeId, Millis)> {
        self.steps.apart(clock::monotonic())
    }

    /// Whether a node has come just now and its log may say what the view here does not: what it says by other
    /// ways may be about that.
    pub(crate) fn may_say_more_at(&self, node: &NodeId) -> bool {
        self.steps.may_know_more(node, clock::monotonic())
    }

    /// Waits until that has changed for a node.
    pub(crate) async fn met(&self) {
        self.steps.met().await;
    }

    /// Tells when the view changes.
    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Says an operation, durably; returns once it has its effect here.
    ///
    /// # Errors
    /// A [`Problem`] if the realm's rules refuse it, or it cannot be kept.
    pub async fn say(&self, body: impl Into<Body>, by: By) -> Result<OpId, Problem> {
        self.say_with(body, by, Vec::new()).await
    }

    /// The same, signed by others as well.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub async fn say_with(
        &self,
        body: impl Into<Body>,
        by: By,
        cosigners: Vec<Arc<SigningKey>>,
    ) -> Result<OpId, Problem> {
        let body = Box::new(body.into());
        self.ask(|reply| Ask::Say { body, by, cosigners, reply }).await?
    }

    /// Whether the realm's rules would take an operation now.
    ///
    /// # Errors
    /// A [`Problem`] if they would not.
    pub async fn would_take(&self, body: impl Into<Body>, by: By) -> Result<(), Problem> {
        let body = Box::new(body.into());
        self.ask(|reply| Ask::WouldTake { body, by, reply }).await?
    }

    /// Suspends somebody, accepting all that was heard of them so far.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub async fn suspend(&self, target: Target) -> Result<(), Problem> {
        self.ask(|reply| Ask::Suspend { target, reply }).await?.map(drop)
    }

    /// The number of a node's last operation, as far as it was heard.
    ///
    /// # Errors
    /// A [`Problem`] if the node is stopping.
    pub async fn last_of(&self, node: NodeId) -> Result<u64, Problem> {
        self.ask(|reply| Ask::LastOf { node, reply }).await
    }

    /// What operations say of themselves, those of them that are here.
    ///
    /// # Errors
    /// A [`Problem`] if the node is stopping.
    pub async fn about(&self, ops: BTreeSet<OpId>) -> Result<BTreeMap<OpId, About>, Problem> {
        self.ask(|reply| Ask::About { ops, reply }).await
    }

    /// Makes or signs the checkpoint that is due, and returns it. If an admin `asked`, nothing has
    /// to settle first.
    ///
    /// # Errors
    /// A [`Problem`] if none is due, or as [`Self::say`].
    pub async fn checkpoint(&self, asked: bool) -> Result<OpId, Problem> {
        self.ask(|reply| Ask::Checkpoint { asked, reply }).await?
    }

    /// Takes operations from outside.
    ///
    /// # Errors
    /// A [`Problem`] if they cannot be kept.
    pub async fn take(&self, ops: Vec<Op>) -> Result<Taken, Problem> {
        self.ask(|reply| Ask::Take { ops, reply }).await?
    }

    /// Signs a newcomer's redemption of an open invitation as the door that lets them in, and takes it.
    ///
    /// # Errors
    /// A [`Problem`] if the invitation is not open, or the redemption has no effect.
    pub async fn let_in(&self, op: Op) -> Result<Op, Problem> {
        self.ask(|reply| Ask::LetIn { op: Box::new(op), reply }).await?
    }

    /// The log as a file.
    ///
    /// # Errors
    /// A [`Problem`] if the node is stopping.
    pub async fn export(&self) -> Result<Vec<u8>, Problem> {
        self.ask(|reply| Ask::Export { reply }).await
    }

    /// A peer is connected, is gone, or said something.
    pub(crate) async fn tell(&self, ask: Ask) {
        // At once: what it says by other ways comes next, and may be through before this.
        match &ask {
            Ask::Up(peer) => self.steps.came(*peer, clock::monotonic()),
            Ask::Down(peer) => self.steps.gone(*peer),
            _ => {}
        }
        // Only a node that stops has no owner, and then nobody needs to know.
        drop(self.asks.send(ask).await);
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let stopping = || {
            Problem::unreachable("the realm log does not answer", "the node is stopping", Some("freehold up"))
        };
        self.asks.send(make(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }
}

/// Operation ids that are new in `after`.
pub fn newly_refused(before: &View, after: &View) -> BTreeSet<OpId> {
    after.folded.refused.keys().filter(|id| !before.folded.refused.contains_key(id)).copied().collect()
}

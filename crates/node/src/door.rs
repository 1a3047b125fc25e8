//! The door: what a machine that is not of the realm may ask, after it has proven an invitation's
//! key or enough guardians' keys. One request, one answer, all bounded; long answers come in
//! pieces.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use freehold_mesh::{Doorman, Proof};
use freehold_passes::ShelfErrand;
use freehold_pools::Handing;
use freehold_realm::{Body, NodeRoles, Op};
use freehold_seal::DirectoryRow;
use freehold_wire::{Bounded, GrantId, Millis, Name, NodeId, RealmId, Text, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::backup::keeping;
use crate::clock;
use crate::gate::RECOVERY_VISIT;
use crate::net::lending::rescue;
use crate::scribe::Saying;
use crate::shared::Shared;

/// Bytes of a long answer that come at once: below the mesh's bound for an answer.
const PIECE: usize = 3 << 20;
/// The longest request: an operation and a name.
const REQUEST_MAX: usize = 256 << 10;
/// The longest answer.
pub(crate) const ANSWER_MAX: usize = 4 << 20;

/// What a newcomer asks.
#[derive(Debug, Clone, Encode, Decode)]
pub enum Request {
    /// The exported log, from a byte on.
    #[n(0)]
    Log(#[n(0)] u64),
    /// The directory's entries, from a byte on.
    #[n(1)]
    Directory(#[n(0)] u64),
    /// Takes an invitation up: the operation, and what the node is to be called.
    #[n(2)]
    Redeem(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>, #[n(1)] Name),
    /// Brings operations of a recovery.
    #[n(3)]
    Recover(#[n(0)] Bounded<minicbor::bytes::ByteVec, 8>),
    /// To read what lies here of a realm whose guardians stand here, if it is another one.
    #[n(4)]
    Rescue,
}

/// What it is told.
#[derive(Debug, Clone, Encode, Decode)]
pub enum Answer {
    /// A piece of a long answer, and how long it is altogether.
    #[n(0)]
    Piece(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>, #[n(1)] u64),
    /// Done.
    #[n(1)]
    Welcome,
    /// Let in: the redemption with the door's signature, without which it has no effect.
    #[n(3)]
    LetIn(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// Not done, and why.
    #[n(2)]
    Refused(#[n(0)] Text<512>),
    /// Under which grants something lies here, and of which realm.
    #[n(4)]
    Rescue(#[n(0)] Bounded<(GrantId, RealmId), ROOMS_MAX>),
}

/// One entry of the directory on its way.
#[derive(Debug, Clone, Encode, Decode)]
#[cbor(array)]
pub struct Carried {
    /// The entry.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub entry: Vec<u8>,
    /// Its payload.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub payload: Vec<u8>,
}

/// The most grants of other realms that guardians are told of.
const ROOMS_MAX: usize = 8;
/// The most long answers kept for visitors who are fetching them.
const SNAPSHOTS_MAX: usize = 4;
/// How long one is kept.
const SNAPSHOT_LIFE: Millis = Millis::from_secs(600);

/// A long answer as it was when a visitor began to fetch it, or its pieces would not fit together.
#[derive(Debug)]
struct Snapshot {
    visitor: NodeId,
    directory: bool,
    taken: Millis,
    bytes: Bytes,
}

/// Answers newcomers of the realm.
#[derive(Debug)]
pub struct Door {
    shared: Weak<Shared>,
    snapshots: Mutex<VecDeque<Snapshot>>,
}

impl Door {
    /// The door of a node.
    pub const fn new(shared: Weak<Shared>) -> Self {
        Self { shared, snapshots: Mutex::new(VecDeque::new()) }
    }

    /// What the visitor has begun to fetch.
    fn begun(&self, visitor: NodeId, directory: bool) -> Option<Bytes> {
        let mut all = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::monotonic();
        all.retain(|snapshot| now.since(snapshot.taken) < SNAPSHOT_LIFE);
        let found = all.iter().find(|s| s.visitor == visitor && s.directory == directory);
        found.map(|snapshot| snapshot.bytes.clone())
    }

    fn keep(&self, visitor: NodeId, directory: bool, bytes: &Bytes) {
        let mut all = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|snapshot| (snapshot.visitor, snapshot.directory) != (visitor, directory));
        all.truncate(SNAPSHOTS_MAX - 1);
        all.push_front(Snapshot { visitor, directory, taken: clock::monotonic(), bytes: bytes.clone() });
    }

    /// A piece of the log or the directory.
    async fn long(&self, shared: &Arc<Shared>, visitor: NodeId, is_directory: bool, from: u64) -> Answer {
        if from > 0
            && let Some(bytes) = self.begun(visitor, is_directory)
        {
            return piece(&bytes, from);
        }
        let read = if is_directory {
            directory(shared).await
        } else {
            shared.log.export().await.map_err(|problem| problem.why)
        };
        match read.map(Bytes::from) {
            Ok(bytes) => {
                if bytes.len() > PIECE {
                    self.keep(visitor, is_directory, &bytes);
                }
                piece(&bytes, from)
            }
            Err(why) => refuse(&why),
        }
    }
}

#[async_trait]
impl Doorman for Door {
    fn admit(&self, proof: &Proof) -> bool {
        self.shared.upgrade().is_some_and(|shared| opens(&shared, proof))
    }

    async fn called(&self, caller: NodeId, question: Bytes) -> Option<Bytes> {
        crate::net::grants::answering::answer(&self.shared.upgrade()?, caller, &question)
    }

    fn has_errands(&self, caller: NodeId) -> bool {
        self.shared.upgrade().is_some_and(|shared| {
            let reads = || shared.rooms.rescues.admits(&shared.home, None, caller, clock::wall());
            keeping::has_errands(&shared, caller)
                || crate::zfs::keeping::has_errands(&shared, caller)
                || reads()
                || crate::net::lending::keeping::has_errands(&shared, caller)
                || crate::net::papers::has_errands(&shared, caller)
        })
    }

    async fn errand(&self, caller: NodeId, question: Bytes, body: Bytes) -> Option<(Bytes, Bytes)> {
        let shared = self.shared.upgrade()?;
        if let Some(ask) = crate::zfs::keeping::asked(&question) {
            return crate::zfs::keeping::errand(&shared, caller, ask.ok()?, body).await;
        }
        if let Some(asked) = Handing::from_bytes(&question) {
            return crate::net::papers::errand(&shared, caller, asked, body).await;
        }
        match ShelfErrand::from_bytes(&question) {
            Ok(errand) => keeping::errand(&shared, caller, errand, body).await,
            Err(_) => crate::net::lending::keeping::errand(&shared, caller, &question, body).await,
        }
    }

    async fn serve(&self, proof: Proof, request: Bytes) -> Bytes {
        let answer = match self.shared.upgrade() {
            Some(shared) => serve(self, &shared, &proof, &request).await,
            None => refuse("the node is stopping"),
        };
        to_canonical(&answer).into()
    }
}

fn opens(shared: &Shared, proof: &Proof) -> bool {
    invited(shared, proof) || guardians(shared, proof) || rescue::opens(shared, proof)
}

fn invited(shared: &Shared, proof: &Proof) -> bool {
    let view = shared.log.view();
    // Without an admin's key, a node that merely stores lets nobody in: what it signs would not count.
    let roles = view.state().nodes.get(&shared.me()).map_or(NodeRoles::NONE, |node| node.roles);
    if NodeRoles::STORAGE.contains(roles) && shared.keys.device.is_none() {
        return false;
    }
    // By this node's own clock: a newcomer who sets back theirs gains nothing.
    view.state().open_invitations(clock::wall()).any(|(_, open)| proof.keys.contains(&open.key))
}

fn guardians(shared: &Shared, proof: &Proof) -> bool {
    let view = shared.log.view();
    let set = &view.state().guardians;
    let shown = set.guardians.iter().filter(|guardian| proof.keys.contains(&guardian.key)).count();
    set.threshold > 0 && shown >= usize::from(set.threshold)
}

fn refuse(why: &str) -> Answer {
    let why: String = why.chars().take(120).collect();
    Answer::Refused(Text::new(why).unwrap_or_default())
}

async fn serve(door: &Door, shared: &Arc<Shared>, proof: &Proof, request: &[u8]) -> Answer {
    match from_canonical::<Request>(request, REQUEST_MAX) {
        Ok(Request::Rescue) => match rescue::welcome(shared, proof) {
            Ok(rooms) => Answer::Rescue(Bounded::fill(&mut rooms.into_iter())),
            Err(why) => refuse(&why),
        },
        // Guardians of another realm have no business with this one's log.
        Ok(Request::Log(_)) if !invited(shared, proof) && !guardians(shared, proof) => {
            refuse("these phrases are of another realm")
        }
        Ok(Request::Log(from)) => door.long(shared, proof.newcomer, false, from).await,
        Ok(Request::Directory(from)) if guardians(shared, proof) => {
            door.long(shared, proof.newcomer, true, from).await
        }
        Ok(Request::Directory(_)) => {
            refuse("only guardians may ask for the directory before they are members")
        }
        Ok(Request::Redeem(op, name)) => redeem(shared, proof, &op, name).await,
        Ok(Request::Recover(ops)) if guardians(shared, proof) => recover(shared, proof, &ops).await,
        Ok(Request::Recover(_)) => refuse("a recovery takes the phrases of enough guardians"),
        Err(_) => refuse("the request is not one this program knows; use the same version on both machines"),
    }
}

fn piece(all: &[u8], from: u64) -> Answer {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(all.len());
    let rest = all.get(from..).unwrap_or_default();
    Answer::Piece(rest.get(..PIECE).unwrap_or(rest).to_vec(), all.len() as u64)
}

pub(crate) async fn directory(shared: &Arc<Shared>) -> Result<Vec<u8>, String> {
    let shared = Arc::clone(shared);
    let read = move || {
        let mut all: Vec<Carried> = Vec::new();
        let scanned = shared.entries.scan_bucket(&shared.directory_bucket(), |row| {
            all.extend(row.payload.map(|payload| Carried { entry: row.entry, payload }));
            std::ops::ControlFlow::Continue(())
        });
        scanned.map(|()| to_canonical(&all)).map_err(|e| e.to_string())
    };
    tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?
}

async fn redeem(shared: &Arc<Shared>, proof: &Proof, op: &[u8], name: Name) -> Answer {
    let Ok(op) = Op::decode(op) else { return refuse("the operation is unreadable") };
    let is_theirs = proof.keys.contains(&op.head().author)
        && matches!(op.body(), Body::InvitationRedeem(body)
            if body.node.ed25519_bytes() == Some(*proof.newcomer.as_bytes()));
    if !is_theirs || !invited(shared, proof) {
        return refuse("the invitation was used, has lapsed or was withdrawn");
    }
    let let_in = match shared.log.let_in(op).await {
        Ok(op) => op,
        Err(problem) => return refuse(&problem.why),
    };
    tracing::info!(node = %proof.newcomer.short(), "a machine has joined");
    let name = free_name(&name, |name| shared.nodes_named(name).iter().any(|node| *node != proof.newcomer));
    if let Err(problem) =
        shared.say(vec![Saying::Row(DirectoryRow::NodeName(proof.newcomer, Some(name)))]).await
    {
        tracing::warn!(%problem, "the new node's name was not kept");
    }
    Answer::LetIn(let_in.to_bytes())
}

/// The name a newcomer asks for, with a number if another node has it: many machines are called
/// `debian`. The same if it could be the start of an id, as containers are called.
pub(crate) fn free_name(wish: &Name, taken: impl Fn(&str) -> bool) -> Name {
    let mut name = wish.clone();
    let mut number = 1;
    while taken(name.as_str()) || name.is_like_an_id() {
        number += 1;
        name = wish.numbered(number);
    }
    name
}

async fn recover(shared: &Arc<Shared>, proof: &Proof, ops: &[minicbor::bytes::ByteVec]) -> Answer {
    let read: Result<Vec<Op>, _> = ops.iter().map(|bytes| Op::decode(bytes)).collect();
    let Ok(read) = read else { return refuse("an operation is unreadable") };
    if read.iter().any(|op| !matches!(op.body(), Body::Recovery(_))) {
        return refuse("only a recovery may be brought here");
    }
    let ids: Vec<_> = read.iter().map(Op::id).collect();
    if let Err(problem) = shared.log.take(read).await {
        return refuse(&problem.why);
    }
    let view = shared.log.view();
    if let Some(why) = ids.iter().find_map(|id| view.folded.refused.get(id)) {
        return refuse(&why.to_string());
    }
    tracing::warn!(node = %proof.newcomer.short(), "guardians are recovering the realm");
    for id in ids {
        shared.visitors.welcome(proof.newcomer, id, clock::wall().plus(RECOVERY_VISIT));
    }
    shared.keep_visitors();
    crate::steward::tidy_up(shared).await;
    Answer::Welcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_machines_of_one_name_are_told_apart() {
        let name = |wish: &str, taken: &[&str]| {
            free_name(&Name::new(wish).unwrap(), |name| taken.contains(&name)).as_str().to_owned()
        };
        assert_eq!(name("debian", &["nas"]), "debian");
        assert_eq!(name("debian", &["debian", "debian-2"]), "debian-3");
    }
}

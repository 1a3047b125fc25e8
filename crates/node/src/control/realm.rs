//! Decisions of the realm's people, from the API to the log and the directory.

use std::sync::Arc;

use freehold_api::{
    Audit, AuditNode, AuditState, Card, Checkpoint, GuardianTest, ImportReport, Invitation, InvitationStatus,
    NewInvitation, NewName, Phrase as TypedPhrase, Problem, Refusal, words,
};
use freehold_crypt::{Algorithm, Entropy as _, Phrase, SigningKey};
use freehold_disk::OsEntropy;
use freehold_realm::audit::{self, Export};
use freehold_realm::body::{GuardianTested, InvitationCancel, InvitationIssue, Lift, RecoveryVeto, Target};
use freehold_realm::{Clock, NodeRoles, Standing, draft};
use freehold_seal::DirectoryRow;
use freehold_wire::{Bounded, KeyId, Millis, Name, NodeId, OpId};

use super::report::roles;
use crate::clock;
use crate::invitation::{Card as CardText, Contact, Invitation as InvitationText};
use crate::log::{By, View};
use crate::scribe::Saying;
use crate::shared::Shared;

/// The longest an invitation is open: a year.
const HOURS_MAX: u32 = 366 * 24;

pub(super) async fn invite(shared: &Shared, wish: NewInvitation) -> Result<Invitation, Problem> {
    if wish.hours == 0 || wish.hours > HOURS_MAX {
        return Err(Problem::invalid(
            "no invitation was made",
            format!("it is open for 1 to {HOURS_MAX} hours"),
            Some("freehold invite --roles storage,gateway,secrets --hours 24"),
        ));
    }
    let wanted = wish.roles.iter().filter_map(|role| NodeRoles::named(role.as_str()));
    let wanted = wanted.fold(NodeRoles::NONE, NodeRoles::with);
    let contacts = contacts(shared);
    if contacts.is_empty() {
        return Err(Problem::unreachable(
            "no invitation was made",
            "this node has no address yet that another machine could reach",
            Some("freehold doctor"),
        ));
    }
    let key_seed = OsEntropy.secret();
    let key = SigningKey::from_seed(Algorithm::Ed25519, &key_seed).verifying();
    let expires = clock::wall().plus(Millis::from_hours(wish.hours.into()));
    let device = match (&shared.keys.device, wish.device) {
        (Some(device), true) => draft::delegate_device(shared.log.view().state(), device, key),
        _ => None,
    };
    if wish.device && device.is_none() {
        return Err(Problem::refused(
            "no invitation was made",
            "this machine is not a device of a member, so it cannot let in another one",
            Some("type it on the machine where the realm was made"),
        ));
    }
    shared.log.say(InvitationIssue { key, roles: wanted, expires, device }, By::Device).await?;
    let text = InvitationText { realm: shared.realm(), expires, key_seed, contacts }.to_text();
    Ok(Invitation { id: key.id().to_string(), text, expires_ms: expires.0 })
}

/// Where this node and the connected others are.
pub(super) fn contacts(shared: &Shared) -> Vec<Contact> {
    let me = shared.mesh.get().map(|mesh| (shared.me(), mesh.addresses()));
    let mut said = crate::whereabouts::of_others(shared);
    let others = shared.mesh.get().map(|mesh| mesh.peers()).unwrap_or_default();
    let others = others.into_iter().filter(|peer| peer.connected);
    let others = others.filter_map(|peer| Some((peer.id, said.remove(&peer.id)?)));
    let all = me.into_iter().chain(others).filter(|(_, at)| !at.is_empty());
    all.map(|(node, at)| Contact { node, addresses: at.to_bytes() }).take(8).collect()
}

pub(super) fn invitations(shared: &Shared) -> Vec<InvitationStatus> {
    let view = shared.log.view();
    let open = view.state().open_invitations(clock::wall());
    open.map(|(id, invitation)| InvitationStatus {
        id: id.to_string(),
        roles: roles(invitation.roles),
        device: invitation.device,
        expires_ms: invitation.expires.0,
    })
    .collect()
}

pub(super) async fn withdraw(shared: &Shared, id: &str) -> Result<(), Problem> {
    let key: KeyId = id.parse().map_err(|_| {
        Problem::not_found("there is no such invitation", format!("{id} is not an id"), None::<&str>)
    })?;
    shared.log.say(InvitationCancel { key }, By::Device).await.map(drop)
}

pub(super) fn node_named(shared: &Shared, typed: &str) -> Result<NodeId, Problem> {
    let nodes = super::report::nodes(shared);
    let meant = freehold_api::node_named(&nodes, typed)?;
    meant.id.parse().map_err(|_| Problem::bug("a node's id is none", meant.id.clone(), None::<&str>))
}

pub(super) async fn veto(shared: &Shared, typed: &str) -> Result<(), Problem> {
    let view = shared.log.view();
    let waiting = view.waiting_recoveries(clock::wall()).map(|(id, _)| id);
    let meant: Vec<OpId> =
        waiting.filter(|id| typed.len() >= 4 && id.to_string().starts_with(typed)).collect();
    let [recovery] = meant.as_slice() else {
        return Err(Problem::not_found(
            "no recovery was stopped",
            format!("the id of exactly one that waits begins with {typed:?}, or of none"),
            Some("freehold status    (shows what waits)"),
        ));
    };
    shared.log.say(RecoveryVeto { recovery: *recovery }, By::Device).await.map(drop)
}

/// Takes a node's rights away. Typed again, it makes good what failed the first time.
pub(super) async fn suspend(shared: &Shared, name: &str) -> Result<(), Problem> {
    let node = node_named(shared, name)?;
    if !shared.log.view().state().nodes.contains_key(&node) {
        return Err(Problem::refused(
            format!("{name} was not suspended"),
            "it is no node of the realm: guardians are bringing it back",
            Some("freehold realm veto    (stops that, if nobody of you started it)"),
        ));
    }
    if node == shared.me() {
        return Err(Problem::refused(
            format!("{name} was not suspended"),
            "it is this machine: the others would shut it out, and it could not tell them otherwise",
            Some("freehold node suspend, on another machine of an admin"),
        ));
    }
    let is_active =
        |view: &View| view.state().nodes.get(&node).is_some_and(|node| node.standing == Standing::Active);
    let was_active = is_active(&shared.log.view());
    if was_active {
        shared.log.suspend(Target::Node(node)).await?;
    }
    // Whoever has the machine has the device's key too, and could lift the suspension with it.
    let device = match device_left(shared, &shared.log.view(), node) {
        Some(device) => shared.log.suspend(Target::Device(device)).await,
        None => Ok(()),
    };
    // What the machine writes from now on is void, whatever becomes of the device.
    let is_cut = !was_active && shared.cuts().contains_key(&node);
    let cut = if is_cut { Ok(()) } else { cut_off(shared, node).await };
    crate::steward::tidy_up(shared).await;
    // What is written from now on is sealed with keys that it does not know.
    super::keys::rotate_due(shared).await;
    device.map_err(|problem| {
        Problem::refused(
            format!("{name} is suspended, but it is still an admin's device"),
            problem.why,
            Some("have that admin, or a majority of the admins, suspend it as well"),
        )
    })?;
    cut.map_err(|problem| {
        Problem::new(
            problem.kind,
            format!("{name} is suspended, but what it writes from now on still counts"),
            problem.why,
            Some(format!(
                "freehold node suspend {}    (again; on a node with the role secrets)",
                words::typed(name)
            )),
        )
    })
}

/// The device on a node's machine, if it may still decide, and is not ours.
pub(super) fn device_left(shared: &Shared, view: &View, node: NodeId) -> Option<KeyId> {
    let device = *view.devices.get(&node)?;
    let ours = shared.keys.device.as_ref().is_some_and(|own| own.verifying().id() == device);
    let may = view.state().device(&device).is_some_and(|(_, device)| device.standing == Standing::Active);
    (may && !ours).then_some(device)
}

/// Says what counts of a node from now on: what this node has of it.
pub(super) async fn cut_off(shared: &Shared, node: NodeId) -> Result<(), Problem> {
    let Some(replica) = shared.replica.get() else { return Ok(()) };
    if !shared.is_keeper() {
        return Err(Problem::refused(
            "nobody was cut off",
            "this machine does not hold the realm's secrets, so its word on that is not believed",
            None::<&str>,
        ));
    }
    let last = Bounded::fill(&mut replica.lengths(node).await.into_iter());
    shared.say(vec![Saying::Row(DirectoryRow::Cut(node, Some(last)))]).await
}

pub(super) async fn lift(shared: &Shared, name: &str) -> Result<(), Problem> {
    let node = node_named(shared, name)?;
    shared.log.say(Lift { target: Target::Node(node) }, By::Device).await?;
    if shared.log.view().state().nodes.get(&node).is_none_or(|node| node.standing != Standing::Active) {
        return Err(Problem::refused(
            format!("{name} stays suspended"),
            "this machine's word alone does not lift it: it is suspended itself, or other admins must agree",
            Some("freehold node lift, on the machine of another admin"),
        ));
    }
    if let Some(device) = shared.log.view().devices.get(&node).copied()
        && shared.log.view().state().device(&device).is_some_and(|(_, d)| d.standing == Standing::Suspended)
    {
        shared.log.say(Lift { target: Target::Device(device) }, By::Device).await?;
    }
    shared.say(vec![Saying::Row(DirectoryRow::Cut(node, None))]).await
}

pub(super) async fn rename(shared: &Shared, node: &str, name: NewName) -> Result<(), Problem> {
    let node = node_named(shared, node)?;
    let name = not_like_an_id(name_of(&name.name)?)?;
    let taken = shared.nodes_named(name.as_str());
    if taken.iter().any(|other| *other != node) {
        return Err(Problem::conflict(
            format!("the node {} was not renamed", shared.name_of(node)),
            format!("there is another node named {}", name.as_str()),
            Some("choose another name; see freehold node list"),
        ));
    }
    shared.say(vec![Saying::Row(DirectoryRow::NodeName(node, Some(name)))]).await
}

pub(super) fn name_of(text: &str) -> Result<Name, Problem> {
    Name::new(text.trim()).map_err(|error| {
        Problem::invalid(
            "this name cannot be used",
            error.to_string(),
            Some("choose 1 to 128 plain characters"),
        )
    })
}

/// A name that nobody takes for an id: lists show the starts of those, and people type them.
pub(super) fn not_like_an_id(name: Name) -> Result<Name, Problem> {
    if !name.is_like_an_id() {
        return Ok(name);
    }
    Err(Problem::invalid(
        format!("{} cannot be a name", name.as_str()),
        "it looks like the start of an id, and whoever types it could mean somebody else",
        Some("choose a name with a letter after f, or a hyphen"),
    ))
}

pub(super) async fn import(shared: &Shared, exported: &[u8]) -> Result<ImportReport, Problem> {
    let export = Export::decode(exported).map_err(|e| unreadable(&e))?;
    if export.realm != shared.realm() {
        return Err(Problem::refused(
            "the log was not imported",
            format!("it is realm {}'s, this is {}", export.realm.short(), shared.realm().short()),
            None::<&str>,
        ));
    }
    let before = shared.log.view();
    // Those whose ids are here already as well: a damaged file is told as one.
    let signed = |op: &freehold_realm::Op| op.verify().is_ok();
    let (ops, damaged): (Vec<_>, Vec<_>) =
        tokio::task::block_in_place(|| export.ops.into_iter().partition(signed));
    let taken = shared.log.take(ops).await?;
    let refused = crate::log::newly_refused(&before, &shared.log.view()).len() as u64 + taken.unbelievable;
    Ok(ImportReport { new: taken.new, known: taken.known, refused, damaged: damaged.len() as u64 })
}

fn unreadable(error: &audit::ExportError) -> Problem {
    Problem::corrupt(
        "this file is not a realm log",
        error.to_string(),
        Some("make one with: freehold realm export FILE"),
    )
}

/// What an exported log derives.
///
/// # Errors
/// A [`Problem`] if it is none.
pub fn audit_of(exported: &[u8]) -> Result<Audit, Problem> {
    let clock = Clock { now: clock::wall(), ..Clock::default() };
    let audit = audit::audit(exported, &clock).map_err(|e| unreadable(&e))?;
    let state = &audit.folded.state;
    let refused = audit.folded.refused.iter().map(|(id, reason)| {
        let kind = audit.set.get(id).map_or("operation", |op| op.body().name());
        Refusal { id: id.to_string(), reason: format!("{kind}: {reason}") }
    });
    let damaged = audit.unbelievable.iter().map(|error| Refusal {
        id: error.operation().map_or_else(|| "an operation".to_owned(), |id| id.to_string()),
        reason: error.why(),
    });
    let live = state.live_buckets().count() as u64;
    Ok(Audit {
        refused: refused.collect(),
        damaged: damaged.collect(),
        state: AuditState {
            realm: state.realm.to_string(),
            epoch: state.epoch,
            operations: audit.set.len() as u64,
            pending: audit.folded.pending.len() as u64,
            waiting: audit.set.waiting().count() as u64,
            heads: audit.set.heads().iter().map(ToString::to_string).collect(),
            admins: state.admins().map(|(id, _)| id.to_string()).collect(),
            members: state.persons.len() as u64,
            nodes: state.nodes.iter().map(|(id, node)| audited(*id, node)).collect(),
            guardians: u16::try_from(state.guardians.guardians.len()).unwrap_or(u16::MAX),
            guardians_needed: state.guardians.threshold.into(),
            buckets: live,
            grants: state.grants.len() as u64,
            invitations: state.open_invitations(clock.now).count() as u64,
        },
    })
}

fn audited(id: NodeId, node: &freehold_realm::Node) -> AuditNode {
    let standing = super::report::standing(node.standing);
    AuditNode { id: id.to_string(), roles: roles(node.roles), standing, name: None }
}

pub(super) async fn checkpoint(shared: &Shared) -> Result<Checkpoint, Problem> {
    let id = shared.log.checkpoint(true).await?;
    let view = shared.log.view();
    let state = view.state();
    Ok(Checkpoint { id: id.to_string(), in_force: state.base == Some(id), epoch: state.epoch })
}

pub(super) fn card(shared: &Shared) -> Card {
    let contacts = Bounded::fill(&mut contacts(shared).into_iter());
    Card { text: CardText { realm: shared.realm(), contacts }.to_text() }
}

pub(super) async fn test_guardian(shared: &Shared, typed: &TypedPhrase) -> Result<GuardianTest, Problem> {
    let phrase = Phrase::parse(&typed.phrase).map_err(|error| {
        Problem::invalid("this is not a guardian phrase", error.to_string(), Some("freehold guardians test"))
    })?;
    let key = Arc::new(phrase.signing_key());
    let id = key.verifying().id();
    let view = shared.log.view();
    let guardians = &view.state().guardians;
    let Some(at) = guardians.guardians.iter().position(|guardian| guardian.key.id() == id) else {
        return Err(Problem::refused(
            "this phrase belongs to no guardian of this realm",
            "its words fit together, but it was made for another realm",
            Some("freehold guardians test    (with the phrase of this realm)"),
        ));
    };
    let noted = if view.state().guardians_tested.contains(&id) {
        Ok(id)
    } else {
        let said = shared.log.say_with(GuardianTested { guardian: id }, By::Device, vec![key]).await;
        said.map(|_| id)
    };
    let view = shared.log.view();
    let state = view.state();
    Ok(GuardianTest {
        guardian: u16::try_from(at + 1).unwrap_or(u16::MAX),
        tested: u16::try_from(state.guardians_tested.len()).unwrap_or(u16::MAX),
        guardians: u16::try_from(state.guardians.guardians.len()).unwrap_or(u16::MAX),
        needed: state.guardians.threshold.into(),
        not_noted: noted.err().map(|problem| problem.why),
    })
}

//! Answers to calls: passes for machines of one's own realm, and the door for machines of another one. Whoever shows
//! nothing that counts gets no answer at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use freehold_mesh::Addresses;
use freehold_passes::{
    Answer, Call, Claim, Contact, Ground, Offered, Pass, Reason, Recall, Shown, Told, Welcome, judge,
    judge_recall, was_theirs,
};
use freehold_reach::{Party, barrier, owner_of_node};
use freehold_realm::body::Resource;
use freehold_realm::{Grant, MemberRoles, Node, NodeRoles, Side, Standing, State};
use freehold_wire::{Bounded, GrantId, Millis, NodeId, RealmId, Text};

use super::Here;
use crate::clock;
use crate::log::View;
use crate::net::called;
use crate::net::called::Thing;
use crate::net::lending::{is_gone_to, last_asked, receipts};
use crate::shared::Shared;

/// How long the passes hold that are signed here: whoever loses their rights unheard keeps them for so long.
const LIFE: Millis = Millis::from_hours(6);

/// Answers a call.
pub(crate) fn answer(shared: &Arc<Shared>, caller: NodeId, question: &[u8]) -> Option<Bytes> {
    let view = shared.log.view();
    let answer = match Call::from_bytes(question).ok()? {
        Call::Pass(grant) => {
            let known = view.state().nodes.get(&caller)?;
            if known.standing != Standing::Active {
                return None;
            }
            match sign(shared, view.state(), grant, caller, clock::wall()) {
                Ok(pass) => Answer::Pass(pass.to_bytes().into()),
                Err(why) => Answer::refused(why),
            }
        }
        Call::Visit(shown) => visit(shared, &view, caller, &shown)?,
        Call::Recall(bytes) => take_back(shared, view.state(), &bytes)?,
    };
    Some(answer.to_bytes().into())
}

/// Whether a machine of this realm may use what other realms lend: it has rights, and is no guest's.
pub(super) fn is_entitled(state: &State, node: NodeId, now: Millis) -> bool {
    if barrier(state, now, Party::Node(node)).is_some() {
        return false;
    }
    let is_server = state.nodes.get(&node).is_some_and(|known| !known.roles.is_empty());
    let members = [MemberRoles::ADMIN, MemberRoles::OPERATOR, MemberRoles::MEMBER];
    let is_members = || {
        let roles = owner_of_node(state, &node)
            .and_then(|person| state.persons.get(&person))
            .map(|known| known.roles);
        roles.is_some_and(|roles| members.iter().any(|role| roles.contains(*role)))
    };
    is_server || is_members()
}

/// Signs a pass for a machine of this realm.
pub(super) fn sign(
    shared: &Shared,
    state: &State,
    id: GrantId,
    node: NodeId,
    now: Millis,
) -> Result<Pass, &'static str> {
    let grant = state.grants.get(&id).filter(|grant| grant.side == Side::Borrows);
    let grant = grant.ok_or("this realm borrows nothing by that name")?;
    if !is_gone_to(grant, now) {
        return Err("the grant does not hold");
    }
    if !is_entitled(state, node, now) {
        return Err("only servers and members' machines come under a grant");
    }
    let until = now.plus(LIFE).min(last_asked(grant));
    let (lender, borrower) = (grant.other, shared.realm());
    let claim = Claim { grant: id, lender, borrower, node, from: now, until };
    shared.strangers.note(&shared.home, (id, node), (now, until), now)?;
    Ok(Pass::sign(claim, &shared.keys.node))
}

/// What a pass is judged by; whoever is given a reason has at least known the grant.
fn judged<T>(
    shared: &Shared,
    state: &State,
    (grant, borrower): (GrantId, RealmId),
    judge: impl FnOnce(&Ground<'_>) -> Result<T, Reason>,
) -> Option<Result<T, Reason>> {
    state.grants.get(&grant).filter(|known| known.side == Side::Lends && known.other == borrower)?;
    let known = shared.strangers.known();
    let ground =
        Ground { realm: state.realm, grants: &state.grants, recalls: &known.recalls, now: clock::wall() };
    match judge(&ground) {
        // Not a word to whoever made it up.
        Err(Reason::Signature | Reason::Node) => None,
        judged => Some(judged),
    }
}

fn visit(shared: &Arc<Shared>, view: &View, caller: NodeId, shown: &Shown) -> Option<Answer> {
    let state = view.state();
    let pass = Pass::from_bytes(&shown.pass).ok()?;
    let of = (pass.claim.grant, pass.claim.borrower);
    let is_own = |node: &NodeId| state.nodes.contains_key(node);
    let visitor = match judged(shared, state, of, |ground| judge(ground, &pass, caller, is_own))? {
        Ok(visitor) => visitor,
        Err(reason) => return Some(ended(shared, state, &pass, caller, reason)),
    };
    let addresses = Addresses::from_bytes(&shown.addresses).unwrap_or_default();
    let grant = state.grants.get(&visitor.grant)?;
    let takes = takes_in(state, shared.me()) && grant.terms.resource == Resource::Gateway;
    let hosts = if takes { shown.hosts.to_vec() } else { Vec::new() };
    let own = own_hosts(shared, state);
    let here = Here { visitor, addresses, hosts };
    let is_taken = |host: &str| {
        let whole = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        host.starts_with("*.") || own.contains(host) || whole.is_some_and(|whole| own.contains(&whole))
    };
    let refused = match shared.strangers.let_in(here, is_taken, clock::wall()) {
        Ok(refused) => refused,
        Err(why) => return Some(Answer::refused(why)),
    };
    if let Some(mesh) = shared.mesh.get() {
        shared.strangers.place(mesh);
    }
    Some(Answer::Welcome(welcome(shared, state, (visitor.grant, grant), visitor.until, &refused)))
}

/// What whoever is not let in is told: why, or that what was kept here is deleted.
fn ended(shared: &Shared, state: &State, pass: &Pass, caller: NodeId, reason: Reason) -> Answer {
    let known = shared.strangers.known();
    let ground =
        Ground { realm: state.realm, grants: &state.grants, recalls: &known.recalls, now: clock::wall() };
    let was_theirs = was_theirs(&ground, pass, caller);
    drop(known);
    let receipt = || receipts::kept(shared, Side::Lends, pass.claim.grant, shared.me());
    match was_theirs.then(receipt).flatten() {
        Some(receipt) => Answer::Deleted(receipt.to_bytes().into()),
        None => Answer::refused(&reason.to_string()),
    }
}

/// Names that lead to services of this realm.
fn own_hosts(shared: &Shared, state: &State) -> BTreeSet<String> {
    let directory = shared.directory();
    let published = state.live_services().filter_map(|(id, _)| directory.published(*id));
    published.flat_map(|published| published.hosts.iter().map(|host| host.as_str().to_owned())).collect()
}

/// Whether a machine is a gateway that takes in what the internet sends.
pub(super) fn takes_in(state: &State, node: NodeId) -> bool {
    let is_one = |node: &Node| {
        node.standing == Standing::Active
            && node.roles.contains(NodeRoles::GATEWAY)
            && node.network.ingress.is_some()
    };
    state.nodes.get(&node).is_some_and(is_one)
}

fn welcome(
    shared: &Shared,
    state: &State,
    (id, grant): (GrantId, &Grant),
    until: Millis,
    refused: &[String],
) -> Welcome {
    let called = called(shared, state);
    let stands = |node: &NodeId| state.nodes.get(node).is_some_and(|node| node.standing == Standing::Active);
    let opened = state.live_services().filter(|(_, service)| service.grants.contains(&id));
    let offered = opened.filter_map(|(service, known)| {
        let domain = called.domain(Thing::Service(*service));
        let label = domain.split('.').next().and_then(|label| Text::new(label).ok())?;
        Some(Offered { service: *service, label, home: *known.homes.iter().find(|home| stands(home))? })
    });
    let services: Vec<Offered> = offered.take(freehold_passes::SERVICES_MAX).collect();
    let is_gateway = grant.terms.resource == Resource::Gateway;
    let is_relay = grant.terms.resource == Resource::Relay;
    let relays = |node: &NodeId| {
        state
            .nodes
            .get(node)
            .is_some_and(|known| known.standing == Standing::Active && known.roles.contains(NodeRoles::RELAY))
    };
    let takes_part = |node: &NodeId| {
        (is_gateway && takes_in(state, *node)) || (is_relay && relays(node)) || grant.homes.contains(node)
    };
    let gateways: Vec<NodeId> = state.nodes.keys().copied().filter(takes_part).take(64).collect();
    let wanted: BTreeSet<NodeId> =
        services.iter().map(|one| one.home).chain(gateways.iter().copied()).collect();
    let mut whereabouts = crate::whereabouts::of_others(shared);
    whereabouts.extend(shared.mesh.get().map(|mesh| (shared.me(), mesh.addresses())));
    let contacts = whereabouts.into_iter().filter(|(node, _)| wanted.contains(node));
    let contacts = contacts.map(|(node, at)| Contact { node, addresses: at.to_bytes().into() });
    let refused = refused.iter().filter_map(|name| {
        let why = "another service has that name here, or it is a whole domain";
        Some(Told { name: Text::new(name.as_str()).ok()?, why: Text::new(why).ok()? })
    });
    Welcome {
        zone: Text::new(called.zone()).unwrap_or_default(),
        until,
        services: Bounded::fill(&mut services.into_iter()),
        gateways: Bounded::fill(&mut gateways.into_iter()),
        contacts: Bounded::fill(&mut contacts.into_iter()),
        refused: Bounded::fill(&mut refused.into_iter()),
    }
}

/// Whoever brings it: the signature says whose word it is.
fn take_back(shared: &Shared, state: &State, bytes: &[u8]) -> Option<Answer> {
    let recall = Recall::from_bytes(bytes).ok()?;
    let of = (recall.word.grant, recall.word.borrower);
    if let Err(reason) = judged(shared, state, of, |ground| judge_recall(ground, &recall))? {
        return Some(Answer::refused(&reason.to_string()));
    }
    let place = (recall.word.grant, recall.word.node);
    let mut known = shared.strangers.known();
    let is_new = known.recalls.note(&recall, clock::wall());
    // A pass of a later time was signed after that.
    if is_new {
        known.here.remove(&place);
    }
    drop(known);
    if is_new {
        shared.strangers.changed();
        tracing::info!(node = %place.1.short(), "another realm has taken back a machine's pass");
    }
    Some(Answer::Noted)
}

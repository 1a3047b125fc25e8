//! From the tables of a finished walk to what readers see.

use std::collections::BTreeMap;

use freehold_crypt::BoxPublic;
use freehold_wire::{Bounded, KeyId, OpId, PersonId};

use crate::body::{GuardianSet, NetSet, Target};
use crate::fold::{Folded, Pending};
use crate::reason::Reason;
use crate::state::{Alarm, Device, Grant, Invitation, Network, Node, Person, Standing, State};
use crate::world::{Holder, NodeRow, PersonRow};

use super::run::Run;

pub(super) fn present(run: &Run<'_>) -> Folded {
    let (mut refused, mut pending) = (BTreeMap::new(), BTreeMap::new());
    for (at, entry) in run.frame.set.all() {
        let id = entry.op.id();
        match run.verdict(at) {
            Some(Ok(())) => {}
            Some(Err(Reason::TooFewSignatures { have, need })) => {
                pending.insert(id, Pending::Signatures { have, need });
            }
            Some(Err(Reason::Waiting)) => match run.world.vetoed.get(&id) {
                Some(veto) if !run.is_open(*veto) => drop(refused.insert(id, Reason::Vetoed)),
                veto => drop(pending.insert(id, Pending::Recovery { vetoed: veto.is_some() })),
            },
            Some(Err(why)) => {
                refused.insert(id, why);
            }
            None => {
                refused.insert(id, Reason::Overtaken);
            }
        }
    }
    let mut standing: Vec<OpId> = run.standing.iter().map(|at| run.id(*at)).collect();
    standing.sort();
    let state = state(run, &pending);
    Folded { state, refused, pending, standing }
}

fn state(run: &Run<'_>, pending: &BTreeMap<OpId, Pending>) -> State {
    let (world, whole) = (&run.world, run.whole());
    let witnesses = whole.witnesses();
    let none =
        || GuardianSet { threshold: 0, guardians: Bounded::new(), recovery: BoxPublic::from_bytes([0; 32]) };
    let invitations = world.invitations.iter().map(|(key, row)| {
        let shown = Invitation {
            key: row.issue.key,
            roles: row.issue.roles,
            expires: row.issue.expires,
            by: row.by,
            with: row.with,
            device: row.issue.device.is_some(),
            redeemed: row.redeemed.map(|(node, ..)| node),
            cancelled: row.cancelled || row.contradicted,
        };
        (*key, shown)
    });
    State {
        realm: run.frame.set.realm(),
        epoch: run.epoch,
        base: run.base.map(|base| run.id(base)),
        base_time: run.base_time,
        directory: world.directory,
        persons: world.persons.iter().filter_map(|(id, row)| Some((*id, person(run, id, row)?))).collect(),
        guardians: whole.guardians().cloned().unwrap_or_else(none),
        guardians_tested: world.tested.clone(),
        nodes: world.nodes.iter().filter_map(|(id, row)| Some((*id, node(run, *id, row)?))).collect(),
        invitations: invitations.collect(),
        grants: world.grants.iter().map(|(id, grant)| (*id, presented(run, *id, grant))).collect(),
        buckets: world.buckets.clone(),
        quotas: world.quotas.clone(),
        erased_persons: world.erased.clone(),
        network: network(run),
        services: world.services.clone(),
        rules: world.rules.clone(),
        phones: world.phones.clone(),
        witnesses: witnesses.map(|w| w.nodes.iter().copied().collect()).unwrap_or_default(),
        witness_threshold: witnesses.map_or(0, |w| w.threshold),
        image_keys: world.image_keys.as_ref().map(|i| i.keys.to_vec()).unwrap_or_default(),
        image_threshold: world.image_keys.as_ref().map_or(0, |i| i.threshold),
        newer_than_me: world.newer.iter().map(|(_, level)| *level).max(),
        alarms: alarms(run, pending),
    }
}

fn network(run: &Run<'_>) -> Network {
    let (said, said_in) = match run.world.network {
        Some((said, by)) => (said, Some(by)),
        None => (NetSet::default(), None),
    };
    Network { range: run.range(), guests_exit: said.guests_exit, strict: said.strict, said_in }
}

/// The suspension that holds of somebody.
fn suspension(run: &Run<'_>, target: Target, admin: bool) -> Option<OpId> {
    run.whole().suspensions(&target, admin).next().map(|cut| run.id(cut.op))
}

fn person(run: &Run<'_>, id: &PersonId, row: &PersonRow) -> Option<Person> {
    let whole = run.whole();
    let roles = whole.roles(id)?;
    let roles_in = run.id(whole.roles_in(id)?);
    let admin = whole.is_admin(id);
    let mine = row.devices.iter().filter(|(key, _)| whole.person_of(key) == Some(*id));
    let devices: BTreeMap<_, _> = mine
        .map(|(key, device)| {
            let proof = run.world.burned.get(key).map(|(_, proof)| *proof);
            let suspension = suspension(run, Target::Device(*key), admin);
            let standing = standing(proof.is_some(), suspension.is_some());
            let standing_in = proof.or(suspension);
            (*key, Device { key: device.key, box_key: device.box_key, standing, standing_in })
        })
        .collect();
    let burned = devices.values().all(|d| d.standing == Standing::Burned);
    let proof = devices.values().find_map(|d| d.standing_in).filter(|_| burned);
    let suspension = suspension(run, Target::Person(*id), admin);
    let (standing, standing_in) = (standing(burned, suspension.is_some()), proof.or(suspension));
    let (chain, seniority) = (row.chain.clone(), row.seniority);
    Some(Person { roles, roles_in, standing, standing_in, devices, chain, seniority })
}

fn node(run: &Run<'_>, id: freehold_wire::NodeId, row: &NodeRow) -> Option<Node> {
    let whole = run.whole();
    let proof = run.world.burned.get(&row.key.id()).map(|(_, proof)| *proof);
    let suspension = suspension(run, Target::Node(id), false);
    let mut network = row.network.clone();
    // What was given before the range was changed counts again once it is changed back.
    network.v4 = network.v4.filter(|said| run.range().contains(said.what.into()));
    Some(Node {
        roles: whole.node_roles(&id)?,
        roles_in: run.id(whole.node_roles_in(&id)?),
        key: row.key,
        box_key: row.box_key,
        admitted_by: row.by,
        admitted_in: run.id(row.admitted),
        seniority: row.seniority,
        brought: row.brought,
        standing: standing(proof.is_some(), suspension.is_some()),
        standing_in: proof.or(suspension),
        site: row.site,
        network,
    })
}

fn presented(run: &Run<'_>, id: freehold_wire::GrantId, grant: &Grant) -> Grant {
    let suspension = suspension(run, Target::Grant(id), false);
    let standing_in = grant.standing_in.or(suspension);
    Grant { suspended: suspension.is_some(), standing_in, ..grant.clone() }
}

const fn standing(burned: bool, suspended: bool) -> Standing {
    match (burned, suspended) {
        (true, _) => Standing::Burned,
        (false, true) => Standing::Suspended,
        (false, false) => Standing::Active,
    }
}

fn alarms(run: &Run<'_>, pending: &BTreeMap<OpId, Pending>) -> Vec<Alarm> {
    let set = run.frame.set;
    // Of an invitation only what is settled neither way: anybody who finds a used one can sign more.
    let open = |key: &KeyId| match run.world.keys.get(key) {
        Some(Holder::Invitation) => run.world.invitations.get(key).is_some_and(|row| row.contradicted),
        _ => true,
    };
    let forks = run.frame.forks.iter().filter(|(key, ..)| open(key)).map(|(key, seq, ops)| {
        let mut ops: Vec<OpId> = ops.iter().map(|at| run.id(*at)).collect();
        ops.sort();
        Alarm::Equivocation { key: *key, seq: *seq, ops }
    });
    let mut alarms: Vec<Alarm> = forks.collect();
    for (other, link) in run.frame.candidates.iter() {
        let Some(kept) = run.base.filter(|base| *base != other) else { continue };
        let apart = !set.knows(kept, other) && !set.knows(other, kept);
        if !link.recovery && apart && run.quorum(other).is_ok() {
            alarms.push(Alarm::ConflictingCheckpoints { kept: run.id(kept), other: run.id(other) });
        }
    }
    alarms.extend(pending.iter().filter_map(|(id, pending)| match pending {
        Pending::Recovery { vetoed } => Some(Alarm::RecoveryWaits { recovery: *id, vetoed: *vetoed }),
        Pending::Signatures { .. } => None,
    }));
    alarms.sort();
    alarms
}

//! Room that realms lend each other: what this machine keeps for others, what others keep for this one, and how each
//! stands. Everything that goes there is sealed before; what lies here is nobody's to open.

pub(crate) mod borrowing;
pub(crate) mod keeping;
pub(crate) mod receipts;
pub(crate) mod rescue;
pub(crate) mod rounds;
pub(crate) mod told;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_lent::Room;
use freehold_mesh::Addresses;
use freehold_passes::About;
use freehold_realm::body::Resource;
use freehold_realm::{Grant, Side};
use freehold_wire::{GrantId, Hex, Millis, NodeId};

use crate::shared::Shared;

pub(crate) use borrowing::friends;

/// What was learned of a room at another realm: how it stands at each machine, or why that is not known.
pub(crate) type Standings = BTreeMap<NodeId, Result<About, String>>;

/// Rooms on both sides.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// Of other realms, here.
    open: Mutex<BTreeMap<GrantId, Arc<Room>>>,
    /// Of this realm, there.
    there: Mutex<BTreeMap<GrantId, Standings>>,
    /// Guardians of realms that keep something here.
    pub(crate) rescues: rescue::Rescues,
}

impl Rooms {
    fn open(&self) -> MutexGuard<'_, BTreeMap<GrantId, Arc<Room>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the rooms stand that this machine uses.
    pub(crate) fn standings(&self, grant: GrantId) -> Standings {
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        there.get(&grant).cloned().unwrap_or_default()
    }

    fn learn(&self, grant: GrantId, standings: Standings) {
        self.there.lock().unwrap_or_else(PoisonError::into_inner).insert(grant, standings);
    }
}

/// Whether room is lent or borrowed by this grant.
pub(crate) fn is_room(grant: &Grant, side: Side) -> bool {
    grant.side == side && grant.terms.resource == Resource::Storage
}

/// How long after the last day whoever borrowed still asks what became of what was kept.
const ASKED_AFTER: Millis = Millis::from_hours(30 * 24);

/// Whether this realm's machines may come under a grant that it borrows: to room a while longer than it holds, since
/// whoever lends may have ended it, and what is there can be fetched.
pub(crate) fn is_gone_to(grant: &Grant, now: Millis) -> bool {
    if grant.terms.resource != Resource::Storage {
        return super::grants::holds(grant, now);
    }
    let is_whole = !grant.revoked && !grant.suspended && grant.standing_in.is_none();
    is_whole && grant.terms.from <= now && now <= last_asked(grant)
}

/// Whether a room is one that its lender has ended, as far as this machine has heard.
pub(crate) fn is_ended_there(shared: &Shared, id: GrantId, grant: &Grant) -> bool {
    is_room(grant, Side::Borrows) && !rounds::phase(shared, id, grant).takes()
}

/// Until when passes may be signed for it.
pub(crate) fn last_asked(grant: &Grant) -> Millis {
    match grant.terms.resource {
        Resource::Storage => freehold_passes::last(grant).plus(ASKED_AFTER),
        _ => grant.terms.until,
    }
}

/// The machines that keep what lies in a room that another realm lends, as far as they let this one in.
pub(crate) fn homes(shared: &Arc<Shared>, grant: GrantId) -> Vec<NodeId> {
    friends(shared).homes(grant)
}

/// Where such a machine is: as it has said itself, or as the grant says.
pub(crate) fn whereabouts(shared: &Shared, grant: GrantId, home: NodeId) -> Option<Addresses> {
    let told = shared.strangers.told();
    if let Some(machine) = told.get(&grant).and_then(|there| there.machines.get(&home)) {
        return Some(machine.addresses.clone());
    }
    let rescued = crate::backup::Rescued::read(&shared.home);
    if let Some(at) = rescued.addresses.get(&home.to_string()) {
        return at.parse().ok();
    }
    let directory = shared.directory();
    let contact = directory.known_grant(grant)?.contacts.iter().find(|contact| contact.node == home)?;
    let said: Vec<&str> = contact.addresses.iter().map(freehold_wire::Text::as_str).collect();
    said.join(",").parse().ok()
}

/// Where this machine keeps what it knows of a grant on one side.
fn folder(shared: &Shared, side: Side, grant: GrantId) -> PathBuf {
    let side = match side {
        Side::Lends => "lent",
        Side::Borrows => "borrowed",
    };
    shared.home.net().join(side).join(Hex(grant.as_bytes()).to_string())
}

//! Machines of other realms: those that come here under a grant that this realm lends, and those that this machine may
//! use under one that it borrows. What they said holds for as long as their passes do, and for no longer than the
//! log says; it is in memory alone, since they say it again soon. Passes that this machine has signed are on its disk.

pub(crate) mod answering;
pub(crate) mod ingress;
mod issued;
pub(crate) mod names;
pub(crate) mod texts;
pub(crate) mod visiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_crypt::VerifyingKey;
use freehold_mesh::{Addresses, Mesh, RelayUrl};
use freehold_passes::storage::Phase;
use freehold_passes::{Host, Recalls, Visitor};
use freehold_reach::Guest;
use freehold_realm::body::Resource;
use freehold_realm::{Grant, Side, State, network_of};
use freehold_wire::{GrantId, Millis, NodeId, Prefix, RealmId, ServiceId};
use tokio::sync::watch;

use self::issued::Issued;
use crate::home::Home;

/// The most machines that come here under one grant.
const VISITORS_MAX: usize = 64;

/// A machine that comes here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Here {
    pub(crate) visitor: Visitor,
    pub(crate) addresses: Addresses,
    /// The names of the internet that lead to it.
    pub(crate) hosts: Vec<Host>,
}

/// A machine of a realm that lends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Machine {
    pub(crate) addresses: Addresses,
    /// Until when it lets this one in; none if it has not said so.
    pub(crate) until: Option<Millis>,
    pub(crate) is_gateway: bool,
    /// The names that it takes in for this one.
    pub(crate) taken: Vec<String>,
    /// The names that it does not take, and why.
    pub(crate) refused: Vec<(String, String)>,
}

/// What a realm that lends has told.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct There {
    pub(crate) zone: String,
    /// Services with their labels and the machines at which they answer.
    pub(crate) services: BTreeMap<ServiceId, (String, NodeId)>,
    pub(crate) machines: BTreeMap<NodeId, Machine>,
    /// Why nobody there lets this machine in, if nobody does.
    pub(crate) trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Known {
    here: BTreeMap<(GrantId, NodeId), Here>,
    there: BTreeMap<GrantId, There>,
    recalls: Recalls,
    /// Passes that this machine has signed; the file in its home has them, too.
    issued: Issued,
    /// Why that file cannot be read, if it is so: nothing is signed then, as nothing may be written over it.
    unreadable: Option<String>,
}

/// Everything known of other realms' machines.
#[derive(Debug)]
pub(crate) struct Strangers {
    known: Mutex<Known>,
    changes: watch::Sender<u64>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { known: Mutex::default(), changes: watch::channel(0).0 }
    }
}

impl Strangers {
    /// Nobody yet, with the passes that were signed here before: known before anybody can ask for another one.
    pub(crate) fn kept(home: &Home) -> Self {
        let file = issued::file(home);
        let (issued, unreadable) = match issued::read(&file) {
            Ok(issued) => (issued, None),
            Err(error) => (Issued::new(), Some(format!("{}: {error}", file.display()))),
        };
        let known = Known { issued, unreadable, ..Known::default() };
        Self { known: Mutex::new(known), ..Self::default() }
    }

    /// Notes a pass on the disk, and in memory.
    fn note(
        &self,
        home: &Home,
        place: (GrantId, NodeId),
        (from, until): (Millis, Millis),
        now: Millis,
    ) -> Result<(), &'static str> {
        let mut known = self.known();
        if known.unreadable.is_some() {
            return Err(
                "the machine that signs passes cannot read which ones it has signed; freehold status there says why",
            );
        }
        known.issued.retain(|_, (_, until)| *until > now);
        // A clock that was set back: what is taken back is taken back whole.
        let from = known.issued.get(&place).map_or(from, |(before, _)| from.max(*before));
        known.issued.insert(place, (from, until));
        issued::write(&issued::file(home), &known.issued, now).map_err(|error| {
            tracing::warn!(%error, "a pass was not noted, and so is not given away");
            "the machine that signs passes cannot note it on its disk"
        })
    }
}

/// Whether a grant holds at a time.
pub(crate) fn holds(grant: &Grant, now: Millis) -> bool {
    let in_time = grant.terms.from <= now && now <= grant.terms.until;
    in_time && !grant.revoked && !grant.suspended && grant.standing_in.is_none()
}

/// Which of two grants a machine is looked at under: only these open something to whoever comes by them.
const fn weight(grant: &Grant) -> u8 {
    match (grant.side, grant.terms.resource) {
        (Side::Lends, Resource::Services) => 0,
        (Side::Borrows, Resource::Gateway) => 1,
        _ => 2,
    }
}

impl Strangers {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when something has changed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|number| *number += 1);
    }

    /// Who is somebody here under a grant that holds.
    pub(crate) fn guests(&self, state: &State, now: Millis) -> BTreeMap<NodeId, Guest> {
        let known = self.known();
        let here =
            known.here.values().map(|here| (here.visitor.node, here.visitor.grant, here.visitor.until));
        let there = known.there.iter().flat_map(|(grant, there)| {
            let let_in = there.machines.iter().filter_map(|(node, machine)| Some((*node, machine.until?)));
            let_in.map(|(node, until)| (node, *grant, until))
        });
        let mut all: BTreeMap<NodeId, (u8, Guest)> = BTreeMap::new();
        for (node, id, until) in here.chain(there) {
            let Some(grant) = state.grants.get(&id).filter(|grant| holds(grant, now) && until >= now) else {
                continue;
            };
            let (weight, guest) = (weight(grant), Guest { grant: id, until: until.min(grant.terms.until) });
            let kept = all.entry(node).or_insert((weight, guest));
            if weight < kept.0 {
                *kept = (weight, guest);
            }
        }
        all.into_iter().map(|(node, (_, guest))| (node, guest)).collect()
    }

    /// The services of other realms that this machine may use, or leads others to, and at which machine each answers.
    pub(crate) fn services(&self) -> Vec<(GrantId, ServiceId, NodeId)> {
        let known = self.known();
        let all = known.there.iter().flat_map(|(grant, there)| {
            there.services.iter().map(|(service, (_, home))| (*grant, *service, *home))
        });
        let led_to = known.here.values().flat_map(|here| {
            let Visitor { grant, node, .. } = here.visitor;
            here.hosts.iter().map(move |host| (grant, host.service, node))
        });
        all.chain(led_to).collect()
    }

    /// The names of the internet that gateways of other realms take in for this machine.
    pub(crate) fn taken(&self) -> BTreeSet<String> {
        let known = self.known();
        let machines = known.there.values().flat_map(|there| there.machines.values());
        machines.flat_map(|machine| machine.taken.iter().cloned()).collect()
    }

    /// What each realm that lends has told.
    pub(crate) fn told(&self) -> BTreeMap<GrantId, There> {
        self.known().there.clone()
    }

    /// Who comes here, under which grant.
    pub(crate) fn visitors(&self, now: Millis) -> Vec<Here> {
        self.known().here.values().filter(|here| here.visitor.until >= now).cloned().collect()
    }

    /// Whether there may be a line to a machine of another realm.
    pub(crate) fn admits_line(&self, node: NodeId, state: &State, now: Millis) -> bool {
        self.guests(state, now).contains_key(&node)
    }

    /// Whether a machine of another realm may come by this realm's relay, under a grant that leads to machines: it is
    /// here already, or it signs passes, and has no other way to show its first one.
    pub(crate) fn admits_relay(&self, node: NodeId, state: &State, now: Millis) -> bool {
        let leads = |grant: &Grant| {
            let to_machines = match grant.terms.resource {
                Resource::Services | Resource::Gateway | Resource::Relay => holds(grant, now),
                // What is kept here is fetched for some days after the end, too.
                Resource::Storage => Phase::of(grant, now).gives() && !grant.suspended,
                Resource::Compute => false,
            };
            grant.side == Side::Lends && to_machines
        };
        let signs = |grant: &Grant| {
            let is_one = |key: &VerifyingKey| key.ed25519_bytes().is_some_and(|key| key == *node.as_bytes());
            leads(grant) && grant.keys.iter().any(is_one)
        };
        let is_here = self.known().here.values().any(|here| {
            let Visitor { grant, node: visitor, until, .. } = here.visitor;
            visitor == node && until >= now && state.grants.get(&grant).is_some_and(leads)
        });
        is_here || state.grants.values().any(signs)
    }

    /// The relays that other realms lend this one, as far as this machine is let in where they run.
    pub(crate) fn relays(&self, state: &State, now: Millis) -> BTreeSet<RelayUrl> {
        let lent = |grant: &Grant| {
            grant.side == Side::Borrows && grant.terms.resource == Resource::Relay && holds(grant, now)
        };
        let known = self.known();
        let there = known.there.iter().filter(|(id, _)| state.grants.get(id).is_some_and(lent));
        let machines = there.flat_map(|(_, there)| there.machines.values());
        let in_time = machines.filter(|machine| machine.until.is_some_and(|until| until >= now));
        in_time.filter_map(|machine| machine.addresses.serves().cloned()).collect()
    }

    /// The names of the internet that this machine takes in for others: under which grant, of which realm.
    pub(crate) fn hosts(&self, state: &State, now: Millis) -> Vec<(RealmId, Host)> {
        let here = self.visitors(now);
        let lent = |here: &Here| {
            let grant = state.grants.get(&here.visitor.grant)?;
            (holds(grant, now) && grant.terms.resource == Resource::Gateway).then_some(grant.other)
        };
        let all = here.iter().filter_map(|here| Some((lent(here)?, &here.hosts)));
        all.flat_map(|(realm, hosts)| hosts.iter().map(move |host| (realm, host.clone()))).collect()
    }

    /// The networks of other realms that packets come from and go to.
    pub(crate) fn networks(&self, state: &State, now: Millis) -> BTreeSet<Prefix> {
        let guests = self.guests(state, now);
        guests.values().filter_map(|guest| Some(network_of(&state.grants.get(&guest.grant)?.other))).collect()
    }

    /// Lets a machine in, and gives back the names that it asked for and cannot have: another realm has them, or
    /// this one itself.
    fn let_in(
        &self,
        here: Here,
        is_taken: impl Fn(&str) -> bool,
        now: Millis,
    ) -> Result<Vec<String>, &'static str> {
        let mut known = self.known();
        known.here.retain(|_, here| here.visitor.until >= now);
        let Here { visitor, addresses, hosts } = here;
        let place = (visitor.grant, visitor.node);
        let under = known.here.keys().filter(|(grant, node)| *grant == place.0 && *node != place.1).count();
        if under >= VISITORS_MAX {
            return Err("as many machines as can come under this grant are here already");
        }
        let others = |host: &Host| {
            let is_other = |(grant, _): &&(GrantId, NodeId)| *grant != visitor.grant;
            let theirs =
                known.here.iter().filter(|(place, _)| is_other(place)).flat_map(|(_, here)| &here.hosts);
            theirs.into_iter().any(|other| other.name == host.name)
        };
        let (kept, refused): (Vec<Host>, Vec<Host>) =
            hosts.into_iter().partition(|host| !is_taken(host.name.as_str()) && !others(host));
        let now = Here { visitor, addresses, hosts: kept };
        let is_new = known.here.insert(place, now.clone()).is_none_or(|before| before != now);
        drop(known);
        if is_new {
            self.changed();
        }
        Ok(refused.into_iter().map(|host| host.name.as_str().to_owned()).collect())
    }

    /// Takes in what a realm that lends has told, all of it.
    fn learn(&self, told: BTreeMap<GrantId, There>) {
        let mut known = self.known();
        if known.there != told {
            known.there = told;
            drop(known);
            self.changed();
        }
    }

    /// Tells the mesh where they are.
    pub(crate) fn place(&self, mesh: &Mesh) {
        let known = self.known();
        let here = known.here.values().map(|here| (here.visitor.node, here.addresses.clone()));
        let there = known.there.values().flat_map(|there| &there.machines);
        let there = there.map(|(node, machine)| (*node, machine.addresses.clone()));
        let all: BTreeMap<NodeId, Addresses> = here.chain(there).collect();
        drop(known);
        mesh.set_abroad(all);
    }
}

#[cfg(test)]
mod tests;

//! Whose word counts about a published service, and which service has a name that several claim.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use freehold_gateway::Host;
use freehold_realm::body::Preset;
use freehold_realm::{MemberRoles, Service, Standing, State};
use freehold_wire::{NodeId, PersonId, ServiceId};

use super::{Ground, Part};
use crate::net::called::Thing;

/// Who has said how a service is published: only who may change the service in the log, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Teller {
    /// The machine that alone runs it.
    Home,
    /// An admin or operator, at a machine of theirs.
    Operator,
}

impl Teller {
    /// None is anybody else, such as a server that was taken over.
    pub(super) fn of(ground: &Ground<'_>, service: &Service, by: NodeId) -> Option<Self> {
        let owner = ground.owners.get(&by);
        if owner.is_some_and(|owner| operates(ground.state, owner)) {
            return Some(Self::Operator);
        }
        (service.homes == [by]).then_some(Self::Home)
    }

    /// Whether names on the internet count here. That a service is public was said by an operator in any case.
    pub(super) fn may_name(self, service: &Service, part: &Part) -> bool {
        self == Self::Operator || service.preset == Preset::Public || part.is_home
    }
}

fn operates(state: &State, person: &PersonId) -> bool {
    state.persons.get(person).is_some_and(|known| {
        let may = |role| known.roles.contains(role);
        known.standing == Standing::Active && (may(MemberRoles::ADMIN) || may(MemberRoles::OPERATOR))
    })
}

/// The service that each name leads to: one of whose names an operator has spoken before others, then the one that
/// has it already, then a public one. Whoever makes a service chooses its id, so that counts last.
pub(super) fn settle(ground: &Ground<'_>) -> BTreeMap<Host, ServiceId> {
    let mut best = BTreeMap::new();
    for (id, service) in ground.state.live_services() {
        let Some((by, published)) = ground.published.get(id) else { continue };
        let part = Part::of(ground, service, published);
        let Some(teller) = Teller::of(ground, service, *by) else { continue };
        if !part.is_home && !part.is_gateway {
            continue;
        }
        let outer = published.hosts.iter().filter(|_| teller.may_name(service, &part));
        let outer = outer.filter_map(|host| Host::parse(host.as_str()).ok()).map(|host| (host, false));
        let inner = Host::parse(&ground.called.domain(Thing::Service(*id))).ok().filter(|_| part.is_home);
        for (host, is_own) in outer.chain(inner.map(|host| (host, true))) {
            let has_it = ground.held.get(&host) == Some(id);
            // The realm's own names are nobody else's.
            let rank = (is_own, teller, has_it, service.preset == Preset::Public, Reverse(*id));
            let known = best.entry(host).or_insert((rank, *id));
            if known.0 < rank {
                *known = (rank, *id);
            }
        }
    }
    best.into_iter().map(|(host, (_, id))| (host, id)).collect()
}

//! Names of the internet that machines of other realms are reached by, through this machine: it sees the name that is
//! asked for and passes the connection on, and has no key for any of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use freehold_gateway::{Access, Host, Pass, Service, Target, Upstream};
use freehold_passes as passes;
use freehold_reach::address;
use freehold_realm::body::Resource;
use freehold_realm::{Side, State};
use freehold_wire::{GrantId, RealmId, ServiceId};

use crate::net::door::{HTTP, HTTPS};

/// A connection that is passed on may be quiet for so long.
const QUIET: Duration = Duration::from_mins(10);

/// What this machine's door shows for other realms, of what they ask for; none of `own`, which lead elsewhere already.
pub(crate) fn shown(asked: &[(RealmId, passes::Host)], own: &[Service]) -> Vec<Service> {
    let taken: BTreeSet<&Host> = own.iter().flat_map(|service| &service.hosts).collect();
    let ids: BTreeSet<ServiceId> = own.iter().map(|service| service.id).collect();
    let mut services: BTreeMap<ServiceId, (RealmId, BTreeSet<Host>)> = BTreeMap::new();
    let mut seen: BTreeMap<Host, ServiceId> = BTreeMap::new();
    for (realm, wish) in asked {
        let Ok(host) = Host::parse(wish.name.as_str()) else { continue };
        // The realm's own zone is nobody's else, and a bare label is no name of the internet.
        let is_outside = host.name().contains('.') && !host.name().ends_with(".internal");
        let is_taken = taken.iter().any(|own| covers(own, &host));
        // Nor are whole domains: somebody else's name could be among them.
        if is_taken || ids.contains(&wish.service) || !is_outside || host.is_wild() {
            continue;
        }
        if *seen.entry(host.clone()).or_insert(wish.service) != wish.service {
            continue;
        }
        let (of, hosts) = services.entry(wish.service).or_insert_with(|| (*realm, BTreeSet::new()));
        if of == realm {
            hosts.insert(host);
        }
    }
    let shown = services.into_iter().map(|(id, (realm, hosts))| {
        let target = Target::Pass(to_home(&realm, id));
        Service { id, hosts: hosts.into_iter().collect(), access: Access::Public, target }
    });
    shown.collect()
}

/// Connections as they come, to where the service lives, with a word of who comes.
pub(crate) fn to_home(realm: &RealmId, id: ServiceId) -> Pass {
    let home = address::of_service(realm, &id).into();
    let at = |port| Upstream::Tcp(SocketAddr::new(home, port));
    Pass { upstreams: vec![at(HTTPS)], announce: true, quiet: QUIET, proofs: Some(at(HTTP)) }
}

/// Whether a name leads where another one does.
fn covers(own: &Host, name: &Host) -> bool {
    let below = || name.name().split_once('.').is_some_and(|(_, rest)| rest == own.name());
    own == name || (own.is_wild() && below())
}

/// Whether a grant is one by which another realm's gateways lead to this one.
pub(crate) fn leads_here(state: &State, grant: &GrantId) -> bool {
    state.grants.get(grant).is_some_and(|grant| {
        grant.side == Side::Borrows
            && grant.terms.resource == Resource::Gateway
            && grant.standing_in.is_none()
    })
}

#[cfg(test)]
mod tests {
    use freehold_wire::Text;

    use super::*;

    fn asked(realm: u8, service: u8, name: &str) -> (RealmId, passes::Host) {
        let service = ServiceId::from_bytes([service; 32]);
        (RealmId::from_bytes([realm; 32]), passes::Host { name: Text::new(name).unwrap(), service })
    }

    #[test]
    fn a_name_leads_to_whoever_asked_first_and_never_away_from_its_own_realm() {
        let mut own = shown(&[asked(9, 9, "own.example")], &[]);
        own[0].hosts.push(Host::parse("*.whole.example").unwrap());
        let all = [
            asked(1, 1, "a.example"),
            asked(1, 1, "b.example"),
            asked(2, 2, "a.example"),
            asked(2, 2, "own.example"),
            asked(2, 2, "x.whole.example"),
            asked(2, 2, "*.b.example"),
            asked(2, 9, "c.example"),
            asked(2, 3, "wiki.smith.internal"),
            asked(2, 3, "localhost"),
            asked(2, 1, "d.example"),
        ];
        let told: Vec<String> = shown(&all, &own)
            .iter()
            .map(|one| {
                let hosts: Vec<String> = one.hosts.iter().map(ToString::to_string).collect();
                format!("{} {}", one.id.as_bytes()[0], hosts.join(" "))
            })
            .collect();
        assert_eq!(told, ["1 a.example b.example"]);
        let Target::Pass(pass) = &shown(&all, &own)[0].target else { panic!("it is passed on") };
        assert!(pass.announce);
    }
}

//! What services of other realms are called here: as their own realm calls them, in a zone beside this realm's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use freehold_names::{Data, Domain, Row};
use freehold_reach::address;
use freehold_realm::State;
use freehold_wire::GrantId;

use super::There;
use crate::net::called::{Called, TOP};

/// How long others may remember what is answered, in seconds, as of names in this realm.
const TTL: u32 = 60;

/// The zones of other realms, and the addresses of the services in them that this machine may use.
pub(crate) fn abroad(
    state: &State,
    called: &Called,
    told: &BTreeMap<GrantId, There>,
) -> BTreeMap<Domain, Vec<(Domain, Ipv6Addr)>> {
    let mut zones: BTreeMap<Domain, Vec<(Domain, Ipv6Addr)>> = BTreeMap::new();
    let mut taken: BTreeMap<Domain, freehold_wire::RealmId> = BTreeMap::new();
    for (id, there) in told {
        let Some(grant) = state.grants.get(id).filter(|_| !there.services.is_empty()) else { continue };
        let theirs = |zone: &Domain| taken.get(zone).is_none_or(|realm| *realm == grant.other);
        // Another realm says what it is called, and cannot take over what something else is called.
        let wished = is_a_zone(&there.zone).then(|| there.zone.parse::<Domain>().ok()).flatten();
        let wished = wished.filter(|zone| there.zone != called.zone() && theirs(zone));
        let Some(zone) = wished.or_else(|| format!("{}.{TOP}", grant.other.short()).parse().ok()) else {
            continue;
        };
        taken.insert(zone.clone(), grant.other);
        let mut seen = BTreeSet::new();
        for (service, (label, _)) in &there.services {
            if let Ok(name) = zone.child(label.as_bytes())
                && seen.insert(name.clone())
            {
                let at = address::of_service(&grant.other, service);
                zones.entry(zone.clone()).or_default().push((name, at));
            }
        }
    }
    zones
}

/// One label, and the top of every realm's zone.
fn is_a_zone(zone: &str) -> bool {
    let label = zone.strip_suffix(TOP).and_then(|rest| rest.strip_suffix('.'));
    label.is_some_and(|own| !own.is_empty() && freehold_reach::label(own) == own)
}

/// What is answered about them.
pub(crate) fn rows(
    abroad: &BTreeMap<Domain, Vec<(Domain, Ipv6Addr)>>,
    serial: u32,
) -> impl Iterator<Item = Row> {
    abroad.iter().flat_map(move |(apex, services)| {
        let zone = Row::Zone { apex: apex.clone(), server: apex.clone(), serial };
        let record = |(name, at): &(Domain, Ipv6Addr)| Row::Record {
            name: name.clone(),
            ttl: TTL,
            data: Data::V6(*at),
        };
        std::iter::once(zone).chain(services.iter().map(record))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_one_label_of_the_realms() {
        for good in ["smith.internal", "a-b.internal"] {
            assert!(is_a_zone(good), "{good}");
        }
        for bad in [
            "internal",
            ".internal",
            "a.b.internal",
            "example.org",
            "smithinternal",
            "A.internal",
            "-.internal",
            "",
        ] {
            assert!(!is_a_zone(bad), "{bad}");
        }
    }
}

//! What the machine knows of the networks around it, by its own routes: which devices lead to everywhere, and what
//! is near.

use std::collections::{BTreeMap, BTreeSet};

use freehold_reach::{apart, world};
use freehold_wire::Prefix;

use super::route::Seen;
use super::rule::MAIN;

/// The machine's own routes, without those into the tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Around {
    routes: Vec<(Prefix, u32)>,
    names: BTreeMap<u32, String>,
}

impl Around {
    pub(super) fn of(
        seen: impl IntoIterator<Item = Seen>,
        names: BTreeMap<u32, String>,
        tunnel: u32,
    ) -> Self {
        let own = seen.into_iter().filter(|route| route.table == MAIN && route.is_plain);
        let routes =
            own.filter_map(|route| Some((route.to, route.device.filter(|device| *device != tunnel)?)));
        Self { routes: routes.collect(), names }
    }

    /// The devices by which it goes to everywhere that no other route names.
    fn uplinks(&self) -> BTreeSet<u32> {
        self.routes.iter().filter(|(to, _)| is_everywhere(to)).map(|(_, device)| *device).collect()
    }

    /// Networks inside this machine, or at devices that lead nowhere else: containers, guests, other tunnels.
    /// Nobody who rules the network that the machine stands in can say of an address that it is one of them.
    pub(super) fn inside(&self) -> BTreeSet<Prefix> {
        let uplinks = self.uplinks();
        let inside =
            self.routes.iter().filter(|(to, device)| !is_everywhere(to) && !uplinks.contains(device));
        inside.map(|(to, _)| *to).collect()
    }

    /// Networks with addresses of the internet to which the machine has a way of its own: the house that it
    /// stands in.
    pub(super) fn house(&self) -> BTreeSet<Prefix> {
        let apart = apart();
        let is_world = |to: &Prefix| {
            world().iter().any(|world| world.covers(to)) && !apart.iter().any(|apart| apart.covers(to))
        };
        self.routes.iter().map(|(to, _)| *to).filter(|to| !is_everywhere(to) && is_world(to)).collect()
    }

    /// The names of the devices by which packets to these networks go, and to everywhere if that is asked.
    pub(super) fn toward(&self, networks: &[Prefix], everywhere: bool) -> BTreeSet<String> {
        let mut devices = if everywhere { self.uplinks() } else { BTreeSet::new() };
        for network in networks {
            let near = self.routes.iter().filter(|(to, _)| !is_everywhere(to) && network.overlaps(to));
            let near: BTreeSet<u32> = near.map(|(_, device)| *device).collect();
            // Behind a router of the house, where nothing narrower is said.
            devices.extend(if near.is_empty() { self.uplinks() } else { near });
        }
        devices.iter().filter_map(|device| self.names.get(device).cloned()).collect()
    }
}

/// The way to everywhere, or to halves and the like of it, as other tunnels set.
fn is_everywhere(to: &Prefix) -> bool {
    to.bits() < 8 && !(to.first().is_ipv6() && apart_of_v6(to))
}

/// Of IPv6, what was never given out is a network of its own, however wide.
fn apart_of_v6(to: &Prefix) -> bool {
    to.bits() > 0 && !world().iter().any(|world| world.overlaps(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Around {
        let route = |to: &str, device| Seen {
            table: MAIN,
            to: to.parse().unwrap(),
            device: Some(device),
            source: None,
            is_plain: true,
        };
        let names = [(2, "eth0"), (3, "docker0"), (9, "freehold0")];
        let names = names.map(|(index, name)| (index, name.to_owned())).into();
        let other = Seen { table: 255, ..route("192.0.2.9/32", 2) };
        let all = [
            route("0.0.0.0/0", 2),
            route("::/0", 2),
            route("192.168.1.0/24", 2),
            route("198.51.100.0/24", 2),
            route("2001:db8:7::/64", 2),
            route("fe80::/64", 2),
            route("172.17.0.0/16", 3),
            route("fd12::/48", 9),
            other,
        ];
        Around::of(all, names, 9)
    }

    fn texts(of: &BTreeSet<Prefix>) -> Vec<String> {
        of.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_inside_is_at_no_device_that_leads_to_everywhere() {
        assert_eq!(texts(&around().inside()), ["172.17.0.0/16"]);
    }

    #[test]
    fn a_house_may_have_addresses_of_the_internet() {
        assert_eq!(texts(&around().house()), ["198.51.100.0/24", "2001:db8:7::/64"]);
    }

    #[test]
    fn packets_are_passed_on_only_by_the_devices_that_lead_there() {
        let toward = |networks: &[&str], everywhere| {
            let networks: Vec<Prefix> = networks.iter().map(|text| text.parse().unwrap()).collect();
            around().toward(&networks, everywhere).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(toward(&[], true), ["eth0"]);
        assert_eq!(toward(&["172.17.3.0/24"], false), ["docker0"]);
        assert_eq!(toward(&["172.17.3.0/24"], true), ["docker0", "eth0"]);
        assert_eq!(toward(&["10.0.0.0/8"], false), ["eth0"], "behind a router of the house");
    }

    #[test]
    fn halves_of_everything_are_everything() {
        for (to, expected) in [("0.0.0.0/1", true), ("::/0", true), ("2000::/3", true), ("fe80::/10", false)]
        {
            assert_eq!(is_everywhere(&to.parse().unwrap()), expected, "{to}");
        }
        assert!(
            !is_everywhere(&"fc00::/7".parse().unwrap()) && !is_everywhere(&"10.0.0.0/8".parse().unwrap())
        );
    }
}

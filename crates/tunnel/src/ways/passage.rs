//! What this machine passes on for others, and what it lets go back the way it came, as chains of the machine's
//! packet filter.

use std::collections::BTreeSet;
use std::net::IpAddr;

use freehold_reach::{Through, apart, world};
use freehold_wire::Prefix;

use super::rule::MARK;
use crate::filter::{Chain, Hook, Kind};

/// Packets with these and no others are passed on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Passage {
    /// Whose.
    pub(super) through: Through,
    /// The networks behind this machine.
    pub(super) behind: Vec<Prefix>,
    /// Networks that have addresses of the internet, and are the house's.
    pub(super) house: Vec<Prefix>,
    /// The realm's own networks.
    pub(super) own: Vec<Prefix>,
    /// That nothing else is passed on either: the machine did not before, and only does for this.
    pub(super) only: bool,
}

impl Passage {
    /// Nothing is passed on: nobody may, or there is nowhere to go.
    pub(super) fn is_shut(&self) -> bool {
        let behind = !self.behind.is_empty() && !self.through.behind.is_empty();
        self.through.world.is_empty() && !behind
    }

    pub(super) fn chains(&self, device: &str) -> Vec<Chain> {
        let chain = |name, kind, hook, priority, rules| Chain { name, kind, hook, priority, rules };
        vec![
            // Before others' tables let through what they know nothing of.
            chain("pass", Kind::Filter, Hook::Forward, -10, self.pass(device)),
            chain("own", Kind::Filter, Hook::Input, -10, self.own(device)),
            chain("hide", Kind::Nat, Hook::Postrouting, 100, hide(device)),
        ]
    }

    fn pass(&self, device: &str) -> Vec<String> {
        let mut rules = vec![
            // Round in a circle, whatever routes say.
            format!("iifname \"{device}\" oifname \"{device}\" drop"),
            // Nobody behind this machine begins anything.
            format!("oifname \"{device}\" ct state established,related accept"),
            format!("oifname \"{device}\" drop"),
        ];
        for v6 in [false, true] {
            let family = if v6 { "ip6" } else { "ip" };
            let from = |all: &BTreeSet<IpAddr>| {
                let all: Vec<String> =
                    all.iter().filter(|at| at.is_ipv6() == v6).map(ToString::to_string).collect();
                (!all.is_empty()).then(|| format!("{family} saddr {{ {} }}", all.join(", ")))
            };
            if let (Some(from), Some(to)) = (from(&self.through.behind), some(&self.behind, v6)) {
                rules.push(format!("iifname \"{device}\" {from} {family} daddr {to} accept"));
            }
            if let Some(from) = from(&self.through.world) {
                let world = some(&world(), v6).unwrap_or_default();
                let not: Vec<Prefix> = apart().iter().chain(&self.house).copied().collect();
                let not = some(&not, v6).map(|not| format!(" {family} daddr != {not}")).unwrap_or_default();
                rules.push(format!("iifname \"{device}\" {from} {family} daddr {world}{not} accept"));
            }
        }
        rules.push(format!("iifname \"{device}\" reject with icmpx admin-prohibited"));
        if self.only {
            rules.push("drop".to_owned());
        }
        rules
    }

    /// The machine itself is reached at its addresses in the realm, by the rules for these, and at no other:
    /// not at those by which the internet or the house knows it.
    fn own(&self, device: &str) -> Vec<String> {
        let not = |v6| {
            let own = some(&self.own, v6).map(|own| format!(" {} daddr != {own}", family(v6)));
            let own = own.unwrap_or_else(|| format!(" meta nfproto {}", if v6 { "ipv6" } else { "ipv4" }));
            format!("iifname \"{device}\"{own} reject with icmpx admin-prohibited")
        };
        vec![not(false), not(true)]
    }
}

/// Others see this machine's address, to which they can answer.
fn hide(device: &str) -> Vec<String> {
    vec![format!("iifname \"{device}\" oifname != \"{device}\" masquerade")]
}

const fn family(v6: bool) -> &'static str {
    if v6 { "ip6" } else { "ip" }
}

/// The networks of a family as a set; none if there are none. What another one covers is left out: a set takes
/// nothing twice.
fn some(networks: &[Prefix], v6: bool) -> Option<String> {
    let of: BTreeSet<&Prefix> = networks.iter().filter(|network| network.first().is_ipv6() == v6).collect();
    let wider = |one: &Prefix| of.iter().any(|other| *other != one && other.covers(one));
    let widest: Vec<String> = of.iter().filter(|one| !wider(one)).map(ToString::to_string).collect();
    (!widest.is_empty()).then(|| format!("{{ {} }}", widest.join(", ")))
}

/// What others began goes back the way it came, although an exit is used: or whoever administers this machine
/// from elsewhere would be locked out.
pub(super) fn answers(device: &str) -> Vec<Chain> {
    let mark = format!("ct mark set ct mark or {MARK:#x}");
    let marked = format!("ct mark and {MARK:#x} == {MARK:#x} meta mark set meta mark or {MARK:#x}");
    let began = "ct direction original fib daddr type local";
    let inward = vec![
        format!("iifname != {{ \"{device}\", \"lo\" }} {began} {mark}"),
        // Also where the kernel asks whether an answer would go back by the same device.
        format!("iifname != \"{device}\" {marked}"),
    ];
    let outward = vec![
        // A server's connections that are older than what the kernel remembers of flows.
        format!("tcp sport 1-32767 tcp flags & (syn | ack) == ack ct state new {mark}"),
        marked,
    ];
    let chain = |name, kind, hook, rules| Chain { name, kind, hook, priority: -150, rules };
    vec![
        chain("asked", Kind::Filter, Hook::Prerouting, inward),
        chain("answered", Kind::Route, Hook::Output, outward),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Table;

    fn networks(all: &[&str]) -> Vec<Prefix> {
        all.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn at(all: &[&str]) -> BTreeSet<IpAddr> {
        all.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn house() -> Passage {
        Passage {
            through: Through { world: at(&["fd12::7", "10.20.0.7"]), behind: at(&["fd12::8"]) },
            behind: networks(&["192.168.1.0/24", "fd77::/64"]),
            house: networks(&["2001:db8:7::/64", "198.51.100.0/24"]),
            own: networks(&["fd12::/48", "10.20.0.0/16"]),
            only: false,
        }
    }

    fn rules(passage: &Passage, name: &str) -> Vec<String> {
        let chains = passage.chains("freehold0");
        chains.into_iter().find(|chain| chain.name == name).unwrap().rules
    }

    #[test]
    fn each_family_goes_where_its_senders_may_and_nowhere_else() {
        let pass = rules(&house(), "pass");
        let expected = [
            "iifname \"freehold0\" oifname \"freehold0\" drop",
            "oifname \"freehold0\" ct state established,related accept",
            "oifname \"freehold0\" drop",
            "iifname \"freehold0\" ip saddr { 10.20.0.7 } ip daddr { 0.0.0.0/0 } ip daddr != { 0.0.0.0/8, \
             10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, \
             198.51.100.0/24, 224.0.0.0/3 } accept",
            "iifname \"freehold0\" ip6 saddr { fd12::8 } ip6 daddr { fd77::/64 } accept",
            "iifname \"freehold0\" ip6 saddr { fd12::7 } ip6 daddr { 2000::/3 } ip6 daddr != { 2001:db8:7::/64 } \
             accept",
            "iifname \"freehold0\" reject with icmpx admin-prohibited",
        ];
        assert_eq!(pass, expected);
        let own = rules(&house(), "own");
        assert_eq!(
            own[1],
            "iifname \"freehold0\" ip6 daddr != { fd12::/48 } reject with icmpx admin-prohibited"
        );
        let only = Passage { only: true, ..house() };
        assert_eq!(rules(&only, "pass").last().unwrap(), "drop");
    }

    #[test]
    fn without_anybody_or_anywhere_it_is_shut() {
        assert!(!house().is_shut());
        let nobody = Passage { through: Through::default(), ..house() };
        let nowhere =
            Passage { through: Through { world: at(&[]), ..house().through }, behind: vec![], ..house() };
        assert!(nobody.is_shut() && nowhere.is_shut() && Passage::default().is_shut());
        // Without an IPv4 range nothing of IPv4 reaches the machine by the device.
        let bare = Passage { own: networks(&["fd12::/48"]), ..house() };
        assert!(rules(&bare, "own")[0].starts_with("iifname \"freehold0\" meta nfproto ipv4 reject"));
    }

    #[test]
    fn a_set_takes_nothing_twice() {
        let all = networks(&["10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8", "192.168.1.0/24", "fd00::/8"]);
        assert_eq!(some(&all, false).unwrap(), "{ 10.0.0.0/8, 192.168.1.0/24 }");
        assert_eq!((some(&all, true).unwrap().as_str(), some(&[], true)), ("{ fd00::/8 }", None));
    }

    #[test]
    fn the_kernels_filter_takes_it_all_as_one_line() {
        let chains = house().chains("freehold0").into_iter().chain(answers("freehold0")).collect();
        let script = Table { name: "freehold0-ways".to_owned(), chains }.script();
        assert!(!script.contains('\n') && script.matches("add chain").count() == 5, "{script}");
    }
}

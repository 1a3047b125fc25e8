//! What the machine's packet filter is told while the tunnel is up: chains as plain data, and the text of them
//! that `nft` reads. Everything stands in one table, which belongs to the process that made it: the kernel takes
//! it away with that process however it ends, and no `flush ruleset` of others touches it.
//!
//! A rule is a line of nftables' language. Whatever stands in one comes from the log or from this machine (an
//! address, a number, the checked name of a device) and never from outside.

use freehold_wire::Prefix;

/// What a chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lets through or drops.
    Filter,
    /// Changes addresses; sees the first packet of each flow.
    Nat,
    /// What it marks is given another way, if the mark has one.
    Route,
}

/// Where in the kernel a chain sees packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// What comes in by any device, before it is known where it goes.
    Prerouting,
    /// What is for this machine.
    Input,
    /// What is passed on from one device to another.
    Forward,
    /// What this machine sends.
    Output,
    /// What goes out by any device.
    Postrouting,
}

/// Some rules at one place. What no rule drops is let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// A word of small letters.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// Where it stands.
    pub hook: Hook,
    /// Among all chains there the one with the smallest number is first.
    pub priority: i16,
    /// In order.
    pub rules: Vec<String>,
}

/// All chains, under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// A letter, then letters, digits, `-`, `_` and `.`; no word of the language. See [`name`].
    pub name: String,
    /// In any order.
    pub chains: Vec<Chain>,
}

impl Table {
    /// One line that makes the table so, whatever it was before, in one transaction.
    pub fn script(&self) -> String {
        // Added before it is deleted, since only what is there can be.
        let name = format!("inet {}", self.name);
        let add = format!("add table {name} {{ flags owner; }}");
        let mut lines = vec![add.clone(), format!("delete table {name}"), add];
        for chain in &self.chains {
            let (kind, hook) = (chain.kind.word(), chain.hook.word());
            let (at, priority) = (chain.name, chain.priority);
            lines.push(format!("add chain {name} {at} {{ type {kind} hook {hook} priority {priority}; }}"));
            lines.extend(chain.rules.iter().map(|rule| format!("add rule {name} {at} {rule}")));
        }
        lines.join("; ")
    }
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }
}

impl Hook {
    const fn word(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

/// What the table of a device is called.
pub fn name(device: &str) -> String {
    if device.starts_with("freehold") { device.to_owned() } else { format!("freehold-{device}") }
}

/// The prefixes of one family as a set, with the word of that family before it: `ip6 saddr { fd12::/48 }`. None
/// if there are none.
pub fn matching(which: &str, prefixes: &[Prefix], v6: bool) -> Option<String> {
    let of: Vec<String> =
        prefixes.iter().filter(|prefix| prefix.first().is_ipv6() == v6).map(Prefix::to_string).collect();
    let family = if v6 { "ip6" } else { "ip" };
    (!of.is_empty()).then(|| format!("{family} {which} {{ {} }}", of.join(", ")))
}

/// Packets with addresses of these networks come and go by these devices alone: whoever stands in the network
/// around neither asks there, past the log, nor pretends to be one of the realm, nor sends through this machine.
///
/// A machine that passes packets on may hand what came over the tunnel to something behind it (a container with
/// a published port) by changing the destination. That, and what comes back of it, goes on; it takes the kernel's
/// memory of flows, which is not asked for where nothing is passed on.
pub fn closed(devices: &[&str], networks: &[Prefix], passes_on: bool) -> Vec<Chain> {
    let devices = devices.iter().map(|device| format!("\"{device}\"")).collect::<Vec<_>>().join(", ");
    let chain = |name, hook, priority, which: &str, back: &str| {
        let mut rules = vec![format!("{which} {{ {devices} }} accept")];
        rules.extend(passes_on.then(|| back.to_owned()));
        for v6 in [true, false] {
            let of = ["saddr", "daddr"].into_iter().filter_map(|side| matching(side, networks, v6));
            rules.extend(of.map(|of| format!("{of} drop")));
        }
        Chain { name, kind: Kind::Filter, hook, priority, rules }
    };
    vec![
        // Once the kernel knows the flow, before it changes an address.
        chain("inward", Hook::Prerouting, -150, "iifname", "ct status dnat ct direction reply accept"),
        // After the last change: what is masqueraded has no address of the realm any more.
        chain("outward", Hook::Postrouting, 300, "oifname", "ct status dnat accept"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> Vec<Prefix> {
        ["fd12:3456:789a::/48", "10.20.0.0/16"].iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_table_is_one_line_and_says_what_is_dropped() {
        let chains = closed(&["freehold0", "lo"], &networks(), false);
        let script = Table { name: "freehold0".to_owned(), chains }.script();
        let words = [
            "add table inet freehold0 { flags owner; }",
            "delete table inet freehold0",
            "add table inet freehold0 { flags owner; }",
            "add chain inet freehold0 inward { type filter hook prerouting priority -150; }",
            "add rule inet freehold0 inward iifname { \"freehold0\", \"lo\" } accept",
            "add rule inet freehold0 inward ip6 saddr { fd12:3456:789a::/48 } drop",
            "add rule inet freehold0 inward ip6 daddr { fd12:3456:789a::/48 } drop",
            "add rule inet freehold0 inward ip saddr { 10.20.0.0/16 } drop",
            "add rule inet freehold0 inward ip daddr { 10.20.0.0/16 } drop",
            "add chain inet freehold0 outward { type filter hook postrouting priority 300; }",
            "add rule inet freehold0 outward oifname { \"freehold0\", \"lo\" } accept",
            "add rule inet freehold0 outward ip6 saddr { fd12:3456:789a::/48 } drop",
            "add rule inet freehold0 outward ip6 daddr { fd12:3456:789a::/48 } drop",
            "add rule inet freehold0 outward ip saddr { 10.20.0.0/16 } drop",
            "add rule inet freehold0 outward ip daddr { 10.20.0.0/16 } drop",
        ];
        assert_eq!(script, words.join("; "));
    }

    #[test]
    fn flows_are_remembered_only_where_packets_are_passed_on() {
        let about = |passes_on| {
            let chains = closed(&["freehold0"], &networks(), passes_on);
            Table { name: "t".to_owned(), chains }.script().matches(" ct ").count()
        };
        assert_eq!((about(false), about(true)), (0, 3));
    }

    #[test]
    fn a_family_without_a_network_has_no_rule() {
        let chains = closed(&["freehold0"], &networks()[..1], false);
        assert!(!Table { name: "t".to_owned(), chains }.script().contains(" ip "));
        assert_eq!(matching("saddr", &[], true), None);
    }
}

//! The network as one node sees it: made anew whenever the log says something else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_packet::Flow;
use freehold_realm::State;
use freehold_wire::{GrantId, Millis, NodeId, PhoneId, Prefix, ServiceId};

use crate::address;
use crate::party::{Class, Guest, Party, class, grant_holds};
use crate::routes::{Routes, Wish, is_world};
use crate::rules::{Cause, Goal, Rules};
use crate::table::{Spot, Table, addresses};

/// Whether a flow may begin, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Why it may; absent if it may not.
    pub cause: Option<Cause>,
}

impl Verdict {
    /// Nothing opens it.
    pub const SHUT: Self = Self { cause: None };

    /// Whether it may begin.
    pub const fn allowed(&self) -> bool {
        self.cause.is_some()
    }
}

/// Whose packets a node passes on, by address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Through {
    /// To the internet.
    pub world: BTreeSet<IpAddr>,
    /// To the networks behind it.
    pub behind: BTreeSet<IpAddr>,
}

/// The network as one node sees it, at one state of the log and until [`Net::next_change`].
#[derive(Debug, Clone)]
pub struct Net {
    me: NodeId,
    table: Table,
    routes: Routes,
    rules: Rules,
    classes: BTreeMap<Party, Class>,
    addresses: BTreeMap<Party, (Ipv6Addr, Option<Ipv4Addr>)>,
    /// Services of other realms, and at which of their machines they answer.
    abroad: BTreeMap<IpAddr, NodeId>,
    next_change: Option<Millis>,
}

impl Net {
    /// The network as `me` sees it; `guests` are the machines of other realms that have shown a pass which
    /// was found to be good.
    pub fn of(state: &State, me: NodeId, guests: &BTreeMap<NodeId, Guest>, now: Millis) -> Self {
        let table = Table::of(state, guests, now);
        let nodes = state.nodes.keys().map(|id| Party::Node(*id));
        let phones = state.live_phones().map(|(id, _)| Party::Phone(*id));
        let foreign = guests.iter().filter(|(_, guest)| now <= guest.until);
        let foreign = foreign.map(|(node, guest)| Party::Guest(guest.grant, *node));
        let parties = nodes.chain(phones).chain(foreign).chain([Party::Lan]);
        let classes: BTreeMap<Party, Class> =
            parties.filter_map(|party| Some((party, class(state, now, party).ok()?))).collect();
        let known = classes.keys().filter_map(|party| Some((*party, addresses(state, *party)?)));
        Self {
            me,
            addresses: known.collect(),
            table,
            routes: Routes::of(state),
            rules: Rules::of(state, &me, now),
            classes,
            abroad: BTreeMap::new(),
            next_change: next_change(state, guests, now),
        }
    }

    /// With services of other realms that this one may use: under which grant, and at which machine each answers.
    /// They open nothing here, and count only while the grant holds and that machine is somebody of that realm.
    #[must_use]
    pub fn with_abroad(
        mut self,
        state: &State,
        services: impl IntoIterator<Item = (GrantId, ServiceId, NodeId)>,
        now: Millis,
    ) -> Self {
        let realm = |id: &GrantId| state.grants.get(id).map(|grant| grant.other);
        for (id, service, home) in services {
            let Some(grant) = state.grants.get(&id).filter(|grant| grant_holds(grant, now).is_ok()) else {
                continue;
            };
            let is_theirs = |party: &Party| match party {
                Party::Guest(under, node) => *node == home && realm(under) == Some(grant.other),
                _ => false,
            };
            let at: IpAddr = address::of_service(&grant.other, &service).into();
            if self.classes.keys().any(is_theirs) && self.table.at(at).is_none() {
                self.abroad.insert(at, home);
            }
        }
        self
    }

    /// When it has to be made anew, because something begins or lapses then.
    pub const fn next_change(&self) -> Option<Millis> {
        self.next_change
    }

    /// Who is at an address.
    pub fn party_of(&self, at: IpAddr) -> Option<Party> {
        match self.table.at(at)? {
            Spot::Party(party) => Some(party),
            Spot::Service(_) => None,
        }
    }

    /// The service at an address.
    pub fn service_of(&self, at: IpAddr) -> Option<ServiceId> {
        match self.table.at(at)? {
            Spot::Service(service) => Some(service),
            Spot::Party(_) => None,
        }
    }

    /// The addresses of a party whose rights hold.
    pub fn addresses(&self, of: Party) -> Option<(Ipv6Addr, Option<Ipv4Addr>)> {
        self.addresses.get(&of).copied()
    }

    /// The addresses of the services that answer at this node.
    pub fn offered(&self) -> impl Iterator<Item = IpAddr> {
        let here = |(at, service)| self.routes.is_home(&service, &self.me).then_some(at);
        self.table.services().filter_map(here)
    }

    /// Addresses that two parties have, and how many parties there was no room for: something for an alarm.
    pub fn troubles(&self) -> (&[IpAddr], usize) {
        (&self.table.twice, self.table.left_out)
    }

    /// Who sends what comes over a node's line from this address: the node itself, a phone that it serves,
    /// or a machine of another realm. Nobody else's packet is taken from there, see [`Net::answers`].
    pub fn carries(&self, line: NodeId, source: IpAddr) -> Option<Party> {
        let party = self.party_of(source)?;
        let may = match party {
            Party::Node(node) | Party::Guest(_, node) => node == line,
            Party::Phone(phone) => self.routes.gateways(&phone).contains(&line),
            Party::Lan => false,
        };
        may.then_some(party)
    }

    /// Whether what comes over a node's line from this address may be an answer, and only that: of a
    /// service at that node, of a network behind it, or of the internet.
    pub fn answers(&self, line: NodeId, source: IpAddr) -> bool {
        self.abroad.get(&source).is_some_and(|home| *home == line)
            || self.routes.answers(&self.table, &line, source)
    }

    /// Whether this node serves a phone.
    pub fn serves(&self, phone: &PhoneId) -> bool {
        self.routes.gateways(phone).contains(&self.me)
    }

    /// Over which node's line a packet goes; none if it is for this machine, for a phone that it serves, or
    /// for nobody.
    pub fn via(&self, to: IpAddr, wish: &Wish) -> Option<NodeId> {
        let abroad = || self.abroad.get(&to).copied();
        self.routes.via(&self.table, &self.me, to, wish).or_else(abroad)
    }

    /// Whether a flow may begin that comes to this node. Of ICMP only an echo is meant: answers and errors
    /// belong to flows that are there.
    pub fn judge(&self, from: Party, flow: &Flow) -> Verdict {
        let (Some(class), Some(goal)) = (self.classes.get(&from), self.goal(flow.dst)) else {
            return Verdict::SHUT;
        };
        Verdict { cause: self.rules.judge(class, goal, flow.proto, flow.dport) }
    }

    /// What an address is at this node.
    fn goal(&self, at: IpAddr) -> Option<Goal> {
        match self.table.at(at) {
            Some(Spot::Party(Party::Node(node))) => (node == self.me).then_some(Goal::Own),
            Some(Spot::Service(service)) => {
                self.routes.is_home(&service, &self.me).then_some(Goal::Service(service))
            }
            Some(Spot::Party(_)) => None,
            None if self.routes.is_own(at) => None,
            // Whatever narrower network somebody else has: when they go, nothing opens here.
            None if self.routes.is_behind(&self.me, at) => Some(Goal::Route),
            None => is_world(at).then_some(Goal::World),
        }
    }

    /// Whoever may use this node's way to the internet, and whoever may use the networks behind it, by address:
    /// for a packet filter that looks at every packet.
    pub fn through(&self) -> Through {
        let may = |goal: Goal| {
            let may = move |class: &Class| self.rules.judge(class, goal, 6, 1).is_some();
            let parties = self.classes.iter().filter(move |(_, class)| may(class));
            let known = parties.filter_map(|(party, _)| self.addresses.get(party));
            known.flat_map(|(v6, v4)| [Some(IpAddr::V6(*v6)), v4.map(IpAddr::V4)]).flatten().collect()
        };
        Through { world: may(Goal::World), behind: may(Goal::Route) }
    }

    /// Whether an address may lie behind this node, so that packets from there can be what it passes on: in
    /// a network that it leads to, or in the internet. What is passed on is then decided by who asked for it.
    pub fn lies_behind(&self, at: IpAddr) -> bool {
        matches!(self.goal(at), Some(Goal::Route | Goal::World))
    }

    /// Whether a node, whose rights hold, says that it leads to the internet.
    pub fn is_exit(&self, node: &NodeId) -> bool {
        self.routes.is_exit(node)
    }

    /// The networks that a node, whose rights hold, leads to; those for this machine if it is this one.
    pub fn behind(&self, node: &NodeId) -> impl Iterator<Item = Prefix> {
        self.routes.behind(node)
    }

    /// The networks behind other nodes that this machine uses.
    pub fn accepted(&self, wish: &Wish) -> BTreeSet<Prefix> {
        self.routes.accepted(&self.me, wish)
    }

    /// The machines of the realm whose rights hold.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.classes.keys().filter_map(|party| match party {
            Party::Node(node) => Some(*node),
            _ => None,
        })
    }
}

/// When something begins or lapses next.
fn next_change(state: &State, guests: &BTreeMap<NodeId, Guest>, now: Millis) -> Option<Millis> {
    let after = |until: Millis| until.plus(Millis(1));
    let rules = state.live_rules().filter_map(|(_, rule)| rule.until.map(after));
    let phones = state.live_phones().filter_map(|(_, phone)| phone.until.map(after));
    let grants = state.grants.values().flat_map(|grant| [grant.terms.from, after(grant.terms.until)]);
    let passes = guests.values().map(|guest| after(guest.until));
    rules.chain(phones).chain(grants).chain(passes).filter(|at| *at > now).min()
}

//! The log, compiled into rules for one receiver. Whatever no rule opens is shut.

use freehold_realm::body::{Ports, Preset, Proto, RuleFrom, RuleTo};
use freehold_realm::{MemberRoles, NodeRoles, Service, State};
use freehold_wire::{GrantId, Millis, NodeId, OpId, PersonId, RuleId, ServiceId};

use crate::party::{Class, Party, active_gateway, active_node, class, is_member, shared};

/// Where admins and operators administer, if nobody has moved it: SSH, the console, S3, names.
pub const STEWARDS: [Ports; 5] = [
    Ports::one(Proto::Tcp, 22),
    Ports::one(Proto::Tcp, 53),
    Ports::one(Proto::Tcp, 8443),
    Ports::one(Proto::Tcp, 9000),
    Ports::one(Proto::Udp, 53),
];
/// Where a gateway answers questions about names: plain, and over TLS.
pub const NAMES: [Ports; 3] =
    [Ports::one(Proto::Tcp, 53), Ports::one(Proto::Tcp, 853), Ports::one(Proto::Udp, 53)];
/// An echo, which has no port.
const PING: [u8; 2] = [1, 58];

/// Why something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The realm's machines may see whether others are there.
    Ping,
    /// One's own laptop reaches one's own machines.
    Own,
    /// Admins' and operators' laptops reach what they administer.
    Steward,
    /// Members ask gateways for names.
    Names,
    /// A service is open to it.
    Service(ServiceId),
    /// An admin's rule says so.
    Rule(RuleId),
    /// The node offers a network behind it.
    Route,
    /// The node offers a way to the internet.
    Exit,
}

/// Why something is allowed, and which operation says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// Why.
    pub why: Why,
    /// The operation.
    pub op: OpId,
}

/// What is reached at the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The machine itself.
    Own,
    /// A service that runs on it.
    Service(ServiceId),
    /// A network behind it.
    Route,
    /// The internet, through it.
    World,
}

/// Who a rule lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Machines and phones of the realm.
    Realm,
    /// The laptops of one person.
    Laptops(PersonId),
    /// The laptops and phones of one person.
    Hands(PersonId),
    /// Laptops of admins and operators.
    Stewards,
    /// Laptops and phones of members, guests left out.
    Members,
    /// Those of guests.
    Guests,
    /// Machines with a role besides storage: what merely stores may stand anywhere.
    Servers,
    /// One machine.
    Node(NodeId),
    /// Another realm's, under a grant.
    Grant(GrantId),
    /// The network that the receiver stands in.
    Lan,
    /// As a rule of the log says.
    Said(RuleFrom),
}

impl Who {
    pub(crate) fn is(&self, class: &Class) -> bool {
        let stewards = MemberRoles::ADMIN.with(MemberRoles::OPERATOR);
        match *self {
            Self::Realm => matches!(class.party, Party::Node(_) | Party::Phone(_)),
            Self::Laptops(person) => class.client_of().is_some_and(|owner| owner.person == person),
            Self::Hands(person) => class.hand_of().is_some_and(|owner| owner.person == person),
            Self::Stewards => class.client_of().is_some_and(|owner| shared(owner.roles, stewards)),
            Self::Members => class.hand_of().is_some_and(|owner| is_member(owner.roles)),
            Self::Guests => class.hand_of().is_some_and(|owner| owner.roles.contains(MemberRoles::GUEST)),
            Self::Servers => class.node.is_some_and(|roles| !NodeRoles::STORAGE.contains(roles)),
            Self::Node(node) => class.party == Party::Node(node),
            Self::Grant(grant) => matches!(class.party, Party::Guest(own, _) if own == grant),
            Self::Lan => class.party == Party::Lan,
            Self::Said(from) => class.is_meant(&from),
        }
    }

    /// The operation that makes the sender one of these, where that is what counts.
    fn said_in(&self, class: &Class) -> Option<OpId> {
        match self {
            Self::Realm => Some(class.said_in),
            Self::Laptops(_) => class.person.map(|owner| owner.owns_in),
            Self::Stewards => class.person.map(|owner| owner.roles_in),
            _ => None,
        }
    }
}

/// One thing that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) who: Who,
    pub(crate) goal: Goal,
    pub(crate) ports: Vec<Ports>,
    pub(crate) why: Why,
    /// The operation; none if the one that makes the sender what it is counts.
    pub(crate) op: Option<OpId>,
}

impl Rule {
    /// Why the sender may, in one of these who it means.
    pub(crate) fn cause(&self, class: &Class) -> Cause {
        let op = self.op.or_else(|| self.who.said_in(class)).unwrap_or(class.said_in);
        Cause { why: self.why, op }
    }

    /// Whether it opens this port of this goal, to anybody.
    pub(crate) fn opens(&self, goal: Goal, proto: u8, port: u16) -> bool {
        // A service has an address of its own, and runs on the machine's as well.
        let there = self.goal == goal || (goal == Goal::Own && matches!(self.goal, Goal::Service(_)));
        let ping = PING.contains(&proto);
        let inside = matches!(goal, Goal::Own | Goal::Service(_));
        match self.why {
            Why::Ping => ping && inside,
            // An echo has no port, so that only whoever may send anything may send one.
            _ if ping && inside => there && self.ports.contains(&Ports::ALL),
            _ => there && self.ports.iter().any(|ports| ports.contain(proto, port)),
        }
    }
}

/// The rules of one receiver.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    /// None at all for who is no machine of the realm whose rights hold.
    pub(crate) fn of(state: &State, at: &NodeId, now: Millis) -> Self {
        let mut rules = Vec::new();
        let Some(node) = active_node(state, at) else { return Self(rules) };
        let mut open = |who, goal, ports: &[Ports], why, op| {
            rules.push(Rule { who, goal, ports: ports.to_vec(), why, op });
        };
        open(Who::Realm, Goal::Own, &[], Why::Ping, None);
        if let (Ok(class), false) = (class(state, now, Party::Node(*at)), state.network.strict)
            && let Some(owner) = class.person
        {
            open(Who::Laptops(owner.person), Goal::Own, &[Ports::ALL], Why::Own, None);
        }
        // Not somebody else's laptop.
        if !node.roles.is_empty() {
            open(Who::Stewards, Goal::Own, &STEWARDS, Why::Steward, None);
        }
        if node.roles.contains(NodeRoles::GATEWAY) {
            open(Who::Members, Goal::Own, &NAMES, Why::Names, Some(node.roles_in));
        }
        for (id, service) in state.live_services().filter(|(_, service)| service.homes.contains(at)) {
            for who in served(state, at, service, now) {
                open(who, Goal::Service(*id), &service.ports, Why::Service(*id), Some(service.said_in));
            }
        }
        for (id, rule) in state.live_rules().filter(|(_, rule)| rule.until.is_none_or(|until| now <= until)) {
            for to in &rule.to {
                let (goal, ports) = match to {
                    RuleTo::All => (Goal::Own, &rule.ports),
                    RuleTo::Node(node) if node == at => (Goal::Own, &rule.ports),
                    RuleTo::Node(_) => continue,
                    RuleTo::Service(service) => match home_of(state, service, at) {
                        Some(known) => (Goal::Service(*service), &known.ports),
                        None => continue,
                    },
                };
                for from in &rule.from {
                    open(Who::Said(*from), goal, ports, Why::Rule(*id), Some(rule.said_in));
                }
            }
        }
        if let Some(routes) = &node.network.routes {
            open(Who::Members, Goal::Route, &[Ports::ALL], Why::Route, Some(routes.by));
        }
        if let Some(op) = node.network.exit {
            open(Who::Members, Goal::World, &[Ports::ALL], Why::Exit, Some(op));
            if state.network.guests_exit {
                let op = state.network.said_in.or(Some(op));
                open(Who::Guests, Goal::World, &[Ports::ALL], Why::Exit, op);
            }
        }
        Self(rules)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Why a party of this class may, by the first rule that lets it.
    pub(crate) fn judge(&self, class: &Class, goal: Goal, proto: u8, port: u16) -> Option<Cause> {
        let rule = self.0.iter().find(|rule| rule.opens(goal, proto, port) && rule.who.is(class))?;
        Some(rule.cause(class))
    }
}

/// A service that runs at a node.
pub(crate) fn home_of<'a>(state: &'a State, service: &ServiceId, at: &NodeId) -> Option<&'a Service> {
    let known = state.services.get(service)?;
    (known.ended.is_none() && known.homes.contains(at)).then_some(known)
}

/// Who may use a service where it runs.
fn served(state: &State, at: &NodeId, service: &Service, now: Millis) -> Vec<Who> {
    let owner = class(state, now, Party::Node(*at)).ok().and_then(|class| class.person);
    let mut who = match service.preset {
        Preset::Realm => vec![Who::Members, Who::Servers],
        Preset::Lan => owner.iter().map(|owner| Who::Hands(owner.person)).chain([Who::Lan]).collect(),
        Preset::Public => vec![Who::Realm, Who::Lan],
    };
    who.extend(service.grants.iter().map(|grant| Who::Grant(*grant)));
    let gateways = service.gateways.iter().filter(|gateway| active_gateway(state, gateway));
    who.extend(gateways.map(|gateway| Who::Node(*gateway)));
    who
}

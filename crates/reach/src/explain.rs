//! Why something is allowed or not, for people. The same rules as when a packet comes.

use freehold_realm::State;
use freehold_wire::{Millis, NodeId, OpId, ServiceId};

use crate::net::Verdict;
use crate::party::{Class, Party, class};
use crate::rules::{Cause, Goal, Rule, Rules, Why};
use crate::table::homes_of;

/// What stands in the way before any rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Barrier {
    /// The log knows nobody such.
    Unknown,
    /// Its rights, or those of whom it belongs to, were taken away until that is lifted.
    Suspended {
        /// The operation.
        by: OpId,
    },
    /// It was ended.
    Ended {
        /// The operation.
        by: OpId,
    },
    /// It has lapsed, or has not begun.
    Lapsed {
        /// The operation that says for how long.
        said_in: OpId,
    },
    /// Whoever the laptop belongs to is not of the realm any more.
    NoOwner,
    /// The device that let the phone in has lost its rights; another one may say so again.
    NoGiver,
    /// None of the gateways that serve the phone stands.
    NoGateway,
    /// None of the machines that the service runs on stands.
    NoHome,
    /// Nobody reaches into a phone, another realm or the network around.
    NoReceiver,
}

/// How a rule that comes near misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// It opens this port, to others.
    Who,
    /// It lets the sender reach other ports.
    Port,
}

/// Why something is allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Story {
    /// What comes of it.
    pub verdict: Verdict,
    /// What stands in the sender's way, whatever rules say.
    pub sender: Option<Barrier>,
    /// The same for the receiver.
    pub receiver: Option<Barrier>,
    /// A rule that comes near, where none lets it.
    pub near: Option<(Miss, Cause)>,
}

const NONE: Story = Story { verdict: Verdict::SHUT, sender: None, receiver: None, near: None };

/// Whether one party may reach another at a port, and why. Any two may be asked about on any node, since
/// the log is everywhere. Of another realm's machine it is taken for granted that it has a good pass.
pub fn explain(state: &State, now: Millis, from: Party, to: Party, proto: u8, port: u16) -> Story {
    let receiver = match to {
        Party::Node(node) => class(state, now, to).map(|_| node),
        Party::Phone(_) | Party::Guest(..) | Party::Lan => Err(Barrier::NoReceiver),
    };
    story(state, now, from, (receiver, Goal::Own), (proto, port))
}

/// The same for a service at its own address, where only its own ports are open; and the home that packets
/// for it go to.
pub fn explain_service(
    state: &State,
    now: Millis,
    from: Party,
    service: ServiceId,
    (proto, port): (u8, u16),
) -> (Option<NodeId>, Story) {
    let receiver = match state.services.get(&service) {
        None => Err(Barrier::Unknown),
        Some(known) => match known.ended {
            Some(by) => Err(Barrier::Ended { by }),
            None => homes_of(state, &service).first().copied().ok_or(Barrier::NoHome),
        },
    };
    (receiver.ok(), story(state, now, from, (receiver, Goal::Service(service)), (proto, port)))
}

fn story(
    state: &State,
    now: Millis,
    from: Party,
    (receiver, goal): (Result<NodeId, Barrier>, Goal),
    (proto, port): (u8, u16),
) -> Story {
    let (class, at) = match (class(state, now, from), receiver) {
        (Ok(class), Ok(at)) => (class, at),
        (sender, receiver) => return Story { sender: sender.err(), receiver: receiver.err(), ..NONE },
    };
    let rules = Rules::of(state, &at, now);
    match rules.judge(&class, goal, proto, port) {
        Some(cause) => Story { verdict: Verdict { cause: Some(cause) }, ..NONE },
        None => Story { near: near(&rules, &class, (state, at, goal), (proto, port)), ..NONE },
    }
}

/// The rule that comes nearest: one for this port, or else one for this sender.
fn near(
    rules: &Rules,
    class: &Class,
    (state, at, goal): (&State, NodeId, Goal),
    (proto, port): (u8, u16),
) -> Option<(Miss, Cause)> {
    // That others reach everything on their own machines comes near to nothing.
    let inside = |rule: &&Rule| {
        let there = match goal {
            Goal::Own => matches!(rule.goal, Goal::Own | Goal::Service(_)),
            goal => rule.goal == goal,
        };
        there && rule.why != Why::Own
    };
    let admitted = state.nodes.get(&at).map(|node| node.admitted_in);
    // Where the sender would have had to be somebody, no operation made it so: the receiver's own stands for it.
    let cause = |rule: &Rule| Cause { why: rule.why, op: rule.op.or(admitted).unwrap_or(class.said_in) };
    let port = rules.iter().filter(inside).find(|rule| rule.opens(goal, proto, port));
    let who = || rules.iter().filter(inside).find(|rule| rule.who.is(class) && !rule.ports.is_empty());
    match port {
        Some(rule) => Some((Miss::Who, cause(rule))),
        None => who().map(|rule| (Miss::Port, rule.cause(class))),
    }
}

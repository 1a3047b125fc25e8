//! Why somebody may reach something or not, in words.

use std::collections::{BTreeMap, BTreeSet};

use freehold_api::{Explanation, Problem, Question, Reach, SaidBy};
use freehold_reach::{Barrier, Cause, Miss, Party, Story, Why, explain, explain_service, hands};
use freehold_realm::{Standing, State};
use freehold_wire::{KeyId, Millis, NodeId, OpId, PersonId, ServiceId};

use super::called::{Called, Sort, Thing};
use super::ports;
use crate::log::{About, View};

const NOT_EXPLAINED: &str = "nothing was explained";
/// Whoever is in the network around.
const LAN: &str = "lan";

/// Who asks to reach what, with what comes of it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    from: Party,
    to: Thing,
    port: (u8, u16),
    story: Story,
}

/// What was asked, worked out and not yet in words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    told: Vec<Told>,
    notes: Vec<String>,
}

/// Works out a question: one answer for each machine of the sender and each port.
pub(crate) fn answer(
    state: &State,
    called: &Called,
    now: Millis,
    question: &Question,
) -> Result<Answer, Problem> {
    let to = called.meant(&question.to, &[Sort::Node, Sort::Service, Sort::Phone])?;
    let ports = asked_ports(state, to, question.port.as_deref())?;
    let mut answer = Answer::default();
    let from = senders(state, called, &question.from, &mut answer.notes)?;
    for from in from {
        for port in &ports {
            let story = match to {
                Thing::Service(service) => explain_service(state, now, from, service, *port).1,
                Thing::Phone(phone) => explain(state, now, from, Party::Phone(phone), port.0, port.1),
                Thing::Node(node) => explain(state, now, from, Party::Node(node), port.0, port.1),
                other => return Err(Problem::bug(NOT_EXPLAINED, other.to_string(), None::<&str>)),
            };
            answer.told.push(Told { from, to, port: *port, story });
        }
    }
    Ok(answer)
}

/// The port that was typed, or those that a service has.
fn asked_ports(state: &State, to: Thing, typed: Option<&str>) -> Result<Vec<(u8, u16)>, Problem> {
    if let Some(typed) = typed {
        let port = ports::one(typed).ok_or_else(|| {
            Problem::invalid(
                NOT_EXPLAINED,
                format!("{typed:?} is no single port"),
                Some("such as 443, 53/udp, tcp/443 or ping"),
            )
        })?;
        return Ok(vec![port]);
    }
    let Thing::Service(service) = to else {
        return Err(Problem::invalid(
            NOT_EXPLAINED,
            "a machine has many ports",
            Some("freehold net policy explain FROM TO PORT    (such as 443, 53/udp or ping)"),
        ));
    };
    let of = state.services.get(&service).map(|service| service.ports.as_slice()).unwrap_or_default();
    Ok(of.iter().map(|ports| (ports.proto as u8, ports.first)).collect())
}

/// The machines that are meant.
fn senders(
    state: &State,
    called: &Called,
    typed: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Party>, Problem> {
    if typed == LAN {
        return Ok(vec![Party::Lan]);
    }
    match called.meant(typed, &[Sort::Node, Sort::Person, Sort::Phone, Sort::Grant])? {
        Thing::Node(node) => Ok(vec![Party::Node(node)]),
        Thing::Phone(phone) => Ok(vec![Party::Phone(phone)]),
        // Any of its machines with a pass.
        Thing::Grant(grant) => Ok(vec![Party::Guest(grant, NodeId::from_bytes([0; 32]))]),
        Thing::Person(person) => {
            let all = hands(state, &person);
            if all.is_empty() {
                notes.push(no_hands(state, called, person));
            }
            Ok(all)
        }
        other => Err(Problem::bug(NOT_EXPLAINED, other.to_string(), None::<&str>)),
    }
}

fn no_hands(state: &State, called: &Called, person: PersonId) -> String {
    let name = called.name(Thing::Person(person));
    let standing = state.persons.get(&person).map(|person| person.standing);
    match standing {
        Some(Standing::Active) => format!(
            "{name} has no laptop and no phone in the network. A laptop is a machine without a role: \
             freehold invite --laptop; whose one is, freehold net node NODE --owner says"
        ),
        _ => format!("{name} has no rights at present, and so no machine acts for them"),
    }
}

impl Answer {
    /// The operations that it names.
    pub(crate) fn operations(&self) -> BTreeSet<OpId> {
        self.told.iter().filter_map(|told| operation(&told.story)).collect()
    }

    /// In words.
    pub(crate) fn words(&self, view: &View, called: &Called, about: &BTreeMap<OpId, About>) -> Explanation {
        let reach = |told: &Told| {
            let (from, to) = (party_shown(called, told.from), called.shown(told.to));
            let port = ports::one_shown(told.port);
            let (why, next) = why(view.state(), called, told, (&from, &to, &port));
            let said = operation(&told.story).map(|op| said_by(view, called, about, op));
            Reach { from, to, port, allowed: told.story.verdict.allowed(), why, said, next }
        };
        Explanation { answers: self.told.iter().map(reach).collect(), notes: self.notes.clone() }
    }
}

/// The operation that decides, or comes nearest.
fn operation(story: &Story) -> Option<OpId> {
    let of_barrier = |barrier: Barrier| match barrier {
        Barrier::Suspended { by } | Barrier::Ended { by } => Some(by),
        Barrier::Lapsed { said_in } => Some(said_in),
        _ => None,
    };
    let barrier = story.sender.and_then(of_barrier).or_else(|| story.receiver.and_then(of_barrier));
    let blocked = story.sender.is_some() || story.receiver.is_some();
    let near = story.near.filter(|_| !blocked).map(|(_, cause)| cause.op);
    story.verdict.cause.map(|cause| cause.op).or(barrier).or(near)
}

fn party_shown(called: &Called, party: Party) -> String {
    match party {
        Party::Node(id) => called.shown(Thing::Node(id)),
        Party::Phone(id) => called.shown(Thing::Phone(id)),
        Party::Guest(id, _) => called.shown(Thing::Grant(id)),
        Party::Lan => LAN.to_owned(),
    }
}

/// Why, and what would open it.
fn why(
    state: &State,
    called: &Called,
    told: &Told,
    (from, to, port): (&str, &str, &str),
) -> (String, Option<String>) {
    let story = &told.story;
    if let Some(cause) = story.verdict.cause {
        return (allowed(state, called, cause), None);
    }
    if let Some(barrier) = story.sender {
        return barred(called, from, thing_of(told.from), barrier);
    }
    if let Some(barrier) = story.receiver {
        return barred(called, to, Some(told.to), barrier);
    }
    let rule = match (told.from, told.to) {
        // Nothing can be said of whoever stands around, but by a service.
        (Party::Lan, _) => "freehold net service add NAME --node NODE --port PORT --access lan".to_owned(),
        (_, Thing::Service(_)) => format!("freehold net rule add NAME --from {from} --to {to}"),
        _ if port == "ping" => format!("freehold net rule add NAME --from {from} --to {to} --port any"),
        _ => format!("freehold net rule add NAME --from {from} --to {to} --port {port}"),
    };
    let why = match story.near {
        None if told.from == Party::Lan => {
            "nothing in the realm's log opens it to the house. Freehold judges what comes through the network of the \
             realm alone: what a program on that machine opens to the house is open there, unless it listens at the \
             machine's address in the realm only, or the machine's own firewall shuts it"
                .to_owned()
        }
        None => "nothing in the realm's log opens it, and what nothing opens is shut".to_owned(),
        Some((Miss::Who, cause)) => {
            format!(
                "nothing opens it to {from}. This port is open to others: {}",
                opened(state, called, cause)
            )
        }
        Some((Miss::Port, cause)) => {
            format!("nothing opens this port. {from} reaches others there: {}", opened(state, called, cause))
        }
    };
    (why, Some(rule))
}

const fn thing_of(party: Party) -> Option<Thing> {
    match party {
        Party::Node(id) => Some(Thing::Node(id)),
        Party::Phone(id) => Some(Thing::Phone(id)),
        Party::Guest(id, _) => Some(Thing::Grant(id)),
        Party::Lan => None,
    }
}

fn allowed(state: &State, called: &Called, cause: Cause) -> String {
    match cause.why {
        Why::Ping => "the realm's machines and phones may see whether others are there".to_owned(),
        _ => opened(state, called, cause),
    }
}

/// What something opens.
fn opened(state: &State, called: &Called, cause: Cause) -> String {
    match cause.why {
        Why::Ping => "a ping is open to all of the realm".to_owned(),
        Why::Own => "one's own laptop reaches one's own machines".to_owned(),
        Why::Steward => "the laptops of admins and operators reach what they administer".to_owned(),
        Why::Names => "members ask gateways for names".to_owned(),
        Why::Service(id) => service_words(state, called, id),
        Why::Rule(id) => format!("the rule {} lets it", called.shown(Thing::Rule(id))),
        Why::Route => "the node offers a network behind it".to_owned(),
        Why::Exit => "the node offers a way to the internet".to_owned(),
    }
}

fn service_words(state: &State, called: &Called, id: ServiceId) -> String {
    let name = called.shown(Thing::Service(id));
    let open = state.services.get(&id).map(|service| super::told::access(called, service).join(", "));
    format!("the service {name} is open to {}", open.unwrap_or_default())
}

fn barred(called: &Called, who: &str, thing: Option<Thing>, barrier: Barrier) -> (String, Option<String>) {
    match barrier {
        Barrier::Unknown => (format!("the realm's log knows no {who}"), None),
        Barrier::Suspended { .. } => {
            let next = match thing {
                Some(Thing::Node(id)) => {
                    let name = called.shown(Thing::Node(id));
                    Some(format!("freehold node lift {name}    (gives it its rights back)"))
                }
                _ => None,
            };
            (format!("{who} is suspended, or whoever it belongs to"), next)
        }
        Barrier::NoOwner => (
            format!("{who} is the laptop of somebody who has no rights any more"),
            Some("freehold net node NODE --owner PERSON    (if it is somebody else's by now)".to_owned()),
        ),
        Barrier::Ended { .. } => (format!("{who} has ended, for good"), None),
        Barrier::Lapsed { .. } => (format!("{who} has lapsed, or has not begun"), None),
        Barrier::NoGiver => (
            format!("the device that let {who} in has lost its rights; another one has to say so again"),
            None,
        ),
        Barrier::NoGateway => (format!("none of the gateways that serve {who} stands"), None),
        Barrier::NoHome => (format!("none of the machines that {who} runs on stands"), None),
        Barrier::NoReceiver => (format!("nobody reaches into {who}: it only asks others"), None),
    }
}

/// Which operation, who wrote it, and when.
pub(crate) fn said_by(view: &View, called: &Called, about: &BTreeMap<OpId, About>, op: OpId) -> SaidBy {
    let known = about.get(&op);
    SaidBy {
        operation: op.to_string(),
        kind: known.map(|about| about.kind.to_owned()).unwrap_or_default(),
        by: known.map(|about| signer(view, called, about.author)).unwrap_or_default(),
        at_ms: known.map(|about| about.at.0).unwrap_or_default(),
    }
}

/// Whose key it is: a person's, with the machine that it is on, or a machine's.
fn signer(view: &View, called: &Called, key: KeyId) -> String {
    let state = view.state();
    if let Some((person, _)) = state.device(&key) {
        let name = called.name(Thing::Person(person));
        let machine = view.devices.iter().find(|(_, device)| **device == key).map(|(node, _)| *node);
        return match machine {
            Some(node) => format!("{name} on {}", called.name(Thing::Node(node))),
            None => name,
        };
    }
    if let Some((id, _)) = state.nodes.iter().find(|(_, node)| node.key.id() == key) {
        return called.name(Thing::Node(*id));
    }
    if let Some(invitation) = state.invitations.get(&key) {
        return format!("an invitation of {}", called.name(Thing::Person(invitation.by)));
    }
    format!("a key that has no rights any more ({})", key.short())
}

#[cfg(test)]
mod tests;

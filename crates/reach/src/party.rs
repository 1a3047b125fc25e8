//! Who can send a packet, and what the log says of them.

use freehold_realm::body::RuleFrom;
use freehold_realm::{Grant, MemberRoles, Node, NodeRoles, Person, Phone, Standing, State};
use freehold_wire::{GrantId, Millis, NodeId, OpId, PersonId, PhoneId};

use crate::explain::Barrier;

/// Who sends, or is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A machine of the realm.
    Node(NodeId),
    /// A machine without this program, behind a gateway.
    Phone(PhoneId),
    /// Another realm's machine, under a grant.
    Guest(GrantId, NodeId),
    /// Whoever is in the network that this node stands in.
    Lan,
}

/// What another realm's machine has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// Under which grant it comes.
    pub grant: GrantId,
    /// Until when.
    pub until: Millis,
}

/// What rules ask about a party. Nobody without standing has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) party: Party,
    /// A node's roles; a machine with none is somebody's laptop, or nobody's.
    pub(crate) node: Option<NodeRoles>,
    /// Whose machine or phone it is, their roles, and where both is said.
    pub(crate) person: Option<Owner>,
    /// The operation that let it in.
    pub(crate) said_in: OpId,
}

/// Whose machine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) person: PersonId,
    pub(crate) roles: MemberRoles,
    /// The operation that makes it theirs.
    pub(crate) owns_in: OpId,
    /// The operation that gives them their roles.
    pub(crate) roles_in: OpId,
}

impl Class {
    /// A laptop: a machine without a role.
    pub(crate) fn is_client(&self) -> bool {
        self.node.is_some_and(NodeRoles::is_empty)
    }

    /// Somebody's own laptop.
    pub(crate) fn client_of(&self) -> Option<&Owner> {
        self.person.as_ref().filter(|_| self.is_client())
    }

    /// Somebody's laptop or phone.
    pub(crate) fn hand_of(&self) -> Option<&Owner> {
        self.person.as_ref().filter(|_| self.is_client() || matches!(self.party, Party::Phone(_)))
    }

    /// Whether a rule's words mean it.
    pub(crate) fn is_meant(&self, from: &RuleFrom) -> bool {
        match (from, self.party) {
            (RuleFrom::Person(person), _) => self.hand_of().is_some_and(|owner| owner.person == *person),
            (RuleFrom::Members(roles), _) => self.hand_of().is_some_and(|owner| shared(owner.roles, *roles)),
            (RuleFrom::Nodes(roles), _) => {
                self.node.is_some_and(|own| own.names().any(|one| roles.names().any(|other| other == one)))
            }
            (RuleFrom::Node(node), Party::Node(own)) => *node == own,
            (RuleFrom::Phone(phone), Party::Phone(own)) => *phone == own,
            (RuleFrom::Grant(grant), Party::Guest(own, _)) => *grant == own,
            _ => false,
        }
    }
}

/// Whether some role is in both sets.
pub(crate) fn shared(one: MemberRoles, other: MemberRoles) -> bool {
    one.names().any(|name| other.names().any(|other| other == name))
}

/// Roles of those who use what the realm offers.
pub(crate) fn is_member(roles: MemberRoles) -> bool {
    shared(roles, MemberRoles::ADMIN.with(MemberRoles::OPERATOR).with(MemberRoles::MEMBER))
}

/// A person whose rights hold.
fn active<'a>(state: &'a State, person: &PersonId) -> Option<&'a Person> {
    state.persons.get(person).filter(|person| person.standing == Standing::Active)
}

/// Whose machine a node is: as it was said, or else the person whose device came with it, for as long as
/// that device is theirs. Never merely who let it in.
fn owner(state: &State, node: &Node) -> Option<Owner> {
    let (person, owns_in) = if let Some(said) = &node.network.owner {
        (said.what, said.by)
    } else {
        let (person, device) = state.device(node.brought.as_ref()?)?;
        (device.standing == Standing::Active).then_some((person, node.admitted_in))?
    };
    owner_of(state, person, owns_in)
}

/// Whose machine a node is, if it is anybody's whose rights hold.
pub fn owner_of_node(state: &State, node: &NodeId) -> Option<PersonId> {
    owner(state, state.nodes.get(node)?).map(|owner| owner.person)
}

/// What stands in the way of a laptop whose owner's rights do not hold: it acts for them and for nobody else. A
/// server is the realm's, whoever owns it.
fn owner_barrier(state: &State, node: &Node) -> Option<Barrier> {
    if !node.roles.is_empty() {
        return None;
    }
    let person = match (&node.network.owner, &node.brought) {
        (Some(said), _) => Some(said.what),
        (None, Some(device)) => state.device(device).map(|(person, _)| person),
        (None, None) => return None,
    };
    match person.and_then(|person| state.persons.get(&person)) {
        Some(known) if known.standing == Standing::Active => None,
        Some(Person { standing_in: Some(by), .. }) => Some(Barrier::Suspended { by: *by }),
        Some(_) | None => Some(Barrier::NoOwner),
    }
}

/// A person's laptops and phones, those included that have no rights at present.
pub fn hands(state: &State, person: &PersonId) -> Vec<Party> {
    let laptop = |(id, node): (&NodeId, &Node)| {
        let is_theirs = node.roles.is_empty() && owner(state, node).is_some_and(|own| own.person == *person);
        is_theirs.then_some(Party::Node(*id))
    };
    let phones = state.live_phones().filter(|(_, phone)| phone.person == *person);
    state.nodes.iter().filter_map(laptop).chain(phones.map(|(id, _)| Party::Phone(*id))).collect()
}

/// Why a party is nobody at a time, if it is.
pub fn barrier(state: &State, now: Millis, party: Party) -> Option<Barrier> {
    class(state, now, party).err()
}

fn owner_of(state: &State, person: PersonId, owns_in: OpId) -> Option<Owner> {
    let known = active(state, &person)?;
    Some(Owner { person, roles: known.roles, owns_in, roles_in: known.roles_in })
}

/// Whether the device that let a phone in still might: an admin's, or of whose phone it is.
fn is_given(state: &State, phone: &Phone) -> bool {
    let Some((person, device)) = state.device(&phone.given_by) else { return false };
    let roles = active(state, &person).map(|known| known.roles);
    let may = roles.is_some_and(|roles| person == phone.person || roles.contains(MemberRoles::ADMIN));
    device.standing == Standing::Active && may
}

/// A node whose rights hold.
pub(crate) fn active_node<'a>(state: &'a State, node: &NodeId) -> Option<&'a Node> {
    let holds = |node: &&Node| node.standing == Standing::Active && owner_barrier(state, node).is_none();
    state.nodes.get(node).filter(holds)
}

/// A gateway whose rights hold.
pub(crate) fn active_gateway(state: &State, node: &NodeId) -> bool {
    active_node(state, node).is_some_and(|node| node.roles.contains(NodeRoles::GATEWAY))
}

/// What holds of a grant at a time.
pub(crate) fn grant_holds(grant: &Grant, now: Millis) -> Result<(), Barrier> {
    match grant.standing_in {
        Some(by) if grant.revoked => return Err(Barrier::Ended { by }),
        Some(by) => return Err(Barrier::Suspended { by }),
        None => {}
    }
    let said_in = grant.said_in;
    if now < grant.terms.from || now > grant.terms.until { Err(Barrier::Lapsed { said_in }) } else { Ok(()) }
}

/// What a party is at a time, or why it is nobody.
pub(crate) fn class(state: &State, now: Millis, party: Party) -> Result<Class, Barrier> {
    match party {
        Party::Node(id) => {
            let node = state.nodes.get(&id).ok_or(Barrier::Unknown)?;
            match (node.standing, node.standing_in) {
                (Standing::Active, _) => {}
                (_, Some(by)) => return Err(Barrier::Suspended { by }),
                (_, None) => return Err(Barrier::Unknown),
            }
            if let Some(barrier) = owner_barrier(state, node) {
                return Err(barrier);
            }
            let (roles, person) = (Some(node.roles), owner(state, node));
            Ok(Class { party, node: roles, person, said_in: node.admitted_in })
        }
        Party::Phone(id) => {
            let phone = state.phones.get(&id).ok_or(Barrier::Unknown)?;
            if let Some(by) = phone.ended {
                return Err(Barrier::Ended { by });
            }
            if phone.until.is_some_and(|until| now > until) {
                return Err(Barrier::Lapsed { said_in: phone.said_in });
            }
            let known = state.persons.get(&phone.person).ok_or(Barrier::Unknown)?;
            if let Some(by) = known.standing_in {
                return Err(Barrier::Suspended { by });
            }
            if !is_given(state, phone) {
                return Err(Barrier::NoGiver);
            }
            if !phone.gateways.iter().any(|node| active_gateway(state, node)) {
                return Err(Barrier::NoGateway);
            }
            let person = owner_of(state, phone.person, phone.said_in);
            Ok(Class { party, node: None, person, said_in: phone.said_in })
        }
        Party::Guest(id, _) => {
            let grant = state.grants.get(&id).ok_or(Barrier::Unknown)?;
            grant_holds(grant, now)?;
            Ok(Class { party, node: None, person: None, said_in: grant.said_in })
        }
        // Nobody said so: nothing but a service that is open to it lets it in.
        Party::Lan => Ok(Class { party, node: None, person: None, said_in: OpId::from_bytes([0; 32]) }),
    }
}

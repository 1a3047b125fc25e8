//! What the network's things are called, and what is meant by what somebody types. Ambiguity is refused: a
//! rule for the wrong machine opens it.

use std::collections::BTreeMap;
use std::fmt;

use freehold_api::Problem;
use freehold_reach::{label, labels};
use freehold_realm::body::{RuleFrom, RuleTo};
use freehold_realm::{MemberRoles, NodeRoles, State};
use freehold_wire::{GrantId, NodeId, PersonId, PhoneId, RealmId, RuleId, ServiceId};

use crate::people;
use crate::shared::Shared;

/// The top of every realm's zone, which the internet has no names in.
pub(crate) const TOP: &str = "internal";
/// The shortest start of an id that stands for it.
const ID_START_MIN: usize = 4;
/// What roles begin with where they stand for all who have them.
const ROLE: &str = "role:";
const NODES: &str = "nodes:";
/// Every node.
const ALL: &str = "all";

/// Something that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Node(NodeId),
    Person(PersonId),
    Service(ServiceId),
    Rule(RuleId),
    Phone(PhoneId),
    Grant(GrantId),
}

/// What sort of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    Node,
    Person,
    Service,
    Rule,
    Phone,
    Grant,
}

impl Sort {
    const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Person => "person",
            Self::Service => "service",
            Self::Rule => "rule",
            Self::Phone => "phone",
            Self::Grant => "grant",
        }
    }

    /// What lists them.
    const fn listed_by(self) -> &'static str {
        match self {
            Self::Node => "freehold node list",
            Self::Person => "freehold person list",
            Self::Service => "freehold net service list",
            Self::Rule => "freehold net rule list",
            Self::Phone => "freehold net phone list",
            Self::Grant => "freehold grant list",
        }
    }
}

impl Thing {
    const fn sort(self) -> Sort {
        match self {
            Self::Node(_) => Sort::Node,
            Self::Person(_) => Sort::Person,
            Self::Service(_) => Sort::Service,
            Self::Rule(_) => Sort::Rule,
            Self::Phone(_) => Sort::Phone,
            Self::Grant(_) => Sort::Grant,
        }
    }
}

/// Its id.
impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) => id.fmt(f),
            Self::Person(id) => id.fmt(f),
            Self::Service(id) => id.fmt(f),
            Self::Rule(id) => id.fmt(f),
            Self::Phone(id) => id.fmt(f),
            Self::Grant(id) => id.fmt(f),
        }
    }
}

/// Names that were said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) realm: Option<String>,
    pub(crate) things: BTreeMap<Thing, String>,
}

impl Said {
    /// What this node has heard of what is in the log.
    pub(crate) fn heard(shared: &Shared, state: &State) -> Self {
        let mut things: BTreeMap<Thing, String> = BTreeMap::new();
        for (id, name) in people::names(shared) {
            things.insert(Thing::Person(id), name);
        }
        let directory = shared.directory();
        let named = |thing: Thing, name: Option<&str>| Some((thing, name?.to_owned()));
        things.extend(state.nodes.keys().filter_map(|id| named(Thing::Node(*id), directory.node_name(*id))));
        let services = state.live_services();
        things.extend(
            services.filter_map(|(id, _)| named(Thing::Service(*id), directory.net_service_name(*id))),
        );
        let rules = state.live_rules();
        things.extend(rules.filter_map(|(id, _)| named(Thing::Rule(*id), directory.net_rule_name(*id))));
        let phones = state.live_phones();
        things.extend(phones.filter_map(|(id, _)| named(Thing::Phone(*id), directory.phone_name(*id))));
        let grants = state.grants.keys();
        let grant_name = |id| directory.known_grant(id).map(|known| known.name.as_str());
        things.extend(grants.filter_map(|id| named(Thing::Grant(*id), grant_name(*id))));
        Self { realm: directory.realm_name().map(str::to_owned), things }
    }
}

/// What everything in the network is called.
#[derive(Debug, Clone, Default)]
pub struct Called {
    zone: String,
    /// Everything that there is, with its name or the start of its id.
    names: BTreeMap<Thing, String>,
    labels: BTreeMap<Thing, String>,
}

impl Called {
    /// From what the log knows and what was said. A realm that has no name yet has the start of its id.
    pub(crate) fn of(state: &State, said: &Said) -> Self {
        let things = (state.nodes.keys().map(|id| Thing::Node(*id)))
            .chain(state.persons.keys().map(|id| Thing::Person(*id)))
            .chain(state.live_services().map(|(id, _)| Thing::Service(*id)))
            .chain(state.live_rules().map(|(id, _)| Thing::Rule(*id)))
            .chain(state.live_phones().map(|(id, _)| Thing::Phone(*id)))
            .chain(state.grants.keys().map(|id| Thing::Grant(*id)));
        let short = |thing: Thing| thing.to_string().chars().take(8).collect();
        let name = |thing: Thing| said.things.get(&thing).cloned().unwrap_or_else(|| short(thing));
        let names: BTreeMap<Thing, String> = things.map(|thing| (thing, name(thing))).collect();
        let in_zone = names.iter().filter(|(thing, _)| matches!(thing, Thing::Node(_) | Thing::Service(_)));
        let labels = labels(in_zone.map(|(thing, name)| (*thing, name.as_str())));
        Self { zone: zone(&state.realm, said.realm.as_deref()), names, labels }
    }

    /// The zone that the realm's names are in, without a dot at the end.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The labels of machines and services in it.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (Thing, &str)> {
        self.labels.iter().map(|(thing, label)| (*thing, label.as_str()))
    }

    /// The name of a machine or a service in the realm's zone.
    pub(crate) fn domain(&self, thing: Thing) -> String {
        self.labels.get(&thing).map(|label| format!("{label}.{}", self.zone)).unwrap_or_default()
    }

    /// What people call something; the start of its id if it has no name or is not there any more.
    pub(crate) fn name(&self, thing: Thing) -> String {
        self.names.get(&thing).cloned().unwrap_or_else(|| thing.to_string().chars().take(8).collect())
    }

    /// The same, in such a way that it can be typed and means nothing else.
    pub(crate) fn shown(&self, thing: Thing) -> String {
        let name = self.name(thing);
        let all = [Sort::Node, Sort::Person, Sort::Service, Sort::Rule, Sort::Phone, Sort::Grant];
        let is_one = |typed: &str| self.candidates(typed, &all) == [thing];
        if thing.sort() != Sort::Grant && is_one(&name) {
            return name;
        }
        let exact = format!("{}:{name}", thing.sort().word());
        if is_one(&exact) { exact } else { format!("{}:{thing}", thing.sort().word()) }
    }

    /// Whether a service cannot be called so, as a machine or another service has that label.
    pub(crate) fn has_label(&self, wanted: &str) -> bool {
        let in_zone = self.names.iter().filter(|(thing, _)| self.labels.contains_key(thing));
        in_zone.map(|(_, name)| label(name)).chain(self.labels.values().cloned()).any(|one| one == wanted)
    }

    /// Whether something of a sort is called so.
    pub(crate) fn has_name(&self, sort: Sort, wanted: &str) -> bool {
        self.names.iter().any(|(thing, name)| thing.sort() == sort && name == wanted)
    }

    /// What can be meant by a name, a name in the zone, an id or the start of one, of these sorts; `node:` and
    /// the like before it say which.
    fn candidates(&self, typed: &str, sorts: &[Sort]) -> Vec<Thing> {
        let prefixed = typed.split_once(':');
        let prefixed = prefixed.and_then(|(word, rest)| {
            let sort = sorts.iter().find(|sort| sort.word() == word)?;
            Some((*sort, rest))
        });
        let is = |thing: Thing, name: &str, typed: &str| {
            let in_zone = || {
                let label = self.labels.get(&thing)?;
                let typed = typed.trim_end_matches('.').to_ascii_lowercase();
                Some(*label == typed || format!("{label}.{}", self.zone) == typed)
            };
            name == typed
                || in_zone().unwrap_or(false)
                || (typed.len() >= ID_START_MIN && thing.to_string().starts_with(typed))
        };
        let meant = |(thing, name): (&Thing, &String)| {
            let sort = thing.sort();
            let plain = sorts.contains(&sort) && is(*thing, name, typed);
            let named = prefixed.is_some_and(|(wanted, rest)| sort == wanted && is(*thing, name, rest));
            (plain || named).then_some(*thing)
        };
        self.names.iter().filter_map(meant).collect()
    }

    /// The one thing of these sorts that somebody typed.
    pub(crate) fn meant(&self, typed: &str, sorts: &[Sort]) -> Result<Thing, Problem> {
        let words = |word: &str| sorts.iter().map(|sort| sort.word()).collect::<Vec<_>>().join(word);
        match self.candidates(typed, sorts).as_slice() {
            [one] => Ok(*one),
            [] => Err(Problem::not_found(
                format!("there is no {} {typed}", words(" or ")),
                "the realm knows none of that name or id",
                sorts.first().map(|sort| sort.listed_by()),
            )),
            several => {
                let each: Vec<String> = several.iter().map(|thing| self.shown(*thing)).collect();
                Err(Problem::invalid(
                    format!("{typed} may mean several things"),
                    each.join(", "),
                    Some("type one of these instead"),
                ))
            }
        }
    }

    /// A node.
    pub(crate) fn node(&self, typed: &str) -> Result<NodeId, Problem> {
        match self.meant(typed, &[Sort::Node])? {
            Thing::Node(node) => Ok(node),
            other => Err(mixed(other)),
        }
    }

    /// A member.
    pub(crate) fn person(&self, typed: &str) -> Result<PersonId, Problem> {
        match self.meant(typed, &[Sort::Person])? {
            Thing::Person(person) => Ok(person),
            other => Err(mixed(other)),
        }
    }

    /// A grant, as `grant:` and its id.
    pub(crate) fn grant(&self, typed: &str) -> Result<GrantId, Problem> {
        match self.meant(typed, &[Sort::Grant])? {
            Thing::Grant(grant) => Ok(grant),
            other => Err(mixed(other)),
        }
    }

    /// Whom a rule is to let through.
    pub(crate) fn rule_from(&self, typed: &str) -> Result<RuleFrom, Problem> {
        if let Some(names) = typed.strip_prefix(ROLE) {
            let roles = names.split('+').map(MemberRoles::named).collect::<Option<Vec<_>>>();
            let roles = roles.map(|roles| roles.into_iter().fold(MemberRoles::NONE, MemberRoles::with));
            return roles.map(RuleFrom::Members).ok_or_else(|| no_role(names, MEMBER_ROLES));
        }
        if let Some(names) = typed.strip_prefix(NODES) {
            let roles = names.split('+').map(NodeRoles::named).collect::<Option<Vec<_>>>();
            let roles = roles.map(|roles| roles.into_iter().fold(NodeRoles::NONE, NodeRoles::with));
            return roles.map(RuleFrom::Nodes).ok_or_else(|| no_role(names, NODE_ROLES));
        }
        match self.meant(typed, &[Sort::Node, Sort::Person, Sort::Phone, Sort::Grant])? {
            Thing::Node(node) => Ok(RuleFrom::Node(node)),
            Thing::Person(person) => Ok(RuleFrom::Person(person)),
            Thing::Phone(phone) => Ok(RuleFrom::Phone(phone)),
            Thing::Grant(grant) => Ok(RuleFrom::Grant(grant)),
            other => Err(mixed(other)),
        }
    }

    /// What a rule is to open.
    pub(crate) fn rule_to(&self, typed: &str) -> Result<RuleTo, Problem> {
        if typed == ALL {
            return Ok(RuleTo::All);
        }
        match self.meant(typed, &[Sort::Node, Sort::Service])? {
            Thing::Node(node) => Ok(RuleTo::Node(node)),
            Thing::Service(service) => Ok(RuleTo::Service(service)),
            other => Err(mixed(other)),
        }
    }

    /// Whom a rule lets through, as it can be typed.
    pub(crate) fn sender_shown(&self, from: &RuleFrom) -> String {
        match from {
            RuleFrom::Person(id) => self.shown(Thing::Person(*id)),
            RuleFrom::Members(roles) => format!("{ROLE}{}", roles.names().collect::<Vec<_>>().join("+")),
            RuleFrom::Nodes(roles) => format!("{NODES}{}", roles.names().collect::<Vec<_>>().join("+")),
            RuleFrom::Node(id) => self.shown(Thing::Node(*id)),
            RuleFrom::Phone(id) => self.shown(Thing::Phone(*id)),
            RuleFrom::Grant(id) => self.shown(Thing::Grant(*id)),
        }
    }

    /// What a rule opens, as it can be typed.
    pub(crate) fn target_shown(&self, to: &RuleTo) -> String {
        match to {
            RuleTo::All => ALL.to_owned(),
            RuleTo::Node(id) => self.shown(Thing::Node(*id)),
            RuleTo::Service(id) => self.shown(Thing::Service(*id)),
        }
    }
}

const MEMBER_ROLES: &str = "admin, operator, auditor, member and guest";
const NODE_ROLES: &str = "storage, compute, gateway, relay, witness and secrets";

fn no_role(typed: &str, known: &str) -> Problem {
    Problem::invalid(
        format!("{typed:?} is no role"),
        format!("known are {known}"),
        Some("such as role:admin or nodes:gateway; several of them with + between them"),
    )
}

fn mixed(thing: Thing) -> Problem {
    Problem::bug("a name led to something of another sort", thing.to_string(), None::<&str>)
}

/// `smith.internal`.
fn zone(realm: &RealmId, name: Option<&str>) -> String {
    let own = name.map(label).filter(|label| !label.is_empty());
    format!("{}.{TOP}", own.unwrap_or_else(|| realm.short()))
}

#[cfg(test)]
mod tests;

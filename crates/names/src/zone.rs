//! Names that are answered here: the realm's own, the household's, and those that must never leave.

mod near;
mod reserved;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

pub use reserved::reserved;

use crate::answer::{self, Draft};
use crate::code::{Rcode, kind};
use crate::domain::{Domain, NAME_MAX, suffixes};
use crate::message::Section;
use crate::question::Question;
use near::Near;

/// How long it may be remembered that something is not there, in seconds.
const NEGATIVE: u32 = 60;
/// How many aliases lead on from one another.
const ALIASES_MAX: usize = 8;
/// The longest piece of text in one piece.
const PIECE_MAX: usize = 255;

/// A line of what is answered here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// This name and all below it are ours: what is not said does not exist.
    Zone {
        /// The name.
        apex: Domain,
        /// Who answers for it.
        server: Domain,
        /// Rises with each change.
        serial: u32,
    },
    /// A record. Outside of all zones it is alone: other names beside it are asked elsewhere, other
    /// types of its own name are not there. A first label `*` stands for every name that is not said.
    Record {
        /// Whose it is.
        name: Domain,
        /// For how many seconds it is good.
        ttl: u32,
        /// What it says.
        data: Data,
    },
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// Another name.
    Alias(Domain),
    /// The name of an address.
    Pointer(Domain),
    /// Text.
    Text(String),
    /// Where a service runs.
    Service {
        /// Lower ones first.
        priority: u16,
        /// How often, among equals.
        weight: u16,
        /// On which port.
        port: u16,
        /// On which machine.
        target: Domain,
    },
    /// Where mail goes.
    Mail {
        /// Lower ones first.
        preference: u16,
        /// To which machine.
        host: Domain,
    },
}

impl Data {
    fn kind(&self) -> u16 {
        match self {
            Self::V4(_) => kind::A,
            Self::V6(_) => kind::AAAA,
            Self::Alias(_) => kind::CNAME,
            Self::Pointer(_) => kind::PTR,
            Self::Text(_) => kind::TXT,
            Self::Service { .. } => kind::SRV,
            Self::Mail { .. } => kind::MX,
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::V4(address) => address.octets().into(),
            Self::V6(address) => address.octets().into(),
            Self::Alias(name) | Self::Pointer(name) => name.as_wire().into(),
            Self::Text(text) if text.is_empty() => vec![0],
            Self::Text(text) => {
                let pieces = text.as_bytes().chunks(PIECE_MAX);
                let with_length = |piece: &[u8]| {
                    let len = u8::try_from(piece.len()).unwrap_or(0);
                    std::iter::once(len).chain(piece.iter().copied()).collect::<Vec<_>>()
                };
                pieces.flat_map(with_length).collect()
            }
            Self::Service { priority, weight, port, target } => {
                let numbers = [*priority, *weight, *port].map(u16::to_be_bytes);
                [numbers.concat(), target.as_wire().to_vec()].concat()
            }
            Self::Mail { preference, host } => [&preference.to_be_bytes(), host.as_wire()].concat(),
        }
    }
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// The name is ours, and the answer is written, if only that it has no such record.
    Answered,
    /// The name would be ours and is not there; that is written.
    NoSuch,
    /// Ours is an alias, which is written; this name is to be asked for and what is found appended.
    Follow(Domain),
    /// The name is not ours; nothing is written.
    NotOurs,
}

/// Records of one name.
#[derive(Debug, Clone, Default)]
struct Node {
    records: Vec<(u16, u32, Vec<u8>)>,
    alias: Option<(u32, Domain)>,
}

impl Borrow<[u8]> for Domain {
    fn borrow(&self) -> &[u8] {
        self.as_wire()
    }
}

/// All that is answered here.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    /// What the start of each zone says.
    starts: BTreeMap<Domain, Vec<u8>>,
    nodes: BTreeMap<Domain, Node>,
    wildcards: bool,
    near: Near,
}

enum Found<'a> {
    Node(&'a Node),
    Nothing,
    Outside,
}

impl Zones {
    /// From rows in any order. Of several zones with one name the highest serial holds; a name with an
    /// alias has nothing else.
    pub fn of(rows: &[Row]) -> Self {
        let mut zones = Self::default();
        let mut serials: BTreeMap<&Domain, (u32, &Domain)> = BTreeMap::new();
        for row in rows {
            match row {
                Row::Zone { apex, server, serial } => {
                    let said = serials.entry(apex).or_insert((*serial, server));
                    *said = (*said).max((*serial, server));
                }
                Row::Record { name, ttl, data } => zones.record(name, *ttl, data),
            }
        }
        for (apex, (serial, server)) in serials {
            let start = answer::soa(server, serial, NEGATIVE);
            let node = zones.nodes.entry(apex.clone()).or_default();
            node.alias = None;
            node.records.push((kind::SOA, NEGATIVE, start.clone()));
            node.records.push((kind::NS, NEGATIVE, server.as_wire().into()));
            zones.starts.insert(apex.clone(), start);
        }
        zones.fill_gaps();
        for name in zones.nodes.keys() {
            let covered = name.as_wire().strip_prefix(b"\x01*").and_then(Domain::from_wire);
            zones.near.add(covered.as_ref().unwrap_or(name));
        }
        for node in zones.nodes.values_mut() {
            node.records.sort();
            node.records.dedup();
        }
        zones
    }

    fn record(&mut self, name: &Domain, ttl: u32, data: &Data) {
        let node = self.nodes.entry(name.clone()).or_default();
        if let Data::Alias(to) = data {
            // The same in any order.
            let said = (ttl, to.clone());
            node.alias = Some(node.alias.take().map_or(said.clone(), |other| other.min(said)));
        } else {
            node.records.push((data.kind(), ttl, data.encode()));
        }
        self.wildcards |= name.as_wire().starts_with(b"\x01*");
    }

    /// A name between a record and its zone is there, though it has nothing.
    fn fill_gaps(&mut self) {
        let names: Vec<Domain> = self.nodes.keys().cloned().collect();
        for name in names {
            let wire = name.as_wire();
            if self.zone_of(wire).is_none() {
                continue;
            }
            let above = suffixes(wire).take_while(|suffix| !self.starts.contains_key(*suffix));
            let gaps: Vec<Domain> = above.skip(1).filter_map(Domain::from_wire).collect();
            for gap in gaps {
                self.nodes.entry(gap).or_default();
            }
        }
    }

    /// The innermost zone that a name in lower case lies in.
    fn zone_of(&self, name: &[u8]) -> Option<(&Domain, &[u8])> {
        let zone = suffixes(name).find_map(|suffix| self.starts.get_key_value(suffix));
        zone.map(|(apex, start)| (apex, start.as_slice()))
    }

    /// Whether a name lies in a zone of ours or has a record.
    pub fn owns(&self, name: &Domain) -> bool {
        !matches!(self.find(name.as_wire()), Found::Outside)
    }

    fn find(&self, name: &[u8]) -> Found<'_> {
        if !self.near.may_have(name) {
            return Found::Outside;
        }
        if let Some(node) = self.nodes.get(name) {
            return Found::Node(node);
        }
        let apex = self.zone_of(name).map(|(apex, _)| apex.as_wire().len());
        if self.wildcards {
            for suffix in suffixes(name).skip(1).take_while(|suffix| suffix.len() >= apex.unwrap_or(0)) {
                let mut star = [0; NAME_MAX + 2];
                star[..2].copy_from_slice(b"\x01*");
                let Some(room) = star.get_mut(2..2 + suffix.len()) else { break };
                room.copy_from_slice(suffix);
                let star = star.get(..2 + suffix.len()).unwrap_or(&[0]);
                // A zone of such a name is a zone and no more.
                if let Some(node) = self.nodes.get(star)
                    && !self.starts.contains_key(star)
                {
                    return Found::Node(node);
                }
                // Below a name that is there, a wildcard further up does not reach (RFC 4592).
                if apex.is_some() && self.nodes.contains_key(suffix) {
                    break;
                }
            }
        }
        if apex.is_some() { Found::Nothing } else { Found::Outside }
    }

    /// Answers a question about a name of ours, up to [`answer::finish`].
    pub fn answer(&self, question: &Question<'_>, out: &mut Vec<u8>) -> Owned {
        let mut lower = [0; NAME_MAX];
        let Some(name) = lower.get_mut(..question.name.len()) else { return Owned::NotOurs };
        name.copy_from_slice(question.name);
        name.make_ascii_lowercase();
        let mut name: &[u8] = name;
        let mut found = self.find(name);
        if !question.is_internet() || matches!(found, Found::Outside) {
            return Owned::NotOurs;
        }
        answer::begin(question, Rcode::GOOD, true, out);
        for _ in 0..ALIASES_MAX {
            let node = match found {
                Found::Node(node) => node,
                Found::Nothing => {
                    answer::set_code(out, Rcode::NO_NAME);
                    self.push_start(question, name, out);
                    return Owned::NoSuch;
                }
                Found::Outside => {
                    return Domain::from_wire(name).map_or(Owned::Answered, Owned::Follow);
                }
            };
            let Some((ttl, to)) = &node.alias else {
                self.push_records(question, name, node, out);
                return Owned::Answered;
            };
            let data = to.as_wire();
            let section = Section::Answer;
            answer::push(question, Draft { section, owner: name, kind: kind::CNAME, ttl: *ttl, data }, out);
            if matches!(question.kind, kind::CNAME | kind::ANY) {
                return Owned::Answered;
            }
            name = data;
            found = self.find(name);
        }
        // Aliases that lead round in a circle.
        answer::begin(question, Rcode::FAILED, true, out);
        Owned::Answered
    }

    fn push_records(&self, question: &Question<'_>, owner: &[u8], node: &Node, out: &mut Vec<u8>) {
        // To one who asks for all, one sort is enough (RFC 8482).
        let wanted = match (question.kind, node.records.first()) {
            (kind::ANY, Some((first, ..))) => *first,
            (asked, _) => asked,
        };
        let mut none = true;
        for (kind, ttl, data) in node.records.iter().filter(|(kind, ..)| *kind == wanted) {
            none = false;
            let section = Section::Answer;
            answer::push(question, Draft { section, owner, kind: *kind, ttl: *ttl, data }, out);
        }
        if none {
            self.push_start(question, owner, out);
        }
    }

    /// Says who says that there is nothing; a record alone is its own authority.
    fn push_start(&self, question: &Question<'_>, name: &[u8], out: &mut Vec<u8>) {
        let own;
        let (owner, data) = if let Some((apex, start)) = self.zone_of(name) {
            (apex.as_wire(), start)
        } else {
            own = answer::soa(&Domain::root(), 1, NEGATIVE);
            (name, own.as_slice())
        };
        let section = Section::Authority;
        answer::push(question, Draft { section, owner, kind: kind::SOA, ttl: NEGATIVE, data }, out);
    }
}

//! Rows about the filter of names: which names are blocked, for whom, and what else the realm's machines say
//! of names. Groups and lists are told apart by what people call them.

use freehold_crypt::hash;
use freehold_wire::{Bounded, Digest, Millis, NodeId, PersonId, PhoneId, Prefix, Text};
use minicbor::{Decode, Encode};

/// What a row is about: `list/` or `group/` and a name, `record/` or `forward/` and a domain, `upstream`, or
/// `statistics`.
pub type FilterKey = Text<300>;
/// What people call a list or a group.
pub type FilterName = Text<64>;

/// One thing that the realm says of names.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FilterRow {
    /// A list of names that may be blocked.
    #[n(0)]
    List(#[n(0)] FilterList),
    /// What holds for some of those who ask.
    #[n(1)]
    Group(#[n(0)] FilterGroup),
    /// What a name is answered with, as in a zone file without name, time and class: `A 192.168.1.9`.
    #[n(2)]
    Records(#[n(0)] Bounded<Text<600>, 16>),
    /// The servers that are asked for a domain and all below it.
    #[n(3)]
    Forward(#[n(0)] Bounded<Text<300>, 8>),
    /// The servers that are asked for everything else.
    #[n(4)]
    Upstream(#[n(0)] Bounded<Text<300>, 8>),
    /// What is counted: nothing, how much (1), or names too (2).
    #[n(5)]
    Statistics(#[n(0)] u8),
}

/// Where a list comes from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FilterList {
    /// Its URL.
    #[n(0)]
    pub url: Text<1024>,
    /// How it is written: as a hosts file (1), as domains (2), as for an ad blocker (3), or guessed (0).
    #[n(1)]
    pub syntax: u8,
    /// The only content that is taken.
    #[n(2)]
    pub sha256: Option<Digest>,
    /// How often it is looked for, in hours.
    #[n(3)]
    pub hours: u16,
}

/// Somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum FilterMember {
    /// Whoever is in no other group.
    #[n(0)]
    Everybody,
    /// A person's laptops and phones.
    #[n(1)]
    Person(#[n(0)] PersonId),
    /// A machine.
    #[n(2)]
    Node(#[n(0)] NodeId),
    /// A phone.
    #[n(3)]
    Phone(#[n(0)] PhoneId),
    /// All phones.
    #[n(4)]
    Phones,
    /// Whoever is in the network around a machine.
    #[n(5)]
    Lan,
    /// Whoever is in a network.
    #[n(6)]
    Network(#[n(0)] Prefix),
}

/// Hours of the week.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FilterHours {
    /// One bit each, Monday the lowest.
    #[n(0)]
    pub days: u8,
    /// The first minute of the day.
    #[n(1)]
    pub from: u16,
    /// The first minute after; on the next day if it is not later.
    #[n(2)]
    pub to: u16,
    /// The lists that count then as well; without, nothing is answered but what is allowed.
    #[n(3)]
    pub lists: Option<Bounded<FilterName, 32>>,
}

/// What holds for some of those who ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FilterGroup {
    /// Who they are.
    #[n(0)]
    pub members: Bounded<FilterMember, 64>,
    /// The lists that count.
    #[n(1)]
    pub lists: Bounded<FilterName, 32>,
    /// Names that pass, with all below them; after `=` that name alone.
    #[n(2)]
    pub allow: Bounded<Text<256>, 256>,
    /// Names that are blocked, written the same way.
    #[n(3)]
    pub block: Bounded<Text<256>, 256>,
    /// Hours in which something else holds.
    #[n(4)]
    pub hours: Bounded<FilterHours, 16>,
    /// Whose clocks the hours are meant by, as in the database of time zones; empty for those of the machine
    /// that answers.
    #[n(5)]
    pub zone: Text<64>,
    /// Search engines that give strict results, one bit each.
    #[n(6)]
    pub safe: u8,
    /// A blocked name does not exist; or else it leads nowhere.
    #[n(7)]
    pub no_name: bool,
    /// Until then nothing of this holds.
    #[n(8)]
    pub paused_until: Option<Millis>,
}

/// What tells rows of the filter apart where keys have to be short.
pub(super) fn digest(key: &FilterKey) -> Digest {
    Digest::from_bytes(hash::digest("freehold 2026 filter row", key.as_str().as_bytes()))
}

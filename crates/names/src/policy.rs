//! What becomes of a question, by who asks, which name, and when.

mod own;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use freehold_wire::{Millis, NodeId, PersonId};

use crate::answer::Sink;
use crate::blocked::{Blocked, Hit, Shape};
use crate::domain::{Domain, NAME_MAX};
use crate::message::{Message, Section};
use crate::safe::{self, Engines};
use crate::schedule::{LocalTime, Schedule, Within};
use crate::suffix::{Mixer, Suffixes};
use own::Own;

/// Whom a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// A phone, by its id.
    Phone([u8; 32]),
    /// A machine of the realm.
    Node(NodeId),
    /// Whatever belongs to a person.
    Person(PersonId),
    /// Every phone.
    Phones,
    /// A network, by its first address and how many bits of it count.
    Network(IpAddr, u8),
    /// Whoever is in no other group.
    Everyone,
}

/// What holds for some of those who ask.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Who they are. Who is in several groups is in the one that names them most closely, in the order of
    /// [`Member`], then longer networks; then the first.
    pub members: Vec<Member>,
    /// The lists that count, one bit each.
    pub lists: u32,
    /// Let pass, whatever else is said.
    pub allow: Vec<(Shape, Domain)>,
    /// Blocked, but for what `allow` says more closely, or as closely.
    pub block: Vec<(Shape, Domain)>,
    /// Hours in which something else holds.
    pub schedules: Vec<Schedule>,
    /// Engines that give strict results.
    pub safe: Engines,
    /// By how many minutes the clocks of its schedules are ahead of UTC now; as those of whoever asks if nobody
    /// says.
    pub ahead: Option<i32>,
    /// Until then nothing of all this holds.
    pub paused_until: Option<Millis>,
    /// Who is asked.
    pub upstream: u16,
    /// What they get for a blocked name.
    pub sink: Sink,
}

/// Who asks, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PolicyParty {
    /// From a phone.
    pub phone: Option<[u8; 32]>,
    /// From a machine of the realm.
    pub node: Option<NodeId>,
    /// From something that belongs to a person.
    pub person: Option<PersonId>,
    /// From an address that belongs to nobody we know.
    pub address: Option<IpAddr>,
}

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is asked, of these servers.
    Ask(u16),
    /// It is blocked, by lists, or by the group itself if there are none.
    Block(Hit),
    /// This name answers in its place, of these servers.
    Rewrite(&'static str, u16),
    /// Nothing is answered at this hour.
    Refuse,
}

/// A group, made ready.
struct Rules {
    lists: u32,
    allow: Own,
    block: Own,
    schedules: Vec<Schedule>,
    ahead: Option<i32>,
    safe: Engines,
    paused_until: Option<Millis>,
    upstream: u16,
    sink: Sink,
}

/// What holds for whom.
pub struct Policy {
    mixer: Mixer,
    groups: Vec<Rules>,
    members: BTreeMap<Member, usize>,
    /// The longest first.
    networks: Vec<(IpAddr, u8, usize)>,
    /// Names that are asked of servers of their own, by the suffix's number.
    forwards: BTreeMap<u64, u16>,
}

impl Policy {
    /// From groups, and from names that, with all below them, servers of their own are asked for. Names are
    /// asked about with the same seed.
    pub fn of(groups: &[Group], forwards: &[(Domain, u16)], seed: &[u8; 16]) -> Self {
        let mixer = Mixer::new(seed);
        let mut policy = Self {
            mixer,
            groups: Vec::new(),
            members: BTreeMap::new(),
            networks: Vec::new(),
            forwards: BTreeMap::new(),
        };
        for (index, group) in groups.iter().enumerate() {
            for member in &group.members {
                match member {
                    Member::Network(address, bits) => policy.networks.push((*address, *bits, index)),
                    member => {
                        policy.members.entry(*member).or_insert(index);
                    }
                }
            }
            policy.groups.push(Rules {
                lists: group.lists,
                allow: Own::of(&group.allow, mixer),
                block: Own::of(&group.block, mixer),
                schedules: group.schedules.clone(),
                ahead: group.ahead,
                safe: group.safe,
                paused_until: group.paused_until,
                upstream: group.upstream,
                sink: group.sink,
            });
        }
        policy.networks.sort_by_key(|(_, bits, index)| (std::cmp::Reverse(*bits), *index));
        for (domain, upstream) in forwards {
            if let Some(number) = Suffixes::with(domain.as_wire(), mixer).whole() {
                policy.forwards.entry(number).or_insert(*upstream);
            }
        }
        policy
    }

    /// The group that somebody is in, by its place among those given.
    pub fn group_of(&self, party: &PolicyParty) -> Option<usize> {
        let named = [
            party.phone.map(Member::Phone),
            party.node.map(Member::Node),
            party.person.map(Member::Person),
            party.phone.map(|_| Member::Phones),
        ];
        let by_name = named.into_iter().flatten().find_map(|member| self.members.get(&member));
        let by_network = || {
            let address = party.address?;
            self.networks.iter().find(|(of, bits, _)| is_within(address, *of, *bits)).map(|(.., index)| index)
        };
        by_name.or_else(by_network).or_else(|| self.members.get(&Member::Everyone)).copied()
    }

    /// What somebody of a group gets for a blocked name.
    pub fn sink(&self, group: Option<usize>) -> Sink {
        self.rules(group).map_or_else(Sink::default, |rules| rules.sink)
    }

    /// What becomes of a name for a group, as [`decide`].
    pub fn decide(
        &self,
        group: Option<usize>,
        name: &Suffixes,
        blocked: &Blocked,
        now: LocalTime,
    ) -> Decision {
        let Some(rules) = self.rules(group) else { return self.ask(0, name) };
        if rules.is_paused(now) {
            return self.ask(rules.upstream, name);
        }
        let own = rules.own(name);
        if let Some(Ok(())) = own {
            return self.ask(rules.upstream, name);
        }
        let there = rules.there(now);
        if rules.schedules.iter().any(|schedule| schedule.what == Within::Nothing && schedule.holds(there)) {
            return Decision::Refuse;
        }
        if let Some(Err(hit)) = own {
            return Decision::Block(hit);
        }
        if let Some(to) = safe::instead(name.name(), rules.safe) {
            return Decision::Rewrite(to, rules.upstream);
        }
        match blocked.hit(name, rules.lists_at(now)) {
            Some(hit) => Decision::Block(hit),
            None => self.ask(rules.upstream, name),
        }
    }

    /// The name in an answer by which a blocked one comes in behind another, and what blocks it: aliases,
    /// and services that are elsewhere. What the group allows by the name that was asked for, passes.
    pub fn hidden(
        &self,
        group: Option<usize>,
        answer: &[u8],
        blocked: &Blocked,
        now: LocalTime,
    ) -> Option<(Domain, Hit)> {
        let rules = self.rules(group).filter(|rules| !rules.is_paused(now))?;
        let message = Message::parse(answer)?;
        if rules.own(&Suffixes::with(message.name(), self.mixer)) == Some(Ok(())) {
            return None;
        }
        let lists = rules.lists_at(now);
        let answers =
            message.records().map_while(Result::ok).take_while(|record| record.section == Section::Answer);
        for record in answers {
            let mut target = [0; NAME_MAX];
            let Some(target) = message.target(&record, &mut target) else { continue };
            let name = Suffixes::with(target, self.mixer);
            let hit = match rules.own(&name) {
                Some(Ok(())) => None,
                Some(Err(hit)) => Some(hit),
                None => blocked.hit(&name, lists),
            };
            if let Some(hit) = hit {
                return Some((Domain::from_wire(target)?, hit));
            }
        }
        None
    }

    /// Whether a group lets a name pass by itself, whatever lists and answers say.
    pub fn allows(&self, group: Option<usize>, name: &[u8]) -> bool {
        let name = Suffixes::with(name, self.mixer);
        self.rules(group).is_some_and(|rules| rules.own(&name) == Some(Ok(())))
    }

    fn rules(&self, group: Option<usize>) -> Option<&Rules> {
        group.and_then(|group| self.groups.get(group))
    }

    /// Of the group's servers, or of those for the longest suffix that has its own.
    fn ask(&self, upstream: u16, name: &Suffixes) -> Decision {
        if self.forwards.is_empty() {
            return Decision::Ask(upstream);
        }
        let own = name.hashes().iter().rev().find_map(|hash| self.forwards.get(hash));
        Decision::Ask(own.copied().unwrap_or(upstream))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("groups", &self.groups.len()).finish_non_exhaustive()
    }
}

impl Rules {
    fn is_paused(&self, now: LocalTime) -> bool {
        self.paused_until.is_some_and(|until| now.now < until)
    }

    /// What the group itself says of a name: that it passes, or what blocks it.
    fn own(&self, name: &Suffixes) -> Option<Result<(), Hit>> {
        let (allowed, blocked) = (self.allow.depth(name), self.block.depth(name));
        match (allowed, blocked) {
            (allowed, Some(depth)) if allowed < Some(depth) => Some(Err(Hit { lists: 0, depth })),
            (Some(_), _) => Some(Ok(())),
            _ => None,
        }
    }

    /// What the clocks say that its hours are meant by.
    fn there(&self, now: LocalTime) -> LocalTime {
        self.ahead.map_or(now, |ahead| LocalTime::at(now.now, ahead))
    }

    fn lists_at(&self, now: LocalTime) -> u32 {
        let now = self.there(now);
        let more =
            self.schedules.iter().filter(|schedule| schedule.holds(now)).map(|schedule| {
                match schedule.what {
                    Within::Lists(lists) => lists,
                    Within::Nothing => 0,
                }
            });
        more.fold(self.lists, |lists, more| lists | more)
    }
}

/// What becomes of a question, by who asks, which name, and when.
pub fn decide(
    policy: &Policy,
    party: &PolicyParty,
    name: &Suffixes,
    blocked: &Blocked,
    now: LocalTime,
) -> Decision {
    policy.decide(policy.group_of(party), name, blocked, now)
}

/// Whether an address lies in a network; the two families never meet.
fn is_within(address: IpAddr, of: IpAddr, bits: u8) -> bool {
    let differing = match (address, of) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= u32::from(bits)
}

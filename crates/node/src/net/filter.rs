//! The filter of names: what the realm has said in its directory, and what this machine alone knows, made into
//! what the resolver goes by. One policy for all machines, so that it is the same on the road.

pub(crate) mod change;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use freehold_api::FilterKeep;
use freehold_names::answer::Sink;
use freehold_names::lists::Syntax;
use freehold_names::safe::Engines;
use freehold_names::{Group, LISTS_MAX, Member, Row, Schedule, Within};
use freehold_resolver::{List, Server, Setting, Source, Statistics, Upstream};
use freehold_seal::{FilterGroup, FilterHours, FilterList, FilterMember, FilterRow};
use freehold_wire::{Millis, Prefix, Text};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::problem::own_problem;
use crate::shared::Shared;

/// The group that is meant where nobody names one.
pub(crate) const EVERYBODY: &str = "everybody";
/// How long others may remember what is answered here, in seconds.
const TTL: u32 = 60;
/// How many lists there can be.
pub(crate) const LISTS: usize = LISTS_MAX as usize;

/// What is said of names.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) lists: BTreeMap<String, FilterList>,
    pub(crate) files: Files,
    pub(crate) groups: BTreeMap<String, FilterGroup>,
    pub(crate) records: BTreeMap<String, Vec<String>>,
    pub(crate) forwards: BTreeMap<String, Vec<String>>,
    pub(crate) upstreams: Vec<String>,
    pub(crate) keep: FilterKeep,
    /// Why the files of this machine are not known.
    pub(crate) unread: Option<String>,
}

/// Lists that are files of this machine, by what they are called: no other machine has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Files(pub(crate) BTreeMap<String, FileList>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileList {
    pub(crate) path: PathBuf,
    pub(crate) syntax: u8,
    pub(crate) groups: Vec<String>,
}

impl Files {
    /// As they were kept; none if nothing was. Else why they cannot be read, and what to do.
    pub(crate) fn kept(at: &Path) -> Result<Self, String> {
        let read = match freehold_disk::read_private(at) {
            Ok(None) => Ok(Self::default()),
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(own_problem(&error).to_string()),
        };
        read.map_err(|why| {
            format!("{} cannot be read, so its lists do not count: {why}; delete it", at.display())
        })
    }

    /// Keeps them.
    pub(crate) fn keep(&self, at: &Path) -> std::io::Result<()> {
        if let Some(folder) = at.parent() {
            freehold_disk::make_private_dir(folder)?;
        }
        let bytes = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        freehold_disk::replace(at, &bytes, 0o600)
    }
}

impl Said {
    /// What this node has heard, and what it alone knows.
    pub(crate) fn heard(shared: &Shared) -> Self {
        let (files, unread) = match Files::kept(&shared.home.filter_files()) {
            Ok(files) => (files, None),
            Err(why) => (Files::default(), Some(why)),
        };
        let directory = shared.directory();
        Self { unread, ..Self::of(directory.filter_rows(), files) }
    }

    /// A row that does not fit what it is said to be about says nothing.
    pub(crate) fn of<'a>(rows: impl Iterator<Item = (&'a str, &'a FilterRow)>, files: Files) -> Self {
        let mut said = Self { files, ..Self::default() };
        for (key, row) in rows {
            let (sort, name) = key.split_once('/').unwrap_or((key, ""));
            let name = name.to_owned();
            let texts = |all: &[Text<300>]| all.iter().map(|text| text.as_str().to_owned()).collect();
            match (sort, row) {
                ("list", FilterRow::List(list)) => {
                    said.lists.insert(name, list.clone());
                }
                ("group", FilterRow::Group(group)) => {
                    said.groups.insert(name, group.clone());
                }
                ("record", FilterRow::Records(values)) => {
                    let values = values.iter().map(|value| value.as_str().to_owned()).collect();
                    said.records.insert(name, values);
                }
                ("forward", FilterRow::Forward(servers)) => {
                    said.forwards.insert(name, texts(servers));
                }
                ("upstream", FilterRow::Upstream(servers)) => said.upstreams = texts(servers),
                ("statistics", FilterRow::Statistics(what)) => {
                    said.keep = match what {
                        0 => FilterKeep::Off,
                        1 => FilterKeep::Anonymous,
                        _ => FilterKeep::Full,
                    };
                }
                _ => {}
            }
        }
        said
    }

    /// What lists are called, those of the realm first; a file does not take the place of one of them.
    pub(crate) fn list_names(&self) -> Vec<String> {
        let own = self.files.0.keys().filter(|name| !self.lists.contains_key(*name));
        self.lists.keys().chain(own).cloned().collect()
    }

    /// Networks that a group is for, whose machines are neighbours wherever they stand.
    pub(crate) fn networks(&self) -> Vec<Prefix> {
        let members = self.groups.values().flat_map(|group| group.members.iter());
        members
            .filter_map(|member| match member {
                FilterMember::Network(network) if network.is_private() => Some(*network),
                _ => None,
            })
            .collect()
    }

    /// The lists that count for a group at all times.
    pub(crate) fn lists_of(&self, name: &str, group: &FilterGroup) -> Vec<String> {
        let files = self.files.0.iter().filter(|(_, file)| file.groups.iter().any(|own| own == name));
        let said = group.lists.iter().map(|list| list.as_str().to_owned());
        said.chain(files.map(|(list, _)| list.clone())).collect()
    }
}

/// What the resolver goes by, and what its numbers are called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compiled {
    pub(crate) said: Said,
    pub(crate) groups: Vec<String>,
    pub(crate) lists: Vec<String>,
    pub(crate) setting: Setting,
}

impl Compiled {
    /// From what is said, the rows of the realm's own zone, and the servers that this machine was told as it was
    /// started, which go before what the realm says.
    pub(crate) fn of(said: Said, own: Vec<Row>, here: &[Upstream], now: Millis) -> Self {
        let lists = said.list_names();
        let bits = |names: &mut dyn Iterator<Item = &str>| {
            names.fold(0, |bits, name| match lists.iter().position(|list| list == name) {
                Some(place) if place < LISTS => bits | 1 << place,
                _ => bits,
            })
        };
        let mut groups = Vec::new();
        for (name, group) in &said.groups {
            let always = said.lists_of(name, group);
            let schedule = |hours: &FilterHours| Schedule {
                days: hours.days,
                from: hours.from,
                to: hours.to,
                what: match &hours.lists {
                    Some(lists) => Within::Lists(bits(&mut lists.iter().map(Text::as_str))),
                    None => Within::Nothing,
                },
            };
            groups.push(Group {
                members: group.members.iter().flat_map(|member| members(*member)).collect(),
                lists: bits(&mut always.iter().map(String::as_str)),
                allow: group.allow.iter().filter_map(|name| text::rule(name.as_str())).collect(),
                block: group.block.iter().filter_map(|name| text::rule(name.as_str())).collect(),
                schedules: group.hours.iter().map(schedule).collect(),
                ahead: Some(group.zone.as_str()).filter(|zone| !zone.is_empty()).map(|zone| ahead(zone, now)),
                safe: Engines(group.safe),
                paused_until: group.paused_until,
                upstream: 0,
                sink: if group.no_name { Sink::NoName } else { Sink::Nowhere },
            });
        }
        let (forwards, upstreams) = servers(&said, here);
        let records = said.records.iter().flat_map(|(name, values)| records(name, values));
        let setting = Setting {
            rows: own.into_iter().chain(records).collect(),
            groups,
            forwards,
            upstreams,
            lists: lists.iter().take(LISTS).filter_map(|name| list(&said, name)).collect(),
            statistics: match said.keep {
                FilterKeep::Off => Statistics::Off,
                FilterKeep::Anonymous => Statistics::Numbers,
                FilterKeep::Full => Statistics::Names,
            },
        };
        Self { groups: said.groups.keys().cloned().collect(), lists, setting, said }
    }
}

fn members(member: FilterMember) -> Vec<Member> {
    let any = |network: Prefix| Member::Network(network.first(), network.bits());
    match member {
        FilterMember::Everybody => vec![Member::Everyone],
        FilterMember::Person(person) => vec![Member::Person(person)],
        FilterMember::Node(node) => vec![Member::Node(node)],
        FilterMember::Phone(phone) => vec![Member::Phone(*phone.as_bytes())],
        FilterMember::Phones => vec![Member::Phones],
        // Addresses are told of neighbours alone.
        FilterMember::Lan => [[0; 4].into(), [0; 16].into()].map(|at| any(Prefix::around(at, 0))).into(),
        FilterMember::Network(network) => vec![any(network)],
    }
}

/// The first is for all names that have no servers of their own.
fn servers(said: &Said, here: &[Upstream]) -> (Vec<(freehold_names::Domain, u16)>, Vec<Upstream>) {
    let read =
        |servers: &[String]| servers.iter().filter_map(|server| server.parse::<Server>().ok()).collect();
    let all = match here.first() {
        Some(here) => here.clone(),
        None => Upstream { servers: read(&said.upstreams), validate: true, ..Upstream::default() },
    };
    let (mut forwards, mut upstreams) = (Vec::new(), vec![all]);
    for (domain, servers) in &said.forwards {
        let (Ok(domain), Ok(number)) = (domain.parse(), u16::try_from(upstreams.len())) else { continue };
        forwards.push((domain, number));
        // They know names that nobody has signed, and addresses of their house.
        upstreams.push(Upstream { servers: read(servers), inside: true, ..Upstream::default() });
    }
    (forwards, upstreams)
}

fn records(name: &str, values: &[String]) -> Vec<Row> {
    let Ok(name) = name.parse::<freehold_names::Domain>() else { return Vec::new() };
    let row = |value: &String| Some(Row::Record { name: name.clone(), ttl: TTL, data: text::data(value)? });
    values.iter().filter_map(row).collect()
}

fn list(said: &Said, name: &str) -> Option<List> {
    let syntax = |number: u8| match number {
        1 => Some(Syntax::Hosts),
        2 => Some(Syntax::Domains),
        3 => Some(Syntax::Adblock),
        _ => None,
    };
    if let Some(list) = said.lists.get(name) {
        let daily = List::daily(name, Source::Url(list.url.as_str().to_owned()));
        let period = Duration::from_hours(u64::from(list.hours.max(1)));
        let sha256 = list.sha256.map(|sum| *sum.as_bytes());
        return Some(List { syntax: syntax(list.syntax), sha256, period, ..daily });
    }
    let file = said.files.0.get(name)?;
    let often = Duration::from_mins(1);
    let daily = List::daily(name, Source::File(file.path.clone()));
    Some(List { syntax: syntax(file.syntax), period: often, ..daily })
}

/// By how many minutes the clocks of a time zone are ahead of UTC then; those of this machine where it has no
/// name, or one that nobody knows here.
pub(crate) fn ahead(zone: &str, now: Millis) -> i32 {
    let zone =
        if zone.is_empty() { TimeZone::system() } else { zone_named(zone).unwrap_or(TimeZone::system()) };
    let now = i64::try_from(now.0).ok().and_then(|now| Timestamp::from_millisecond(now).ok());
    now.map_or(0, |now| zone.to_offset(now).seconds() / 60)
}

/// A time zone, as in the database of them.
pub(crate) fn zone_named(zone: &str) -> Option<TimeZone> {
    TimeZone::get(zone).ok()
}

#[cfg(test)]
mod tests;

//! A change of the filter, as rows of the directory, or why it cannot be made.

use freehold_api::{FilterChange, FilterHours, FilterKeep, FilterRule, Problem};
use freehold_names::Domain;
use freehold_names::safe::Engines;
use freehold_resolver::Server;
use freehold_seal::{DirectoryRow, FilterGroup, FilterList, FilterMember, FilterName, FilterRow};
use freehold_wire::{Bounded, Digest, Millis, Prefix, Text};

use super::text::{data, data_shown, days, minute, rule, rule_shown};
use super::{EVERYBODY, FileList, Files, LISTS, Said, zone_named};
use crate::net::called::{Called, Sort, Thing};

const NOT_CHANGED: &str = "what is said of names was not changed";
const LAN: &str = "lan";
const PHONES: &str = "phones";
/// How often a list is looked for, in hours, if nobody says.
const DAILY: u16 = 24;
/// Longer than a year is no pause.
const PAUSE_MAX: u32 = 366 * 24 * 60;

/// What a change makes.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) rows: Vec<DirectoryRow>,
    /// What this machine alone knows, if that changes.
    pub(crate) files: Option<Files>,
}

/// What is said, what things are called, and when.
pub(crate) struct Desk<'a> {
    pub(crate) said: &'a Said,
    pub(crate) called: &'a Called,
    pub(crate) now: Millis,
}

impl Desk<'_> {
    /// What a change makes.
    pub(crate) fn make(&self, change: FilterChange) -> Result<Made, Problem> {
        match change {
            FilterChange::AddList { name, source, syntax, sha256, every_hours, groups } => {
                let wish = Wish { name, source, syntax, sha256, every_hours, groups };
                self.add_list(&wish)
            }
            FilterChange::RemoveList { name } => self.remove_list(&name),
            FilterChange::SetGroup { group, members, lists, safe_search, no_such_name, zone } => {
                self.set_group(&group, (members, lists), (safe_search, no_such_name), zone)
            }
            FilterChange::RemoveGroup { group } => {
                self.there(&group)?;
                one(row("group/", &group, None))
            }
            FilterChange::SetName { name, group, rule } => self.set_name(&name, &group, rule),
            FilterChange::AddHours { group, hours } => self.add_hours(&group, &hours),
            FilterChange::ClearHours { group } => {
                let changed = FilterGroup { hours: Bounded::new(), ..self.there(&group)? };
                one(row("group/", &group, Some(FilterRow::Group(changed))))
            }
            FilterChange::Pause { group, minutes } => self.pause(group.as_deref(), minutes),
            FilterChange::SetRecord { name, values } => set_record(&name, &values),
            FilterChange::SetForward { domain, servers } => {
                let (name, kept) = (domain_of(&domain)?, servers_of(&servers)?);
                let forward = (!servers.is_empty()).then_some(FilterRow::Forward(kept));
                one(row("forward/", &name, forward))
            }
            FilterChange::SetUpstreams { servers } => {
                let kept = servers_of(&servers)?;
                one(row("upstream", "", (!servers.is_empty()).then_some(FilterRow::Upstream(kept))))
            }
            FilterChange::SetStatistics { keep } => {
                let what = match keep {
                    FilterKeep::Off => 0,
                    FilterKeep::Anonymous => 1,
                    FilterKeep::Full => 2,
                };
                one(row("statistics", "", Some(FilterRow::Statistics(what))))
            }
        }
    }

    fn add_list(&self, wish: &Wish) -> Result<Made, Problem> {
        name_of(&wish.name)?;
        let names = self.said.list_names();
        if !names.contains(&wish.name) && names.len() >= LISTS {
            return Err(wrong(format!("there are {LISTS} lists"), "freehold net filter list remove NAME"));
        }
        let everybody = [EVERYBODY.to_owned()];
        let groups = if wish.groups.is_empty() { everybody.as_slice() } else { &wish.groups };
        let mut made = Made::default();
        let syntax = syntax(wish.syntax.as_deref())?;
        let is_url = ["http://", "https://"].iter().any(|start| wish.source.starts_with(start));
        for name in groups {
            let mut group = self.group(name)?;
            let has = group.lists.iter().any(|list| list.as_str() == wish.name);
            let is_new = !self.said.groups.contains_key(name);
            if is_url && !has {
                group.lists = more(group.lists, label(&wish.name)?)?;
            }
            if is_new || (is_url && !has) {
                made.rows.push(row("group/", name, Some(FilterRow::Group(group)))?);
            }
        }
        if is_url {
            let list = FilterList {
                url: fit(&wish.source)?,
                syntax,
                sha256: wish.sha256.as_deref().map(sum).transpose()?,
                hours: wish.every_hours.unwrap_or(DAILY).max(1),
            };
            made.rows.push(row("list/", &wish.name, Some(FilterRow::List(list)))?);
        } else {
            let path = std::path::PathBuf::from(&wish.source);
            if !path.is_absolute() {
                return Err(wrong(format!("{:?} is neither a URL nor a file", wish.source), ADD_LIST));
            }
            let mut files = self.said.files.clone();
            files.0.insert(wish.name.clone(), FileList { path, syntax, groups: groups.to_vec() });
            made.files = Some(files);
        }
        Ok(made)
    }

    fn remove_list(&self, name: &str) -> Result<Made, Problem> {
        let mut made = Made::default();
        if self.said.files.0.contains_key(name) {
            let mut files = self.said.files.clone();
            files.0.remove(name);
            made.files = Some(files);
        }
        if self.said.lists.contains_key(name) {
            made.rows.push(row("list/", name, None)?);
            for (of, group) in &self.said.groups {
                if group.lists.iter().any(|list| list.as_str() == name) {
                    let lists = group.lists.iter().filter(|list| list.as_str() != name).cloned();
                    let lists = Bounded::fill(&mut lists.collect::<Vec<_>>().into_iter());
                    let group = FilterGroup { lists, ..group.clone() };
                    made.rows.push(row("group/", of, Some(FilterRow::Group(group)))?);
                }
            }
        }
        if made.rows.is_empty() && made.files.is_none() {
            return Err(absent(format!("there is no list {name}")));
        }
        Ok(made)
    }

    fn set_group(
        &self,
        name: &str,
        (members, lists): (Option<Vec<String>>, Option<Vec<String>>),
        (safe, no_name): (Option<bool>, Option<bool>),
        zone: Option<String>,
    ) -> Result<Made, Problem> {
        name_of(name)?;
        let mut group = self.said.groups.get(name).cloned().unwrap_or_default();
        match members {
            Some(members) => {
                let members =
                    members.iter().map(|typed| self.member(typed)).collect::<Result<Vec<_>, _>>()?;
                group.members = Bounded::from_vec(members).map_err(|error| too_many(&error))?;
            }
            None if group.members.is_empty() && name == EVERYBODY => group = self.group(name)?,
            None => {}
        }
        if group.members.is_empty() {
            return Err(wrong(
                format!("nobody is in the group {name}"),
                "freehold net filter group set NAME --for pad    (a machine, a person, phones, lan, 192.168.2.0/24)",
            ));
        }
        if let Some(lists) = lists {
            let known = self.said.lists.keys().collect::<Vec<_>>();
            if let Some(unknown) = lists.iter().find(|list| !known.contains(list)) {
                return Err(absent(format!("the realm has no list {unknown}")));
            }
            let lists = lists.iter().map(|list| label(list)).collect::<Result<Vec<_>, _>>()?;
            group.lists = Bounded::from_vec(lists).map_err(|error| too_many(&error))?;
        }
        if let Some(zone) = zone {
            if !zone.is_empty() && zone_named(&zone).is_none() {
                return Err(wrong(
                    format!("{zone:?} is no time zone that is known here"),
                    "such as Europe/Berlin",
                ));
            }
            group.zone = fit(&zone)?;
        }
        group.safe = safe.map_or(group.safe, |safe| if safe { Engines::ALL.0 } else { Engines::NONE.0 });
        group.no_name = no_name.unwrap_or(group.no_name);
        one(row("group/", name, Some(FilterRow::Group(group))))
    }

    fn set_name(&self, typed: &str, name: &str, wanted: Option<FilterRule>) -> Result<Made, Problem> {
        let read = rule(typed).ok_or_else(|| {
            wrong(
                format!("{typed:?} is no name"),
                "freehold net filter block ads.example    (=ads.example for it alone)",
            )
        })?;
        let (kept, mut group) = (fit::<256>(&rule_shown(&read))?, self.group(name)?);
        let before = (group.allow.clone(), group.block.clone());
        let without = |all: &Bounded<Text<256>, 256>| {
            Bounded::fill(
                &mut all.iter().filter(|one| **one != kept).cloned().collect::<Vec<_>>().into_iter(),
            )
        };
        (group.allow, group.block) = (without(&group.allow), without(&group.block));
        match wanted {
            Some(FilterRule::Allow) => group.allow = more(group.allow, kept)?,
            Some(FilterRule::Block) => group.block = more(group.block, kept)?,
            None if before == (group.allow.clone(), group.block.clone()) => {
                return Err(absent(format!("nothing is said of {typed} for {name}")));
            }
            None => {}
        }
        one(row("group/", name, Some(FilterRow::Group(group))))
    }

    fn add_hours(&self, name: &str, hours: &FilterHours) -> Result<Made, Problem> {
        let mut group = self.group(name)?;
        let next = "freehold net filter hours add GROUP --days mon-fri --from 21:00 --to 07:00";
        let read = (days(&hours.days), minute(&hours.from), minute(&hours.to));
        let (Some(days), Some(from), Some(to)) = read else {
            let why = format!("{:?} from {:?} to {:?} are no hours", hours.days, hours.from, hours.to);
            return Err(wrong(why, next));
        };
        let lists = hours.lists.as_ref().map(|lists| {
            let names = self.said.list_names();
            if let Some(unknown) = lists.iter().find(|list| !names.contains(list)) {
                return Err(absent(format!("there is no list {unknown}")));
            }
            let lists = lists.iter().map(|list| label(list)).collect::<Result<Vec<_>, _>>()?;
            Bounded::from_vec(lists).map_err(|error| too_many(&error))
        });
        let hours = freehold_seal::FilterHours { days, from, to, lists: lists.transpose()? };
        group.hours = more(group.hours, hours)?;
        one(row("group/", name, Some(FilterRow::Group(group))))
    }

    fn pause(&self, group: Option<&str>, minutes: u32) -> Result<Made, Problem> {
        if minutes > PAUSE_MAX {
            return Err(wrong("that is longer than a year", "freehold net filter group remove GROUP"));
        }
        let until = self.now.plus(Millis(u64::from(minutes) * 60_000));
        let paused_until = (minutes > 0).then_some(until);
        let groups: Vec<&str> = match group {
            Some(group) => vec![group],
            None => self.said.groups.keys().map(String::as_str).collect(),
        };
        if groups.is_empty() {
            return Err(absent("nothing is blocked for anybody"));
        }
        let paused = |name: &&str| {
            let group = FilterGroup { paused_until, ..self.there(name)? };
            row("group/", name, Some(FilterRow::Group(group)))
        };
        Ok(Made { rows: groups.iter().map(paused).collect::<Result<_, _>>()?, files: None })
    }

    /// A group; the one for everybody is made where it is needed.
    fn group(&self, name: &str) -> Result<FilterGroup, Problem> {
        if name == EVERYBODY && !self.said.groups.contains_key(name) {
            let members = Bounded::fill(&mut [FilterMember::Everybody].into_iter());
            return Ok(FilterGroup { members, ..FilterGroup::default() });
        }
        self.there(name)
    }

    fn there(&self, name: &str) -> Result<FilterGroup, Problem> {
        self.said.groups.get(name).cloned().ok_or_else(|| {
            Problem::not_found(
                format!("there is no group {name}"),
                "nobody has made it",
                Some(format!("freehold net filter group set {name} --for WHO")),
            )
        })
    }

    fn member(&self, typed: &str) -> Result<FilterMember, Problem> {
        member(self.called, typed)
    }
}

/// Who is meant: a person, machine or phone, a network, or one of the words for several.
pub(crate) fn member(called: &Called, typed: &str) -> Result<FilterMember, Problem> {
    match typed {
        EVERYBODY => return Ok(FilterMember::Everybody),
        PHONES => return Ok(FilterMember::Phones),
        LAN => return Ok(FilterMember::Lan),
        _ => {}
    }
    if let Ok(network) = typed.parse::<Prefix>() {
        return Ok(FilterMember::Network(network));
    }
    Ok(match called.meant(typed, &[Sort::Node, Sort::Person, Sort::Phone])? {
        Thing::Person(person) => FilterMember::Person(person),
        Thing::Node(node) => FilterMember::Node(node),
        Thing::Phone(phone) => FilterMember::Phone(phone),
        other => {
            return Err(Problem::bug(
                "a name led to something of another sort",
                other.to_string(),
                None::<&str>,
            ));
        }
    })
}

/// The same, as it can be typed.
pub(crate) fn member_shown(called: &Called, member: FilterMember) -> String {
    match member {
        FilterMember::Everybody => EVERYBODY.to_owned(),
        FilterMember::Phones => PHONES.to_owned(),
        FilterMember::Lan => LAN.to_owned(),
        FilterMember::Network(network) => network.to_string(),
        FilterMember::Person(person) => called.shown(Thing::Person(person)),
        FilterMember::Node(node) => called.shown(Thing::Node(node)),
        FilterMember::Phone(phone) => called.shown(Thing::Phone(phone)),
    }
}

const ADD_LIST: &str =
    "freehold net filter list add NAME https://lists.example/ads.txt    (or a file of this machine)";

struct Wish {
    name: String,
    source: String,
    syntax: Option<String>,
    sha256: Option<String>,
    every_hours: Option<u16>,
    groups: Vec<String>,
}

fn set_record(name: &str, values: &[String]) -> Result<Made, Problem> {
    let name = domain_of(name)?;
    let read = values.iter().map(|value| {
        let data = data(value).ok_or_else(|| {
            let next = "freehold net filter record set printer.home 192.168.1.9    (or \"CNAME nas.smith.internal\")";
            wrong(format!("{value:?} is no address, nor type and data of a record"), next)
        })?;
        fit::<600>(&data_shown(&data))
    });
    let kept = Bounded::from_vec(read.collect::<Result<Vec<_>, _>>()?).map_err(|error| too_many(&error))?;
    one(row("record/", &name, (!values.is_empty()).then_some(FilterRow::Records(kept))))
}

fn servers_of(typed: &[String]) -> Result<Bounded<Text<300>, 8>, Problem> {
    let read = typed.iter().map(|server| {
        let read = server.parse::<Server>();
        let next = "freehold net filter upstream tls://dns.example@192.0.2.1";
        let read = read.map_err(|error| wrong(format!("{server:?}: {error}"), next))?;
        fit(&read.to_string())
    });
    Bounded::from_vec(read.collect::<Result<_, _>>()?).map_err(|error| too_many(&error))
}

fn domain_of(typed: &str) -> Result<String, Problem> {
    let read =
        typed.parse::<Domain>().map_err(|error| wrong(error.to_string(), "write it as printer.home"))?;
    Ok(read.to_string())
}

fn syntax(typed: Option<&str>) -> Result<u8, Problem> {
    match typed {
        None => Ok(0),
        Some("hosts") => Ok(1),
        Some("domains") => Ok(2),
        Some("adblock") => Ok(3),
        Some(other) => Err(wrong(format!("{other:?} is no syntax"), "--syntax hosts, domains or adblock")),
    }
}

fn sum(typed: &str) -> Result<Digest, Problem> {
    typed
        .parse()
        .map_err(|_| wrong("a SHA-256 has 64 hex digits", "sha256sum FILE    (says what a file has)"))
}

fn name_of(typed: &str) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !typed.is_empty() && typed.len() <= 64 && typed.bytes().all(plain) {
        return Ok(());
    }
    Err(wrong(
        format!("{typed:?} is no name for a list or a group"),
        "choose up to 64 letters, digits, hyphens, dots and underscores",
    ))
}

fn label(name: &str) -> Result<FilterName, Problem> {
    name_of(name)?;
    fit(name)
}

fn fit<const N: usize>(text: &str) -> Result<Text<N>, Problem> {
    Text::new(text).map_err(|error| wrong(error.to_string(), "write it shorter"))
}

fn more<T: Clone, const N: usize>(all: Bounded<T, N>, one: T) -> Result<Bounded<T, N>, Problem> {
    let all = all.into_iter().chain([one]).collect();
    Bounded::from_vec(all).map_err(|error| too_many(&error))
}

fn too_many(error: &impl std::fmt::Display) -> Problem {
    wrong(error.to_string(), "put them into a list of your own: freehold net filter list add NAME FILE")
}

fn row(sort: &str, name: &str, row: Option<FilterRow>) -> Result<DirectoryRow, Problem> {
    Ok(DirectoryRow::Filter(fit(&format!("{sort}{name}"))?, row))
}

fn one(row: Result<DirectoryRow, Problem>) -> Result<Made, Problem> {
    Ok(Made { rows: vec![row?], files: None })
}

fn wrong(why: impl Into<String>, next: &str) -> Problem {
    Problem::invalid(NOT_CHANGED, why, Some(next))
}

fn absent(why: impl Into<String>) -> Problem {
    Problem::not_found(NOT_CHANGED, why, Some("freehold net filter status    (shows what there is)"))
}

//! The filter of names, from the API to the directory and the resolver.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use freehold_api::{
    FilterChange, FilterControl, FilterCount, FilterExplanation, FilterForward, FilterGroup,
    FilterGroupCount, FilterHour, FilterHours, FilterKeep, FilterList, FilterQuestion, FilterRecord,
    FilterServer, FilterStats, FilterStatus, Problem, words,
};
use freehold_names::{Decision, Domain, PolicyParty};
use freehold_resolver::{Frequent, ListState, Verdict};
use freehold_seal::FilterMember;

use super::{Answers, net};
use crate::clock;
use crate::net::answers::{Names, Who};
use crate::net::called;
use crate::net::called::Called;
use crate::net::filter::change::{Desk, Made, member, member_shown};
use crate::net::filter::{Compiled, EVERYBODY, Said, text};
use crate::scribe::Saying;
use crate::shared::Shared;

const NOT_CHANGED: &str = "what is said of names was not changed";
/// Lists come by then, or are said to be late.
const LISTS_WITHIN: Duration = Duration::from_secs(20);
/// Names that are shown of those that were asked for most.
const FREQUENT: usize = 20;

#[async_trait]
impl FilterControl for Answers {
    async fn filter(&self) -> Result<FilterStatus, Problem> {
        status(&self.0)
    }

    async fn change_filter(&self, change: FilterChange, dry_run: bool) -> Result<FilterStatus, Problem> {
        let changed = move |shared: Arc<Shared>| async move { set(&shared, change, dry_run).await };
        self.0.to_the_end(changed).await?;
        status(&self.0)
    }

    async fn renew_lists(&self) -> Result<FilterStatus, Problem> {
        let names = names(&self.0)?;
        let mut states = names.handle.lists();
        let before = looked(&states.borrow_and_update());
        names.handle.renew_lists().await;
        let all = async {
            while states.changed().await.is_ok() {
                let now = looked(&states.borrow_and_update());
                if before.iter().all(|(list, count)| now.get(list).is_none_or(|now| now > count)) {
                    return;
                }
            }
        };
        if !before.is_empty() {
            // What is late shows in what is told of each.
            drop(tokio::time::timeout(LISTS_WITHIN, all).await);
        }
        status(&self.0)
    }

    async fn explain_name(&self, question: FilterQuestion) -> Result<FilterExplanation, Problem> {
        explain(&self.0, &question)
    }

    async fn filter_stats(&self) -> Result<FilterStats, Problem> {
        let names = names(&self.0)?;
        Ok(stats(&names))
    }
}

fn names(shared: &Shared) -> Result<Arc<Names>, Problem> {
    shared.names.get().cloned().ok_or_else(|| {
        Problem::unreachable(
            "this node does not answer for names",
            "what it answers them with did not start",
            Some("freehold status    (says why)"),
        )
    })
}

async fn set(shared: &Shared, change: FilterChange, dry_run: bool) -> Result<(), Problem> {
    let view = shared.log.view();
    let (said, called) = (Said::heard(shared), called(shared, view.state()));
    let Made { rows, files } = Desk { said: &said, called: &called, now: clock::wall() }.make(change)?;
    if !rows.is_empty() {
        net::must_be_keeper(shared, NOT_CHANGED)?;
    }
    if files.is_some()
        && let Some(unread) = said.unread
    {
        return Err(Problem::refused(NOT_CHANGED, unread, None::<&str>));
    }
    if dry_run {
        return Ok(());
    }
    if !rows.is_empty() {
        shared.say(rows.into_iter().map(Saying::Row).collect()).await?;
    }
    if let Some(files) = files {
        let at = shared.home.filter_files();
        files.keep(&at).map_err(|error| crate::problem::home_problem(&at, &error))?;
    }
    if let Some(names) = shared.names.get() {
        names.nudge();
    }
    Ok(())
}

fn looked(states: &[ListState]) -> BTreeMap<String, u64> {
    states.iter().map(|state| (state.list.name.clone(), state.looked)).collect()
}

fn status(shared: &Shared) -> Result<FilterStatus, Problem> {
    let (names, said, view) = (names(shared)?, Said::heard(shared), shared.log.view());
    let called = called(shared, view.state());
    let states = names.handle.lists();
    let states = states.borrow().clone();
    let list = |name: String| list(&said, states.iter().find(|state| state.list.name == name), name);
    let lists = said.list_names().into_iter().map(list).collect();
    let groups = said.groups.keys().filter_map(|name| group(&said, &called, name)).collect();
    let record =
        |(name, values): (&String, &Vec<String>)| FilterRecord { name: name.clone(), values: values.clone() };
    let forward = |(domain, servers): (&String, &Vec<String>)| FilterForward {
        domain: domain.clone(),
        servers: servers.clone(),
    };
    let servers = names.handle.servers();
    let server = |state: &freehold_resolver::ServerState| FilterServer {
        server: state.server.to_string(),
        answered: state.answered,
        failed: state.failed,
        problem: state.problem.clone(),
    };
    Ok(FilterStatus {
        lists,
        groups,
        records: said.records.iter().map(record).collect(),
        forwards: said.forwards.iter().map(forward).collect(),
        upstreams: servers.first().map(|all| all.iter().map(server).collect()).unwrap_or_default(),
        upstreams_here: names.has_servers_here(),
        statistics: said.keep,
        blocked: u64::try_from(names.handle.size().0).unwrap_or(u64::MAX),
        answers_at: names.addresses(),
        troubles: names.troubles(),
    })
}

fn list(said: &Said, state: Option<&ListState>, name: String) -> FilterList {
    let (own, file) = (said.lists.get(&name), said.files.0.get(&name));
    let source = match (own, file) {
        (Some(list), _) => list.url.as_str().to_owned(),
        (None, Some(file)) => file.path.display().to_string(),
        (None, None) => String::new(),
    };
    let counts_for = |(group, of): (&String, &freehold_seal::FilterGroup)| {
        said.lists_of(group, of).contains(&name).then(|| group.clone())
    };
    let kept = state.and_then(|state| state.kept);
    let problem = state.and_then(|state| state.problem.clone());
    FilterList {
        source,
        here_only: own.is_none(),
        groups: said.groups.iter().filter_map(counts_for).collect(),
        rules: kept.map(|(counts, _)| counts.rules),
        sha256: state.and_then(|state| state.sha256.clone()),
        pinned: own.and_then(|list| list.sha256).map(|sum| sum.to_string()),
        fetched_ms: kept.map(|(_, at)| at.0),
        seen_ms: state.and_then(|state| state.seen).map(|at| at.0),
        next: problem.as_ref().map(|problem| problem.remedy().to_owned()),
        problem: problem.map(|problem| problem.to_string()),
        name,
    }
}

fn group(said: &Said, called: &Called, name: &str) -> Option<FilterGroup> {
    let group = said.groups.get(name)?;
    let texts = |all: &[freehold_wire::Text<256>]| all.iter().map(|text| text.as_str().to_owned()).collect();
    let hours = |hours: &freehold_seal::FilterHours| FilterHours {
        days: text::days_shown(hours.days),
        from: text::minute_shown(hours.from),
        to: text::minute_shown(hours.to),
        lists: hours.lists.as_ref().map(|lists| lists.iter().map(|list| list.as_str().to_owned()).collect()),
    };
    Some(FilterGroup {
        name: name.to_owned(),
        members: group.members.iter().map(|member| member_shown(called, *member)).collect(),
        lists: said.lists_of(name, group),
        allow: texts(&group.allow),
        block: texts(&group.block),
        hours: group.hours.iter().map(hours).collect(),
        zone: Some(group.zone.as_str().to_owned()).filter(|zone| !zone.is_empty()),
        safe_search: group.safe != 0,
        no_such_name: group.no_name,
        paused_until_ms: group.paused_until.filter(|until| *until > clock::wall()).map(|until| until.0),
    })
}

fn explain(shared: &Shared, question: &FilterQuestion) -> Result<FilterExplanation, Problem> {
    let names = names(shared)?;
    let view = shared.log.view();
    let called = called(shared, view.state());
    let name: Domain = question.name.parse().map_err(|error: freehold_names::DomainError| {
        let next = "freehold net filter explain ads.example --for NAME";
        Problem::invalid("this name cannot be asked for", error.to_string(), Some(next))
    })?;
    let (who, party) = party(&names.who(), &called, &question.who)?;
    let (verdict, compiled) = (names.handle.judge(&party, &name), names.compiled());
    let group = verdict.group.and_then(|place| compiled.groups.get(place)).cloned();
    let (allowed, why, next) = told(&compiled, &verdict, group.as_deref(), &name);
    Ok(FilterExplanation { name: name.to_string(), who, group, allowed, why, next })
}

/// Whoever is meant, as the resolver sees them.
fn party(who: &Who, called: &Called, typed: &str) -> Result<(String, PolicyParty), Problem> {
    let nobody = PolicyParty::default();
    if let Ok(at) = typed.parse::<std::net::IpAddr>() {
        let party = who.party(at).ok_or_else(|| {
            Problem::not_found(
                format!("who asks from {at} is refused"),
                "that is neither one of the realm nor a neighbour of this machine",
                Some(format!(
                    "freehold net filter group set NAME --for {at}/24    (makes neighbours of a network)"
                )),
            )
        })?;
        return Ok((at.to_string(), party));
    }
    let meant = member(called, typed)?;
    let shown = member_shown(called, meant);
    let party = match meant {
        FilterMember::Everybody => nobody,
        FilterMember::Person(person) => PolicyParty { person: Some(person), ..nobody },
        FilterMember::Node(node) => who.node(node),
        FilterMember::Phone(phone) => who.phone(phone),
        // One that nobody has.
        FilterMember::Phones => PolicyParty { phone: Some([0; 32]), ..nobody },
        // In no network that is narrower.
        FilterMember::Lan => PolicyParty { address: Some([255; 4].into()), ..nobody },
        FilterMember::Network(network) => PolicyParty { address: Some(network.first()), ..nobody },
    };
    Ok((shown, party))
}

/// Whether it is answered as it is, why, and what to type to have it otherwise.
fn told(
    compiled: &Compiled,
    verdict: &Verdict,
    group: Option<&str>,
    name: &Domain,
) -> (bool, String, Option<String>) {
    if verdict.is_ours {
        let why = "it is answered here: a name of the realm, a record that was set, or one that must not leave the house";
        return (true, why.to_owned(), None);
    }
    let of = group.unwrap_or(EVERYBODY);
    let said = group.and_then(|group| compiled.said.groups.get(group));
    let covers = |(shape, own): &(freehold_names::Shape, Domain)| match shape {
        freehold_names::Shape::Exact => own == name,
        freehold_names::Shape::Under => name.is_within(own),
    };
    let rule = |all: Option<&[freehold_wire::Text<256>]>| {
        let all = all.unwrap_or_default().iter().filter_map(|text| text::rule(text.as_str()));
        all.filter(covers).max_by_key(|(_, own)| own.depth()).map(|rule| text::rule_shown(&rule))
    };
    match verdict.decision {
        Decision::Block(hit) => {
            let allow = Some(format!("freehold net filter allow {name} --for {of}"));
            if hit.lists == 0 {
                let rule = rule(said.map(|group| &*group.block)).unwrap_or_default();
                let next = format!("freehold net filter forget {rule} --for {of}");
                return (false, format!("blocked for {of}, who block {rule} themselves"), Some(next));
            }
            let has = |place: &usize| hit.lists & (1 << place) != 0;
            let lists = (0..compiled.lists.len().min(32)).filter(has);
            let lists: Vec<&str> =
                lists.filter_map(|place| compiled.lists.get(place)).map(String::as_str).collect();
            let labels = name.to_string();
            let labels: Vec<&str> = labels.split('.').collect();
            let rule = labels.get(labels.len().saturating_sub(hit.depth)..).unwrap_or(&[]).join(".");
            (false, format!("blocked for {of}: {rule} is in the list {}", lists.join(", ")), allow)
        }
        Decision::Refuse => (
            false,
            format!("at this hour nothing is answered for {of} but what is allowed"),
            Some(format!("freehold net filter allow {name} --for {of}")),
        ),
        Decision::Rewrite(to, _) => (
            false,
            format!("answered as {to} for {of}, whose searches are strict"),
            Some(format!("freehold net filter group set {of} --safe-search no")),
        ),
        Decision::Ask(server) => {
            let paused = said.and_then(|group| group.paused_until).filter(|until| *until > clock::wall());
            let why = if let Some(until) = paused {
                format!("passes: the filter of {of} pauses until {}", words::date(until.0))
            } else if let Some(rule) = rule(said.map(|group| &*group.allow)) {
                format!("passes: {rule} is allowed for {of}")
            } else if group.is_none() {
                "passes: nothing is blocked for them".to_owned()
            } else {
                format!("passes: nothing that counts for {of} now has it")
            };
            let asked = compiled.setting.upstreams.get(usize::from(server));
            let is_asked = asked.is_some_and(|upstream| !upstream.servers.is_empty());
            if is_asked {
                return (true, why, None);
            }
            let next = "freehold net filter upstream tls://dns.example@192.0.2.1";
            (true, format!("{why}; but nobody is asked for names of the internet"), Some(next.to_owned()))
        }
    }
}

fn stats(names: &Names) -> FilterStats {
    let (compiled, handle) = (names.compiled(), &names.handle);
    let hour = |(hours_ago, counts): &(u64, freehold_resolver::Counts)| FilterHour {
        hours_ago: *hours_ago,
        asked: counts.total(),
        blocked: counts.blocked,
        here: counts.local + counts.rewritten + counts.cached,
        others: counts.asked,
        failed: counts.failed,
    };
    let all = compiled.groups.iter().map(|name| Some(name.clone())).chain([None]);
    let groups = all.enumerate().map(|(place, group)| {
        let hours = handle.counts(Some(place));
        let asked = hours.iter().map(|(_, counts)| counts.total()).sum();
        FilterGroupCount { group, asked, blocked: hours.iter().map(|(_, counts)| counts.blocked).sum() }
    });
    let counts = |all: Frequent| {
        all.into_iter().map(|(name, count)| FilterCount { name: name.to_string(), count }).collect::<Vec<_>>()
    };
    FilterStats {
        statistics: compiled.said.keep,
        hours: handle.counts(None).iter().map(hour).collect(),
        groups: groups.filter(|group| group.asked > 0).collect(),
        blocked: counts(handle.frequent(true, FREQUENT)),
        passed: if compiled.said.keep == FilterKeep::Full {
            counts(handle.frequent(false, FREQUENT))
        } else {
            Vec::new()
        },
    }
}

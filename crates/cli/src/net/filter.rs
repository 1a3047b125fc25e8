//! `freehold net filter`: which names are blocked, for whom and when.

pub(crate) mod args;

use freehold_api::words::{count, date, span};
use freehold_api::{
    Client, FilterChange, FilterCount, FilterExplanation, FilterGroup, FilterHours, FilterKeep, FilterList,
    FilterQuestion, FilterRule, FilterStats, FilterStatus, Problem,
};

use self::args::{
    FilterCommand, ForwardCommand, GroupCommand, GroupSetArgs, HoursCommand, ListAddArgs, ListCommand,
    NameArgs, RecordCommand,
};
use super::{NONE, OWN};
use crate::ask::show;
use crate::key::now_ms;
use crate::terminal::Terminal;

pub(crate) async fn filter(
    terminal: Terminal,
    client: &Client,
    command: FilterCommand,
) -> Result<(), Problem> {
    match command {
        FilterCommand::Status => {
            let status = client.filter().await?;
            show(terminal, &status, self::status)
        }
        FilterCommand::List { command: ListCommand::Refresh } => {
            let status = client.renew_lists().await?;
            show(terminal, &status, |status| lists(status).join("\n"))
        }
        FilterCommand::Explain { name, who } => {
            let told = client.explain_name(&FilterQuestion { name, who }).await?;
            show(terminal, &told, explanation)
        }
        FilterCommand::Stats => {
            let stats = client.filter_stats().await?;
            show(terminal, &stats, self::stats)
        }
        other => {
            let (change, dry_run) = change(other)?;
            let now = client.change_filter(&change, dry_run).await?;
            if dry_run {
                terminal.done(false, "What is said of names would be changed so.");
                return Ok(());
            }
            show(terminal, &now, status)
        }
    }
}

/// What a command changes, and whether it is only a trial.
fn change(command: FilterCommand) -> Result<(FilterChange, bool), Problem> {
    Ok(match command {
        FilterCommand::List { command: ListCommand::Add(wish) } => add_list(wish)?,
        FilterCommand::List { command: ListCommand::Remove { name, dry_run } } => {
            (FilterChange::RemoveList { name }, dry_run)
        }
        FilterCommand::Group { command } => group(command),
        FilterCommand::Allow(wish) => set_name(wish, Some(FilterRule::Allow)),
        FilterCommand::Block(wish) => set_name(wish, Some(FilterRule::Block)),
        FilterCommand::Forget(wish) => set_name(wish, None),
        FilterCommand::Hours { command: HoursCommand::Add { group, days, from, to, lists, dry_run } } => {
            (FilterChange::AddHours { group, hours: FilterHours { days, from, to, lists } }, dry_run)
        }
        FilterCommand::Hours { command: HoursCommand::Clear { group, dry_run } } => {
            (FilterChange::ClearHours { group }, dry_run)
        }
        FilterCommand::Pause { minutes, group, dry_run } => (FilterChange::Pause { group, minutes }, dry_run),
        FilterCommand::Record { command: RecordCommand::Set { name, values, dry_run } } => {
            (FilterChange::SetRecord { name, values }, dry_run)
        }
        FilterCommand::Record { command: RecordCommand::Remove { name, dry_run } } => {
            (FilterChange::SetRecord { name, values: Vec::new() }, dry_run)
        }
        FilterCommand::Forward { command: ForwardCommand::Set { domain, servers, dry_run } } => {
            (FilterChange::SetForward { domain, servers }, dry_run)
        }
        FilterCommand::Forward { command: ForwardCommand::Remove { domain, dry_run } } => {
            (FilterChange::SetForward { domain, servers: Vec::new() }, dry_run)
        }
        FilterCommand::Upstream { servers, dry_run } => {
            (FilterChange::SetUpstreams { servers: but_none(servers) }, dry_run)
        }
        FilterCommand::Statistics { keep, dry_run } => {
            (FilterChange::SetStatistics { keep: keep.into() }, dry_run)
        }
        FilterCommand::Status
        | FilterCommand::Explain { .. }
        | FilterCommand::Stats
        | FilterCommand::List { command: ListCommand::Refresh } => {
            return Err(Problem::bug("nothing was changed", "that is no change", None::<&str>));
        }
    })
}

fn add_list(wish: ListAddArgs) -> Result<(FilterChange, bool), Problem> {
    let ListAddArgs { name, source, groups, syntax, sha256, every, dry_run } = wish;
    let is_url = ["http://", "https://"].iter().any(|start| source.starts_with(start));
    let source = if is_url {
        source
    } else {
        let found = std::fs::canonicalize(&source).map_err(|error| {
            Problem::invalid(
                "no list was added",
                format!("{source:?} is no URL, and as a file: {error}"),
                Some("freehold net filter list add NAME https://lists.example/ads.txt"),
            )
        })?;
        found.display().to_string()
    };
    Ok((FilterChange::AddList { name, source, syntax, sha256, every_hours: Some(every), groups }, dry_run))
}

fn group(command: GroupCommand) -> (FilterChange, bool) {
    match command {
        GroupCommand::Set(wish) => {
            let GroupSetArgs { group, members, lists, safe_search, no_such_name, zone, dry_run } = wish;
            let (lists, zone) =
                (lists.map(but_none), zone.map(|zone| if zone == OWN { String::new() } else { zone }));
            (FilterChange::SetGroup { group, members, lists, safe_search, no_such_name, zone }, dry_run)
        }
        GroupCommand::Remove { group, dry_run } => (FilterChange::RemoveGroup { group }, dry_run),
    }
}

fn set_name(wish: NameArgs, rule: Option<FilterRule>) -> (FilterChange, bool) {
    let NameArgs { name, group, dry_run } = wish;
    (FilterChange::SetName { name, group, rule }, dry_run)
}

fn but_none(typed: Vec<String>) -> Vec<String> {
    if typed == [NONE] { Vec::new() } else { typed }
}

fn status(status: &FilterStatus) -> String {
    let mut out = vec![format!(
        "{} blocked by {}; names are answered at {}",
        count(status.blocked, "name"),
        count(status.lists.len() as u64, "list"),
        if status.answers_at.is_empty() { "no address".to_owned() } else { status.answers_at.join(", ") }
    )];
    out.extend(status.troubles.iter().map(|trouble| format!("  ! {trouble}")));
    out.extend(lists(status));
    out.extend(status.groups.iter().flat_map(group_lines));
    let record = |name: &str, values: &[String]| format!("  {name:<24} {}", values.join(", "));
    out.extend(status.records.iter().map(|of| record(&of.name, &of.values)));
    out.extend(
        status.forwards.iter().map(|of| format!("  {:<24} asked of {}", of.domain, of.servers.join(", "))),
    );
    if status.upstreams.is_empty() {
        out.push(
            "  nobody is asked for the internet's names: freehold net filter upstream SERVER".to_owned(),
        );
    }
    for server in &status.upstreams {
        let problem = server.problem.as_ref().map(|why| format!("; FAILS: {why}")).unwrap_or_default();
        let here = if status.upstreams_here { ", as this node was started" } else { "" };
        let answers = count(server.answered, "answer");
        out.push(format!("  asks {}{here}: {answers}, {} failed{problem}", server.server, server.failed));
    }
    out.push(format!("  counts {}", kept(status.statistics)));
    out.join("\n")
}

const fn kept(keep: FilterKeep) -> &'static str {
    match keep {
        FilterKeep::Off => "nothing",
        FilterKeep::Anonymous => "how much is asked, and no names",
        FilterKeep::Full => "how much is asked, and the names that are asked for most",
    }
}

fn lists(status: &FilterStatus) -> Vec<String> {
    status.lists.iter().flat_map(list_lines).collect()
}

fn list_lines(list: &FilterList) -> Vec<String> {
    let groups = if list.groups.is_empty() { "nobody".to_owned() } else { list.groups.join(", ") };
    let here = if list.here_only { ", on this machine alone" } else { "" };
    let mut out = vec![format!("  list {:<12} {}, for {groups}{here}", list.name, list.source)];
    let sum = list.sha256.as_ref().and_then(|sum| sum.get(..16)).unwrap_or("?");
    out.push(match (list.rules, list.fetched_ms) {
        (Some(rules), Some(at)) => {
            let seen = list.seen_ms.map(|seen| format!(", seen {} ago", span(now_ms().saturating_sub(seen))));
            let pinned = if list.pinned.is_some() { ", pinned" } else { "" };
            let rules = count(rules, "rule");
            format!(
                "  {:<17} {rules}, of {}, SHA-256 {sum}...{pinned}{}",
                "",
                date(at),
                seen.unwrap_or_default()
            )
        }
        _ => format!("  {:<17} not here yet", ""),
    });
    out.extend(list.problem.as_ref().map(|why| {
        let next = list.next.as_deref().unwrap_or("freehold net filter list refresh");
        format!("  {:<17} ! {why}: {next}", "")
    }));
    out
}

fn group_lines(group: &FilterGroup) -> Vec<String> {
    let mut out = vec![format!("  group {:<11} for {}", group.name, group.members.join(", "))];
    let mut say = |text: String| out.push(format!("  {:<17} {text}", ""));
    for (word, names) in [("blocks", &group.block), ("allows", &group.allow), ("lists", &group.lists)] {
        if !names.is_empty() {
            say(format!("{word} {}", names.join(", ")));
        }
    }
    for hours in &group.hours {
        let what = match &hours.lists {
            Some(lists) => format!("{} too", lists.join(", ")),
            None => "nothing but what is allowed".to_owned(),
        };
        let zone = group.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
        say(format!("{} from {} to {}{zone}: {what}", hours.days, hours.from, hours.to));
    }
    if group.safe_search {
        say("strict searches".to_owned());
    }
    if group.no_such_name {
        say("a blocked name does not exist".to_owned());
    }
    if let Some(until) = group.paused_until_ms {
        say(format!("PAUSES until {}", date(until)));
    }
    out
}

fn explanation(told: &FilterExplanation) -> String {
    let FilterExplanation { name, who, group, allowed, why, next } = told;
    let verdict = if *allowed { "passes" } else { "BLOCKED" };
    let group = group.as_ref().map(|group| format!(", in the group {group}")).unwrap_or_default();
    let mut out = vec![format!("{name} for {who}{group}: {verdict}"), format!("  {why}")];
    out.extend(next.as_ref().map(|next| format!("  to change it: {next}")));
    out.join("\n")
}

fn stats(stats: &FilterStats) -> String {
    let mut out = vec![format!("counted is {}", kept(stats.statistics))];
    for hour in &stats.hours {
        let when = if hour.hours_ago == 0 {
            "this hour".to_owned()
        } else {
            format!("{} hours ago", hour.hours_ago)
        };
        let (asked, blocked) = (hour.asked, hour.blocked);
        let (here, others, failed) = (hour.here, hour.others, hour.failed);
        out.push(format!("  {when:<14} {asked:>8} asked, {blocked} blocked, {here} known, {others} of others, {failed} failed"));
    }
    for group in &stats.groups {
        let name = group.group.as_deref().unwrap_or("(in no group)");
        out.push(format!("  {name:<14} {:>8} asked, {} blocked", group.asked, group.blocked));
    }
    let names = |title: &str, all: &[FilterCount]| {
        let line = |of: &FilterCount| format!("  {:>8}  {}", of.count, of.name);
        let title = (!all.is_empty()).then(|| title.to_owned());
        title.into_iter().chain(all.iter().map(line)).collect::<Vec<_>>()
    };
    out.extend(names("blocked most:", &stats.blocked));
    out.extend(names("passed most:", &stats.passed));
    out.join("\n")
}

//! How backups and targets stand, in lines.

use std::collections::BTreeSet;

use freehold_api::words::{self, bytes, count, span};
use freehold_api::{
    BackupFound, BackupHit, BackupKeep, BackupKept, BackupSnapshot, BackupStanding, BackupStatus,
    BackupTarget, BackupUpkeep, Backups,
};

use super::{entry, progress};

pub(super) fn target_line(target: &BackupTarget) -> String {
    let pace = target.pace.map_or_else(String::new, |pace| format!(", at most {} in a second", bytes(pace)));
    format!("  {:<16} target, at {}{pace}", target.name, target.place)
}

/// What lies at a target that was there before, at a time in milliseconds since 1970.
pub(super) fn adopted(there: &[BackupSnapshot], now_ms: u64) -> String {
    let made = there.iter().map(|one| one.made_ms);
    let Some((oldest, newest)) = made.clone().min().zip(made.max()) else {
        return "the backup that is there goes on".to_owned();
    };
    let machines: BTreeSet<&str> = there.iter().map(|one| one.machine.as_str()).collect();
    let machines: Vec<&str> = machines.into_iter().collect();
    let ago = |made: u64| span(now_ms.saturating_sub(made));
    format!(
        "the backup that is there goes on: {} of {}, the oldest from {} ago, the newest from {} ago",
        count(there.len() as u64, "snapshot"),
        machines.join(", "),
        ago(oldest),
        ago(newest),
    )
}

fn kept_here(one: &BackupKept) -> String {
    let newest = one.ago_ms.map_or_else(String::new, |ago| format!(", the newest came {} ago", span(ago)));
    format!("  {:<16} backs up to this machine: {}{newest}", one.machine, count(one.snapshots, "snapshot"))
}

/// What is done about a target besides backups.
fn upkeep(target: &BackupTarget) -> Vec<String> {
    let BackupUpkeep { thinned, next_thinning_in_ms, checked, all_checked_ms, next_check_in_ms } =
        &target.upkeep;
    let soon = |next: &Option<u64>| match next {
        Some(0) => "; next soon".to_owned(),
        Some(next) => format!("; next in {}", span(*next)),
        None => String::new(),
    };
    let mut out = Vec::new();
    if let Some(checked) = checked {
        let part = match checked.part {
            0 => "every byte".to_owned(),
            part => format!("part {part} of {}", checked.of),
        };
        let how = match (&checked.why, checked.damaged) {
            (Some(why), _) => format!("could not be checked: {why}"),
            (None, 0) => "checked, and good".to_owned(),
            (None, damaged) => format!("! {} found", count(damaged, "damaged place")),
        };
        let all = all_checked_ms.filter(|_| checked.part > 0);
        let all = all.map(|ms| format!("; every byte within {}", span(ms))).unwrap_or_default();
        out.push(format!("{part} {how} {} ago{all}{}", span(checked.ago_ms), soon(next_check_in_ms)));
        out.extend(checked.named.iter().take(3).map(|named| format!("! {named}")));
    } else if next_check_in_ms.is_some() {
        out.push(format!("not checked yet{}", soon(next_check_in_ms)));
    }
    if let Some(thinned) = thinned {
        let how = match &thinned.why {
            Some(why) => format!("old snapshots could not be forgotten: {why}"),
            None => format!("{} forgotten", count(thinned.forgotten, "old snapshot")),
        };
        out.push(format!("{how} {} ago{}", span(thinned.ago_ms), soon(next_thinning_in_ms)));
    }
    out.iter().map(|line| format!("    {:<14} {line}", "")).collect()
}

/// How many snapshots stay, in words.
pub(super) fn kept(keep: &BackupKeep) -> String {
    if keep.is_everything() {
        return "keeps every snapshot".to_owned();
    }
    let BackupKeep { last, hourly, daily, weekly, monthly, yearly } = *keep;
    let counts = [
        (last, "last"),
        (hourly, "hourly"),
        (daily, "daily"),
        (weekly, "weekly"),
        (monthly, "monthly"),
        (yearly, "yearly"),
    ];
    let named = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
    format!("keeps {}", named.collect::<Vec<_>>().join(", "))
}

pub(super) fn list(all: &Backups) -> String {
    if all.targets.is_empty() && all.kept.is_empty() {
        return "  none yet: freehold backup target add NAME PATH".to_owned();
    }
    let both = |target: &BackupTarget| [vec![target_line(target)], upkeep(target)].concat();
    let mut out: Vec<String> =
        all.kept.iter().map(kept_here).chain(all.targets.iter().flat_map(both)).collect();
    if all.backups.is_empty() {
        out.push("  nothing is backed up yet: freehold backup add NAME PATH --to TARGET".to_owned());
    }
    out.extend(all.backups.iter().flat_map(lines_of));
    out.join("\n")
}

/// What was found, and what brings the first of it back.
pub(super) fn found(found: &BackupFound, target: Option<&str>) -> String {
    let Some(first) = found.found.first() else {
        return "  nothing of that name".to_owned();
    };
    let line = |hit: &BackupHit| {
        let id = hit.snapshot.id.get(..8).unwrap_or(&hit.snapshot.id);
        let others = match hit.snapshots {
            0 | 1 => String::new(),
            all => format!(", and {} before", words::thousands(all - 1)),
        };
        format!("{}\n  {:>10}  in {id}, {}{others}", entry(&hit.entry), "", words::date(hit.snapshot.made_ms))
    };
    let mut out: Vec<String> = found.found.iter().map(line).collect();
    if found.more {
        out.push(format!("  and more: only the first {} are shown", out.len()));
    }
    let id = first.snapshot.id.get(..8).unwrap_or(&first.snapshot.id);
    let from = target.map(|target| format!(" --from {}", words::typed(target))).unwrap_or_default();
    let path = words::typed(&first.entry.path);
    out.push(format!("  It comes back with: freehold backup restore {path} --snapshot {id}{from} --to DIR"));
    out.join("\n")
}

pub(super) fn lines_of(made: &BackupStatus) -> Vec<String> {
    let without = match made.exclude.as_slice() {
        [] => String::new(),
        patterns => format!(", without {}", patterns.join(", ")),
    };
    let every = span(made.every_ms);
    let metered = if made.on_metered { ", over metered networks too" } else { "" };
    let typed: Vec<_> = made.command.iter().map(|word| words::typed(word)).collect();
    let printed = Some(typed.join(" ")).filter(|typed| !typed.is_empty());
    let printed = printed.map(|typed| format!(", which is what {typed} prints")).unwrap_or_default();
    let mut out = vec![format!(
        "  {:<16} {}{without}{printed}, every {every}{metered}; {}",
        made.name,
        made.paths.join(", "),
        kept(&made.keep)
    )];
    for at in &made.to {
        out.push(format!("    {:<14} {}", at.target, standing(at)));
        out.extend(at.why.iter().map(|why| format!("    {:<14} {why}", "")));
        let missing = at.last.iter().flat_map(|last| &last.named).take(3);
        out.extend(missing.map(|named| format!("    {:<14} not in it: {named}", "")));
        out.extend(at.alarms.iter().map(|alarm| format!("    {:<14} ! it {alarm}", "")));
    }
    out
}

pub(super) fn standing(at: &BackupStanding) -> String {
    let mut parts = Vec::new();
    match &at.last {
        Some(last) => parts.push(format!(
            "{} ago: {}, {}, of which {} new",
            span(last.ago_ms),
            count(last.files, "file"),
            bytes(last.bytes),
            bytes(last.added)
        )),
        None => parts.push("not made yet".to_owned()),
    }
    if let Some(told) = at.running {
        parts.push(format!("running, {}", progress(told)));
    }
    if at.failed > 0 {
        parts.push(format!("{} failed since", count(at.failed.into(), "run")));
    }
    if let Some(next) = at.next_in_ms.filter(|next| *next > 0) {
        parts.push(format!("next in {}", span(next)));
    }
    if let Some(waits) = &at.waits_for {
        parts.push(format!("waits for {waits}"));
    }
    if at.held {
        parts.push("nothing is forgotten until it is accepted".to_owned());
    }
    if let Some(tried) = &at.tried {
        let how = if tried.good { "came back" } else { "DID NOT ALL COME BACK" };
        let (files, of) = (words::thousands(tried.files), count(tried.of, "file"));
        parts.push(format!("{files} of {of} {how} on trial {} ago", span(tried.ago_ms)));
    }
    if let Some(tried) = &at.tried_whole {
        let how = if tried.good { "all" } else { "NOT ALL" };
        let files = count(tried.of, "file");
        let why =
            tried.why.first().filter(|_| !tried.good).map(|why| format!(" ({why})")).unwrap_or_default();
        parts.push(format!("of everything {how} of {files} came back {} ago{why}", span(tried.ago_ms)));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests;

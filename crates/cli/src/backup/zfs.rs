//! `freehold backup zfs`: datasets, as one file declares them.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use freehold_api::words::{count, span};
use freehold_api::{Client, Problem, ZfsAsked, ZfsBackup, ZfsDeclaration, ZfsKept, ZfsStatus, ZfsTarget};

use super::args::ZfsCommand;
use crate::ask::show;
use crate::terminal::Terminal;

/// How often it is asked how far a round is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// No declaration is longer.
const FILE_MAX: u64 = 256 << 10;

pub(super) async fn zfs(terminal: Terminal, client: &Client, command: ZfsCommand) -> Result<(), Problem> {
    match command {
        ZfsCommand::Apply { file, dry_run } => {
            let wish = ZfsDeclaration { text: text(&file)?, dry_run };
            show(terminal, &client.apply_zfs(&wish).await?, |status| {
                let applied = if dry_run {
                    "  It would come to this; nothing was changed."
                } else {
                    "  It holds from now on."
                };
                format!("{}\n{applied}", lines(status))
            })
        }
        ZfsCommand::Status => show(terminal, &client.zfs().await?, lines),
        ZfsCommand::Now => now(terminal, client).await,
    }
}

fn text(file: &Path) -> Result<String, Problem> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| {
        let why = format!("cannot read {}: {error}", file.display());
        Problem::invalid("nothing was applied", why, Some("freehold backup zfs apply FILE"))
    })?;
    Ok(text)
}

async fn now(terminal: Terminal, client: &Client) -> Result<(), Problem> {
    let asked = client.zfs_now().await?;
    let status = loop {
        let status = client.zfs().await?;
        if asked.iter().all(|asked| is_over(asked, &status)) {
            break status;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    show(terminal, &status, lines)?;
    let targets = status.backups.iter().flat_map(|backup| &backup.targets);
    let wrong: Vec<String> = targets
        .flat_map(|target| target.datasets.iter().map(move |dataset| (target, dataset)))
        .filter_map(|(target, dataset)| {
            Some(format!("{} at {}: {}", dataset.name, target.name, dataset.why.as_ref()?))
        })
        .chain(status.backups.iter().filter_map(|backup| backup.why.clone()))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let what = format!("{} not sent as declared", count(wrong.len() as u64, "dataset"));
    let next = "set right what it says, then: freehold backup zfs now";
    Err(Problem::refused(what, wrong.join("; "), Some(next)))
}

fn is_over(asked: &ZfsAsked, status: &ZfsStatus) -> bool {
    let backup = status.backups.iter().find(|backup| backup.name == asked.backup);
    let target = backup.and_then(|backup| backup.targets.iter().find(|target| target.name == asked.target));
    target.is_none_or(|target| target.answered >= asked.question)
}

fn lines(status: &ZfsStatus) -> String {
    let Some(mark) = &status.declaration else {
        let none = "  nothing is declared: freehold backup zfs apply FILE".to_owned();
        return status.why.as_ref().map_or(none, |why| format!("  {why}"));
    };
    let head = format!("  declaration {mark}: each machine that it names shows the same mark");
    let sent = status.backups.iter().flat_map(sent);
    let kept = status.kept.iter().map(kept);
    [head].into_iter().chain(sent).chain(kept).collect::<Vec<_>>().join("\n")
}

fn sent(backup: &ZfsBackup) -> Vec<String> {
    let below = if backup.children { " and all below it" } else { "" };
    let except = match backup.except.as_slice() {
        [] => String::new(),
        out => format!(", but for {}", out.join(" and ")),
    };
    let next = backup.next_in_ms.map(|ms| format!("; next look in {}", span(ms))).unwrap_or_default();
    let every = span(backup.every_ms);
    let mut lines =
        vec![format!("  {}: {}{below}{except}, every {every}{next}", backup.name, backup.dataset)];
    lines.extend(backup.why.iter().map(|why| format!("    {why}")));
    for target in &backup.targets {
        lines.push(format!("    to {} ({}: {}){}", target.name, target.machine, target.place, how(target)));
        for dataset in &target.datasets {
            let newest = dataset.newest_ago_ms.map(|ms| format!("has what was there {} ago", span(ms)));
            let stands = match (&dataset.why, newest) {
                (Some(why), Some(newest)) => format!("{why}; it {newest}"),
                (Some(why), None) => why.clone(),
                (None, newest) => newest.unwrap_or_default(),
            };
            let mark = if dataset.why.is_some() { "!" } else { " " };
            lines.push(format!("    {mark} {}: {stands}", dataset.name));
        }
    }
    lines
}

fn how(target: &ZfsTarget) -> String {
    match target.ago_ms {
        _ if target.running => ", under way".to_owned(),
        Some(ago) => format!(", looked at {} ago", span(ago)),
        None => ", not looked at yet".to_owned(),
    }
}

fn kept(kept: &ZfsKept) -> String {
    let came = kept
        .came_ago_ms
        .map_or_else(|| "nothing has come yet".to_owned(), |ms| format!("the newest came {} ago", span(ms)));
    let why = kept.why.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
    format!("  {} of {} is kept in {}: {came}{why}", kept.backup, kept.machine, kept.place)
}

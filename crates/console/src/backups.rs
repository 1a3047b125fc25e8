//! What of this machine is backed up, to which targets, and whether it would come back.

pub(crate) mod look;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use freehold_api::words::{count, thousands};
use freehold_api::{
    BackupKept, BackupProgress, BackupStanding, BackupStatus, BackupTarget, BackupTrial, Backups, Finding,
    Level, Status,
};

use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words::{self, Mark, bytes};

#[derive(Template)]
#[template(path = "backups.html")]
struct Page {
    frame: Frame,
    machine: String,
    alarms: Vec<Finding>,
    all: Backups,
}

impl Page {
    fn is_empty(&self) -> bool {
        self.all.targets.is_empty() && self.all.backups.is_empty()
    }

    fn place(&self, target: &str) -> &str {
        self.all.targets.iter().find(|known| known.name == target).map_or("", |known| known.place.as_str())
    }

    /// How many backups go to a target.
    fn going_to(&self, target: &BackupTarget) -> String {
        let goes = |backup: &&BackupStatus| backup.to.iter().any(|at| at.target == target.name);
        let pace =
            target.pace.map_or_else(String::new, |pace| format!(", at most {} in a second", bytes(pace)));
        match self.all.backups.iter().filter(goes).count() as u64 {
            0 => "nothing is backed up to it".to_owned(),
            n => format!("{} {} to it{pace}", count(n, "backup"), freehold_api::words::verb(n, "goes", "go")),
        }
    }
}

/// What somebody has to hear of, in the words of the status; what it does not tell of is told by its target.
fn alarms(findings: &[Finding], all: &Backups) -> Vec<Finding> {
    let of_backups = |found: &&Finding| {
        found.level != Level::Good
            && (found.what.starts_with("the backup ")
                || found.next.as_ref().is_some_and(|next| next.contains("freehold backup ")))
    };
    let mut told: Vec<Finding> = findings.iter().filter(of_backups).cloned().collect();
    for backup in &all.backups {
        for at in &backup.to {
            let named = format!("the backup {} on {} ", backup.name, at.target);
            let untold = at.alarms.iter().map(|alarm| format!("{named}{alarm}"));
            let untold: Vec<String> =
                untold.filter(|what| !told.iter().any(|found| found.what == *what)).collect();
            let next = format!("freehold backup now {}", freehold_api::words::typed(&backup.name));
            told.extend(untold.into_iter().map(|what| Finding {
                level: Level::Alarm,
                what,
                why: at.why.clone().unwrap_or_default(),
                next: Some(next.clone()),
            }));
        }
    }
    told
}

/// How a backup stands at a target. A target that is merely not there is no cause for alarm.
pub(crate) fn mark(at: &BackupStanding) -> Mark {
    if !at.alarms.is_empty() {
        return Mark { tone: "bad", word: "Needs attention" };
    }
    match (&at.running, &at.last) {
        (Some(_), _) => Mark { tone: "quiet", word: "Under way" },
        (None, None) if at.why.is_some() => Mark { tone: "quiet", word: "Waits for its target" },
        (None, None) => Mark { tone: "wait", word: "Not made yet" },
        (None, Some(_)) if at.failed > 0 || at.why.is_some() => {
            Mark { tone: "quiet", word: "Waits for its target" }
        }
        (None, Some(_)) => match &at.tried {
            Some(tried) if tried.good => Mark { tone: "good", word: "Restores" },
            _ => Mark { tone: "good", word: "Backed up" },
        },
    }
}

/// How a backup stands everywhere, which is how it stands where it stands worst; one good target is enough to be
/// quiet about one that is away.
pub(crate) fn worst(backup: &BackupStatus) -> Mark {
    let marks: Vec<Mark> = backup.to.iter().map(mark).collect();
    let of = |tone: &str| marks.iter().copied().find(|mark| mark.tone == tone);
    let none = Mark { tone: "quiet", word: "Goes nowhere" };
    of("bad").or_else(|| of("wait")).or_else(|| of("good")).or_else(|| of("quiet")).unwrap_or(none)
}

/// The program whose output it is, without where that lies and what it is told.
pub(crate) fn program(backup: &BackupStatus) -> Option<&str> {
    backup.command.first().map(|program| program.rsplit('/').next().unwrap_or(program))
}

/// `every hour`, `every 6 hours`.
pub(crate) fn every(ms: u64) -> String {
    let span = words::span(ms);
    format!("every {}", span.strip_prefix("1 ").unwrap_or(&span))
}

/// The last run that succeeded, in short.
pub(crate) fn last(at: &BackupStanding) -> String {
    at.last.as_ref().map_or_else(|| "none yet".to_owned(), |last| words::ago(last.ago_ms))
}

/// What it covers, and what of that was new.
pub(crate) fn size(at: &BackupStanding) -> Option<String> {
    let last = at.last.as_ref()?;
    let unread = match last.unread {
        0 => String::new(),
        unread => format!("; {} could not be read", count(unread, "file")),
    };
    Some(format!(
        "{} in {}, {} of it new in the last run{unread}",
        bytes(last.bytes),
        count(last.files, "file"),
        bytes(last.added)
    ))
}

/// When the next run begins, or how far one is.
pub(crate) fn next(at: &BackupStanding) -> String {
    match (at.running, at.next_in_ms) {
        (Some(BackupProgress { done, total: 0 }), _) => format!("under way, {} so far", bytes(done)),
        (Some(told), _) => format!("under way, {} of {}", bytes(told.done), bytes(told.total)),
        (None, Some(0)) => "at any moment".to_owned(),
        (None, Some(ms)) if at.why.is_some() => format!("tried again in {}", words::span(ms)),
        (None, Some(ms)) => format!("in {}", words::span(ms)),
        (None, None) => "not known".to_owned(),
    }
}

/// What the last trial to restore found.
pub(crate) fn trial(tried: &BackupTrial) -> String {
    let ago = words::ago(tried.ago_ms);
    let (files, of) = (thousands(tried.files), count(tried.of, "file"));
    if tried.good {
        return format!("{ago}: {files} of {of}, taken at random, came back as they were");
    }
    let why = tried.why.first().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{ago}: not all came back{why}")
}

/// What another machine keeps here.
pub(crate) fn kept(kept: &BackupKept) -> String {
    let snapshots = count(kept.snapshots, "snapshot");
    match kept.ago_ms {
        Some(ms) => format!("{snapshots}, the newest {}", words::ago(ms)),
        None => snapshots,
    }
}

/// In a sentence, for a list of backups: where its newest snapshots are.
pub(crate) fn in_short(backup: &BackupStatus) -> String {
    let each = backup.to.iter().map(|at| match (&at.running, &at.last) {
        (Some(_), None) => format!("on {} for the first time just now", at.target),
        (_, Some(last)) => format!("on {} {}", at.target, words::ago(last.ago_ms)),
        (None, None) => format!("not yet on {}", at.target),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// What this machine is called.
fn machine(status: &Status) -> String {
    let machine = status.nodes.iter().find(|node| node.id == status.this_node);
    machine.map_or_else(|| "this machine".to_owned(), |node| node.name.clone())
}

pub(crate) async fn show(State(console): State<Console>, theme: Theme) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let all = console.client.backups_of_files().await?;
    let alarms = alarms(&status.alarms, &all);
    let machine = machine(&status);
    Ok(page(&Page { frame: Frame::new(theme, Place::Backups, &status), machine, alarms, all }))
}

#[cfg(test)]
mod tests;

//! Files of which somebody knows a part of the name.

use askama::Template;
use axum::extract::{Path as InPath, RawQuery, State};
use axum::response::Response;
use freehold_api::words::{count, date};
use freehold_api::{BackupEntryKind, BackupFound, BackupHit, BackupRoot, BackupSought, Problem};

use super::path::value;
use super::{Path, dates_href, href};
use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words;

struct Line {
    path: String,
    href: String,
    download: Option<String>,
    size: String,
    made: String,
}

#[derive(Template)]
#[template(path = "look_found.html")]
struct Page {
    frame: Frame,
    target: String,
    dates: String,
    sought: String,
    found: Vec<Line>,
    more: bool,
    unread: Vec<String>,
    problem: Option<Problem>,
}

impl Page {
    fn find(&self) -> String {
        format!("{}/find", self.dates)
    }

    fn sought(&self) -> &str {
        &self.sought
    }
}

fn line(hit: &BackupHit) -> Line {
    let root = BackupRoot { snapshot: hit.snapshot.clone(), tree: String::new() };
    let path = Path::from_bytes(hit.entry.path.as_bytes());
    let is_file = hit.entry.kind == BackupEntryKind::File;
    let what = if is_file { "/view" } else { "" };
    Line {
        path: hit.entry.path.clone(),
        // What is neither a file nor a folder is seen in its folder.
        href: match hit.entry.kind {
            BackupEntryKind::File | BackupEntryKind::Dir => href(&root, what, &path),
            BackupEntryKind::Link | BackupEntryKind::Other => href(&root, "", &path.above()),
        },
        download: is_file.then(|| href(&root, "/file", &path)),
        size: if is_file { words::bytes(hit.entry.size) } else { String::new() },
        made: match hit.snapshots {
            0 | 1 => date(hit.snapshot.made_ms),
            n => format!("{}, and in {} before", date(hit.snapshot.made_ms), count(n - 1, "snapshot")),
        },
    }
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    InPath(target): InPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let sought = value(query.as_deref(), "q").unwrap_or_default();
    let sought = String::from_utf8_lossy(&sought).trim().to_owned();
    let wish = BackupSought { pattern: sought.clone(), target: Some(target.clone()), snapshot: None };
    let found =
        if sought.is_empty() { Ok(BackupFound::default()) } else { console.client.seek_backup(&wish).await };
    let (found, problem) = match found {
        Ok(found) => (found, None),
        Err(problem) => (BackupFound::default(), Some(problem)),
    };
    let seen = console.client.status().await?;
    let code = crate::fault::status(problem.as_ref());
    let mut made = page(&Page {
        frame: Frame::new(theme, Place::Backups, &seen),
        dates: dates_href(&target),
        target,
        sought,
        found: found.found.iter().map(line).collect(),
        more: found.more,
        unread: found.unread,
        problem,
    });
    *made.status_mut() = code;
    Ok(made)
}

//! The snapshots of a target by their dates.

use askama::Template;
use axum::extract::{Path as InPath, State};
use axum::response::Response;
use freehold_api::words::count;
use freehold_api::{BackupLook, BackupRoot};

use super::{Path, dates_href, href};
use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words;

/// The snapshots of a day, the newest first.
struct Day {
    date: String,
    snapshots: Vec<Line>,
}

struct Line {
    time: String,
    href: String,
    machine: String,
    paths: String,
    size: String,
}

#[derive(Template)]
#[template(path = "look_dates.html")]
struct Page {
    frame: Frame,
    target: String,
    days: Vec<Day>,
}

impl Page {
    fn dates(&self) -> String {
        dates_href(&self.target)
    }

    #[expect(clippy::unused_self, reason = "the template asks each page")]
    const fn sought(&self) -> &'static str {
        ""
    }

    fn find(&self) -> String {
        format!("{}/find", dates_href(&self.target))
    }
}

/// Where one begins: at what was backed up, where that is one thing.
fn first(root: &BackupRoot) -> Path {
    match root.snapshot.paths.as_slice() {
        [only] => Path::from_bytes(only.as_bytes()),
        _ => Path::default(),
    }
}

fn line(root: &BackupRoot) -> Line {
    let snapshot = &root.snapshot;
    let date = freehold_api::words::date(snapshot.made_ms);
    let files = snapshot.files.map(|files| count(files, "file"));
    let size = snapshot.bytes.map(words::bytes);
    Line {
        time: date.split_once(' ').map_or_else(|| date.clone(), |(_, time)| time.to_owned()),
        href: href(root, "", &first(root)),
        machine: snapshot.machine.clone(),
        paths: snapshot.paths.join(", "),
        size: [files, size].into_iter().flatten().collect::<Vec<_>>().join(", "),
    }
}

fn days(roots: &[BackupRoot]) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    for root in roots.iter().rev() {
        let date = words::day(root.snapshot.made_ms);
        match days.last_mut() {
            Some(day) if day.date == date => day.snapshots.push(line(root)),
            _ => days.push(Day { date, snapshots: vec![line(root)] }),
        }
    }
    days
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    InPath(target): InPath<String>,
) -> Result<Response, Fault> {
    let wish = BackupLook { target: Some(target), newest: true };
    let open = console.client.look_into_backups(&wish).await?;
    let status = console.client.status().await?;
    let days = days(&open.snapshots);
    Ok(page(&Page { frame: Frame::new(theme, Place::Backups, &status), target: open.target, days }))
}

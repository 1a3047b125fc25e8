//! The first page: what needs attention, whether everything is safe, and a place to put a photo.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use freehold_api::{BackupStatus, ChecklistItem, Status};

use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::notice::Told;
use crate::routes::Console;
use crate::words::{self, Mark};

#[derive(Template)]
#[template(path = "home.html")]
struct Page {
    frame: Frame,
    status: Status,
    mark: Mark,
    sentence: String,
    under: String,
    nodes: u64,
    backups: Vec<BackupStatus>,
}

impl Page {
    fn is_empty(&self) -> bool {
        self.status.buckets.iter().all(|bucket| bucket.objects == 0)
    }

    fn left(&self) -> usize {
        self.status.checklist.iter().filter(|item| !item.done).count()
    }

    /// Where the console can help with an item itself.
    fn help(&self, item: &ChecklistItem) -> Option<(&'static str, &'static str)> {
        match item.id.as_str() {
            "second-node" if words::elsewhere(&self.status).is_none() => {
                Some(("/nodes/invite", "invite a machine"))
            }
            "guardians-tested" => Some(("/realm#guardians", "test a phrase")),
            _ => None,
        }
    }
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    Query(told): Query<Told>,
) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let (mark, sentence, under) = words::overall(&status);
    let frame = Frame::new(theme, Place::Home, &status).with_notice(told.text());
    let nodes = words::storage_nodes(&status);
    // What is wrong with them, as that nobody can read which there are, is among the alarms.
    let backups = console.client.backups_of_files().await.map(|all| all.backups).unwrap_or_default();
    Ok(page(&Page { frame, status, mark, sentence, under, nodes, backups }))
}

//! What changed, write by write: watchers are told in order, and go on where they were.

use std::sync::Arc;
use std::time::Duration;

use freehold_wire::Millis;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::KvError;
use crate::database::Database;
use crate::plane::Follower;
use crate::read::View;
use crate::rows;
use crate::step::Step;

/// How many writes back a watcher can begin.
pub(crate) const KEPT: u64 = 100_000;
/// How often it is looked what has come from another node, and how often that may fail.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const TRIES: u32 = 20;
/// How many are read at once.
const PAGE: usize = 256;

/// One change. A value is not told: whoever wants it reads what is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key; with a collection, the id of its document.
    pub key: String,
    /// The collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// It is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// What one write changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The write's number.
    #[serde(skip)]
    pub number: u64,
    /// When, by the writer's clock.
    pub at_ms: u64,
    /// What.
    pub changes: Vec<Change>,
}

/// Events in order, without end.
pub type Changes = BoxStream<'static, Result<Event, KvError>>;

/// Puts a write's changes into it.
pub(crate) fn note(step: &Step<'_>, changes: Vec<Change>) -> Result<(), KvError> {
    if changes.is_empty() {
        return Ok(());
    }
    let event = Event { number: step.number, at_ms: step.now.0, changes };
    let bytes = serde_json::to_vec(&event).map_err(|_| KvError::Row)?;
    step.put(&rows::event(step.number), &bytes)?;
    match step.number.checked_sub(KEPT) {
        Some(old) => step.delete(&rows::event(old)),
        None => Ok(()),
    }
}

impl Database {
    /// Tells what changes after a write; after the last one if none is named.
    pub(crate) fn watch(self: Arc<Self>, after: Option<u64>) -> Result<Changes, KvError> {
        let mut durable = self.durable.subscribe();
        let now = *durable.borrow_and_update();
        let after = after.unwrap_or(now);
        not_too_old(now, after)?;
        let begin = (self, durable, after);
        let pages = futures::stream::try_unfold(begin, |(database, durable, after)| async move {
            let mut durable = durable;
            if !wait_beyond(&database, &mut durable, after).await {
                return Ok(None);
            }
            let end = *durable.borrow();
            let (events, reached) = page(&database.view(), after, end).await?;
            Ok::<_, KvError>(Some((
                futures::stream::iter(events.into_iter().map(Ok)),
                (database, durable, reached),
            )))
        });
        Ok(pages.try_flatten().boxed())
    }
}

/// Tells what changes in another node's database, as it comes.
pub(crate) async fn follow(follower: Arc<Follower>, after: Option<u64>) -> Result<Changes, KvError> {
    let now = last(&follower.view()).await?;
    let after = after.unwrap_or(now);
    not_too_old(now, after)?;
    let pages = futures::stream::try_unfold((follower, after), |(follower, after)| async move {
        let mut failed = 0;
        loop {
            match news(&follower, after).await {
                Ok(Some((events, reached))) => {
                    let events = futures::stream::iter(events.into_iter().map(Ok));
                    return Ok::<_, KvError>(Some((events, (follower, reached))));
                }
                Ok(None) => failed = 0,
                // What it was reading has gone: soon it looks at what is there now.
                Err(_) if failed < TRIES => failed += 1,
                Err(error) => return Err(error),
            }
            let closed = follower.reader.status().close_reason.is_some();
            tokio::select! {
                biased;
                () = follower.stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(LOOK_EVERY), if !closed => {}
                else => return Ok(None),
            }
        }
    });
    Ok(pages.try_flatten().boxed())
}

async fn news(follower: &Follower, after: u64) -> Result<Option<(Vec<Event>, u64)>, KvError> {
    let view = follower.view();
    let end = last(&view).await?;
    if end <= after { Ok(None) } else { page(&view, after, end).await.map(Some) }
}

/// The number of the last write in a view.
async fn last(view: &View<'_>) -> Result<u64, KvError> {
    view.get(rows::LAST).await?.map_or(Ok(0), |bytes| rows::number(&bytes))
}

fn not_too_old(now: u64, after: u64) -> Result<(), KvError> {
    let oldest = now.saturating_sub(KEPT.saturating_sub(1));
    if after.saturating_add(1) < oldest { Err(KvError::TooOld(oldest)) } else { Ok(()) }
}

/// Waits for a durable write; says whether there will be any.
async fn wait_beyond(database: &Database, durable: &mut watch::Receiver<u64>, after: u64) -> bool {
    tokio::select! {
        biased;
        () = database.stop.cancelled() => false,
        found = durable.wait_for(|last| *last > after) => found.is_ok(),
    }
}

/// Some events after one number up to another, and how far they reach.
async fn page(view: &View<'_>, after: u64, end: u64) -> Result<(Vec<Event>, u64), KvError> {
    let first = rows::event(after.saturating_add(1));
    let mut rows = view.scan(first, Some(rows::event(end.saturating_add(1))), false).await?;
    let mut events = Vec::new();
    while let Some(row) = rows.next().await? {
        let mut event: Event = serde_json::from_slice(&row.value).map_err(|_| KvError::Row)?;
        event.number = rows::number(row.key.get(1..).unwrap_or_default())?;
        events.push(event);
        if events.len() >= PAGE {
            let reached = events.last().map_or(end, |event| event.number);
            return Ok((events, reached));
        }
    }
    Ok((events, end))
}

/// The time of the last write in a view, by its writer's clock.
pub(crate) async fn last_time(view: &View<'_>) -> Result<Option<Millis>, KvError> {
    let mut rows = view.scan(rows::event(0), Some(rows::event(u64::MAX)), true).await?;
    let Some(row) = rows.next().await? else { return Ok(None) };
    let event: Event = serde_json::from_slice(&row.value).map_err(|_| KvError::Row)?;
    Ok(Some(Millis(event.at_ms)))
}

//! What has an end is let go in time: documents with their index rows, in writes like any other, and
//! transactions that nobody ended.

use std::sync::Arc;
use std::time::Duration;

use freehold_wire::Millis;

use crate::database::Database;
use crate::rows::{self, Stamped};
use crate::{KvError, document};

/// Documents in one step.
const BATCH: usize = 200;
/// After a failure, and at least so often: a clock can be set.
const AGAIN: Duration = Duration::from_mins(1);

/// Works until the database closes.
pub(crate) async fn run(database: Arc<Database>) {
    loop {
        let wait = match all(&database).await {
            Ok(next) => next.map_or(AGAIN, |at| Duration::from_millis(at.since(rows::now()).0)).min(AGAIN),
            Err(error) => {
                tracing::warn!(%error, database = %database.bucket.id().short(), "what has ended stays for now");
                AGAIN
            }
        };
        tokio::select! {
            biased;
            () = database.stop.cancelled() => return,
            () = database.ending.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Lets go of what has ended; says when something ends next.
async fn all(database: &Database) -> Result<Option<Millis>, KvError> {
    let lapses = database.transactions.lapse(rows::now());
    let ends = loop {
        match first(database).await? {
            Some(at) if at <= rows::now() => some(database).await?,
            next => break next,
        }
    };
    Ok([lapses, ends].into_iter().flatten().min())
}

async fn first(database: &Database) -> Result<Option<Millis>, KvError> {
    let mut found = database.decided().scan(vec![rows::ENDS], Some(vec![rows::ENDS + 1]), false).await?;
    let Some(row) = found.next().await? else { return Ok(None) };
    rows::read_end(&row.key).map(|(at, ..)| Some(at))
}

/// Removes some documents whose time is over.
async fn some(database: &Database) -> Result<(), KvError> {
    let mut step = database.step().await?;
    let over = rows::end(Millis(step.now.0.saturating_add(1)), "", "");
    let mut found = database.decided().scan(vec![rows::ENDS], Some(over), false).await?;
    let mut due = Vec::new();
    while due.len() < BATCH
        && let Some(row) = found.next().await?
    {
        due.push(row.key);
    }
    for key in due {
        let (at, collection, id) = rows::read_end(&key)?;
        step.delete(&key)?;
        let row = step.get(&freehold_documents::document_key(&collection, &id)).await?;
        if row.map(Stamped::decode_any).transpose()?.is_some_and(|row| row.expires == Some(at)) {
            document::put(&mut step, &collection, &id, None).await?;
        }
    }
    step.commit().await.map(drop)
}

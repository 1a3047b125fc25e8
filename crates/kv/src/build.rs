//! Indexes over documents that are there already are made in the background, some documents at a
//! time, beside everything else; writes keep the index from the moment it is declared.

use std::sync::Arc;

use freehold_documents::{KeyRange, document_range, id_of_document, index_range};

use crate::KvError;
use crate::database::Database;
use crate::document::{Declared, IndexState, collections, insert, weigh};
use crate::rows::{self, Stamped};
use crate::step::Step;

/// Documents or rows in one step.
const BATCH: usize = 200;

/// Works until the database closes.
pub(crate) async fn run(database: Arc<Database>) {
    loop {
        tokio::select! {
            biased;
            () = database.stop.cancelled() => return,
            () = database.work.notified() => {}
        }
        let stopped = database.stop.clone();
        tokio::select! {
            biased;
            () = stopped.cancelled() => return,
            done = all(&database) => if let Err(error) = done {
                tracing::warn!(%error, database = %database.bucket.id().short(), "an index waits to be built");
            }
        }
    }
}

async fn all(database: &Database) -> Result<(), KvError> {
    for collection in collections(&database.view()).await? {
        for index in &collection.indexes {
            while batch(database, &collection.name, &index.spec.name).await? {}
        }
    }
    Ok(())
}

/// Does some of what an index needs; says whether there is more.
async fn batch(database: &Database, collection: &str, name: &str) -> Result<bool, KvError> {
    let mut step = database.step().await?;
    let mut declared = Declared::read(step.get(&rows::collection(collection)).await?)?;
    let Some(at) = declared.indexes.iter().position(|index| index.spec.name == name) else {
        return Ok(false);
    };
    let Some(index) = declared.indexes.get(at).cloned() else { return Ok(false) };
    let more = match &index.state {
        IndexState::Whole | IndexState::Failed { .. } => return Ok(false),
        IndexState::Dropping => {
            let gone = drop_rows(database, &step, &index_range(collection, index.number)).await?;
            if !gone {
                step.delete(&rows::texts(collection, index.number))?;
                declared.indexes.remove(at);
            }
            gone
        }
        IndexState::Building { looked_at, to } => {
            let (state, more) = match build(database, &mut step, collection, &index, to.as_deref()).await {
                Ok((0, _)) => (IndexState::Whole, false),
                Ok((some, to)) => (IndexState::Building { looked_at: looked_at + some, to }, true),
                Err(error @ (KvError::Unique { .. } | KvError::Fits(_))) => {
                    // Nothing of this step may stay.
                    drop(step);
                    return fail(database, collection, name, &error).await;
                }
                Err(error) => return Err(error),
            };
            if let Some(index) = declared.indexes.get_mut(at) {
                index.state = state;
            }
            more
        }
    };
    declared.keep(&step, collection)?;
    step.commit().await?;
    Ok(more)
}

async fn fail(database: &Database, collection: &str, name: &str, error: &KvError) -> Result<bool, KvError> {
    let step = database.step().await?;
    let mut declared = Declared::read(step.get(&rows::collection(collection)).await?)?;
    if let Some(index) = declared.indexes.iter_mut().find(|index| index.spec.name == name) {
        index.state = IndexState::Failed { why: error.to_string() };
    }
    declared.keep(&step, collection)?;
    step.commit().await?;
    Ok(false)
}

/// Puts the next documents in; says how many, and the last. Nobody writes meanwhile, and all that
/// was decided before is to be seen.
async fn build(
    database: &Database,
    step: &mut Step<'_>,
    collection: &str,
    index: &crate::document::Index,
    after: Option<&str>,
) -> Result<(u64, Option<String>), KvError> {
    let KeyRange { start, end } = document_range(collection);
    let start = after.map_or(start, |id| {
        let mut key = freehold_documents::document_key(collection, id);
        key.push(0);
        key
    });
    let mut found = database.decided().scan(start, end, false).await?;
    let (mut some, mut last) = (0, after.map(str::to_owned));
    while let Some(row) = found.next().await? {
        let id = id_of_document(&row.key).ok_or(KvError::Row)?;
        if let Some(row) = Stamped::decode(row.value, step.now)? {
            let document = serde_json::from_slice(&row.value).map_err(|_| KvError::Row)?;
            let rows = index.spec.rows(collection, index.number, &id, &document)?;
            weigh(step, collection, index, &rows, &rows).await?;
            insert(step, collection, index, &id, &rows).await?;
        }
        some += 1;
        last = Some(id);
        if some >= BATCH as u64 {
            break;
        }
    }
    Ok((some, last))
}

/// Removes some rows; says whether there were any.
async fn drop_rows(database: &Database, step: &Step<'_>, range: &KeyRange) -> Result<bool, KvError> {
    let mut found = database.decided().scan(range.start.clone(), range.end.clone(), false).await?;
    let mut some = 0;
    while let Some(row) = found.next().await? {
        step.delete(&row.key)?;
        some += 1;
        if some >= BATCH {
            break;
        }
    }
    Ok(some > 0)
}

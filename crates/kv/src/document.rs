//! Documents and their indexes: every write of a document writes its index rows in the same commit.

use std::collections::BTreeSet;

use bytes::Bytes;
use freehold_documents::{Corpus, IndexSpec, Posting, Row, SCORE, document_key};
use freehold_wire::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::KvError;
use crate::database::Database;
use crate::feed::Change;
use crate::read::View;
use crate::rows::{self, DOCUMENT_MAX, Stamped};
use crate::step::Step;

const COLLECTION_MAX: usize = 64;
const ID_MAX: usize = 512;
const INDEXES_MAX: usize = 32;
/// What documents are given out with.
const GIVEN: [&str; 3] = ["$id", "$version", SCORE];

/// How an index is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// It answers queries.
    Whole,
    /// Documents that were there before are being put in.
    Building {
        /// How many have been looked at.
        looked_at: u64,
        /// The last of them.
        to: Option<String>,
    },
    /// It cannot be: of these documents not both can be in it.
    Failed {
        /// Why.
        why: String,
    },
    /// Its rows are being removed.
    Dropping,
}

/// An index as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) number: u32,
    pub(crate) spec: IndexSpec,
    pub(crate) state: IndexState,
}

/// What is declared of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Declared {
    pub(crate) next: u32,
    pub(crate) indexes: Vec<Index>,
}

/// An index as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexStatus {
    /// What was declared.
    pub spec: IndexSpec,
    /// How it is.
    pub state: IndexState,
}

/// A collection as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// Documents in it.
    pub documents: u64,
    /// Its indexes.
    pub indexes: Vec<IndexStatus>,
}

impl Declared {
    pub(crate) fn read(bytes: Option<Bytes>) -> Result<Self, KvError> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|_| KvError::Row)
    }

    pub(crate) fn keep(&self, step: &Step<'_>, collection: &str) -> Result<(), KvError> {
        let bytes = serde_json::to_vec(self).map_err(|_| KvError::Row)?;
        step.put(&rows::collection(collection), &bytes)
    }

    pub(crate) fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.spec.name == name)
    }

    /// Those that a plan may use.
    pub(crate) fn whole(&self) -> impl Iterator<Item = (u32, &IndexSpec)> {
        let whole = self.indexes.iter().filter(|index| index.state == IndexState::Whole);
        whole.map(|index| (index.number, &index.spec))
    }

    /// Those that a write must keep.
    fn kept(&self) -> impl Iterator<Item = &Index> {
        let kept = |index: &&Index| matches!(index.state, IndexState::Whole | IndexState::Building { .. });
        self.indexes.iter().filter(kept)
    }
}

pub(crate) fn check_names(collection: &str, id: &str) -> Result<(), KvError> {
    let plain = collection.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !plain || collection.is_empty() || collection.len() > COLLECTION_MAX {
        return Err(KvError::Invalid("a collection is called by 1 to 64 letters, digits, _, - and ."));
    }
    if id.is_empty() || id.len() > ID_MAX {
        return Err(KvError::Invalid("a document's id has 1 to 512 bytes"));
    }
    Ok(())
}

pub(crate) fn check(document: &Value) -> Result<(), KvError> {
    let Some(fields) = document.as_object() else {
        return Err(KvError::Invalid("a document is a JSON object"));
    };
    if fields.keys().any(|name| name.starts_with('$') && !GIVEN.contains(&name.as_str())) {
        return Err(KvError::Invalid("names of fields that begin with $ are taken"));
    }
    if serde_json::to_vec(document).map_or(usize::MAX, |bytes| bytes.len()) > DOCUMENT_MAX {
        return Err(KvError::Invalid("a document has at most 256 KiB"));
    }
    Ok(())
}

/// A document as it is stored: what it is called stands in its key.
fn plain(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(fields) = document.as_object_mut() {
        for name in GIVEN {
            fields.remove(name);
        }
    }
    document
}

/// A stored document as it is given out and asked about.
pub(crate) fn shown(id: &str, row: &Stamped) -> Result<Value, KvError> {
    let mut document: Value = serde_json::from_slice(&row.value).map_err(|_| KvError::Row)?;
    let fields = document.as_object_mut().ok_or(KvError::Row)?;
    fields.insert("$id".to_owned(), id.into());
    fields.insert("$version".to_owned(), row.version.into());
    Ok(document)
}

/// A document to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New<'a> {
    pub(crate) document: &'a Value,
    /// For how long.
    pub(crate) lasting: Option<Millis>,
}

/// Puts a document in the place of the one that is there, or deletes it.
pub(crate) async fn put(
    step: &mut Step<'_>,
    collection: &str,
    id: &str,
    new: Option<New<'_>>,
) -> Result<(), KvError> {
    let key = document_key(collection, id);
    // One whose time is over still has its rows.
    let before = step.get(&key).await?.map(Stamped::decode_any).transpose()?;
    if before.is_none() && new.is_none() {
        return Ok(());
    }
    let declared = Declared::read(step.get(&rows::collection(collection)).await?)?;
    let old = before.as_ref().map(|row| serde_json::from_slice::<Value>(&row.value)).transpose();
    let old = old.map_err(|_| KvError::Row)?;
    let bare = new.map(|new| plain(new.document));
    for index in declared.kept() {
        let rows_of = |document: &Value| index.spec.rows(collection, index.number, id, document);
        let old = old.as_ref().map(rows_of).transpose()?.unwrap_or_default();
        let new = bare.as_ref().map(rows_of).transpose()?.unwrap_or_default();
        weigh(step, collection, index, &old, &new).await?;
        for row in old.difference(&new) {
            step.delete(&row.key)?;
        }
        insert(step, collection, index, id, new.difference(&old)).await?;
    }
    let expires = new.and_then(|new| new.lasting).map(|lasting| Millis(step.now.0.saturating_add(lasting.0)));
    let ended = before.as_ref().and_then(|row| row.expires);
    if let Some(old) = ended.filter(|_| ended != expires) {
        step.delete(&rows::end(old, collection, id))?;
    }
    if let Some(end) = expires {
        step.put(&rows::end(end, collection, id), b"")?;
    }
    let count = rows::count(collection);
    let there = step.get(&count).await?.map_or(Ok(0), |bytes| rows::number(&bytes))?;
    match &bare {
        Some(new) => {
            let bytes = serde_json::to_vec(new).map_err(|_| KvError::Row)?;
            step.stamp_document(&key, bytes.into(), expires)?;
        }
        None => step.delete(&key)?,
    }
    let now = there.saturating_sub(u64::from(before.is_some())) + u64::from(bare.is_some());
    step.put(&count, &now.to_be_bytes())?;
    let deleted = bare.is_none();
    step.changed(Change { key: id.to_owned(), collection: Some(collection.to_owned()), deleted });
    Ok(())
}

/// Keeps count of the text in an index of words, of which a document has some rows in the place of
/// others. Those before count only if they are there: it may be just being built.
pub(crate) async fn weigh(
    step: &Step<'_>,
    collection: &str,
    index: &Index,
    before: &BTreeSet<Row>,
    after: &BTreeSet<Row>,
) -> Result<(), KvError> {
    if !index.spec.text {
        return Ok(());
    }
    let words = |rows: &BTreeSet<Row>| {
        let first = rows.first().and_then(|row| Posting::decode(&row.value));
        first.map_or((0, 0), |posting| (1, u64::from(posting.of)))
    };
    let was = match before.first() {
        Some(row) if step.get(&row.key).await?.is_some() => words(before),
        _ => (0, 0),
    };
    let is = words(after);
    if was == is {
        return Ok(());
    }
    let key = rows::texts(collection, index.number);
    let Corpus { documents, words } = rows::corpus(step.get(&key).await?)?;
    let documents = documents.saturating_sub(was.0).saturating_add(is.0);
    let words = words.saturating_sub(was.1).saturating_add(is.1);
    step.put(&key, &[documents.to_be_bytes(), words.to_be_bytes()].concat())
}

/// Puts rows into an index, unless another document has one of them.
pub(crate) async fn insert<'a>(
    step: &mut Step<'_>,
    collection: &str,
    index: &Index,
    id: &str,
    rows: impl IntoIterator<Item = &'a Row> + Send,
) -> Result<(), KvError> {
    let rows: Vec<&Row> = rows.into_iter().collect();
    for row in rows {
        if index.spec.unique
            && !row.value.is_empty()
            && let Some(owner) = step.get(&row.key).await?
            && owner != row.value
        {
            let other = String::from_utf8_lossy(&owner).into_owned();
            if step.stamped(&document_key(collection, &other)).await?.is_some() {
                tracing::debug!(index = index.spec.name, id, other, "a unique index refuses");
                return Err(KvError::Unique { index: index.spec.name.clone(), id: other });
            }
            // Its time is over, though nobody has removed it yet.
            Box::pin(put(step, collection, &other, None)).await?;
        }
        step.put(&row.key, &row.value)?;
    }
    Ok(())
}

impl Database {
    /// Declares an index. What is there is put into it in the background.
    pub(crate) async fn add_index(&self, collection: &str, spec: IndexSpec) -> Result<(), KvError> {
        check_names(collection, "-")?;
        spec.check()?;
        let step = self.step().await?;
        let mut declared = Declared::read(step.get(&rows::collection(collection)).await?)?;
        if declared.index(&spec.name).is_some() {
            return Err(KvError::Index("the collection has an index of that name"));
        }
        if declared.indexes.len() >= INDEXES_MAX {
            return Err(KvError::Index("a collection has at most 32 indexes"));
        }
        let state = IndexState::Building { looked_at: 0, to: None };
        declared.indexes.push(Index { number: declared.next, spec, state });
        declared.next = declared.next.saturating_add(1);
        declared.keep(&step, collection)?;
        step.commit().await?;
        self.work.notify_one();
        Ok(())
    }

    /// Drops an index. Its rows go in the background.
    pub(crate) async fn drop_index(&self, collection: &str, name: &str) -> Result<(), KvError> {
        let step = self.step().await?;
        let mut declared = Declared::read(step.get(&rows::collection(collection)).await?)?;
        let index = declared.indexes.iter_mut().find(|index| index.spec.name == name);
        let index = index.ok_or(KvError::Index("the collection has no index of that name"))?;
        index.state = IndexState::Dropping;
        declared.keep(&step, collection)?;
        step.commit().await?;
        self.work.notify_one();
        Ok(())
    }
}

/// The collections of a view.
pub(crate) async fn collections(view: &View<'_>) -> Result<Vec<Collection>, KvError> {
    let mut names = BTreeSet::new();
    for space in [rows::COLLECTIONS, rows::COUNTS] {
        let mut found = view.scan(vec![space], Some(vec![space + 1]), false).await?;
        while let Some(row) = found.next().await? {
            let name = row.key.get(1..).and_then(|name| std::str::from_utf8(name).ok());
            names.insert(name.ok_or(KvError::Row)?.to_owned());
        }
    }
    let mut all = Vec::new();
    for name in names {
        let declared = Declared::read(view.get(&rows::collection(&name)).await?)?;
        let documents = view.get(&rows::count(&name)).await?.map_or(Ok(0), |bytes| rows::number(&bytes))?;
        let indexes = declared.indexes.into_iter();
        let indexes = indexes.map(|index| IndexStatus { spec: index.spec, state: index.state }).collect();
        all.push(Collection { name, documents, indexes });
    }
    Ok(all)
}

//! Reading: one key, ranges of keys, documents, and queries, of what is durable now, of a snapshot,
//! or on a node that does not write.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use freehold_documents::{
    Access, Cursor, Flow, KeyRange, Page, Plan, Run, SCORE, document_key, id_of_document, id_of_row, parse,
    plan, posting_of_row, rank,
};
use serde_json::Value;
use slatedb::config::{DurabilityLevel, ReadOptions, ScanOptions};
use slatedb::{Db, DbIterator, DbReader, DbSnapshot, IterationOrder};

use crate::KvError;
use crate::document::{self, Declared};
use crate::rows::{self, Stamped};
use crate::write::check_key;

/// Items on a page at most.
const ITEMS_MAX: usize = 1000;
/// Bytes on a page, roughly.
const PAGE_BYTES: usize = 4 << 20;

/// What is read.
pub(crate) enum View<'a> {
    /// What is durable now.
    Now(&'a Db),
    /// What was decided, though it may not be durable yet.
    Decided(&'a Db),
    /// What was there at one moment.
    At(&'a DbSnapshot),
    /// What has come from the writer.
    Behind(&'a DbReader),
}

impl crate::database::Database {
    /// What was decided: for whoever decides.
    pub(crate) const fn decided(&self) -> View<'_> {
        View::Decided(&self.db)
    }
}

impl View<'_> {
    const fn durability(&self) -> DurabilityLevel {
        match self {
            Self::Decided(_) => DurabilityLevel::Memory,
            _ => DurabilityLevel::Remote,
        }
    }

    pub(crate) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        let options = ReadOptions::default().with_durability_filter(self.durability());
        let got = match self {
            Self::Now(db) | Self::Decided(db) => db.get_with_options(key, &options).await,
            Self::At(snapshot) => snapshot.get_with_options(key, &options).await,
            Self::Behind(reader) => reader.get_with_options(key, &options).await,
        };
        Ok(got?)
    }

    pub(crate) async fn scan(
        &self,
        start: Vec<u8>,
        end: Option<Vec<u8>>,
        reverse: bool,
    ) -> Result<DbIterator, KvError> {
        let order = if reverse { IterationOrder::Descending } else { IterationOrder::Ascending };
        let options =
            ScanOptions { order, ..ScanOptions::default() }.with_durability_filter(self.durability());
        let range = (Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded));
        let rows = match self {
            Self::Now(db) | Self::Decided(db) => db.scan_with_options(range, &options).await,
            Self::At(snapshot) => snapshot.scan_with_options(range, &options).await,
            Self::Behind(reader) => reader.scan_with_options(range, &options).await,
        };
        Ok(rows?)
    }

    pub(crate) async fn stamped(&self, key: &[u8]) -> Result<Option<Stamped>, KvError> {
        match self.get(key).await? {
            Some(bytes) => Stamped::decode(bytes, rows::now()),
            None => Ok(None),
        }
    }
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// The write that put it.
    pub version: u64,
    /// Its end, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

/// Which keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Only keys that begin so.
    pub prefix: String,
    /// Only keys from here on, itself included.
    pub from: Option<String>,
    /// Only keys before this one.
    pub to: Option<String>,
    /// Only keys beyond this one: where the page before ended.
    pub after: Option<String>,
    /// From the last to the first.
    pub reverse: bool,
    /// At most so many, up to 1000.
    pub limit: usize,
}

/// A page of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// The items, in order.
    pub items: Vec<Item>,
    /// Give this as `after` to go on.
    pub next: Option<String>,
}

/// What a transaction has put over what is there: a value, or that it is gone.
pub(crate) type Over = BTreeMap<String, Option<Item>>;

/// A page that is being filled.
struct Filling {
    page: ScanPage,
    bytes: usize,
    limit: usize,
}

impl Filling {
    /// Takes the next item, if there is one; says whether more is wanted.
    fn take(&mut self, item: Option<Item>) -> bool {
        let Some(item) = item else { return true };
        if self.page.items.len() >= self.limit || self.bytes >= PAGE_BYTES {
            self.page.next = self.page.items.last().map(|item| item.key.clone());
            return false;
        }
        self.bytes += item.key.len() + item.value.len();
        self.page.items.push(item);
        true
    }
}

impl Scan {
    /// The rows that a page has seen, be it that they are not there.
    pub(crate) fn seen(&self, page: &ScanPage) -> Option<(Vec<u8>, Vec<u8>)> {
        let (start, end) = bounds(self)?;
        let last = page.next.as_ref().map(|last| rows::raw(last.as_bytes()));
        Some(match last {
            Some(last) if self.reverse => (last, end),
            Some(last) => (start, [last, vec![0]].concat()),
            None => (start, end),
        })
    }
}

/// A query as it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The collection.
    pub collection: String,
    /// In the query language; nothing asks for all.
    pub query: String,
    /// Where the page before ended.
    pub after: Option<String>,
    /// Only say how it would be answered.
    pub explain: bool,
}

/// What a query found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The documents, with `$id` and `$version`.
    pub documents: Vec<Value>,
    /// Give this as `after` to go on.
    pub next: Option<String>,
    /// How it was answered.
    pub plan: String,
    /// How many documents were looked at.
    pub looked_at: u64,
}

impl View<'_> {
    /// One key.
    pub(crate) async fn item(&self, key: &str) -> Result<Item, KvError> {
        check_key(key)?;
        let row =
            self.stamped(&rows::raw(key.as_bytes())).await?.ok_or_else(|| KvError::NoKey(key.to_owned()))?;
        Ok(item(key.to_owned(), row))
    }

    /// One document.
    pub(crate) async fn document(&self, collection: &str, id: &str) -> Result<Value, KvError> {
        document::check_names(collection, id)?;
        let row = self.stamped(&document_key(collection, id)).await?;
        let none = || KvError::NoDocument { collection: collection.to_owned(), id: id.to_owned() };
        let row = row.ok_or_else(none)?;
        document::shown(id, &row)
    }

    /// A page of keys, with what somebody has put over them.
    pub(crate) async fn items(&self, scan: &Scan, over: &Over) -> Result<ScanPage, KvError> {
        let mut page = Filling { page: ScanPage::default(), bytes: 0, limit: scan.limit.clamp(1, ITEMS_MAX) };
        let Some((start, end)) = bounds(scan) else { return Ok(page.page) };
        let within = |key: &str| {
            let row = rows::raw(key.as_bytes());
            start <= row && row < end
        };
        let mut own: Vec<_> = over.iter().filter(|(key, _)| within(key)).collect();
        if scan.reverse {
            own.reverse();
        }
        let mut own = own.into_iter().peekable();
        let (mut rows, now) = (self.scan(start.clone(), Some(end.clone()), scan.reverse).await?, rows::now());
        while let Some(row) = rows.next().await? {
            let key = row.key.get(1..).and_then(|key| std::str::from_utf8(key).ok()).ok_or(KvError::Row)?;
            let comes = |own: &str| if scan.reverse { own >= key } else { own <= key };
            let mut hidden = false;
            while let Some((own_key, put)) = own.next_if(|(own, _)| comes(own)) {
                hidden |= own_key == key;
                if !page.take(put.clone()) {
                    return Ok(page.page);
                }
            }
            let stored = if hidden { None } else { Stamped::decode(row.value, now)? };
            if !page.take(stored.map(|stored| item(key.to_owned(), stored))) {
                return Ok(page.page);
            }
        }
        for (_, put) in own {
            if !page.take(put.clone()) {
                break;
            }
        }
        Ok(page.page)
    }

    /// A page of documents.
    pub(crate) async fn query(&self, asked: &Asked) -> Result<Answer, KvError> {
        document::check_names(&asked.collection, "-")?;
        let query = parse(&asked.query)?;
        let after: Option<Cursor> = asked.after.as_deref().map(str::parse).transpose()?;
        after.as_ref().map_or(Ok(()), |cursor| query.accepts(cursor))?;
        let declared = Declared::read(self.get(&rows::collection(&asked.collection)).await?)?;
        let planned = plan(&asked.collection, &query, declared.whole(), after.as_ref());
        let mut answer = Answer { plan: planned.to_string(), ..Answer::default() };
        if asked.explain {
            return Ok(answer);
        }
        if query.ranks() && !matches!(planned.access, Access::Words { .. }) {
            return Err(KvError::Invalid(
                "only what matches words has a score: where FIELD matches \"..\", with an index of words",
            ));
        }
        let mut run = Run::new(&planned, &query, after.as_ref());
        match planned.access {
            Access::Words { number, .. } => {
                self.ranked(&asked.collection, number, &planned, &mut run).await?;
            }
            _ => self.ranged(&asked.collection, &planned, &mut run).await?,
        }
        let Page { documents, next, looked_at } = run.finish();
        answer.documents = documents;
        answer.next = next.map(|cursor| cursor.to_string());
        answer.looked_at = looked_at;
        Ok(answer)
    }

    /// Offers the documents that ranges of rows lead to.
    async fn ranged(&self, collection: &str, planned: &Plan, run: &mut Run<'_>) -> Result<(), KvError> {
        let now = rows::now();
        for KeyRange { start, end } in planned.ranges.clone() {
            let mut found = self.scan(start, end, planned.reverse).await?;
            while let Some(row) = found.next().await? {
                let (id, stamped) = if planned.access == Access::Documents {
                    (id_of_document(&row.key), Stamped::decode(row.value, now)?)
                } else {
                    let id = id_of_row(&row.key, &row.value).ok_or(KvError::Row)?;
                    let stamped = self.stamped(&document_key(collection, &id)).await?;
                    (Some(id), stamped)
                };
                let id = id.ok_or(KvError::Row)?;
                // It may have gone since its row was read.
                let Some(stamped) = stamped else { continue };
                if run.offer(&id, document::shown(&id, &stamped)?) == Flow::Done {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Offers the documents that have all words of a plan, the best first.
    async fn ranked(
        &self,
        collection: &str,
        index: u32,
        planned: &Plan,
        run: &mut Run<'_>,
    ) -> Result<(), KvError> {
        let corpus = rows::corpus(self.get(&rows::texts(collection, index)).await?)?;
        let mut words = Vec::new();
        for KeyRange { start, end } in planned.ranges.clone() {
            let mut having = BTreeMap::new();
            let mut found = self.scan(start, end, false).await?;
            while let Some(row) = found.next().await? {
                let (id, posting) = posting_of_row(&row.key, &row.value).ok_or(KvError::Row)?;
                having.insert(id, posting);
            }
            words.push(having);
        }
        for (score, id) in rank(corpus, words) {
            let Some(stamped) = self.stamped(&document_key(collection, &id)).await? else { continue };
            let mut document = document::shown(&id, &stamped)?;
            if let Some(fields) = document.as_object_mut() {
                fields.insert(SCORE.to_owned(), score.into());
            }
            if run.offer(&id, document) == Flow::Done {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn item(key: String, row: Stamped) -> Item {
    Item { key, value: row.value, version: row.version, expires_ms: row.expires.map(|at| at.0) }
}

/// The rows of a scan; none if there cannot be any.
fn bounds(scan: &Scan) -> Option<(Vec<u8>, Vec<u8>)> {
    let behind = |key: &str| [rows::raw(key.as_bytes()), vec![0]].concat();
    let mut start = rows::raw(scan.prefix.as_bytes());
    // No byte of UTF-8 is greater than this one.
    let mut end = if scan.prefix.is_empty() {
        vec![rows::RAW + 1]
    } else {
        [rows::raw(scan.prefix.as_bytes()), vec![0xff]].concat()
    };
    if let Some(from) = &scan.from {
        start = start.max(rows::raw(from.as_bytes()));
    }
    if let Some(to) = &scan.to {
        end = end.min(rows::raw(to.as_bytes()));
    }
    match &scan.after {
        Some(after) if scan.reverse => end = end.min(rows::raw(after.as_bytes())),
        Some(after) => start = start.max(behind(after)),
        None => {}
    }
    (start < end).then_some((start, end))
}

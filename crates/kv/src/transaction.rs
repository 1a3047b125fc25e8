//! Transactions of several requests: they read what was there when they began and what they have put
//! since, and are written in one step if nothing that they read has changed meanwhile. So each is as
//! if it had happened alone, at its end. Nothing is locked, so nobody waits for who has gone away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};

use bytes::Bytes;
use freehold_documents::document_key;
use freehold_wire::Millis;
use serde_json::Value;
use slatedb::DbSnapshot;
use tokio::sync::Mutex;

use crate::database::Database;
use crate::feed::{Event, KEPT};
use crate::read::{Item, Over, Scan, ScanPage, View};
use crate::rows::{self, BATCH_MAX, Stamped};
use crate::step::Step;
use crate::write::{check_key, check_op};
use crate::{Done, KvError, Op, Write, document};

/// Open at a time in one database: each holds what was there when it began.
const OPEN_MAX: usize = 64;
/// How long one may be open.
const LASTING_MAX: Millis = Millis::from_secs(600);
/// Keys and ranges that one may read.
const READS_MAX: usize = 10_000;
/// Bytes that one may put.
const BYTES_MAX: usize = 8 << 20;

/// The open transactions of a database.
#[derive(Default)]
pub(crate) struct Transactions {
    open: Lock<BTreeMap<String, Open>>,
    begun: AtomicU64,
}

struct Open {
    lapses: Millis,
    transaction: Arc<Mutex<Transaction>>,
}

/// A transaction that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// By which it is named.
    pub id: String,
    /// When it lapses.
    pub lapses: Millis,
    /// The last write that it sees.
    pub number: u64,
}

/// See the module.
pub(crate) struct Transaction {
    begun: u64,
    snapshot: Arc<DbSnapshot>,
    /// Rows read, be it that they are not there, and ranges of them.
    reads: BTreeSet<Vec<u8>>,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// When the first of the values read ends.
    ends: Option<Millis>,
    ops: Vec<Op>,
    bytes: usize,
    /// What it has put over what is there.
    values: Over,
    documents: BTreeMap<(String, String), Option<Value>>,
}

impl Transactions {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<Arc<Mutex<Transaction>>, KvError> {
        let open = self.lock();
        let found = open.get(id).filter(|open| open.lapses > rows::now());
        found.map(|open| Arc::clone(&open.transaction)).ok_or(KvError::NoTransaction)
    }

    /// Lets go of those that have lapsed; says when the next one does.
    pub(crate) fn lapse(&self, now: Millis) -> Option<Millis> {
        let mut open = self.lock();
        open.retain(|_, open| open.lapses > now);
        open.values().map(|open| open.lapses).min()
    }
}

impl Database {
    /// Begins a transaction.
    pub(crate) async fn begin(&self, lasting: Millis) -> Result<Begun, KvError> {
        if lasting == Millis(0) || lasting > LASTING_MAX {
            return Err(KvError::Invalid("a transaction is open for up to ten minutes"));
        }
        let (snapshot, number) = {
            // Nobody writes between the two.
            let head = self.head.lock().await;
            (self.db.snapshot()?, *head)
        };
        // What it reads must not be lost once it was told.
        self.until_durable(number).await?;
        let now = rows::now();
        self.transactions.lapse(now);
        let at = self.transactions.begun.fetch_add(1, Ordering::Relaxed);
        let id = format!("{number}-{:x}-{at}", now.0);
        let lapses = Millis(now.0.saturating_add(lasting.0));
        let mut open = self.transactions.lock();
        if open.len() >= OPEN_MAX {
            return Err(KvError::Invalid("a database has at most 64 transactions open at a time"));
        }
        let transaction = Arc::new(Mutex::new(Transaction::new(snapshot, number)));
        open.insert(id.clone(), Open { lapses, transaction });
        drop(open);
        self.ending.notify_one();
        Ok(Begun { id, lapses, number })
    }

    /// A transaction that is open.
    pub(crate) fn transaction(&self, id: &str) -> Result<Arc<Mutex<Transaction>>, KvError> {
        self.transactions.find(id)
    }

    /// Writes what a transaction has put, if nothing that it read has changed. It is over in any
    /// case; the same again within a day says what became of it.
    pub(crate) async fn commit(&self, id: &str) -> Result<Done, KvError> {
        let found = self.transactions.find(id);
        let name = format!("transaction {id}");
        let transaction = match found {
            Ok(found) => found,
            Err(error) => return self.done_before(&name).await?.ok_or(error),
        };
        let transaction = transaction.lock().await;
        // Of two who commit at once the second finds what the first one did.
        if self.transactions.lock().remove(id).is_none() {
            drop(transaction);
            return self.done_before(&name).await?.ok_or(KvError::NoTransaction);
        }
        if transaction.ops.is_empty() {
            // It has seen one moment, and changes nothing.
            return Ok(Done { number: transaction.begun, repeated: false });
        }
        let write = Write { ops: transaction.ops.clone(), idempotency: Some(name), ..Write::default() };
        self.carry_out(&write, Some(&transaction)).await
    }

    /// Ends a transaction; nothing of it is written.
    pub(crate) fn abort(&self, id: &str) -> Result<(), KvError> {
        self.transactions.lock().remove(id).map(drop).ok_or(KvError::NoTransaction)
    }
}

impl Transaction {
    fn new(snapshot: Arc<DbSnapshot>, begun: u64) -> Self {
        Self {
            begun,
            snapshot,
            reads: BTreeSet::new(),
            ranges: Vec::new(),
            ends: None,
            ops: Vec::new(),
            bytes: 0,
            values: Over::new(),
            documents: BTreeMap::new(),
        }
    }

    /// One key.
    pub(crate) async fn get(&mut self, key: &str) -> Result<Item, KvError> {
        check_key(key)?;
        if let Some(own) = self.values.get(key) {
            return own.clone().ok_or_else(|| KvError::NoKey(key.to_owned()));
        }
        self.read(rows::raw(key.as_bytes()))?;
        let found = View::At(&self.snapshot).item(key).await?;
        self.ends_at(found.expires_ms.map(Millis));
        Ok(found)
    }

    /// One document.
    pub(crate) async fn document(&mut self, collection: &str, id: &str) -> Result<Value, KvError> {
        document::check_names(collection, id)?;
        let none = || KvError::NoDocument { collection: collection.to_owned(), id: id.to_owned() };
        if let Some(own) = self.documents.get(&(collection.to_owned(), id.to_owned())) {
            return own.clone().ok_or_else(none);
        }
        let key = document_key(collection, id);
        self.read(key.clone())?;
        let row = View::At(&self.snapshot).stamped(&key).await?.ok_or_else(none)?;
        self.ends_at(row.expires);
        document::shown(id, &row)
    }

    /// A page of keys.
    pub(crate) async fn scan(&mut self, scan: &Scan) -> Result<ScanPage, KvError> {
        let page = View::At(&self.snapshot).items(scan, &self.values).await?;
        self.ends_at(page.items.iter().filter_map(|item| item.expires_ms).min().map(Millis));
        if let Some(range) = scan.seen(&page) {
            self.may_read()?;
            self.ranges.push(range);
        }
        Ok(page)
    }

    /// Adds operations; what is read from now on shows them.
    pub(crate) fn add(&mut self, ops: Vec<Op>) -> Result<(), KvError> {
        if self.ops.len().saturating_add(ops.len()) > BATCH_MAX {
            return Err(KvError::Invalid("a transaction has at most 1000 operations"));
        }
        ops.iter().try_for_each(check_op)?;
        let bytes = ops.iter().map(size).fold(self.bytes, usize::saturating_add);
        if bytes > BYTES_MAX {
            return Err(KvError::Invalid("a transaction puts at most 8 MiB"));
        }
        self.bytes = bytes;
        for op in &ops {
            self.show(op);
        }
        self.ops.extend(ops);
        Ok(())
    }

    fn show(&mut self, op: &Op) {
        match op {
            Op::Put { key, value, .. } => {
                let item = Item { key: key.clone(), value: value.clone(), version: 0, expires_ms: None };
                self.values.insert(key.clone(), Some(item));
            }
            Op::Delete { key } => {
                self.values.insert(key.clone(), None);
            }
            Op::PutDocument { collection, id, document, .. } => {
                let bytes = Bytes::from(serde_json::to_vec(document).unwrap_or_default());
                let row = Stamped { version: 0, expires: None, value: bytes };
                let shown = document::shown(id, &row).ok();
                self.documents.insert((collection.clone(), id.clone()), shown);
            }
            Op::DeleteDocument { collection, id } => {
                self.documents.insert((collection.clone(), id.clone()), None);
            }
        }
    }

    fn read(&mut self, row: Vec<u8>) -> Result<(), KvError> {
        self.may_read()?;
        self.reads.insert(row);
        Ok(())
    }

    fn may_read(&self) -> Result<(), KvError> {
        if self.reads.len().saturating_add(self.ranges.len()) >= READS_MAX {
            return Err(KvError::Invalid("a transaction reads at most 10,000 times"));
        }
        Ok(())
    }

    fn ends_at(&mut self, end: Option<Millis>) {
        self.ends = match (self.ends, end) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    fn has_read(&self, row: &[u8]) -> bool {
        let within = |(start, end): &(Vec<u8>, Vec<u8>)| start.as_slice() <= row && row < end.as_slice();
        self.reads.contains(row) || self.ranges.iter().any(within)
    }

    /// Whether all that was read is still so, for the step that writes it.
    pub(crate) async fn check(&self, database: &Database, step: &Step<'_>) -> Result<(), KvError> {
        if self.ends.is_some_and(|end| end <= step.now) {
            return Err(KvError::Overtaken("the time of a value that this transaction read is over".into()));
        }
        // The engine panics over an empty range.
        let nobody_wrote = step.number <= self.begun.saturating_add(1);
        if nobody_wrote || (self.reads.is_empty() && self.ranges.is_empty()) {
            return Ok(());
        }
        if step.number.saturating_sub(self.begun) > KEPT {
            return Err(KvError::Overtaken(format!("more than {KEPT} writes have come since it began")));
        }
        let (first, end) = (rows::event(self.begun.saturating_add(1)), rows::event(step.number));
        let mut found = database.decided().scan(first, Some(end), false).await?;
        while let Some(row) = found.next().await? {
            let number = rows::number(row.key.get(1..).unwrap_or_default())?;
            let event: Event = serde_json::from_slice(&row.value).map_err(|_| KvError::Row)?;
            for change in event.changes {
                let (row, what) = match &change.collection {
                    None => (rows::raw(change.key.as_bytes()), format!("{:?}", change.key)),
                    Some(collection) => {
                        (document_key(collection, &change.key), format!("{collection} {:?}", change.key))
                    }
                };
                if self.has_read(&row) {
                    return Err(KvError::Overtaken(format!(
                        "write {number} changed {what} after this transaction had read it"
                    )));
                }
            }
        }
        Ok(())
    }
}

fn size(op: &Op) -> usize {
    match op {
        Op::Put { key, value, .. } => key.len().saturating_add(value.len()),
        Op::PutDocument { document, .. } => document.to_string().len(),
        Op::Delete { key } => key.len(),
        Op::DeleteDocument { id, .. } => id.len(),
    }
}

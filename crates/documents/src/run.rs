//! Answering: documents are offered as a plan leads to them, and become a page.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::plan::Plan;
use crate::query::{Cursor, Query};
use crate::value::at;

/// Whether more documents are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    More,
    /// The page is full.
    Done,
}

/// A page of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The documents, as the query selects from them.
    pub documents: Vec<Value>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
    /// How many documents were looked at.
    pub looked_at: u64,
}

/// A query being answered.
#[derive(Debug)]
pub struct Run<'a> {
    query: &'a Query,
    in_order: bool,
    after: Option<Vec<u8>>,
    /// By their place in the order; one more than the page has.
    kept: BTreeMap<Vec<u8>, (Cursor, Value)>,
    looked_at: u64,
}

impl<'a> Run<'a> {
    /// Begins. `after` must be what the plan was made with.
    pub fn new(plan: &Plan, query: &'a Query, after: Option<&Cursor>) -> Self {
        Self {
            query,
            in_order: plan.in_order,
            after: after.map(|cursor| query.order_key(cursor)),
            kept: BTreeMap::new(),
            looked_at: 0,
        }
    }

    fn full(&self) -> usize {
        usize::try_from(self.query.limit).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// Takes the next document that the plan leads to; it is known by its id, which its field `$id`
    /// repeats.
    pub fn offer(&mut self, id: &str, document: Value) -> Flow {
        self.looked_at += 1;
        if !self.query.filter.holds(&document) {
            return Flow::More;
        }
        let position = self.query.position(id, &document);
        let key = self.query.order_key(&position);
        if self.after.as_ref().is_some_and(|after| key <= *after) {
            return Flow::More;
        }
        self.kept.insert(key, (position, document));
        if self.kept.len() < self.full() {
            return Flow::More;
        }
        if self.in_order {
            return Flow::Done;
        }
        if self.kept.len() > self.full() {
            self.kept.pop_last();
        }
        Flow::More
    }

    /// The page.
    pub fn finish(mut self) -> Page {
        let more = self.kept.len() >= self.full();
        if more {
            self.kept.pop_last();
        }
        let next = self.kept.last_key_value().map(|(_, (position, _))| position.clone()).filter(|_| more);
        let documents = self.kept.into_values().map(|(_, document)| selected(self.query, document)).collect();
        Page { documents, next, looked_at: self.looked_at }
    }
}

fn selected(query: &Query, document: Value) -> Value {
    if query.select.is_empty() {
        return document;
    }
    let mut out = Value::Object(Map::new());
    if let (Some(id), Value::Object(fields)) = (document.get("$id"), &mut out) {
        fields.insert("$id".to_owned(), id.clone());
    }
    for path in &query.select {
        if let Some(value) = at(&document, path) {
            path.place(&mut out, value.clone());
        }
    }
    out
}

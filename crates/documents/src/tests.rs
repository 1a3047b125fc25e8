//! An answer is the same with indexes as without, whatever is asked; encodings keep order; whatever
//! bytes or text come from outside are read or refused.

mod keys;
mod queries;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Access, Cursor, Flow, IndexSpec, Page, Plan, Query, Run, document_key, id_of_document, id_of_row,
};

pub(super) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-8i32..8).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        any::<f64>().prop_filter_map("finite", |n| n.is_finite().then(|| Value::from(n))),
        "[a-c\u{0}\u{1}é]{0,3}".prop_map(Value::from),
    ]
}

/// Few enough that they meet.
fn small() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        4 => (0i64..4).prop_map(Value::from),
        1 => Just(json!(1.5)),
        4 => "[ab]{0,2}".prop_map(Value::from),
    ]
}

fn field() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => small(),
        2 => prop::collection::vec(small(), 0..4).prop_map(Value::from),
        1 => Just(json!({"x": 1})),
    ]
}

pub(super) fn document() -> impl Strategy<Value = Value> {
    let fields = (prop::option::of(field()), prop::option::of(field()), prop::option::of(field()));
    fields.prop_map(|(a, b, c)| {
        let named = [("a", a), ("b", b)];
        let mut out: serde_json::Map<_, _> =
            named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        if let Some(c) = c {
            out.insert("n".to_owned(), json!({ "c": c }));
        }
        Value::Object(out)
    })
}

/// A database as it would be stored.
pub(super) struct Store {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    documents: BTreeMap<String, Value>,
    indexes: Vec<IndexSpec>,
}

impl Store {
    pub(super) fn new(documents: Vec<Value>, indexes: Vec<IndexSpec>) -> Self {
        let mut store = Self { rows: BTreeMap::new(), documents: BTreeMap::new(), indexes };
        'documents: for (number, mut document) in documents.into_iter().enumerate() {
            let id =
                format!("{}", char::from(b'a' + u8::try_from(number % 26).unwrap())).repeat(1 + number / 26);
            document["$id"] = json!(id);
            let mut rows = Vec::new();
            for (number, spec) in store.indexes.iter().enumerate() {
                let own = spec.rows("c", u32::try_from(number).unwrap(), &id, &document).unwrap();
                // What would break a unique index is not let in.
                if own.iter().any(|row| store.rows.contains_key(&row.key)) {
                    continue 'documents;
                }
                rows.extend(own);
            }
            store.rows.extend(rows.into_iter().map(|row| (row.key, row.value)));
            store.rows.insert(document_key("c", &id), id.clone().into_bytes());
            store.documents.insert(id, document);
        }
        store
    }

    pub(super) fn plan(&self, query: &Query, after: Option<&Cursor>) -> Plan {
        let indexes = self.indexes.iter().enumerate();
        let indexes = indexes.map(|(number, spec)| (u32::try_from(number).unwrap(), spec));
        crate::plan("c", query, indexes, after)
    }

    fn page(&self, plan: &Plan, query: &Query, after: Option<&Cursor>) -> Page {
        let mut run = Run::new(plan, query, after);
        if let Access::Words { .. } = plan.access {
            for (_, id) in crate::rank(crate::Corpus::default(), self.words(plan)) {
                if run.offer(&id, self.documents[&id].clone()) == Flow::Done {
                    break;
                }
            }
            return run.finish();
        }
        'ranges: for range in &plan.ranges {
            let rows = self.rows.iter().filter(|(key, _)| range.contains(key));
            let rows: Vec<_> = if plan.reverse { rows.rev().collect() } else { rows.collect() };
            for (key, value) in rows {
                let id = match plan.access {
                    Access::Documents => id_of_document(key),
                    _ => id_of_row(key, value),
                };
                let id = id.unwrap();
                if run.offer(&id, self.documents[&id].clone()) == Flow::Done {
                    break 'ranges;
                }
            }
        }
        run.finish()
    }

    fn words(&self, plan: &Plan) -> Vec<BTreeMap<String, crate::Posting>> {
        let having = |range: &crate::KeyRange| {
            let rows = self.rows.iter().filter(|(key, _)| range.contains(key));
            rows.map(|(key, value)| crate::posting_of_row(key, value).unwrap()).collect()
        };
        plan.ranges.iter().map(having).collect()
    }

    /// All pages, by the best plan, and how many there were.
    pub(super) fn answer(&self, query: &Query) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(&self.plan(query, after.as_ref()), query, after.as_ref());
            assert!(page.documents.len() <= query.limit as usize);
            all.extend(page.documents);
            let Some(next) = page.next else { return all };
            let again: Cursor = next.to_string().parse().unwrap();
            assert_eq!(again, next);
            query.accepts(&again).unwrap();
            after = Some(again);
        }
    }

    /// The same without any plan.
    pub(super) fn naive(&self, query: &Query) -> Vec<Value> {
        let whole = Query { limit: u32::MAX - 1, ..query.clone() };
        let mut run = Run::new(&Plan { in_order: false, ..self.plan(&whole, None) }, &whole, None);
        for (id, document) in &self.documents {
            run.offer(id, document.clone());
        }
        run.finish().documents
    }
}

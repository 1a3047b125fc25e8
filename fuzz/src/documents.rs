//! The probe of what the KV plane reads: keys, queries, cursors, declarations of indexes, documents.
//! The first byte says which.

use freehold_documents::{Component, Cursor, Filter, IndexSpec, Run, decode, encode_all, parse, plan};
use serde_json::{Value, json};

/// Keys have one spelling, queries are read back from their own text, and a plan never leads to
/// anything but an answer.
pub fn documents(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let text = std::str::from_utf8(data).unwrap_or_default();
    match which % 4 {
        0 => key(data),
        1 => {
            if let Ok(query) = parse(text) {
                assert_eq!(parse(&query.to_string()).map(|again| again.to_string()), Ok(query.to_string()));
                ask(text);
            }
        }
        2 => {
            if let Ok(cursor) = text.parse::<Cursor>() {
                assert_eq!(cursor.to_string(), text.to_ascii_lowercase());
            }
        }
        _ => index(text),
    }
}

fn key(data: &[u8]) {
    if let Ok(read) = decode(data) {
        let array = json!([]);
        let values = read.iter().map(|component| match component {
            Component::Scalar(value) => Some(value),
            Component::Other => Some(&array),
        });
        assert_eq!(encode_all(values), data, "two spellings of one key");
    }
}

/// One document, with an index over each field that the query could want, and without.
fn ask(text: &str) {
    let Ok(mut query) = parse(text) else { return };
    query.limit = 1;
    let document = json!({"$id": "x", "a": 1, "b": "text", "n": {"c": [1, "two", null]}});
    let spec = |name: &str, fields: &[&str], each| IndexSpec {
        name: name.to_owned(),
        fields: fields.iter().filter_map(|path| path.parse().ok()).collect(),
        unique: false,
        each,
        text: false,
    };
    let specs = [spec("a", &["a", "b"], false), spec("b", &["b"], false), spec("c", &["n.c"], true)];
    let planned = plan("c", &query, (0..).zip(&specs), None);
    let mut run = Run::new(&planned, &query, None);
    run.offer("x", document.clone());
    let found = run.finish().documents.len();
    assert_eq!(found == 1, query.filter == Filter::All || query.filter.holds(&document));
    // What is left out by the keys must not meet the filter.
    if let freehold_documents::Access::Index { name } = &planned.access {
        let rows = (0..).zip(&specs).find(|(_, spec)| spec.name == *name);
        let rows = rows.and_then(|(number, spec)| spec.rows("c", number, "x", &document).ok());
        let led =
            rows.unwrap_or_default().iter().any(|row| planned.ranges.iter().any(|r| r.contains(&row.key)));
        assert!(led || found == 0, "an index hides a document");
    }
}

/// A declaration and a document, one line each.
fn index(text: &str) {
    let Some((spec, document)) = text.split_once('\n') else { return };
    let (Ok(spec), Ok(document)) =
        (serde_json::from_str::<IndexSpec>(spec), serde_json::from_str::<Value>(document))
    else {
        return;
    };
    if spec.check().is_ok() {
        for row in spec.rows("c", 7, "an id", &document).unwrap_or_default() {
            assert_eq!(freehold_documents::id_of_row(&row.key, &row.value).as_deref(), Some("an id"));
        }
    }
}

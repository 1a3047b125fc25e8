//! Where documents and index rows lie among the keys of a database. `d` ‖ collection ‖ id is a
//! document; `i` ‖ collection ‖ number of the index ‖ components ‖ id is a row of an index, without
//! the id where the index is unique; in an index of words the one component is a word.

use serde_json::Value;

use crate::key::{Component, after_all, decode_one, encode_text};
use crate::plan::KeyRange;
use crate::words::Posting;

const DOCUMENT: u8 = b'd';
const INDEX: u8 = b'i';

/// The key of a document.
pub fn document_key(collection: &str, id: &str) -> Vec<u8> {
    let mut key = document_prefix(collection);
    encode_text(id, &mut key);
    key
}

/// All documents of a collection.
pub fn document_range(collection: &str) -> KeyRange {
    KeyRange::below(document_prefix(collection))
}

/// All rows of an index.
pub fn index_range(collection: &str, number: u32) -> KeyRange {
    KeyRange::below(index_prefix(collection, number))
}

pub(crate) fn document_prefix(collection: &str) -> Vec<u8> {
    let mut key = vec![DOCUMENT];
    encode_text(collection, &mut key);
    key
}

pub(crate) fn index_prefix(collection: &str, number: u32) -> Vec<u8> {
    let mut key = vec![INDEX];
    encode_text(collection, &mut key);
    key.extend(number.to_be_bytes());
    key
}

impl KeyRange {
    /// Every key that begins so.
    pub(crate) fn below(prefix: Vec<u8>) -> Self {
        let end = after_all(&prefix);
        Self { start: prefix, end }
    }
}

/// The id in a document's key; none if it is no document's.
pub fn id_of_document(key: &[u8]) -> Option<String> {
    place_of_document(key).map(|(_, id)| id)
}

/// The collection and the id in a document's key; none if it is no document's.
pub fn place_of_document(key: &[u8]) -> Option<(String, String)> {
    let rest = key.strip_prefix(&[DOCUMENT])?;
    let (collection, rest) = text(rest)?;
    let (id, rest) = text(rest)?;
    rest.is_empty().then_some((collection, id))
}

/// The id of the document that a row of an index stands for; none if it is no such row.
pub fn id_of_row(key: &[u8], value: &[u8]) -> Option<String> {
    let rest = key.strip_prefix(&[INDEX])?;
    if !value.is_empty() {
        return String::from_utf8(value.to_vec()).ok();
    }
    let (_, rest) = text(rest)?;
    let (_, mut rest) = rest.split_first_chunk::<4>()?;
    let mut last = None;
    while !rest.is_empty() {
        let (component, after) = decode_one(rest).ok()?;
        last = Some(component);
        rest = after;
    }
    match last {
        Some(Component::Scalar(Value::String(id))) => Some(id),
        _ => None,
    }
}

/// Where the word of a row is; nothing if it is no row of an index of words.
pub fn posting_of_row(key: &[u8], value: &[u8]) -> Option<(String, Posting)> {
    let (_, rest) = text(key.strip_prefix(&[INDEX])?)?;
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let (_, rest) = text(rest)?;
    let (id, rest) = text(rest)?;
    rest.is_empty().then_some((id, Posting::decode(value)?))
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    match decode_one(bytes).ok()? {
        (Component::Scalar(Value::String(text)), rest) => Some((text, rest)),
        _ => None,
    }
}

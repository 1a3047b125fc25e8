//! Declared indexes, and the rows that a document has in them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::{encode, encode_text};
use crate::layout::index_prefix;
use crate::value::{Path, at};
use crate::words::{Posting, counted};

/// Fields that an index may have.
pub const COMPONENTS_MAX: usize = 8;
/// Rows that one document may have in one index.
pub const ROWS_MAX: usize = 1000;
/// Different words that one document may have in one index of words.
pub const WORDS_MAX: usize = 10_000;
const ROW_BYTES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 64;

/// An index as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    /// What it is called.
    pub name: String,
    /// Its fields, the first first.
    pub fields: Vec<Path>,
    /// No two documents have the same values; documents that lack one do not count.
    #[serde(default)]
    pub unique: bool,
    /// The first field is an array: a row for each of its elements.
    #[serde(default)]
    pub each: bool,
    /// The field is text: a row for each of its words.
    #[serde(default)]
    pub text: bool,
}

/// A row to be stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Its key.
    pub key: Vec<u8>,
    /// The document's id if nobody else may have this key, in an index of words how often the word is
    /// there, else nothing.
    pub value: Vec<u8>,
}

/// An index cannot be, or a document cannot be in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The name.
    #[error("an index is called by 1 to {NAME_BYTES_MAX} letters, digits, _ and -")]
    Name,
    /// The number of fields.
    #[error("an index has 1 to {COMPONENTS_MAX} fields")]
    Fields,
    /// An index of words.
    #[error("an index of words has one field, and is neither unique nor of elements")]
    Text,
    /// Too many words.
    #[error("a document may have {WORDS_MAX} different words in the index {0}, this one has more")]
    Words(String),
    /// A field twice.
    #[error("the index names the field {0} twice")]
    Twice(Path),
    /// An array with too many elements.
    #[error("a document may have {ROWS_MAX} rows in the index {0}, this one has more")]
    Rows(String),
    /// Values that are too long.
    #[error("the values of the index {0} may have {ROW_BYTES_MAX} bytes, this document's have more")]
    Long(String),
}

impl IndexSpec {
    /// Whether it can be.
    ///
    /// # Errors
    /// [`IndexError`]
    pub fn check(&self) -> Result<(), IndexError> {
        let named = self.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !named || self.name.is_empty() || self.name.len() > NAME_BYTES_MAX {
            return Err(IndexError::Name);
        }
        if self.fields.is_empty() || self.fields.len() > COMPONENTS_MAX {
            return Err(IndexError::Fields);
        }
        if self.text && (self.fields.len() > 1 || self.unique || self.each) {
            return Err(IndexError::Text);
        }
        let mut seen = BTreeSet::new();
        match self.fields.iter().find(|path| !seen.insert(*path)) {
            Some(path) => Err(IndexError::Twice(path.clone())),
            None => Ok(()),
        }
    }

    /// The rows of a document, in the order of their keys.
    ///
    /// # Errors
    /// [`IndexError`] if there are too many, or one is too long.
    pub fn rows(
        &self,
        collection: &str,
        number: u32,
        id: &str,
        document: &Value,
    ) -> Result<BTreeSet<Row>, IndexError> {
        let mut rows = BTreeSet::new();
        let values: Vec<Option<&Value>> = self.fields.iter().map(|path| at(document, path)).collect();
        let Some((first, others)) = values.split_first() else { return Ok(rows) };
        let prefix = index_prefix(collection, number);
        if self.text {
            return self.words(&prefix, *first, id);
        }
        if !self.each {
            rows.insert(self.row(&prefix, *first, others, id)?);
            return Ok(rows);
        }
        let elements = first.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for element in elements.iter().filter(|element| !element.is_array() && !element.is_object()) {
            rows.insert(self.row(&prefix, Some(element), others, id)?);
            if rows.len() > ROWS_MAX {
                return Err(IndexError::Rows(self.name.clone()));
            }
        }
        Ok(rows)
    }

    fn words(&self, prefix: &[u8], value: Option<&Value>, id: &str) -> Result<BTreeSet<Row>, IndexError> {
        let words = counted(value);
        if words.len() > WORDS_MAX {
            return Err(IndexError::Words(self.name.clone()));
        }
        let of = words.values().fold(0u32, |sum, times| sum.saturating_add(*times));
        let row = |(word, times): (String, u32)| {
            let mut key = prefix.to_vec();
            encode_text(&word, &mut key);
            encode_text(id, &mut key);
            Row { key, value: Posting { times, of }.encode() }
        };
        Ok(words.into_iter().map(row).collect())
    }

    fn row(
        &self,
        prefix: &[u8],
        first: Option<&Value>,
        others: &[Option<&Value>],
        id: &str,
    ) -> Result<Row, IndexError> {
        let mut key = prefix.to_vec();
        let values = std::iter::once(&first).chain(others);
        let mut complete = true;
        for value in values {
            complete &= !matches!(value, None | Some(Value::Null | Value::Array(_) | Value::Object(_)));
            encode(*value, &mut key);
        }
        if key.len() - prefix.len() > ROW_BYTES_MAX {
            return Err(IndexError::Long(self.name.clone()));
        }
        if self.unique && complete {
            return Ok(Row { key, value: id.as_bytes().to_vec() });
        }
        encode_text(id, &mut key);
        Ok(Row { key, value: Vec::new() })
    }
}

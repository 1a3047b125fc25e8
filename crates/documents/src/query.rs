//! What is asked of a collection.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::filter::Filter;
use crate::key::{decode_one, encode, encode_text};
use crate::value::{Path, at};

/// Documents on a page if a query does not say.
pub const LIMIT_DEFAULT: u32 = 100;
/// Documents on a page at most.
pub const LIMIT_MAX: u32 = 1000;

/// The name by which queries call how well a document matches.
pub const SCORE: &str = "$score";

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Up,
    /// The greatest first.
    Down,
}

/// A field to order by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBy {
    /// Which.
    pub path: Path,
    /// Which way.
    pub direction: Direction,
}

/// A query. What is equal in all fields it orders by is ordered by id, the same way as the last of
/// them.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which documents.
    pub filter: Filter,
    /// In which order.
    pub order: Vec<OrderBy>,
    /// How many on a page.
    pub limit: u32,
    /// Which fields of them; none stands for all.
    pub select: Vec<Path>,
}

impl Default for Query {
    fn default() -> Self {
        Self { filter: Filter::All, order: Vec::new(), limit: LIMIT_DEFAULT, select: Vec::new() }
    }
}

impl Query {
    /// Whether documents are ordered by how well they match.
    pub fn ranks(&self) -> bool {
        self.order.iter().any(|term| term.path.is(SCORE))
    }

    /// Whether they are ordered by nothing else, the best first.
    pub(crate) fn only_ranks(&self) -> bool {
        matches!(self.order.as_slice(), [term] if term.path.is(SCORE) && term.direction == Direction::Down)
    }

    /// Which way ids go that are equal otherwise.
    pub(crate) fn tie(&self) -> Direction {
        self.order.last().map_or(Direction::Up, |term| term.direction)
    }

    /// Where a document stands in the order.
    pub(crate) fn position(&self, id: &str, document: &Value) -> Cursor {
        let mut components = Vec::with_capacity(self.order.len());
        for term in &self.order {
            let mut bytes = Vec::new();
            encode(at(document, &term.path), &mut bytes);
            components.push(bytes);
        }
        Cursor { components, id: id.to_owned() }
    }

    /// Bytes that are in order as the documents are.
    pub(crate) fn order_key(&self, position: &Cursor) -> Vec<u8> {
        let mut key = Vec::new();
        for (term, bytes) in self.order.iter().zip(&position.components) {
            turned(bytes, term.direction, &mut key);
        }
        let mut id = Vec::new();
        encode_text(&position.id, &mut id);
        turned(&id, self.tie(), &mut key);
        key
    }

    /// Whether a cursor can be of this query.
    ///
    /// # Errors
    /// [`CursorError`]
    pub fn accepts(&self, cursor: &Cursor) -> Result<(), CursorError> {
        if cursor.components.len() == self.order.len() { Ok(()) } else { Err(CursorError) }
    }
}

/// No component's bytes begin with another's, so turning the bits turns the order.
fn turned(bytes: &[u8], direction: Direction, out: &mut Vec<u8>) {
    match direction {
        Direction::Up => out.extend_from_slice(bytes),
        Direction::Down => out.extend(bytes.iter().map(|byte| !byte)),
    }
}

/// Where a page ended: go on behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What the last document has in the fields that are ordered by.
    pub(crate) components: Vec<Vec<u8>>,
    /// Its id.
    pub(crate) id: String,
}

/// Text is no cursor of this query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that this query gave")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.components.concat();
        encode_text(&self.id, &mut bytes);
        f.write_str(&hex::encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = hex::decode(text).map_err(|_| CursorError)?;
        let mut rest = bytes.as_slice();
        let mut components = Vec::new();
        loop {
            let (component, after) = decode_one(rest).map_err(|_| CursorError)?;
            if after.is_empty() {
                let crate::Component::Scalar(Value::String(id)) = component else { return Err(CursorError) };
                return Ok(Self { components, id });
            }
            let (own, _) = rest.split_at_checked(rest.len() - after.len()).ok_or(CursorError)?;
            components.push(own.to_vec());
            rest = after;
        }
    }
}

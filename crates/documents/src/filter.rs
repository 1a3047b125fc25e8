//! Which documents a query wants. Comparisons are those of the keys, so that an index and a scan
//! cannot differ.

use serde_json::Value;

use crate::key::encode_all;
use crate::value::{Path, at};
use crate::words::matches;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `=`; a field that is not there is null.
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// What a document has to meet. Arrays and objects equal nothing and are neither below nor above
/// anything; text is compared with text only, numbers with numbers, except by `=` and `!=`.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Everything.
    All,
    /// A field compared with a scalar.
    Field(Path, Compare, Value),
    /// A field equals one of these scalars.
    In(Path, Vec<Value>),
    /// Text begins so.
    Starts(Path, String),
    /// An array has this scalar as an element.
    Has(Path, Value),
    /// Text has all words of this one, in any order.
    Matches(Path, String),
    /// The field is there, be it null.
    Exists(Path),
    /// Not so.
    Not(Box<Filter>),
    /// All of these.
    And(Vec<Filter>),
    /// One of these at least.
    Or(Vec<Filter>),
}

impl Filter {
    /// Whether a document meets it.
    pub fn holds(&self, document: &Value) -> bool {
        match self {
            Self::All => true,
            Self::Field(path, compare, value) => compared(at(document, path), *compare, value),
            Self::In(path, values) => {
                values.iter().any(|value| compared(at(document, path), Compare::Equal, value))
            }
            Self::Starts(path, start) => at(document, path)
                .and_then(Value::as_str)
                .is_some_and(|text| text.starts_with(start.as_str())),
            Self::Has(path, value) => at(document, path)
                .and_then(Value::as_array)
                .is_some_and(|all| all.iter().any(|one| compared(Some(one), Compare::Equal, value))),
            Self::Matches(path, wanted) => matches(at(document, path), wanted),
            Self::Exists(path) => at(document, path).is_some(),
            Self::Not(filter) => !filter.holds(document),
            Self::And(filters) => filters.iter().all(|filter| filter.holds(document)),
            Self::Or(filters) => filters.iter().any(|filter| filter.holds(document)),
        }
    }

    /// Everything that must hold whatever else does.
    pub(crate) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(filters) => filters.iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }
}

fn is_scalar(value: Option<&Value>) -> bool {
    !matches!(value, Some(Value::Array(_) | Value::Object(_)))
}

fn compared(there: Option<&Value>, compare: Compare, wanted: &Value) -> bool {
    let there = there.unwrap_or(&Value::Null);
    let comparable = is_scalar(Some(there)) && is_scalar(Some(wanted));
    let order = encode_all([Some(there)]).cmp(&encode_all([Some(wanted)]));
    match compare {
        Compare::Equal => comparable && order.is_eq(),
        Compare::Unequal => !(comparable && order.is_eq()),
        _ if !comparable || sort(there) != sort(wanted) => false,
        Compare::Below => order.is_lt(),
        Compare::AtMost => order.is_le(),
        Compare::Above => order.is_gt(),
        Compare::AtLeast => order.is_ge(),
    }
}

/// What can be below or above each other.
pub(crate) const fn sort(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) | Value::Object(_) => 4,
    }
}

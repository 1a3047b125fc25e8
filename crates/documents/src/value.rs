//! Where in a document a value is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const STEPS_MAX: usize = 16;
const STEP_BYTES_MAX: usize = 128;

/// Names of fields from the outside in, written with dots: `address.city`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(Vec<String>);

/// Text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A step is empty, or there is none.
    #[error("a field's name is empty")]
    Empty,
    /// Too deep, or a name is too long.
    #[error("a path has at most {STEPS_MAX} names of at most {STEP_BYTES_MAX} bytes")]
    Long,
    /// Names are letters, digits, `_`, `-` and `$`, and do not begin with a digit or `-`.
    #[error("a field's name has the character {0:?}: letters, digits, _, - and $ are allowed")]
    Character(char),
}

impl Path {
    /// Whether it is one name, and this one.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.0.as_slice(), [only] if only == name)
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        if steps.len() > STEPS_MAX || steps.iter().any(|step| step.len() > STEP_BYTES_MAX) {
            return Err(PathError::Long);
        }
        for step in &steps {
            let first = step.chars().next().ok_or(PathError::Empty)?;
            if !begins_name(first) {
                return Err(PathError::Character(first));
            }
            if let Some(bad) = step.chars().find(|c| !continues_name(*c)) {
                return Err(PathError::Character(bad));
            }
        }
        Ok(Self(steps))
    }
}

pub(crate) fn begins_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$')
}

pub(crate) fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-')
}

impl TryFrom<String> for Path {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Path {
    /// Puts a value at this place of an object that is being put together.
    pub(crate) fn place(&self, into: &mut Value, value: Value) {
        let mut at = into;
        for step in &self.0 {
            if !at.is_object() {
                *at = Value::Object(serde_json::Map::new());
            }
            let Value::Object(fields) = at else { return };
            at = fields.entry(step.clone()).or_insert(Value::Null);
        }
        *at = value;
    }
}

/// The value at a place of a document.
pub fn at<'a>(document: &'a Value, path: &Path) -> Option<&'a Value> {
    path.0.iter().try_fold(document, |value, step| value.get(step.as_str()))
}

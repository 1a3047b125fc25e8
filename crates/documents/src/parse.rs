//! The query language. `where age >= 18 and (city = "Rome" or tags has "x") order by age desc, name
//! limit 10 select name`; every clause may be left out.

use serde_json::Value;

use crate::filter::{Compare, Filter};
use crate::query::{Direction, LIMIT_MAX, OrderBy, Query};
use crate::value::{Path, begins_name, continues_name};

const TEXT_MAX: usize = 16 * 1024;
const DEPTH_MAX: usize = 32;
const LIST_MAX: usize = 256;
const ORDER_MAX: usize = 8;

/// Text is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than any sensible one.
    #[error("a query has at most {TEXT_MAX} bytes")]
    Long,
    /// Something else should stand there.
    #[error("at character {at}: {wanted} is expected, not {got}")]
    Expected {
        /// Where, counted from 1.
        at: usize,
        /// What should be there.
        wanted: &'static str,
        /// What is.
        got: String,
    },
    /// Too many parentheses or `not`.
    #[error("the query is nested more than {DEPTH_MAX} deep")]
    Deep,
    /// Too long a list.
    #[error("a list in a query has at most {0} elements")]
    List(usize),
    /// The limit.
    #[error("a limit is 1 to {LIMIT_MAX}")]
    Limit,
}

/// Reads a query.
///
/// # Errors
/// [`ParseError`], which says where.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > TEXT_MAX {
        return Err(ParseError::Long);
    }
    let mut reader = Reader { text, at: 0, depth: 0 };
    let mut query = Query::default();
    if reader.word("where") {
        query.filter = reader.either()?;
    }
    if reader.word("order") {
        if !reader.word("by") {
            return Err(reader.expected("by"));
        }
        query.order = reader.list(ORDER_MAX, Reader::order)?;
    }
    if reader.word("limit") {
        query.limit = reader.limit()?;
    }
    if reader.word("select") {
        query.select = reader.list(LIST_MAX, Reader::path)?;
    }
    if reader.rest().is_empty() { Ok(query) } else { Err(reader.expected("the end of the query")) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// What is left, without spaces before it.
    fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn expected(&mut self, wanted: &'static str) -> ParseError {
        let got: String = self.rest().chars().take(12).collect();
        let at = self.text.get(..self.at).unwrap_or_default().chars().count() + 1;
        let got = if got.is_empty() { "the end".to_owned() } else { format!("{got:?}") };
        ParseError::Expected { at, wanted, got }
    }

    /// Passes a sign.
    fn sign(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Passes a word of the language, in any case, if it is there as a whole.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let Some((start, after)) = rest.split_at_checked(word.len()) else { return false };
        let whole = !after.starts_with(|c| continues_name(c) || c == '.');
        let found = whole && start.eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn list<T>(
        &mut self,
        max: usize,
        mut one: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut all = vec![one(self)?];
        while self.sign(",") {
            if all.len() >= max {
                return Err(ParseError::List(max));
            }
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn either(&mut self) -> Result<Filter, ParseError> {
        self.joined("or", Self::both, Filter::Or)
    }

    fn both(&mut self) -> Result<Filter, ParseError> {
        self.joined("and", Self::one, Filter::And)
    }

    fn joined(
        &mut self,
        with: &str,
        one: impl Fn(&mut Self) -> Result<Filter, ParseError>,
        join: impl Fn(Vec<Filter>) -> Filter,
    ) -> Result<Filter, ParseError> {
        let first = one(self)?;
        let mut all = vec![first];
        while self.word(with) {
            if all.len() >= LIST_MAX {
                return Err(ParseError::List(LIST_MAX));
            }
            all.push(one(self)?);
        }
        Ok(if all.len() == 1 { all.pop().unwrap_or(Filter::All) } else { join(all) })
    }

    fn one(&mut self) -> Result<Filter, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::Deep);
        }
        let filter = self.nested();
        self.depth -= 1;
        filter
    }

    fn nested(&mut self) -> Result<Filter, ParseError> {
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.word("true") {
            return Ok(Filter::All);
        }
        if self.sign("(") {
            let filter = self.either()?;
            return if self.sign(")") { Ok(filter) } else { Err(self.expected(")")) };
        }
        let path = self.path()?;
        self.condition(path)
    }

    fn condition(&mut self, path: Path) -> Result<Filter, ParseError> {
        const SIGNS: [(&str, Compare); 6] = [
            ("!=", Compare::Unequal),
            ("<=", Compare::AtMost),
            (">=", Compare::AtLeast),
            ("=", Compare::Equal),
            ("<", Compare::Below),
            (">", Compare::Above),
        ];
        for (sign, compare) in SIGNS {
            if self.sign(sign) {
                return Ok(Filter::Field(path, compare, self.value()?));
            }
        }
        if self.word("in") {
            if !self.sign("(") {
                return Err(self.expected("("));
            }
            let values = self.list(LIST_MAX, Self::value)?;
            return if self.sign(")") { Ok(Filter::In(path, values)) } else { Err(self.expected(")")) };
        }
        if self.word("starts") {
            return Ok(Filter::Starts(path, self.text()?));
        }
        if self.word("matches") {
            return Ok(Filter::Matches(path, self.text()?));
        }
        if self.word("has") {
            return Ok(Filter::Has(path, self.value()?));
        }
        if self.word("exists") {
            return Ok(Filter::Exists(path));
        }
        Err(self.expected("=, !=, <, <=, >, >=, in, starts, has, matches or exists"))
    }

    fn text(&mut self) -> Result<String, ParseError> {
        let before = self.at;
        if let Value::String(text) = self.value()? {
            return Ok(text);
        }
        self.at = before;
        Err(self.expected("text in double quotes"))
    }

    fn path(&mut self) -> Result<Path, ParseError> {
        let rest = self.rest();
        let end = rest.find(|c| !continues_name(c) && c != '.').unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if name.is_empty() || !name.starts_with(begins_name) {
            return Err(self.expected("a field"));
        }
        let path = name.parse().map_err(|_| self.expected("a field"))?;
        self.at += end;
        Ok(path)
    }

    /// A scalar as JSON writes it.
    fn value(&mut self) -> Result<Value, ParseError> {
        let rest = self.rest();
        let text = rest.starts_with('"');
        let own = if text {
            rest
        } else {
            rest.split([',', ')', ' ', '\t', '\n', '\r']).next().unwrap_or_default()
        };
        let mut values = serde_json::Deserializer::from_str(own).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) if !value.is_array() && !value.is_object() => {
                self.at += values.byte_offset();
                Ok(value)
            }
            _ => Err(self.expected("a number, text in double quotes, true, false or null")),
        }
    }

    fn order(&mut self) -> Result<OrderBy, ParseError> {
        let path = self.path()?;
        let direction = if self.word("desc") {
            Direction::Down
        } else {
            self.word("asc");
            Direction::Up
        };
        Ok(OrderBy { path, direction })
    }

    fn limit(&mut self) -> Result<u32, ParseError> {
        let limit = self.value()?.as_u64().and_then(|limit| u32::try_from(limit).ok());
        limit.filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or(ParseError::Limit)
    }
}

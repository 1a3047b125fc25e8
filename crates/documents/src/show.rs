//! Filters and queries as text that the parser reads.

use std::fmt;

use crate::filter::{Compare, Filter};
use crate::query::{Direction, Query};

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("true"),
            Self::Field(path, compare, value) => write!(f, "{path} {compare} {value}"),
            Self::In(path, values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "{path} in ({})", values.join(", "))
            }
            Self::Starts(path, start) => {
                write!(f, "{path} starts {}", serde_json::Value::from(start.as_str()))
            }
            Self::Matches(path, text) => {
                write!(f, "{path} matches {}", serde_json::Value::from(text.as_str()))
            }
            Self::Has(path, value) => write!(f, "{path} has {value}"),
            Self::Exists(path) => write!(f, "{path} exists"),
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::And(filters) => joined(f, filters, " and "),
            Self::Or(filters) => joined(f, filters, " or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, filters: &[Filter], with: &str) -> fmt::Result {
    for (number, filter) in filters.iter().enumerate() {
        if number > 0 {
            f.write_str(with)?;
        }
        match filter {
            Filter::And(_) | Filter::Or(_) => write!(f, "({filter})")?,
            filter => write!(f, "{filter}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.filter != Filter::All {
            write!(f, "where {} ", self.filter)?;
        }
        for (number, term) in self.order.iter().enumerate() {
            let before = if number == 0 { "order by " } else { ", " };
            let way = if term.direction == Direction::Down { " desc" } else { "" };
            write!(f, "{before}{}{way}", term.path)?;
        }
        let space = if self.order.is_empty() { "" } else { " " };
        write!(f, "{space}limit {}", self.limit)?;
        for (number, path) in self.select.iter().enumerate() {
            write!(f, "{}{path}", if number == 0 { " select " } else { ", " })?;
        }
        Ok(())
    }
}

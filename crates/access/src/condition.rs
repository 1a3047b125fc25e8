//! Conditions of a policy's statement.

use std::net::IpAddr;

use crate::context::{Context, canonical};
use crate::pattern;

/// Keys that a condition may name; one that is not here could never be told, and is refused.
const KEYS: [&str; 42] = [
    "s3:prefix",
    "s3:delimiter",
    "s3:max-keys",
    "s3:versionid",
    "s3:x-amz-acl",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write-acp",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-copy-source",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-storage-class",
    "s3:x-amz-website-redirect-location",
    "s3:x-amz-content-sha256",
    "s3:x-amz-object-ownership",
    "s3:object-lock-mode",
    "s3:object-lock-retain-until-date",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-legal-hold",
    "s3:requestobjecttagkeys",
    "s3:signatureversion",
    "s3:authtype",
    "s3:signatureage",
    "s3:resourceaccount",
    "s3:if-match",
    "s3:if-none-match",
    "aws:sourceip",
    "aws:securetransport",
    "aws:referer",
    "aws:useragent",
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalarn",
    "aws:userid",
    "aws:username",
    "aws:principaltype",
    // Set by AWS's own services, and so never here.
    "aws:sourcearn",
    "aws:sourceaccount",
];
const TAG_KEYS: [&str; 2] = ["s3:existingobjecttag/", "s3:requestobjecttag/"];

/// A condition that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// No such operator.
    #[error("the condition operator {0:?} is not known")]
    Operator(String),
    /// No such key.
    #[error("the condition key {0:?} is not known")]
    Key(String),
    /// A value that the operator cannot compare.
    #[error("{operator} cannot compare with {value:?}")]
    Value {
        /// The operator.
        operator: String,
        /// The value.
        value: String,
    },
    /// Nothing to compare with.
    #[error("the condition on {0:?} has no value")]
    Empty(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Net {
    bits: u128,
    len: u32,
    v4: bool,
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exact(String),
    AnyCase(String),
    Like(String),
    Number(Order, i64),
    Time(Order, i64),
    Is(bool),
    Within(Net),
    /// The key must be there, or must not.
    Missing(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Many {
    One,
    Any,
    All,
}

/// One operator on one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    key: String,
    many: Many,
    if_exists: bool,
    negated: bool,
    tests: Vec<Test>,
}

/// An operator's name without what is around it.
struct Operator<'a> {
    whole: &'a str,
    many: Many,
    base: &'a str,
    if_exists: bool,
}

impl<'a> Operator<'a> {
    fn read(whole: &'a str) -> Self {
        let (many, rest) = if let Some(rest) = whole.strip_prefix("ForAnyValue:") {
            (Many::Any, rest)
        } else if let Some(rest) = whole.strip_prefix("ForAllValues:") {
            (Many::All, rest)
        } else {
            (Many::One, whole)
        };
        let base = rest.strip_suffix("IfExists").unwrap_or(rest);
        Self { whole, many, base, if_exists: base.len() != rest.len() }
    }

    fn negated(&self) -> bool {
        self.base.contains("Not")
    }

    fn order(&self) -> Option<Order> {
        let name = self.base.strip_prefix("Numeric").or_else(|| self.base.strip_prefix("Date"))?;
        Some(match name {
            "Equals" | "NotEquals" => Order::Equal,
            "LessThan" => Order::Less,
            "LessThanEquals" => Order::LessEqual,
            "GreaterThan" => Order::Greater,
            "GreaterThanEquals" => Order::GreaterEqual,
            _ => return None,
        })
    }

    fn test(&self, value: &str) -> Result<Test, ConditionError> {
        let wrong = || ConditionError::Value { operator: self.whole.to_owned(), value: value.to_owned() };
        let text = || value.to_owned();
        Ok(match (self.base, self.order()) {
            ("StringEquals" | "StringNotEquals", _) => Test::Exact(text()),
            ("StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase", _) => Test::AnyCase(text()),
            ("StringLike" | "StringNotLike" | "ArnLike" | "ArnNotLike" | "ArnEquals" | "ArnNotEquals", _) => {
                Test::Like(text())
            }
            ("Bool", _) => Test::Is(boolean(value).ok_or_else(wrong)?),
            ("IpAddress" | "NotIpAddress", _) => Test::Within(Net::read(value).ok_or_else(wrong)?),
            ("Null", _) if !self.if_exists && self.many == Many::One => {
                Test::Missing(boolean(value).ok_or_else(wrong)?)
            }
            (base, Some(order)) if base.starts_with("Numeric") => {
                Test::Number(order, value.parse().map_err(|_| wrong())?)
            }
            (_, Some(order)) => Test::Time(order, seconds(value).ok_or_else(wrong)?),
            _ => return Err(ConditionError::Operator(self.whole.to_owned())),
        })
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A date as policies have it, in seconds since 1970: `2026-01-31`, `2026-01-31T12:00:00Z`, or the
/// seconds themselves.
fn seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let time = time.strip_suffix('Z')?;
    let mut time = time.split('.').next()?.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    // Years begin in March, so that the leap day is the last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 719_468;
    sound.then_some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

impl Net {
    fn read(text: &str) -> Option<Self> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let (bits, width, v4) = spread(address.parse().ok()?);
        let len = len.unwrap_or(width);
        (len <= width).then_some(Self { bits, len, v4 })
    }

    fn holds(self, address: IpAddr) -> bool {
        let (bits, _, v4) = spread(address);
        v4 == self.v4 && (self.len == 0 || (bits ^ self.bits) >> (128 - self.len) == 0)
    }

    /// Whether it is few enough addresses to mean somebody.
    fn is_narrow(self) -> bool {
        self.len >= if self.v4 { 8 } else { 32 }
    }
}

/// An address at the high end of 128 bits, its width, and whether it is of version 4.
fn spread(address: IpAddr) -> (u128, u32, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32, true),
        IpAddr::V6(v6) => (v6.to_bits(), 128, false),
    }
}

impl Order {
    fn holds(self, value: i64, bound: i64) -> bool {
        match self {
            Self::Equal => value == bound,
            Self::Less => value < bound,
            Self::LessEqual => value <= bound,
            Self::Greater => value > bound,
            Self::GreaterEqual => value >= bound,
        }
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => text == value,
            Self::AnyCase(text) => text.eq_ignore_ascii_case(value),
            Self::Like(like) => pattern::fits(like, value),
            Self::Number(order, bound) => value.parse().is_ok_and(|value| order.holds(value, *bound)),
            Self::Time(order, bound) => seconds(value).is_some_and(|value| order.holds(value, *bound)),
            Self::Is(expected) => boolean(value) == Some(*expected),
            Self::Within(net) => value.parse().is_ok_and(|address| net.holds(address)),
            Self::Missing(_) => false,
        }
    }
}

impl Condition {
    /// Reads one operator on one key with its values.
    pub(crate) fn read(operator: &str, key: &str, values: &[String]) -> Result<Self, ConditionError> {
        let named = canonical(key);
        let of_tag = |start: &&str| named.strip_prefix(*start).is_some_and(|tag| !tag.is_empty());
        if !KEYS.contains(&named.as_str()) && !TAG_KEYS.iter().any(of_tag) {
            return Err(ConditionError::Key(key.to_owned()));
        }
        let operator = Operator::read(operator);
        let tests: Vec<Test> = values.iter().map(|value| operator.test(value)).collect::<Result<_, _>>()?;
        if tests.is_empty() {
            return Err(ConditionError::Empty(key.to_owned()));
        }
        Ok(Self {
            key: named,
            many: operator.many,
            if_exists: operator.if_exists,
            negated: operator.negated(),
            tests,
        })
    }

    /// Whether it holds for what is known.
    pub(crate) fn holds(&self, context: &Context) -> bool {
        let known = context.get(&self.key);
        if let Some(Test::Missing(missing)) = self.tests.first() {
            let is_missing = known.is_none();
            let others = self.tests.iter().all(|test| *test == Test::Missing(*missing));
            return others && *missing == is_missing;
        }
        let Some(values) = known else {
            return self.if_exists || self.negated || self.many == Many::All;
        };
        let fits = |value: &String| self.tests.iter().any(|test| test.holds(value)) != self.negated;
        match (self.many, self.negated) {
            (Many::Any, _) | (Many::One, false) => values.iter().any(fits),
            (Many::All, _) | (Many::One, true) => values.iter().all(fits),
        }
    }

    /// Whether it narrows a statement to somebody in particular, as AWS judges what is public.
    pub(crate) fn narrows(&self) -> bool {
        if self.if_exists || self.negated || self.many == Many::All {
            return false;
        }
        let fixed = |test: &Test| match test {
            Test::Exact(_) => true,
            Test::Like(like) => !like.contains(['*', '?']),
            Test::Within(net) => net.is_narrow(),
            _ => false,
        };
        let telling =
            ["aws:sourceip", "aws:sourcearn", "aws:sourceaccount", "aws:principalarn", "aws:userid"];
        telling.contains(&self.key.as_str()) && self.tests.iter().all(fixed)
    }

    /// Whether it asks for tags that an object already has.
    pub(crate) fn asks_for_tags(&self) -> bool {
        TAG_KEYS.first().is_some_and(|existing| self.key.starts_with(existing))
    }
}

#[cfg(test)]
mod tests;

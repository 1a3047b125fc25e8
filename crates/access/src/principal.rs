//! Who asks.

use std::fmt;
use std::str::FromStr;

use freehold_wire::PersonId;

const REALM: &str = "freehold";
const ANONYMOUS: &str = "anonymous";
const SERVICE_NAME_MAX: usize = 32;

/// Whose word counts for itself and for its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// The realm's owner: whoever holds the node's own pair of keys.
    Realm,
    /// A person of the realm.
    Person(PersonId),
}

/// What a service is called: lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceName(String);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// Nobody in particular: the request is not signed.
    Anonymous,
    /// The realm's owner, or a person.
    Account(Account),
    /// A program that acts for them, with less than they have.
    Service(Account, ServiceName),
}

/// Text that names no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    /// Not a principal.
    #[error("{0:?} is neither `freehold` nor a person's id, nor one of these with /service")]
    Unknown(String),
    /// Not a service's name.
    #[error("a service's name has 1 to {SERVICE_NAME_MAX} lower-case letters, digits and hyphens")]
    Service,
}

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (1..=SERVICE_NAME_MAX).contains(&text.len()) && text.bytes().all(fits);
        if good { Ok(Self(text.to_owned())) } else { Err(PrincipalError::Service) }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realm => f.write_str(REALM),
            Self::Person(id) => id.fmt(f),
        }
    }
}

impl FromStr for Account {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        if text == REALM {
            return Ok(Self::Realm);
        }
        text.parse().map(Self::Person).map_err(|_| PrincipalError::Unknown(text.to_owned()))
    }
}

impl Principal {
    /// The realm's owner.
    pub const REALM: Self = Self::Account(Account::Realm);

    /// Whose principal it is; none of an anonymous one.
    pub fn account(&self) -> Option<Account> {
        match self {
            Self::Anonymous => None,
            Self::Account(account) | Self::Service(account, _) => Some(*account),
        }
    }

    /// What people read.
    pub fn shown(&self) -> String {
        match self {
            Self::Account(Account::Person(id)) => id.short(),
            Self::Service(_, name) => name.to_string(),
            other => other.to_string(),
        }
    }
}

/// The id that lists and policies name a principal by.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str(ANONYMOUS),
            Self::Account(account) => account.fmt(f),
            Self::Service(account, name) => write!(f, "{account}/{name}"),
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        if text == ANONYMOUS {
            return Ok(Self::Anonymous);
        }
        match text.split_once('/') {
            None => text.parse().map(Self::Account),
            Some((account, name)) => Ok(Self::Service(account.parse()?, name.parse()?)),
        }
    }
}

//! Bucket policies, in AWS's language. `s3s-policy` reads them too, but drops members that it does not
//! know, so that a misspelt condition would allow more than was meant; here such a policy is refused.

mod raw;

use std::fmt;

use crate::action::{self, Action};
use crate::condition::{Condition, ConditionError};
use crate::context::Context;
use crate::pattern;
use crate::principal::{Account, Principal};
use raw::{RawPolicy, RawStatement};

/// AWS's bound on a policy's bytes.
pub const POLICY_MAX: usize = 20 << 10;
const ARN: &str = "arn:aws:s3:::";
const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];

/// A policy that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Too long.
    #[error("a policy has at most {POLICY_MAX} bytes, not {0}")]
    TooLong(usize),
    /// No JSON, or not with these members.
    #[error("the policy is not readable: {0}")]
    Json(String),
    /// Another version of the language.
    #[error("the policy's version is {0:?}; 2012-10-17 and 2008-10-17 are known")]
    Version(String),
    /// A statement without something that it needs.
    #[error("statement {0} needs exactly one of {1}")]
    Needs(String, &'static str),
    /// A principal that is written in no known way.
    #[error("invalid principal in policy: {0:?}")]
    Principal(String),
    /// To allow all but somebody lets strangers in.
    #[error("statement {0} allows by NotPrincipal, which would let everybody else in")]
    NotPrincipal(String),
    /// An action that there is not.
    #[error("policy has invalid action {0:?}")]
    Action(String),
    /// A resource that is not of this bucket.
    #[error("policy has invalid resource {0:?}")]
    Resource(String),
    /// Variables are not supported, and taken literally they would mean something else.
    #[error("policy variables are not supported: {0:?}")]
    Variable(String),
    /// A condition that is not understood.
    #[error("policy has an invalid condition: {0}")]
    Condition(#[from] ConditionError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Everybody,
    /// The account's principal, and its services where a statement takes something away.
    Account(Account),
    One(Principal),
    /// Well-formed, and nobody here.
    Nobody,
}

/// Texts that something must fit, or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Patterns {
    any_of: Vec<String>,
    negated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    sid: String,
    allows: bool,
    principals: Vec<Named>,
    /// All but the principals.
    others: bool,
    actions: Patterns,
    resources: Patterns,
    conditions: Vec<Condition>,
}

/// A policy that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// What a policy says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The statement of this name denies it.
    Denied(String),
    Allowed,
    Silent,
}

/// What a policy is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) who: &'a Principal,
    /// Whether the key speaks for its account here.
    pub(crate) delegated: bool,
    pub(crate) action: Action,
    pub(crate) bucket: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) context: &'a Context,
}

impl Policy {
    /// Reads a policy of a bucket.
    ///
    /// # Errors
    /// [`PolicyError`], for anything that is not understood to the last word.
    pub fn read(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > POLICY_MAX {
            return Err(PolicyError::TooLong(bytes.len()));
        }
        let raw: RawPolicy = serde_json::from_slice(bytes).map_err(|e| PolicyError::Json(e.to_string()))?;
        if let Some(version) = raw.version.filter(|version| !VERSIONS.contains(&version.as_str())) {
            return Err(PolicyError::Version(version));
        }
        let statements = raw.statement.into_vec().into_iter().enumerate();
        let statements: Vec<_> =
            statements.map(|(at, raw)| Statement::of(at + 1, raw)).collect::<Result<_, _>>()?;
        if statements.is_empty() {
            return Err(PolicyError::Json("there is no statement".to_owned()));
        }
        Ok(Self { statements })
    }

    /// Refuses a policy that speaks of other buckets only.
    ///
    /// # Errors
    /// [`PolicyError::Resource`]
    pub fn check_bucket(&self, bucket: &str) -> Result<(), PolicyError> {
        let resources = self.statements.iter().map(|statement| &statement.resources);
        for resource in resources.filter(|resources| !resources.negated).flat_map(|r| &r.any_of) {
            let named = resource.strip_prefix(ARN).unwrap_or(resource);
            let named = named.split_once('/').map_or(named, |(bucket, _)| bucket);
            if !pattern::fits(named, bucket) {
                return Err(PolicyError::Resource(resource.clone()));
            }
        }
        Ok(())
    }

    /// Whether it lets everybody in, as AWS judges it.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(|statement| {
            statement.allows
                && statement.principals.contains(&Named::Everybody)
                && !statement.conditions.iter().any(Condition::narrows)
        })
    }

    /// Whether it may let in anybody but an account and its services, whatever the conditions.
    pub fn lets_in_others(&self, than: Account) -> bool {
        let is_other = |named: &Named| match named {
            Named::Everybody => true,
            Named::Account(account) => *account != than,
            Named::One(who) => who.account() != Some(than),
            Named::Nobody => false,
        };
        self.statements.iter().any(|statement| statement.allows && statement.principals.iter().any(is_other))
    }

    /// Whether a decision needs the tags that the object has.
    pub fn asks_for_tags(&self) -> bool {
        self.statements.iter().flat_map(|statement| &statement.conditions).any(Condition::asks_for_tags)
    }

    /// What it says, a denial first.
    pub(crate) fn judge(&self, question: &Question<'_>) -> Verdict {
        let arn = match question.key {
            Some(key) => format!("{ARN}{}/{key}", question.bucket),
            None => format!("{ARN}{}", question.bucket),
        };
        let applies = |statement: &&Statement| statement.applies(question, &arn);
        let (allowing, denying): (Vec<_>, Vec<_>) =
            self.statements.iter().filter(applies).partition(|statement| statement.allows);
        match denying.first() {
            Some(statement) => Verdict::Denied(statement.sid.clone()),
            None if allowing.is_empty() => Verdict::Silent,
            None => Verdict::Allowed,
        }
    }
}

impl Statement {
    fn of(number: usize, raw: RawStatement) -> Result<Self, PolicyError> {
        let sid = raw.sid.filter(|sid| !sid.is_empty()).unwrap_or_else(|| number.to_string());
        let needs = |what| PolicyError::Needs(sid.clone(), what);
        let (principals, others) = match (raw.principal, raw.not_principal) {
            (Some(principals), None) => (principals, false),
            (None, Some(principals)) => (principals, true),
            _ => return Err(needs("Principal and NotPrincipal")),
        };
        let allows = raw.effect.allows();
        if others && allows {
            return Err(PolicyError::NotPrincipal(sid));
        }
        let principals = principals.into_pairs().into_iter();
        let principals: Vec<_> =
            principals.map(|(kind, text)| Named::of(&kind, &text)).collect::<Result<_, _>>()?;
        let either = |yes: Option<raw::Many<String>>, no: Option<raw::Many<String>>| match (yes, no) {
            (Some(any_of), None) => Some(Patterns { any_of: any_of.into_vec(), negated: false }),
            (None, Some(any_of)) => Some(Patterns { any_of: any_of.into_vec(), negated: true }),
            _ => None,
        };
        let actions = either(raw.action, raw.not_action).ok_or_else(|| needs("Action and NotAction"))?;
        let resources =
            either(raw.resource, raw.not_resource).ok_or_else(|| needs("Resource and NotResource"))?;
        for (what, empty) in [
            ("Principal", principals.is_empty()),
            ("Action", actions.any_of.is_empty()),
            ("Resource", resources.any_of.is_empty()),
        ] {
            if empty {
                return Err(needs(what));
            }
        }
        if let Some(unknown) = actions.any_of.iter().find(|pattern| !action::is_known(pattern)) {
            return Err(PolicyError::Action(unknown.clone()));
        }
        let sound = |resource: &&String| {
            *resource == "*" || resource.strip_prefix(ARN).is_some_and(|r| !r.is_empty())
        };
        if let Some(wrong) = resources.any_of.iter().find(|resource| !sound(resource)) {
            return Err(PolicyError::Resource(wrong.clone()));
        }
        let conditions = conditions(raw.condition)?;
        for text in &resources.any_of {
            refuse_variable(text)?;
        }
        Ok(Self { sid, allows, principals, others, actions, resources, conditions })
    }

    fn applies(&self, question: &Question<'_>, arn: &str) -> bool {
        let wide = !self.allows || question.delegated;
        let named = self.principals.iter().any(|named| named.takes_in(question.who, wide));
        let acts = self.actions.any_of.iter().any(|pattern| action::named_by(pattern, question.action));
        let meant = self.resources.any_of.iter().any(|resource| pattern::fits(resource, arn));
        named != self.others
            && acts != self.actions.negated
            && meant != self.resources.negated
            && self.conditions.iter().all(|condition| condition.holds(question.context))
    }
}

fn refuse_variable(text: &str) -> Result<(), PolicyError> {
    if text.contains("${") { Err(PolicyError::Variable(text.to_owned())) } else { Ok(()) }
}

fn conditions(
    raw: Option<raw::Pairs<raw::Pairs<raw::Many<raw::Value>>>>,
) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (operator, keys) in raw.into_iter().flat_map(|raw| raw.0) {
        for (key, values) in keys.0 {
            let values: Vec<String> = values.into_vec().into_iter().map(raw::Value::into_text).collect();
            for value in &values {
                refuse_variable(value)?;
            }
            conditions.push(Condition::read(&operator, &key, &values)?);
        }
    }
    Ok(conditions)
}

impl Named {
    fn of(kind: &str, text: &str) -> Result<Self, PolicyError> {
        let wrong = || PolicyError::Principal(text.to_owned());
        match kind {
            // Parties that are nobody here: a statement for them applies to no request.
            "Service" | "Federated" if !text.is_empty() => return Ok(Self::Nobody),
            "AWS" if text == "*" => return Ok(Self::Everybody),
            "AWS" | "CanonicalUser" => {}
            _ => return Err(wrong()),
        }
        let id = |text: &str| text.parse().ok().map(Self::of_principal);
        let Some(arn) = text.strip_prefix("arn:aws:iam::").or_else(|| text.strip_prefix("arn:aws:sts::"))
        else {
            let foreign = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
            return id(text).or(foreign.then_some(Self::Nobody)).ok_or_else(wrong);
        };
        let (account, what) = arn.split_once(':').ok_or_else(wrong)?;
        if what.is_empty() || text.contains(['*', '?']) {
            return Err(wrong());
        }
        let named = match what.split_once('/') {
            None if what == "root" => id(account),
            Some(("user", name)) if account.is_empty() => id(name),
            Some(("user", name)) => id(&format!("{account}/{name}")).or_else(|| id(name)),
            _ => None,
        };
        Ok(named.unwrap_or(Self::Nobody))
    }

    fn of_principal(principal: Principal) -> Self {
        match principal {
            Principal::Anonymous => Self::Nobody,
            Principal::Account(account) => Self::Account(account),
            one @ Principal::Service(..) => Self::One(one),
        }
    }

    /// `wide`: an account's services are meant as well.
    fn takes_in(&self, who: &Principal, wide: bool) -> bool {
        match self {
            Self::Everybody => true,
            Self::One(one) => one == who,
            Self::Account(account) => {
                *who == Principal::Account(*account) || (wide && who.account() == Some(*account))
            }
            Self::Nobody => false,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a policy of {} statements", self.statements.len())
    }
}

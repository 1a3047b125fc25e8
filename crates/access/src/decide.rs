//! The decision: what the key may do at most, then what the policy denies, then who owns, then what
//! the policy or a list allows.

use std::fmt;

use freehold_wire::Millis;

use crate::acl::Acl;
use crate::action::{Action, Need};
use crate::context::Context;
use crate::policy::{Policy, Question, Verdict};
use crate::principal::{Account, Principal};
use crate::public::{Ownership, PublicAccessBlock};
use crate::rights::{Right, Rights};

/// A request, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks.
    pub who: &'a Principal,
    /// What their key may be used for.
    pub rights: &'a Rights,
    /// What for.
    pub action: Action,
    /// In which bucket.
    pub bucket: &'a str,
    /// On which object, if on one.
    pub key: Option<&'a str>,
    /// What else is known of the request.
    pub context: &'a Context,
    /// The time.
    pub now: Millis,
}

/// What a bucket's owner, and an object's, have said.
#[derive(Debug, Clone)]
pub struct Documents<'a> {
    /// Whose the bucket is.
    pub owner: &'a Principal,
    /// Its policy.
    pub policy: Option<&'a Policy>,
    /// Its list.
    pub acl: Option<&'a Acl>,
    /// The object's list; none if the object has none of its own.
    pub object_acl: Option<&'a Acl>,
    /// What keeps it from being public.
    pub block: PublicAccessBlock,
    /// Whose its objects are.
    pub ownership: Ownership,
}

/// May it be done?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No.
    Denied(Why),
}

/// Why not, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The key's time is over.
    KeyEnded,
    /// The key is for other buckets.
    KeyBucket(String),
    /// The key is for other objects.
    KeyPrefix(String),
    /// The key may not do such things.
    KeyRight(Right),
    /// A statement of the bucket's policy denies it.
    Policy(String),
    /// The policy would allow it, but the bucket must not be public.
    NotPublic,
    /// Nothing allows it to strangers.
    Unsigned(&'static str),
    /// Nothing allows it to this principal.
    Nothing {
        /// Who asked.
        who: String,
        /// For what.
        action: &'static str,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyEnded => f.write_str("this access key has ended"),
            Self::KeyBucket(bucket) => write!(f, "this access key is not for the bucket {bucket}"),
            Self::KeyPrefix(prefix) => write!(f, "this access key is only for what begins with {prefix}"),
            Self::KeyRight(right) => write!(f, "this access key does not have the right to {right}"),
            Self::Policy(sid) => write!(f, "statement {sid} of the bucket's policy denies it"),
            Self::NotPublic => f.write_str("the bucket's public access block keeps strangers out"),
            Self::Unsigned(action) => {
                write!(f, "the request is not signed, and nothing allows s3:{action} to everybody")
            }
            Self::Nothing { who, action } => write!(f, "nothing allows s3:{action} to {who}"),
        }
    }
}

/// Whether `who`, by a key with these rights, speaks for `owner` in that bucket: as the owner itself,
/// as the person behind the owner's service, as a service whose key was made for that bucket by the
/// owner, or as the realm's owner.
pub fn owns(who: &Principal, rights: &Rights, bucket: &str, owner: &Principal) -> bool {
    if who == owner || *who == Principal::REALM {
        return true;
    }
    match who {
        Principal::Anonymous => false,
        Principal::Account(account) => owner.account() == Some(*account),
        Principal::Service(account, _) => {
            rights.names(bucket) && (owner.account() == Some(*account) || *account == Account::Realm)
        }
    }
}

fn bounded(asked: &Asked<'_>) -> Option<Why> {
    let rights = asked.rights;
    if rights.ended(asked.now) {
        return Some(Why::KeyEnded);
    }
    if !rights.reaches(asked.bucket) {
        return Some(Why::KeyBucket(asked.bucket.to_owned()));
    }
    if !rights.allow.contains(&asked.action.right) {
        return Some(Why::KeyRight(asked.action.right));
    }
    if rights.prefix.is_empty() {
        return None;
    }
    // A listing is narrowed by its own prefix. What concerns the bucket as a whole is not for a key
    // that is for a part of it, but that it is there and where may be known.
    let within = match (asked.key, asked.action.name) {
        (Some(key), _) => key.starts_with(&rights.prefix),
        (None, "GetBucketLocation" | "GetBucketVersioning") => true,
        (None, "ListBucket" | "ListBucketVersions" | "ListBucketMultipartUploads") => {
            let listed = asked.context.get("s3:prefix").and_then(<[String]>::first);
            listed.is_some_and(|prefix| prefix.starts_with(&rights.prefix))
        }
        (None, _) => false,
    };
    (!within).then(|| Why::KeyPrefix(rights.prefix.clone()))
}

/// Whether a request may be done.
pub fn decide(asked: &Asked<'_>, documents: &Documents<'_>) -> Decision {
    if let Some(why) = bounded(asked) {
        return Decision::Denied(why);
    }
    let Asked { who, rights, action, bucket, key, context, .. } = *asked;
    let host = owns(who, rights, bucket, documents.owner);
    let delegated = rights.names(bucket);
    let question = Question { who, delegated, action, bucket, key, context };
    let verdict = documents.policy.map_or(Verdict::Silent, |policy| policy.judge(&question));
    if let Verdict::Denied(sid) = verdict {
        // Or nobody could ever mend a policy that denies everything to everybody.
        let mender = action.is_of_policy() && host && matches!(who, Principal::Account(_));
        return if mender { Decision::Allowed } else { Decision::Denied(Why::Policy(sid)) };
    }
    let lists = documents.ownership.lists_count();
    let object_owner = documents.object_acl.filter(|_| lists).map_or(documents.owner, |acl| &acl.owner);
    let owner = match action.need {
        Need::Object(_) => owns(who, rights, bucket, object_owner),
        Need::Owner | Need::Bucket(_) => host,
    };
    if owner {
        return Decision::Allowed;
    }
    if verdict == Verdict::Allowed {
        let restricted = documents.block.restrict_public_buckets
            && documents.policy.is_some_and(Policy::is_public)
            && who.account().is_none_or(|account| documents.owner.account() != Some(account));
        return if restricted { Decision::Denied(Why::NotPublic) } else { Decision::Allowed };
    }
    let ignore = documents.block.ignore_public_acls;
    let permits =
        |acl: Option<&Acl>, wanted| lists && acl.is_some_and(|acl| acl.permits(who, wanted, ignore));
    let permitted = match action.need {
        Need::Owner => false,
        Need::Bucket(wanted) => permits(documents.acl, wanted),
        Need::Object(wanted) => permits(documents.object_acl, wanted),
    };
    match who {
        _ if permitted => Decision::Allowed,
        Principal::Anonymous => Decision::Denied(Why::Unsigned(action.name)),
        who => Decision::Denied(Why::Nothing { who: who.shown(), action: action.name }),
    }
}

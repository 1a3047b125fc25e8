//! The policy by which a member closes a bucket of theirs: what is there stands, and one denial comes with it.

use serde_json::{Value, json};

/// How statements of a move are known.
const SID: &str = "FreeholdMoving";
/// What changes a version that is there already, and no list shows it.
const SAYINGS: [&str; 6] = [
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersionTagging",
    "s3:PutObjectAcl",
    "s3:PutObjectVersionAcl",
];
/// What makes and removes versions.
const WRITES: [&str; 5] = [
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutObjectRetention",
    "s3:PutObjectLegalHold",
];
/// What says how the bucket is set.
const SETTINGS: [&str; 7] = [
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketCORS",
    "s3:PutBucketWebsite",
    "s3:PutBucketTagging",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPublicAccessBlock",
];

/// How far a bucket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Objects are written and deleted; what is said of those that are there stays as it is.
    Sayings,
    /// Nothing is changed.
    All,
}

/// The policy cannot be added to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bucket's policy is not one that can be read")]
pub struct PolicyError;

fn statements(policy: Option<&str>) -> Result<(Value, Vec<Value>), PolicyError> {
    let policy: Value = match policy {
        Some(text) => serde_json::from_str(text).map_err(|_| PolicyError)?,
        None => json!({"Version": "2012-10-17"}),
    };
    let own = |one: &Value| one.get("Sid").and_then(Value::as_str).is_some_and(|sid| sid.starts_with(SID));
    let all = match policy.get("Statement") {
        None => Vec::new(),
        Some(Value::Array(all)) => all.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        Some(_) => return Err(PolicyError),
    };
    if !policy.is_object() {
        return Err(PolicyError);
    }
    Ok((policy, all.into_iter().filter(|one| !own(one)).collect()))
}

fn with(mut policy: Value, all: Vec<Value>) -> Result<String, PolicyError> {
    policy.as_object_mut().ok_or(PolicyError)?.insert("Statement".to_owned(), Value::Array(all));
    Ok(policy.to_string())
}

/// The policy with which a bucket is closed, from the one that it has.
///
/// # Errors
/// [`PolicyError`]
pub fn closed(policy: Option<&str>, bucket: &str, closing: Closing) -> Result<String, PolicyError> {
    let (policy, mut all) = statements(policy)?;
    let deny = |sid: &str, actions: &[&str], resource: String| {
        json!({
            "Sid": format!("{SID}{sid}"), "Effect": "Deny", "Principal": "*", "Action": actions,
            "Resource": format!("arn:aws:s3:::{resource}"),
        })
    };
    all.push(deny("Sayings", &SAYINGS, format!("{bucket}/*")));
    if closing == Closing::All {
        all.push(deny("Writes", &WRITES, format!("{bucket}/*")));
        all.push(deny("Settings", &SETTINGS, bucket.to_owned()));
    }
    with(policy, all)
}

/// The policy that the bucket had, from the one with which it was closed; none if it had none.
///
/// # Errors
/// [`PolicyError`]
pub fn reopened(policy: Option<&str>) -> Result<Option<String>, PolicyError> {
    let (policy, all) = statements(policy)?;
    if all.is_empty() {
        return Ok(None);
    }
    with(policy, all).map(Some)
}

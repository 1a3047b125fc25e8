//! What the signed policy of a form allows.

use std::time::SystemTime;

use data_encoding::BASE64;
use s3s::post_policy::{PostPolicy, PostPolicyCondition};
use s3s::{S3Error, S3Result, s3_error};
use time::OffsetDateTime;

use crate::form::Form;

/// Fields that a policy need not name: they carry it, or only narrow what is taken.
const FREE: [&str; 5] = ["awsaccesskeyid", "signature", "x-amz-signature", "policy", "file"];
const FREE_BEGINNINGS: [&str; 2] = ["x-ignore-", "x-amz-checksum-"];

/// Least and greatest length of the file, if the form is what its policy allows. A field that the
/// policy does not name is refused: else whoever has the form could add to it.
pub(crate) fn check(
    encoded: &str,
    form: &Form,
    key: &str,
    bucket: &str,
    now: SystemTime,
) -> S3Result<(u64, u64)> {
    let invalid = |why: String| s3_error!(InvalidPolicyDocument, "Invalid Policy: {}.", why);
    let policy = PostPolicy::from_base64(encoded).map_err(|error| invalid(error.to_string()))?;
    if !has_plain_date(encoded) {
        return Err(invalid("its expiration has not the form YYYY-MM-DDThh:mm:ssZ".to_owned()));
    }
    if policy.conditions.is_empty() {
        return Err(invalid("it has no conditions".to_owned()));
    }
    if OffsetDateTime::from(policy.expiration.clone()) <= OffsetDateTime::from(now) {
        return Err(s3_error!(AccessDenied, "Invalid according to Policy: Policy expired."));
    }
    let value = |field: &str| match field {
        "bucket" => Some(bucket),
        "key" => Some(key),
        _ => form.field(field),
    };
    let (mut least, mut most) = (0, u64::MAX);
    for condition in &policy.conditions {
        let holds = match condition {
            PostPolicyCondition::Eq { field, value: wanted } => value(field) == Some(wanted.as_str()),
            PostPolicyCondition::StartsWith { field, prefix } => {
                // A field that is not there begins with nothing.
                let value = value(field).unwrap_or_default();
                match field.as_str() {
                    // A comma stands between types of which each must fit.
                    "content-type" => value.split(',').all(|kind| kind.trim().starts_with(prefix.as_str())),
                    _ => value.starts_with(prefix.as_str()),
                }
            }
            PostPolicyCondition::ContentLengthRange { min, max } => {
                (least, most) = (least.max(*min), most.min(*max));
                true
            }
        };
        if !holds {
            return Err(failed(condition));
        }
    }
    let named = |name: &str| {
        policy.conditions.iter().any(|condition| match condition {
            PostPolicyCondition::Eq { field, .. } | PostPolicyCondition::StartsWith { field, .. } => {
                field == name
            }
            PostPolicyCondition::ContentLengthRange { .. } => false,
        })
    };
    let free = |name: &str| FREE.contains(&name) || FREE_BEGINNINGS.iter().any(|free| name.starts_with(free));
    let mut fields = form.fields.keys().map(String::as_str).chain(["bucket"]);
    match fields.find(|name| !free(name) && !named(name)) {
        None => Ok((least, most)),
        Some(name) => {
            Err(s3_error!(AccessDenied, "Invalid according to Policy: Extra input fields: {}.", name))
        }
    }
}

/// `s3s` takes other dates, too.
fn has_plain_date(encoded: &str) -> bool {
    let json = BASE64.decode(encoded.as_bytes()).unwrap_or_default();
    let json: Option<Raw> = serde_json::from_slice(&json).ok();
    json.is_some_and(|json| json.expiration.contains('T') && json.expiration.ends_with('Z'))
}

#[derive(serde::Deserialize)]
struct Raw {
    expiration: String,
}

fn failed(condition: &PostPolicyCondition) -> S3Error {
    let shown = match condition {
        PostPolicyCondition::Eq { field, value } => format!(r#"["eq", "${field}", "{value}"]"#),
        PostPolicyCondition::StartsWith { field, prefix } => {
            format!(r#"["starts-with", "${field}", "{prefix}"]"#)
        }
        PostPolicyCondition::ContentLengthRange { min, max } => {
            format!(r#"["content-length-range", {min}, {max}]"#)
        }
    };
    s3_error!(AccessDenied, "Invalid according to Policy: Policy Condition failed: {}.", shown)
}

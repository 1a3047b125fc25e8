//! Conditions on reads (RFC 9110, section 13.2.2). Conditions on writes are the vault's: it checks
//! and acts in one step.

use freehold_vault::{Conditions, ObjectMeta, PolicyMark};
use freehold_wire::Millis;
use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use crate::meta::{etag, timestamp};

/// The four headers of a conditional read: `If-Match`, `If-None-Match`, `If-Modified-Since` and
/// `If-Unmodified-Since`.
#[derive(Debug, Default)]
pub(crate) struct ReadConditions {
    pub(crate) tag_is: Option<ETagCondition>,
    pub(crate) tag_is_not: Option<ETagCondition>,
    pub(crate) changed_since: Option<Timestamp>,
    pub(crate) unchanged_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Whether the object may be read.
    pub(crate) fn check(&self, meta: &ObjectMeta) -> S3Result<()> {
        if let Some(wanted) = &self.tag_is {
            if !matches(wanted, meta) {
                return Err(failed());
            }
        } else if let Some(since) = &self.unchanged_since
            && modified_s(meta) > seconds(since)
        {
            return Err(failed());
        }
        if let Some(known) = &self.tag_is_not {
            if matches(known, meta) {
                return Err(not_modified(meta));
            }
        } else if let Some(since) = &self.changed_since
            && modified_s(meta) <= seconds(since)
        {
            return Err(not_modified(meta));
        }
        Ok(())
    }

    /// For the source of a copy, "not modified" is a failed condition too.
    pub(crate) fn check_source(&self, meta: &ObjectMeta) -> S3Result<()> {
        self.check(meta).map_err(|_| failed())
    }
}

fn matches(condition: &ETagCondition, meta: &ObjectMeta) -> bool {
    condition.is_any() || condition.as_etag().is_some_and(|e| e.value() == meta.etag)
}

/// HTTP dates have no fraction, so neither side of the comparison has.
fn modified_s(meta: &ObjectMeta) -> i64 {
    seconds(&timestamp(meta.modified))
}

fn seconds(at: &Timestamp) -> i64 {
    time::OffsetDateTime::from(at.clone()).unix_timestamp()
}

fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold.")
}

fn not_modified(meta: &ObjectMeta) -> S3Error {
    let mut error = s3_error!(NotModified);
    let mut headers = HeaderMap::new();
    if let Ok(value) = etag(&meta.etag).to_http_header() {
        headers.insert(header::ETAG, value);
    }
    let mut date = Vec::new();
    if timestamp(meta.modified).format(s3s::dto::TimestampFormat::HttpDate, &mut date).is_ok()
        && let Ok(value) = HeaderValue::from_bytes(&date)
    {
        headers.insert(header::LAST_MODIFIED, value);
    }
    error.set_headers(headers);
    error
}

/// The conditions of a write, for the vault.
pub(crate) fn write_conditions(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    allowed_by: Option<PolicyMark>,
) -> Conditions {
    let list = |condition: Option<ETagCondition>| match condition {
        None => Vec::new(),
        Some(ETagCondition::Any) => vec!["*".to_owned()],
        Some(ETagCondition::ETag(tag)) => vec![tag.into_value()],
    };
    Conditions {
        if_match: list(if_match),
        if_none_match: list(if_none_match),
        allowed_by,
        ..Conditions::default()
    }
}

/// The conditions of a deletion, for the vault.
pub(crate) fn delete_conditions(
    if_match: Option<ETagCondition>,
    modified: Option<&Timestamp>,
    size: Option<i64>,
) -> S3Result<Conditions> {
    let size = size.map(u64::try_from).transpose();
    Ok(Conditions {
        if_modified: modified.map(|at| Millis::from_secs(u64::try_from(seconds(at)).unwrap_or(0))),
        if_size: size.map_err(|_| s3_error!(InvalidArgument, "A size is not negative."))?,
        ..write_conditions(if_match, None, None)
    })
}

#[cfg(test)]
mod tests;

//! What went wrong, in S3's words. What the client did is told to the client; what failed here goes
//! to the log with its cause, and the client hears only that it did.

use std::error::Error;

use freehold_vault::{BoxError, DepotError, GetError, Locked, PutError, Version};
use freehold_wire::Millis;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::body;
use crate::buckets::BucketsError;
use crate::digest::DigestError;
use crate::form;
use crate::meta::{http_date, timestamp};

const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");

pub(crate) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist.")
}

pub(crate) fn of_buckets(error: &BucketsError) -> S3Error {
    match error {
        BucketsError::Exists => {
            s3_error!(BucketAlreadyOwnedByYou, "There is a bucket of that name already, and it is yours.")
        }
        BucketsError::NotEmpty => {
            s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty.")
        }
        BucketsError::Name { why } => s3_error!(InvalidBucketName, "{}", why),
        BucketsError::Refused { why } => s3_error!(AccessDenied, "{}", why),
        BucketsError::Failed { why } => {
            tracing::warn!(%error, "a bucket could not be made or ended");
            s3_error!(ServiceUnavailable, "{}", why)
        }
    }
}

pub(crate) fn of_write(error: &PutError) -> S3Error {
    let says = error.to_string();
    match error {
        PutError::NoSuchBucket => no_such_bucket(),
        PutError::NoBucketKey => no_key(),
        PutError::KeyLength(_) => s3_error!(KeyTooLongError, "{}", says),
        PutError::MetaTooLarge => s3_error!(MetadataTooLarge, "{}", says),
        PutError::Source(source) => of_get(source),
        PutError::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
        PutError::NoSuchVersion => no_such_version(),
        PutError::Marker(_) => s3_error!(MethodNotAllowed, "A delete marker has nothing to say anything of."),
        PutError::Locked(locked) => {
            s3_error!(
                AccessDenied,
                "Access denied because the object is protected by object lock: {}.",
                of_lock(locked)
            )
        }
        PutError::NoObjectLock => s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"),
        PutError::Setting(why) => s3_error!(InvalidBucketState, "{}.", why),
        PutError::Precondition => {
            s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold.")
        }
        PutError::Conflict => {
            s3_error!(ConditionalRequestConflict, "Another write of this key came in between. Try again.")
        }
        PutError::Body(source) => of_body(source.as_ref()),
        PutError::Refused(source) => of_checksum(source),
        PutError::Length { .. } => s3_error!(IncompleteBody, "{}", says),
        PutError::Digest => {
            s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received.")
        }
        PutError::TooLarge(_) | PutError::DocumentTooLong(_) => s3_error!(EntityTooLarge, "{}", says),
        PutError::NoSuchUpload => s3_error!(
            NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
        ),
        PutError::PartNumber(_) => s3_error!(InvalidArgument, "{}", says),
        PutError::InvalidPart(_) => s3_error!(InvalidPart, "{}", says),
        PutError::PartOrder => s3_error!(InvalidPartOrder, "{}", says),
        PutError::PartTooSmall(_) => s3_error!(EntityTooSmall, "{}", says),
        PutError::NotConfirmed { .. } => s3_error!(
            ServiceUnavailable,
            "{}. The bucket asks for more copies before a write counts; see `freehold status`.",
            says
        ),
        PutError::Quota(_) => custom("QuotaExceeded", http::StatusCode::FORBIDDEN, says),
        PutError::NotAWriter | PutError::OnlyReads | PutError::TakenBack | PutError::Barred => {
            s3_error!(AccessDenied, "{}", says)
        }
        PutError::CatchingUp | PutError::Ahead | PutError::Cloned | PutError::PolicyChanged => {
            s3_error!(ServiceUnavailable, "{}", says)
        }
        PutError::Depot(DepotError::NoSpace { .. }) => full(),
        PutError::Closing => closing(),
        _ => failed(error),
    }
}

pub(crate) fn of_get(error: &GetError) -> S3Error {
    match error {
        GetError::NoSuchBucket => no_such_bucket(),
        GetError::NoBucketKey => no_key(),
        GetError::NoSuchKey => {
            let mut error = s3_error!(NoSuchKey, "The specified key does not exist.");
            // There is nothing, not even a marker; Ceph says so too.
            error.set_headers(HeaderMap::from_iter([(DELETE_MARKER, HeaderValue::from_static("false"))]));
            error
        }
        GetError::NoSuchVersion => no_such_version(),
        GetError::Deleted(version) => {
            let mut error = s3_error!(NoSuchKey, "The specified key does not exist.");
            error.set_headers(of_marker(*version, None));
            error
        }
        GetError::Marker { version, modified } => {
            let mut error = s3_error!(MethodNotAllowed, "A delete marker has nothing to read.");
            error.set_headers(of_marker(*version, Some(*modified)));
            error
        }
        GetError::NoSuchPart(_) => s3_error!(InvalidPart, "{}", error),
        GetError::Range { size } => {
            s3_error!(InvalidRange, "The requested range is not satisfiable: the object has {} bytes.", size)
        }
        GetError::Missing => s3_error!(
            ServiceUnavailable,
            "The object's bytes are on other nodes, and none of them answers. See `freehold status`."
        ),
        GetError::Tampered => {
            tracing::warn!(%error, "an object failed verification");
            s3_error!(
                InternalError,
                "The stored bytes were altered and no good copy was found. See `freehold bucket verify`."
            )
        }
        GetError::Closing => closing(),
        _ => failed(error),
    }
}

fn no_such_version() -> S3Error {
    s3_error!(NoSuchVersion, "The specified version does not exist.")
}

/// What the answer to a read of a delete marker says of it.
fn of_marker(version: Version, modified: Option<Millis>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(DELETE_MARKER, HeaderValue::from_static("true"));
    if let Ok(version) = HeaderValue::try_from(version.to_string()) {
        headers.insert("x-amz-version-id", version);
    }
    if let Some(modified) = modified {
        headers.insert(http::header::ALLOW, HeaderValue::from_static("DELETE"));
        if let Some(date) = http_date(&timestamp(modified)).and_then(|date| HeaderValue::try_from(date).ok())
        {
            headers.insert(http::header::LAST_MODIFIED, date);
        }
    }
    headers
}

/// The body broke off. `s3s` wraps what its body readers were given as text and does not export its
/// own errors, so all causes are known by their text.
pub(crate) fn of_body(error: &(dyn Error + Send + Sync + 'static)) -> S3Error {
    let mut says = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        says.push_str(&cause.to_string());
        next = cause.source();
    }
    let has = |text: &str| says.contains(text);
    if has("Sha256Mismatch") {
        return custom(
            "XAmzContentSHA256Mismatch",
            http::StatusCode::BAD_REQUEST,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
    }
    if has("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "The signature of a chunk of the body does not match.");
    }
    if has(form::LARGE) {
        return s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size.");
    }
    if has(form::SMALL) {
        return s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size.");
    }
    if has(body::IDLE) {
        return s3_error!(RequestTimeout, "The client stopped sending the body.");
    }
    if has(body::CHUNK_TOO_LARGE) {
        return s3_error!(EntityTooLarge, "A signed chunk of the aws-chunked body is too large.");
    }
    if has(body::MALFORMED) || has("FormatError") || has("ChunkMetaTooLarge") || has("Trailer") {
        return s3_error!(InvalidRequest, "The aws-chunked body is malformed.");
    }
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header."
    )
}

pub(crate) fn custom(
    code: &'static str,
    status: http::StatusCode,
    message: impl Into<std::borrow::Cow<'static, str>>,
) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

fn of_checksum(error: &BoxError) -> S3Error {
    match error.downcast_ref::<DigestError>() {
        Some(mismatch @ DigestError::Mismatch(_)) => s3_error!(BadDigest, "{}", mismatch),
        Some(missing @ DigestError::NoTrailer(_)) => {
            custom("MalformedTrailerError", http::StatusCode::BAD_REQUEST, missing.to_string())
        }
        None => s3_error!(BadDigest, "{}", error),
    }
}

fn of_lock(locked: &Locked) -> String {
    match locked {
        Locked::Hold => "a legal hold is on this version".to_owned(),
        Locked::Until(retention) => {
            let date = http_date(&timestamp(retention.until)).unwrap_or_default();
            format!("this version must be kept until {date}")
        }
    }
}

fn no_key() -> S3Error {
    s3_error!(
        ServiceUnavailable,
        "This node has not been given the bucket's key yet. It comes when a node that has it is reachable; see `freehold status`."
    )
}

fn full() -> S3Error {
    custom(
        "InsufficientStorage",
        http::StatusCode::INSUFFICIENT_STORAGE,
        "The node's disk is full. Nothing was stored; free space or add a node, then try again.",
    )
}

pub(crate) fn closing() -> S3Error {
    s3_error!(ServiceUnavailable, "The node is going down. Try again when it is back.")
}

fn failed(error: &(dyn Error + 'static)) -> S3Error {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        next = cause.source();
    }
    tracing::error!(error = %chain, "a request failed on our side");
    s3_error!(InternalError, "The node could not do this; its log says why. See `freehold doctor`.")
}

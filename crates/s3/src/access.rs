//! What a request must have besides a good signature. `s3s` checks the signature itself; the rules
//! here close what a correct signature leaves open:
//!
//! * the old signature version 2 (no replay limit, body not covered) is refused;
//! * every `x-amz-*` header must be signed. Without this rule, the holder of a pre-signed PUT adds
//!   `x-amz-copy-source` and reads any object through it;
//! * a pre-signed URL lives for at most seven days.
//!
//! Whether the asker may do it is asked of [`Guard`].

mod guard;
pub(crate) mod known;

use http::{HeaderMap, Uri};
use s3s::{S3Result, s3_error};

pub(crate) use guard::{Asker, From, Guard, JudgedBy, Shared, Wish};

const PRESIGNED_LIFE_MAX_S: u32 = 7 * 24 * 3600;

/// The header that states the payload's hash; a pre-signed request may add it, it only narrows.
const PAYLOAD_HASH: &str = "x-amz-content-sha256";

fn check_signed_parts(uri: &Uri, headers: &HeaderMap) -> S3Result<()> {
    let query = uri.query().unwrap_or("").as_bytes();
    let field = |name: &str| form_urlencoded::parse(query).find(|(k, _)| k == name).map(|(_, v)| v);

    if let Some(signed) = field("X-Amz-SignedHeaders") {
        return check_amz_headers(&signed, headers);
    }
    let authorization = headers.get(http::header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or("");
    if !authorization.starts_with("AWS4-HMAC-SHA256") {
        return Err(version_two());
    }
    let signed = authorization.split_once("SignedHeaders=").map_or("", |(_, rest)| rest);
    let signed = signed.split([',', ' ']).next().unwrap_or("");
    check_amz_headers(signed, headers)
}

/// How long a pre-signed URL may be used; asked before `s3s` is, which has no word for it.
pub(crate) fn check_life(uri: &Uri) -> S3Result<()> {
    let query = uri.query().unwrap_or("").as_bytes();
    let field = |name: &str| form_urlencoded::parse(query).find(|(k, _)| k == name).map(|(_, v)| v);
    if field("X-Amz-Signature").is_none() {
        return Ok(());
    }
    let life_s = field("X-Amz-Expires").and_then(|v| v.parse::<u32>().ok());
    if life_s.is_some_and(|s| s <= PRESIGNED_LIFE_MAX_S) {
        return Ok(());
    }
    let mut error = s3_error!(
        AuthorizationQueryParametersError,
        "X-Amz-Expires must be at most {} seconds (seven days).",
        PRESIGNED_LIFE_MAX_S
    );
    error.set_status_code(http::StatusCode::FORBIDDEN);
    Err(error)
}

/// Whether a request is signed in the old way. Asked before `s3s` is: it would check such a signature,
/// and not in constant time, for nothing.
pub(crate) fn is_version_two(uri: &Uri, headers: &HeaderMap) -> bool {
    let query = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let authorization = headers.get(http::header::AUTHORIZATION).map_or(&b""[..], |v| v.as_bytes());
    authorization.starts_with(b"AWS ")
        || query.into_iter().any(|(k, _)| k == "Signature" || k == "AWSAccessKeyId")
}

fn check_amz_headers(signed: &str, headers: &HeaderMap) -> S3Result<()> {
    let is_signed = |name: &str| signed.split(';').any(|s| s.eq_ignore_ascii_case(name));
    for name in headers.keys() {
        let name = name.as_str();
        if name.starts_with("x-amz-") && name != PAYLOAD_HASH && !is_signed(name) {
            return Err(s3_error!(
                AccessDenied,
                "There were headers present in the request which were not signed: {}. Sign them or leave them out.",
                name
            ));
        }
    }
    if !is_signed("host") {
        return Err(s3_error!(AccessDenied, "The host header must be signed."));
    }
    Ok(())
}

/// Whether `s3s` checks a signature before it reads the body. Of two it looks at neither.
pub(crate) fn is_signed(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut query = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let one = headers.get_all(http::header::AUTHORIZATION).into_iter().count() == 1;
    one || query.any(|(k, _)| k == "X-Amz-Signature")
}

/// Whether a request is signed for Amazon's token service. `s3s` would read the body of one before it
/// looks at the signature.
pub(crate) fn is_for_tokens(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(http::header::AUTHORIZATION).into_iter();
    all.any(|value| String::from_utf8_lossy(value.as_bytes()).contains("/sts/"))
}

/// The refusal of what is signed for another service.
pub(crate) fn not_for_tokens() -> s3s::S3Error {
    s3_error!(
        SignatureDoesNotMatch,
        "The request is signed for the service 'sts'; sign it for the service 's3'."
    )
}

/// The refusal of the old signature version.
pub(crate) fn version_two() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256 (signature version 4); in boto3 by the region 'freehold' or signature_version='s3v4'."
    )
}

#[cfg(test)]
mod tests;

//! Who signed a form. Its policy is signed, and says what the form may be: so that either version of
//! the signature covers as much as the other.

use data_encoding::{BASE64, HEXLOWER};
use freehold_wire::Millis;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use s3s::{S3Error, S3Result, s3_error};
use sha1::Sha1;
use sha2::Sha256;
use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::form::Form;
use crate::keys::{Keys, unknown};

/// As a pre-signed URL.
const LIFE_MAX: Millis = Millis::from_hours(7 * 24);
const SKEW_MAX: Millis = Millis::from_secs(15 * 60);

/// The access key that signed a form's policy; none if nobody signed. A policy that nobody signed is
/// no policy.
pub(crate) fn signer(form: &Form, keys: &dyn Keys, now: Millis) -> S3Result<Option<String>> {
    let policy = form.field("policy");
    match (policy, form.field("x-amz-signature"), form.field("signature")) {
        (None, None, None) => Ok(None),
        (Some(policy), Some(signature), _) => version_four(form, policy, signature, keys, now).map(Some),
        (Some(policy), None, Some(signature)) => version_two(form, policy, signature, keys).map(Some),
        (Some(_), None, None) => Err(missing("signature")),
        (None, ..) => Err(missing("policy")),
    }
}

fn missing(field: &str) -> S3Error {
    s3_error!(InvalidArgument, "Bucket POST must contain a field named '{}'.", field)
}

fn mismatch() -> S3Error {
    s3_error!(
        SignatureDoesNotMatch,
        "The signature is not what this access key's secret gives: see that the secret is copied whole."
    )
}

/// HMAC takes a key of any length.
fn keyed<M: KeyInit>(key: &[u8]) -> S3Result<M> {
    M::new_from_slice(key).map_err(|_| mismatch())
}

fn version_two(form: &Form, policy: &str, signature: &str, keys: &dyn Keys) -> S3Result<String> {
    let id = form.field("awsaccesskeyid").ok_or_else(|| missing("AWSAccessKeyId"))?;
    let secret = keys.pair(id).ok_or_else(unknown)?.secret();
    let said = BASE64.decode(signature.as_bytes()).map_err(|_| mismatch())?;
    let mut mac: Hmac<Sha1> = keyed(secret.expose().as_bytes())?;
    mac.update(policy.as_bytes());
    mac.verify_slice(&said).map_err(|_| mismatch())?;
    Ok(id.to_owned())
}

fn version_four(
    form: &Form,
    policy: &str,
    signature: &str,
    keys: &dyn Keys,
    now: Millis,
) -> S3Result<String> {
    let field = |name: &str| form.field(name).ok_or_else(|| missing(name));
    if field("x-amz-algorithm")? != "AWS4-HMAC-SHA256" {
        return Err(s3_error!(NotImplemented, "Forms are signed with AWS4-HMAC-SHA256."));
    }
    let date = field("x-amz-date")?;
    check_age(date, now)?;
    let scope: Vec<&str> = field("x-amz-credential")?.split('/').collect();
    let [id, day, region, "s3", "aws4_request"] = scope.as_slice() else {
        return Err(s3_error!(
            InvalidArgument,
            "x-amz-credential has the form KEY/YYYYMMDD/REGION/s3/aws4_request."
        ));
    };
    if !date.starts_with(day) || day.len() != 8 {
        return Err(s3_error!(InvalidArgument, "x-amz-credential and x-amz-date name different days."));
    }
    let secret = keys.pair(id).ok_or_else(unknown)?.secret();
    let said = HEXLOWER.decode(signature.as_bytes()).map_err(|_| mismatch())?;
    let mut key = format!("AWS4{}", secret.expose()).into_bytes();
    for part in [day, region, "s3", "aws4_request"] {
        let mut mac: Hmac<Sha256> = keyed(&key)?;
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    let mut mac: Hmac<Sha256> = keyed(&key)?;
    mac.update(policy.as_bytes());
    mac.verify_slice(&said).map_err(|_| mismatch())?;
    Ok((*id).to_owned())
}

fn check_age(date: &str, now: Millis) -> S3Result<()> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let at = PrimitiveDateTime::parse(date, format)
        .ok()
        .and_then(|at| u64::try_from(at.assume_utc().unix_timestamp()).ok())
        .map(Millis::from_secs)
        .ok_or_else(|| s3_error!(InvalidArgument, "x-amz-date has the form YYYYMMDDTHHMMSSZ."))?;
    if at.0 > now.0.saturating_add(SKEW_MAX.0) {
        return Err(s3_error!(RequestTimeTooSkewed, "The form was signed later than it is here."));
    }
    if now.0 > at.0.saturating_add(LIFE_MAX.0) {
        return Err(s3_error!(AccessDenied, "A form may be sent for seven days after it was signed."));
    }
    Ok(())
}

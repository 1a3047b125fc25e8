//! Headers that ask for what is not kept here. Each is refused: to drop it silently would be a lie
//! about the object.

use http::HeaderMap;
use s3s::{S3Result, s3_error};

/// A header's name or its beginning, and what it asks for.
const NOT_YET: [(&str, &str); 1] = [("x-amz-write-offset-bytes", "Appending to an object is")];

const SEAL: &str = "x-amz-server-side-encryption";

/// Refuses a read that says how to seal, which only a write can.
pub(crate) fn check_read(operation: &str, headers: &HeaderMap) -> S3Result<()> {
    if matches!(operation, "GetObject" | "HeadObject") && headers.contains_key(SEAL) {
        return Err(s3_error!(InvalidArgument, "{} is not supported for this operation.", SEAL));
    }
    Ok(())
}

/// Refuses the first such header.
pub(crate) fn check(headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let (name, value) = (name.as_str(), value.to_str().unwrap_or(""));
        if name.starts_with("x-amz-meta-") {
            continue;
        }
        if let Some((_, what)) = NOT_YET.iter().find(|(start, _)| name.starts_with(start)) {
            return Err(s3_error!(NotImplemented, "{} not supported yet ({}).", what, name));
        }
        if name.contains("server-side-encryption-customer-") {
            return Err(s3_error!(
                NotImplemented,
                "Objects are sealed with the realm's own keys; keys from clients (SSE-C) are not supported."
            ));
        }
        if name == SEAL && value != "AES256" {
            return Err(s3_error!(
                NotImplemented,
                "Objects are always sealed with AES-256 and the realm's own keys; ask for AES256 or leave the header out."
            ));
        }
        if name.starts_with("x-amz-server-side-encryption-") && !name.ends_with("-bucket-key-enabled") {
            return Err(s3_error!(InvalidArgument, "{} asks for a key of KMS, and there is none.", name));
        }
        if name == "x-amz-storage-class" && value != "STANDARD" {
            return Err(s3_error!(
                InvalidStorageClass,
                "The only storage class is STANDARD; how many copies there are is set by the bucket."
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &'static str, value: &'static str) -> bool {
        let pair = (http::HeaderName::from_static(name), http::HeaderValue::from_static(value));
        check(&std::iter::once(pair).collect()).is_err()
    }

    #[test]
    fn what_is_asked_for_and_not_kept_is_refused() {
        assert!(refused("x-amz-server-side-encryption", "aws:kms"));
        assert!(refused("x-amz-server-side-encryption-customer-algorithm", "AES256"));
        assert!(refused("x-amz-copy-source-server-side-encryption-customer-key", "k"));
        assert!(refused("x-amz-server-side-encryption-aws-kms-key-id", "k"));
        assert!(refused("x-amz-storage-class", "GLACIER"));
    }

    #[test]
    fn what_holds_anyway_may_be_asked_for() {
        assert!(!refused("x-amz-server-side-encryption", "AES256"));
        assert!(!refused("x-amz-storage-class", "STANDARD"));
        assert!(!refused("x-amz-meta-tagging", "mine"));
        assert!(!refused("x-amz-meta-server-side-encryption-customer-key", "mine"));
    }
}

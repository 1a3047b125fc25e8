//! The headers that travel with an object, between S3's words and the vault's.

use std::collections::BTreeMap;

use freehold_seal::Checksum;
use freehold_vault::ObjectMeta;
use freehold_wire::Millis;
use s3s::dto::{ETag, Metadata, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

use crate::digest::Algorithm;

/// Amazon's bound on names and values of user metadata together.
const USER_META_MAX_BYTES: usize = 2048;
const REDIRECT_MAX_BYTES: usize = 2048;
pub(crate) const REDIRECT: &str = "x-amz-website-redirect-location";

/// The standard headers and the client's own metadata.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) expires: Option<Timestamp>,
    /// Where a bucket's website sends who asks for the object.
    pub(crate) redirect: Option<String>,
    pub(crate) user: Option<Metadata>,
}

/// What a request says of the object it writes. The types of `s3s` have these fields in common, and
/// no trait.
macro_rules! kept {
    ($input:ident) => {
        $crate::meta::Kept {
            cache_control: $input.cache_control,
            content_disposition: $input.content_disposition,
            content_encoding: $input.content_encoding,
            content_language: $input.content_language,
            expires: $input.expires,
            redirect: $input.website_redirect_location,
            user: $input.metadata,
        }
    };
}
pub(crate) use kept;

/// An answer with the checksums in their fields.
macro_rules! summed {
    ($sums:ident => $answer:ident { $($rest:tt)* }) => {
        $answer {
            checksum_crc32: $sums.crc32,
            checksum_crc32c: $sums.crc32c,
            checksum_crc64nvme: $sums.crc64nvme,
            checksum_sha1: $sums.sha1,
            checksum_sha256: $sums.sha256,
            $($rest)*
        }
    };
}
pub(crate) use summed;

/// What the vault keeps: standard headers, and the client's own metadata.
pub(crate) type Packed = (BTreeMap<String, String>, BTreeMap<String, String>);

impl Kept {
    /// As the vault keeps it.
    pub(crate) fn pack(self) -> S3Result<Packed> {
        let user = self.user.unwrap_or_default();
        let size: usize = user.iter().map(|(k, v)| k.len() + v.len()).sum();
        if size > USER_META_MAX_BYTES {
            return Err(s3_error!(
                MetadataTooLarge,
                "Your metadata headers have {} bytes and exceed the maximum allowed metadata size of {}.",
                size,
                USER_META_MAX_BYTES
            ));
        }
        let named = [
            ("cache-control", self.cache_control),
            ("content-disposition", self.content_disposition),
            ("content-encoding", self.content_encoding.and_then(|v| without_chunked(&v))),
            ("content-language", self.content_language),
            ("expires", self.expires.and_then(|at| http_date(&at))),
            (REDIRECT, self.redirect.map(redirect).transpose()?),
        ];
        let headers = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Ok((headers, user.into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect()))
    }

    /// Back from the vault.
    pub(crate) fn unpack(meta: &mut ObjectMeta) -> Self {
        let mut headers = std::mem::take(&mut meta.headers);
        let user: Metadata = std::mem::take(&mut meta.user_meta).into_iter().collect();
        Self {
            cache_control: headers.remove("cache-control"),
            content_disposition: headers.remove("content-disposition"),
            content_encoding: headers.remove("content-encoding"),
            content_language: headers.remove("content-language"),
            expires: headers
                .remove("expires")
                .and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, &text).ok()),
            redirect: headers.remove(REDIRECT),
            user: (!user.is_empty()).then_some(user),
        }
    }
}

/// Another object of the website, or an address.
fn redirect(to: String) -> S3Result<String> {
    let begins = ["/", "http://", "https://"].iter().any(|start| to.starts_with(start));
    if begins && to.len() <= REDIRECT_MAX_BYTES {
        return Ok(to);
    }
    Err(crate::refusal::custom(
        "InvalidRedirectLocation",
        http::StatusCode::BAD_REQUEST,
        "The website redirect location must start with /, http:// or https://, and has at most 2,048 bytes.",
    ))
}

/// `aws-chunked` is how the body travelled, not what the object is.
fn without_chunked(value: &str) -> Option<String> {
    if !value.to_ascii_lowercase().contains("aws-chunked") {
        return Some(value.to_owned());
    }
    let rest: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|v| !v.is_empty() && !v.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!rest.is_empty()).then(|| rest.join(","))
}

pub(crate) fn http_date(at: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    at.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// A time as S3 gives it.
pub(crate) fn timestamp(at: Millis) -> Timestamp {
    let nanos = i128::from(at.0) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(time::OffsetDateTime::UNIX_EPOCH).into()
}

/// An ETag in its quotes.
pub(crate) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// Lengths are signed in S3.
pub(crate) fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The kept checksums, each in its field of an answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) kind: Option<s3s::dto::ChecksumType>,
    pub(crate) algorithm: Option<Algorithm>,
}

impl Sums {
    pub(crate) fn of(checksums: &[Checksum]) -> Self {
        use s3s::dto::ChecksumType;
        let mut sums = Self::default();
        for checksum in checksums {
            let Some(algorithm) = Algorithm::of(checksum) else { continue };
            let value = checksum.value.as_str();
            let field = match algorithm {
                Algorithm::Crc32 => &mut sums.crc32,
                Algorithm::Crc32c => &mut sums.crc32c,
                Algorithm::Crc64Nvme => &mut sums.crc64nvme,
                Algorithm::Sha1 => &mut sums.sha1,
                Algorithm::Sha256 => &mut sums.sha256,
            };
            *field = Some(value.to_owned());
            // A checksum of checksums carries the number of parts, as in Amazon's answers.
            let kind = if value.contains('-') { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
            sums.kind = Some(ChecksumType::from_static(kind));
            sums.algorithm = Some(algorithm);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_user_metadata_stay_apart() {
        let kept = Kept {
            cache_control: Some("no-cache".to_owned()),
            expires: Timestamp::parse(TimestampFormat::HttpDate, "Wed, 21 Oct 2015 07:28:00 GMT").ok(),
            user: Some(Metadata::from([("Cache-Control".to_owned(), "mine".to_owned())])),
            ..Kept::default()
        };
        let (headers, user) = kept.pack().unwrap();
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(headers["expires"], "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(user["cache-control"], "mine");
    }

    #[test]
    fn the_transfer_encoding_is_not_kept() {
        assert_eq!(without_chunked("aws-chunked"), None);
        assert_eq!(without_chunked("aws-chunked, gzip").as_deref(), Some("gzip"));
        assert_eq!(without_chunked("deflate, gzip").as_deref(), Some("deflate, gzip"));
        assert_eq!(without_chunked("gzip,aws-chunked").as_deref(), Some("gzip"));
    }

    #[test]
    fn user_metadata_has_a_bound() {
        let user = Metadata::from([("k".to_owned(), "v".repeat(USER_META_MAX_BYTES))]);
        assert!(Kept { user: Some(user), ..Kept::default() }.pack().is_err());
    }
}

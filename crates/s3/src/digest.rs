//! Checksums that come with a body: in a header, or behind it in a trailer.
//!
//! MD5 and the signed SHA-256 are not here: the vault compares the former while it makes the ETag,
//! `s3s` the latter. So no hash is computed twice.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use data_encoding::BASE64;
use freehold_seal::{Checksum, ChecksumAlgorithm};
use freehold_vault::{AtEnd, BoxError};
use freehold_wire::Text;
use futures::Stream;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::dto::StreamingBlob;
use s3s::{S3Result, TrailingHeaders, s3_error};

/// The algorithms of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// Its name in S3.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// As the vault calls it.
    pub(crate) const fn kept(self) -> ChecksumAlgorithm {
        match self {
            Self::Crc32 => ChecksumAlgorithm::Crc32,
            Self::Crc32c => ChecksumAlgorithm::Crc32c,
            Self::Crc64Nvme => ChecksumAlgorithm::Crc64Nvme,
            Self::Sha1 => ChecksumAlgorithm::Sha1,
            Self::Sha256 => ChecksumAlgorithm::Sha256,
        }
    }

    /// From what the vault keeps, which may be of an algorithm that S3 does not have.
    pub(crate) fn of(checksum: &Checksum) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.kept() == checksum.algorithm)
    }

    /// A value to be kept.
    pub(crate) fn checksum(self, value: &str) -> Option<Checksum> {
        Some(Checksum { algorithm: self.kept(), value: Text::new(value).ok()? })
    }

    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    pub(crate) fn hasher(self) -> ChecksumHasher {
        use s3s::crypto::Checksum as _;
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(s3s::crypto::Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(s3s::crypto::Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(s3s::crypto::Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(s3s::crypto::Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(s3s::crypto::Sha256::new()),
        }
        hasher
    }

    pub(crate) fn finish(self, hasher: ChecksumHasher) -> Option<String> {
        let sums = hasher.finalize();
        match self {
            Self::Crc32 => sums.checksum_crc32,
            Self::Crc32c => sums.checksum_crc32c,
            Self::Crc64Nvme => sums.checksum_crc64nvme,
            Self::Sha1 => sums.checksum_sha1,
            Self::Sha256 => sums.checksum_sha256,
        }
    }
}

/// What the client says about the checksum of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    algorithm: Algorithm,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Header(String),
    Trailer,
    /// Only the algorithm was named: compute and keep it.
    None,
}

impl Claim {
    /// Reads the claim from the request's headers. `kept` is the algorithm that an upload in parts
    /// was begun with.
    pub(crate) fn read(headers: &HeaderMap, kept: Option<Algorithm>) -> S3Result<Option<Self>> {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let mut claims = Algorithm::ALL.into_iter().filter_map(|algorithm| {
            let value = text(algorithm.header())?;
            Some(Self { algorithm, source: Source::Header(value.to_owned()) })
        });
        let in_header = claims.next();
        if claims.next().is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed."
            ));
        }
        if let Some(claim) = in_header {
            if let Source::Header(value) = &claim.source
                && BASE64.decode(value.as_bytes()).map(|v| v.len()) != Ok(claim.algorithm.bytes())
            {
                return Err(s3_error!(
                    InvalidRequest,
                    "Value for {} header is invalid.",
                    claim.algorithm.header()
                ));
            }
            return Ok(Some(claim));
        }
        if let Some(trailer) = text("x-amz-trailer") {
            let name = trailer.trim();
            let algorithm = Algorithm::ALL.into_iter().find(|a| a.header().eq_ignore_ascii_case(name));
            return match algorithm {
                Some(algorithm) => Ok(Some(Self { algorithm, source: Source::Trailer })),
                None => Err(s3_error!(
                    InvalidRequest,
                    "The value specified in the x-amz-trailer header is not supported."
                )),
            };
        }
        let named = text("x-amz-sdk-checksum-algorithm").or_else(|| text("x-amz-checksum-algorithm"));
        let algorithm = match named {
            Some(name) => Some(Algorithm::parse(name).ok_or_else(|| {
                s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
            })?),
            None => kept,
        };
        Ok(algorithm.map(|algorithm| Self { algorithm, source: Source::None }))
    }
}

/// Why a body does not match its checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DigestError {
    #[error("The {0} you specified did not match the calculated checksum.")]
    Mismatch(&'static str),
    #[error("The request announced a trailer {0} and ended without it.")]
    NoTrailer(&'static str),
}

type Tally = Arc<Mutex<Option<ChecksumHasher>>>;

/// A body whose checksum is computed while it passes.
pub(crate) struct Watched {
    inner: StreamingBlob,
    tally: Option<Tally>,
}

impl Stream for Watched {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.inner).poll_next(cx));
        if let (Some(Ok(bytes)), Some(tally)) = (&next, &self.tally)
            && let Some(hasher) = tally.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            hasher.update(bytes);
        }
        Poll::Ready(next)
    }
}

/// Splits a body into what the vault reads and what it calls at the end.
pub(crate) fn watch(
    body: StreamingBlob,
    claim: Option<Claim>,
    trailers: Option<TrailingHeaders>,
) -> (Watched, Option<AtEnd>) {
    let Some(claim) = claim else { return (Watched { inner: body, tally: None }, None) };
    let tally: Tally = Arc::new(Mutex::new(Some(claim.algorithm.hasher())));
    let watched = Watched { inner: body, tally: Some(Arc::clone(&tally)) };
    let at_end: AtEnd = Box::new(move || {
        let hasher = tally.lock().unwrap_or_else(PoisonError::into_inner).take();
        let value = hasher.and_then(|h| claim.algorithm.finish(h)).unwrap_or_default();
        compare(&claim, &value, trailers.as_ref())?;
        Ok(claim.algorithm.checksum(&value).into_iter().collect())
    });
    (watched, Some(at_end))
}

fn compare(claim: &Claim, value: &str, trailers: Option<&TrailingHeaders>) -> Result<(), DigestError> {
    let name = claim.algorithm.name();
    let expected = match &claim.source {
        Source::None => return Ok(()),
        Source::Header(expected) => expected.clone(),
        Source::Trailer => {
            let read =
                |h: &HeaderMap| h.get(claim.algorithm.header())?.to_str().ok().map(|v| v.trim().to_owned());
            trailers
                .and_then(|t| t.read(read))
                .flatten()
                .ok_or(DigestError::NoTrailer(claim.algorithm.header()))?
        }
    };
    if expected == value { Ok(()) } else { Err(DigestError::Mismatch(name)) }
}

/// The 16 bytes of a `Content-MD5` header.
pub(crate) fn content_md5(headers: &HeaderMap) -> S3Result<Option<[u8; 16]>> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let decoded = BASE64.decode(value.as_bytes()).ok().and_then(|v| <[u8; 16]>::try_from(v).ok());
    match decoded {
        Some(md5) => Ok(Some(md5)),
        None => Err(s3_error!(
            InvalidDigest,
            "The Content-MD5 you specified is not valid: 16 bytes in base64 are expected."
        )),
    }
}

#[cfg(test)]
mod tests;

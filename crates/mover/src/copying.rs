//! One version on its way, in constant memory: what is read from the old realm goes into the new one as it comes.

use data_encoding::BASE64;
use freehold_moves::{Kept, Seen, field, pairs};
use http::{HeaderMap, Method};
use sha2::{Digest as _, Sha256};

use crate::client::{Ask, Passing, S3};
use crate::sign::encoded;
use crate::{MoveError, Realm};

/// What an object was written with and is given back as it came.
const CARRIED: [&str; 7] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
];
const META: &str = "x-amz-meta-";
const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];
const LOCKS: [&str; 3] =
    ["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"];

/// The two realms, and where in them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) from: &'a S3,
    pub(crate) to: &'a S3,
    /// The bucket's name in the old realm, and in the new one.
    pub(crate) bucket: &'a str,
    pub(crate) now: &'a str,
    pub(crate) key: &'a str,
    /// Whether it keeps versions.
    pub(crate) keeps: bool,
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn picked(headers: &HeaderMap, names: &[&str]) -> Vec<(String, String)> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), text(headers, name)?))).collect()
}

fn bare(etag: Option<String>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

/// The MD5 that an ETag is, if it is one.
fn md5_of(etag: &str) -> Option<String> {
    let bytes = hex::decode(etag).ok().filter(|bytes| bytes.len() == 16)?;
    Some(BASE64.encode(&bytes))
}

impl Way<'_> {
    /// Asks for what was listed and nothing that came after it.
    fn asked(&self, seen: &Seen) -> Ask {
        let version = if self.keeps { seen.version.as_str() } else { "" };
        let ask = Ask::get(self.bucket, self.key).version(version);
        ask.header("if-match", format!("\"{}\"", seen.etag)).header("x-amz-checksum-mode", "ENABLED")
    }

    fn differs(&self, realm: Realm) -> MoveError {
        MoveError::Differs { realm, bucket: self.bucket.to_owned(), key: self.key.to_owned() }
    }

    /// What the version carries, for the write of its copy.
    async fn carried(&self, seen: &Seen, headers: &HeaderMap) -> Result<Vec<(String, String)>, MoveError> {
        let mut carried = picked(headers, &CARRIED);
        let meta = headers.iter().filter(|(name, _)| name.as_str().starts_with(META));
        carried.extend(
            meta.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))),
        );
        if text(headers, "x-amz-tagging-count").is_some_and(|count| count != "0") {
            let version = if self.keeps { seen.version.as_str() } else { "" };
            let ask = Ask::get(self.bucket, self.key).with("tagging", "").version(version);
            let (_, xml) = self.from.ask(&ask).await?;
            let tags = pairs(&xml, "Tag", ["Key", "Value"]).map_err(|source| MoveError::Answer {
                realm: Realm::Old,
                what: "the tags of an object".to_owned(),
                source,
            })?;
            let tags =
                tags.iter().map(|(name, value)| format!("{}={}", encoded(name, true), encoded(value, true)));
            carried.push(("x-amz-tagging".to_owned(), tags.collect::<Vec<_>>().join("&")));
        }
        Ok(carried)
    }

    /// Brings a version over.
    pub(crate) async fn copy(&self, seen: &Seen) -> Result<Kept, MoveError> {
        let parts = seen.etag.rsplit_once('-').and_then(|(_, parts)| parts.parse::<u32>().ok());
        let kept = match parts {
            Some(_) => self.copy_parts(seen).await?,
            None => self.copy_whole(seen).await?,
        };
        let Some((kept, etag)) = kept else { return self.copy_plain(seen).await };
        if md5_of(&seen.etag).is_some() || parts.is_some() {
            // Both sides have counted: an MD5 of the bytes, or of those of the parts.
            (etag == seen.etag).then_some(kept).ok_or_else(|| self.differs(Realm::New))
        } else {
            Ok(kept)
        }
    }

    fn kept(seen: &Seen, answer: &HeaderMap, digest: Sha256, locks: Vec<(String, String)>) -> Kept {
        Kept {
            from: seen.clone(),
            to: text(answer, "x-amz-version-id").unwrap_or_else(|| "null".to_owned()),
            sha256: hex::encode(digest.finalize()),
            locks,
            checked: false,
        }
    }

    async fn copy_whole(&self, seen: &Seen) -> Result<Option<(Kept, String)>, MoveError> {
        let answer = self.from.open(&self.asked(seen)).await?;
        let headers = answer.headers().clone();
        let carried = self.carried(seen, &headers).await?;
        let sums = picked(&headers, &CHECKSUMS).into_iter().filter(|(_, sum)| !sum.contains('-'));
        let mut ask = Ask::put(self.now, self.key).headers(carried).headers(sums);
        if let Some(md5) = md5_of(&seen.etag) {
            ask = ask.header("content-md5", md5);
        }
        let (body, told) = Passing::new(answer.into_body(), seen.size, Sha256::new());
        let made = self.to.pass(&ask, seen.size, body).await?;
        let digest = told.await.map_err(|_| self.from.silent("a body broke off"))?;
        let etag = bare(text(&made, "etag"));
        Ok(Some((Self::kept(seen, &made, digest, picked(&headers, &LOCKS)), etag)))
    }

    /// The same where the ETag cannot be made again: it is what was read that is compared.
    async fn copy_plain(&self, seen: &Seen) -> Result<Kept, MoveError> {
        let kept = self.copy_whole(seen).await?;
        kept.map(|(kept, _)| kept).ok_or_else(|| self.differs(Realm::New))
    }

    /// In the parts that it was uploaded in; nothing if the old realm does not say which those are.
    async fn copy_parts(&self, seen: &Seen) -> Result<Option<(Kept, String)>, MoveError> {
        let part = |number: u32| self.asked(seen).with("partNumber", number.to_string());
        let mut first = Some(self.from.open(&part(1)).await?);
        let headers = first.as_ref().map(|answer| answer.headers().clone()).unwrap_or_default();
        let count = text(&headers, "x-amz-mp-parts-count").and_then(|count| count.parse::<u32>().ok());
        let Some(count) = count.filter(|count| (1..=10_000).contains(count)) else { return Ok(None) };
        let begin = Ask::new(Method::POST, self.now, self.key).with("uploads", "");
        let begin = begin.headers(self.carried(seen, &headers).await?);
        let (_, begun) = self.to.once(&begin).await?;
        let answer = |source| MoveError::Answer { realm: Realm::New, what: "an upload".to_owned(), source };
        let upload = field(&begun, "UploadId").map_err(answer)?.unwrap_or_default();
        let (mut digest, mut parts, mut total) = (Sha256::new(), Vec::new(), 0_u64);
        for number in 1..=count {
            let from = match first.take() {
                Some(first) => first,
                None => self.from.open(&part(number)).await?,
            };
            let len = text(from.headers(), "content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
            let (body, told) = Passing::new(from.into_body(), len, digest);
            let ask = Ask::put(self.now, self.key).with("partNumber", number.to_string());
            let made = self.to.pass(&ask.with("uploadId", &upload), len, body).await?;
            digest = told.await.map_err(|_| self.from.silent("a body broke off"))?;
            total += len;
            let etag = bare(text(&made, "etag"));
            parts.push(format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag></Part>"));
        }
        if total != seen.size {
            return Err(self.differs(Realm::Old));
        }
        let end = Ask::new(Method::POST, self.now, self.key).with("uploadId", upload);
        let end = end.body(format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat()));
        let (made, xml) = self.to.once(&end).await?;
        let etag = bare(field(&xml, "ETag").map_err(answer)?);
        Ok(Some((Self::kept(seen, &made, digest, picked(&headers, &LOCKS)), etag)))
    }

    /// Reads a copy back and compares it with what left the old realm.
    pub(crate) async fn check(&self, kept: &Kept) -> Result<(), MoveError> {
        let version = if self.keeps { kept.to.as_str() } else { "" };
        let answer = self.to.open(&Ask::get(self.now, self.key).version(version)).await?;
        let (digest, len) = self.to.digest(answer).await?;
        if digest == kept.sha256 && len == kept.from.size { Ok(()) } else { Err(self.differs(Realm::New)) }
    }

    /// Deletes the object, so that it has a marker.
    pub(crate) async fn mark(&self, seen: &Seen) -> Result<Kept, MoveError> {
        let (made, _) = self.to.once(&Ask::new(Method::DELETE, self.now, self.key)).await?;
        let to = text(&made, "x-amz-version-id").unwrap_or_else(|| "null".to_owned());
        Ok(Kept { from: seen.clone(), to, ..Kept::default() })
    }

    /// Takes a version away in the new realm.
    pub(crate) async fn remove(&self, version: &str) -> Result<(), MoveError> {
        let version = if self.keeps { version } else { "" };
        match self.to.ask(&Ask::new(Method::DELETE, self.now, self.key).version(version)).await {
            Err(error) if !error.is(&["NoSuchKey", "NoSuchVersion"]) => Err(error),
            _ => Ok(()),
        }
    }
}

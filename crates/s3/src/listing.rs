//! Listings of objects, in both versions of the request.

use data_encoding::BASE64URL_NOPAD;
use freehold_vault::{ListPage, ListQuery};
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object, ObjectStorageClass, Owner,
};
use s3s::{S3Response, S3Result, s3_error};

use crate::front::Front;
use crate::meta::{Sums, etag, length, timestamp};
use crate::refusal;

/// Amazon's page.
const PAGE_MAX: i32 = 1000;

/// How keys are written in an answer: XML cannot carry every character.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spelling {
    url: bool,
}

impl Spelling {
    pub(crate) fn of(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None | Some("") => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    /// The same, or percent-encoded unasked if XML cannot carry one of these: the answer says so.
    fn carrying<'a>(self, page: &'a ListPage, asked: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let keys = page.objects.iter().map(|meta| &*meta.key).chain(page.prefixes.iter().map(|p| &**p));
        let mut all = keys.chain(page.next.as_deref()).chain(asked.into_iter().flatten());
        Self { url: self.url || !all.all(|text| text.chars().all(fits_xml)) }
    }

    fn said(self) -> Option<EncodingType> {
        self.url.then(|| EncodingType::from_static(EncodingType::URL))
    }

    pub(crate) fn write(self, text: String) -> String {
        if self.url { percent(&text) } else { text }
    }
}

/// Whether a character comes through XML as it is; a carriage return would come as a line feed.
const fn fits_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex_pair(byte));
        }
    }
    out
}

fn hex_pair(byte: u8) -> String {
    format!("{byte:02X}")
}

/// The number of keys asked for, within bounds.
pub(crate) fn page_size(asked: Option<i32>) -> S3Result<usize> {
    let asked = asked.unwrap_or(PAGE_MAX);
    usize::try_from(asked.min(PAGE_MAX)).map_err(|_| {
        s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647")
    })
}

pub(crate) fn some(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

fn objects(page: &ListPage, spelling: Spelling, owner: Option<&Owner>) -> Vec<Object> {
    let line = |meta: &freehold_vault::ObjectMeta| {
        let sums = Sums::of(&meta.checksums);
        Object {
            key: Some(spelling.write(meta.key.clone())),
            e_tag: Some(etag(&meta.etag)),
            size: Some(length(meta.size)),
            last_modified: Some(timestamp(meta.modified)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            owner: owner.cloned(),
            checksum_algorithm: sums
                .algorithm
                .map(|a| vec![s3s::dto::ChecksumAlgorithm::from_static(a.name())]),
            checksum_type: sums.kind,
            ..Default::default()
        }
    };
    page.objects.iter().map(line).collect()
}

pub(crate) fn prefixes(found: Vec<String>, spelling: Spelling) -> Vec<CommonPrefix> {
    found.into_iter().map(|p| CommonPrefix { prefix: Some(spelling.write(p)) }).collect()
}

/// A token says where to go on; clients must not read it, so it does not look like a key.
fn token(after: &str) -> String {
    BASE64URL_NOPAD.encode(after.as_bytes())
}

fn after(token: &str) -> S3Result<String> {
    let decoded = BASE64URL_NOPAD.decode(token.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok());
    decoded.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

impl Front {
    fn page(&self, bucket: &str, query: &ListQuery) -> S3Result<ListPage> {
        let bucket = self.bucket(bucket)?;
        self.vault.list(&bucket, query).map_err(|e| refusal::of_get(&e))
    }

    pub(crate) fn list(&self, input: ListObjectsInput) -> S3Result<S3Response<ListObjectsOutput>> {
        let spelling = Spelling::of(input.encoding_type.as_ref())?;
        let max = page_size(input.max_keys)?;
        let query = ListQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: some(input.delimiter.clone()),
            after: some(input.marker.clone()),
            max,
        };
        let page = self.page(&input.bucket, &query)?;
        let asked = [Some(&*query.prefix), query.delimiter.as_deref(), input.marker.as_deref()];
        let spelling = spelling.carrying(&page, asked);
        let owner = self.owner(&self.bucket(&input.bucket)?)?;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(spelling.write(query.prefix)),
            marker: Some(spelling.write(input.marker.unwrap_or_default())),
            max_keys: i32::try_from(max).ok(),
            delimiter: query.delimiter.map(|d| spelling.write(d)),
            encoding_type: spelling.said(),
            is_truncated: Some(page.next.is_some()),
            contents: Some(objects(&page, spelling, Some(&owner))),
            next_marker: page.next.map(|n| spelling.write(n)),
            common_prefixes: Some(prefixes(page.prefixes, spelling)),
            ..Default::default()
        }))
    }

    pub(crate) fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<S3Response<ListObjectsV2Output>> {
        let spelling = Spelling::of(input.encoding_type.as_ref())?;
        let max = page_size(input.max_keys)?;
        let after = match &input.continuation_token {
            Some(token) => Some(after(token)?),
            None => input.start_after.clone(),
        };
        let query = ListQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: some(input.delimiter.clone()),
            after: some(after),
            max,
        };
        let page = self.page(&input.bucket, &query)?;
        let asked = [Some(&*query.prefix), query.delimiter.as_deref(), input.start_after.as_deref()];
        let spelling = spelling.carrying(&page, asked);
        let owner = self.owner(&self.bucket(&input.bucket)?)?;
        let owner = Some(&owner).filter(|_| input.fetch_owner == Some(true));
        let count = page.objects.len() + page.prefixes.len();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(spelling.write(query.prefix)),
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(count).ok(),
            delimiter: query.delimiter.map(|d| spelling.write(d)),
            encoding_type: spelling.said(),
            continuation_token: input.continuation_token,
            start_after: input.start_after.map(|s| spelling.write(s)),
            is_truncated: Some(page.next.is_some()),
            contents: Some(objects(&page, spelling, owner)),
            next_continuation_token: page.next.as_deref().map(token),
            common_prefixes: Some(prefixes(page.prefixes, spelling)),
            ..Default::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_so_that_every_client_reads_them_back() {
        assert_eq!(percent("a b+c/ü%\n"), "a%20b%2Bc/%C3%BC%25%0A");
    }

    #[test]
    fn what_xml_cannot_carry_is_spelled_out_unasked() {
        let plain = Spelling { url: false };
        let page = |name: &str| ListPage { prefixes: vec![name.to_owned()], ..ListPage::default() };
        for (name, url) in [("a b/ü\n", false), ("a\0b", true), ("a\rb", true), ("\u{1b}[2J", true)] {
            let spelling = plain.carrying(&page(name), [None]);
            assert_eq!((spelling.url, spelling.said().is_some()), (url, url), "{name:?}");
        }
        assert!(plain.carrying(&page("a"), [Some("\u{ffff}")]).url);
    }

    #[test]
    fn tokens_come_back_and_others_are_refused() {
        assert_eq!(after(&token("a//b ü")).unwrap(), "a//b ü");
        assert!(after("?").is_err());
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!(page_size(None).unwrap(), 1000);
        assert_eq!(page_size(Some(5000)).unwrap(), 1000);
        assert_eq!(page_size(Some(0)).unwrap(), 0);
        assert!(page_size(Some(-1)).is_err());
    }
}

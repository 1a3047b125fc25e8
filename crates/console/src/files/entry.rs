//! Keys with slashes as folders and files, and the addresses they have.

#[cfg(test)]
mod tests;

use freehold_api::{ObjectInfo, encode_path};

use crate::words;

/// A step from the bucket to where one is.
pub(crate) struct Crumb {
    pub(crate) name: String,
    pub(crate) href: String,
}

/// A folder: what keys with a common start look like.
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) href: String,
}

/// An object in a list.
pub(crate) struct Item {
    pub(crate) name: String,
    /// Its page.
    pub(crate) href: String,
    /// Its bytes.
    pub(crate) source: String,
    pub(crate) download: String,
    pub(crate) size: String,
    pub(crate) when: String,
    pub(crate) datetime: String,
    pub(crate) is_image: bool,
    pub(crate) is_video: bool,
    pub(crate) is_audio: bool,
}

impl Folder {
    pub(crate) fn new(bucket: &str, within: &str, prefix: &str) -> Self {
        let name = prefix.strip_prefix(within).unwrap_or(prefix).trim_end_matches('/');
        let name = if name.is_empty() { "/" } else { name }.to_owned();
        Self { name, href: folder_href(bucket, prefix, None) }
    }
}

impl Item {
    pub(crate) fn new(bucket: &str, object: &ObjectInfo, now_ms: u64) -> Self {
        let key = &object.key;
        let source = format!("/api/v1/buckets/{}/objects/{}", encode_path(bucket), encode_path(key));
        let family = family(object.content_type.as_deref(), key);
        Self {
            name: key.strip_prefix(folder_of(key)).unwrap_or(key).to_owned(),
            href: format!("/files/{}/view?key={}", encode_path(bucket), query(key)),
            download: format!("{source}?download=true"),
            source,
            size: words::bytes(object.size),
            when: words::ago(now_ms.saturating_sub(object.modified_ms)),
            datetime: words::datetime(object.modified_ms),
            is_image: family == "image",
            is_video: family == "video",
            is_audio: family == "audio",
        }
    }
}

/// The first half of a content type; by the name's ending where a list does not tell.
fn family<'a>(kind: Option<&'a str>, key: &str) -> &'a str {
    let told = kind.and_then(|kind| kind.split_once('/')).map(|(family, _)| family);
    match told {
        Some(family @ ("image" | "video" | "audio" | "text")) => family,
        // Programs that do not know send everything as application/octet-stream.
        _ => match key.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("jpg" | "jpeg" | "png" | "gif" | "webp" | "avif" | "svg" | "bmp") => "image",
            Some("mp4" | "m4v" | "webm" | "mov") => "video",
            Some("mp3" | "m4a" | "ogg" | "opus" | "flac" | "wav") => "audio",
            _ => "",
        },
    }
}

/// The start of a key up to its last slash.
pub(crate) fn folder_of(key: &str) -> &str {
    key.rfind('/').and_then(|at| key.get(..=at)).unwrap_or("")
}

/// From the bucket down.
pub(crate) fn crumbs(bucket: &str, folder: &str) -> Vec<Crumb> {
    let mut crumbs = vec![Crumb { name: bucket.to_owned(), href: folder_href(bucket, "", None) }];
    let mut end = 0;
    for step in folder.split_inclusive('/') {
        end += step.len();
        let href = folder_href(bucket, folder.get(..end).unwrap_or(folder), None);
        crumbs.push(Crumb { name: step.trim_end_matches('/').to_owned(), href });
    }
    crumbs
}

/// The address of a folder.
pub(crate) fn folder_href(bucket: &str, folder: &str, after: Option<&str>) -> String {
    let mut href = format!("/files/{}", encode_path(bucket));
    let mut join = '?';
    for (name, value) in [("in", Some(folder)), ("after", after)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            href.extend([&join.to_string(), name, "=", &query(value)]);
            join = '&';
        }
    }
    href
}

fn query(value: &str) -> String {
    encode_path(value).replace('/', "%2F")
}

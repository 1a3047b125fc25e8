//! A file as it was when a snapshot was made: looked at, and downloaded.

use std::io;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path as InPath, RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use freehold_api::words::date;
use freehold_api::{BackupNode, BackupNodeKind, BackupRead, Problem};
use futures::Stream;
use http::{HeaderName, HeaderValue, header};

use super::folder::changed_ms;
use super::path::encoded;
use super::{At, Crumb, Looked, NOT_FOUND, Path, crumbs, dates_href, href, restore};
use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words;

/// A piece of a file on its way.
const PIECE: u64 = 1 << 20;
/// A picture that is larger is not shown: the whole of it would come from where the backup lies.
const PICTURE_MAX: u64 = 24 << 20;

#[derive(Template)]
#[template(path = "look_file.html")]
struct Page {
    frame: Frame,
    name: String,
    crumbs: Vec<Crumb>,
    size: String,
    changed: String,
    datetime: String,
    made: String,
    download: String,
    picture: bool,
    others: String,
    restore: String,
}

/// What a picture is by the end of its name, in which a browser finds nothing to run.
fn picture(name: &[u8]) -> Option<&'static str> {
    let end = name.rsplit(|byte| *byte == b'.').next()?.to_ascii_lowercase();
    match end.as_slice() {
        b"jpg" | b"jpeg" => Some("image/jpeg"),
        b"png" => Some("image/png"),
        b"gif" => Some("image/gif"),
        b"webp" => Some("image/webp"),
        b"avif" => Some("image/avif"),
        _ => None,
    }
}

async fn at(looked: &Looked, path: &Path) -> Result<Option<(String, BackupNode)>, Problem> {
    match looked.at(path).await? {
        At::Dir(_) => Ok(None),
        At::Leaf { tree, node } if node.kind == BackupNodeKind::File => Ok(Some((tree, *node))),
        At::Leaf { .. } => {
            let why = format!("{} is no file, so it has no content", path.text());
            Err(Problem::not_found(NOT_FOUND, why, Some("look at its folder")))
        }
    }
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    InPath((target, snapshot)): InPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let path = Path::of(query.as_deref());
    let looked = Looked::into(&console, &target, &snapshot).await?;
    let Some((_, node)) = at(&looked, &path).await? else {
        return Ok(Redirect::to(&href(&looked.root, "", &path)).into_response());
    };
    let name = node.name.bytes().unwrap_or_default();
    let changed = changed_ms(&node);
    let status = console.client.status().await?;
    Ok(page(&Page {
        frame: Frame::new(theme, Place::Backups, &status),
        name: path.last(),
        crumbs: crumbs(&looked.root, &path.above()),
        size: words::bytes(node.size),
        changed: date(changed),
        datetime: words::datetime(changed),
        made: date(looked.root.snapshot.made_ms),
        download: href(&looked.root, "/file", &path),
        picture: node.size <= PICTURE_MAX && picture(&name).is_some(),
        others: format!("{}/find?q={}", dates_href(&target), encoded(path.text().as_bytes())),
        restore: restore(&looked.root, &path),
    }))
}

/// The file, piece by piece. What cannot be read cuts it off: whoever downloads it sees that it is not whole.
fn pieces(looked: Looked, tree: String, node: &BackupNode) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let (at, size) = (node.at, node.size);
    futures::stream::try_unfold((looked, tree, 0_u64), move |(looked, tree, offset)| async move {
        if offset >= size {
            return Ok(None);
        }
        let wish = BackupRead { tree: tree.clone(), at, offset, length: PIECE.min(size - offset) };
        let read = looked.client.mounted_bytes(&looked.open, &wish).await;
        let read = read.map_err(|problem| {
            tracing::warn!(what = problem.what, why = problem.why, "a file of a backup is cut off");
            io::Error::other(problem.why)
        })?;
        if read.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let next = offset + read.len() as u64;
        Ok(Some((read, (looked, tree, next))))
    })
}

pub(crate) async fn send(
    State(console): State<Console>,
    InPath((target, snapshot)): InPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let path = Path::of(query.as_deref());
    let looked = Looked::into(&console, &target, &snapshot).await?;
    let Some((tree, node)) = at(&looked, &path).await? else {
        return Ok(Redirect::to(&href(&looked.root, "", &path)).into_response());
    };
    let name = node.name.bytes().unwrap_or_default();
    // Saved, never opened: who stored it may have meant its readers ill.
    let saved = format!("attachment; filename*=UTF-8''{}", encoded(path.last().as_bytes()));
    let heads: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, picture(&name).unwrap_or("application/octet-stream").to_owned()),
        (header::CONTENT_LENGTH, node.size.to_string()),
        (header::CONTENT_DISPOSITION, saved),
    ];
    let mut response = Body::from_stream(pieces(looked, tree, &node)).into_response();
    for (name, value) in heads {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

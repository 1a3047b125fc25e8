//! A folder as it was when a snapshot was made.

use askama::Template;
use axum::extract::{Path as InPath, RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use freehold_api::{BackupNode, BackupNodeKind};

use super::path::value;
use super::{At, Crumb, Looked, Path, crumbs, href, restore};
use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;
use crate::words;

/// So much is on a page.
const PAGE: usize = 500;

/// Something that is no folder.
struct Item {
    name: String,
    /// Nothing for what cannot be read, as a pipe.
    href: Option<String>,
    download: Option<String>,
    about: String,
    datetime: String,
    when: String,
}

#[derive(Template)]
#[template(path = "look_folder.html")]
struct Page {
    frame: Frame,
    name: String,
    crumbs: Vec<Crumb>,
    folders: Vec<Crumb>,
    items: Vec<Item>,
    more: Option<String>,
    restore: String,
}

fn name(node: &BackupNode) -> Vec<u8> {
    node.name.bytes().unwrap_or_default()
}

/// When its content was changed.
pub(super) fn changed_ms(node: &BackupNode) -> u64 {
    let (seconds, nanos) = node.times.first().copied().unwrap_or_default();
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000).saturating_add(u64::from(nanos) / 1_000_000)
}

fn item(looked: &Looked, folder: &Path, node: &BackupNode) -> Item {
    let path = folder.with(&name(node));
    let is_file = node.kind == BackupNodeKind::File;
    let about = match &node.kind {
        BackupNodeKind::Link(to) => {
            format!("leads to {}", String::from_utf8_lossy(&to.bytes().unwrap_or_default()))
        }
        BackupNodeKind::File | BackupNodeKind::Dir(_) => words::bytes(node.size),
        BackupNodeKind::Pipe => "a pipe".to_owned(),
        BackupNodeKind::Socket => "a socket".to_owned(),
        BackupNodeKind::Block(_) | BackupNodeKind::Char(_) => "a device".to_owned(),
    };
    let changed = changed_ms(node);
    Item {
        name: path.last(),
        href: is_file.then(|| href(&looked.root, "/view", &path)),
        download: is_file.then(|| href(&looked.root, "/file", &path)),
        about,
        datetime: words::datetime(changed),
        when: words::day(changed),
    }
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    InPath((target, snapshot)): InPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let path = Path::of(query.as_deref());
    let from = value(query.as_deref(), "from").and_then(|from| String::from_utf8(from).ok()?.parse().ok());
    let from: usize = from.unwrap_or(0);
    let looked = Looked::into(&console, &target, &snapshot).await?;
    let At::Dir(tree) = looked.at(&path).await? else {
        return Ok(Redirect::to(&href(&looked.root, "/view", &path)).into_response());
    };
    let nodes = looked.nodes(&tree, None).await?;
    let (shown, rest) = (nodes.iter().skip(from).take(PAGE), nodes.len().saturating_sub(from + PAGE));
    let (mut folders, mut items) = (Vec::new(), Vec::new());
    for node in shown {
        if let BackupNodeKind::Dir(_) = node.kind {
            let below = path.with(&name(node));
            folders.push(Crumb { name: below.last(), href: href(&looked.root, "", &below) });
        } else {
            items.push(item(&looked, &path, node));
        }
    }
    let more = (rest > 0).then(|| {
        let at = href(&looked.root, "", &path);
        format!("{at}{}from={}", if path.is_empty() { '?' } else { '&' }, from + PAGE)
    });
    let status = console.client.status().await?;
    Ok(page(&Page {
        frame: Frame::new(theme, Place::Backups, &status),
        name: path.last(),
        crumbs: crumbs(&looked.root, &path),
        folders,
        items,
        more,
        restore: restore(&looked.root, &path),
    }))
}

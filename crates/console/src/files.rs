//! Files: buckets, folders, and what is in them.

mod entry;
mod send;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use freehold_api::{BucketStatus, ListQuery, Problem, ProblemKind, Status};
use futures::future::join_all;
use serde::Deserialize;

pub(crate) use send::send;

use self::entry::{Crumb, Folder, Item};
use crate::buckets::no_bucket;
use crate::fault::Fault;
use crate::frame::{Frame, Place, Theme, page};
use crate::notice::Notice;
use crate::routes::Console;
use crate::words;

/// A screenful or two; the rest is a page further.
const PAGE: u32 = 120;
/// Where a bucket's tile looks for pictures, and how large one may be: the page is to be there at once.
const COVERS_FROM: u32 = 40;
const COVER_BYTES_MAX: u64 = 8_000_000;

#[derive(Template)]
#[template(path = "files.html")]
struct Buckets {
    frame: Frame,
    status: Status,
    /// Pictures on each bucket's tile, in the order of the buckets.
    covers: Vec<Vec<String>>,
    nodes: u64,
}

impl Buckets {
    fn tiles(&self) -> impl Iterator<Item = (&BucketStatus, &Vec<String>)> {
        self.status.buckets.iter().zip(&self.covers)
    }
}

/// Three pictures from the start of a bucket, for its tile; none if that is not to be had, because a
/// tile does without.
async fn covers(console: &Console, bucket: &str) -> Vec<String> {
    let query = ListQuery { max: COVERS_FROM, ..ListQuery::default() };
    let objects =
        console.client.list_objects(bucket, &query).await.map(|page| page.objects).unwrap_or_default();
    let small = objects.iter().filter(|object| object.size <= COVER_BYTES_MAX);
    let images = small.map(|object| Item::new(bucket, object, 0)).filter(|item| item.is_image);
    images.map(|item| item.source).take(3).collect()
}

pub(crate) async fn buckets(State(console): State<Console>, theme: Theme) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let nodes = words::storage_nodes(&status);
    let covers = join_all(status.buckets.iter().map(|bucket| covers(&console, &bucket.name))).await;
    Ok(page(&Buckets { frame: Frame::new(theme, Place::Files, &status), status, covers, nodes }))
}

/// Which part of a bucket.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Part {
    #[serde(default, rename = "in")]
    folder: String,
    after: Option<String>,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "folder.html")]
struct Listed {
    frame: Frame,
    bucket: BucketStatus,
    nodes: u64,
    /// The prefix that is looked at, with its slash; empty at the top.
    folder: String,
    crumbs: Vec<Crumb>,
    folders: Vec<Folder>,
    images: Vec<Item>,
    others: Vec<Item>,
    /// Where the list goes on.
    more: Option<String>,
}

impl Listed {
    fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.images.is_empty() && self.others.is_empty()
    }
}

pub(crate) async fn list(
    State(console): State<Console>,
    theme: Theme,
    Path(name): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let bucket = status.buckets.iter().find(|bucket| bucket.name == name).cloned();
    let bucket = bucket.ok_or_else(|| no_bucket(&name))?;
    let query = ListQuery {
        prefix: part.folder.clone(),
        delimiter: Some("/".to_owned()),
        after: part.after,
        max: PAGE,
    };
    let listing = console.client.list_objects(&name, &query).await?;
    let now = words::now_ms();
    let items = listing.objects.iter().filter(|object| object.key != part.folder);
    let (images, others): (Vec<Item>, Vec<Item>) =
        items.map(|object| Item::new(&name, object, now)).partition(|item| item.is_image);
    let notice = part.notice.map_or("", Notice::text);
    Ok(page(&Listed {
        frame: Frame::new(theme, Place::Files, &status).with_notice(notice),
        nodes: words::storage_nodes(&status),
        crumbs: entry::crumbs(&name, &part.folder),
        folders: listing.prefixes.iter().map(|prefix| Folder::new(&name, &part.folder, prefix)).collect(),
        more: listing.next.map(|after| entry::folder_href(&name, &part.folder, Some(&after))),
        bucket,
        folder: part.folder,
        images,
        others,
    }))
}

/// Which object.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    key: String,
}

#[derive(Template)]
#[template(path = "object.html")]
struct View {
    frame: Frame,
    bucket: String,
    key: String,
    item: Item,
    crumbs: Vec<Crumb>,
    kind: String,
    etag: String,
}

fn gone(bucket: &str, key: &str) -> Problem {
    Problem::not_found(
        format!("there is no file {key} in {bucket}"),
        "it was deleted, or the address is mistyped",
        Some(format!("look at Files, in {bucket}")),
    )
}

pub(crate) async fn view(
    State(console): State<Console>,
    theme: Theme,
    Path(bucket): Path<String>,
    Query(Which { key }): Query<Which>,
) -> Result<Response, Fault> {
    let status = console.client.status().await?;
    let info = console.client.head_object(&bucket, &key).await.map_err(|problem| match problem.kind {
        // An answer to HEAD has no body to say more.
        ProblemKind::NotFound => gone(&bucket, &key),
        _ => problem,
    })?;
    let item = Item::new(&bucket, &info, words::now_ms());
    let folder = entry::folder_of(&key);
    Ok(page(&View {
        frame: Frame::new(theme, Place::Files, &status),
        crumbs: entry::crumbs(&bucket, folder),
        kind: info.content_type.unwrap_or_else(|| "unknown".to_owned()),
        etag: info.etag,
        bucket,
        key,
        item,
    }))
}

pub(crate) async fn delete(
    State(console): State<Console>,
    Path(bucket): Path<String>,
    Form(Which { key }): Form<Which>,
) -> Result<Response, Fault> {
    console.client.delete_object(&bucket, &key).await?;
    let back = entry::folder_href(&bucket, entry::folder_of(&key), None);
    let join = if back.contains('?') { '&' } else { '?' };
    Ok(Redirect::to(&format!("{back}{join}notice=deleted")).into_response())
}

//! Looking into backups: by date, by name, and file by file. A session alone is not enough for it, since backups have what
//! only the machine's owner can read: it takes a code from a terminal on the machine itself, and lasts for an hour.

mod dates;
mod file;
mod folder;
mod found;
mod path;

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Form};
use freehold_api::words::{date, typed};
use freehold_api::{
    BackupLook, BackupMounted, BackupNode, BackupNodeKind, BackupRoot, BackupTree, Client, Problem, Source,
    TypedCode, encode_path,
};
use http::{HeaderMap, Method};
use serde::Deserialize;

pub(crate) use self::dates::show as dates;
pub(crate) use self::file::{send as file, show as view};
pub(crate) use self::folder::show as folder;
pub(crate) use self::found::show as find;
use self::path::Path;
use crate::fault::{Fault, status};
use crate::frame::{Frame, Place, Theme, page};
use crate::routes::Console;

const NOT_FOUND: &str = "it is not in the backup";

/// Lets through whoever has typed the code; others come to where it is typed, and then on.
pub(crate) async fn gate(State(console): State<Console>, request: Request, next: Next) -> Response {
    if console.sessions.reads_backups(request.headers()) {
        return next.run(request).await;
    }
    let wanted = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let on = if request.method() == Method::GET { wanted } else { "" };
    Redirect::to(&format!("/backups/look?next={}", encode_path(on))).into_response()
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

impl Wanted {
    /// Only to where the code leads.
    fn next(&self) -> &str {
        if self.next.starts_with("/backups/look/") { &self.next } else { "" }
    }
}

#[derive(Template)]
#[template(path = "look_door.html")]
struct Door {
    frame: Frame,
    machine: String,
    next: String,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "look.html")]
struct Choice {
    frame: Frame,
    machine: String,
    targets: Vec<(String, String)>,
}

pub(crate) async fn ask(
    State(console): State<Console>,
    theme: Theme,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    if !console.sessions.reads_backups(&headers) {
        return door(&console, theme, &wanted, None).await;
    }
    if !wanted.next().is_empty() {
        return Ok(Redirect::to(wanted.next()).into_response());
    }
    let status = console.client.status().await?;
    let all = console.client.backups_of_files().await?;
    let targets: Vec<_> = all.targets.into_iter().map(|target| (target.name, target.place)).collect();
    if let [(only, _)] = targets.as_slice() {
        return Ok(Redirect::to(&dates_href(only)).into_response());
    }
    let machine = super::machine(&status);
    Ok(page(&Choice { frame: Frame::new(theme, Place::Backups, &status), machine, targets }))
}

async fn door(
    console: &Console,
    theme: Theme,
    wanted: &Wanted,
    problem: Option<Problem>,
) -> Result<Response, Fault> {
    let seen = console.client.status().await?;
    let (frame, machine) = (Frame::new(theme, Place::Backups, &seen), super::machine(&seen));
    let code = status(problem.as_ref());
    Ok((code, page(&Door { frame, machine, next: wanted.next().to_owned(), problem })).into_response())
}

pub(crate) async fn open(
    State(console): State<Console>,
    theme: Theme,
    headers: HeaderMap,
    source: Option<Extension<Source>>,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Fault> {
    let source = source.map_or(Source::Here, |Extension(source)| source);
    let typed = TypedCode { code: wanted.code.clone() };
    match console.sessions.open_backups(source, &headers, &typed).await {
        Ok(()) => {
            let to = if wanted.next().is_empty() { "/backups/look" } else { wanted.next() };
            Ok(Redirect::to(to).into_response())
        }
        Err(problem) => door(&console, theme, &wanted, Some(problem)).await,
    }
}

/// A snapshot that is looked into.
struct Looked {
    client: Client,
    /// By what the node calls what it keeps open.
    open: String,
    root: BackupRoot,
}

/// What is at a path.
enum At {
    /// A directory, by its tree.
    Dir(String),
    /// Something else, and the tree in which it is.
    Leaf { tree: String, node: Box<BackupNode> },
}

fn gone() -> Problem {
    let why = "that snapshot was forgotten, or the address is mistyped";
    Problem::not_found(NOT_FOUND, why, Some("look at the dates again"))
}

impl Looked {
    async fn into(console: &Console, target: &str, snapshot: &str) -> Result<Self, Problem> {
        let mut wish = BackupLook { target: Some(target.to_owned()), newest: false };
        loop {
            let BackupMounted { id, snapshots, .. } = console.client.look_into_backups(&wish).await?;
            let root = snapshots.into_iter().find(|root| root.snapshot.id == snapshot);
            match root {
                Some(root) => return Ok(Self { client: console.client.clone(), open: id, root }),
                None if wish.newest => return Err(gone()),
                // It may have been made since.
                None => wish.newest = true,
            }
        }
    }

    async fn nodes(&self, tree: &str, only: Option<&[u8]>) -> Result<Vec<BackupNode>, Problem> {
        let only = only.map(|name| name.to_vec().into());
        self.client.mounted_nodes(&self.open, &BackupTree { tree: tree.to_owned(), only }).await
    }

    async fn at(&self, path: &Path) -> Result<At, Problem> {
        let mut tree = self.root.tree.clone();
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            let node = self.nodes(&tree, Some(name)).await?.pop();
            let node = node.ok_or_else(|| {
                let why = format!("there was no {} when it was made", path.text());
                Problem::not_found(NOT_FOUND, why, Some("look at another date"))
            })?;
            match (&node.kind, names.peek()) {
                (BackupNodeKind::Dir(below), _) => tree.clone_from(below),
                (_, None) => return Ok(At::Leaf { tree, node: Box::new(node) }),
                (_, Some(_)) => {
                    let why = format!("{} was no directory when it was made", String::from_utf8_lossy(name));
                    return Err(Problem::not_found(NOT_FOUND, why, Some("look at another date")));
                }
            }
        }
        Ok(At::Dir(tree))
    }
}

/// Where the dates of a target are.
pub(crate) fn dates_href(target: &str) -> String {
    format!("/backups/look/{}", encode_segment(target))
}

/// A name as one step of an address, slashes and all.
fn encode_segment(name: &str) -> String {
    encode_path(name).replace('/', "%2F")
}

/// The address of something in a snapshot: `what` is empty for a folder.
fn href(root: &BackupRoot, what: &str, path: &Path) -> String {
    let snapshot = &root.snapshot;
    let at = format!("{}/{}{what}", dates_href(&snapshot.target), snapshot.id);
    if path.is_empty() { at } else { format!("{at}?path={}", path.encoded()) }
}

/// A step on the way to where one is.
struct Crumb {
    name: String,
    href: String,
}

/// From the target's dates down.
fn crumbs(root: &BackupRoot, path: &Path) -> Vec<Crumb> {
    let snapshot = &root.snapshot;
    let mut crumbs = vec![
        Crumb { name: snapshot.target.clone(), href: dates_href(&snapshot.target) },
        Crumb { name: date(snapshot.made_ms), href: href(root, "", &Path::default()) },
    ];
    let steps = path.steps();
    crumbs.extend(steps.map(|step| Crumb { name: step.last(), href: href(root, "", &step) }));
    crumbs
}

/// What brings it back on the machine itself.
fn restore(root: &BackupRoot, path: &Path) -> String {
    let snapshot = &root.snapshot;
    let id = snapshot.id.get(..8).unwrap_or(&snapshot.id);
    let path = if path.is_empty() { String::new() } else { format!(" {}", typed(&path.text())) };
    format!("freehold backup restore{path} --from {} --snapshot {id} --to DIR", typed(&snapshot.target))
}

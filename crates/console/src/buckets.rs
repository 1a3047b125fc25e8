//! Buckets: made, looked at, verified, deleted.

mod verify;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use freehold_api::{BucketRules, BucketStatus, NewBucket, Problem, Status, encode_path};
use serde::Deserialize;

pub(crate) use verify::verify;

use crate::fault::{Fault, status};
use crate::frame::{Frame, Place, Theme, page};
use crate::notice::Told;
use crate::routes::Console;
use crate::words;

#[derive(Template)]
#[template(path = "buckets.html")]
struct List {
    frame: Frame,
    status: Status,
    nodes: u64,
    /// What was typed, if it has to be typed again.
    name: String,
    copies: u16,
    problem: Option<Problem>,
}

impl List {
    fn new(status: Status, theme: Theme) -> Self {
        let nodes = words::storage_nodes(&status);
        let frame = Frame::new(theme, Place::Buckets, &status);
        Self { frame, status, nodes, name: String::new(), copies: 2, problem: None }
    }
}

pub(crate) async fn list(
    State(console): State<Console>,
    theme: Theme,
    Query(told): Query<Told>,
) -> Result<Response, Fault> {
    let mut shown = List::new(console.client.status().await?, theme);
    shown.frame.notice = told.text();
    Ok(page(&shown))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    name: String,
    copies: u16,
}

pub(crate) async fn create(
    State(console): State<Console>,
    theme: Theme,
    Form(wish): Form<Wish>,
) -> Result<Response, Fault> {
    let name = wish.name.trim().to_owned();
    // One confirmation: a write is never held up by a machine that is away.
    let made = console
        .client
        .create_bucket(&NewBucket { name, copies: wish.copies, confirm: 1, rules: BucketRules::default() })
        .await;
    match made {
        Ok(made) => {
            let to = format!("/files/{}?notice=bucket_made", encode_path(&made.name));
            Ok(Redirect::to(&to).into_response())
        }
        Err(problem) => {
            let mut shown = List::new(console.client.status().await?, theme);
            let code = status(Some(&problem));
            shown.name = wish.name;
            shown.copies = wish.copies;
            shown.problem = Some(problem);
            Ok((code, page(&shown)).into_response())
        }
    }
}

#[derive(Template)]
#[template(path = "bucket.html")]
struct Show {
    frame: Frame,
    bucket: BucketStatus,
    nodes: u64,
    problem: Option<Problem>,
}

async fn load(console: &Console, theme: Theme, name: &str) -> Result<Show, Problem> {
    let status = console.client.status().await?;
    let bucket = status.buckets.iter().find(|bucket| bucket.name == name).cloned();
    let bucket = bucket.ok_or_else(|| no_bucket(name))?;
    let nodes = words::storage_nodes(&status);
    Ok(Show { frame: Frame::new(theme, Place::Buckets, &status), bucket, nodes, problem: None })
}

pub(crate) fn no_bucket(name: &str) -> Problem {
    Problem::not_found(
        format!("there is no bucket {name}"),
        "it was never made, or it was deleted",
        None::<String>,
    )
}

pub(crate) async fn show(
    State(console): State<Console>,
    theme: Theme,
    Path(name): Path<String>,
) -> Result<Response, Fault> {
    Ok(page(&load(&console, theme, &name).await?))
}

pub(crate) async fn back(Path(name): Path<String>) -> Redirect {
    Redirect::to(&format!("/buckets/{}", encode_path(&name)))
}

pub(crate) async fn delete(
    State(console): State<Console>,
    theme: Theme,
    Path(name): Path<String>,
) -> Result<Response, Fault> {
    match console.client.delete_bucket(&name).await {
        Ok(()) => Ok(Redirect::to("/buckets?notice=bucket_deleted").into_response()),
        Err(problem) => {
            let code = status(Some(&problem));
            let shown = Show { problem: Some(problem), ..load(&console, theme, &name).await? };
            Ok((code, page(&shown)).into_response())
        }
    }
}

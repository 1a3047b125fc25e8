//! Files sent by a plain form. Each is stored while it arrives: nothing is held but the piece that
//! is on its way.

use std::io;

use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart, Path, Request, State};
use axum::response::Redirect;
use bytes::Bytes;
use freehold_api::{Problem, PutOptions};
use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::entry;
use crate::fault::Fault;
use crate::routes::Console;

/// Pieces that may wait for the node: a few, so that a slow disk slows the sender.
const PIECES: usize = 4;

pub(crate) async fn send(
    State(console): State<Console>,
    Path(bucket): Path<String>,
    request: Request<Body>,
) -> Result<Redirect, Fault> {
    let mut form =
        Multipart::from_request(request, &()).await.map_err(|error| unreadable(&error.body_text()))?;
    let mut folder = String::new();
    let mut only_new = true;
    while let Some(mut field) = form.next_field().await.map_err(|error| unreadable(&error.body_text()))? {
        if field.name() == Some("in") {
            folder = field.text().await.map_err(|error| unreadable(&error.body_text()))?;
            continue;
        }
        if field.name() == Some("replace") {
            only_new = false;
            continue;
        }
        // A form sent without a choice carries one file without a name.
        let Some(name) = field.file_name().map(base_name).filter(|name| !name.is_empty()) else { continue };
        let key = format!("{folder}{name}");
        let options =
            PutOptions { content_type: field.content_type().map(str::to_owned), len: None, only_new };
        let (pieces, arriving) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES);
        let body = futures::stream::unfold(arriving, |mut arriving| async {
            arriving.recv().await.map(|piece| (piece, arriving))
        });
        let reading = async {
            loop {
                let piece = match field.chunk().await {
                    Ok(Some(piece)) => Ok(piece),
                    Ok(None) => break,
                    // The node must see that it is cut, and keep nothing.
                    Err(error) => Err(io::Error::other(error.body_text())),
                };
                let cut = piece.is_err();
                if pieces.send(piece).await.is_err() || cut {
                    break;
                }
            }
            drop(pieces);
        };
        let storing = console.client.put_object(&bucket, &key, &options, body.boxed());
        let ((), stored) = futures::join!(reading, storing);
        stored?;
    }
    let back = entry::folder_href(&bucket, &folder, None);
    let join = if back.contains('?') { '&' } else { '?' };
    Ok(Redirect::to(&format!("{back}{join}notice=sent")))
}

/// Some browsers send a path.
fn base_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

fn unreadable(why: &str) -> Problem {
    Problem::invalid("cannot read what was sent", why, Some("send it again"))
}

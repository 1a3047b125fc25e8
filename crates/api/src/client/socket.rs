//! One connection for each question: the socket is local, and a person asks now and then.

use std::io;
use std::path::Path;

use axum::body::Body;
use futures::StreamExt as _;
use http::{Request, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::broken;
use crate::Problem;
use crate::control::pieces;

pub(super) async fn ask(path: &Path, asked: Request<Body>) -> Result<Response<Body>, Problem> {
    let stream = UnixStream::connect(path).await.map_err(|error| absent(path, &error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(asked).await.map_err(|error| broken(&error))?;
    // The connection lives as long as its answer is read.
    Ok(answer.map(|body| {
        let held = pieces(Body::new(body));
        Body::from_stream(held.inspect(move |_| debug_assert!(driver.len() <= 1)))
    }))
}

/// Why a home without a running node does not answer.
pub const NO_NODE: &str = "no node is running for this home";

fn absent(path: &Path, error: &io::Error) -> Problem {
    let why = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => NO_NODE.to_owned(),
        io::ErrorKind::PermissionDenied => format!("{} belongs to another user", path.display()),
        _ => format!("{}: {error}", path.display()),
    };
    Problem::unreachable("cannot reach the node", why, Some("freehold up"))
}

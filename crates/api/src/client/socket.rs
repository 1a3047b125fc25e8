//! Connections to a node's Unix socket, kept for the next question once their answer is read: a program
//! that asks thousands of times must not connect as often.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::broken;
use crate::Problem;

/// Well below what a node waits for the next head, so that it never hangs up on a question.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// One that takes longer to be ready still sends what nobody read, and is ended.
const READY_WITHIN: Duration = Duration::from_millis(50);
/// So many wait at most.
const KEPT: usize = 32;

/// A node's socket and the connections that wait for a question.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    path: PathBuf,
    waiting: Arc<Mutex<Vec<(Instant, Connection)>>>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Body>,
    /// Drives it, and ends with it.
    _driver: JoinSet<hyper::Result<()>>,
}

impl Socket {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, waiting: Arc::default() }
    }

    pub(super) async fn ask(&self, mut asked: Request<Body>) -> Result<Response<Body>, Problem> {
        while let Some(mut connection) = self.waiting() {
            let ready = tokio::time::timeout(READY_WITHIN, connection.sender.ready());
            if !matches!(ready.await, Ok(Ok(()))) {
                continue;
            }
            match connection.sender.try_send_request(asked).await {
                Ok(answer) => return Ok(self.held(connection, answer)),
                Err(mut error) => match error.take_message() {
                    // Nothing of it went out: the connection had ended meanwhile.
                    Some(unsent) => asked = unsent,
                    None => return Err(broken(&error.into_error())),
                },
            }
        }
        let mut connection = connect(&self.path).await?;
        let answer = connection.sender.send_request(asked).await.map_err(|error| broken(&error))?;
        Ok(self.held(connection, answer))
    }

    /// The connection that answered last, if it did so lately.
    fn waiting(&self) -> Option<Connection> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, connection) = waiting.pop()?;
        if since.elapsed() < KEPT_FOR {
            return Some(connection);
        }
        waiting.clear();
        None
    }

    fn keep(&self, connection: Connection) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < KEPT {
            waiting.push((Instant::now(), connection));
        }
    }

    fn held(&self, connection: Connection, answer: Response<Incoming>) -> Response<Body> {
        answer.map(|body| {
            let mut held = Held { body, of: Some((self.clone(), connection)) };
            if held.body.is_end_stream() {
                held.give_back();
            }
            Body::new(held)
        })
    }
}

/// An answer's body, and the connection that it comes over: given back with the last byte, ended if the
/// body is dropped before.
struct Held {
    body: Incoming,
    of: Option<(Socket, Connection)>,
}

impl Held {
    fn give_back(&mut self) {
        if let Some((socket, connection)) = self.of.take() {
            socket.keep(connection);
        }
    }
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.of = None,
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            Some(Ok(_)) | None => self.give_back(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn connect(path: &Path) -> Result<Connection, Problem> {
    let stream = UnixStream::connect(path).await.map_err(|error| absent(path, &error))?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Ok(Connection { sender, _driver: driver })
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

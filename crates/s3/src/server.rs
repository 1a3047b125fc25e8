//! The HTTP server around the S3 service: what a stranger can make the port do is bounded here,
//! before a signature was looked at.
//!
//! HTTP/1.1 only: every S3 client speaks it, TLS ends elsewhere, and the second protocol would be
//! one more thing to attack.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use freehold_ports::{Guest, Held, Places, Porter, Stall};
use freehold_vault::Vault;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::buckets::Buckets;
use crate::gate::Gate;
use crate::hosts::Hosts;
use crate::keys::Keys;
use crate::pass::Pass;

/// What one client, or all together, may use. The defaults suit a household and a small firm.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, half of them from one source. Those that rest make room for those that
    /// come; if none rests, who comes is turned away.
    pub connections: usize,
    /// Bytes of request line and headers. Amazon allows 8 KiB of headers; long pre-signed URLs need more.
    pub header_bytes: usize,
    /// Time for the whole request head, and the life of an idle kept connection.
    pub header_timeout: Duration,
    /// Time between two reads of a request body.
    pub body_idle: Duration,
    /// Time in which a client that reads an answer must take some of it.
    pub write_stall: Duration,
    /// Time that requests under way get at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            header_bytes: 16 << 10,
            header_timeout: Duration::from_secs(30),
            body_idle: Duration::from_mins(1),
            write_stall: Duration::from_mins(1),
            // The node leaves a plane behind after 8 s.
            drain: Duration::from_secs(5),
        }
    }
}

/// The read buffer grows up to this while a body streams in; each read becomes one piece of the body.
const READ_BUFFER_BYTES: usize = 512 << 10;
/// hyper's own bound is above ours, so that a slightly too large head gets an answer in S3's words.
const HEADER_SLACK: usize = 4;
const HEADERS_MAX: usize = 128;

/// Why the S3 front stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is not usable.
    #[error("reading the address of the S3 listener")]
    Address(#[source] io::Error),
    /// Requests were still running when the time was up.
    #[error("{0} S3 connections were still busy at shutdown and were cut")]
    Late(usize),
}

/// Serves S3 on `listener` until `cancel`, then lets requests under way end.
///
/// # Errors
/// [`ServeError`] if the listener is unusable or requests had to be cut.
pub async fn serve(
    listener: TcpListener,
    vault: Arc<Vault>,
    buckets: Arc<dyn Buckets>,
    keys: Arc<dyn Keys>,
    cancel: CancellationToken,
) -> Result<(), ServeError> {
    serve_within(listener, vault, buckets, keys, cancel, (Hosts::default(), Limits::default())).await
}

/// [`serve`] with other names and limits than the default.
///
/// # Errors
/// As [`serve`].
pub async fn serve_within(
    listener: TcpListener,
    vault: Arc<Vault>,
    buckets: Arc<dyn Buckets>,
    keys: Arc<dyn Keys>,
    cancel: CancellationToken,
    (hosts, limits): (Hosts, Limits),
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Address)?;
    let connections = TaskTracker::new();
    let gate = Arc::new(Gate::new(vault, buckets, keys, hosts, &limits, connections.clone()));
    let limits = Arc::new(limits);
    let porter = Porter::new(Places::of(limits.connections, limits.header_timeout));
    let cut = CancellationToken::new();
    tracing::info!(%address, "S3 front is up");

    loop {
        let (stream, guest) = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            accepted = porter.accept(&listener) => accepted,
        };
        let connection = Connection {
            stream,
            guest,
            gate: Arc::clone(&gate),
            limits: Arc::clone(&limits),
            stop: cancel.clone(),
        };
        let cut = cut.clone();
        connections.spawn(async move {
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = connection.run() => {}
            }
        });
    }

    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        let late = connections.len();
        cut.cancel();
        connections.wait().await;
        return Err(ServeError::Late(late));
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    guest: Guest,
    gate: Arc<Gate>,
    limits: Arc<Limits>,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self) {
        let Self { stream, guest, gate, limits, stop } = self;
        // Small answers must not wait for the acknowledgement of the one before (40 ms each).
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "setting TCP_NODELAY");
        }
        // A connection that is gone already comes from nowhere.
        let Ok(from) = stream.peer_addr() else { return };
        let from = from.ip();
        let asking = guest.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            let (gate, pass) = (Arc::clone(&gate), Pass::of(asking.clone()));
            request.extensions_mut().insert(pass.clone());
            async move {
                let answer = gate.answer(request, from).await;
                Ok::<_, Infallible>(answer.map(|body| Held::new(body, pass.busy())))
            }
        });
        let io = TokioIo::new(Stall::new(stream, limits.write_stall));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.header_timeout)
                .max_header_size(limits.header_bytes * HEADER_SLACK)
                .max_headers(HEADERS_MAX)
                .max_buf_size(READ_BUFFER_BYTES)
                .serve_connection(io, service)
        );
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                ended = connection.as_mut() => break ended,
                () = guest.has_to_go() => break Ok(()),
            }
        };
        if let Err(error) = ended {
            report(&error);
        }
    }
}

fn report(error: &hyper::Error) {
    if error.is_parse() {
        tracing::warn!(
            %error,
            "a client sent something other than HTTP to the S3 port; if it speaks TLS, give it an http:// endpoint"
        );
    } else {
        tracing::debug!(%error, "an S3 connection ended");
    }
}

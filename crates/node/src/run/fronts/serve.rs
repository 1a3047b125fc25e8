//! Serving HTTP to browsers and to commands. What somebody without a session can hold, and for how
//! long, is bounded here.

mod plain;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use freehold_api::{KnownAs, Sessions};
use freehold_ports::{Guest, Held, Patient, Places, Porter, Source, Stall};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// A client that does not finish its TLS handshake or the head of a request by then is cut.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// What somebody without a session asks is answered by then, or not at all: a small form.
const STRANGER_WITHIN: Duration = Duration::from_secs(15);
/// Between two pieces of a body, either way.
const STALL: Duration = Duration::from_mins(1);
/// The life of an idle kept connection.
const REST: Duration = HEAD_WITHIN;
/// The largest head of a request.
const HEAD_MAX: usize = 64 << 10;
/// The same with HTTP/2, where a connection has many.
const HEADERS_MAX: u32 = 16 << 10;
/// Requests at a time on one connection.
const STREAMS: u32 = 32;
/// Of those, from somebody without a session: a page and what it shows.
const STRANGERS_STREAMS: usize = 6;
/// Requests under way at the end get this long.
const DRAIN: Duration = Duration::from_secs(5);
/// After a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Commands at a time. Only the node's owner reaches the socket.
const COMMANDS: usize = 64;

/// Connections at a time by a way that hides who comes.
const VEILED: usize = 32;
/// All who come so: a network that nobody has.
const VEILED_FROM: Source = Source::V6(0);

/// The console's port.
#[derive(Clone)]
pub(super) struct House {
    pub(super) acceptor: TlsAcceptor,
    pub(super) router: Router,
    pub(super) sessions: Arc<Sessions>,
    /// At a time.
    pub(super) connections: usize,
}

impl House {
    /// Serves until cancelled.
    pub(super) async fn serve(self, listener: TcpListener, cancel: CancellationToken) -> Result<(), String> {
        let porter = Porter::new(Places::of(self.connections, REST));
        let connections = TaskTracker::new();
        loop {
            let (stream, guest) = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                accepted = porter.accept(&listener) => accepted,
            };
            let (acceptor, cancel) = (self.acceptor.clone(), cancel.clone());
            let sessions = Some(Arc::clone(&self.sessions));
            let strangers = Strangers::new();
            let answers = Answers { router: self.router.clone(), sessions, strangers, known: None };
            connections.spawn(async move {
                let shake = plain::shake(&acceptor, stream);
                shaken(shake, guest, answers, cancel).await;
            });
        }
        connections.close();
        connections.wait().await;
        Ok(())
    }

    /// Serves those who come through a program of this machine that hides who they are, until cancelled: all of them
    /// are one source from outside, and have the same few places.
    pub(super) async fn serve_veiled(
        &self,
        listener: UnixListener,
        name: &(dyn Fn() -> Option<Arc<str>> + Sync),
        cancel: CancellationToken,
    ) {
        let porter = Porter::new(Places { total: VEILED, each: VEILED, reserve: 0, rest: REST });
        let connections = TaskTracker::new();
        while let Some(stream) = next(&listener, &cancel).await {
            let Some(guest) = porter.admit(VEILED_FROM) else { continue };
            let sessions = Some(Arc::clone(&self.sessions));
            let (strangers, known) = (Strangers::new(), name().map(KnownAs));
            let answers = Answers { router: self.router.clone(), sessions, strangers, known };
            let (acceptor, cancel) = (self.acceptor.clone(), cancel.clone());
            connections.spawn(async move {
                let shake = acceptor.accept(Stall::new(stream, STALL));
                shaken(shake, guest, answers, cancel).await;
            });
        }
        connections.close();
        connections.wait().await;
    }
}

/// Serves a connection whose handshake is under way.
async fn shaken<S>(
    shake: impl Future<Output = io::Result<TlsStream<S>>>,
    guest: Guest,
    answers: Answers,
    cancel: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = async {
        tokio::select! {
            biased;
            shaken = timeout(HEAD_WITHIN, shake) => shaken.ok()?.ok(),
            () = guest.has_to_go() => None,
            () = cancel.cancelled() => None,
        }
    };
    let Some(stream) = handshake.await else { return };
    // Agreed in the handshake: nothing has to be guessed from what comes first.
    let is_second = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let speaks = if is_second { Speaks::Http2 } else { Speaks::Http1 };
    serve_one(stream, speaks, guest, answers, cancel).await;
}

/// Whoever comes next to a socket of this machine; none once it is cancelled.
async fn next(listener: &UnixListener, cancel: &CancellationToken) -> Option<UnixStream> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => return Some(stream),
            // No descriptor is free: the next try would fail at once, too.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves the control socket until cancelled.
pub(super) async fn control(
    listener: UnixListener,
    api: Router,
    cancel: CancellationToken,
) -> Result<(), String> {
    let places = Places { total: COMMANDS, each: COMMANDS, reserve: 0, rest: REST };
    let porter = Porter::new(places);
    let connections = TaskTracker::new();
    while let Some(stream) = next(&listener, &cancel).await {
        let Some(guest) = porter.admit(Source::Here) else { continue };
        let strangers = Strangers::new();
        let answers = Answers { router: api.clone(), sessions: None, strangers, known: None };
        connections.spawn(serve_one(stream, Speaks::Http1, guest, answers, cancel.clone()));
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

#[derive(Clone, Copy)]
enum Speaks {
    Http1,
    Http2,
}

/// Who answers, and who may take their time: without sessions everybody.
#[derive(Clone)]
struct Answers {
    router: Router,
    sessions: Option<Arc<Sessions>>,
    strangers: Strangers,
    /// The one name that the connection came by, if it leads here by no other.
    known: Option<KnownAs>,
}

/// What those without a session may ask at a time on one connection.
#[derive(Clone)]
struct Strangers(Arc<Semaphore>);

impl Strangers {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(STRANGERS_STREAMS)))
    }

    /// The answer, if there is a place for it and it comes in time.
    async fn serve(&self, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
        let Ok(_place) = self.0.try_acquire() else { return empty(StatusCode::TOO_MANY_REQUESTS) };
        timeout(STRANGER_WITHIN, answer).await.unwrap_or_else(|_| empty(StatusCode::REQUEST_TIMEOUT))
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

impl Answers {
    async fn answer(self, guest: Guest, request: Request<Incoming>) -> Response<Held<Body>> {
        let trusted = self.sessions.is_none_or(|sessions| sessions.admits(request.headers()));
        // What a stranger asks makes room like a connection that rests: its body may never come.
        let busy = trusted.then(|| guest.request());
        guest.touch();
        let mut request = request.map(|body| Body::new(Patient::new(body, STALL)));
        request.extensions_mut().insert(guest.source());
        let Self { router, strangers, known, .. } = self;
        if let Some(known) = known {
            request.extensions_mut().insert(known);
        }
        let answer = async { router.oneshot(request).await.unwrap_or_else(|never| match never {}) };
        let response = if trusted { answer.await } else { strangers.serve(answer).await };
        response.map(|body| Held::new(body, busy))
    }
}

/// Serves one connection; at the end requests under way are let finish.
async fn serve_one<S>(stream: S, speaks: Speaks, guest: Guest, answers: Answers, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asking = guest.clone();
    let service = service_fn(move |request| {
        let answer = answers.clone().answer(asking.clone(), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(stream);
    match speaks {
        Speaks::Http1 => {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_MAX);
            let connection = pin!(server.serve_connection(io, service));
            run(connection, http1::Connection::graceful_shutdown, &guest, &cancel).await;
        }
        Speaks::Http2 => {
            let mut server = http2::Builder::new(TokioExecutor::new());
            server.timer(TokioTimer::new()).max_header_list_size(HEADERS_MAX).max_concurrent_streams(STREAMS);
            server.keep_alive_interval(HEAD_WITHIN).keep_alive_timeout(HEAD_WITHIN);
            let connection = pin!(server.serve_connection(io, service));
            run(connection, http2::Connection::graceful_shutdown, &guest, &cancel).await;
        }
    }
}

/// Drives a connection until it ends or has to; lets requests under way finish when the node stops.
async fn run<C>(
    mut connection: Pin<&mut C>,
    wind_down: impl Fn(Pin<&mut C>),
    guest: &Guest,
    cancel: &CancellationToken,
) where
    C: Future<Output = Result<(), hyper::Error>>,
{
    tokio::select! {
        biased;
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
            return;
        }
        () = guest.has_to_go() => return,
        () = cancel.cancelled() => wind_down(connection.as_mut()),
    }
    drop(timeout(DRAIN, connection).await);
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stranger_holds_few_requests_of_a_connection() {
        let (strangers, go) = (Strangers::new(), CancellationToken::new());
        let ask = || async { strangers.serve(go.cancelled().map(|()| empty(StatusCode::OK))).await.status() };
        let beyond = async {
            let status = ask().await;
            go.cancel();
            status
        };
        let held = futures::future::join_all((0..STRANGERS_STREAMS).map(|_| ask()));
        let (held, beyond) = tokio::join!(biased; held, beyond);
        assert_eq!(beyond, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(held, [StatusCode::OK; STRANGERS_STREAMS]);
        assert_eq!(ask().await, StatusCode::OK, "their places are free again");
    }
}

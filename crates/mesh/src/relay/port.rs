//! The relay's TCP port. iroh's own accepts without limit and lets an upgraded connection wait for
//! its proof for ever; so connections are accepted here, and iroh gets those that have a place. One
//! that does not prove who it is in time is cut.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use freehold_ports::{Busy, Guest, Porter};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use iroh_relay::http::RELAY_PROBE_PATH;
use iroh_relay::server::RelayService;
use iroh_relay::server::http_server::{BytesBody, RelayServiceWithNotify};
use iroh_relay::server::streams::MaybeTlsStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// From the first byte to the proof.
pub(super) const PROVE_WITHIN: Duration = Duration::from_secs(15);
/// The largest head of a request.
const HEAD_MAX: usize = 16 << 10;
/// Tells the guard which connection it decides about. What a client says here is overwritten.
const PLACE: HeaderName = HeaderName::from_static("x-freehold-place");

/// Connections that have not proven yet who they are.
#[derive(Clone, Default)]
pub(super) struct Lobby(Arc<Mutex<BTreeMap<u64, Waiting>>>);

struct Waiting {
    guest: Guest,
    _decided: DropGuard,
}

impl Lobby {
    /// Takes the connection of a request that is decided upon, unless its time is up. Its place is
    /// busy for as long as what is returned lives.
    pub(super) fn call_in(&self, headers: &HeaderMap) -> Option<Busy> {
        let place = headers.get(PLACE)?.to_str().ok()?.parse().ok()?;
        self.take(place).map(|waiting| waiting.guest.request())
    }

    fn take(&self, place: u64) -> Option<Waiting> {
        self.0.lock().ok().and_then(|mut waiting| waiting.remove(&place))
    }

    fn wait(&self, guest: Guest, decided: &CancellationToken) {
        if let Ok(mut waiting) = self.0.lock() {
            waiting.insert(guest.place(), Waiting { guest, _decided: decided.clone().drop_guard() });
        }
    }
}

/// Accepts until told to stop.
pub(super) async fn serve(
    listener: TcpListener,
    porter: Porter,
    service: RelayService,
    lobby: Lobby,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let (stream, guest) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = porter.accept(&listener) => accepted,
        };
        connections.spawn(serve_one(stream, guest, service.clone(), lobby.clone(), stop.clone()));
    }
    connections.close();
    connections.wait().await;
}

async fn serve_one(
    stream: TcpStream,
    guest: Guest,
    service: RelayService,
    lobby: Lobby,
    stop: CancellationToken,
) {
    // The second handle is for cutting it once iroh has the first.
    let Ok(stream) = stream.into_std() else { return };
    let (Ok(handle), Ok(stream)) = (stream.try_clone(), TcpStream::from_std(stream)) else { return };
    let place = guest.place();
    let decided = CancellationToken::new();
    lobby.wait(guest.clone(), &decided);
    let upgraded = AtomicBool::new(false);
    let relay = RelayServiceWithNotify::new(service, Arc::new(Notify::new()));
    let answer = service_fn(|request| answer(&relay, place, &upgraded, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PROVE_WITHIN)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(MaybeTlsStream::Plain(stream)), answer)
        .with_upgrades();
    let talk = async {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the relay ended");
        }
        if upgraded.load(Ordering::Relaxed) {
            decided.cancelled().await;
        }
    };
    tokio::select! {
        biased;
        () = talk => {}
        () = stop.cancelled() => {}
        () = guest.has_to_go() => {}
        () = tokio::time::sleep(PROVE_WITHIN) => {}
    }
    if lobby.take(place).is_some()
        && let Err(error) = handle.shutdown(Shutdown::Both)
    {
        tracing::debug!(%error, "cutting a connection to the relay");
    }
}

async fn answer(
    relay: &RelayServiceWithNotify,
    place: u64,
    upgraded: &AtomicBool,
    mut request: Request<Incoming>,
) -> Result<Response<BytesBody>, Infallible> {
    // By how long the first takes, clients find the nearest relay; the second is for who watches it.
    if matches!(request.uri().path(), RELAY_PROBE_PATH | "/healthz") {
        return Ok(empty(StatusCode::OK));
    }
    request.headers_mut().insert(PLACE, HeaderValue::from(place));
    let response = relay.call(request).await.unwrap_or_else(|_| empty(StatusCode::BAD_REQUEST));
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        upgraded.store(true, Ordering::Relaxed);
    }
    Ok(response)
}

fn empty(status: StatusCode) -> Response<BytesBody> {
    let body: BytesBody = Box::<Full<_>>::default();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

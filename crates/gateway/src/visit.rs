//! One client's connection: where it comes from, what it asks for at the moment, and when it has to go.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_ports::Guest;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::answer;
use crate::crowd::Share;
use crate::gate::{Client, Judgement};
use crate::inward::Inward;
use crate::live::Live;
use crate::spawn::Spawn;
use crate::worker::Worker;

/// The largest head of a request.
const HEAD_MAX: usize = 64 << 10;
/// The same with HTTP/2, where a connection has many.
pub(crate) const HEADERS_MAX: u32 = 32 << 10;
/// Requests at a time on one connection.
pub(crate) const STREAMS: u32 = 100;
/// What a client may send ahead on one stream and on all of its connection: it is held in memory for a slow
/// service.
pub(crate) const AHEAD: (u32, u32) = (256 << 10, 1 << 20);
/// A connection that has to go says so first, for requests that cross it.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// What a connection is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Within TLS, with the version that was agreed on.
    Https {
        /// HTTP/2.
        two: bool,
    },
    /// HTTP/3.
    Quic,
    /// To be sent away to HTTPS.
    Http,
}

/// A client's connection.
pub(crate) struct Visit {
    pub(crate) worker: Arc<Worker>,
    pub(crate) client: Client,
    /// The name that TLS was made for.
    pub(crate) named: Option<String>,
    pub(crate) guest: Guest,
    pub(crate) scheme: Scheme,
    /// Services that are asked on this connection now, with how often.
    asked: Mutex<Vec<(Arc<Live>, usize)>>,
}

impl Visit {
    pub(crate) const fn new(
        worker: Arc<Worker>,
        client: Client,
        named: Option<String>,
        guest: Guest,
        scheme: Scheme,
    ) -> Self {
        Self { worker, client, named, guest, scheme, asked: Mutex::new(Vec::new()) }
    }

    /// A request of a service begins, and ends when what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>, live: &Arc<Live>, share: Share) -> Use {
        live.tally.under_way.fetch_add(1, Relaxed);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.iter_mut().find(|(one, _)| Arc::ptr_eq(one, live)) {
            Some((_, count)) => *count += 1,
            None => asked.push((Arc::clone(live), 1)),
        }
        Use { visit: Arc::clone(self), live: Arc::clone(live), _share: share }
    }

    /// Whether all that is under way may go on.
    pub(crate) fn may_go_on(&self) -> bool {
        let asked: Vec<Arc<Live>> = {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.iter().map(|(live, _)| Arc::clone(live)).collect()
        };
        asked.iter().all(|live| self.worker.shared.judge(&self.client, live) == Judgement::Allowed)
    }

    /// Serves until the client goes, has to go, or the door closes; requests under way are let finish.
    pub(crate) async fn serve<S>(self: Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let visit = Arc::clone(&self);
        let service = service_fn(move |request| {
            let visit = Arc::clone(&visit);
            async move { Ok::<_, Infallible>(answer::answer(visit, request.map(Inward::Tcp)).await) }
        });
        let io = TokioIo::new(stream);
        let head_within = self.worker.shared.settings.head_within;
        if self.scheme == (Scheme::Https { two: true }) {
            let mut server = http2::Builder::new(Spawn::on(&self.worker.visits));
            server.timer(TokioTimer::new()).max_header_list_size(HEADERS_MAX).max_concurrent_streams(STREAMS);
            server.initial_stream_window_size(AHEAD.0).initial_connection_window_size(AHEAD.1);
            server.keep_alive_interval(head_within).keep_alive_timeout(head_within);
            let connection = pin!(server.serve_connection(io, service));
            self.run(connection, http2::Connection::graceful_shutdown).await;
        } else {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(head_within).max_header_size(HEAD_MAX);
            let connection = pin!(server.serve_connection(io, service).with_upgrades());
            self.run(connection, http1::UpgradeableConnection::graceful_shutdown).await;
        }
    }

    async fn run<C>(&self, mut connection: Pin<&mut C>, wind_down: impl Fn(Pin<&mut C>))
    where
        C: Future<Output = Result<(), hyper::Error>>,
    {
        let shared = &self.worker.shared;
        let mut changed = shared.changed.subscribe();
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended");
                    }
                    return;
                }
                () = self.guest.has_to_go() => {
                    wind_down(connection.as_mut());
                    drop(timeout(FAREWELL, connection).await);
                    return;
                }
                change = changed.changed() => {
                    if change.is_err() || !self.may_go_on() {
                        return;
                    }
                }
                () = shared.cancel.cancelled() => break,
            }
        }
        wind_down(connection.as_mut());
        drop(timeout(shared.settings.drain, connection).await);
    }
}

/// A request under way.
pub(crate) struct Use {
    visit: Arc<Visit>,
    live: Arc<Live>,
    _share: Share,
}

impl std::fmt::Debug for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Use").field(&self.live.service.id).finish()
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.live.tally.under_way.fetch_sub(1, Relaxed);
        let mut asked = self.visit.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = asked.iter().position(|(one, _)| Arc::ptr_eq(one, &self.live))
            && let Some((_, count)) = asked.get_mut(at)
        {
            *count -= 1;
            if *count == 0 {
                asked.swap_remove(at);
            }
        }
    }
}

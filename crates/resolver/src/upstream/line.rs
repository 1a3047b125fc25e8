//! One server, and the connections to it, which are made when they are needed and kept while they hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use hickory_net::NetError;
use hickory_net::h2::HttpsClientStream;
use hickory_net::proto::op::{DnsRequest, DnsResponse};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::tls::tls_exchange;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle as _, FirstAnswer as _};
use rustls::pki_types::ServerName;

use super::servers::ServerState;
use crate::config::{Server, Way};

/// For one question to one server, connecting included.
const WITHIN: Duration = Duration::from_secs(4);
/// A server that failed is asked after others for so long.
const AVOIDED: Duration = Duration::from_secs(30);
/// Questions at a time on one connection.
const AT_A_TIME: usize = 256;

type Exchange = DnsExchange<TokioRuntimeProvider>;
type Connecting = Shared<BoxFuture<'static, Result<Exchange, NetError>>>;

/// One server. The tasks of its connections end with it.
pub(super) struct Line {
    server: Server,
    tls: Arc<rustls::ClientConfig>,
    tasks: TokioRuntimeProvider,
    datagrams: Option<Exchange>,
    stream: Mutex<Kept>,
    record: Mutex<Record>,
}

/// The connection that there is, or is being made, by its number.
#[derive(Default)]
struct Kept {
    number: u64,
    connecting: Option<Connecting>,
}

#[derive(Default)]
struct Record {
    answered: u64,
    failed: u64,
    problem: Option<(Instant, String)>,
}

impl Line {
    pub(super) fn new(server: Server, tls: Arc<rustls::ClientConfig>) -> Self {
        let tasks = TokioRuntimeProvider::new();
        let datagrams = (server.way == Way::Plain).then(|| {
            UdpClientStream::builder(server.address, tasks.clone()).with_timeout(Some(WITHIN)).exchange()
        });
        Self { server, tls, tasks, datagrams, stream: Mutex::default(), record: Mutex::default() }
    }

    /// Asks it; what is too long for a datagram, or answered in other capitals, over TCP.
    pub(super) async fn ask(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        if let Some(datagrams) = &self.datagrams {
            match datagrams.send(request.clone()).first_answer().await {
                Ok(said) if !said.truncation => return Ok(said),
                // Capitals that were changed are a poor server's, or somebody's who guesses.
                Ok(_) | Err(NetError::QueryCaseMismatch) => {}
                Err(error) => return Err(error),
            }
        }
        tokio::time::timeout(WITHIN, self.ask_stream(request)).await.unwrap_or(Err(NetError::Timeout))
    }

    async fn ask_stream(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        loop {
            let (number, connecting, is_new) = self.connection();
            let told = match connecting.await {
                Ok(exchange) => exchange.send(request.clone()).first_answer().await,
                Err(error) => Err(error),
            };
            let error = match told {
                Ok(said) => return Ok(said),
                Err(error) => error,
            };
            self.forget(number);
            // A kept connection may have been closed at the other end: that says nothing.
            if is_new || matches!(error, NetError::Timeout) {
                return Err(error);
            }
        }
    }

    /// The connection that there is, or a new one.
    fn connection(&self) -> (u64, Connecting, bool) {
        let mut kept = lock(&self.stream);
        if let Some(connecting) = &kept.connecting {
            return (kept.number, connecting.clone(), false);
        }
        kept.number += 1;
        let connecting = self.connect().shared();
        kept.connecting = Some(connecting.clone());
        (kept.number, connecting, true)
    }

    fn forget(&self, number: u64) {
        let mut kept = lock(&self.stream);
        if kept.number == number {
            kept.connecting = None;
        }
    }

    fn connect(&self) -> BoxFuture<'static, Result<Exchange, NetError>> {
        let (address, tasks) = (self.server.address, self.tasks.clone());
        match &self.server.way {
            Way::Plain => TcpClientStream::exchange(address, None, WITHIN, Some(AT_A_TIME), tasks).boxed(),
            Way::Tls(name) => {
                let Ok(name) = ServerName::try_from(name.clone()) else {
                    return futures::future::err(NetError::Message("no name for a certificate")).boxed();
                };
                let tls = rustls::ClientConfig::clone(&self.tls);
                tls_exchange(address, name, tls, WITHIN, Some(AT_A_TIME), tasks).boxed()
            }
            Way::Https(name, path) => {
                let mut builder = HttpsClientStream::builder(Arc::clone(&self.tls), tasks);
                builder.request_timeout(WITHIN);
                builder.exchange(address, name.as_str().into(), path.as_str().into()).boxed()
            }
        }
    }

    /// Whether it failed lately.
    pub(super) fn is_failing(&self) -> bool {
        let record = lock(&self.record);
        record.problem.as_ref().is_some_and(|(since, _)| since.elapsed() < AVOIDED)
    }

    pub(super) fn answered(&self) {
        let mut record = lock(&self.record);
        record.answered += 1;
        record.problem = None;
    }

    pub(super) fn failed(&self, problem: String) {
        let mut record = lock(&self.record);
        if record.problem.is_none() {
            tracing::warn!(server = %self.server, problem, "a name server does not answer as it should");
        }
        record.failed += 1;
        record.problem = Some((Instant::now(), problem));
    }

    pub(super) fn state(&self) -> ServerState {
        let record = lock(&self.record);
        ServerState {
            server: self.server.clone(),
            answered: record.answered,
            failed: record.failed,
            problem: record.problem.as_ref().map(|(_, problem)| problem.clone()),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

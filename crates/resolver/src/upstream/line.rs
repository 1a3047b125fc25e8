//! One server, and the connections to it, which are made when they are needed and kept while they hold.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use hickory_net::NetError;
use hickory_net::h2::HttpsClientStream;
use hickory_net::proto::op::{DnsRequest, DnsResponse};
use hickory_net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_net::runtime::{RuntimeProvider as _, Spawn as _, TokioRuntimeProvider};
use hickory_net::tcp::TcpClientStream;
use hickory_net::tls::tls_from_stream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle as _, DnsMultiplexer, FirstAnswer as _};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::servers::ServerState;
use crate::config::{Server, Way};

/// For one question to one server, connecting included.
const WITHIN: Duration = Duration::from_secs(4);
/// A server that failed is asked after others for so long.
const AVOIDED: Duration = Duration::from_secs(30);
/// A connection by which nothing comes for so long is given up.
const DEAD: Duration = Duration::from_secs(2);
/// Questions at a time on one connection.
const AT_A_TIME: usize = 256;

type Exchange = DnsExchange<TokioRuntimeProvider>;
type Connecting = Shared<BoxFuture<'static, Result<Exchange, NetError>>>;

/// One server. The tasks of its connections end with it.
pub(super) struct Line {
    server: Server,
    /// None where it is asked in the clear.
    tls: Option<Arc<rustls::ClientConfig>>,
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
    is_proven: bool,
}

#[derive(Default)]
struct Record {
    answered: u64,
    failed: u64,
    problem: Option<(Instant, String)>,
}

impl Line {
    pub(super) fn new(server: Server, tls: Option<Arc<rustls::ClientConfig>>) -> Self {
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
        self.ask_stream(request).await
    }

    async fn ask_stream(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        loop {
            let (number, connecting, is_new) = self.connection();
            let mut using = Using { line: self, number, since: Instant::now(), is_over: false };
            let told = tokio::time::timeout(WITHIN, async {
                connecting.await?.send(request.clone()).first_answer().await
            });
            let told = told.await.unwrap_or(Err(NetError::Message("no certificate of an authority is here")));
            using.is_over = true;
            let error = match told {
                Ok(said) => {
                    self.prove(number);
                    return Ok(said);
                }
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
        let connecting = self.connect().shared();
        *kept = Kept { number: kept.number + 1, connecting: Some(connecting.clone()), is_proven: false };
        (kept.number, connecting, true)
    }

    /// Something came by it.
    fn prove(&self, number: u64) {
        let mut kept = lock(&self.stream);
        kept.is_proven |= kept.number == number;
    }

    fn forget(&self, number: u64) {
        let mut kept = lock(&self.stream);
        if kept.number == number {
            kept.connecting = None;
        }
    }

    fn connect(&self) -> BoxFuture<'static, Result<Exchange, NetError>> {
        let (address, tasks) = (self.server.address, self.tasks.clone());
        match (&self.server.way, self.tls.clone()) {
            (Way::Plain, _) => {
                TcpClientStream::exchange(address, None, WITHIN, Some(AT_A_TIME), tasks).boxed()
            }
            // Never in the clear what was meant to be sealed.
            (_, None) => std::future::ready(Err(NetError::Timeout)).boxed(),
            (Way::Tls(name), Some(tls)) => sealed(address, name.clone(), tls, tasks).boxed(),
            (Way::Https(name, path), Some(tls)) => {
                let mut builder = HttpsClientStream::builder(tls, tasks);
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

    /// Another one answered sooner.
    pub(super) fn late(&self) {
        let mut kept = lock(&self.stream);
        // One by which something came before may be dead; one that is being made is not judged yet.
        if kept.is_proven {
            kept.connecting = None;
        }
        drop(kept);
        self.failed("another server, asked later, answered sooner".to_owned());
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

/// A question under way on a connection. If nobody waits for it any more after long, the connection is not
/// used again.
struct Using<'a> {
    line: &'a Line,
    number: u64,
    since: Instant,
    is_over: bool,
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.since.elapsed() >= DEAD {
            self.line.forget(self.number);
        }
    }
}

/// Connects over TLS, with the name in the greeting: there are servers that know a customer by it. The
/// engine's own way leaves it out.
async fn sealed(
    address: SocketAddr,
    name: String,
    tls: Arc<rustls::ClientConfig>,
    tasks: TokioRuntimeProvider,
) -> Result<Exchange, NetError> {
    let name = ServerName::try_from(name).map_err(|_| NetError::Message("no name for a certificate"))?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    let (stream, sender) = tls_from_stream(AsyncIoTokioAsStd(stream), address);
    let multiplexer = DnsMultiplexer::new(TcpClientStream::from_stream(stream), sender)
        .with_timeout(WITHIN)
        .with_max_active_requests(AT_A_TIME);
    let (exchange, background) = DnsExchange::from_stream(multiplexer);
    tasks.create_handle().spawn_bg(background);
    Ok(exchange)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

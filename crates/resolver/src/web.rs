//! Questions over HTTPS (RFC 8484), with HTTP/2 and HTTP/1.1.

mod request;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_names::{Message, kind};
use freehold_ports::{Guest, Held, Patient, Places, Porter, Stall};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answering::{Answering, Asked, Channel, Reply};
use crate::counting::Counter;
use crate::streams::{CONNECTIONS, REST, SHAKE, STALL};
use crate::waiting::Waiting;
use request::Refused;

/// Where questions go.
const PATH: &str = "/dns-query";
/// The one form of question and answer.
pub(crate) const FORM: &str = "application/dns-message";
/// The longest question; honest ones have a few hundred bytes.
const QUESTION: usize = 4096;
/// More than that of a body is not read.
const BODY: usize = 64 << 10;
/// The largest head of a request, with a question in its path.
const HEAD: usize = 16 << 10;
/// The same with HTTP/2.
const HEADERS: u32 = 16 << 10;
/// Questions at a time on one connection.
const STREAMS: u32 = 64;
/// Between two pieces of a question.
const PIECE: Duration = Duration::from_secs(5);
/// Requests under way at the end get this long.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves one port.
pub(crate) struct Web {
    pub(crate) answering: Arc<Answering>,
    pub(crate) listener: TcpListener,
    pub(crate) tls: TlsAcceptor,
    pub(crate) counter: Counter,
    pub(crate) waiting: Waiting,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Web {
    /// Until it is stopped.
    pub(crate) async fn serve(self) {
        let porter = Porter::new(Places::of(CONNECTIONS, REST));
        loop {
            let (stream, guest) = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = porter.accept(&self.listener) => accepted,
            };
            let Ok(from) = stream.peer_addr() else { continue };
            drop(stream.set_nodelay(true));
            let (tls, stop, tasks) = (self.tls.clone(), self.stop.clone(), self.tasks.clone());
            let desk = Desk {
                answering: Arc::clone(&self.answering),
                from,
                counter: self.counter.clone(),
                waiting: self.waiting.clone(),
                guest: guest.clone(),
            };
            self.tasks.spawn(async move {
                let shaken = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = guest.has_to_go() => return,
                    shaken = timeout(SHAKE, tls.accept(stream)) => shaken,
                };
                let Ok(Ok(stream)) = shaken else { return };
                let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let io = TokioIo::new(Stall::new(stream, STALL));
                let service = service_fn(move |request| {
                    let desk = desk.clone();
                    async move { Ok::<_, Infallible>(desk.serve(request).await) }
                });
                if is_h2 {
                    let mut server = http2::Builder::new(Tracked { tasks, stop: stop.clone() });
                    server.timer(TokioTimer::new()).max_header_list_size(HEADERS);
                    server.max_concurrent_streams(STREAMS);
                    let connection = pin!(server.serve_connection(io, service));
                    run(connection, http2::Connection::graceful_shutdown, &guest, &stop).await;
                } else {
                    let mut server = http1::Builder::new();
                    server.timer(TokioTimer::new()).header_read_timeout(REST).max_buf_size(HEAD);
                    let connection = pin!(server.serve_connection(io, service));
                    run(connection, http1::Connection::graceful_shutdown, &guest, &stop).await;
                }
            });
        }
    }
}

/// Drives a connection until it ends or has to; what is under way may finish when all ends.
async fn run<C>(
    mut connection: Pin<&mut C>,
    wind_down: impl Fn(Pin<&mut C>),
    guest: &Guest,
    stop: &CancellationToken,
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
        () = stop.cancelled() => wind_down(connection.as_mut()),
    }
    drop(timeout(DRAIN, connection).await);
}

/// Requests of a connection as tasks of the resolver.
#[derive(Clone)]
struct Tracked {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<F> Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut future = pin!(future);
            tokio::select! {
                biased;
                () = future.as_mut() => return,
                () = stop.cancelled() => {}
            }
            drop(timeout(DRAIN, future).await);
        });
    }
}

/// Answers the requests of one connection.
#[derive(Clone)]
struct Desk {
    answering: Arc<Answering>,
    from: SocketAddr,
    counter: Counter,
    waiting: Waiting,
    guest: Guest,
}

impl Desk {
    async fn serve(self, request: Request<Incoming>) -> Response<Held<Full<Bytes>>> {
        let question = match read(request).await {
            Ok(question) => question,
            Err(refused) => return refuse(refused),
        };
        let mut out = Vec::new();
        let reply = {
            let view = self.answering.view();
            let asked = Asked {
                view: &view,
                moment: self.answering.moment(),
                party: self.answering.party(self.from),
                channel: Channel::Sealed,
                counter: &self.counter,
            };
            self.answering.answer(&asked, &question, &mut out)
        };
        let busy = self.guest.request();
        match reply {
            Reply::Ready => {}
            Reply::Silence => return refuse(Refused::NoQuestion),
            Reply::Later(later) => {
                let Some(_place) = self.waiting.enter(self.guest.source()) else {
                    return refuse(Refused::Busy);
                };
                out = self.answering.settle(*later).await;
            }
        }
        let age = format!("max-age={}", good_for(&out));
        let mut response = Response::new(Held::new(Full::new(Bytes::from(out)), Some(busy)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
        headers.extend(HeaderValue::try_from(age).ok().map(|age| (header::CACHE_CONTROL, age)));
        response
    }
}

/// The question of a request.
async fn read(request: Request<Incoming>) -> Result<Bytes, Refused> {
    let (head, body) = request.into_parts();
    // Read in any case: a client that is answered before it has said all takes that for an error.
    let body = Limited::new(Patient::new(body, PIECE), BODY);
    let body = body.collect().await.map_err(|_| Refused::Long)?.to_bytes();
    if head.uri.path() != PATH {
        return Err(Refused::NoSuchPath);
    }
    match head.method {
        Method::GET | Method::HEAD => request::in_query(head.uri.query().unwrap_or("")).map(Bytes::from),
        Method::POST => {
            let form = head.headers.get(header::CONTENT_TYPE).and_then(|form| form.to_str().ok());
            if !form.is_some_and(|form| form.trim().eq_ignore_ascii_case(FORM)) {
                return Err(Refused::Form);
            }
            if body.len() > QUESTION { Err(Refused::Long) } else { Ok(body) }
        }
        _ => Err(Refused::Method),
    }
}

fn refuse(refused: Refused) -> Response<Held<Full<Bytes>>> {
    let mut response = Response::new(Held::new(Full::new(Bytes::from(format!("{refused}\n"))), None));
    *response.status_mut() = match refused {
        Refused::NoSuchPath => StatusCode::NOT_FOUND,
        Refused::Method => StatusCode::METHOD_NOT_ALLOWED,
        Refused::Form => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refused::Long => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::NoQuestion => StatusCode::BAD_REQUEST,
        Refused::Busy => StatusCode::TOO_MANY_REQUESTS,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if refused == Refused::Method {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

/// For how many seconds all of an answer is good (RFC 8484, 5.1).
fn good_for(answer: &[u8]) -> u32 {
    let Some(message) = Message::parse(answer) else { return 0 };
    let times = message.records().map_while(Result::ok).filter(|record| record.kind != kind::OPT);
    times.map(|record| record.ttl).min().unwrap_or(0)
}

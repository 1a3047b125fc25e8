//! The HTTP proxy: `CONNECT`, and requests that name their target in full. A request that names none was meant for
//! a web server: a page in a browser can send no other kind to an address, whatever name it gives that address, so
//! that no page drives the proxy.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use freehold_ports::{Busy, Guest};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::dial::{Line, ReachError, Reacher};
use crate::doors::{REST, tell};
use crate::talk::CutError;

/// What one request's head may have.
const HEAD_MAX: usize = 64 * 1024;
/// Between a connection of the stack and the client of HTTP that speaks over it.
const BETWEEN: usize = 64 * 1024;
/// Headers that are for the next hop alone (RFC 9110, 7.6.1), and for a proxy.
const HOPS: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const MORE_HOPS: [&str; 2] = ["keep-alive", "proxy-connection"];

type Answer = Response<BoxBody<Bytes, hyper::Error>>;
/// What a connection becomes after a `CONNECT`.
type Next = Arc<Mutex<Option<(OnUpgrade, Line, Busy)>>>;

pub(crate) async fn serve(
    stream: TcpStream,
    reacher: &Reacher,
    guest: &Guest,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) {
    drop(stream.set_nodelay(true));
    let next = Next::default();
    let proxy = Proxy {
        reacher: reacher.clone(),
        guest: guest.clone(),
        tasks: tasks.clone(),
        cancel: cancel.clone(),
    };
    let answer = service_fn(|request| {
        let (proxy, next) = (proxy.clone(), Arc::clone(&next));
        async move { Ok::<_, Infallible>(proxy.answer(request, &next).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    // Who has asked may say that it asks no more, and wait.
    server.half_close(true).timer(TokioTimer::new()).header_read_timeout(REST).max_buf_size(HEAD_MAX);
    let connection = server.serve_connection(TokioIo::new(stream), answer).with_upgrades();
    if connection.await.is_err() {
        return;
    }
    let tunnel = next.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((upgrade, line, _busy)) = tunnel else { return };
    if let Ok(upgraded) = upgrade.await
        && let Err(error) = line.carry(&mut TokioIo::new(upgraded)).await
    {
        debug!(%error, "a connection through the HTTP proxy was cut");
    }
}

#[derive(Clone)]
struct Proxy {
    reacher: Reacher,
    guest: Guest,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Proxy {
    async fn answer(&self, mut request: Request<Incoming>, next: &Next) -> Answer {
        let busy = self.guest.request();
        if request.method() == Method::CONNECT {
            let Some((host, port)) =
                request.uri().authority().and_then(|to| Some((to.host().to_owned(), to.port_u16()?)))
            else {
                return said(StatusCode::BAD_REQUEST, "CONNECT names a host and a port");
            };
            return match self.reacher.reach(&host, port).await {
                Ok(line) => {
                    let upgrade = hyper::upgrade::on(&mut request);
                    *next.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgrade, line, busy));
                    Response::new(empty())
                }
                Err(error) => not_reached(&error),
            };
        }
        let Some((authority, path)) = target(request.uri()) else {
            let why = "this is a proxy of Freehold, for programs that are told to use one, and no website";
            return said(StatusCode::BAD_REQUEST, why);
        };
        let line = match self.reacher.reach(authority.host(), authority.port_u16().unwrap_or(80)).await {
            Ok(line) => line,
            Err(error) => return not_reached(&error),
        };
        if !aim(&mut request, &authority, path) {
            return said(StatusCode::BAD_REQUEST, "the target is no host");
        }
        match self.ask(line, request, busy).await {
            Ok(answer) => answer,
            Err(error) => {
                debug!(%error, "a request through the proxy failed");
                said(StatusCode::BAD_GATEWAY, "the other side broke the request off")
            }
        }
    }

    /// One request over a line of its own.
    async fn ask(&self, line: Line, request: Request<Incoming>, busy: Busy) -> hyper::Result<Answer> {
        let (near, mut far) = tokio::io::duplex(BETWEEN);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await?;
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            // Whichever ends first, the other hears of it.
            let carry = async move { line.carry(&mut far).await.ok() };
            let both = async { tokio::join!(connection, carry) };
            drop(cancel.run_until_cancelled(both).await);
            drop(busy);
        });
        let mut answer = sender.send_request(request).await?;
        strip(answer.headers_mut());
        Ok(answer.map(http_body_util::BodyExt::boxed))
    }
}

/// The target of a request that names it in full.
fn target(uri: &Uri) -> Option<(Authority, PathAndQuery)> {
    let is_http = uri.scheme() == Some(&Scheme::HTTP);
    let authority = uri.authority().filter(|_| is_http)?;
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Some((authority.clone(), path))
}

/// Makes of a proxy's request one for the server: its path, and the host that it names, whatever it says of it.
fn aim<B>(request: &mut Request<B>, authority: &Authority, path: PathAndQuery) -> bool {
    let host = match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    let Ok(host) = HeaderValue::try_from(host) else { return false };
    strip(request.headers_mut());
    request.headers_mut().insert(header::HOST, host);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = http::Version::HTTP_11;
    true
}

/// Takes out what is for this hop alone.
fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter();
    let named = named.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
    for name in named.iter().chain(&HOPS) {
        headers.remove(name);
    }
    for name in MORE_HOPS {
        headers.remove(name);
    }
}

fn not_reached(error: &ReachError) -> Answer {
    tell(error);
    let status = match error {
        ReachError::Foreign(_) => StatusCode::FORBIDDEN,
        ReachError::NoName(_) => StatusCode::BAD_GATEWAY,
        ReachError::Cut { why, .. } => match why {
            CutError::NotAllowed => StatusCode::FORBIDDEN,
            CutError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            CutError::Full | CutError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            CutError::Unreachable | CutError::Refused | CutError::NoAddress | CutError::Partner => {
                StatusCode::BAD_GATEWAY
            }
        },
    };
    said(status, &error.to_string())
}

fn said(status: StatusCode, text: &str) -> Answer {
    let body = Full::new(Bytes::from(format!("{text}\n"))).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

fn empty() -> BoxBody<Bytes, hyper::Error> {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_a_target_in_full_has_one() {
        let of =
            |uri: &str| target(&uri.parse().unwrap()).map(|(to, path)| (to.to_string(), path.to_string()));
        let some = |to: &str, path: &str| Some((to.to_owned(), path.to_owned()));
        assert_eq!(of("http://nas.home.internal:8080/a?b=c"), some("nas.home.internal:8080", "/a?b=c"));
        assert_eq!(of("http://[fd00::2]"), some("[fd00::2]", "/"));
        // What a page can make a browser send to an address, and what is no plain HTTP.
        assert_eq!((of("/a?b=c"), of("*"), of("https://nas/"), of("ftp://nas/")), (None, None, None, None));
    }

    #[test]
    fn the_server_hears_the_host_that_was_asked_for_and_nothing_of_the_proxy() {
        let request = Request::get("http://nas:8080/x").header("host", "bank.example");
        let request =
            request.header("proxy-authorization", "Basic eA==").header("proxy-connection", "keep-alive");
        let mut request = request.header("connection", "x-own, close").header("x-own", "1").body(()).unwrap();
        let (to, path) = target(request.uri()).unwrap();
        assert!(aim(&mut request, &to, path));
        assert_eq!(request.uri(), "/x");
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["connection", "host"]);
        assert_eq!(
            (&request.headers()["host"], &request.headers()["connection"]),
            (&HeaderValue::from_static("nas:8080"), &HeaderValue::from_static("close"))
        );
    }
}

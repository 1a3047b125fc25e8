//! The gate in front of the API when it is offered to browsers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};

use super::Sessions;
use crate::Problem;

/// Where a code is typed: the one place that is open to those who have no session yet.
const SIGN_IN: &str = "/api/v1/setup/session";

/// Backups read and write any file of this machine that the node may: a browser is shown how they stand, and no more,
/// so that a session that was stolen is not worth the machine.
const BACKUPS: &str = "/api/v1/backup";

/// Lets only signed-in browsers through to `api`, and only for what their person did on our own
/// pages.
pub fn guard(api: Router, sessions: Arc<Sessions>) -> Router {
    api.layer(middleware::from_fn_with_state(sessions, admit))
}

async fn admit(State(sessions): State<Arc<Sessions>>, request: Request, next: Next) -> Response {
    if !own_host(request.uri(), request.headers(), request.extensions().get()) {
        return foreign_host().into_response();
    }
    let signing_in = request.method() == Method::POST && request.uri().path() == SIGN_IN;
    if !same_origin(request.method(), request.uri(), request.headers()) {
        return Problem::refused(
            "this was not asked from the console",
            "another site sent it",
            None::<String>,
        )
        .into_response();
    }
    if !signing_in && !sessions.admits(request.headers()) {
        return Problem::refused(
            "this needs a session",
            "nobody has signed in here",
            Some("freehold console"),
        )
        .with_status(StatusCode::UNAUTHORIZED);
    }
    if is_for_this_machine(request.method(), request.uri().path()) {
        return Problem::refused(
            "this is not asked by a browser",
            "backups reach every file of the machine",
            Some("freehold backup --help    (on the machine itself)"),
        )
        .into_response();
    }
    next.run(request).await
}

fn is_for_this_machine(method: &Method, path: &str) -> bool {
    let rest = path.strip_prefix(BACKUPS);
    rest.is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && method != Method::GET))
}

/// Ends of names that nobody can buy.
const LOCAL: [&str; 9] =
    ["localhost", "local", "lan", "home", "internal", "intranet", "private", "corp", "home.arpa"];

/// Whether a request came by an address of this machine or a name of the local network. By a name
/// that its owner has pointed here ("DNS rebinding"), a page from elsewhere would count as ours.
///
/// By `known` a connection came that leads here by one name alone, which nobody else can point anywhere: there that
/// name counts as well.
pub fn own_host(uri: &Uri, headers: &HeaderMap, known: Option<&KnownAs>) -> bool {
    // HTTP/2 carries the host in the request's target.
    let target = uri.authority().map(http::uri::Authority::as_str);
    let said = headers.get(header::HOST).map(|value| value.to_str().unwrap_or(""));
    let is_known = |host: &str| known.is_some_and(|known| known.is(host));
    [target, said].into_iter().flatten().all(|host| is_local(host) || is_known(host))
}

/// The one name that a connection comes by, as that of an onion service is: a key's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAs(pub Arc<str>);

impl KnownAs {
    fn is(&self, authority: &str) -> bool {
        let host = authority.split_once(':').map_or(authority, |(host, _)| host);
        !self.0.is_empty() && host.eq_ignore_ascii_case(&self.0)
    }
}

fn is_local(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(ip, _)| ip.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return true;
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let under =
        |end: &&str| host.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !host.is_empty() && (!host.contains('.') || LOCAL.iter().any(under))
}

/// What is said to who came by another name.
pub fn foreign_host() -> Problem {
    Problem::refused(
        "the console does not answer to this name",
        "a name that others can own might be pointed here by a page that means you no good",
        Some("open it by localhost, by this machine's IP address, or by its name in your own network"),
    )
}

/// Whether a request that may change something comes from our own pages, or from a program. Browsers
/// say where a request comes from; what says nothing is no browser and carries no cookie by itself.
pub fn same_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or(""));
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    // HTTP/2 carries the host in the request's target.
    let host = text(header::HOST).or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let origin = origin.split_once("://").map(|(_, host)| host);
    matches!((origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

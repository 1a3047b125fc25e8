//! What becomes of one request.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::body::{self, Ask, Patience, Progress, Reply};
use crate::crowd::Share;
use crate::forward::{Errand, Failed};
use crate::gate::Judgement;
use crate::heads::{self, Origin};
use crate::host::{BadHost, asked};
use crate::inward::Inward;
use crate::live::Live;
use crate::page::{later, nothing_here, page};
use crate::service::{Speaks, Web};
use crate::tally::Turned;
use crate::tunnel::Tunnel;
use crate::upstream::Lease;
use crate::visit::{Scheme, Visit};
use crate::{plain, sign_on};

/// The answer to a request: the service's, or the door's own.
pub(crate) async fn answer(visit: Arc<Visit>, request: Request<Inward>) -> Response<Reply> {
    let began = Instant::now();
    visit.guest.touch();
    let (parts, body) = request.into_parts();
    if let Err(bad) = heads::check(&parts.headers) {
        return unclear(&bad.to_string(), parts.version);
    }
    let host = match asked(parts.version, &parts.uri, &parts.headers) {
        Ok(host) => host.into_owned(),
        Err(bad) => return unclear(&bad.to_string(), parts.version),
    };
    if visit.scheme == Scheme::Http {
        return plain::answer(&visit, &host, &parts).await;
    }
    // A browser that reuses a connection for another name asks anew on one of its own (RFC 9110, 15.5.20).
    if visit.named.as_ref().is_some_and(|named| *named != host) {
        return page(StatusCode::MISDIRECTED_REQUEST, "This connection was made for another name.");
    }
    let routes = visit.worker.shared.routes.load();
    let live = routes.find(&host).map(Arc::clone);
    drop(routes);
    let Some((live, web)) = live.as_ref().and_then(|live| Some((live, live.web()?))) else {
        body::forget(&parts.headers, body).await;
        return nothing_here();
    };
    let response = match admit(&visit, live, web, &parts) {
        Ok(share) => {
            let begun = (visit.begin(live, share), visit.guest.request());
            let response = pass_on(&visit, (live, web), parts, body).await;
            response.map(|body| body.holding(Some(begun)))
        }
        Err(response) => {
            body::forget(&parts.headers, body).await;
            *response
        }
    };
    live.tally.answered(response.status().as_u16(), began.elapsed());
    response
}

/// A request that can be read in two ways. What follows it on its connection is not read at all.
fn unclear(why: &str, version: Version) -> Response<Reply> {
    let mut letters = why.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let said = format!("{}{}.", first.unwrap_or_default(), letters.as_str());
    let mut response = page(StatusCode::BAD_REQUEST, &said);
    if version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether a request may go on; else what its client is told. The service is told nothing.
fn admit(visit: &Visit, live: &Live, web: &Web, parts: &Parts) -> Result<Share, Box<Response<Reply>>> {
    let shared = &visit.worker.shared;
    let turned = |why, response| {
        live.turn(why);
        Err(Box::new(response))
    };
    match shared.judge(&visit.client, live) {
        Judgement::Allowed => {}
        Judgement::Hidden => return turned(Turned::Away, nothing_here()),
        Judgement::Refused(why) => return turned(Turned::Away, page(StatusCode::FORBIDDEN, &why)),
    }
    if [Method::CONNECT, Method::TRACE].contains(&parts.method) {
        return Err(Box::new(page(StatusCode::NOT_IMPLEMENTED, "The door does not do that.")));
    }
    let client = shared.number_of(visit.client.from.ip().into());
    if let Err(wait) = live.may_ask(client, shared.now()) {
        let wait = wait.as_secs() + 1;
        let response = later(StatusCode::TOO_MANY_REQUESTS, "Too many requests; come again later.", wait);
        return turned(Turned::Often, response);
    }
    if live.tally.under_way.load(Relaxed) >= web.limits.at_once as u64 {
        let response = later(StatusCode::SERVICE_UNAVAILABLE, "Too many are here; come again later.", 1);
        return turned(Turned::Busy, response);
    }
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    // Before the client is told to send it.
    if let (Some(length), Some(most)) = (length, web.limits.body)
        && length > most
    {
        return turned(Turned::Large, too_large(most));
    }
    // One client does not keep others out.
    live.crowd.enter(client, web.limits.share).map_or_else(
        || {
            let said = "Too many of your requests are under way; come again later.";
            turned(Turned::Busy, later(StatusCode::TOO_MANY_REQUESTS, said, 1))
        },
        Ok,
    )
}

fn too_large(most: u64) -> Response<Reply> {
    page(StatusCode::PAYLOAD_TOO_LARGE, &format!("At most {most} bytes are taken here."))
}

/// A request, changed for the service.
struct Ready {
    request: Request<Ask>,
    progress: Option<Arc<Progress>>,
    /// The client's side of another protocol.
    client: Option<OnUpgrade>,
}

async fn pass_on(
    visit: &Arc<Visit>,
    (live, web): (&Arc<Live>, &Web),
    parts: Parts,
    body: Inward,
) -> Response<Reply> {
    let Some(host) = host_line(&parts) else {
        return unclear(&BadHost::Bad.to_string(), parts.version);
    };
    let origin = Origin { client: visit.client.from.ip(), host: &host, scheme: "https" };
    let shared = &visit.worker.shared;
    let errand = Errand { live, limits: &web.limits, upstreams: &visit.worker.upstreams, now: shared.now() };
    let mut signed = None;
    if let Some(sign_on) = &web.sign_on {
        match sign_on::ask(&errand, sign_on, &parts, origin).await {
            Ok(said) => signed = Some((sign_on, said)),
            Err(response) => {
                body::forget(&parts.headers, body).await;
                return *response;
            }
        }
    }
    let mut ready = make_ready(web, parts, body, origin, live);
    if let Some((sign_on, said)) = signed {
        // After what the client said for the next machine only is out, or it could take this out as well.
        sign_on::note(ready.request.headers_mut(), sign_on, &said);
    }
    let sent = errand.send(ready.request, web.speaks, ready.progress.as_deref()).await;
    match sent {
        Ok((response, lease)) => bring_back(visit, (live, web), &host, response, lease, ready.client),
        Err(failed) => could_not(&failed, live, web),
    }
}

/// What the client asked for, with its port.
fn host_line(parts: &Parts) -> Option<HeaderValue> {
    match parts.headers.get(header::HOST) {
        Some(host) => Some(host.clone()),
        None => HeaderValue::from_str(parts.uri.authority()?.as_str()).ok(),
    }
}

fn make_ready(web: &Web, mut parts: Parts, body: Inward, origin: Origin<'_>, live: &Live) -> Ready {
    let slowest = web.limits.slowest.filter(|_| web.speaks == Speaks::Http1);
    let patience = Patience::new(web.limits.quiet, slowest);
    let (ask, progress) = Ask::new(body, web.limits.body, patience, &live.tally);
    // Other versions have none.
    let upgrade =
        if parts.version == Version::HTTP_11 { heads::upgrade(&parts.headers).cloned() } else { None };
    let client = upgrade.is_some().then(|| parts.extensions.remove::<OnUpgrade>()).flatten();
    let upgrade = upgrade.filter(|_| client.is_some());
    heads::forward(&mut parts.headers, origin, upgrade, &web.headers);
    let mut request = Request::new(ask);
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri.path_and_query().map_or_else(Uri::default, |path| Uri::from(path.clone()));
    *request.headers_mut() = parts.headers;
    Ready { request, progress, client }
}

fn bring_back(
    visit: &Arc<Visit>,
    (live, web): (&Arc<Live>, &Web),
    host: &HeaderValue,
    mut response: Response<Incoming>,
    lease: Option<Lease>,
    client: Option<OnUpgrade>,
) -> Response<Reply> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = client else {
            live.turn(Turned::Failed);
            return page(StatusCode::BAD_GATEWAY, "The service changed the protocol, and nobody had asked.");
        };
        let service = hyper::upgrade::on(&mut response);
        let tunnel = Tunnel::new(visit, live, web.limits.quiet);
        visit.worker.visits.spawn(tunnel.join(client, service));
        heads::back(response.headers_mut(), true, &web.headers, web.hsts);
        return response.map(|_| Reply::empty());
    }
    // Another port of the service's is not the door's.
    response.headers_mut().remove(header::ALT_SVC);
    heads::back(response.headers_mut(), false, &web.headers, web.hsts);
    if visit.worker.shared.hears(visit.client.to)
        && let Some(said) = heads::http3(host)
    {
        response.headers_mut().entry(header::ALT_SVC).or_insert(said);
    }
    *response.version_mut() = Version::HTTP_11;
    response.map(|body| Reply::relayed(body, lease, web.limits.quiet, &live.tally))
}

fn could_not(failed: &Failed, live: &Live, web: &Web) -> Response<Reply> {
    tracing::debug!(service = %live.service.id, error = %failed, "a request failed");
    match failed {
        Failed::TooLarge => {
            live.turn(Turned::Large);
            too_large(web.limits.body.unwrap_or_default())
        }
        Failed::ClientGone => page(StatusCode::REQUEST_TIMEOUT, "The request did not come whole."),
        Failed::Late => {
            live.turn(Turned::Failed);
            page(StatusCode::GATEWAY_TIMEOUT, "The service takes too long. Try again later.")
        }
        Failed::NoLine(_) => {
            live.turn(Turned::Failed);
            later(StatusCode::BAD_GATEWAY, "The service does not answer. Is it running?", 5)
        }
        Failed::Broke(_) => {
            live.turn(Turned::Failed);
            page(StatusCode::BAD_GATEWAY, "The service broke off. Try again.")
        }
    }
}

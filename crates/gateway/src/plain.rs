//! What is said without encryption: what a certificate authority wants to hear, and how to come rightly.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;

use crate::Upstream;
use crate::body::{Ask, Reply};
use crate::forward::Errand;
use crate::gate::Judgement;
use crate::live::Live;
use crate::page::{nothing_here, page};
use crate::pass::keeps_its_tls;
use crate::service::Limits;
use crate::visit::Visit;

const CHALLENGE: &str = "/.well-known/acme-challenge/";
/// How long a service that keeps its TLS may take to say what an authority wants to hear, and how much that is at most.
const PROOF_WITHIN: Duration = Duration::from_secs(8);
const PROOF_MAX: usize = 512;

/// The answer to a request that came without TLS. Who may not know of a service does not hear of it here either.
pub(crate) async fn answer(visit: &Visit, host: &str, parts: &Parts) -> Response<Reply> {
    let shared = &visit.worker.shared;
    let token = parts.uri.path().strip_prefix(CHALLENGE).filter(|token| is_token(token));
    if let Some(text) = token.and_then(|token| shared.handed.challenges.text(host, token)) {
        return said(Bytes::from(text));
    }
    let live = shared.routes.load().find(host).map(Arc::clone);
    let Some(live) = live.filter(|live| shared.judge(&visit.client, live) != Judgement::Hidden) else {
        return nothing_here();
    };
    if let Some(token) = token
        && let Some(at) = keeps_its_tls(&live.service.target).and_then(|pass| pass.proofs.as_ref())
    {
        return proof(visit, &live, at, (host, token)).await.map_or_else(nothing_here, said);
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        // Its body has been seen by everybody on the way.
        return page(StatusCode::FORBIDDEN, "Put https:// in front of the address.");
    }
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    match location(host, shared.settings.https_port, path) {
        Some(location) => {
            let mut response = page(StatusCode::PERMANENT_REDIRECT, "Put https:// in front of the address.");
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        None => nothing_here(),
    }
}

fn said(text: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::said(text));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a service that keeps its TLS says to an authority. Nothing else that it says there is passed on.
async fn proof(visit: &Visit, live: &Live, at: &Upstream, (host, token): (&str, &str)) -> Option<Bytes> {
    let _busy = visit.guest.request();
    let mut request = Request::new(Ask::Empty);
    *request.uri_mut() = format!("{CHALLENGE}{token}").parse().ok()?;
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(host).ok()?);
    let (limits, worker) = (Limits::default(), &visit.worker);
    let errand = Errand { live, limits: &limits, upstreams: &worker.upstreams, now: worker.shared.now() };
    let asked = async {
        let _turn = live.proofs.acquire().await.ok()?;
        let (response, _lease) =
            errand.one(at, request).await.filter(|answer| answer.0.status() == StatusCode::OK)?;
        Some(Limited::new(response.into_body(), PROOF_MAX).collect().await.ok()?.to_bytes())
    };
    timeout(PROOF_WITHIN, asked).await.ok()?.filter(|text| proves(text, token))
}

/// RFC 8555, 8.1: the token, a dot, and what the account's key comes to in base64url.
fn proves(text: &[u8], token: &str) -> bool {
    let text = std::str::from_utf8(text).unwrap_or_default().trim_end();
    text.split_once('.').is_some_and(|(own, key)| own == token && is_token(key))
}

fn location(host: &str, port: u16, path: &str) -> Option<HeaderValue> {
    // `//evil` after the host is a path; without one it would be another host.
    let path = if path.starts_with('/') { path } else { "/" };
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    HeaderValue::try_from(format!("https://{host}{port}{path}")).ok()
}

/// RFC 8555, 8.1: base64url.
fn is_token(token: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !token.is_empty() && token.len() <= 256 && token.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_to_the_same_place() {
        let to = |port, path| location("a.b", port, path).unwrap().to_str().unwrap().to_owned();
        assert_eq!(to(443, "/x?y=1"), "https://a.b/x?y=1");
        assert_eq!(to(8443, "//evil"), "https://a.b:8443//evil");
        assert_eq!(to(443, "*"), "https://a.b/");
        assert!(is_token("aB-_9") && !is_token("../x") && !is_token(""));
        assert!(proves(b"aB.x-y", "aB") && proves(b"aB.x\n", "aB"));
        assert!(
            !proves(b"aC.x", "aB")
                && !proves(b"aB", "aB")
                && !proves(b"aB.<p>", "aB")
                && !proves(b"aB.", "aB")
        );
    }
}

//! What is said without encryption: what a certificate authority wants to hear, and how to come rightly.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};

use crate::body::Reply;
use crate::gate::{Client, Judgement};
use crate::page::{nothing_here, page};
use crate::worker::Shared;

const CHALLENGE: &str = "/.well-known/acme-challenge/";

/// The answer to a request that came without TLS. Who may not know of a service does not hear of it here either.
pub(crate) fn answer(shared: &Shared, client: &Client, host: &str, parts: &Parts) -> Response<Reply> {
    let path = parts.uri.path();
    if let Some(token) = path.strip_prefix(CHALLENGE)
        && is_token(token)
        && let Some(text) = shared.handed.challenges.text(host, token)
    {
        let mut response = Response::new(Reply::said(Bytes::from(text)));
        let kind = HeaderValue::from_static("application/octet-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        return response;
    }
    let live = shared.routes.load().find(host).map(Arc::clone);
    if live.is_none_or(|live| shared.judge(client, &live) == Judgement::Hidden) {
        return nothing_here();
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
    }
}

//! Asks whether a client has signed on, before each request of a service that leaves this to another one.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use tokio::time::timeout;

use crate::body::{Ask, Reply};
use crate::forward::Errand;
use crate::heads::{self, Origin};
use crate::page::{later, page};
use crate::service::{HeaderRules, SignOn};
use crate::tally::Turned;

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
/// Of the request that is asked about, what has to do with its body or its conditions.
const NOT_ASKED: [HeaderName; 11] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// What the sign-on says of a client that has signed on; else the answer for the client.
pub(crate) async fn ask(
    errand: &Errand<'_>,
    sign_on: &SignOn,
    parts: &Parts,
    origin: Origin<'_>,
) -> Result<HeaderMap, Box<Response<Reply>>> {
    let Some(request) = question(sign_on, parts, origin) else {
        return Err(Box::new(page(StatusCode::BAD_REQUEST, "The request cannot be shown to the sign-on.")));
    };
    // Its own address, not one of the service's: so tried apart from these.
    let answer = timeout(sign_on.within, errand.one(&sign_on.upstream, request)).await;
    let Ok(Some((mut response, lease))) = answer else {
        errand.live.turn(Turned::Failed);
        let said = "The sign-on does not answer, so nobody is let in. Try again later.";
        return Err(Box::new(later(StatusCode::SERVICE_UNAVAILABLE, said, 5)));
    };
    heads::back(response.headers_mut(), false, &HeaderRules::default(), None);
    if response.status().is_success() {
        // Whatever else has that port may say yes to everything, but does not say who somebody is.
        if sign_on.copy.first().is_some_and(|who| !response.headers().contains_key(who)) {
            errand.live.turn(Turned::Failed);
            let said = "The sign-on does not say who has signed on, so nobody is let in.";
            return Err(Box::new(page(StatusCode::BAD_GATEWAY, said)));
        }
        // Its body is not wanted; a connection with something left on it is closed.
        let (said, body) = response.into_parts();
        drop(Reply::relayed(body, lease, errand.limits.quiet, &errand.live.tally));
        return Ok(said.headers);
    }
    errand.live.turn(Turned::Away);
    *response.version_mut() = Version::HTTP_11;
    let tally = &errand.live.tally;
    Err(Box::new(response.map(|body| Reply::relayed(body, lease, errand.limits.quiet, tally))))
}

fn question(sign_on: &SignOn, parts: &Parts, origin: Origin<'_>) -> Option<Request<Ask>> {
    let mut headers = parts.headers.clone();
    for name in &NOT_ASKED {
        headers.remove(name);
    }
    heads::forward(&mut headers, origin, None, &HeaderRules::default());
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    headers.insert(METHOD, HeaderValue::from_str(parts.method.as_str()).ok()?);
    headers.insert(URI, HeaderValue::from_str(path).ok()?);
    headers.insert(header::HOST, HeaderValue::from_str(&sign_on.host).ok()?);
    let mut request = Request::new(Ask::Empty);
    *request.method_mut() = Method::GET;
    *request.uri_mut() = sign_on.path.parse().ok()?;
    *request.headers_mut() = headers;
    Some(request)
}

/// Puts what the sign-on says in the place of what the client said. What it does not say, nobody does.
pub(crate) fn note(headers: &mut HeaderMap, sign_on: &SignOn, said: &HeaderMap) {
    let spelled = |name: &str| name.replace('_', "-");
    let forged: Vec<HeaderName> = headers
        .keys()
        .filter(|name| sign_on.copy.iter().any(|copied| spelled(copied.as_str()) == spelled(name.as_str())))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
    for name in &sign_on.copy {
        for value in said.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Upstream;

    #[test]
    fn nobody_says_who_he_is_himself() {
        let user = HeaderName::from_static("remote-user");
        let groups = HeaderName::from_static("remote-groups");
        let sign_on = SignOn {
            upstream: Upstream::Unix("/x".into()),
            host: "auth".to_owned(),
            path: "/verify".to_owned(),
            copy: vec![user.clone(), groups.clone()],
            within: Duration::from_secs(1),
        };
        let mut headers = HeaderMap::new();
        headers.insert(user.clone(), HeaderValue::from_static("root"));
        headers.insert(HeaderName::from_static("remote_groups"), HeaderValue::from_static("admins"));
        headers.insert(groups.clone(), HeaderValue::from_static("admins"));
        let mut said = HeaderMap::new();
        said.insert(user.clone(), HeaderValue::from_static("ada"));
        said.insert(header::SET_COOKIE, HeaderValue::from_static("x"));
        note(&mut headers, &sign_on, &said);
        assert_eq!(headers.len(), 1, "{headers:?}");
        assert_eq!(headers.get(&user).unwrap(), "ada");
    }
}

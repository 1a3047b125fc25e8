//! What is changed in the heads of requests and answers on their way through. Nothing that says who a
//! client is, or from where, is believed from outside: it is taken out, and said anew.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::service::{HeaderRules, Hsts};

/// Headers that are for the next machine only (RFC 9110, 7.6.1), and what was never one but is taken for it.
const BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    header::PROXY_AUTHENTICATE,
];

/// What software behind a door believes of it: who the client is, by which name, path and method it came.
const WORD_OF_THE_DOOR: [&str; 27] = [
    "base-url",
    "forwarded",
    "front-end-https",
    "proxy",
    "via",
    "x-accel-mapping",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-https",
    "x-method-override",
    "x-middleware-subrequest",
    "x-originating-ip",
    "x-override-url",
    "x-port",
    "x-protocol",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-sendfile-type",
    "x-server-name",
    "x-url-scheme",
    "x-user",
    "x-username",
];
/// Families of them: of whole proxies, and of what signs on.
const FAMILIES: [&str; 14] = [
    "remote-",
    "ssl-client-",
    "x-auth-request-",
    "x-authelia-",
    "x-authentik-",
    "x-client-",
    "x-envoy-",
    "x-forwarded",
    "x-original",
    "x-real-",
    "x-remote-",
    "x-ssl-",
    "x-token-subject",
    "x-webauth-",
];
/// Each large proxy has one of its own.
const CLIENTS: [&str; 3] = ["client-ip", "clientip", "connecting-ip"];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Why a request is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHead {
    /// Its body is coded in a way that the next machine may read otherwise.
    #[error("only `chunked` is understood as Transfer-Encoding")]
    Coding,
    /// It says two lengths, or a length and chunks.
    #[error("the request says the length of its body twice")]
    Length,
    /// A body, and then another protocol on the same connection.
    #[error("a request that changes the protocol has no body")]
    UpgradeWithBody,
}

/// Refuses heads whose body could be read in two ways. What HTTP's parser already refuses or settles does not
/// come here; this holds whatever it does.
///
/// # Errors
/// [`BadHead`]
pub(crate) fn check(headers: &HeaderMap) -> Result<(), BadHead> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some()
        || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(BadHead::Coding);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() || (length.is_some() && coding.is_some()) {
        return Err(BadHead::Length);
    }
    let body = coding.is_some() || length.is_some_and(|length| length.as_bytes() != b"0");
    if body && upgrade(headers).is_some() {
        return Err(BadHead::UpgradeWithBody);
    }
    Ok(())
}

/// The protocol that a request wants to go over to. HTTP/2 without TLS is none: it would carry requests
/// past all that is checked here.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let wanted = headers.get(header::UPGRADE)?;
    let told = tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let text = wanted.to_str().ok()?;
    let http = text.split(',').any(|one| {
        let one = one.trim();
        one.eq_ignore_ascii_case("h2c") || one.get(..5).is_some_and(|one| one.eq_ignore_ascii_case("http/"))
    });
    (told && !http).then_some(wanted)
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// Takes out what is for the next machine only, and what `Connection` says is.
fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> =
            tokens(headers, &header::CONNECTION).filter_map(|token| token.parse().ok()).collect();
        for name in named {
            // The length of a body is nobody's to hide.
            if name != header::CONTENT_LENGTH && name != header::HOST {
                headers.remove(name);
            }
        }
    }
    for name in &BY_HOP {
        headers.remove(name);
    }
}

/// Whether a header is the door's to say, spelled with `_` as well, which many read as `-`.
fn is_word_of_the_door(name: &str) -> bool {
    let folded;
    let name = if name.contains('_') {
        folded = name.replace('_', "-");
        &folded
    } else {
        name
    };
    WORD_OF_THE_DOOR.binary_search(&name).is_ok()
        || FAMILIES.iter().any(|family| name.starts_with(family))
        || CLIENTS.iter().any(|end| name.ends_with(end))
}

/// Where a request comes from, for those behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The client.
    pub client: IpAddr,
    /// What it asked for, with its port.
    pub host: &'a HeaderValue,
    /// `https` or `http`.
    pub scheme: &'static str,
}

/// Changes the head of a request for the service; `upgrade` as [`upgrade`] found it.
pub(crate) fn forward(
    headers: &mut HeaderMap,
    origin: Origin<'_>,
    upgrade: Option<HeaderValue>,
    rules: &HeaderRules,
) {
    let trailers = tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    strip(headers);
    headers.remove(header::TE);
    // Answered here: the service need not be asked whether a body may come.
    headers.remove(header::EXPECT);
    headers.remove(header::PROXY_AUTHORIZATION);
    say_who(headers, origin);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    apply(headers, &rules.drop, &rules.set);
    headers.insert(header::HOST, origin.host.clone());
    join_cookies(headers);
}

/// Says anew who the client is, and nothing of what was said before.
pub(crate) fn say_who(headers: &mut HeaderMap, origin: Origin<'_>) {
    let told: Vec<HeaderName> =
        headers.keys().filter(|name| is_word_of_the_door(name.as_str())).cloned().collect();
    for name in told {
        headers.remove(name);
    }
    let client = origin.client.to_canonical();
    let value = |text: String| HeaderValue::try_from(text).ok();
    if let Some(client) = value(client.to_string()) {
        headers.insert(X_REAL_IP, client.clone());
        headers.insert(X_FORWARDED_FOR, client);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(origin.scheme));
    headers.insert(X_FORWARDED_HOST, origin.host.clone());
    let by = match client {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    let host = origin.host.to_str().unwrap_or_default();
    if let Some(said) = value(format!("for={by};host=\"{host}\";proto={}", origin.scheme)) {
        headers.insert(header::FORWARDED, said);
    }
}

/// HTTP/2 may send a cookie in pieces; HTTP/1.1 has one line (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut all = headers.get_all(header::COOKIE).iter();
    if all.next().is_some() && all.next().is_some() {
        let pieces: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
            headers.insert(header::COOKIE, joined);
        }
    }
}

/// Changes the head of an answer for the client; `upgrade` if it goes over to another protocol.
pub(crate) fn back(headers: &mut HeaderMap, upgrade: bool, rules: &HeaderRules, hsts: Option<Hsts>) {
    let to = if upgrade { headers.get(header::UPGRADE).cloned() } else { None };
    strip(headers);
    if let Some(to) = to {
        headers.insert(header::UPGRADE, to);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if let Some(hsts) = hsts {
        let below = if hsts.below { "; includeSubDomains" } else { "" };
        let said = HeaderValue::try_from(format!("max-age={}{below}", hsts.age.as_secs()));
        if let Ok(said) = said {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, said);
        }
    }
    apply(headers, &rules.answer_drop, &rules.answer_set);
}

/// For so long a client that came by TCP may remember that HTTP/3 is spoken.
const KNOWN_FOR: &str = "86400";

/// What tells a client that HTTP/3 is spoken at the port that it came to (RFC 7838), by the host that it asked for.
pub(crate) fn http3(host: &HeaderValue) -> Option<HeaderValue> {
    let port = host.to_str().ok()?.rsplit_once(':').map_or("443", |(_, port)| port);
    let port = if port.parse::<u16>().is_ok() { port } else { "443" };
    HeaderValue::try_from(format!("h3=\":{port}\"; ma={KNOWN_FOR}")).ok()
}

/// Framing is nobody's to change.
fn apply(headers: &mut HeaderMap, drop: &[HeaderName], set: &[(HeaderName, HeaderValue)]) {
    let framing =
        |name: &HeaderName| BY_HOP.contains(name) || [header::CONTENT_LENGTH, header::HOST].contains(name);
    for name in drop.iter().filter(|name| !framing(name)) {
        headers.remove(name);
    }
    for (name, value) in set.iter().filter(|(name, _)| !framing(name)) {
        headers.insert(name, value.clone());
    }
}

#[cfg(test)]
mod tests;

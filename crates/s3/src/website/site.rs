//! A bucket as a browser sees it. Everything is asked of the S3 service as somebody without a key
//! would ask it: what such a one may not read is not shown.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use s3s::dto::{Protocol, RoutingRule, WebsiteConfiguration};
use s3s::service::S3Service;
use s3s::{Body, HttpResponse};

use super::website_of;
use crate::access::From;
use crate::listing::percent;
use crate::meta::REDIRECT;
use crate::pass::Pass;

/// What a browser says that counts here.
const HEARD: [HeaderName; 7] = [
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::REFERER,
    header::USER_AGENT,
];

/// A look at a bucket's website.
pub(crate) struct Look<'a> {
    pub(crate) service: &'a S3Service,
    pub(crate) vault: &'a freehold_vault::Vault,
    pub(crate) bucket: &'a str,
    pub(crate) head: &'a Parts,
}

impl Look<'_> {
    pub(crate) async fn answer(&self) -> HttpResponse {
        if self.head.method != Method::GET && self.head.method != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed");
        }
        let bucket = self.vault.bucket_named(self.bucket).filter(|(_, info)| !info.name.contains('/'));
        let website = bucket.and_then(|(bucket, _)| website_of(self.vault, &bucket));
        let Some(website) = website else {
            // Whether there is such a bucket is not for strangers to know.
            return page(StatusCode::NOT_FOUND, "NoSuchWebsiteConfiguration");
        };
        let Some(key) = key_of(self.head.uri.path()) else {
            return page(StatusCode::BAD_REQUEST, "InvalidURI");
        };
        if let Some(all) = &website.redirect_all_requests_to {
            let scheme = all.protocol.as_ref().map_or(Protocol::HTTP, Protocol::as_str);
            let to = format!("{scheme}://{}/{}", all.host_name, percent(&key));
            return redirect(StatusCode::MOVED_PERMANENTLY, &to);
        }
        if let Some(rule) = rule_for(&website, &key, None) {
            return self.redirect_by(rule, &key);
        }
        let index = website.index_document.as_ref().map_or("", |index| index.suffix.as_str());
        let wanted = if key.is_empty() || key.ends_with('/') { format!("{key}{index}") } else { key.clone() };
        let found = self.ask(&self.head.method, &wanted, &self.head.headers).await;
        if !found.status().is_client_error() && !found.status().is_server_error() {
            return match found.headers().get(REDIRECT).and_then(|to| to.to_str().ok()) {
                Some(to) => redirect(StatusCode::MOVED_PERMANENTLY, to),
                None => found,
            };
        }
        self.instead(&website, &key, index, found.status()).await
    }

    /// There is nothing to show under that key.
    async fn instead(
        &self,
        website: &WebsiteConfiguration,
        key: &str,
        index: &str,
        status: StatusCode,
    ) -> HttpResponse {
        let missing = matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN);
        if missing && !key.is_empty() && !key.ends_with('/') {
            let folder = self.ask(&Method::HEAD, &format!("{key}/{index}"), &HeaderMap::new()).await;
            if folder.status().is_success() {
                return redirect(StatusCode::FOUND, &format!("/{}/", percent(key)));
            }
        }
        if let Some(rule) = rule_for(website, key, Some(status)) {
            return self.redirect_by(rule, key);
        }
        if let Some(document) = &website.error_document {
            let mut shown = self.ask(&self.head.method, &document.key, &HeaderMap::new()).await;
            if shown.status().is_success() {
                *shown.status_mut() = status;
                return shown;
            }
        }
        page(status, if missing { "NoSuchKey" } else { "InternalError" })
    }

    async fn ask(&self, method: &Method, key: &str, headers: &HeaderMap) -> HttpResponse {
        let Ok(path) = PathAndQuery::try_from(format!("/{}/{}", percent(self.bucket), percent(key))) else {
            return page(StatusCode::BAD_REQUEST, "InvalidURI");
        };
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.into();
        for name in &HEARD {
            if let Some(value) = headers.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        *request.extensions_mut() = carried(&self.head.extensions);
        match Box::pin(self.service.call(request)).await {
            Ok(response) => response,
            Err(error) => {
                let error: s3s::StdError = error.into();
                tracing::error!(%error, "the S3 service failed");
                page(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
            }
        }
    }

    fn redirect_by(&self, rule: &RoutingRule, key: &str) -> HttpResponse {
        let by = &rule.redirect;
        let prefix = rule.condition.as_ref().and_then(|when| when.key_prefix_equals.as_deref()).unwrap_or("");
        let key = match (&by.replace_key_with, &by.replace_key_prefix_with) {
            (Some(whole), _) => whole.clone(),
            (None, Some(start)) => format!("{start}{}", key.strip_prefix(prefix).unwrap_or(key)),
            (None, None) => key.to_owned(),
        };
        let key = percent(&key);
        let to = match (&by.host_name, &by.protocol) {
            (None, None) => format!("/{key}"),
            (host, scheme) => {
                let scheme = scheme.as_ref().map_or(Protocol::HTTP, Protocol::as_str);
                let own = self.head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
                format!("{scheme}://{}/{key}", host.as_deref().or(own).unwrap_or_default())
            }
        };
        let code = by.http_redirect_code.as_deref().and_then(|code| code.parse().ok());
        redirect(code.unwrap_or(StatusCode::MOVED_PERMANENTLY), &to)
    }
}

/// What the S3 service is told of a request besides itself.
fn carried(from: &Extensions) -> Extensions {
    let mut extensions = Extensions::new();
    if let Some(ip) = from.get::<From>() {
        extensions.insert(*ip);
    }
    if let Some(pass) = from.get::<Pass>() {
        extensions.insert(pass.clone());
    }
    extensions
}

/// The first rule that is for the key: those without an error are asked before it is looked for, the
/// others afterwards.
fn rule_for<'a>(
    website: &'a WebsiteConfiguration,
    key: &str,
    error: Option<StatusCode>,
) -> Option<&'a RoutingRule> {
    let rules = website.routing_rules.as_deref().unwrap_or_default();
    rules.iter().find(|rule| {
        let when = rule.condition.as_ref();
        let code = when.and_then(|when| when.http_error_code_returned_equals.as_deref());
        let prefix = when.and_then(|when| when.key_prefix_equals.as_deref()).unwrap_or("");
        code == error.as_ref().map(StatusCode::as_str) && key.starts_with(prefix)
    })
}

/// The key that a path names.
fn key_of(path: &str) -> Option<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn redirect(status: StatusCode, to: &str) -> HttpResponse {
    let Ok(to) = HeaderValue::try_from(to) else {
        return page(StatusCode::BAD_REQUEST, "InvalidRedirectLocation");
    };
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, to);
    response
}

/// A page of our own, for want of one of the website's.
fn page(status: StatusCode, code: &'static str) -> HttpResponse {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><title>{status}</title></head><body><h1>{status}</h1><p>{code}</p></body></html>\n"
    );
    let mut response = HttpResponse::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert("x-amz-error-code", HeaderValue::from_static(code));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_keys() {
        assert_eq!(key_of("/").unwrap(), "");
        assert_eq!(key_of("/a%20b/%C3%BC+c").unwrap(), "a b/ü+c");
        assert_eq!(key_of("//x").unwrap(), "/x");
        for bad in ["/%", "/%2", "/%zz", "/%ff"] {
            assert!(key_of(bad).is_none(), "{bad}");
        }
    }
}

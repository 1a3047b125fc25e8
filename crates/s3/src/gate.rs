//! Every request passes here on its way to `s3s`, and every answer on its way back.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use freehold_vault::Vault;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use hyper::Request;
use hyper::body::Incoming;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::stream::DynByteStream;
use s3s::validation::NameValidation;
use s3s::{Body, HttpResponse, S3Error, S3Result, s3_error};
use tokio_util::task::TaskTracker;

use crate::access::{
    From, Guard, Shared, check_life, is_for_tokens, is_signed, is_version_two, not_for_tokens, version_two,
};
use crate::answer;
use crate::body::{PatientBody, RecutBody};
use crate::buckets::Buckets;
use crate::chunked::Recut;
use crate::cors::{Crossing, preflight};
use crate::front::Front;
use crate::hosts::{Called, Hosts};
use crate::keys::{Keys, Signatures};
use crate::server::Limits;
use crate::website::site::Look;

/// Bodies in XML: a list of 1,000 keys of 1 KiB each to delete, a list of 10,000 parts.
const XML_MAX_BYTES: usize = 4 << 20;
/// The same of somebody who does not sign: some are gathered before they are allowed.
const UNSIGNED_XML_MAX_BYTES: usize = 64 << 10;
const REQUEST_ID: &str = "x-amz-request-id";

pub(crate) struct Gate {
    service: S3Service,
    front: Front,
    hosts: Hosts,
    vault: Arc<Vault>,
    header_bytes: usize,
    body_idle: Duration,
    requests: AtomicU64,
}

/// Leaves names to whoever makes the buckets, and says what is wrong with one: `s3s` itself refuses
/// without a word.
struct AnyName;

impl NameValidation for AnyName {
    fn validate_bucket_name(&self, _: &str) -> bool {
        true
    }
}

impl Gate {
    pub(crate) fn new(
        vault: Arc<Vault>,
        buckets: Arc<dyn Buckets>,
        keys: Arc<dyn Keys>,
        hosts: Hosts,
        limits: &Limits,
        tasks: TaskTracker,
    ) -> Self {
        let mut config = S3Config::default();
        config.xml_max_body_size = XML_MAX_BYTES;
        // Form uploads are read by ourselves; should one slip through, it is not gathered in memory.
        config.post_object_max_file_size = 0;
        config.form_max_field_size = 0;
        let guard = Arc::new(Guard::new(Arc::clone(&vault), Arc::clone(&keys)));
        let front = Front::new(Arc::clone(&vault), buckets, Arc::clone(&guard), tasks);
        let mut builder = S3ServiceBuilder::new(front.clone());
        builder.set_auth(Signatures(keys));
        builder.set_access(Shared(guard));
        builder.set_validation(AnyName);
        builder.set_host(hosts.clone());
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Self {
            service: builder.build(),
            front,
            hosts,
            vault,
            header_bytes: limits.header_bytes,
            body_idle: limits.body_idle,
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) async fn answer(&self, mut request: Request<Incoming>, from: IpAddr) -> HttpResponse {
        request.extensions_mut().insert(From(from.to_canonical()));
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let waits = request.headers().contains_key(header::EXPECT);
        let has_body = !request.body().is_end_stream();
        let attributes = request.method() == Method::GET && asks_attributes(request.uri().query());
        let (bucket, _) = self.hosts.bucket_and_key(host_of(request.headers()), request.uri().path());
        let crossing = Crossing::of(&bucket, request.method(), request.headers());
        let mut response = self.inside(request, bucket).await.unwrap_or_else(refusal);
        if lacks_words(&response) {
            response = refusal(s3_error!(
                SignatureDoesNotMatch,
                "The signature is not what this access key's secret gives: see that the secret is copied whole."
            ));
        }
        // `s3s` has no way to say this of a HEAD.
        if response.status() == StatusCode::OK && response.headers().contains_key(header::CONTENT_RANGE) {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if let Some(crossing) = crossing {
            crossing.mark(&self.vault, response.headers_mut());
        }
        let success = response.status().is_success();
        let id = format!("{number:016X}");
        answer::name_request(&mut response, &id);
        if attributes && success {
            answer::bare_etag(&mut response);
        }
        let headers = response.headers_mut();
        if waits && !(success && has_body) {
            // This answer comes without a 100 before it: there was nothing to ask for, or nothing that
            // we wanted. The client may or may not send a body now, and botocore mistakes the next
            // answer on the same connection for a part of this one. Amazon closes too.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers.insert(header::SERVER, HeaderValue::from_static("Freehold"));
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    /// Asks whom the request is for.
    async fn inside(&self, request: Request<Incoming>, bucket: String) -> S3Result<HttpResponse> {
        let (head, body) = request.into_parts();
        self.check_size(&head)?;
        let called = self.hosts.called(host_of(&head.headers));
        if head.method == Method::OPTIONS {
            return preflight(&self.vault, &bucket, &head.headers);
        }
        if let Called::Website(bucket) = called {
            let look = Look { service: &self.service, vault: &self.vault, bucket: &bucket, head: &head };
            return Ok(look.answer().await);
        }
        if head.method == Method::POST && is_form(&head.headers) {
            let (bucket, key) = self.hosts.bucket_and_key(host_of(&head.headers), head.uri.path());
            if bucket.is_empty() || !key.is_empty() {
                return Err(s3_error!(MethodNotAllowed, "A form is sent to the address of its bucket."));
            }
            let body = PatientBody::new(body, self.body_idle);
            return Box::pin(self.front.post(head, bucket, body)).await;
        }
        let request = self.admit(head, body)?;
        Box::pin(self.service.call(request)).await.map_err(|error| {
            let error: s3s::StdError = error.into();
            tracing::error!(%error, "the S3 service failed");
            s3_error!(InternalError, "The node failed to answer; its log says why.")
        })
    }

    fn check_size(&self, head: &Parts) -> S3Result<()> {
        let size = head.uri.path().len() + head.uri.query().map_or(0, str::len) + headers_len(&head.headers);
        if size > self.header_bytes {
            return Err(s3_error!(
                RequestHeaderSectionTooLarge,
                "Request line and headers have {} bytes; at most {} are accepted.",
                size,
                self.header_bytes
            ));
        }
        Ok(())
    }

    /// Refuses what `s3s` would accept or would spend memory on, and wraps the body.
    fn admit(&self, head: Parts, body: Incoming) -> S3Result<Request<Body>> {
        if is_version_two(&head.uri, &head.headers) {
            return Err(version_two());
        }
        check_life(&head.uri)?;
        if is_for_tokens(&head.headers) {
            return Err(not_for_tokens());
        }
        // `s3s` gathers every body but that of an object, and calls one that is too long a failure of ours.
        let (_, key) = self.hosts.bucket_and_key(host_of(&head.headers), head.uri.path());
        let signed = is_signed(&head.uri, &head.headers);
        let tags = !signed && head.uri.query().is_some_and(|query| query.contains("tagging"));
        let gathered =
            head.method == Method::POST || (head.method == Method::PUT && (key.is_empty() || tags));
        if gathered && !body.is_end_stream() {
            let max = if signed { XML_MAX_BYTES } else { UNSIGNED_XML_MAX_BYTES };
            match body.size_hint().exact() {
                Some(size) if size <= max as u64 => {}
                Some(_) => return Err(s3_error!(MaxMessageLengthExceeded, "Your request was too large.")),
                None => {
                    return Err(s3_error!(
                        MissingContentLength,
                        "You must provide the Content-Length HTTP header."
                    ));
                }
            }
        }
        let body = PatientBody::new(body, self.body_idle);
        let body = match text(&head.headers, "x-amz-content-sha256") {
            Some(kind) if kind.starts_with("STREAMING-") => {
                let signed = !kind.starts_with("STREAMING-UNSIGNED");
                let stream: DynByteStream = Box::pin(RecutBody::new(body, Recut::new(signed)));
                Body::from(stream)
            }
            _ => Body::http_body(body),
        };
        Ok(Request::from_parts(head, body))
    }
}

/// Whether the body is a form, by any of its types: `s3s` would gather one of them in memory.
fn is_form(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).into_iter();
    kinds.any(|kind| kind.as_bytes().trim_ascii().to_ascii_lowercase().starts_with(b"multipart/"))
}

fn host_of(headers: &HeaderMap) -> &str {
    text(headers, header::HOST.as_str()).unwrap_or_default()
}

fn asks_attributes(query: Option<&str>) -> bool {
    form_urlencoded::parse(query.unwrap_or("").as_bytes()).any(|(name, _)| name == "attributes")
}

fn headers_len(headers: &HeaderMap) -> usize {
    // Four bytes a line: colon, space, line break.
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

/// Whether `s3s` refused a signature without a word, which clients show as "Unknown".
fn lacks_words(response: &HttpResponse) -> bool {
    let body = if response.status() == StatusCode::FORBIDDEN { response.body().bytes() } else { None };
    let says = |words: &str| {
        body.as_ref().is_some_and(|body| body.windows(words.len()).any(|part| part == words.as_bytes()))
    };
    says("<Code>SignatureDoesNotMatch</Code>") && !says("<Message>")
}

fn refusal(error: S3Error) -> HttpResponse {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = HttpResponse::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

//! A client of an S3, for the few things that a move asks. Addresses are taken as they are: `../x` is a key like any
//! other, which clients that tidy paths would ask for by another name.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use freehold_moves::field;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::sign::{Signable, UNSIGNED, authorization, encoded, query_text, stamp};
use crate::{Credentials, MoveError, Realm};

/// For a connection to stand.
const CONNECT: Duration = Duration::from_secs(10);
/// For an answer to begin, once the request has gone out.
const ANSWER: Duration = Duration::from_mins(2);
/// For the next piece of a body.
const PIECE: Duration = Duration::from_mins(1);
/// An answer that is gathered: a list of a thousand keys.
const GATHERED_MAX: usize = 16 << 20;
const TRIES: u32 = 6;
/// Of a realm's own; S3s that mind have it in what they refuse.
const REGION: &str = "freehold";

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// A realm's S3, with the member's key there.
pub(crate) struct S3 {
    pub(crate) realm: Realm,
    http: Http<HttpsConnector<HttpConnector>, Body>,
    scheme: String,
    host: String,
    key: Credentials,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    bucket: String,
    key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl Ask {
    pub(crate) fn new(method: Method, bucket: &str, key: &str) -> Self {
        let (query, headers) = (BTreeMap::new(), BTreeMap::new());
        Self { method, bucket: bucket.to_owned(), key: key.to_owned(), query, headers, body: Bytes::new() }
    }

    pub(crate) fn get(bucket: &str, key: &str) -> Self {
        Self::new(Method::GET, bucket, key)
    }

    pub(crate) fn put(bucket: &str, key: &str) -> Self {
        Self::new(Method::PUT, bucket, key)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.insert(name.to_owned(), value.into());
        self
    }

    /// The version, where versions have ids.
    pub(crate) fn version(self, version: &str) -> Self {
        if version.is_empty() { self } else { self.with("versionId", version) }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    fn what(&self) -> String {
        let about = self.query.keys().find(|name| !name.starts_with("version")).map(String::as_str);
        let place = [self.bucket.as_str(), self.key.as_str()].join("/");
        format!("{} {} {}", self.method, place.trim_end_matches('/'), about.unwrap_or_default())
            .trim_end()
            .to_owned()
    }
}

/// A body on its way through, with the digest of what has passed.
pub(crate) struct Passing {
    inner: Incoming,
    left: u64,
    digest: Option<Sha256>,
    tell: Option<oneshot::Sender<Sha256>>,
}

impl Passing {
    /// `digest` has what passed before; what it is at the end is told.
    pub(crate) fn new(inner: Incoming, len: u64, digest: Sha256) -> (Self, oneshot::Receiver<Sha256>) {
        let (tell, told) = oneshot::channel();
        let mut this = Self { inner, left: len, digest: Some(digest), tell: Some(tell) };
        this.tell_if_over();
        (this, told)
    }

    fn tell_if_over(&mut self) {
        if self.left == 0
            && let Some((tell, digest)) = self.tell.take().zip(self.digest.take())
        {
            // Nobody waits any more if the write failed.
            drop(tell.send(digest));
        }
    }
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        if let Some(data) = frame.data_ref() {
            let len = data.len() as u64;
            if len > self.left {
                return Poll::Ready(Some(Err("the body is longer than was announced".into())));
            }
            if let Some(digest) = &mut self.digest {
                digest.update(data);
            }
            self.left -= len;
            self.tell_if_over();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn tls(ca: Option<&str>) -> Result<rustls::ClientConfig, MoveError> {
    use hyper_rustls::ConfigBuilderExt as _;
    let failed = |path: &str, why: String| MoveError::Certificates { path: path.to_owned(), why };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS", error.to_string()))?;
    let Some(path) = ca else {
        let config = config.try_with_platform_verifier();
        return Ok(config.map_err(|error| failed("the system", error.to_string()))?.with_no_client_auth());
    };
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(path).map_err(|error| failed(path, error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(path, error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(path, error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed(path, "there is none in it".to_owned()));
    }
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl S3 {
    pub(crate) fn new(
        realm: Realm,
        endpoint: &str,
        ca: Option<&str>,
        key: Credentials,
    ) -> Result<Self, MoveError> {
        let uri: Option<Uri> = endpoint.trim_end_matches('/').parse().ok();
        let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?, uri.path())));
        let Some((scheme @ ("http" | "https"), host, "" | "/")) = parts else {
            return Err(MoveError::Address(endpoint.to_owned()));
        };
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            realm,
            http: Http::builder(TokioExecutor::new()).build(https),
            scheme: scheme.to_owned(),
            host: host.to_string(),
            key,
        })
    }

    /// The id of the access key.
    pub(crate) fn key_id(&self) -> &str {
        &self.key.id
    }

    fn request(&self, ask: &Ask, len: u64, payload: &str, body: Body) -> Result<Request<Body>, MoveError> {
        let path = match (ask.bucket.as_str(), ask.key.as_str()) {
            ("", _) => "/".to_owned(),
            (bucket, "") => format!("/{}", encoded(bucket, true)),
            (bucket, key) => format!("/{}/{}", encoded(bucket, true), encoded(key, false)),
        };
        let stamp = stamp(OffsetDateTime::now_utc());
        let mut headers = ask.headers.clone();
        headers.insert("host".to_owned(), self.host.clone());
        headers.insert("x-amz-date".to_owned(), stamp.clone());
        headers.insert("x-amz-content-sha256".to_owned(), payload.to_owned());
        let signable = Signable {
            method: ask.method.as_str(),
            path: &path,
            query: &ask.query,
            headers: &headers,
            payload,
        };
        let authorization = authorization(&signable, &self.key, REGION, &stamp);
        let query = query_text(&ask.query);
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(format!("{}://{}{path}{mark}{query}", self.scheme, self.host))
            .header("authorization", authorization)
            .header("content-length", len);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| self.silent(error.to_string()))
    }

    pub(crate) fn silent(&self, why: impl Into<String>) -> MoveError {
        MoveError::Silent { realm: self.realm, why: why.into() }
    }

    async fn send(
        &self,
        ask: &Ask,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<Response<Incoming>, MoveError> {
        let answer = tokio::time::timeout(limit, self.http.request(request)).await;
        let answer = answer.map_err(|_| self.silent("no answer in time"))?;
        let answer = answer.map_err(|error| self.silent(causes(&error)))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let text = self.gather(answer).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let word = |name| field(&text, name).ok().flatten().unwrap_or_default();
        Err(MoveError::Refused {
            realm: self.realm,
            what: ask.what(),
            status,
            code: word("Code"),
            message: word("Message"),
        })
    }

    async fn gather(&self, answer: Response<Incoming>) -> Result<Bytes, MoveError> {
        let body = Limited::new(answer.into_body(), GATHERED_MAX);
        let body = tokio::time::timeout(ANSWER, body.collect()).await;
        let body = body.map_err(|_| self.silent("an answer does not come to its end"))?;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| self.silent(error.to_string()))
    }

    /// Asks, again a few times if nobody answers, and gives the answer with its body to come.
    pub(crate) async fn open(&self, ask: &Ask) -> Result<Response<Incoming>, MoveError> {
        let payload = hex::encode(Sha256::digest(&ask.body));
        let mut tries = 0;
        loop {
            let body = Full::new(ask.body.clone()).map_err(|never| match never {}).boxed_unsync();
            let request = self.request(ask, ask.body.len() as u64, &payload, body)?;
            match self.send(ask, request, ANSWER).await {
                Err(error) if is_passing(&error) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(100 << tries)).await;
                }
                other => return other,
            }
        }
    }

    /// Asks what must not be asked twice, and gathers the answer.
    pub(crate) async fn once(&self, ask: &Ask) -> Result<(HeaderMap, String), MoveError> {
        let payload = hex::encode(Sha256::digest(&ask.body));
        let body = Full::new(ask.body.clone()).map_err(|never| match never {}).boxed_unsync();
        let request = self.request(ask, ask.body.len() as u64, &payload, body)?;
        let answer = self.send(ask, request, ANSWER).await?;
        let headers = answer.headers().clone();
        let body = self.gather(answer).await?;
        Ok((headers, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Asks, and gathers the answer.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<(HeaderMap, String), MoveError> {
        let answer = self.open(ask).await?;
        let headers = answer.headers().clone();
        let body = self.gather(answer).await?;
        Ok((headers, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The same where there may be no such thing: `none` are the words for that.
    pub(crate) async fn ask_if_there(&self, ask: &Ask, none: &[&str]) -> Result<Option<String>, MoveError> {
        match self.ask(ask).await {
            Ok((_, text)) => Ok(Some(text)),
            Err(error) if error.is(none) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a body that comes from elsewhere, once.
    pub(crate) async fn pass(&self, ask: &Ask, len: u64, body: Passing) -> Result<HeaderMap, MoveError> {
        let request = self.request(ask, len, UNSIGNED, body.boxed_unsync())?;
        // A second for each 64 KiB: a slow line, and no end where nothing moves.
        let limit = ANSWER + Duration::from_secs(len >> 16);
        let answer = self.send(ask, request, limit).await?;
        let headers = answer.headers().clone();
        self.gather(answer).await?;
        Ok(headers)
    }

    /// Reads a body to its end and gives its SHA-256 in hex, with its length.
    pub(crate) async fn digest(&self, answer: Response<Incoming>) -> Result<(String, u64), MoveError> {
        let (mut digest, mut len, mut body) = (Sha256::new(), 0_u64, answer.into_body());
        loop {
            let frame = tokio::time::timeout(PIECE, body.frame()).await;
            match frame.map_err(|_| self.silent("a body does not come to its end"))? {
                None => return Ok((hex::encode(digest.finalize()), len)),
                Some(Err(error)) => return Err(self.silent(causes(&error))),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        digest.update(data);
                        len += data.len() as u64;
                    }
                }
            }
        }
    }
}

/// Whether it may go by itself.
pub(crate) fn is_passing(error: &MoveError) -> bool {
    match error {
        MoveError::Silent { .. } => true,
        MoveError::Refused { status, code, .. } => {
            matches!(status, 429 | 500 | 502 | 503 | 504) || code == "RequestTimeout"
        }
        _ => false,
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        said = format!("{said}: {cause}");
        next = cause.source();
    }
    said
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3({} {})", self.realm, self.host)
    }
}

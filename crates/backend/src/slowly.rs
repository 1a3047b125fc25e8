//! Requests whose bodies go no faster than whoever sends them wants: the library sends as fast as the line takes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use freehold_backup::Pacing;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use tokio::time::Sleep;

/// Makes one client, whatever the library's own options say: it was made by the same settings.
#[derive(Debug)]
pub(crate) struct Slowly {
    pub(crate) client: reqwest::Client,
    pub(crate) pacing: Pacing,
}

impl HttpConnector for Slowly {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service { client: self.client.clone(), pacing: self.pacing.clone() }))
    }
}

#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    pacing: Pacing,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let odd = |error| HttpError::new(HttpErrorKind::Request, error);
        let url = reqwest::Url::parse(&parts.uri.to_string()).map_err(odd)?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        let paced = Paced { inner: body, pacing: self.pacing.clone(), held: None };
        *request.body_mut() = Some(reqwest::Body::wrap(paced));
        let answer: Response<reqwest::Body> = self.client.execute(request).await.map_err(failed)?.into();
        let (parts, body) = answer.into_parts();
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body.map_err(failed))))
    }
}

/// As the library sorts them: what it sends again depends on it.
fn failed(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_decode() {
        HttpErrorKind::Decode
    } else if error.is_request() || error.is_body() {
        HttpErrorKind::Interrupted
    } else {
        HttpErrorKind::Unknown
    };
    // Its address has the bucket's name in it, and is said elsewhere.
    HttpError::new(kind, error.without_url())
}

/// A body, of which each piece waits its turn.
struct Paced {
    inner: HttpRequestBody,
    pacing: Pacing,
    held: Option<(Pin<Box<Sleep>>, Frame<Bytes>)>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        loop {
            if let Some((sleep, _)) = self.held.as_mut() {
                ready!(sleep.as_mut().poll(context));
                return Poll::Ready(self.held.take().map(|(_, frame)| Ok(frame)));
            }
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let wait = self.pacing.take(frame.data_ref().map_or(0, Bytes::len), Instant::now());
            self.held = Some((Box::pin(tokio::time::sleep(wait)), frame));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().and_then(|(_, frame)| frame.data_ref()).map_or(0, Bytes::len) as u64;
        let left = self.inner.size_hint().exact();
        left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left.saturating_add(held)))
    }
}

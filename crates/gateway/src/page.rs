//! What the door says itself: in plain words, and nothing of what is behind it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::body::Reply;

/// A short answer: what is the matter, and what to do.
pub(crate) fn page(status: StatusCode, said: &str) -> Response<Reply> {
    let text = format!("{} {}\n\n{said}\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut response = Response::new(Reply::said(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The same, with when to come again.
pub(crate) fn later(status: StatusCode, said: &str, seconds: u64) -> Response<Reply> {
    let mut response = page(status, said);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

/// The answer where nothing is published, and where it may not be known that something is.
pub(crate) fn nothing_here() -> Response<Reply> {
    page(StatusCode::NOT_FOUND, "Nothing is published under this name here. Is the address right?")
}

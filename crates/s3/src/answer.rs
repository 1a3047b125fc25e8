//! What S3 says in the XML of an answer and `s3s` cannot express.

use bytes::Bytes;
use http::{HeaderValue, header};
use s3s::{Body, HttpResponse};

const QUOTE: &str = "&quot;";

/// Says in the body of a refusal which request it was, as the header does.
pub(crate) fn name_request(response: &mut HttpResponse, id: &str) {
    if response.status().is_client_error() || response.status().is_server_error() {
        rewrite(response, |xml| {
            let end = xml.rfind("</Error>").filter(|_| !xml.contains("<RequestId>"))?;
            let (head, tail) = xml.split_at_checked(end)?;
            Some(format!("{head}<RequestId>{id}</RequestId>{tail}"))
        });
    }
}

/// Takes the quotes from an ETag: GetObjectAttributes alone gives it without.
pub(crate) fn bare_etag(response: &mut HttpResponse) {
    rewrite(response, |xml| {
        let (before, rest) = xml.split_once("<ETag>")?;
        let (tag, after) = rest.split_once("</ETag>")?;
        let tag = tag.replace(QUOTE, "").replace('"', "");
        Some(format!("{before}<ETag>{tag}</ETag>{after}"))
    });
}

/// Answers in XML are short and whole in memory; others are left as they are.
fn rewrite(response: &mut HttpResponse, change: impl FnOnce(&str) -> Option<String>) {
    let Some(bytes) = response.body().bytes() else { return };
    let changed = std::str::from_utf8(&bytes).ok().and_then(change);
    let Some(changed) = changed else { return };
    if response.headers().contains_key(header::CONTENT_LENGTH) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(changed.len()));
    }
    *response.body_mut() = Body::from(Bytes::from(changed));
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn answer(status: StatusCode, xml: &'static str) -> HttpResponse {
        let mut response = HttpResponse::new(Body::from(Bytes::from_static(xml.as_bytes())));
        *response.status_mut() = status;
        response
    }

    #[test]
    fn a_refusal_names_its_request() {
        let mut refused = answer(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>");
        name_request(&mut refused, "07");
        let said = refused.body().bytes().unwrap();
        assert_eq!(&said[..], b"<Error><Code>NoSuchKey</Code><RequestId>07</RequestId></Error>");
        let mut fine = answer(StatusCode::OK, "<Error></Error>");
        name_request(&mut fine, "07");
        assert_eq!(&fine.body().bytes().unwrap()[..], b"<Error></Error>", "an object that looks like one");
    }

    #[test]
    fn the_etag_of_attributes_is_bare() {
        let mut answer = answer(StatusCode::OK, "<A><ETag>&quot;ab-2&quot;</ETag></A>");
        bare_etag(&mut answer);
        assert_eq!(&answer.body().bytes().unwrap()[..], b"<A><ETag>ab-2</ETag></A>");
    }
}

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use s3s::S3ErrorCode;

use super::{check_life, check_signed_parts, is_for_tokens, is_signed, is_version_two};

fn check(uri: &str, headers: &[(&str, &str)]) -> Result<(), S3ErrorCode> {
    let uri: Uri = uri.parse().unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    check_signed_parts(&uri, &map).map_err(|e| e.code().clone())
}

const SIGNED: &str =
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0";

#[test]
fn a_header_signature_covers_every_amz_header() {
    let authorization = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00";
    let good = [("authorization", authorization), ("x-amz-date", "20260101T000000Z"), ("host", "h")];
    assert_eq!(check("/b/k", &good), Ok(()));
    let added = [("authorization", authorization), ("x-amz-copy-source", "/other/secret")];
    assert_eq!(check("/b/k", &added), Err(S3ErrorCode::AccessDenied));
}

#[test]
fn a_presigned_put_does_not_become_a_copy() {
    let uri = format!("/b/k?{SIGNED}");
    assert_eq!(check(&uri, &[("host", "h")]), Ok(()));
    assert_eq!(check(&uri, &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]), Ok(()));
    assert_eq!(check(&uri, &[("x-amz-copy-source", "/b/other")]), Err(S3ErrorCode::AccessDenied));
    assert_eq!(check(&uri, &[("x-amz-meta-owner", "me")]), Err(S3ErrorCode::AccessDenied));
}

#[test]
fn a_presigned_url_lives_seven_days_at_most() {
    let week = SIGNED.replace("Expires=60", "Expires=604800");
    let longer = SIGNED.replace("Expires=60", "Expires=604801");
    let less = SIGNED.replace("Expires=60", "Expires=-60");
    let check = |query: &str| check_life(&format!("/b/k?{query}").parse().unwrap());
    assert!(check(&week).is_ok() && check("list-type=2").is_ok());
    for query in [longer, less] {
        assert_eq!(*check(&query).unwrap_err().code(), S3ErrorCode::AuthorizationQueryParametersError);
    }
}

#[test]
fn the_host_must_be_signed() {
    let uri = format!("/b/k?{}", SIGNED.replace("SignedHeaders=host", "SignedHeaders=range"));
    assert_eq!(check(&uri, &[]), Err(S3ErrorCode::AccessDenied));
}

#[test]
fn signature_version_two_is_refused() {
    assert_eq!(check("/b/k", &[("authorization", "AWS id:sig")]), Err(S3ErrorCode::InvalidRequest));
    let uri = "/b/k?AWSAccessKeyId=id&Expires=1&%53ignature=x";
    assert_eq!(check(uri, &[]), Err(S3ErrorCode::InvalidRequest));
    // And before anybody compares such a signature with the right one.
    let old = |uri: &'static str, authorization: &'static str| {
        let header = (http::header::AUTHORIZATION, HeaderValue::from_static(authorization));
        is_version_two(&Uri::from_static(uri), &std::iter::once(header).collect())
    };
    assert!(old("/b/k", "AWS id:sig") && old("/b/k?%53ignature=x", "") && old("/b/k?AWSAccessKeyId=id", ""));
    assert!(!old("/b/k?X-Amz-Signature=x", "") && !old("/b/k", "AWS4-HMAC-SHA256 Credential=x"));
}

#[test]
fn what_is_signed_for_the_token_service_is_told_apart() {
    let of = |scopes: &[&str]| {
        let mut map = HeaderMap::new();
        for scope in scopes {
            let value =
                format!("AWS4-HMAC-SHA256 Credential=a/20260101/r/{scope}/aws4_request, Signature=00");
            map.append(http::header::AUTHORIZATION, HeaderValue::try_from(value).unwrap());
        }
        map
    };
    assert!(is_for_tokens(&of(&["sts"])) && is_for_tokens(&of(&["s3", "sts"])));
    assert!(!is_for_tokens(&of(&["s3"])) && !is_for_tokens(&of(&[])));
    let uri = Uri::from_static("/b?delete");
    assert!(is_signed(&uri, &of(&["s3"])));
    assert!(
        !is_signed(&uri, &of(&[])) && !is_signed(&uri, &of(&["s3", "s3"])),
        "s3s takes both for unsigned"
    );
}

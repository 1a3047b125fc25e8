use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::S3ErrorCode;
use s3s::dto::StreamingBlob;

use super::{Algorithm, Claim, DigestError, content_md5, watch};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(n, v)| (HeaderName::try_from(*n).unwrap(), HeaderValue::try_from(*v).unwrap()))
        .collect()
}

/// Sends `pieces` through and gives what the vault would be told at the end.
fn run(claim: &Claim, pieces: &[&'static [u8]]) -> Result<String, DigestError> {
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        pieces.iter().map(|p| Ok(Bytes::from_static(p))).collect();
    let body = StreamingBlob::wrap(futures::stream::iter(pieces));
    let (watched, at_end) = watch(body, Some(claim.clone()), None);
    watched.for_each(|_| async {}).now_or_never().unwrap();
    match at_end.unwrap()() {
        Ok(sums) => Ok(sums.first().unwrap().value.as_str().to_owned()),
        Err(error) => Err(error.downcast_ref::<DigestError>().unwrap().clone()),
    }
}

#[test]
fn known_values() {
    let expected = [
        (Algorithm::Crc32, "y/Q5Jg=="),
        (Algorithm::Crc32c, "4waSgw=="),
        (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
        (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ];
    for (algorithm, value) in expected {
        let claim = Claim::read(&headers(&[(algorithm.header(), value)]), None).unwrap().unwrap();
        assert_eq!(run(&claim, &[b"1234", b"", b"56789"]), Ok(value.to_owned()), "{algorithm:?}");
        assert_eq!(run(&claim, &[b"123456780"]), Err(DigestError::Mismatch(algorithm.name())));
    }
}

#[test]
fn a_named_algorithm_without_a_value_is_computed() {
    let claim = Claim::read(&headers(&[("x-amz-sdk-checksum-algorithm", "crc32")]), None).unwrap().unwrap();
    assert_eq!(run(&claim, &[b"123456789"]), Ok("y/Q5Jg==".to_owned()));
    assert_eq!(Claim::read(&headers(&[]), None).unwrap(), None);
    assert!(Claim::read(&headers(&[]), Some(Algorithm::Sha1)).unwrap().is_some());
}

#[test]
fn a_trailer_that_does_not_come_is_missed() {
    let claim = Claim::read(&headers(&[("x-amz-trailer", "x-amz-checksum-crc32")]), None).unwrap().unwrap();
    assert_eq!(run(&claim, &[b"1"]), Err(DigestError::NoTrailer("x-amz-checksum-crc32")));
}

#[test]
fn bad_claims_are_refused() {
    let cases: [&[(&str, &str)]; 5] = [
        &[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-sha1", "x")],
        &[("x-amz-checksum-crc32", "not base64")],
        &[("x-amz-checksum-crc32", "AAAA")],
        &[("x-amz-trailer", "x-amz-meta-late")],
        &[("x-amz-sdk-checksum-algorithm", "ROT13")],
    ];
    for case in cases {
        assert_eq!(
            *Claim::read(&headers(case), None).unwrap_err().code(),
            S3ErrorCode::InvalidRequest,
            "{case:?}"
        );
    }
}

#[test]
fn content_md5_is_sixteen_bytes() {
    let read = |value: &'static str| {
        content_md5(&HeaderMap::from_iter([(
            HeaderName::from_static("content-md5"),
            HeaderValue::from_static(value),
        )]))
    };
    assert_eq!(content_md5(&HeaderMap::new()).unwrap(), None);
    assert_eq!(read("1B2M2Y8AsgTpgAmY7PhCfg==").unwrap().unwrap()[0], 0xd4);
    for bad in ["1B2M", ""] {
        assert_eq!(*read(bad).unwrap_err().code(), S3ErrorCode::InvalidDigest);
    }
}

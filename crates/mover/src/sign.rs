//! Signatures of requests, version 4.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use zeroize::Zeroizing;

use crate::Credentials;

/// A body that is not hashed before it is sent: its MD5 stands in a header that is signed, or what comes of it is compared.
pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// A request, as far as it is signed.
pub(crate) struct Signable<'a> {
    pub(crate) method: &'a str,
    /// Encoded.
    pub(crate) path: &'a str,
    pub(crate) query: &'a BTreeMap<String, String>,
    /// By their names in lower case, `host` among them.
    pub(crate) headers: &'a BTreeMap<String, String>,
    /// The body's SHA-256 in hex, or [`UNSIGNED`].
    pub(crate) payload: &'a str,
}

/// Everything but letters, digits and `-_.~` as `%XX`; slashes too unless they part a path.
pub(crate) fn encoded(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (byte == b'/' && !slashes) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

/// The query of a request, encoded and in order.
pub(crate) fn query_text(query: &BTreeMap<String, String>) -> String {
    // In the order of the encoded names, as the signature wants them.
    let pairs: BTreeMap<String, String> =
        query.iter().map(|(name, value)| (encoded(name, true), encoded(value, true))).collect();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The time as signatures have it.
pub(crate) fn stamp(now: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    now.format(&format).unwrap_or_default()
}

fn mac(key: &[u8], text: &str) -> Zeroizing<Vec<u8>> {
    // A key of any length is good for it.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Zeroizing::default() };
    mac.update(text.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// The `Authorization` of a request that was stamped with that time.
pub(crate) fn authorization(request: &Signable<'_>, key: &Credentials, region: &str, stamp: &str) -> String {
    let names = request.headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let headers: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let headers = headers.concat();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{names}\n{}",
        request.method,
        request.path,
        query_text(request.query),
        request.payload
    );
    let day = stamp.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(&canonical)));
    let secret = Zeroizing::new(format!("AWS4{}", key.secret.as_str()));
    let key_of_day = mac(secret.as_bytes(), day);
    let signing = mac(&mac(&mac(&key_of_day, region), "s3"), "aws4_request");
    let signature = hex::encode(&*mac(&signing, &text));
    format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", key.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amazon's own example: "GET Object" in the documentation of version 4.
    #[test]
    fn signs_as_amazon_shows_it() {
        let key = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Zeroizing::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        };
        let nothing = hex::encode(Sha256::digest(b""));
        let headers = BTreeMap::from(
            [
                ("host", "examplebucket.s3.amazonaws.com"),
                ("range", "bytes=0-9"),
                ("x-amz-content-sha256", &nothing),
                ("x-amz-date", "20130524T000000Z"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let request = Signable {
            method: "GET",
            path: "/test.txt",
            query: &BTreeMap::new(),
            headers: &headers,
            payload: &nothing,
        };
        let signed = authorization(&request, &key, "us-east-1", "20130524T000000Z");
        assert!(
            signed.ends_with("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            "{signed}"
        );
        assert_eq!(encoded("a b/ü+~", false), "a%20b/%C3%BC%2B~");
        assert_eq!(encoded("a/b", true), "a%2Fb");
    }
}

//! What is known of a request, as conditions of policies name it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use freehold_access::{Account, Context, Principal};
use http::{HeaderMap, Uri, header};
use s3s::dto::{Timestamp, TimestampFormat};

use super::Asker;

/// Headers that a condition names as `s3:` and the header's name.
const HEADERS: [&str; 12] = [
    "x-amz-acl",
    "x-amz-grant-read",
    "x-amz-grant-write",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "x-amz-grant-full-control",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-content-sha256",
    "x-amz-object-ownership",
];
const CUSTOMER_KEY: &str = "x-amz-server-side-encryption-customer-algorithm";
/// Headers that a condition names otherwise.
const RENAMED: [(&str, &str); 8] = [
    ("x-amz-object-lock-mode", "s3:object-lock-mode"),
    ("x-amz-object-lock-retain-until-date", "s3:object-lock-retain-until-date"),
    ("x-amz-object-lock-legal-hold", "s3:object-lock-legal-hold"),
    ("x-amz-website-redirect-location", "s3:x-amz-website-redirect-location"),
    ("if-match", "s3:if-match"),
    ("if-none-match", "s3:if-none-match"),
    ("referer", "aws:Referer"),
    ("user-agent", "aws:UserAgent"),
];

/// The time, in milliseconds since 1970.
pub(crate) fn now() -> freehold_wire::Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    freehold_wire::Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The name by which policies made for AWS know a principal.
pub(crate) fn arn(who: &Principal) -> String {
    match who {
        Principal::Anonymous => "anonymous".to_owned(),
        Principal::Account(account) => format!("arn:aws:iam::{account}:root"),
        Principal::Service(account, name) => format!("arn:aws:iam::{account}:user/{name}"),
    }
}

/// The value of a field of the query.
pub(crate) fn field(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query().unwrap_or("").as_bytes();
    form_urlencoded::parse(query).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Tags as `x-amz-tagging` has them.
pub(crate) fn add_tags<'a>(
    context: &mut Context,
    kind: &str,
    tags: impl IntoIterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>,
) {
    for (key, value) in tags {
        context.add(&format!("s3:{kind}ObjectTag/{key}"), value.into_owned());
        if kind == "Request" {
            context.add("s3:RequestObjectTagKeys", key.into_owned());
        }
    }
}

/// All that is known of a request but what it takes a look at the object to know.
pub(crate) fn context(asker: &Asker, operation: &str, uri: &Uri, headers: &HeaderMap) -> Context {
    let mut context = Context::default();
    if operation.starts_with("List") {
        for name in ["prefix", "delimiter", "max-keys"] {
            if let Some(value) = field(uri, name) {
                context.add(&format!("s3:{name}"), value);
            }
        }
    }
    if let Some(version) = field(uri, "versionId") {
        context.add("s3:VersionId", version);
    }
    for name in HEADERS.into_iter().chain([CUSTOMER_KEY]) {
        if let Some(value) = text(headers, name) {
            context.add(&format!("s3:{name}"), value);
        }
    }
    for (name, key) in RENAMED {
        if let Some(value) = text(headers, name) {
            context.add(key, value);
        }
    }
    if let Some(source) = text(headers, "x-amz-copy-source") {
        let path = source.split_once("?versionId=").map_or(source, |(path, _)| path);
        context.add("s3:x-amz-copy-source", plain(path.trim_start_matches('/')));
    }
    if let Some(tags) = text(headers, "x-amz-tagging") {
        add_tags(&mut context, "Request", form_urlencoded::parse(tags.as_bytes()));
    }
    add_asker(&mut context, asker);
    let signed_in_url = field(uri, "X-Amz-Signature").is_some();
    if signed_in_url || headers.contains_key(header::AUTHORIZATION) {
        context.add("s3:signatureversion", "AWS4-HMAC-SHA256");
        context.add("s3:authType", if signed_in_url { "REST-QUERY-STRING" } else { "REST-HEADER" });
    }
    context
}

fn add_asker(context: &mut Context, asker: &Asker) {
    // TLS ends elsewhere, if anywhere: nothing here can tell that the way was secure.
    context.add("aws:SecureTransport", "false");
    if let Some(ip) = asker.ip {
        context.add("aws:SourceIp", ip.to_string());
    }
    let now = now();
    context.add("aws:EpochTime", (now.0 / 1000).to_string());
    let mut date = Vec::new();
    let at = Timestamp::from(UNIX_EPOCH + Duration::from_millis(now.0));
    if at.format(TimestampFormat::DateTime, &mut date).is_ok() {
        context.add("aws:CurrentTime", String::from_utf8_lossy(&date).into_owned());
    }
    if asker.who == Principal::Anonymous {
        return;
    }
    context.add("aws:PrincipalArn", arn(&asker.who));
    context.add("aws:userid", asker.who.to_string());
    match &asker.who {
        Principal::Service(_, name) => {
            context.add("aws:username", name.as_str());
            context.add("aws:PrincipalType", "User");
        }
        Principal::Account(Account::Realm | Account::Person(_)) | Principal::Anonymous => {
            context.add("aws:PrincipalType", "Account");
        }
    }
}

/// Without its percent signs.
fn plain(text: &str) -> String {
    // The form's own decoder takes a plus for a space; a path does not.
    let text = format!("x={}", text.replace('+', "%2B"));
    form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_as_it_was_meant() {
        assert_eq!(plain("b/a%20b+c/%C3%BC"), "b/a b+c/ü");
        assert_eq!(plain("b/a&c=d"), "b/a");
    }
}

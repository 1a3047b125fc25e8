//! What the name says under which a client calls: the endpoint itself, a bucket of it
//! (`photos.s3.localhost`), or a bucket's website (`photos.website.localhost`).

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// These need no DNS: browsers and resolvers take every name below `localhost` for this machine.
const S3: &str = "s3.localhost";
const WEBSITE: &str = "website.localhost";

/// The names under which the front is known, besides its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    s3: Vec<String>,
    website: Vec<String>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

/// What a client calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called {
    /// The endpoint: a bucket stands in the path.
    Endpoint,
    /// A bucket: the path is a key.
    Bucket(String),
    /// A bucket's website.
    Website(String),
}

impl Hosts {
    /// Buckets are called below `s3`, their websites below `website`, and both below `localhost`.
    pub fn new(s3: &[String], website: &[String]) -> Self {
        let all = |given: &[String], own: &str| {
            let given = given.iter().map(|name| plain(name));
            given.chain([own.to_owned()]).filter(|name| !name.is_empty()).collect()
        };
        Self { s3: all(s3, S3), website: all(website, WEBSITE) }
    }

    /// What a `Host` header calls.
    pub(crate) fn called(&self, host: &str) -> Called {
        let host = plain(without_port(host));
        let below = |domains: &[String]| {
            let bucket = domains.iter().find_map(|domain| host.strip_suffix(domain)?.strip_suffix('.'));
            bucket.filter(|bucket| !bucket.is_empty()).map(str::to_owned)
        };
        if let Some(bucket) = below(&self.website) {
            return Called::Website(bucket);
        }
        below(&self.s3).map_or(Called::Endpoint, Called::Bucket)
    }

    /// The bucket that a request is about, by its host or its path, and the rest of the path.
    pub(crate) fn bucket_and_key<'a>(&self, host: &str, path: &'a str) -> (String, &'a str) {
        let path = path.strip_prefix('/').unwrap_or(path);
        match self.called(host) {
            Called::Bucket(bucket) | Called::Website(bucket) => (bucket, path),
            Called::Endpoint => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (bucket.to_owned(), key)
            }
        }
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        Ok(match self.called(host) {
            Called::Bucket(bucket) => VirtualHost::new(host).with_bucket(bucket),
            Called::Endpoint | Called::Website(_) => VirtualHost::new(host),
        })
    }
}

/// Names are the same in any case, and with a dot at the end.
fn plain(name: &str) -> String {
    name.trim().trim_matches('.').to_ascii_lowercase()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_calls_the_endpoint_a_bucket_or_a_website() {
        let hosts = Hosts::new(&["S3.example.org.".to_owned()], &["pages.example.org".to_owned()]);
        let bucket = |name: &str| Called::Bucket(name.to_owned());
        for (host, expected) in [
            ("127.0.0.1:9000", Called::Endpoint),
            ("[::1]:9000", Called::Endpoint),
            ("localhost:9000", Called::Endpoint),
            ("s3.localhost", Called::Endpoint),
            ("s3.example.org:443", Called::Endpoint),
            ("nots3.example.org", Called::Endpoint),
            ("photos.s3.localhost:9000", bucket("photos")),
            ("Photos.S3.Example.org.", bucket("photos")),
            ("a.b.s3.localhost", bucket("a.b")),
            ("photos.website.localhost:9000", Called::Website("photos".to_owned())),
            ("photos.pages.example.org", Called::Website("photos".to_owned())),
            (".s3.localhost", Called::Endpoint),
            ("", Called::Endpoint),
        ] {
            assert_eq!(hosts.called(host), expected, "{host}");
        }
    }

    #[test]
    fn a_bucket_is_found_in_the_host_or_in_the_path() {
        let hosts = Hosts::default();
        assert_eq!(hosts.bucket_and_key("localhost", "/b/k/l"), ("b".to_owned(), "k/l"));
        assert_eq!(hosts.bucket_and_key("localhost", "/b"), ("b".to_owned(), ""));
        assert_eq!(hosts.bucket_and_key("b.s3.localhost", "/k/l"), ("b".to_owned(), "k/l"));
    }
}

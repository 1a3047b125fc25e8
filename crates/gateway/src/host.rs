//! Which name a request is for. Two readers that see two names in one request are how requests are
//! smuggled past a check, so whatever is not plain is refused.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use http::{HeaderMap, Uri, Version, header};

/// The longest name of the DNS.
const NAME_MAX: usize = 253;

/// The names that a service is asked for by: one, or `*.` and whatever one label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    any: bool,
    name: String,
}

/// Not a name that something can be published under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host name; write one like cloud.example.org or *.example.org")]
pub struct NotAHost(String);

impl Host {
    /// Reads `name` or `*.name`.
    ///
    /// # Errors
    /// [`NotAHost`]
    pub fn parse(text: &str) -> Result<Self, NotAHost> {
        let (any, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let name = folded(rest).into_owned();
        if !is_name(&name) || name.parse::<IpAddr>().is_ok() || (any && !name.contains('.')) {
            return Err(NotAHost(text.to_owned()));
        }
        Ok(Self { any, name })
    }

    /// Whether one label more may stand before it.
    pub const fn is_wild(&self) -> bool {
        self.any
    }

    /// The name, without `*.`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.any { "*." } else { "" }, self.name)
    }
}

/// Why a request says no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// None at all.
    #[error("the request names no host")]
    None,
    /// Two, be they the same.
    #[error("the request names its host twice")]
    Twice,
    /// The line and the header differ.
    #[error("the request names two hosts")]
    Differ,
    /// Not a name and a port.
    #[error("the request's host is not a name")]
    Bad,
}

/// The name that a request is for, in lower case, without port and last dot.
///
/// # Errors
/// [`BadHost`]
pub(crate) fn asked<'a>(
    version: Version,
    uri: &'a Uri,
    headers: &'a HeaderMap,
) -> Result<Cow<'a, str>, BadHost> {
    let mut said = headers.get_all(header::HOST).iter();
    let header = said.next();
    if said.next().is_some() {
        return Err(BadHost::Twice);
    }
    let header = header.map(|value| value.to_str().map_err(|_| BadHost::Bad)).transpose()?;
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let said = match (authority, header) {
        (Some(line), Some(header)) if !line.eq_ignore_ascii_case(header) => return Err(BadHost::Differ),
        // RFC 9112, 3.2: every request of HTTP/1.1 has the header, whatever its line says.
        (Some(_), None) if version < Version::HTTP_2 => return Err(BadHost::None),
        (Some(said), _) | (None, Some(said)) => said,
        (None, None) => return Err(BadHost::None),
    };
    name_of(said)
}

/// The name in `name`, `name:port`, `[v6]` or `[v6]:port`.
pub fn name_of(said: &str) -> Result<Cow<'_, str>, BadHost> {
    let (name, port) = if let Some(rest) = said.strip_prefix('[') {
        let (inner, port) = rest.split_once(']').ok_or(BadHost::Bad)?;
        inner.parse::<std::net::Ipv6Addr>().map_err(|_| BadHost::Bad)?;
        (said.get(..inner.len() + 2).ok_or(BadHost::Bad)?, port)
    } else {
        let at = said.find(':').unwrap_or(said.len());
        let (name, port) = said.split_at(at);
        if !is_name(name.strip_suffix('.').unwrap_or(name)) {
            return Err(BadHost::Bad);
        }
        (name, port)
    };
    let is_port =
        |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err(BadHost::Bad);
    }
    Ok(folded(name))
}

/// Lower case, no last dot; without a copy where it is so already.
pub(crate) fn folded(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(inner);
    name.len() <= NAME_MAX && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked_by(line: &str, hosts: &[&str]) -> Result<String, BadHost> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        asked(Version::HTTP_11, &line.parse().unwrap(), &headers).map(Cow::into_owned)
    }

    #[test]
    fn one_request_is_for_one_name() {
        assert_eq!(asked_by("/", &["Cloud.Example.org:8443"]).unwrap(), "cloud.example.org");
        assert_eq!(asked_by("/", &["a.b."]).unwrap(), "a.b");
        assert_eq!(asked_by("/", &["[::1]:443"]).unwrap(), "[::1]");
        assert_eq!(asked_by("http://a.b/", &["A.b"]).unwrap(), "a.b");
        assert_eq!(asked_by("/", &[]), Err(BadHost::None));
        assert_eq!(asked_by("http://a.b/", &[]), Err(BadHost::None));
        assert_eq!(asked_by("/", &["a.b", "a.b"]), Err(BadHost::Twice));
        assert_eq!(asked_by("http://a.b/", &["c.d"]), Err(BadHost::Differ));
        for bad in ["a b", "a@b", "a/b", "", "a..b", ":80", "a:", "a:80x", "a:123456", "[::1", "[x]", "a#b"] {
            assert_eq!(asked_by("/", &[bad]), Err(BadHost::Bad), "{bad:?}");
        }
    }

    #[test]
    fn only_names_are_published() {
        assert_eq!(Host::parse("*.Example.org").unwrap().to_string(), "*.example.org");
        for bad in ["*.org", "*", "a.*.b", "1.2.3.4", "", ".a", "a b", "[::1]"] {
            assert!(Host::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_said_gives_a_name_or_an_error(said in "[a-zA-Z0-9.:\\[\\]_*@ -]{0,80}") {
            if let Ok(name) = name_of(&said) {
                proptest::prop_assert_eq!(name_of(&name).unwrap(), name.clone(), "it is settled");
                proptest::prop_assert!(!name.contains(['@', ' ', '/']));
            }
        }
    }
}

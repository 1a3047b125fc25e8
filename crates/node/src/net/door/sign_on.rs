//! Who says whether a client has signed on, as it is typed: `http://127.0.0.1:9091/verify`, or with the name of a
//! machine of the realm in place of the address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::Uri;

/// Where a sign-on is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name, or an address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
}

/// Reads an address; else why it is none.
pub(crate) fn read(url: &str) -> Result<Place, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is no address of a sign-on")?;
    if uri.scheme_str() != Some("http") {
        // Between gateway and sign-on is one machine, or the realm's own network.
        return Err(
            "has to begin with http://: what is asked does not leave this machine or the realm's network",
        );
    }
    let authority = uri.authority().ok_or("names no machine")?;
    if authority.as_str().contains('@') {
        return Err("has a name and a password in it");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if host.is_empty() {
        return Err("names no machine");
    }
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    Ok(Place { host, port: authority.port_u16().unwrap_or(80), path })
}

impl Place {
    /// The address; a name is looked up among those of the realm alone.
    pub(crate) fn at(&self, named: impl Fn(&str) -> Option<IpAddr>) -> Option<SocketAddr> {
        let ip = match self.host.as_str() {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            host => host.parse().ok().or_else(|| named(host)),
        };
        Some(SocketAddr::new(ip?, self.port))
    }

    /// Whether that is whatever machine asks.
    pub(crate) fn is_here(&self) -> bool {
        self.at(|_| None).is_some_and(|at| at.ip().to_canonical().is_loopback())
    }

    /// For the Host header.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_or_it_is_said_what_is_wrong() {
        let place = read("http://[FD00::1]:9091/api/verify?rd=1").unwrap();
        assert_eq!(
            (place.host.as_str(), place.port, place.path.as_str()),
            ("fd00::1", 9091, "/api/verify?rd=1")
        );
        assert_eq!(place.authority(), "[fd00::1]:9091");
        assert_eq!(read("http://auth.smith.internal").unwrap().authority(), "auth.smith.internal:80");
        for odd in ["https://a.b/", "auth:9091", "http://u:p@a.b/", "http:///x", "ftp://a", "", "http://a b/"]
        {
            assert!(read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn names_are_those_of_the_realm() {
        let named = |name: &str| (name == "auth.smith.internal").then(|| "fd00::2".parse().unwrap());
        let at = |url: &str| read(url).unwrap().at(named).map(|at| at.to_string());
        assert_eq!(at("http://localhost:9091/").as_deref(), Some("127.0.0.1:9091"));
        assert_eq!(at("http://auth.smith.internal:9091/").as_deref(), Some("[fd00::2]:9091"));
        assert_eq!(at("http://auth.example.org/"), None);
        let is_here = |url: &str| read(url).unwrap().is_here();
        assert!(
            is_here("http://localhost/") && is_here("http://[::1]:9091/") && is_here("http://127.0.0.2/")
        );
        assert!(!is_here("http://auth.smith.internal/") && !is_here("http://[fd00::2]/"));
    }
}

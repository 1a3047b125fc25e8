//! How this machine speaks to servers and websites: whose certificates count, and where a list may move. Both
//! are made ready when they are first needed: a machine without certificates of authorities answers for its
//! own names all the same.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use freehold_names::is_inside;
use reqwest::Url;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::config::Roots;
use crate::lists::ListError;

const CONNECT: Duration = Duration::from_secs(15);
/// Nothing comes for so long.
const QUIET: Duration = Duration::from_secs(30);
/// A list may have moved, but not so often.
const MOVES: usize = 5;

/// The way out. Clones share all.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    roots: Roots,
    made: Arc<OnceLock<(Arc<ClientConfig>, reqwest::Client)>>,
}

impl Outgoing {
    pub(crate) fn new(roots: Roots) -> Self {
        Self { roots, made: Arc::default() }
    }

    /// TLS as a client.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.made().map(|(tls, _)| tls)
    }

    /// Who fetches lists. It says nothing of this machine but that a resolver asks.
    pub(crate) fn client(&self) -> Result<reqwest::Client, ListError> {
        self.made().map(|(_, client)| client).map_err(ListError::Fetch)
    }

    fn made(&self) -> Result<(Arc<ClientConfig>, reqwest::Client), String> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let tls = tls(&self.roots).map_err(|error| error.to_string())?;
        let client = client(tls.clone()).map_err(|error| error.to_string())?;
        let made = (Arc::new(tls), client);
        // Who was first has made the same.
        drop(self.made.set(made.clone()));
        Ok(made)
    }
}

fn tls(roots: &Roots) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match roots {
        Roots::System => builder.with_platform_verifier()?,
        Roots::Only(certificates) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates {
                store.add(certificate.clone())?;
            }
            builder.with_root_certificates(store)
        }
    };
    Ok(builder.with_no_client_auth())
}

fn client(tls: ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent("freehold")
        .redirect(Policy::custom(|attempt| match refused(attempt.previous(), attempt.url()) {
            Some(why) => attempt.error(why),
            None => attempt.follow(),
        }))
        .connect_timeout(CONNECT)
        .read_timeout(QUIET)
        .build()
}

/// Why a list is not looked for where a server sends us: whoever is on the way would say what is blocked, or
/// have this machine ask things of its own house.
fn refused(before: &[Url], to: &Url) -> Option<&'static str> {
    let first = before.first()?;
    if before.len() > MOVES {
        return Some("it has moved too often");
    }
    if first.scheme() == "https" && to.scheme() != "https" {
        return Some("it has moved from https to where anybody can change it on the way");
    }
    let is_elsewhere = to.host_str() != first.host_str();
    (is_elsewhere && to.host_str().is_none_or(is_of_a_house))
        .then_some("it has moved to an address that means something only in this house")
}

fn is_of_a_house(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = |end: &str| host == end || host.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    bare.parse::<IpAddr>().is_ok_and(is_inside)
        || ["localhost", "local", "internal", "home.arpa", "lan"].into_iter().any(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_moves_nowhere_where_others_would_choose_what_it_says() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let follows = |from: &str, to: &str| refused(&[url(from)], &url(to)).is_none();
        assert!(follows("https://lists.example/a", "https://cdn.example/b"));
        assert!(follows("http://lists.example/a", "https://lists.example/a"));
        assert!(follows("http://192.168.1.2/a", "http://192.168.1.2/b"), "as somebody said");
        assert!(!follows("https://lists.example/a", "http://lists.example/a"));
        for house in [
            "127.0.0.1",
            "192.168.1.1:8443",
            "[::1]",
            "[fd00::1]",
            "localhost",
            "nas.smith.internal",
            "0x7f.1",
        ] {
            assert!(!follows("https://lists.example/a", &format!("https://{house}/b")), "{house}");
        }
        let often = vec![url("https://lists.example/a"); MOVES + 1];
        assert!(refused(&often, &url("https://lists.example/b")).is_some());
    }
}

//! How this machine speaks to servers and websites: whose certificates count.

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::config::Roots;

const CONNECT: Duration = Duration::from_secs(15);
/// Nothing comes for so long.
const QUIET: Duration = Duration::from_secs(30);
/// A list may have moved, but not so often.
const MOVES: usize = 5;

/// TLS as a client.
pub(crate) fn tls(roots: &Roots) -> Result<ClientConfig, rustls::Error> {
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

/// Who fetches lists. It says nothing of this machine but that a resolver asks.
pub(crate) fn client(tls: ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent("freehold")
        .redirect(reqwest::redirect::Policy::limited(MOVES))
        .connect_timeout(CONNECT)
        .read_timeout(QUIET)
        .build()
}

//! Which certificate a client is shown: a certificate for a name says that there is something.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::gate::{Client, Judgement};
use crate::host::folded;
use crate::service::Target;
use crate::worker::{ACME_TLS, Shared};

/// Certificates for one client.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    /// Nothing is passed on: what keeps its TLS is not here.
    pub(crate) here_only: bool,
}

impl Judged {
    /// Whether a client sees the same under a name as where nothing is published.
    fn is_hidden(&self, name: &str) -> bool {
        let live = self.shared.routes.load().find(name).map(Arc::clone);
        live.is_some_and(|live| {
            let elsewhere = self.here_only && matches!(live.service.target, Target::Pass(_));
            elsewhere || self.shared.judge(&self.client, &live) == Judgement::Hidden
        })
    }
}

impl ResolvesServerCert for Judged {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(|name| folded(name).into_owned());
        // An authority proves names of hidden services as well, and is shown no certificate but that of its question.
        let asks = hello.alpn().is_some_and(|mut offered| offered.any(|one| one == ACME_TLS));
        let key = self.shared.handed.certificates.resolve(hello)?;
        let hidden = name.filter(|name| !asks && self.is_hidden(name));
        // One for `*.` says nothing of a name: it is shown for those that lead nowhere, too.
        hidden.is_none_or(|name| !says(&key, &name)).then_some(key)
    }
}

/// Whether a certificate has exactly this name, in lower case.
fn says(key: &CertifiedKey, name: &str) -> bool {
    let Some(der) = key.cert.first() else { return true };
    // What cannot be read is not shown.
    webpki::EndEntityCert::try_from(der)
        .map_or(true, |read| read.valid_dns_names().any(|one| one.eq_ignore_ascii_case(name)))
}

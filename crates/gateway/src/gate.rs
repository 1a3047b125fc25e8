//! What the door is handed: who may come in, and what a certificate authority asks.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::server::ResolvesServerCert;

use crate::{Dial, Service};

/// Who comes, and to which of this machine's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address, as far as it is known: of the machine that connected, or of whom that one speaks
    /// for, if it may.
    pub from: SocketAddr,
    /// Where it came to.
    pub to: SocketAddr,
}

/// Whether somebody may use a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Yes.
    Allowed,
    /// No, and it may not be known that it is there: the answer is the same as where nothing is published, without
    /// TLS as well, and no certificate is shown that has its name. (Where a name has a certificate of its own beside one
    /// for `*.`, who tries both sees that it has.)
    Hidden,
    /// No, for a reason that the client is told.
    Refused(Cow<'static, str>),
}

/// Who may come in. Asked before each request and each connection that is passed on; and again about all that
/// is under way when the table has changed or [`crate::Door::judge_again`] was called. It must answer at once.
pub trait Gatekeeper: Send + Sync + 'static {
    /// Whether a client may use a service.
    fn judge(&self, client: &Client, service: &Service) -> Judgement;

    /// Whether the machine at an address, which is a gateway, speaks for others by the PROXY protocol. Then it
    /// has to, and nothing that it sends is understood without.
    fn speaks_for_others(&self, _peer: IpAddr) -> bool {
        false
    }

    /// Whether the machine at an address may speak for others, and for itself as well: no handshake begins like
    /// the PROXY protocol.
    fn may_speak_for_others(&self, _peer: IpAddr) -> bool {
        false
    }

    /// Whether it is believed that a machine speaks for this client.
    fn believes(&self, _peer: &Client, _client: &Client) -> bool {
        true
    }
}

/// What a certificate authority finds under `/.well-known/acme-challenge/` (RFC 8555, 8.3).
pub trait Challenges: Send + Sync + 'static {
    /// The text of a token, asked for under a name.
    fn text(&self, host: &str, token: &str) -> Option<String>;
}

/// No certificate is being asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoChallenges;

impl Challenges for NoChallenges {
    fn text(&self, _host: &str, _token: &str) -> Option<String> {
        None
    }
}

/// All that is handed in.
#[derive(Clone)]
pub struct Handed {
    /// Certificates by name. To who offers `acme-tls/1` it must show none but that of a challenge.
    pub certificates: Arc<dyn ResolvesServerCert>,
    /// Who may come in.
    pub gatekeeper: Arc<dyn Gatekeeper>,
    /// Answers for certificate authorities.
    pub challenges: Arc<dyn Challenges>,
    /// How services are reached.
    pub dial: Arc<dyn Dial>,
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handed").finish_non_exhaustive()
    }
}

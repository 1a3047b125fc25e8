//! Servers that are asked for the same names, and what is made of what they say.

mod line;
mod reading;
mod servers;
mod wildcard;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use freehold_names::Why;
use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::proto::dnssec::TrustAnchors;
use hickory_net::proto::op::{DnsRequest, DnsRequestOptions, Query};
use hickory_net::proto::rr::{Name, RecordType};
use hickory_net::proto::serialize::binary::{BinDecodable as _, BinDecoder};
use hickory_net::xfer::{DnsHandle as _, FirstAnswer as _};

use crate::config::{Upstream, Way};
use crate::keeper::Gone;
use crate::outgoing::Outgoing;
use crate::store::Ask;
pub use servers::ServerState;
use servers::Servers;

/// What is not known by then, with every key that it takes, is not known.
const WITHIN: Duration = Duration::from_secs(5);
/// What we take in one datagram (DNS Flag Day 2020).
const DATAGRAM: u16 = 1232;
/// Sets of records whose signatures are remembered.
const VERIFIED: usize = 4096;

/// A group of servers, with their connections.
pub(crate) struct Group {
    upstream: Upstream,
    servers: Servers,
    verifying: Option<DnssecDnsHandle<Servers>>,
}

impl Group {
    pub(crate) fn new(upstream: Upstream, outgoing: &Outgoing) -> Result<Self, Gone> {
        let is_sealed = upstream.servers.iter().any(|server| server.way != Way::Plain);
        // A machine without certificates of authorities asks in the clear all the same.
        let tls = if is_sealed { Some(outgoing.tls().map_err(Gone::Tls)?) } else { None };
        let servers = Servers::new(&upstream.servers, tls.as_ref());
        let verifying = if upstream.validate {
            let anchors = match &upstream.anchors {
                Some(text) => text.parse::<TrustAnchors>().map_err(|error| {
                    Gone::Anchors(format!("the trusted keys are no DNSKEY records in a zone file: {error}"))
                })?,
                None => TrustAnchors::default(),
            };
            let handle = DnssecDnsHandle::with_trust_anchor(servers.unchecked(), Arc::new(anchors));
            Some(handle.validation_cache_size(VERIFIED))
        } else {
            None
        };
        Ok(Self { upstream, servers, verifying })
    }

    /// Whether it is of these servers.
    pub(crate) fn is(&self, upstream: &Upstream) -> bool {
        self.upstream == *upstream
    }

    /// Whether its servers may know addresses of a house.
    pub(crate) const fn is_inside(&self) -> bool {
        self.upstream.inside
    }

    pub(crate) fn states(&self) -> Vec<ServerState> {
        self.servers.states()
    }

    /// What the servers say: an answer to the question alone, without what they said to us.
    pub(crate) async fn answer(&self, ask: &Ask) -> Result<Vec<u8>, Why> {
        let told = tokio::time::timeout(WITHIN, async {
            match &self.verifying {
                Some(verifying) if !ask.unchecked => {
                    let verified = verifying.send(request(self, ask, true)?).first_answer().await;
                    reading::verified(verified, ask)
                }
                _ => {
                    let mut request = request(self, ask, ask.signatures)?;
                    request.metadata.checking_disabled = ask.unchecked;
                    let said = self.servers.send(request).first_answer().await;
                    reading::plain(said.map_err(|_| Why::Unreachable)?, ask)
                }
            }
        });
        told.await.unwrap_or(Err(Why::Unreachable))
    }
}

fn request(group: &Group, ask: &Ask, signatures: bool) -> Result<DnsRequest, Why> {
    let mut decoder = BinDecoder::new(ask.name.as_wire());
    let name = Name::read(&mut decoder).map_err(|_| Why::Unreachable)?;
    let mut options = DnsRequestOptions::default();
    options.edns_payload_len = DATAGRAM;
    options.edns_set_dnssec_ok = signatures;
    // Whoever guesses numbers has to guess capitals as well, where nothing is sealed.
    options.case_randomization = group.upstream.servers.iter().any(|server| server.way == Way::Plain);
    Ok(DnsRequest::from_query(Query::query(name, RecordType::from(ask.kind)), options))
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

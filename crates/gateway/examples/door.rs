//! A door by itself, to be measured beside others, or asked by a browser:
//!
//!     cargo run --release -p freehold-gateway --example door -- 127.0.0.1:8443 cert.pem key.pem localhost 127.0.0.1:8080
//!     wrk -t2 -c64 -d10 --latency https://localhost:8443/
//!
//! Everybody may come in, without sign-on. Ends with its input.

use std::io::Read as _;
use std::sync::Arc;

use freehold_gateway::{
    Access, Client, Door, Gatekeeper, Handed, Host, Judgement, NoChallenges, Service, Settings, Sockets,
    Table, Target, Upstream, Web,
};
use freehold_wire::ServiceId;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

type Failed = Box<dyn std::error::Error>;

struct Everybody;

impl Gatekeeper for Everybody {
    fn judge(&self, _: &Client, _: &Service) -> Judgement {
        Judgement::Allowed
    }
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    freehold_allocator::give_back_soon();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [at, cert, key, host, upstream] = words.as_slice() else {
        return Err("ADDRESS:PORT CERTIFICATE KEY HOST UPSTREAM".into());
    };
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<Vec<_>, _>>()?;
    let signer = rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::from_pem_file(key)?)?;
    let certificates = SingleCertAndKey::from(CertifiedKey::new(chain, signer));
    let mut web = Web::at(vec![Upstream::Tcp(upstream.parse()?)]);
    web.limits.share = web.limits.at_once;
    let service = Service {
        id: ServiceId::from_bytes([1; 32]),
        hosts: vec![Host::parse(host)?],
        access: Access::Public,
        target: Target::Web(Box::new(web)),
    };
    let handed = Handed {
        certificates: Arc::new(certificates),
        gatekeeper: Arc::new(Everybody),
        challenges: Arc::new(NoChallenges),
        dial: Arc::new(Sockets),
    };
    let mut settings = Settings::new(vec![at.parse()?], Vec::new());
    settings.https_port = settings.https.first().map_or(443, std::net::SocketAddr::port);
    let door = Door::open(settings, handed, Table::new(vec![service])?)?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    door.close().await;
    Ok(())
}

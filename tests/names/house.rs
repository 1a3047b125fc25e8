//! A resolver in this process, and the programs that ask it.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use freehold_names::{LocalTime, PolicyParty};
use freehold_resolver::{Config, Handle, Listen, Resolver, Roots, Setting, Speaks};
use freehold_wire::Millis;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What the certificate is for.
pub(crate) const NAME: &str = "dns.home.internal";

/// A resolver, and the certificate that its clients trust, as a file.
pub(crate) struct House {
    pub(crate) handle: Handle,
    pub(crate) folder: tempfile::TempDir,
}

impl House {
    /// Over everything, on any ports.
    pub(crate) async fn start(setting: Setting) -> anyhow::Result<Self> {
        let all = [Speaks::Plain, Speaks::Tls, Speaks::Https];
        let listen = |speaks| Ok(Listen::at("127.0.0.1:0".parse()?, speaks));
        Self::at(all.into_iter().map(listen).collect::<anyhow::Result<_>>()?, setting).await
    }

    pub(crate) async fn at(listen: Vec<Listen>, setting: Setting) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])?;
        freehold_disk::replace(&folder.path().join("ca.pem"), made.cert.pem().as_bytes(), 0o600)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let config = Config {
            listen,
            tls: Some(Arc::new(tls)),
            parties: Arc::new(|from: SocketAddr| {
                Some(PolicyParty { address: Some(from.ip()), ..PolicyParty::default() })
            }),
            clock: Arc::new(|| LocalTime::at(Millis::from_secs(1_800_000_000), 0)),
            cache: 1 << 20,
            folder: folder.path().join("lists"),
            roots: Roots::Only(Vec::new()),
            names_max: 100_000,
            setting,
        };
        Ok(Self { handle: Resolver::start(config).await?, folder })
    }

    pub(crate) fn port(&self, speaks: Speaks) -> u16 {
        self.handle
            .bound()
            .iter()
            .find(|bound| bound.speaks == speaks)
            .map_or(0, |bound| bound.address.port())
    }

    /// What `dig` or `kdig` says.
    pub(crate) fn ask(&self, program: &str, port: u16, arguments: &str) -> String {
        let mut command = Command::new(program);
        command.args(["@127.0.0.1", "-p", &port.to_string()]);
        command.args(arguments.split(' ').map(|word| word.replace("CA", &self.ca())));
        let ended = command.output().expect("a program of `cargo xtask tools`");
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        said + &String::from_utf8_lossy(&ended.stderr)
    }

    pub(crate) fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    pub(crate) fn dig(&self, arguments: &str) -> String {
        self.ask("dig", self.port(Speaks::Plain), &format!("+time=8 +tries=1 {arguments}"))
    }
}

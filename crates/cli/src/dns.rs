//! What `up` is told of answering for names.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where names are answered, and who is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct DnsArgs {
    /// Answer for names on this address, which may be given several times; 0.0.0.0:53 is all of them
    /// [default: 127.0.0.1:5300, another port if it is in use]
    #[arg(id = "dns", long = "dns", value_name = "IP:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Answer for names over TLS on this address, as 192.168.1.2:853; may be given several times
    #[arg(id = "dns-tls", long = "dns-tls", value_name = "IP:PORT")]
    pub tls: Vec<SocketAddr>,
    /// Answer for names over HTTPS on this address, at /dns-query; may be given several times
    #[arg(id = "dns-https", long = "dns-https", value_name = "IP:PORT")]
    pub https: Vec<SocketAddr>,
    /// The certificate for both, those above it, and its key, as PEM [default: the console's own]
    #[arg(id = "dns-certificate", long = "dns-certificate", value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Ask this server for the internet's names, as 192.0.2.1 or tls://NAME@192.0.2.1; may be given several
    /// times, in order [default: those of `freehold net filter upstream`]
    #[arg(id = "dns-upstream", long = "dns-upstream", value_name = "SERVER")]
    pub servers: Vec<String>,
    /// Whether this machine's own programs ask here for names: gently only for the realm's names, where
    /// systemd-resolved can be told so; yes for all of them, where there is only /etc/resolv.conf; no changes
    /// nothing [default: gently]
    #[arg(id = "dns-system", long = "dns-system", value_name = "GENTLY|YES|NO", hide_possible_values = true)]
    pub system: Option<DnsSystem>,
}

/// Whether this machine's own programs ask here for names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DnsSystem {
    /// Where nothing else is changed by that.
    #[default]
    Gently,
    /// All names, if it cannot be had otherwise.
    Yes,
    /// Not.
    No,
}

impl DnsArgs {
    /// The same as it was typed, for whoever types it again.
    pub(crate) fn flags(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let addresses = [("--dns", &self.listen), ("--dns-tls", &self.tls), ("--dns-https", &self.https)];
        let addresses =
            addresses.into_iter().flat_map(|(flag, all)| all.iter().map(move |at| (flag, at.to_string())));
        let servers = self.servers.iter().map(|server| ("--dns-upstream", server.clone()));
        let certificate = self.certificate.iter().map(|at| ("--dns-certificate", at.display().to_string()));
        let system = self.system.and_then(|wish| wish.to_possible_value());
        let system = system.map(|wish| ("--dns-system", wish.get_name().to_owned()));
        addresses.chain(servers).chain(certificate).chain(system).map(|(flag, value)| (flag, Some(value)))
    }
}

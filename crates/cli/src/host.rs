//! What the command line needs of the node itself, beyond its HTTP API: a node that is not there
//! yet has none. The binary hands in an implementation.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use freehold_api::{
    Audit, Erasure, FoundRealm, Problem, StoresChecked, StoresToCheck, TenantMove, TenantMoved, WhatIsLeft,
};
use zeroize::Zeroizing;

use crate::dns::DnsArgs;

/// How a node is to run.
#[expect(clippy::struct_excessive_bools, reason = "each is a word that people type")]
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Address of the console.
    pub listen: IpAddr,
    /// Address of the S3 endpoint.
    pub s3_listen: IpAddr,
    /// Wanted port of the S3 endpoint.
    pub s3_port: u16,
    /// Names below which buckets are called.
    pub s3_domains: Vec<String>,
    /// Names below which the websites of buckets are called.
    pub website_domains: Vec<String>,
    /// Wanted port of the console.
    pub console_port: u16,
    /// Wanted UDP port of the mesh.
    pub mesh_port: u16,
    /// Where to run a relay, if at all.
    pub relay: Option<SocketAddr>,
    /// Make no network device.
    pub no_tun: bool,
    /// Where the door is for those outside the realm's network; everywhere, without.
    pub door_listen: Vec<IpAddr>,
    /// Its ports for HTTPS and plain HTTP.
    pub door_ports: (u16, u16),
    /// The program that puts records into the zone of published names.
    pub certificates_hook: Option<PathBuf>,
    /// Carry no packets of other programs.
    pub no_packets: bool,
    /// Where a SOCKS proxy leads into the network.
    pub socks: Option<SocketAddr>,
    /// Where an HTTP proxy does.
    pub http_proxy: Option<SocketAddr>,
    /// That the proxies are for others than this machine's programs, too.
    pub proxy_for_others: bool,
    /// Ask the house's router for no port.
    pub no_port_mapping: bool,
    /// Where to answer for names, if somebody said where, and who is asked.
    pub dns: DnsArgs,
    /// Else the wanted port on this machine's loopback.
    pub dns_port: u16,
    /// Where to take phones in, if at all.
    pub phone_listen: Option<SocketAddr>,
    /// Where phones find that, if elsewhere.
    pub phone_endpoint: Option<String>,
    /// Log as JSON lines.
    pub log_json: bool,
}

/// A node that has started: what its person needs to know.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Ready {
    /// The realm's name.
    pub realm: String,
    /// This node's name.
    pub node: String,
    /// Addresses of the console.
    pub console: Vec<String>,
    /// Opens the console once; lapses.
    pub setup_code: String,
    /// The same code for a link.
    pub setup_link: String,
    /// SHA-256 of the console's certificate, in hex pairs.
    pub fingerprint: String,
    /// Address of the S3 endpoint.
    pub s3: String,
    /// Its other addresses, if it is open to the network.
    pub s3_others: Vec<String>,
    /// File with the S3 credentials.
    pub s3_credentials: String,
    /// Address of the relay, if this node runs one.
    pub relay: Option<String>,
    /// Ports that were taken, and what was used instead.
    pub moved: Vec<String>,
    /// What else is good to know now.
    pub notes: Vec<String>,
    /// File on this machine that still holds the guardian phrases.
    pub phrases_file: Option<String>,
    /// From the start of the program until all planes were up.
    pub ready_ms: u64,
}

/// A realm about to be made: it exists once [`Founding::finish`] has returned.
pub trait Founding: Send {
    /// The guardian phrases, shown once.
    fn phrases(&self) -> &[Zeroizing<String>];

    /// Writes realm and keys to the home. `left_in` names the file the phrases were written to, so
    /// that the node reminds of it until it is gone; `typed_back` is the one that was (from 0).
    ///
    /// # Errors
    /// A [`Problem`] if the home cannot be written.
    fn finish(self: Box<Self>, left_in: Option<&Path>, typed_back: Option<usize>) -> Result<(), Problem>;
}

/// The node, as far as the command line starts it.
#[async_trait]
pub trait Host: Send + Sync {
    /// Whether the home already holds a node.
    ///
    /// # Errors
    /// A [`Problem`] if it holds something else.
    fn has_node(&self, home: &Path) -> Result<bool, Problem>;

    /// Prepares a new realm in memory.
    ///
    /// # Errors
    /// A [`Problem`] if the name cannot be used.
    fn found(&self, home: &Path, realm_name: &str, node_name: &str) -> Result<Box<dyn Founding>, Problem>;

    /// Joins a realm: afterwards the home holds a node of it.
    ///
    /// # Errors
    /// A [`Problem`]: the invitation is unreadable, used, lapsed, or nobody answers.
    async fn join(&self, home: &Path, invitation: &str, node_name: &str) -> Result<(), Problem>;

    /// Whether a realm's card can be read.
    ///
    /// # Errors
    /// A [`Problem`] that says what is wrong with it.
    fn check_card(&self, card: &str) -> Result<(), Problem>;

    /// Joins with guardian phrases. A backend is brought back if `agree` has nothing against what lies there.
    ///
    /// # Errors
    /// A [`Problem`]: phrases too few or of another realm, or nobody answers.
    async fn recover(
        &self,
        home: &Path,
        left: &WhatIsLeft,
        phrases: Vec<Zeroizing<String>>,
        node_name: &str,
        agree: &(dyn for<'f> Fn(&'f FoundRealm) -> Result<(), Problem> + Sync),
    ) -> Result<(), Problem>;

    /// Reads a guardian phrase as a person types it, and writes it as it is shown.
    ///
    /// # Errors
    /// A [`Problem`] that says which word is wrong.
    fn phrase(&self, typed: &str) -> Result<Zeroizing<String>, Problem>;

    /// Whether a node runs in this home, or is on its way down.
    fn is_running(&self, home: &Path) -> bool;

    /// Runs the node until it is told to stop; calls `ready` once.
    ///
    /// # Errors
    /// A [`Problem`] if it cannot start, or a plane failed for good.
    async fn run(
        &self,
        home: &Path,
        options: RunOptions,
        ready: &(dyn Fn(Ready) + Sync),
    ) -> Result<(), Problem>;

    /// Checks an exported log.
    ///
    /// # Errors
    /// A [`Problem`] if it is not one.
    fn audit(&self, exported: &[u8]) -> Result<Audit, Problem>;

    /// Checks the stores of a backend without its key.
    ///
    /// # Errors
    /// A [`Problem`] if one of them cannot be asked.
    async fn check_stores(&self, wish: StoresToCheck) -> Result<StoresChecked, Problem>;

    /// Checks the receipt of an erasure.
    ///
    /// # Errors
    /// A [`Problem`] if it is not one, or shows none.
    fn receipt(&self, receipt: &[u8]) -> Result<Erasure, Problem>;

    /// Moves what a member has from one realm to another, or goes on with it.
    ///
    /// # Errors
    /// A [`Problem`]: the move goes on where it was when it is asked for again.
    async fn tenant_move(
        &self,
        wish: TenantMove,
        told: &(dyn Fn(String) + Send + Sync),
    ) -> Result<TenantMoved, Problem>;

    /// Gives a move up.
    ///
    /// # Errors
    /// A [`Problem`] once the new realm counts.
    async fn tenant_stay(&self, folder: &Path) -> Result<(), Problem>;

    /// Checks the receipt of a move, with its list if that is at hand.
    ///
    /// # Errors
    /// A [`Problem`] if it is not one.
    fn tenant_receipt(&self, receipt: &[u8], list: Option<&[u8]>) -> Result<TenantMoved, Problem>;
}

//! The realm's network: who is in it, what is open to whom, and why.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{MappedPort, NetUse, Path, Problem, PublishedService, Publishing, Standing};

/// The realm's network as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetStatus {
    /// The zone that the realm's names are in.
    pub zone: String,
    /// The network that all addresses of the realm are in.
    pub network: String,
    /// Where nodes have IPv4 addresses, if they have any.
    pub range: String,
    /// Whether guests may use exits, too.
    pub guests_exit: bool,
    /// Whether even one's own laptop reaches only what a service or a rule opens.
    pub strict: bool,
    /// Id of the node that answers; it is in `nodes`.
    pub this_node: String,
    /// The realm's machines.
    pub nodes: Vec<NetNode>,
    /// How many services there are.
    pub services: u64,
    /// How many rules.
    pub rules: u64,
    /// How many phones.
    pub phones: u64,
    /// What the node that answers uses of what others offer.
    #[serde(default)]
    pub uses: NetUse,
    /// What is wrong with the network as a whole.
    pub troubles: Vec<String>,
    /// Who asked this machine for what that nothing opens: the last ones, kept in memory alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<NetRefused>,
    /// What the house's router was asked to pass on to the node that answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapped: Vec<MappedPort>,
}

/// Somebody asked for something that nothing opens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetRefused {
    /// Who.
    pub from: String,
    /// What they asked for: this machine, one of its services, or an address.
    pub to: String,
    /// The port, as `tcp/443` or `ping`.
    pub port: String,
    /// How many packets.
    pub times: u64,
    /// How long ago the last one came, in milliseconds.
    pub ago_ms: u64,
}

/// A machine in the network.
#[expect(clippy::struct_excessive_bools, reason = "each stands for itself, in a row of a table")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetNode {
    /// Its id, in hex.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its name in the realm's zone.
    pub domain: String,
    /// Its address, which follows from its key.
    pub address: String,
    /// Its IPv4 address, if it was given one.
    pub ipv4: Option<String>,
    /// Whose machine it is.
    pub owner: Option<String>,
    /// Whether it has no role: somebody's laptop.
    pub laptop: bool,
    /// Whether others may reach the internet through it.
    pub exit: bool,
    /// Whether it takes in what the internet sends to published services.
    pub ingress: bool,
    /// The networks behind it that others may reach.
    pub routes: Vec<String>,
    /// What the realm log says of it: only a member reaches anybody.
    pub standing: Standing,
    /// Whether there is a connection now; `true` for the node that answers.
    pub connected: bool,
    /// How packets reach it; `null` without a connection and for the node that answers.
    pub path: Option<Path>,
    /// How long a packet takes there and back, in microseconds.
    pub rtt_us: Option<u64>,
    /// How long ago it was last heard, in milliseconds; `null` if never since the start.
    pub last_heard_ms: Option<u64>,
    /// Why there is no connection, if there is none and that is known.
    pub trouble: Option<String>,
    /// Packets to and from it, if this node carries any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

/// Packets to and from a machine, since the node began to carry any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Carried {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes that came and were let through.
    pub received: u64,
    /// Packets that came and were not allowed.
    pub refused: u64,
}

/// What to change of the network as a whole; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetSetting {
    /// Where nodes have IPv4 addresses, as `10.20.0.0/16`; an empty one is the realm's own range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Whether guests may use exits, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests_exit: Option<bool>,
    /// Whether even one's own laptop reaches only what a service or a rule opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// What to change of a node's part in the network; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetNodeSetting {
    /// Its IPv4 address; `auto` for the first one that is free, an empty one for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    /// Whether others may reach the internet through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<bool>,
    /// Whether it takes in what the internet sends to published services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<bool>,
    /// The networks behind it that others may reach, all of them; an empty list for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<String>>,
    /// Whose machine it is, by name or id; an empty one for nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Which operation of the realm's log says so, who signed it, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SaidBy {
    /// The operation's id, in hex.
    pub operation: String,
    /// Its kind, as the format names it.
    pub kind: String,
    /// Who wrote it: a person with their machine, or a machine.
    pub by: String,
    /// When, as its author says: milliseconds since 1970.
    pub at_ms: u64,
}

/// A service to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewService {
    /// Its name, which is its label in the realm's zone: lower-case letters, digits and hyphens.
    pub name: String,
    /// The nodes that it runs on, by name or id.
    pub nodes: Vec<String>,
    /// Its ports: `tcp/8080`, `udp/53`, `tcp/8000-8010`.
    pub ports: Vec<String>,
    /// Who may use it: `realm`, `lan` or `public`, and `grant:ID` for machines under a grant.
    #[serde(default)]
    pub access: Vec<String>,
    /// The gateways that take it to the outside, by name or id.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// Whether a gateway lets in only who has signed on.
    #[serde(default)]
    pub sign_on: bool,
    /// How it is published, if the door is to show it; its port is the one at which its program listens then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publishing>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetService {
    /// Its id, in hex.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its name in the realm's zone.
    pub domain: String,
    /// Its address, at which the first of its nodes that stands answers.
    pub address: String,
    /// The nodes that it runs on.
    pub nodes: Vec<String>,
    /// Its ports.
    pub ports: Vec<String>,
    /// Who may use it.
    pub access: Vec<String>,
    /// The gateways that take it to the outside.
    pub gateways: Vec<String>,
    /// Whether a gateway lets in only who has signed on.
    pub sign_on: bool,
    /// How it is published, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedService>,
    /// Where that is said.
    pub said: SaidBy,
}

/// A rule to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// What people call it.
    pub name: String,
    /// Who may: members, nodes and phones by name or id, `role:admin` for all members with a role,
    /// `nodes:gateway` for all nodes with one, `grant:ID` for machines under a grant.
    pub from: Vec<String>,
    /// What they may reach: nodes and services by name or id, or `all` nodes.
    pub to: Vec<String>,
    /// At which ports: `tcp/22`, `udp/53`, `tcp/8000-8010` or `any`; none for services, which have their own.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Until when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// A rule of who may reach whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetRule {
    /// Its id, in hex.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who may.
    pub from: Vec<String>,
    /// What they may reach.
    pub to: Vec<String>,
    /// At which ports; none for services, which have their own.
    pub ports: Vec<String>,
    /// Until when, in milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// Whether it has lapsed.
    pub lapsed: bool,
    /// Where that is said.
    pub said: SaidBy,
}

/// A machine without this program that gateways let into the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetPhone {
    /// Its id, in hex.
    pub id: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Whose it is.
    pub person: String,
    /// Its address.
    pub address: String,
    /// The gateways that serve it.
    pub gateways: Vec<String>,
    /// Until when, in milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// Why it reaches nobody, if it does not.
    pub refused: Option<String>,
    /// What this node has seen of it, if this one serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<PhoneSeen>,
    /// Where that is said.
    pub said: SaidBy,
}

/// What a gateway has seen of a phone since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhoneSeen {
    /// Where it sends from.
    pub from: String,
    /// How long ago it last showed its key, in milliseconds; it does so every two minutes while it talks.
    pub shown_ms: u64,
    /// Bytes that it sent.
    pub received: u64,
    /// Bytes that were sent to it.
    pub sent: u64,
}

/// Who asks to reach whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// A person, node or phone by name or id, `grant:ID`, or `lan` for whoever is in the network around.
    pub from: String,
    /// A node, service or phone by name or id.
    pub to: String,
    /// `443`, `53/udp`, `tcp/443` or `ping`; absent for the ports of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// Why somebody may reach something, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// One for each machine that the sender has and each port that was asked about; empty if a person has none.
    pub answers: Vec<Reach>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// Whether one machine may reach another at a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    /// Who sends.
    pub from: String,
    /// Who is reached.
    pub to: String,
    /// Where.
    pub port: String,
    /// Whether it may.
    pub allowed: bool,
    /// Why it may, or what is missing.
    pub why: String,
    /// The operation that says so, or that comes nearest.
    pub said: Option<SaidBy>,
    /// What opens it, where something can.
    pub next: Option<String>,
}

/// What a node does for the realm's network. Where something is made or changed, `dry_run` only says whether
/// it would be.
#[async_trait]
pub trait NetControl: Send + Sync {
    /// Who is in the network, and how connected.
    async fn net(&self) -> Result<NetStatus, Problem>;
    /// Changes the network as a whole.
    async fn set_net(&self, setting: NetSetting, dry_run: bool) -> Result<NetStatus, Problem>;
    /// Changes a node's part in it.
    async fn set_net_node(
        &self,
        node: &str,
        setting: NetNodeSetting,
        dry_run: bool,
    ) -> Result<NetNode, Problem>;
    /// Whether somebody may reach something, and why.
    async fn explain(&self, question: Question) -> Result<Explanation, Problem>;
    /// The services.
    async fn services(&self) -> Result<Vec<NetService>, Problem>;
    /// Makes a service; nothing comes back where it only would be made.
    async fn add_service(&self, wish: NewService, dry_run: bool) -> Result<Option<NetService>, Problem>;
    /// Ends a service for good.
    async fn end_service(&self, service: &str, dry_run: bool) -> Result<(), Problem>;
    /// The rules.
    async fn rules(&self) -> Result<Vec<NetRule>, Problem>;
    /// Makes a rule; nothing comes back where it only would be made.
    async fn add_rule(&self, wish: NewRule, dry_run: bool) -> Result<Option<NetRule>, Problem>;
    /// Ends a rule for good.
    async fn end_rule(&self, rule: &str, dry_run: bool) -> Result<(), Problem>;
    /// The phones.
    async fn phones(&self) -> Result<Vec<NetPhone>, Problem>;
    /// Shuts a phone out for good.
    async fn end_phone(&self, phone: &str, dry_run: bool) -> Result<(), Problem>;
}

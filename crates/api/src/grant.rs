//! Grants: what realms lend each other over the network.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Problem, SaidBy};

/// What another realm needs to lend this one something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RealmCard {
    /// The realm's id, in hex.
    pub realm: String,
    /// What it calls itself.
    pub name: String,
    /// The machines whose keys sign for the others, by name.
    pub signers: Vec<String>,
    /// What to hand over. It is no secret.
    pub text: String,
}

/// A wish to lend something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// The other realm's card.
    pub to: String,
    /// What people call the grant here; the other realm's name, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Services of the network, by name or id, that the other realm's machines may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Instead: gateways take in what the internet sends to names of the other realm.
    #[serde(default)]
    pub gateway: bool,
    /// Instead: relays help the other realm's machines to reach each other.
    #[serde(default)]
    pub relay: bool,
    /// Instead: room for so many bytes, which the other realm seals before they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<u64>,
    /// How many bytes of it may be read in a month; four times the room, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<u64>,
    /// How many days what is stored can still be read after the end; 30, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wind_down_days: Option<u16>,
    /// The machines that keep what is stored, which share the room out between them; this node, without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub homes: Vec<String>,
    /// Until when, in milliseconds since 1970; a year from now, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// An offer that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantOffered {
    /// The grant.
    #[serde(flatten)]
    pub grant: GrantStatus,
    /// What to hand over to the other realm. It is no secret.
    pub text: String,
}

/// An offer to take up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantToAccept {
    /// The offer.
    pub text: String,
    /// What people call the grant here; the other realm's name, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Who lends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrantSide {
    /// This realm.
    Lends,
    /// The other one.
    Borrows,
}

/// What is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrantResource {
    /// Room.
    Storage,
    /// Processor and memory.
    Compute,
    /// A way in from the internet.
    Gateway,
    /// Help with reaching each other.
    Relay,
    /// Services of the network.
    Services,
}

/// How a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantStanding {
    /// It holds.
    Holds,
    /// It has not begun.
    NotYet,
    /// Its time is over.
    Lapsed,
    /// It is suspended.
    Suspended,
    /// It was ended, for good.
    Ended,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantStatus {
    /// Its id, in hex.
    pub id: String,
    /// What people call it here.
    pub name: String,
    /// Who lends.
    pub side: GrantSide,
    /// The other realm's id, in hex.
    pub realm: String,
    /// What the other realm calls itself.
    pub realm_name: String,
    /// What is lent.
    pub resource: GrantResource,
    /// From when, in milliseconds since 1970.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
    /// How it stands.
    pub standing: GrantStanding,
    /// What this realm's log says of it: that it was offered or taken up, and what ended or suspends it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<SaidBy>,
    /// The services that it opens: of this realm where it lends, of the other one where it borrows.
    pub services: Vec<GrantService>,
    /// The other realm's machines, as this node sees them.
    pub machines: Vec<GrantMachine>,
    /// What is in the way, as this node sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How it stands with room, if that is what is lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<GrantRoom>,
}

impl SaidBy {
    /// What an operation about a grant did, in a word: `offered`.
    pub fn of_grant(&self) -> &'static str {
        match self.kind.as_str() {
            "GrantOffer" => "offered",
            "GrantAccept" => "accepted",
            "GrantRevoke" => "ended",
            _ => "suspended",
        }
    }
}

/// How room stands that is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoomPhase {
    /// It has not begun.
    NotYet,
    /// Something can be stored and read.
    Open,
    /// The same, and it ends soon.
    EndsSoon,
    /// Nothing more is stored; what is there can be read, and is then deleted.
    WindingDown,
    /// What was there is deleted.
    Over,
}

/// Room under a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantRoom {
    /// How many bytes may be kept.
    pub bytes: u64,
    /// How many bytes may be read in a month.
    pub egress: u64,
    /// How many days what is stored can still be read after the end.
    pub wind_down_days: u16,
    /// How it stands.
    pub phase: RoomPhase,
    /// Until when it stands so, in milliseconds since 1970, if that is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_until_ms: Option<u64>,
    /// Bytes that are kept, to the byte, at the machines that this node can ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
    /// In how many sealed objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Bytes that were read this month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// What it is called as a place for copies, on the machine that uses it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The machines that keep what is stored: by name where they are this realm's, or else by id.
    pub homes: Vec<String>,
    /// What machines have signed that deleted everything.
    pub receipts: Vec<GrantReceipt>,
}

/// That a machine has deleted all that it kept under a grant, signed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantReceipt {
    /// The machine's id, in hex.
    pub node: String,
    /// How many sealed objects lay there.
    pub objects: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A service under a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantService {
    /// Its name in the zone.
    pub domain: String,
    /// Its address.
    pub address: String,
}

/// A machine of the other realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantMachine {
    /// Its id, in hex.
    pub id: String,
    /// Its address in its own realm's network.
    pub address: String,
    /// Until when it lets this one in, or is let in here, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Names of the internet that lead to it by this node.
    pub hosts: Vec<String>,
}

/// What a node does about grants.
#[async_trait]
pub trait GrantControl: Send + Sync {
    /// What another realm needs to lend this one something.
    async fn realm_card(&self) -> Result<RealmCard, Problem>;
    /// All grants, those that have ended included.
    async fn grants(&self) -> Result<Vec<GrantStatus>, Problem>;
    /// Lends something; with `dry_run` it only says whether it would, and nothing comes back.
    async fn offer_grant(&self, wish: NewGrant, dry_run: bool) -> Result<Option<GrantOffered>, Problem>;
    /// Takes up an offer, or only reads it.
    async fn accept_grant(&self, wish: GrantToAccept, dry_run: bool) -> Result<GrantStatus, Problem>;
    /// Ends a grant for good, on either side.
    async fn end_grant(&self, grant: &str, dry_run: bool) -> Result<(), Problem>;
}

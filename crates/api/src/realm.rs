//! The realm log as people handle it: exported, imported, audited; and its guardians.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::ZeroizeOnDrop;

use crate::{Role, Standing};

/// What an import brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Operations that were not here.
    pub new: u64,
    /// Operations that were.
    pub known: u64,
    /// Operations that the merge rules refuse; `audit` tells why.
    pub refused: u64,
    /// Operations that are not what their authors signed: they are left out.
    pub damaged: u64,
}

/// An operation that the merge rules refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// Its id in hex.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// The state that a log derives, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditState {
    /// The realm's id in hex.
    pub realm: String,
    /// The epoch.
    pub epoch: u64,
    /// Operations held.
    pub operations: u64,
    /// Operations that wait for signatures or for time.
    pub pending: u64,
    /// Operations that nobody can judge, because some before them are not here.
    pub waiting: u64,
    /// Ids of the operations that nothing follows.
    pub heads: Vec<String>,
    /// Ids of the admins.
    pub admins: Vec<String>,
    /// Members.
    pub members: u64,
    /// Nodes.
    pub nodes: Vec<AuditNode>,
    /// Guardians.
    pub guardians: u16,
    /// How many of them can recover the realm.
    pub guardians_needed: u16,
    /// Buckets.
    pub buckets: u64,
    /// Grants.
    pub grants: u64,
    /// Invitations nobody has redeemed yet.
    pub invitations: u64,
}

/// A node as a log alone tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditNode {
    /// Its id in hex.
    pub id: String,
    /// What it does.
    pub roles: Vec<Role>,
    /// What the log says of it.
    pub standing: Standing,
    /// The name people gave it, where a node that knows it was asked: no name is in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What an audit derived and refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// The derived state.
    pub state: AuditState,
    /// Every refused operation with its reason.
    pub refused: Vec<Refusal>,
    /// Operations that are not what their authors signed.
    pub damaged: Vec<Refusal>,
}

/// A checkpoint that this machine made or signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// Its id in hex.
    pub id: String,
    /// Whether it holds; otherwise it waits for other admins' signatures.
    pub in_force: bool,
    /// The epoch now.
    pub epoch: u64,
}

/// Says where the realm's nodes are, for the day one needs `freehold recover`. Not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Card {
    /// What to keep beside the guardian phrases.
    pub text: String,
}

/// A guardian phrase, typed back. Never logged; wiped when it is dropped.
#[derive(Clone, Serialize, Deserialize, ToSchema, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Phrase {
    /// Its words.
    pub phrase: String,
}

impl std::fmt::Debug for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phrase(..)")
    }
}

/// What a typed phrase turned out to be. A phrase of nobody is a refusal, not an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuardianTest {
    /// Which guardian's it is, from 1.
    pub guardian: u16,
    /// How many guardians have been tested so far.
    pub tested: u16,
    /// How many there are.
    pub guardians: u16,
    /// How many can recover the realm.
    pub needed: u16,
    /// Why the realm's log does not note the test, if it does not: only an admin's machine has it noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_noted: Option<String>,
}

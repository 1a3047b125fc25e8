//! Invitations: how a machine comes into the realm.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Role;

/// A wish to invite a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// Roles of the new node; none for a laptop.
    pub roles: Vec<Role>,
    /// Hours until it lapses.
    pub hours: u32,
    /// Makes the machine one of the inviting person's devices too, so that an admin survives the
    /// loss of this one.
    #[serde(default)]
    pub device: bool,
}

/// An invitation that has just been made. Whoever reads `text` can redeem it, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Names it in the list of invitations.
    pub id: String,
    /// What to type on the other machine, behind `freehold join`; shown only now.
    pub text: String,
    /// When it lapses, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitation").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An invitation that nobody has redeemed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvitationStatus {
    /// Its id in hex.
    pub id: String,
    /// Roles of the node to come.
    pub roles: Vec<Role>,
    /// Whether the machine becomes a device of the inviting person.
    pub device: bool,
    /// When it lapses, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

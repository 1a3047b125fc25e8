//! The realm's people: what they are called, and how one is erased.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Erasure, NewName, Problem, Standing};

/// A member of the realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonStatus {
    /// Their id, in hex.
    pub id: String,
    /// What people call them.
    pub name: String,
    /// Whether they decide about the realm.
    pub admin: bool,
    /// Whether their rights hold.
    pub standing: Standing,
    /// Their machines, by name.
    pub nodes: Vec<String>,
    /// Buckets that they, or services of theirs, own, as far as the asked node can read it.
    pub buckets: Vec<String>,
    /// Access keys that they and services of theirs have on the asked node.
    pub keys: u64,
}

/// Whom to erase, and how much.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonToErase {
    /// Buckets of theirs that others may use as well, and that go too, by name.
    #[serde(default)]
    pub also_shared: Vec<String>,
}

/// A bucket of somebody who is to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BucketOfPerson {
    /// Its name.
    pub name: String,
    /// Its id, in hex.
    pub id: String,
    /// Objects in it.
    pub objects: u64,
    /// The bytes of all their versions.
    pub bytes: u64,
    /// Versions that must be kept: under COMPLIANCE, or a legal hold.
    pub kept: u64,
    /// By what others may use it; nothing if it is theirs alone.
    pub shared_by: Vec<String>,
}

/// What erasing a person would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonErasurePlan {
    /// Their id, in hex.
    pub id: String,
    /// What they are called.
    pub name: String,
    /// Whether their membership ends with it; else it has ended before.
    pub member: bool,
    /// Buckets that would be erased.
    pub erased: Vec<BucketOfPerson>,
    /// Buckets that are theirs and stay, as others may use them.
    pub stays: Vec<BucketOfPerson>,
    /// Access keys that would end on the asked node; other nodes end theirs.
    pub keys: Vec<String>,
    /// Buckets of others whose keys they share: they get no key that is made from then on.
    pub shares: Vec<String>,
    /// Phones of theirs that would be shut out of the network, by id.
    pub phones: Vec<String>,
    /// Names in the directory that would be taken back.
    pub names: Vec<String>,
    /// Their machines, which have to leave first.
    pub nodes: Vec<String>,
    /// The nodes that would carry it out, by name.
    pub carried_out_by: Vec<String>,
    /// Why it would be refused, if it would.
    pub refused: Vec<String>,
}

/// What a node does for the realm's people.
#[async_trait]
pub trait PeopleControl: Send + Sync {
    /// The members.
    async fn people(&self) -> Result<Vec<PersonStatus>, Problem>;
    /// Takes somebody in who has no machine in the realm.
    async fn add_person(&self, name: NewName) -> Result<PersonStatus, Problem>;
    /// Gives somebody another name.
    async fn rename_person(&self, person: &str, name: NewName) -> Result<(), Problem>;
    /// Takes somebody's rights away until they are given back.
    async fn suspend_person(&self, person: &str) -> Result<(), Problem>;
    /// Gives somebody who is suspended their rights back.
    async fn resume_person(&self, person: &str) -> Result<(), Problem>;
    /// What erasing a person would come to.
    async fn plan_person_erasure(
        &self,
        person: &str,
        wish: PersonToErase,
    ) -> Result<PersonErasurePlan, Problem>;
    /// Erases a person.
    async fn erase_person(&self, person: &str, wish: PersonToErase) -> Result<Erasure, Problem>;
}

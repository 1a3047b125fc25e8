//! Pools: several realms that put shares together under rules that all of them have signed.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// Who decides on a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PoolDecide {
    /// More than half of the members.
    #[default]
    Majority,
    /// Every one.
    All,
}

/// What all members are bound by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolRules {
    /// Who decides on a change.
    #[serde(default)]
    pub decide: PoolDecide,
    /// Who leaves says so as many days before.
    #[serde(default = "month")]
    pub notice_days: u16,
    /// For so many days after a grant of the pool has ended, what lies there can be fetched.
    #[serde(default = "month")]
    pub wind_down_days: u16,
}

const fn month() -> u16 {
    30
}

impl Default for PoolRules {
    fn default() -> Self {
        Self { decide: PoolDecide::default(), notice_days: month(), wind_down_days: month() }
    }
}

/// What this realm would give and use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolShare {
    /// Bytes that it lends, to all others together.
    pub gives: u64,
    /// Bytes that it may use, at all others together.
    pub uses: u64,
    /// Where its machines stand, in a word: who writes the same word stands together. Empty for nowhere in particular.
    #[serde(default)]
    pub place: String,
}

/// A wish to found a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewPool {
    /// What people are to call it.
    pub name: String,
    /// This realm's row.
    #[serde(flatten)]
    pub share: PoolShare,
    /// What all are to be bound by.
    #[serde(default)]
    pub rules: PoolRules,
}

/// A wish to come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolToJoin {
    /// The pool's papers.
    pub papers: String,
    /// This realm's row.
    #[serde(flatten)]
    pub share: PoolShare,
}

/// Papers of one pool, each text as it was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolPapers {
    /// The texts.
    pub papers: Vec<String>,
}

/// What is to be signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolToSign {
    /// The pool, by name or id; that of the papers, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Papers that were handed over, to be read before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub papers: Vec<String>,
    /// Which of several that wait, by the start of its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charter: Option<String>,
}

/// What is to be otherwise in a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolChange {
    /// Bytes that this realm gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives: Option<u64>,
    /// Bytes that it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
    /// Where its machines stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Realms that asked to join and are to come in, by name or id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub let_in: Vec<String>,
    /// Members that are to be put out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<String>,
    /// Who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decide: Option<PoolDecide>,
    /// The days of notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_days: Option<u16>,
    /// The days of winding down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wind_down_days: Option<u16>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A realm in a pool, or one that would come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolMember {
    /// Its id, in hex.
    pub realm: String,
    /// What it calls itself.
    pub name: String,
    /// Whether it is this one.
    pub is_me: bool,
    /// What it gives, may use, and where it stands.
    #[serde(flatten)]
    pub share: PoolShare,
    /// Bytes of what it gives that are shared out by the charter.
    pub shared_out: u64,
    /// Bytes of what it may use that it has somewhere by the charter.
    pub has: u64,
    /// Until when it is bound, in milliseconds since 1970, if it has said that it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_ms: Option<u64>,
    /// Whether it has signed two things that exclude each other.
    pub said_two_things: bool,
    /// What lies where, as the members say by their meters; nothing before one has said something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<PoolBalance>,
}

/// What a member keeps for the others, and has with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolBalance {
    /// Bytes of the others that lie with it, as it says.
    pub keeps: u64,
    /// The same as the others say.
    pub keeps_as_told: u64,
    /// Bytes of its own that lie with the others, as those say who keep them.
    pub uses_now: u64,
    /// When it has said so last, in milliseconds since 1970, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<u64>,
}

/// A charter that waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolProposal {
    /// Its id, in hex.
    pub id: String,
    /// What it says, or what would be otherwise, a line each.
    pub says: Vec<String>,
    /// Who has signed it, by name.
    pub signed: Vec<String>,
    /// Without whose signature it never counts.
    pub missing: Vec<String>,
    /// How many of the others have to sign besides.
    pub more: u64,
    /// Whether it waits for this machine's key.
    pub is_mine_to_sign: bool,
}

/// What one member lends another by the charter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolLending {
    /// Who lends, by name.
    pub lender: String,
    /// To whom.
    pub borrower: String,
    /// Bytes.
    pub bytes: u64,
    /// Bytes for which there is a grant that holds, where this realm is one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<u64>,
    /// What is in the way, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// How a pool stands, by the papers that are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolStatus {
    /// Its id, in hex.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether all of its first members have signed.
    pub begun: bool,
    /// What all are bound by, or would be.
    pub rules: PoolRules,
    /// Its members; before it has begun, those who have said what they would give.
    pub members: Vec<PoolMember>,
    /// Who would come in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<PoolMember>,
    /// Who lends whom how much by the charter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lending: Vec<PoolLending>,
    /// What waits for signatures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<PoolProposal>,
    /// Realms in it with which this one has no grant that holds, by name: papers do not travel to them from here by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_hand: Vec<String>,
    /// What is to be typed or done next here, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

/// A pool, with what to hand to the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolHanded {
    /// How it stands.
    #[serde(flatten)]
    pub pool: PoolStatus,
    /// All its papers. They are no secret to members; nothing if nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub papers: Option<String>,
}

/// What a node does about pools.
#[async_trait]
pub trait PoolControl: Send + Sync {
    /// All pools of which there are papers here.
    async fn pools(&self) -> Result<Vec<PoolStatus>, Problem>;
    /// Founds one; with `dry_run`, as in all that follow, it only says how it would stand.
    async fn new_pool(&self, wish: NewPool, dry_run: bool) -> Result<PoolHanded, Problem>;
    /// Says what this realm would give to another one's.
    async fn join_pool(&self, wish: PoolToJoin, dry_run: bool) -> Result<PoolHanded, Problem>;
    /// Takes in what others have.
    async fn take_pool_papers(&self, papers: PoolPapers) -> Result<PoolHanded, Problem>;
    /// All papers of a pool.
    async fn pool_papers(&self, pool: &str) -> Result<PoolHanded, Problem>;
    /// Signs what waits for this realm.
    async fn sign_pool(&self, wish: PoolToSign, dry_run: bool) -> Result<PoolHanded, Problem>;
    /// Proposes a change, and signs it.
    async fn change_pool(&self, pool: &str, change: PoolChange, dry_run: bool)
    -> Result<PoolHanded, Problem>;
    /// Says that this realm leaves. One that is not bound has its papers forgotten here, and nothing comes back.
    async fn leave_pool(&self, pool: &str, dry_run: bool) -> Result<Option<PoolHanded>, Problem>;
}

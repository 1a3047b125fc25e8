//! The filter of names: which are blocked, for whom and when, and what else is said of names here.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// What the realm says of names, and how that is on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterStatus {
    /// Lists of names that may be blocked.
    pub lists: Vec<FilterList>,
    /// For whom what holds.
    pub groups: Vec<FilterGroup>,
    /// Names that are answered here.
    pub records: Vec<FilterRecord>,
    /// Domains that servers of their own are asked for.
    pub forwards: Vec<FilterForward>,
    /// Servers that are asked for everything else, in order; none: nobody is asked.
    pub upstreams: Vec<FilterServer>,
    /// Whether `upstreams` was said to this node alone, as it was started.
    pub upstreams_here: bool,
    /// What is counted.
    pub statistics: FilterKeep,
    /// How many names are blocked by all lists together.
    pub blocked: u64,
    /// Where this node answers.
    pub answers_at: Vec<String>,
    /// What is wrong.
    pub troubles: Vec<String>,
}

/// What is counted, in memory, for a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterKeep {
    /// Nothing.
    Off,
    /// How much was asked, and what became of it; no names.
    #[default]
    Anonymous,
    /// The most frequent names as well.
    Full,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterList {
    /// What people call it.
    pub name: String,
    /// Where it comes from: a URL, or a file of this machine.
    pub source: String,
    /// Whether this machine alone knows of it, as of every list that is a file.
    pub here_only: bool,
    /// For which groups it counts.
    pub groups: Vec<String>,
    /// How many rules the one in use has; none if none is in use yet.
    pub rules: Option<u64>,
    /// SHA-256 of the one in use, in hex.
    pub sha256: Option<String>,
    /// The only content that is taken, in hex.
    pub pinned: Option<String>,
    /// When the one in use came, in milliseconds since 1970.
    pub fetched_ms: Option<u64>,
    /// When it was last seen to be the newest.
    pub seen_ms: Option<u64>,
    /// Why there is no newer one.
    pub problem: Option<String>,
    /// What to do about that.
    pub next: Option<String>,
}

/// What holds for some of those who ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterGroup {
    /// What people call it.
    pub name: String,
    /// Who they are.
    pub members: Vec<String>,
    /// The lists that count.
    pub lists: Vec<String>,
    /// What passes whatever lists say.
    pub allow: Vec<String>,
    /// What is blocked besides.
    pub block: Vec<String>,
    /// Hours in which something else holds.
    pub hours: Vec<FilterHours>,
    /// Whose clocks the hours are meant by; none: those of the machine that answers.
    pub zone: Option<String>,
    /// Whether search engines give strict results.
    pub safe_search: bool,
    /// Whether a blocked name does not exist; or else it leads nowhere.
    pub no_such_name: bool,
    /// Nothing of this holds until then, in milliseconds since 1970.
    pub paused_until_ms: Option<u64>,
}

/// Hours of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterHours {
    /// As `mon-fri` or `sat,sun`.
    pub days: String,
    /// As `21:00`.
    pub from: String,
    /// As `07:00`; on the next day if it is not later.
    pub to: String,
    /// The lists that count then as well; none: nothing is answered but what is allowed.
    pub lists: Option<Vec<String>>,
}

/// A name that is answered here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterRecord {
    /// The name.
    pub name: String,
    /// Type and data of each record, as `A 192.168.1.9`.
    pub values: Vec<String>,
}

/// A domain that servers of its own are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterForward {
    /// The domain.
    pub domain: String,
    /// The servers, in order.
    pub servers: Vec<String>,
}

/// A server that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterServer {
    /// As `192.0.2.1`, `tls://dns.example@192.0.2.1` or `https://dns.example/dns-query@192.0.2.1`.
    pub server: String,
    /// Answers that it gave this node.
    pub answered: u64,
    /// Questions that it did not answer, or late.
    pub failed: u64,
    /// Why it failed last, if it has not answered since.
    pub problem: Option<String>,
}

/// A change of what the realm says of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum FilterChange {
    /// A list more, or another source for one.
    AddList {
        /// What it is called.
        name: String,
        /// A URL, or the absolute path of a file of the node's machine.
        source: String,
        /// `hosts`, `domains` or `adblock`; guessed if nobody says.
        syntax: Option<String>,
        /// The only content that is taken, in hex.
        sha256: Option<String>,
        /// How often it is looked for, in hours.
        every_hours: Option<u16>,
        /// For which groups it counts; `everybody` if none is given.
        groups: Vec<String>,
    },
    /// A list less, in all groups.
    RemoveList {
        /// Which.
        name: String,
    },
    /// A new group, or another setting for one; what is not given stays.
    SetGroup {
        /// Which.
        group: String,
        /// Who they are.
        members: Option<Vec<String>>,
        /// The lists that count.
        lists: Option<Vec<String>>,
        /// Whether search engines give strict results.
        safe_search: Option<bool>,
        /// Whether a blocked name does not exist.
        no_such_name: Option<bool>,
        /// Whose clocks its hours are meant by; empty for those of the machine that answers.
        zone: Option<String>,
    },
    /// A group less.
    RemoveGroup {
        /// Which.
        group: String,
    },
    /// A name passes, or is blocked, or neither any more, for a group.
    SetName {
        /// The name, with all below it; after `=` that name alone.
        name: String,
        /// Which group.
        group: String,
        /// What becomes of it; neither if it is not given.
        rule: Option<FilterRule>,
    },
    /// Hours more in which something else holds.
    AddHours {
        /// For which group.
        group: String,
        /// The hours.
        hours: FilterHours,
    },
    /// No hours any more.
    ClearHours {
        /// For which group.
        group: String,
    },
    /// A pause; an end to it with no minutes.
    Pause {
        /// For which group; for all if none is given.
        group: Option<String>,
        /// For how long.
        minutes: u32,
    },
    /// What a name is answered with; nothing any more with no values.
    SetRecord {
        /// The name.
        name: String,
        /// Addresses, or type and data, as `CNAME nas.smith.internal`.
        values: Vec<String>,
    },
    /// Who is asked for a domain; nobody of its own any more with no servers.
    SetForward {
        /// The domain.
        domain: String,
        /// The servers, in order.
        servers: Vec<String>,
    },
    /// Who is asked for everything else; nobody with no servers.
    SetUpstreams {
        /// The servers, in order.
        servers: Vec<String>,
    },
    /// What is counted.
    SetStatistics {
        /// What.
        keep: FilterKeep,
    },
}

/// What becomes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterRule {
    /// It passes.
    Allow,
    /// It is blocked.
    Block,
}

/// A name, and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterQuestion {
    /// The name.
    pub name: String,
    /// A person, node or phone by name or id, `lan`, `phones`, `everybody`, or an address of a house.
    pub who: String,
}

/// What becomes of a name for somebody, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterExplanation {
    /// The name.
    pub name: String,
    /// Who asks.
    pub who: String,
    /// The group they are in.
    pub group: Option<String>,
    /// Whether it is answered as it is.
    pub allowed: bool,
    /// What becomes of it, and by which list, name or hours.
    pub why: String,
    /// What to type to have it otherwise.
    pub next: Option<String>,
}

/// How much was asked of this node in the last day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterStats {
    /// What is counted.
    pub statistics: FilterKeep,
    /// Hour by hour, the oldest first.
    pub hours: Vec<FilterHour>,
    /// Group by group; who is in none comes last.
    pub groups: Vec<FilterGroupCount>,
    /// The names that were blocked most often.
    pub blocked: Vec<FilterCount>,
    /// The names that passed most often.
    pub passed: Vec<FilterCount>,
}

/// What became of questions in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterHour {
    /// How many hours ago it began.
    pub hours_ago: u64,
    /// Questions.
    pub asked: u64,
    /// Blocked.
    pub blocked: u64,
    /// Answered from what is known here: own names, other names in place of some, and the cache.
    pub here: u64,
    /// Answered by others.
    pub others: u64,
    /// Not answered.
    pub failed: u64,
}

/// How much a group asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterGroupCount {
    /// The group; none for who is in none.
    pub group: Option<String>,
    /// Questions.
    pub asked: u64,
    /// Blocked.
    pub blocked: u64,
}

/// How often a name was asked for, about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterCount {
    /// The name.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// What a node does about the filter of names.
#[async_trait]
pub trait FilterControl: Send + Sync {
    /// What the realm says of names, and how that is here.
    async fn filter(&self) -> Result<FilterStatus, Problem>;
    /// Changes it; with `dry_run` it only says whether it would.
    async fn change_filter(&self, change: FilterChange, dry_run: bool) -> Result<FilterStatus, Problem>;
    /// Looks for newer lists now, and waits until each has come or has not.
    async fn renew_lists(&self) -> Result<FilterStatus, Problem>;
    /// What becomes of a name for somebody, and why.
    async fn explain_name(&self, question: FilterQuestion) -> Result<FilterExplanation, Problem>;
    /// How much was asked of this node.
    async fn filter_stats(&self) -> Result<FilterStats, Problem>;
}

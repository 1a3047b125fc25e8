//! `freehold net filter`: what may be typed.

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use freehold_api::FilterKeep;

use super::super::args::yes_or_no;

/// `freehold net filter`.
#[derive(Debug, Clone, Subcommand)]
pub enum FilterCommand {
    /// Show what is blocked for whom, and whether every list has come
    Status,
    /// Lists of names: add, remove, refresh
    List {
        /// What to do.
        #[command(subcommand)]
        command: ListCommand,
    },
    /// Groups, for which one thing holds each: set, remove
    Group {
        /// What to do.
        #[command(subcommand)]
        command: GroupCommand,
    },
    /// Let a name pass, with all below it; =NAME for that name alone
    Allow(NameArgs),
    /// Block a name, with all below it; =NAME for that name alone
    Block(NameArgs),
    /// Say nothing of a name any more
    Forget(NameArgs),
    /// Hours of the week in which more is blocked: add, clear
    Hours {
        /// What to do.
        #[command(subcommand)]
        command: HoursCommand,
    },
    /// Block nothing for some minutes; 0 ends a pause
    Pause {
        /// For how long.
        minutes: u32,
        /// For this group only
        #[arg(long = "for", value_name = "GROUP")]
        group: Option<String>,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Names that are answered here: set, remove
    Record {
        /// What to do.
        #[command(subcommand)]
        command: RecordCommand,
    },
    /// Domains that servers of their own are asked for: set, remove
    Forward {
        /// What to do.
        #[command(subcommand)]
        command: ForwardCommand,
    },
    /// Say who is asked for the internet's names, in order: 192.0.2.1, tls://NAME@192.0.2.1 or
    /// https://NAME/dns-query@192.0.2.1; none for nobody
    Upstream {
        /// The servers.
        #[arg(required = true, value_name = "SERVER")]
        servers: Vec<String>,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Say what is counted, in memory, for a day: off for nothing, anonymous for how much, full for names too
    Statistics {
        /// What.
        keep: Keep,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Say what becomes of a name for somebody, and by which list or rule
    Explain {
        /// The name.
        name: String,
        /// A person, node or phone; everybody, phones, lan, or an address of the house
        #[arg(long = "for", value_name = "WHO", default_value = "everybody")]
        who: String,
    },
    /// Show how much was asked in the last day, and what became of it
    Stats,
}

/// `freehold net filter list`.
#[derive(Debug, Clone, Subcommand)]
pub enum ListCommand {
    /// Add a list, or give one another source
    Add(ListAddArgs),
    /// Remove a list
    Remove {
        /// What it is called.
        name: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Look for newer lists now, and say what came
    Refresh,
}

/// `freehold net filter list add`.
#[derive(Debug, Clone, Args)]
pub struct ListAddArgs {
    /// What it is to be called
    pub name: String,
    /// A URL, or a file of this machine, which no other machine has
    pub source: String,
    /// The group for which it counts; may be given several times
    #[arg(long = "for", value_name = "GROUP", default_value = "everybody")]
    pub groups: Vec<String>,
    /// How it is written [default: guessed]
    #[arg(long, value_name = "hosts|domains|adblock")]
    pub syntax: Option<String>,
    /// Take only this content
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<String>,
    /// How often it is looked for, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub every: u16,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold net filter group`.
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// Make a group, or change one; what is not given stays
    Set(GroupSetArgs),
    /// Remove a group: who was in it is in the one for everybody
    Remove {
        /// What it is called.
        group: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold net filter group set`.
#[derive(Debug, Clone, Args)]
pub struct GroupSetArgs {
    /// What it is called
    pub group: String,
    /// Who is in it: a person (their laptops and phones), node or phone, phones, lan, everybody, or a network as
    /// 192.168.7.0/24; may be given several times
    #[arg(long = "for", value_name = "WHO")]
    pub members: Option<Vec<String>>,
    /// A list that counts; may be given several times; none for none
    #[arg(long = "list", value_name = "LIST")]
    pub lists: Option<Vec<String>>,
    /// Whether search engines give strict results
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub safe_search: Option<bool>,
    /// Whether a blocked name does not exist; or else it leads nowhere
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub no_such_name: Option<bool>,
    /// Whose clocks its hours are meant by, as Europe/Berlin; own for those of the machine that answers
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// A name, and a group.
#[derive(Debug, Clone, Args)]
pub struct NameArgs {
    /// The name
    pub name: String,
    /// For which group
    #[arg(long = "for", value_name = "GROUP", default_value = "everybody")]
    pub group: String,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold net filter hours`.
#[derive(Debug, Clone, Subcommand)]
pub enum HoursCommand {
    /// Add hours, in which these lists count as well, or nothing is answered but what is allowed
    Add {
        /// For which group
        group: String,
        /// mon-fri, sat,sun or daily
        #[arg(long)]
        days: String,
        /// As 21:00
        #[arg(long)]
        from: String,
        /// As 07:00; on the next day if it is not later
        #[arg(long)]
        to: String,
        /// A list that counts then; may be given several times; without, nothing is answered but what is allowed
        #[arg(long = "list", value_name = "LIST")]
        lists: Option<Vec<String>>,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Take all hours of a group back
    Clear {
        /// Which group
        group: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold net filter record`.
#[derive(Debug, Clone, Subcommand)]
pub enum RecordCommand {
    /// Say what a name is answered with
    Set {
        /// The name; a first label * stands for every name that is not said
        name: String,
        /// An address, or type and data as "CNAME nas.smith.internal"; several make several records
        #[arg(required = true)]
        values: Vec<String>,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Answer a name with nothing of ours any more
    Remove {
        /// The name
        name: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold net filter forward`.
#[derive(Debug, Clone, Subcommand)]
pub enum ForwardCommand {
    /// Say who is asked for a domain and all below it
    Set {
        /// The domain
        domain: String,
        /// The servers, in order
        #[arg(required = true, value_name = "SERVER")]
        servers: Vec<String>,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Ask nobody of its own for a domain any more
    Remove {
        /// The domain
        domain: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// Nothing.
    Off,
    /// How much.
    Anonymous,
    /// Names too.
    Full,
}

impl From<Keep> for FilterKeep {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Off => Self::Off,
            Keep::Anonymous => Self::Anonymous,
            Keep::Full => Self::Full,
        }
    }
}

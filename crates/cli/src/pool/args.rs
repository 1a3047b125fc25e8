//! What is typed after `freehold pool`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `freehold pool`.
#[derive(Debug, Subcommand)]
pub enum PoolCommand {
    /// Found a pool: what this realm gives and uses, and the rules; prints what others join by
    New(NewPoolArgs),
    /// Print what another realm joins by, and its QR code
    Invite(HandArgs),
    /// Say what this realm would give to a pool and use of it; binds nobody yet
    Join(JoinPoolArgs),
    /// Sign what waits for this realm; who founds a pool makes its charter so, of all who have joined
    Sign(SignPoolArgs),
    /// Show a pool: who gives and uses how much, who has signed, what is missing
    Show {
        /// The pool, by name or id
        pool: String,
    },
    /// List the pools of which there are papers here
    List,
    /// Propose a change, and sign it
    Change(Box<ChangePoolArgs>),
    /// Say that this realm leaves; nobody has to agree, and it is bound until the notice is over
    Leave(LeavePoolArgs),
    /// Papers, as members hand them to each other
    Papers {
        /// What to do with papers.
        #[command(subcommand)]
        command: PapersCommand,
    },
}

/// `freehold pool papers`.
#[derive(Debug, Subcommand)]
pub enum PapersCommand {
    /// Print all papers of a pool
    Export(HandArgs),
    /// Take in what others have: in any order, as often as wanted
    Import {
        /// Papers of one pool, or files with them; - reads them
        #[arg(required = true)]
        papers: Vec<String>,
    },
}

/// What is printed to be handed on.
#[derive(Debug, Args)]
pub struct HandArgs {
    /// The pool, by name or id
    pub pool: String,
    /// Write the papers into a new file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// What this realm gives and uses.
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// Room that this realm lends, to all others together, as 500GiB
    #[arg(long, value_name = "SIZE")]
    pub give: String,
    /// Room that it may use, at all others together
    #[arg(long = "use", value_name = "SIZE")]
    pub uses: String,
    /// Where its machines stand, in a word: copies lie in other places first
    #[arg(long, value_name = "WORD", default_value = "")]
    pub place: String,
}

/// Who decides on a change.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Decide {
    /// More than half of the members
    Majority,
    /// Every one
    All,
}

/// `freehold pool new`.
#[derive(Debug, Args)]
pub struct NewPoolArgs {
    /// What people are to call it
    pub name: String,
    #[command(flatten)]
    pub share: ShareArgs,
    /// Who decides on a change; new rules always take everybody, and one's own row oneself
    #[arg(long, value_enum, default_value = "majority")]
    pub decide: Decide,
    /// How long before one says that one leaves
    #[arg(long, value_name = "DAYS", default_value = "30d")]
    pub notice: String,
    /// How long what lies with others can be fetched at the end
    #[arg(long, value_name = "DAYS", default_value = "30d")]
    pub wind_down: String,
    /// Write the papers into a new file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only say how it would stand
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold pool join`.
#[derive(Debug, Args)]
pub struct JoinPoolArgs {
    /// The pool's papers, or a file with them; - reads them
    pub papers: String,
    #[command(flatten)]
    pub share: ShareArgs,
    /// Write the papers into a new file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only read them
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold pool sign`.
#[derive(Debug, Args)]
pub struct SignPoolArgs {
    /// The pool, by name or id; or papers of it, or files with them, which are taken in before; - reads them
    #[arg(required = true, value_name = "POOL|PAPERS")]
    pub what: Vec<String>,
    /// Which of several changes that wait, by the start of its id
    #[arg(long, value_name = "ID")]
    pub charter: Option<String>,
    /// Write the papers into a new file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only read what would be signed
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold pool change`.
#[derive(Debug, Args)]
pub struct ChangePoolArgs {
    /// The pool, by name or id
    pub pool: String,
    /// Room that this realm lends
    #[arg(long, value_name = "SIZE")]
    pub give: Option<String>,
    /// Room that it may use
    #[arg(long = "use", value_name = "SIZE")]
    pub uses: Option<String>,
    /// Where its machines stand, in a word
    #[arg(long, value_name = "WORD")]
    pub place: Option<String>,
    /// A realm that has joined since, and is to come in
    #[arg(long, value_name = "REALM", value_delimiter = ',')]
    pub let_in: Vec<String>,
    /// A member that is to be put out
    #[arg(long, value_name = "REALM", value_delimiter = ',')]
    pub out: Vec<String>,
    /// Who decides on a change
    #[arg(long, value_enum)]
    pub decide: Option<Decide>,
    /// How long before one says that one leaves
    #[arg(long, value_name = "DAYS")]
    pub notice: Option<String>,
    /// How long what lies with others can be fetched at the end
    #[arg(long, value_name = "DAYS")]
    pub wind_down: Option<String>,
    /// What people are to call it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write the papers into a new file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only say what would be proposed
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold pool leave`.
#[derive(Debug, Args)]
pub struct LeavePoolArgs {
    /// The pool, by name or id
    pub pool: String,
    /// Write the papers into a new file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only say what it would be
    #[arg(long)]
    pub dry_run: bool,
}

//! What is typed after `freehold grant`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `freehold grant`.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Print this realm's card, by which another realm can lend it something
    Card,
    /// Lend another realm services, a gateway, relays or room: prints an offer and its QR code
    Offer(Box<GrantOfferArgs>),
    /// Take up what another realm offers
    Accept(GrantAcceptArgs),
    /// List what is lent and borrowed
    List,
    /// Show a grant: what it opens, who comes by it, what is in the way
    Show {
        /// The grant, by name or id
        grant: String,
    },
    /// End a grant for good, on either side; what goes by it is cut off
    Revoke {
        /// The grant, by name or id
        grant: String,
        /// Only say whether it would end
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold grant offer`.
#[derive(Debug, Args)]
pub struct GrantOfferArgs {
    /// The other realm's card, or a file with it; - reads it
    #[arg(long, value_name = "CARD")]
    pub to: String,
    /// Services of the network that the other realm's machines may use
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        required_unless_present_any = ["gateway", "relay", "storage"],
        conflicts_with_all = ["gateway", "relay", "storage"]
    )]
    pub services: Vec<String>,
    /// Take in what the internet sends to names of the other realm, at gateways that take something in
    #[arg(long, conflicts_with_all = ["relay", "storage"])]
    pub gateway: bool,
    /// Let the other realm's machines come by this realm's relays to each other, where nothing else leads there
    #[arg(long, conflicts_with = "storage")]
    pub relay: bool,
    /// Room for copies of the other realm, sealed before they come, as 50GiB
    #[arg(long, value_name = "SIZE")]
    pub storage: Option<String>,
    /// How much of it may be read in a month, as 200GiB/month [default: four times the room]
    #[arg(long, value_name = "SIZE", requires = "storage")]
    pub egress: Option<String>,
    /// For how many days what is stored can still be read after the end [default: 30]
    #[arg(long, value_name = "DAYS", requires = "storage")]
    pub wind_down: Option<u16>,
    /// The machines that keep it, each an equal part [default: this one]
    #[arg(long, value_name = "NODE", value_delimiter = ',', requires = "storage")]
    pub on: Vec<String>,
    /// Until when, as 90d, 12h, 8w or 2027-01-31 [default: a year from now]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// What to call it here [default: the other realm's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write the offer into a new file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only say whether it would be offered
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold grant accept`.
#[derive(Debug, Args)]
pub struct GrantAcceptArgs {
    /// The offer, or a file with it; - reads it
    pub offer: String,
    /// What to call it here [default: the other realm's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only read it
    #[arg(long)]
    pub dry_run: bool,
}

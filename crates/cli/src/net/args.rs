//! `freehold net`: what may be typed.

use clap::{ArgAction, Args, Subcommand};

use super::addresses::AddressCommand;
use super::door::{CaCommand, CertificatesCommand, PublishArgs, ServiceSetArgs};
use super::filter::args::FilterCommand;

/// `freehold net`.
#[derive(Debug, Clone, Subcommand)]
pub enum NetCommand {
    /// Show the network: addresses and names, who is connected how, and what is wrong
    Status,
    /// Show or change what this machine uses of what others offer: an exit, networks behind others
    Use(super::choice::NetUseArgs),
    /// Change the network as a whole; what is not given stays
    Set(NetSetArgs),
    /// Change a node's part in the network; what is not given stays
    Node(NetNodeArgs),
    /// Who may reach whom: explain
    Policy {
        /// What to do.
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Who certifies the names of published services: show, set
    Certificates {
        /// What to do.
        #[command(subcommand)]
        command: CertificatesCommand,
    },
    /// The realm's own authority, for names in the realm: show
    Ca {
        /// What to do.
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Services: add, set, list, end
    Service {
        /// What to do.
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Rules of who may reach whom: add, list, end
    Rule {
        /// What to do.
        #[command(subcommand)]
        command: RuleCommand,
    },
    /// Ports of this machine that lead to one place in the network: add, list, remove
    Forward {
        /// What to do.
        #[command(subcommand)]
        command: super::forward::ForwardCommand,
    },
    /// Names on the internet that follow this machine: publish, list, remove
    Address {
        /// What to do.
        #[command(subcommand)]
        command: AddressCommand,
    },
    /// Names that are blocked: for whom, when, and by which lists
    Filter {
        /// What to do.
        #[command(subcommand)]
        command: FilterCommand,
    },
    /// The console and SSH of this machine over the Tor network: on, off, show, let-in, remove
    Onion {
        /// What to do.
        #[command(subcommand)]
        command: super::onion::OnionCommand,
    },
    /// Phones, and other machines without this program: add, list, end
    Phone {
        /// What to do.
        #[command(subcommand)]
        command: PhoneCommand,
    },
}

/// `freehold net set`.
#[derive(Debug, Clone, Args)]
pub struct NetSetArgs {
    /// Where nodes have IPv4 addresses, as 10.20.0.0/16; own is the realm's own range
    #[arg(long, value_name = "NETWORK")]
    pub range: Option<String>,
    /// Whether guests may reach the internet through exits, too
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub guests_exit: Option<bool>,
    /// Whether even one's own laptop reaches only what a service or a rule opens
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub strict: Option<bool>,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold net node`.
#[derive(Debug, Clone, Args)]
pub struct NetNodeArgs {
    /// Its name, its id, or the first characters of its id
    pub node: String,
    /// Its IPv4 address; auto for the first one that is free, none for none
    #[arg(long, value_name = "ADDRESS")]
    pub ipv4: Option<String>,
    /// Whether others may reach the internet through it
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub exit: Option<bool>,
    /// Whether it takes in what the internet sends to published services
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub ingress: Option<bool>,
    /// A network behind it that others may reach, as 192.168.1.0/24; may be given several times, and those
    /// that are not given are taken back; none for none
    #[arg(long = "route", value_name = "NETWORK")]
    pub routes: Option<Vec<String>>,
    /// Whose machine it is: a member's name or id; nobody for nobody's
    #[arg(long, value_name = "PERSON")]
    pub owner: Option<String>,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}

/// `freehold net policy`.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Say whether one may reach another, and by which operation; any two of the realm may be asked about
    Explain {
        /// A person, node or phone by name or id; grant:ID, or lan for whoever is in the network around
        from: String,
        /// A node, service or phone by name or id
        to: String,
        /// 443, 53/udp or ping; not needed for a service, which has its own
        port: Option<String>,
    },
}

/// `freehold net service`.
#[derive(Debug, Clone, Subcommand)]
pub enum ServiceCommand {
    /// Make a service: a name in the realm's zone for something that runs on a machine, open to whom you say
    Add(Box<ServiceAddArgs>),
    /// Change a service; what is not given stays
    Set(Box<ServiceSetArgs>),
    /// List the services
    List,
    /// End a service for good
    End {
        /// Its name, its id, or the first characters of its id
        service: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold net service add`.
#[derive(Debug, Clone, Args)]
pub struct ServiceAddArgs {
    /// Its name in the realm's zone: lower-case letters, digits and hyphens
    pub name: String,
    /// The node that it runs on; may be given several times
    #[arg(long = "node", value_name = "NODE", required = true)]
    pub nodes: Vec<String>,
    /// Its port, as tcp/8080, udp/53 or tcp/8000-8010; may be given several times
    #[arg(long = "port", value_name = "PORT", required = true, value_delimiter = ',')]
    pub ports: Vec<String>,
    /// Who may use it: realm for members and servers, lan for the owner of the machine and the network around
    /// it, public for everybody in the realm and, by gateways, in the world; besides grant:ID
    #[arg(long, value_name = "WHO", default_value = "realm", value_delimiter = ',')]
    pub access: Vec<String>,
    /// A gateway that takes it to the outside; may be given several times
    #[arg(long = "gateway", value_name = "NODE")]
    pub gateways: Vec<String>,
    /// How it is published.
    #[command(flatten)]
    pub publish: PublishArgs,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold net rule`.
#[derive(Debug, Clone, Subcommand)]
pub enum RuleCommand {
    /// Make a rule: it opens what nothing else does
    Add(RuleAddArgs),
    /// List the rules
    List,
    /// End a rule for good
    End {
        /// Its name, its id, or the first characters of its id
        rule: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold net rule add`.
#[derive(Debug, Clone, Args)]
pub struct RuleAddArgs {
    /// What it is called
    pub name: String,
    /// Who may: a person (their laptops and phones), node or phone; role:admin for all members with a role,
    /// nodes:gateway for all nodes with one, grant:ID; may be given several times
    #[arg(long, value_name = "WHO", required = true)]
    pub from: Vec<String>,
    /// What they may reach: a node, a service, or all nodes; may be given several times
    #[arg(long, value_name = "WHAT", required = true)]
    pub to: Vec<String>,
    /// At which port of a node, as tcp/22, udp/53, tcp/8000-8010 or any; may be given several times
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',')]
    pub ports: Vec<String>,
    /// When it ends: 12h, 30d, 8w, or a day as 2027-01-31
    #[arg(long)]
    pub until: Option<String>,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `freehold net phone`.
#[derive(Debug, Clone, Subcommand)]
pub enum PhoneCommand {
    /// Let a phone in: makes a WireGuard configuration for it, as a file and a QR code
    Add(PhoneAddArgs),
    /// List the phones
    List,
    /// Shut a phone out for good
    End {
        /// Its name, its id, or the first characters of its id
        phone: String,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold net phone add`.
#[derive(Debug, Clone, Args)]
pub struct PhoneAddArgs {
    /// What it is called
    pub name: String,
    /// Whose it is: a member's name or id [default: yours]
    #[arg(long, value_name = "PERSON")]
    pub person: Option<String>,
    /// The gateway that it comes by [default: the one that takes phones in, if there is but one]
    #[arg(long, value_name = "NODE")]
    pub gateway: Option<String>,
    /// When it ends: 12h, 90d, 8w, or a day as 2027-01-31
    #[arg(long)]
    pub until: Option<String>,
    /// Write the configuration to this new file, which only you can read, and show it nowhere
    #[arg(long, value_name = "FILE")]
    pub out: Option<std::path::PathBuf>,
    /// Only say whether it would be let in
    #[arg(long)]
    pub dry_run: bool,
}

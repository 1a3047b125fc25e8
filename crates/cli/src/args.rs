//! The command line: what people may type. Help texts, completions and man pages come from here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// One private cloud from the machines that a group owns.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Folder that holds this node: keys, log and sealed data [default: ~/.local/share/freehold]
    #[arg(long, global = true, env = "FREEHOLD_HOME", hide_env_values = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print answers as JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Ask nothing, take the defaults
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a realm on this machine, or resume it, and run its node
    Up(Up),
    /// Run a seeded realm to look at; it is thrown away at the end
    Demo(Run),
    /// Join a realm with an invitation, and run the node
    Join(Join),
    /// Get a realm back with guardian phrases, on a new machine
    Recover(Recover),
    /// Stop the node of this home
    Stop,
    /// Show the realm: what is protected, who is there, what needs attention
    Status,
    /// Tell what is wrong and what to type
    Doctor,
    /// Print the node's figures as Prometheus reads them
    Metrics,
    /// Invite a machine: prints a one-time invitation and its QR code
    Invite(Invite),
    /// Buckets: create, list, set, verify, delete, erase, and their keys
    Bucket {
        /// What to do with buckets.
        #[command(subcommand)]
        command: BucketCommand,
    },
    /// Objects: erase one, wherever copies of it lie
    Object {
        /// What to do with objects.
        #[command(subcommand)]
        command: ObjectCommand,
    },
    /// Receipts of erasures: list, save, check
    Receipt {
        /// What to do with receipts.
        #[command(subcommand)]
        command: ReceiptCommand,
    },
    /// People: list, add, rename, and erase one with all that is theirs alone
    Person {
        /// What to do with people.
        #[command(subcommand)]
        command: crate::person::PersonCommand,
    },
    /// Leaving: move what is yours from one realm to another
    Tenant {
        /// What to do about a move.
        #[command(subcommand)]
        command: crate::tenant::TenantCommand,
    },
    /// Backends: keep sealed objects on a foreign S3 that nobody has to trust
    Backend {
        /// What to do with backends.
        #[command(subcommand)]
        command: BackendCommand,
    },
    /// Where this machine sends its alarms: add, test, list, remove
    Alarm {
        /// What to do with them.
        #[command(subcommand)]
        command: crate::alarm::AlarmCommand,
    },
    /// Backups of this machine's files, in restic's format: set up, look into, restore
    Backup {
        /// What to do with backups.
        #[command(subcommand)]
        command: crate::backup::args::BackupCommand,
    },
    /// Access keys of the S3 endpoint: create, list, revoke
    Key {
        /// What to do with access keys.
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Databases: keys, documents, indexes, who writes them
    Kv {
        /// What to do with databases.
        #[command(subcommand)]
        command: crate::kv::args::KvCommand,
    },
    /// The network: who is in it, what is open to whom and why; services and rules
    Net {
        /// What to do with the network.
        #[command(subcommand)]
        command: crate::net::args::NetCommand,
    },
    /// Grants: what this realm and others lend each other
    Grant {
        /// What to do with grants.
        #[command(subcommand)]
        command: crate::grant::args::GrantCommand,
    },
    /// Pools: several realms put room together under rules that all of them sign
    Pool {
        /// What to do with pools.
        #[command(subcommand)]
        command: crate::pool::args::PoolCommand,
    },
    /// What the realm, its members, services and buckets keep, and may keep
    Usage,
    /// Quotas: bound what the realm, a member, a service or a bucket may keep
    Quota {
        /// What to do with quotas.
        #[command(subcommand)]
        command: QuotaCommand,
    },
    /// Nodes: list, set, empty, remove, suspend, lift a suspension, rename
    Node {
        /// What to do with nodes.
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// The realm's log: export, import, audit, checkpoint; the card for recovery, and a veto against one
    Realm {
        /// What to do with the log.
        #[command(subcommand)]
        command: RealmCommand,
    },
    /// Guardians: test a phrase
    Guardians {
        /// What to do with guardians.
        #[command(subcommand)]
        command: GuardiansCommand,
    },
    /// Print the console's addresses and a new set-up code
    Console {
        /// Sign every browser out first
        #[arg(long)]
        sign_out: bool,
        /// Print a code with which a browser that has signed in looks into backups, for an hour
        #[arg(long, conflicts_with = "sign_out")]
        backups: bool,
    },
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Print completions for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder
    Man {
        /// The folder.
        dir: PathBuf,
    },
}

/// How a node runs.
#[expect(clippy::struct_excessive_bools, reason = "each is a word that people type")]
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Port of the S3 endpoint on this machine; another is taken if it is in use [default: 9000]
    #[arg(long, value_name = "PORT")]
    pub s3_port: Option<u16>,
    /// Port of the web console; another is taken if it is in use [default: 8443]
    #[arg(long, value_name = "PORT")]
    pub console_port: Option<u16>,
    /// UDP port of the mesh; another is taken if it is in use [default: 4433]
    #[arg(long, value_name = "PORT")]
    pub mesh_port: Option<u16>,
    /// Listen for the console on this address; 0.0.0.0 is all of them [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::IpAddr>,
    /// Listen for S3, which is not encrypted on its way, on this address [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub s3_listen: Option<std::net::IpAddr>,
    /// Also call buckets below this name: BUCKET.NAME [default: s3.localhost]
    #[arg(long, value_name = "NAME", value_parser = domain)]
    pub s3_domain: Vec<String>,
    /// Also show the websites of buckets below this name: BUCKET.NAME [default: website.localhost]
    #[arg(long, value_name = "NAME", value_parser = domain)]
    pub website_domain: Vec<String>,
    /// Run a relay for the realm's other nodes; this machine needs an address they can reach
    #[arg(long, value_name = "IP:PORT")]
    pub relay: Option<std::net::SocketAddr>,
    /// Make no network device: packets of other programs are carried in user space
    #[arg(long)]
    pub no_tun: bool,
    /// Take in those from outside for services that this machine publishes at this address; may be given several
    /// times [default: all of this machine's]
    #[arg(long, value_name = "ADDRESS")]
    pub door_listen: Vec<std::net::IpAddr>,
    /// Ports of published services, for HTTPS and for plain HTTP [default: 443,80]
    #[arg(long, value_name = "HTTPS,HTTP", value_parser = two_ports)]
    pub door_ports: Option<(u16, u16)>,
    /// Program that puts records into the zone of published names: it is run with add or remove, name and text
    #[arg(long, value_name = "PROGRAM")]
    pub certificates_hook: Option<PathBuf>,
    /// Carry no packets of other programs at all
    #[arg(long)]
    pub no_packets: bool,
    /// Open a SOCKS proxy that leads into the realm's network, as 127.0.0.1:1080
    #[arg(long, value_name = "IP:PORT")]
    pub socks: Option<std::net::SocketAddr>,
    /// Open an HTTP proxy that leads into the realm's network, as 127.0.0.1:3128
    #[arg(long, value_name = "IP:PORT")]
    pub http_proxy: Option<std::net::SocketAddr>,
    /// Open the proxies to others than this machine's programs: they are this machine to the realm
    #[arg(long)]
    pub proxy_for_others: bool,
    /// Do not ask this house's router (PCP, NAT-PMP, UPnP) to pass a port on to this machine
    #[arg(long)]
    pub no_port_mapping: bool,
    /// Take in phones on this UDP port, by WireGuard; this machine has to be a gateway, and be reached there
    #[arg(long, value_name = "IP:PORT")]
    pub phone_listen: Option<std::net::SocketAddr>,
    /// Where phones find that: a name or a public address, and a port [default: that of --phone-listen]
    #[arg(long, value_name = "HOST:PORT", requires = "phone_listen")]
    pub phone_endpoint: Option<String>,
    /// Names.
    #[command(flatten)]
    pub dns: crate::dns::DnsArgs,
    /// Write the log as JSON lines
    #[arg(long)]
    pub log_json: bool,
}

fn two_ports(text: &str) -> Result<(u16, u16), String> {
    let read = |port: &str| port.parse::<u16>().ok().filter(|port| *port > 0);
    let both = text.split_once(',').and_then(|(https, http)| Some((read(https)?, read(http)?)));
    both.filter(|(https, http)| https != http).ok_or_else(|| "two ports, such as 8443,8080".to_owned())
}

fn domain(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if text.bytes().all(plain) && text.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err("a name like s3.example.org".to_owned())
}

/// `freehold up`.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// Name of a new realm, shown to its people only
    #[arg(long)]
    pub name: Option<String>,
    /// Write the guardian phrases of a new realm into this file instead of showing them
    #[arg(long, value_name = "FILE")]
    pub guardians_file: Option<PathBuf>,
    /// Install a systemd unit that runs the node, and stop
    #[arg(long)]
    pub install_service: bool,
    /// How it runs.
    #[command(flatten)]
    pub run: Run,
}

/// `freehold join`.
#[derive(Debug, Clone, Args)]
pub struct Join {
    /// The invitation's text; `-` reads it from standard input, without it it is asked for. Typed
    /// here it stands in the shell's history and in the list of programs
    pub invitation: Option<String>,
    /// Name of this machine, shown to the realm's people only [default: its host name; a number is
    /// added if another machine has it]
    #[arg(long)]
    pub name: Option<String>,
    /// How it runs.
    #[command(flatten)]
    pub run: Run,
}

/// `freehold recover`.
#[derive(Debug, Clone, Args)]
pub struct Recover {
    /// A card, as `freehold realm card` prints it: the realm's own, or that of a friend who keeps its backups
    #[arg(long, required_unless_present_any = ["backup", "s3"])]
    pub card: Option<String>,
    /// Where no machine is left: a directory with a backup of one
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["card", "s3"])]
    pub backup: Option<PathBuf>,
    /// Name of this machine, shown to the realm's people only [default: its host name]
    #[arg(long)]
    pub name: Option<String>,
    /// File with guardian phrases, one a line; without it they are asked for
    #[arg(long, value_name = "FILE")]
    pub guardians_file: Option<PathBuf>,
    /// Where no node is left: with the card the stores of a backend; without, a bucket with a backup.
    #[command(flatten)]
    pub at: StoreArgs,
    /// Of a backend, take what is left, though some of what its node knew is missing on the store
    #[arg(long, requires_all = ["s3", "card"])]
    pub incomplete: bool,
    /// How it runs.
    #[command(flatten)]
    pub run: Run,
}

/// `freehold invite`.
#[derive(Debug, Clone, Args)]
pub struct Invite {
    /// Roles of the new node
    #[arg(long, value_delimiter = ',', default_value = "storage,gateway,secrets", value_parser = offered())]
    pub roles: Vec<String>,
    /// A laptop: it has no role, and uses what the realm offers
    #[arg(long, conflicts_with = "roles")]
    pub laptop: bool,
    /// Hours until the invitation lapses
    #[arg(long, default_value_t = 24)]
    pub hours: u32,
    /// Make the new machine one of your own devices too, so that you stay admin if this one is lost
    #[arg(long)]
    pub device: bool,
}

fn offered() -> clap::builder::PossibleValuesParser {
    freehold_api::Role::OFFERED.iter().map(|role| role.as_str()).collect::<Vec<_>>().into()
}

/// `freehold backend`.
#[derive(Debug, Clone, Subcommand)]
pub enum BackendCommand {
    /// Make a bucket of a foreign S3 a storage node of the realm, run by this machine
    Attach(Attach),
    /// List the backends of this machine
    List,
    /// Try the store of a backend out again
    Probe {
        /// Its name.
        name: String,
    },
    /// Write the list by which anybody can check the packs of a backend, without any key
    Packs {
        /// Its name.
        name: String,
    },
    /// Check the stores of a backend without its key and without a node: what an auditor can do, or a
    /// friend. The access key needs to read and list
    Check(CheckStores),
    /// Empty a backend: others take over what it holds, and then nothing depends on it
    Drain {
        /// Its name.
        name: String,
        /// Wait until nothing depends on it any more
        #[arg(long, conflicts_with = "cancel")]
        wait: bool,
        /// Let it hold copies again
        #[arg(long)]
        cancel: bool,
        /// Only say what would happen
        #[arg(long, conflicts_with_all = ["wait", "cancel"])]
        dry_run: bool,
    },
    /// End a backend, and remove what lies on its store
    Detach {
        /// Its name.
        name: String,
        /// Though what it holds counts as a copy
        #[arg(long)]
        force: bool,
        /// Only say whether it would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold backend check`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("s3", |s3| s3.required(true)))]
pub struct CheckStores {
    /// Its stores, in its order.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// What `freehold backend packs` wrote where the backend runs; without it altered bytes show only
    /// where several stores are one
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Only compare names and lengths, and read nothing
    #[arg(long)]
    pub quick: bool,
}

/// `freehold backend attach`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("s3", |s3| s3.required(true)))]
pub struct Attach {
    /// Its name as a node of the realm: lower-case letters, digits and hyphens
    pub name: String,
    /// Where it is to lie.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// The most that is kept there, such as 500GiB
    #[arg(long, value_name = "SIZE", value_parser = crate::backend::size)]
    pub capacity: Option<u64>,
    /// Only try the store out
    #[arg(long)]
    pub dry_run: bool,
}

/// The stores of a backend.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Address of the S3 endpoint, such as https://s3.example.org; several times for several stores,
    /// each of which gets a part of everything
    #[arg(long, value_name = "URL", requires = "bucket")]
    pub s3: Vec<String>,
    /// The bucket there, which exists already; once for each store, like the next three
    #[arg(long, requires = "s3")]
    pub bucket: Vec<String>,
    /// The region that requests are signed for [default: us-east-1]
    #[arg(long)]
    pub region: Vec<String>,
    /// What all names there begin with
    #[arg(long)]
    pub prefix: Vec<String>,
    /// Of several stores, how many may be lost without any loss
    #[arg(long, value_name = "STORES", default_value_t = 0, hide_default_value = true)]
    pub may_lose: u8,
    /// The bucket is part of the host's name, not of the path
    #[arg(long)]
    pub virtual_host: bool,
    /// File with the access key, as the AWS tools write it; `-` is standard input; without it it is
    /// asked for
    #[arg(long, value_name = "FILE")]
    pub credentials: Vec<PathBuf>,
    /// File with the certificates that vouch for the endpoint, beside those of the system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// `freehold bucket`.
#[derive(Debug, Clone, Subcommand)]
pub enum BucketCommand {
    /// Create a bucket
    Create {
        /// Its name.
        name: String,
        /// On how many nodes each object is to be
        #[arg(long, default_value_t = 2)]
        copies: u8,
        /// How many nodes must have it before a write is acknowledged
        #[arg(long, alias = "confirmations", default_value_t = 1)]
        confirm: u8,
        /// Only these nodes get its key, and this one must be among them: the others store it and
        /// cannot read it. No guardian brings it back
        #[arg(long, value_name = "NODE", value_delimiter = ',', conflicts_with_all = ["zones", "regions", "not_regions"])]
        only_for: Vec<String>,
        /// In how many zones the copies are to be at least
        #[arg(long, default_value_t = 0)]
        zones: u16,
        /// The only regions in which copies may lie, as DE,FR
        #[arg(long, value_delimiter = ',', value_name = "REGIONS")]
        regions: Vec<String>,
        /// Regions in which no copy may lie, as US,CN
        #[arg(long, value_delimiter = ',', value_name = "REGIONS")]
        not_regions: Vec<String>,
    },
    /// Change how many copies there are to be, and where; what is not given stays
    Set(BucketSetArgs),
    /// List the buckets
    List,
    /// Show who holds a bucket's keys, and what is sealed with which
    Keys {
        /// Its name.
        name: String,
    },
    /// Make a bucket's next key, which seals what is written from now on
    Rotate {
        /// Its name; without one, whatever somebody could read who should not any more
        name: Option<String>,
        /// Seal with it also what earlier keys sealed; blobs stay as they are. A newest key that has
        /// sealed nothing yet is taken, and no other made
        #[arg(long, requires = "name")]
        rewrap: bool,
    },
    /// Let a node or a person have a bucket's keys
    Share {
        /// Its name.
        name: String,
        /// A node, or a person whose devices get it: name, id, or the first characters of an id
        #[arg(long, value_name = "WHO")]
        with: String,
        /// They only read
        #[arg(long)]
        read_only: bool,
    },
    /// Take that back: they cannot read what is written from now on
    Unshare {
        /// Its name.
        name: String,
        /// Who was named
        #[arg(long, value_name = "WHO")]
        with: String,
    },
    /// Read every sealed object on this node, find what is wrong, and mend it from a good copy
    Verify {
        /// Its name.
        name: String,
        /// Only report
        #[arg(long)]
        no_repair: bool,
    },
    /// Delete an empty bucket
    Delete {
        /// Its name.
        name: String,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
    /// Erase a bucket with all that is in it: every node destroys its keys, and nothing brings it back
    Erase {
        /// Its name.
        name: String,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold object`.
#[derive(Debug, Clone, Subcommand)]
pub enum ObjectCommand {
    /// Erase an object with all its versions: every node destroys the keys that open it, and nothing brings it back
    Erase {
        /// The bucket.
        bucket: String,
        /// The object's name.
        key: String,
        /// Also if it is retained under GOVERNANCE
        #[arg(long)]
        bypass_governance: bool,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
}

/// `freehold receipt`.
#[derive(Debug, Clone, Subcommand)]
pub enum ReceiptCommand {
    /// List what was erased, and which machines have confirmed it
    List,
    /// Write the receipt of an erasure to a file
    Save {
        /// Its id, or the first characters of it
        erasure: String,
        /// The file; `-` is standard output
        file: PathBuf,
        /// Write over a file that is there
        #[arg(long)]
        overwrite: bool,
    },
    /// Check a receipt offline: prints what it shows, and what no erasure reaches
    Check {
        /// The file; `-` is standard input
        file: PathBuf,
    },
}

/// `freehold bucket set`.
#[derive(Debug, Clone, Args)]
pub struct BucketSetArgs {
    /// Its name
    pub name: String,
    /// On how many nodes each object is to be
    #[arg(long)]
    pub copies: Option<u16>,
    /// How many nodes must have it before a write is acknowledged
    #[arg(long, alias = "confirmations")]
    pub confirm: Option<u16>,
    /// In how many zones the copies are to be at least; 0 if that does not matter
    #[arg(long)]
    pub zones: Option<u16>,
    /// The only regions in which copies may lie, as DE,FR; none lifts that
    #[arg(long, value_delimiter = ',', value_name = "REGIONS")]
    pub regions: Option<Vec<String>>,
    /// Regions in which no copy may lie, as US,CN; none lifts that
    #[arg(long, value_delimiter = ',', value_name = "REGIONS")]
    pub not_regions: Option<Vec<String>>,
}

/// `freehold key`.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and show its secret once, in the form that S3 clients read
    Create(NewKeyArgs),
    /// List the keys, without their secrets
    List,
    /// End a key
    Revoke {
        /// Its id, or the first characters of it
        id: String,
    },
}

/// `freehold key create`.
#[derive(Debug, Clone, Args)]
pub struct NewKeyArgs {
    /// Whose it is: a member's name, id, or the start of an id [default: the realm owner's]
    #[arg(long)]
    pub person: Option<String>,
    /// The program that uses it, by a name of your choice: it has buckets of its own, and of its
    /// person's only those named with --bucket
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// The only bucket it is for; may be given several times
    #[arg(long = "bucket", value_name = "BUCKET")]
    pub buckets: Vec<String>,
    /// It is only for objects whose keys begin so
    #[arg(long)]
    pub prefix: Option<String>,
    /// What it may do, of read, write, list, delete, admin
    #[arg(long, value_delimiter = ',', default_value = "read,write,list,delete")]
    pub allow: Vec<String>,
    /// When it ends: 12h, 30d, 8w, or a day as 2027-01-31
    #[arg(long)]
    pub until: Option<String>,
    /// Write the key into this new file, which only you may read, instead of showing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `freehold node`.
#[derive(Debug, Clone, Subcommand)]
pub enum NodeCommand {
    /// List the nodes
    List,
    /// Take a node's rights away until the suspension is lifted
    Suspend {
        /// Its name, its id, or the first characters of its id
        node: String,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
    /// Lift a suspension
    Lift {
        /// Its name, its id, or the first characters of its id
        node: String,
    },
    /// Say where a node stands and how much it is to do; what is not given stays
    Set(NodeSetArgs),
    /// Empty a node: it serves what it has, but its copies do not count, and it is given none
    Drain {
        /// Its name, its id, or the first characters of its id
        node: String,
        /// Wait until nothing depends on it any more
        #[arg(long, conflicts_with = "cancel")]
        wait: bool,
        /// Let it hold copies again
        #[arg(long)]
        cancel: bool,
        /// Only say what would happen
        #[arg(long, conflicts_with_all = ["wait", "cancel"])]
        dry_run: bool,
    },
    /// End a node that nothing depends on: one that is emptied, suspended, or holds nothing
    Remove {
        /// Its name, its id, or the first characters of its id
        node: String,
        /// Though objects depend on it, or not all others can be asked
        #[arg(long)]
        force: bool,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
    },
    /// Give a node another name
    Rename {
        /// Its name, its id, or the first characters of its id
        node: String,
        /// The new name.
        name: String,
    },
}

/// `freehold quota`.
#[derive(Debug, Clone, Subcommand)]
pub enum QuotaCommand {
    /// Say how much may be kept, all copies together
    Set(QuotaSetArgs),
}

/// `freehold quota set`.
#[derive(Debug, Clone, Args)]
pub struct QuotaSetArgs {
    /// How much, as 500GB or 2TiB; none lifts the bound
    pub size: String,
    /// Whose.
    #[command(flatten)]
    pub whose: WhoseArgs,
}

/// Whose room.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct WhoseArgs {
    /// Of the whole realm
    #[arg(long)]
    pub realm: bool,
    /// Of a member and the services that act for them: a name, an id, or the start of one
    #[arg(long)]
    pub person: Option<String>,
    /// Of a service, as its access key names it
    #[arg(long)]
    pub service: Option<String>,
    /// Of a bucket
    #[arg(long)]
    pub bucket: Option<String>,
    /// Of a database
    #[arg(long)]
    pub database: Option<String>,
}

/// `freehold node set`.
#[derive(Debug, Clone, Args)]
pub struct NodeSetArgs {
    /// Its name, its id, or the first characters of its id
    pub node: String,
    /// Its zone, by a name of your choice: machines of one zone may fail together; none takes it out
    #[arg(long)]
    pub zone: Option<String>,
    /// Its region: the two letters of a country, as DE; none if nobody knows
    #[arg(long)]
    pub region: Option<String>,
    /// How many bytes of copies it fetches in a second at most, as 5MiB; none lifts the limit
    #[arg(long)]
    pub pace: Option<String>,
}

/// `freehold realm`.
#[derive(Debug, Clone, Subcommand)]
pub enum RealmCommand {
    /// Write the log to a file that any node of the realm can import
    Export {
        /// The file; `-` is standard output
        file: PathBuf,
        /// Write over a file that is there
        #[arg(long)]
        overwrite: bool,
    },
    /// Read a log from a file
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
    },
    /// Check an exported log offline: prints the derived state and every refused operation
    Audit {
        /// The file; `-` is standard input
        file: PathBuf,
    },
    /// Stop a recovery that waits for its 72 hours, as an admin
    Veto {
        /// Its id, as `freehold status` shows it; not needed if only one waits
        recovery: Option<String>,
    },
    /// Make the history up to now final, so that no later theft of a key can undo it. An admin's
    /// machine does this by itself, a day after each change that matters
    Checkpoint,
    /// Print the realm's card: where its nodes are, for the day you need `freehold recover`
    Card,
}

/// `freehold guardians`.
#[derive(Debug, Clone, Subcommand)]
pub enum GuardiansCommand {
    /// Type a phrase back to see that it is written down right
    Test,
}

//! From a home to a running node: planes come up in order, and go down in reverse.

mod fronts;
pub(crate) mod inner;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use freehold_api::{Endpoints, Problem, SetupCode};
use freehold_disk::HomeLock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub(crate) use self::fronts::Console;
use self::inner::{Begun, Inner, MeshWish};
use crate::home::Home;
use crate::neighbours::Neighbours;
use crate::net::{self, DoorWish, NamesWish, PhonesWish, ProxyWish, TunnelWish};
use crate::problem::lock_problem;
use crate::process::Room;
use crate::shared::Shared;
use crate::supervisor::Supervisor;
use crate::{clock, log};

/// How long a node that has no names yet waits for them before it says that it is up.
const NAMES_WITHIN: Duration = Duration::from_secs(3);
/// How long the set-up code that `up` prints opens the console.
const CODE_LASTS: Duration = Duration::from_hours(24);

/// How a node is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the console.
    pub listen: IpAddr,
    /// Address of the S3 endpoint.
    pub s3_listen: IpAddr,
    /// Wanted port of the S3 endpoint.
    pub s3_port: u16,
    /// Names below which buckets are called.
    pub s3_domains: Vec<String>,
    /// Names below which the websites of buckets are called.
    pub website_domains: Vec<String>,
    /// Wanted port of the console.
    pub console_port: u16,
    /// Wanted UDP port of the mesh.
    pub mesh_port: u16,
    /// Where to run a relay, if at all.
    pub relay: Option<SocketAddr>,
    /// Where to answer for names.
    pub names: NamesWish,
    /// Whether to carry packets.
    pub tunnel: TunnelWish,
    /// Where the door is for those outside.
    pub door: DoorWish,
    /// Which proxies lead into the network.
    pub proxies: ProxyWish,
    /// Where to take phones in.
    pub phones: PhonesWish,
    /// Ask the house's router for no port.
    pub no_port_mapping: bool,
    /// How many connections the ports may have.
    pub room: Room,
}

/// A node that is up.
#[derive(Debug)]
pub struct Ready {
    /// The realm's name.
    pub realm: String,
    /// This node's name.
    pub node: String,
    /// Where it answers.
    pub endpoints: Endpoints,
    /// Opens the console once.
    pub code: SetupCode,
    /// Ports that were taken, and what was used instead.
    pub moved: Vec<String>,
    /// What else its person should know.
    pub notes: Vec<String>,
    /// File that still holds the guardian phrases.
    pub phrases_file: Option<String>,
}

/// Runs the node of a home until it is told to stop; calls `ready` once.
///
/// # Errors
/// A [`Problem`] if it cannot start, or a part without which it is of no use failed.
pub async fn run(home: Home, options: Options, ready: &(dyn Fn(Ready) + Sync)) -> Result<(), Problem> {
    home.check()?;
    let _lock = HomeLock::take(home.root()).map_err(|error| lock_problem(&error))?;
    // From the first moment: a signal before anybody listens kills.
    let mut signals = Signals::listen()?;
    let mut supervisor = Supervisor::default();
    let at = home.clone();
    let depot = |entries| inner::local_depot(at, entries);
    let node = Inner::open(home.clone(), depot, Neighbours::default()).await?.begin(&mut supervisor);
    let stop = node.shared.stop.clone();
    let outcome = tokio::select! {
        () = signals.told() => Ok(()),
        outcome = live(&mut supervisor, &node, &options, ready) => outcome,
    };
    stop.cancel();
    let late = supervisor.stop().await;
    if !late.is_empty() {
        tracing::warn!(?late, "these planes did not stop in time");
    }
    outcome
}

/// Brings the planes up, says so, and stays until one of them fails or the node is told to stop.
async fn live(
    supervisor: &mut Supervisor,
    node: &Begun,
    options: &Options,
    ready: &(dyn Fn(Ready) + Sync),
) -> Result<(), Problem> {
    let mut moved = Vec::new();
    let endpoints = start(supervisor, node, options, &mut moved).await?;
    let shared = &node.shared;
    drop(shared.endpoints.set(endpoints.clone()));
    drop(shared.board.set(supervisor.board()));
    hear_names(shared).await;
    let realm = shared.realm_name().unwrap_or_else(|| "the realm".to_owned());
    let node = shared.name_of(shared.me());
    let code = shared.sessions.issue_code(CODE_LASTS);
    let notes = notes(shared, options);
    let left = shared.identity.phrases_left_in.clone();
    let phrases_file = left.filter(|file| std::path::Path::new(file).exists());
    ready(Ready { realm, node, endpoints, code, moved, notes, phrases_file });
    wait(supervisor, &shared.stop).await
}

fn notes(shared: &Shared, options: &Options) -> Vec<String> {
    let open = (!options.s3_listen.is_loopback()).then(|| {
        "S3 is open to the network without encryption: who listens there reads and changes what passes"
            .to_owned()
    });
    let opened = net::carrying::opens_anew(shared);
    let not_yet = shared.log.view().not_yet(shared.me(), clock::wall()).map(log::NotYet::why);
    open.into_iter().chain(opened).chain(not_yet).collect()
}

/// A machine that has just joined has no names yet: they come with the first connection. It does
/// not insist.
async fn hear_names(shared: &Shared) {
    let mut directory = shared.watch_directory();
    let named = async {
        while shared.realm_name().is_none() {
            if directory.changed().await.is_err() {
                return;
            }
        }
    };
    drop(tokio::time::timeout(NAMES_WITHIN, named).await);
}

/// What a person or the system says to a running program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Problem> {
        let deaf = |e: std::io::Error| {
            Problem::bug("the node cannot listen for signals", e.to_string(), None::<&str>)
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(deaf)?,
            terminate: signal(SignalKind::terminate()).map_err(deaf)?,
        })
    }

    /// Returns when it was told to stop.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

async fn wait(supervisor: &Supervisor, stop: &CancellationToken) -> Result<(), Problem> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        why = supervisor.broke() => Err(Problem::refused(
            "the node had to stop",
            why,
            Some("set right what it says, then: freehold up"),
        )),
    }
}

async fn start(
    supervisor: &mut Supervisor,
    node: &Begun,
    options: &Options,
    moved: &mut Vec<String>,
) -> Result<Endpoints, Problem> {
    let shared = &node.shared;
    let relay = options.relay.map(|at| (at, options.room.relay));
    let relay = node.join_in(supervisor, &MeshWish { port: options.mesh_port, relay }, moved).await?;
    let view = net::start(&supervisor.plane("network"), shared);
    net::carrying::start(&supervisor.plane("tunnel"), shared, view.clone(), &options.tunnel).await;
    net::door::start(&supervisor.plane("door"), shared, view.clone(), options.door.clone());
    net::ways::start(&supervisor.plane("way out"), shared, view.clone(), &options.tunnel);
    net::outlets::start(&supervisor.plane("proxies"), shared, view.clone(), &options.proxies)?;
    net::phones::start(&supervisor.plane("phones"), shared, view.clone(), &options.phones).await?;
    let names = net::answers::start(&supervisor.plane("names"), shared, view, &options.names, moved).await?;
    let started = net::mapping::Started { door: options.door.clone(), phones: options.phones.clone() };
    net::mapping::start(&supervisor.plane("router"), shared, options.no_port_mapping, started);
    net::grants::visiting::start(&supervisor.plane("other realms"), shared);
    net::lending::rounds::start(&supervisor.plane("room"), shared);
    net::papers::start(&supervisor.plane("pools"), shared);
    net::followed::start(&supervisor.plane("addresses"), shared);
    crate::databases::start(&supervisor.plane("databases"), shared);
    crate::backup::start(&supervisor.plane("backup"), shared);
    crate::zfs::start(&supervisor.plane("zfs"), shared);
    crate::alarms::start(&supervisor.plane("alarms"), shared);
    crate::hosting::start(&supervisor.plane("backends"), shared);
    let mut endpoints = fronts::start(supervisor, shared, options, moved).await?;
    (endpoints.relay, endpoints.names) = (relay, names);
    Ok(endpoints)
}

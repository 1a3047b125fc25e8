//! From a home to a running node: planes come up in order, and go down in reverse.

mod fronts;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use freehold_api::{Endpoints, Problem, Sessions, SetupCode};
use freehold_disk::{EntryStore, HomeLock, LogStore, OsEntropy};
use freehold_mesh::{Config, Mesh, RelayServe, StartError};
use freehold_seal::Recipient;
use freehold_vault::{Depot, DepotLimits, Keyring, Vault, VaultConfig};
use freehold_wire::Millis;
use futures::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::access_keys::{AccessKeys, access_keys_problem};
use crate::directory::{Directory, read_directory};
use crate::gate::LogGate;
use crate::home::Home;
use crate::identity::{Identity, load_keys};
use crate::problem::{chain, identity_problem, lock_problem, store_problem};
use crate::process::Room;
use crate::replica::{self, ForVault};
use crate::shared::Shared;
use crate::supervisor::{Health, Plane, Supervisor};
use crate::transfer::{Giving, ReadThrough};
use crate::{clock, log, ports, steward};

/// Room on the disk that writes leave free, so that the log and the system go on.
const RESERVE_BYTES: u64 = 256 << 20;
/// How long what was overwritten or deleted stays in the depot.
const GRACE: Millis = Millis::from_hours(24);
/// How long an upload in parts may rest.
const UPLOAD_GRACE: Millis = Millis::from_hours(7 * 24);
/// How long a write waits for the other nodes that it must be on.
const CONFIRM_WITHIN: Millis = Millis::from_secs(30);
/// How often the depot is swept and measured, and how long after the start first: it looks at
/// everything, and whoever starts a node has something else in mind.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
const SWEEP_FIRST: Duration = Duration::from_mins(1);
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
    let read_through = ReadThrough::default();
    let (shared, owner, replica) = open(home, &read_through).await?;
    let stop = shared.stop.clone();
    let log_plane = supervisor.plane("realm log");
    log_plane.spawn_vital(owner.run(log_plane.cancel().clone()));
    log_plane.report(Health::Up(String::new()));
    let replication = supervisor.plane("replication");
    replication.spawn_vital(replica.run(Arc::downgrade(&shared), replication.cancel().clone()));
    replication.report(Health::Up(String::new()));

    let outcome = tokio::select! {
        () = signals.told() => Ok(()),
        outcome = live(&mut supervisor, &shared, &options, &read_through, ready) => outcome,
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
    shared: &Arc<Shared>,
    options: &Options,
    read_through: &ReadThrough,
    ready: &(dyn Fn(Ready) + Sync),
) -> Result<(), Problem> {
    let mut moved = Vec::new();
    let endpoints = start(supervisor, shared, options, read_through, &mut moved).await?;
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
    let not_yet = shared.log.view().not_yet(shared.me(), clock::wall()).map(log::NotYet::why);
    open.into_iter().chain(not_yet).collect()
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
    let failed = supervisor.failed();
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = failed.cancelled() => {
            let why = supervisor.board().read().into_iter().find_map(|(name, health)| match health {
                Health::Failed(why) => Some(format!("{name}: {why}")),
                _ => None,
            });
            Err(Problem::refused(
                "the node had to stop",
                why.unwrap_or_default(),
                Some("set right what it says, then: freehold up"),
            ))
        }
    }
}

/// Opens everything that lies in the home.
async fn open(
    home: Home,
    read_through: &ReadThrough,
) -> Result<(Arc<Shared>, log::Owner, replica::Owner), Problem> {
    let identity = Identity::read(&home).map_err(|e| identity_problem(&e))?.ok_or_else(|| {
        Problem::refused(
            "there is no node in this home",
            home.root().display().to_string(),
            Some("freehold up    (makes a realm), or freehold join INVITATION"),
        )
    })?;
    let keys = Arc::new(load_keys(&home).map_err(|e| identity_problem(&e))?);
    let store = Arc::new(LogStore::open(&home.log()).map_err(|e| store_problem(&e))?);
    let mesh = Arc::new(OnceLock::new());
    let (owner, log) =
        log::open(store, home.log_seen(), identity.realm, Arc::clone(&keys), Arc::clone(&mesh))
            .map_err(|e| store_problem(&e))?;
    let entries = Arc::new(EntryStore::open(&home.entries()).map_err(|e| store_problem(&e))?);
    let mut directory = Directory::new(identity.realm, Recipient::Node(keys.node_id()), keys.box_secret());
    directory.set_trust(log.view().trust());
    read_directory(&mut directory, &entries, identity.realm).map_err(|e| store_problem(&e))?;
    let limits = DepotLimits { reserve_bytes: RESERVE_BYTES, quota_bytes: None };
    let depot = Depot::local(&home.depot(), limits).await.map_err(|e| {
        Problem::refused(
            "the depot cannot be used",
            chain(&e),
            Some("set right what it says, then: freehold up"),
        )
    })?;
    let parts = replica::Parts {
        realm: identity.realm,
        me: keys.node_id(),
        log: log.clone(),
        entries: Arc::clone(&entries),
        depot: depot.clone(),
        mesh: Arc::clone(&mesh),
    };
    let (opening, handle) = replica::open(parts).await.map_err(|e| store_problem(&e))?;
    read_through.set_holders(Arc::new(handle.clone()));
    let keyring = keyring_of(&directory);
    let config = VaultConfig {
        realm: identity.realm,
        node: keys.node_id(),
        signing: Arc::clone(&keys.node),
        grace: GRACE,
        upload_grace: UPLOAD_GRACE,
        day: clock::day(),
        confirm_timeout: CONFIRM_WITHIN,
    };
    let parts = freehold_vault::Shared {
        depot,
        entries: Arc::clone(&entries),
        keys: keyring.clone(),
        peers: Arc::new(read_through.clone()),
        replication: Arc::new(ForVault(handle.clone())),
    };
    // Both want to see every entry: they are read once.
    let opened = Vault::open_telling(config, parts, opening, replica::Opening::restore).await;
    let (vault, opening) = opened.map_err(|e| store_problem(&e))?;
    let replica = opening.finish().await;
    let sessions = Arc::new(Sessions::new(&keys.node_id().short(), Box::new(OsEntropy)));
    let access_keys = AccessKeys::open(&home.access_keys()).map_err(|e| access_keys_problem(&e))?;
    let shared = Arc::new(Shared::new(
        home,
        identity,
        keys,
        (log, mesh),
        directory,
        entries,
        keyring,
        vault,
        (sessions, access_keys),
    ));
    drop(shared.replica.set(handle));
    shared.recall().and_then(|()| shared.keep_sessions()).map_err(|e| store_problem(&e))?;
    Ok((shared, owner, replica))
}

async fn start(
    supervisor: &mut Supervisor,
    shared: &Arc<Shared>,
    options: &Options,
    read_through: &ReadThrough,
    moved: &mut Vec<String>,
) -> Result<Endpoints, Problem> {
    let relay = start_mesh(supervisor, shared, options, read_through, moved).await?;
    let upkeep = supervisor.plane("upkeep");
    steward::tidy_up(shared).await;
    let (steward, watch) = (
        steward::run(Arc::clone(shared), upkeep.cancel().clone()),
        crate::membership::watch(Arc::clone(shared), upkeep.cancel().clone()),
    );
    upkeep.spawn_vital(steward.map(Ok));
    upkeep.spawn_vital(watch.map(Ok));
    let (errands, stopping) = (Arc::clone(shared), upkeep.cancel().clone());
    upkeep.spawn(async move {
        stopping.cancelled().await;
        errands.finish_errands().await;
    });
    upkeep.spawn(sweep(Arc::clone(shared), upkeep.clone()));
    upkeep.report(Health::Up(String::new()));
    crate::databases::start(&supervisor.plane("databases"), shared);
    let mut endpoints = fronts::start(supervisor, shared, options, moved).await?;
    endpoints.relay = relay;
    Ok(endpoints)
}

async fn start_mesh(
    supervisor: &mut Supervisor,
    shared: &Arc<Shared>,
    options: &Options,
    read_through: &ReadThrough,
    moved: &mut Vec<String>,
) -> Result<Option<String>, Problem> {
    let plane = supervisor.plane("mesh");
    let any = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let port = ports::free_udp(any, options.mesh_port).unwrap_or(0);
    if port != options.mesh_port && options.mesh_port != 0 {
        moved.push(format!("UDP port {} is taken, so the mesh is on {port}", options.mesh_port));
    }
    let any6 = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);
    let bind = vec![SocketAddr::new(any, port), SocketAddr::new(any6, port)];
    let mut config = Config::new(shared.keys.node_seed.clone(), bind);
    config.relay_serve =
        options.relay.map(|bind| RelayServe { bind, url: None, connections: options.room.relay });
    let gate = Arc::new(LogGate(Arc::downgrade(shared)));
    let blobs = Arc::new(Giving { depot: shared.depot.clone() });
    let doorman = Arc::new(crate::door::Door::new(Arc::downgrade(shared)));
    let (mesh, events) = Mesh::start(config, gate, blobs, doorman).await.map_err(|e| mesh_problem(&e))?;
    let mesh = Arc::new(mesh);
    drop(shared.mesh.set(Arc::clone(&mesh)));
    read_through.set_mesh(Arc::clone(&mesh));
    let relay = mesh.relay_bound().map(|at| format!("http://{at}"));
    let bound = mesh.bound().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    plane.report(Health::Up(bound));
    let (cancel, shared) = (plane.cancel().clone(), Arc::clone(shared));
    plane.spawn_vital(crate::traffic::run(shared, mesh, events, cancel));
    Ok(relay)
}

fn mesh_problem(error: &StartError) -> Problem {
    let next = match error {
        StartError::PortInUse(_) => "freehold up --mesh-port 0",
        StartError::RelayPortInUse(_) => "give the relay another port: --relay IP:PORT",
        StartError::Bind { .. } => "give --relay an address of this machine: ip address",
        _ => "freehold doctor",
    };
    Problem::refused("the mesh cannot start", chain(error), Some(next))
}

fn keyring_of(directory: &Directory) -> Keyring {
    let keyring = Keyring::default();
    for ring in directory.rings() {
        keyring.set(ring.clone());
    }
    keyring
}

/// Removes what nothing refers to, and measures what is there.
async fn sweep(shared: Arc<Shared>, plane: Plane) {
    let day = Duration::from_millis(clock::day().0);
    let first = tokio::time::Instant::now() + SWEEP_FIRST.min(day / 4);
    let mut every = tokio::time::interval_at(first, SWEEP_EVERY.min(day / 4));
    loop {
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            _ = every.tick() => {}
        }
        plane.report(match shared.vault.sweep(clock::wall()).await {
            Ok(swept) if swept.strange > 0 => Health::Degraded(format!(
                "{} sealed blobs in the depot are named by nothing here and are kept: entries may be missing, \
                 which other nodes have",
                swept.strange
            )),
            Ok(_) => Health::Up(String::new()),
            Err(error) => Health::Degraded(chain(&error)),
        });
        if let Err(error) = shared.depot.count_anew().await {
            tracing::warn!(%error, "the depot could not be measured");
        }
    }
}

//! The inner planes of a node: its stores, its log, replication, the mesh, upkeep. They make it a
//! member of its realm; what people and programs come in by is no part of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use freehold_api::{Problem, Sessions};
use freehold_disk::{EntryStore, LogStore, OsEntropy};
use freehold_mesh::{Config, Mesh, RelayServe, StartError};
use freehold_seal::Recipient;
use freehold_vault::{Depot, DepotLimits, Keyring, Vault, VaultConfig};
use freehold_wire::Millis;
use futures::FutureExt as _;

use crate::access_keys::{AccessKeys, access_keys_problem};
use crate::directory::{Directory, Trust, read_directory};
use crate::gate::LogGate;
use crate::home::Home;
use crate::identity::{Identity, load_keys, settle_next_box};
use crate::neighbours::Neighbours;
use crate::problem::{chain, identity_problem, store_problem};
use crate::replica::{self, ForVault};
use crate::shared::Shared;
use crate::supervisor::{Health, Plane, Supervisor};
use crate::transfer::{Giving, ReadThrough};
use crate::{clock, erasing, log, ports, steward};

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

/// What lies in a home, opened; the owners of log and replication do not run yet.
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    read_through: ReadThrough,
    log: log::Owner,
    replica: replica::Owner,
}

/// A node whose log and replication run.
pub(crate) struct Begun {
    pub(crate) shared: Arc<Shared>,
    read_through: ReadThrough,
}

/// Where a node is to be reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeshWish {
    /// Its wanted UDP port.
    pub(crate) port: u16,
    /// Where to run a relay, and for how many.
    pub(crate) relay: Option<(SocketAddr, usize)>,
}

/// The depot in a home.
pub(crate) async fn local_depot(home: Home, entries: Arc<EntryStore>) -> Result<Depot, Problem> {
    let limits = DepotLimits { reserve_bytes: RESERVE_BYTES, quota_bytes: None };
    Depot::beside(entries, &home.depot(), limits).await.map_err(|e| {
        Problem::refused(
            "the depot cannot be used",
            chain(&e),
            Some("set right what it says, then: freehold up"),
        )
    })
}

impl Inner {
    /// Opens the node of a home on a depot, which may keep small blobs beside the entries.
    pub(crate) async fn open<F: Future<Output = Result<Depot, Problem>>>(
        home: Home,
        depot: impl FnOnce(Arc<EntryStore>) -> F,
        neighbours: Neighbours,
    ) -> Result<Self, Problem> {
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
        let mut directory =
            Directory::new(identity.realm, Recipient::Node(keys.node_id()), keys.box_secret());
        // What is erased and was not confirmed is looked at once what it holds can be read.
        directory.set_trust(Trust { erased: BTreeSet::new(), ..log.view().trust() });
        read_directory(&mut directory, &entries, identity.realm).map_err(|e| store_problem(&e))?;
        erasing::recall(&mut directory, &log.view(), keys.node_id());
        let told = directory.box_key(keys.node_id());
        if let Some(secret) = settle_next_box(&home, told).map_err(|e| identity_problem(&e))? {
            directory.set_secret(secret);
        }
        let depot = depot(Arc::clone(&entries)).await?;
        let parts = replica::Parts {
            realm: identity.realm,
            me: keys.node_id(),
            log: log.clone(),
            entries: Arc::clone(&entries),
            depot: depot.clone(),
            mesh: Arc::clone(&mesh),
        };
        let (opening, handle) = replica::open(parts).await.map_err(|e| store_problem(&e))?;
        let read_through = ReadThrough::default();
        read_through.set_holders(Arc::new(handle.clone()));
        let keyring = keyring_of(&directory);
        let parts = freehold_vault::Shared {
            depot,
            entries: Arc::clone(&entries),
            keys: keyring.clone(),
            peers: Arc::new(read_through.clone()),
            replication: Arc::new(ForVault(handle.clone())),
        };
        // Both want to see every entry: they are read once.
        let config = vault_config(&identity, &keys);
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
            neighbours,
        ));
        handle.mind_quotas(&shared);
        drop(shared.replica.set(handle));
        shared.recall().and_then(|()| shared.keep_sessions()).map_err(|e| store_problem(&e))?;
        Ok(Self { shared, read_through, log: owner, replica })
    }

    /// Starts the owners of log and replication.
    pub(crate) fn begin(self, supervisor: &mut Supervisor) -> Begun {
        let Self { shared, read_through, log, replica } = self;
        let log_plane = supervisor.plane("realm log");
        log_plane.spawn_vital(log.run(log_plane.cancel().clone()));
        log_plane.report(Health::Up(String::new()));
        let replication = supervisor.plane("replication");
        replication.spawn_vital(replica.run(Arc::downgrade(&shared), replication.cancel().clone()));
        replication.report(Health::Up(String::new()));
        Begun { shared, read_through }
    }
}

fn vault_config(identity: &Identity, keys: &crate::identity::Keys) -> VaultConfig {
    VaultConfig {
        realm: identity.realm,
        node: keys.node_id(),
        signing: Arc::clone(&keys.node),
        grace: GRACE,
        upload_grace: UPLOAD_GRACE,
        day: clock::day(),
        confirm_timeout: CONFIRM_WITHIN,
    }
}

fn keyring_of(directory: &Directory) -> Keyring {
    let keyring = Keyring::default();
    for ring in directory.rings() {
        keyring.set(ring.clone());
    }
    keyring
}

impl Begun {
    /// Connects the node to its realm and keeps it in order. Gives the relay's address, if it runs one,
    /// and notes the wanted port if it could not be had.
    pub(crate) async fn join_in(
        &self,
        supervisor: &mut Supervisor,
        wish: &MeshWish,
        moved: &mut Vec<String>,
    ) -> Result<Option<String>, Problem> {
        let relay = self.start_mesh(supervisor, wish, moved).await?;
        start_upkeep(supervisor, &self.shared).await;
        Ok(relay)
    }

    async fn start_mesh(
        &self,
        supervisor: &mut Supervisor,
        wish: &MeshWish,
        moved: &mut Vec<String>,
    ) -> Result<Option<String>, Problem> {
        let Self { shared, read_through } = self;
        let plane = supervisor.plane("mesh");
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let port = ports::free_udp(any, wish.port).unwrap_or(0);
        if port != wish.port && wish.port != 0 {
            moved.push(format!("UDP port {} is taken, so the mesh is on {port}", wish.port));
        }
        let any6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let bind = vec![SocketAddr::new(any, port), SocketAddr::new(any6, port)];
        let mut config = Config::new(shared.keys.node_seed.clone(), bind);
        config.relay_serve =
            wish.relay.map(|(bind, connections)| RelayServe { bind, url: None, connections });
        let gate = Arc::new(LogGate(Arc::downgrade(shared)));
        let blobs = Arc::new(Giving { depot: shared.depot.clone() });
        let doorman = Arc::new(crate::door::Door::new(Arc::downgrade(shared)));
        let started = Mesh::start(config, gate, blobs, doorman).await;
        let (mesh, events) = started.map_err(|e| mesh_problem(&e))?;
        let mesh = Arc::new(mesh);
        drop(shared.mesh.set(Arc::clone(&mesh)));
        read_through.set_mesh(Arc::clone(&mesh));
        let relay = mesh.relay_bound().map(|at| format!("http://{at}"));
        let bound = mesh.bound();
        if let Some(at) = bound.iter().find(|at| at.is_ipv4()) {
            shared.neighbours.is_here(shared.me(), at.port());
        }
        let bound = bound.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        plane.report(Health::Up(bound));
        let (cancel, shared) = (plane.cancel().clone(), Arc::clone(shared));
        plane.spawn_vital(async move {
            let (me, neighbours) = (shared.me(), shared.neighbours.clone());
            let ended = crate::traffic::run(shared, mesh, events, cancel).await;
            neighbours.is_gone(me);
            ended
        });
        Ok(relay)
    }
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

async fn start_upkeep(supervisor: &mut Supervisor, shared: &Arc<Shared>) {
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
    upkeep.spawn(crate::checks::run(Arc::clone(shared), upkeep.clone()));
    upkeep.spawn(sweep(Arc::clone(shared), upkeep.clone()));
    upkeep.report(Health::Up(String::new()));
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
        erasing::sweep(&shared).await;
        if let Err(error) = shared.depot.count_anew().await {
            tracing::warn!(%error, "the depot could not be measured");
        }
    }
}

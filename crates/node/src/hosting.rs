//! Backends that this node hosts. A backend is a storage-only node of the realm, in this process, whose
//! depot lies on a foreign S3; a store that cannot be reached is a node that is off.

mod attach;
mod detach;
pub(crate) mod holder;
mod journal;
mod letter;
mod lodging;
mod outside;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use freehold_api::{BackendState, BackendStatus, Problem};
use freehold_backend::Settings;
use freehold_wire::{GrantId, Millis, NodeId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::store::{Friends, Opened};
use crate::clock;
use crate::home::Home;
use crate::identity::{Identity, load_keys};
use crate::net::lending::friends;
use crate::problem::identity_problem;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

pub(crate) use attach::{attach, attach_lent, probe};
pub(crate) use detach::detach;
pub use outside::check_stores;
pub(crate) use outside::packs;
pub(crate) use store::wished_store;

/// All backends of a node, by the names of their folders.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    all: Mutex<BTreeMap<String, Arc<Lodger>>>,
    plane: OnceLock<Plane>,
    /// Held by whoever attaches or detaches one.
    turn: tokio::sync::Mutex<()>,
}

/// A backend, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Lodger {
    folder: String,
    home: Home,
    node: NodeId,
    /// How rooms are reached that other realms lend.
    friends: Friends,
    /// As they were last read; nothing if they never could be.
    settings: Mutex<Option<Settings>>,
    now: Mutex<Now>,
    /// Ends it.
    cancel: CancellationToken,
    /// It has ended.
    ended: CancellationToken,
    /// It changed how it is.
    changed: Notify,
}

/// How a backend is.
#[derive(Debug)]
struct Now {
    state: BackendState,
    why: String,
    since: Millis,
    opened: Option<Opened>,
    /// Of several stores, those that do not answer; it runs without them.
    quiet: String,
    /// When all that its node knew was in the journal on its store.
    journaled: Option<Millis>,
}

/// Starts those that are attached. One that cannot be read is told, and stops nothing.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    drop(shared.backends.plane.set(plane.clone()));
    plane.report(Health::Up(String::new()));
    let rooms = std::fs::read_dir(shared.home.backends()).into_iter().flatten().flatten();
    for room in rooms {
        let folder = room.file_name().to_string_lossy().into_owned();
        match Lodger::read(shared, &folder, plane.cancel().child_token()) {
            Ok(Some(lodger)) => drop(shared.backends.take_in(shared, lodger)),
            // An attachment that was broken off: the next one of that name clears it.
            Ok(None) => {}
            Err(problem) => {
                tracing::error!(backend = folder, %problem, "a backend cannot be used");
                plane.report(Health::Degraded(format!("the backend {folder}: {}", problem.why)));
            }
        }
    }
}

impl Backends {
    /// Runs one from now on.
    fn take_in(&self, shared: &Arc<Shared>, lodger: Lodger) -> Option<Arc<Lodger>> {
        let plane = self.plane.get()?;
        let lodger = Arc::new(lodger);
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(lodger.folder.clone(), Arc::clone(&lodger));
        plane.spawn(lodging::lodge(Arc::clone(&lodger), Arc::clone(shared)));
        Some(lodger)
    }

    fn forget(&self, lodger: &Lodger) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&lodger.folder);
    }

    /// All of them.
    fn list(&self) -> Vec<Arc<Lodger>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Whether a node is one of them.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.list().iter().any(|lodger| lodger.node == node)
    }

    /// The node of the one that lies at another realm under a grant.
    pub(crate) fn under(&self, grant: GrantId) -> Option<NodeId> {
        let is_there = |lodger: &&Arc<Lodger>| lodger.settings().is_some_and(|s| s.grant() == Some(grant));
        self.list().iter().find(is_there).map(|lodger| lodger.node)
    }

    /// How each is.
    pub(crate) fn status(&self, shared: &Shared) -> Vec<BackendStatus> {
        self.list().iter().map(|lodger| lodger.status(shared)).collect()
    }

    /// The one that somebody means: by the name it was attached with, or its node's.
    fn named(&self, shared: &Shared, typed: &str) -> Result<Arc<Lodger>, Problem> {
        let meant = |lodger: &&Arc<Lodger>| {
            lodger.folder == typed
                || shared.name_of(lodger.node) == typed
                || (typed.len() >= 4 && lodger.node.to_string().starts_with(typed))
        };
        let all = self.list();
        all.iter().find(meant).cloned().ok_or_else(|| {
            Problem::not_found(
                format!("there is no backend {typed}"),
                "this node hosts none of that name",
                Some("freehold backend list"),
            )
        })
    }
}

impl Lodger {
    /// The backend in a folder; nothing if none was ever finished there.
    fn read(host: &Arc<Shared>, folder: &str, cancel: CancellationToken) -> Result<Option<Self>, Problem> {
        let home = Home::at(&host.home.backends().join(folder));
        if Identity::read(&home).map_err(|e| identity_problem(&e))?.is_none() {
            return Ok(None);
        }
        let node = load_keys(&home).map_err(|e| identity_problem(&e))?.node_id();
        // Without settings it is told, and can be detached.
        let settings = store::settings(&home).ok();
        Ok(Some(Self::new(folder, home, node, settings, (friends(host), cancel))))
    }

    fn new(
        folder: &str,
        home: Home,
        node: NodeId,
        settings: Option<Settings>,
        (friends, cancel): (Friends, CancellationToken),
    ) -> Self {
        let state = BackendState::Starting;
        let (why, quiet) = (String::new(), String::new());
        let since = clock::monotonic();
        let now = Now { state, why, since, opened: None, quiet, journaled: None };
        Self {
            folder: folder.to_owned(),
            home,
            node,
            friends,
            settings: Mutex::new(settings),
            now: Mutex::new(now),
            cancel,
            ended: CancellationToken::new(),
            changed: Notify::new(),
        }
    }

    /// Says how it is; for how long counts from when it came to be so.
    fn is(&self, state: BackendState, why: &str, opened: Option<Opened>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.state != state {
            now.since = clock::monotonic();
        }
        (now.state, now.opened) = (state, opened);
        why.clone_into(&mut now.why);
        drop(now);
        self.changed.notify_waiters();
    }

    /// Reads its settings anew: somebody may have set them right.
    fn reread(&self) -> Result<Settings, String> {
        let read = store::settings(&self.home)?;
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        Ok(read)
    }

    fn settings(&self) -> Option<Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_without(&self, quiet: String) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).quiet = quiet;
    }

    /// All that its node knew at that time is on its store as well.
    fn journal_is(&self, at: Millis) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).journaled = Some(at);
    }

    fn state(&self) -> BackendState {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).state
    }

    fn status(&self, shared: &Shared) -> BackendStatus {
        let name = shared.directory().node_name(self.node).map(str::to_owned);
        let settings = self.settings().unwrap_or_else(|| Settings::new("", ""));
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        BackendStatus {
            name: name.unwrap_or_else(|| self.folder.clone()),
            node: self.node.to_string(),
            others: settings.others.iter().map(|s| format!("{}, bucket {}", s.endpoint, s.bucket)).collect(),
            may_lose: settings.parity,
            endpoint: match settings.grant().and_then(|grant| shared.directory().known_grant(grant).cloned())
            {
                Some(known) => format!("grant:{}", known.name.as_str()),
                None => settings.endpoint,
            },
            bucket: settings.bucket,
            prefix: settings.prefix,
            state: now.state,
            why: now.told(),
            bad_packs: now.opened.as_ref().map_or(0, |opened| opened.packed.bad().len() as u64),
            journal_ms: now.journaled.map(|at| clock::monotonic().since(at).0),
            since_ms: clock::monotonic().since(now.since).0,
            used: now.opened.as_ref().map(|opened| opened.depot.used()),
            capacity: settings.capacity,
        }
    }
}

impl Now {
    /// Why it does not run; or what is wrong though it does.
    fn told(&self) -> String {
        let Some(opened) = self.opened.as_ref().filter(|_| self.why.is_empty()) else {
            return self.why.clone();
        };
        let bad = opened.packed.bad();
        if let Some(first) = bad.first() {
            let packs = freehold_api::words::count(bad.len() as u64, "pack");
            let damage = first.damage;
            return format!(
                "{packs} on the store went bad (the first is {damage}); good copies are fetched anew"
            );
        }
        if opened.packed.is_full() {
            return "its store is full: what is to be written there waits until there is room (ask its vendor for more)".to_owned();
        }
        if self.quiet.is_empty() { opened.packed.lacking().unwrap_or_default() } else { self.quiet.clone() }
    }
}

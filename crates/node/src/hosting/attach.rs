//! Attaching a backend: the store is tried out, a node is made and let into the realm, and it runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use freehold_api::{Attached, BackendState, BackendStatus, NewBackend, Probed, Problem};
use freehold_backend::{Credentials, Settings};
use freehold_crypt::{Algorithm, Entropy as _, SigningKey};
use freehold_disk::OsEntropy;
use freehold_realm::NodeRoles;
use freehold_realm::body::{InvitationIssue, NodeRemove};
use freehold_seal::DirectoryRow;
use freehold_wire::{GrantId, Millis, Name, NodeId};

use super::Lodger;
use super::store::{self, NOT_ATTACHED};
use crate::clock;
use crate::home::Home;
use crate::identity::{FreshKeys, Identity};
use crate::invitation::Contact;
use crate::joining::{Heard, read_log, redemption, settle};
use crate::log::By;
use crate::net::lending::friends;
use crate::problem::{chain, home_problem};
use crate::scribe::Saying;
use crate::shared::Shared;
use crate::vacant::Vacant;

/// How long the invitation of a backend is open, which nobody else ever sees.
const INVITED_FOR: Millis = Millis::from_secs(600);
/// How long whoever attaches waits for it to run; it goes on by itself.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// Attaches a backend, or only tries its store out.
pub(crate) async fn attach(
    shared: &Arc<Shared>,
    wish: &NewBackend,
    dry_run: bool,
) -> Result<Attached, Problem> {
    let name = name_of(&wish.name)?;
    let (settings, credentials) = store::wished(NOT_ATTACHED, wish)?;
    let _turn = shared.backends.turn.lock().await;
    if shared.backends.plane.get().is_none_or(|plane| plane.cancel().is_cancelled()) {
        return Err(Problem::unreachable(NOT_ATTACHED, "the node is stopping", Some("freehold up")));
    }
    must_be_free(shared, &name, &settings)?;
    must_decide(shared)?;
    let probed = store::probe(NOT_ATTACHED, &settings, &credentials).await?;
    if dry_run {
        return Ok(Attached { backend: None, probed });
    }
    let backend = Some(begin(shared, &name, settings, &credentials).await?);
    Ok(Attached { backend, probed })
}

/// Attaches the room that another realm lends under a grant. Once it is there, nothing more is done.
pub(crate) async fn attach_lent(shared: &Arc<Shared>, name: &str, grant: GrantId) -> Result<(), Problem> {
    let name = name_of(name)?;
    let _turn = shared.backends.turn.lock().await;
    if shared.backends.under(grant).is_some() {
        return Ok(());
    }
    if shared.backends.plane.get().is_none_or(|plane| plane.cancel().is_cancelled()) {
        return Err(Problem::unreachable(NOT_ATTACHED, "the node is starting or stopping", None::<&str>));
    }
    let settings = Settings::lent(grant);
    must_be_free(shared, &name, &settings)?;
    must_decide(shared)?;
    begin(shared, &name, settings, &[]).await.map(drop)
}

/// Makes its node and runs it.
async fn begin(
    shared: &Arc<Shared>,
    name: &Name,
    settings: Settings,
    credentials: &[Credentials],
) -> Result<BackendStatus, Problem> {
    let lodger = settle_down(shared, name, settings, credentials).await?;
    crate::steward::tidy_up(shared).await;
    let Some(lodger) = shared.backends.take_in(shared, lodger) else {
        return Err(Problem::unreachable(NOT_ATTACHED, "the node is stopping", Some("freehold up")));
    };
    let up = async {
        loop {
            let changed = lodger.changed.notified();
            if lodger.state() == BackendState::Up {
                return;
            }
            changed.await;
        }
    };
    // What keeps it from running is in its status.
    drop(tokio::time::timeout(UP_WITHIN, up).await);
    Ok(lodger.status(shared))
}

/// Tries the store of a backend out again.
pub(crate) async fn probe(shared: &Shared, typed: &str) -> Result<Probed, Problem> {
    let lodger = shared.backends.named(shared, typed)?;
    let what = format!("the store of {} does not do", lodger.folder);
    let said = what.clone();
    let unusable = |why: String| {
        let next = "set right what it says: it is tried again by itself";
        Problem::corrupt(said.clone(), why, Some(next))
    };
    let settings = lodger.reread().map_err(unusable)?;
    if settings.grant().is_some() {
        let stores = store::stores(&settings, &lodger.home, &lodger.friends).map_err(unusable)?;
        let next = Some("freehold grant list    (says what is in the way)");
        store::reach(&settings, &stores).await.map_err(|why| Problem::unreachable(what, why, next))?;
        return Ok(Probed { can: vec!["it answers, under the grant".to_owned()], lacks: Vec::new() });
    }
    let all = 0..settings.stores().count();
    let credentials: Result<Vec<Credentials>, _> =
        all.map(|at| Credentials::read_of(lodger.home.root(), at)).collect();
    let credentials = credentials.map_err(|e| unusable(chain(&e)))?;
    store::probe(&what, &settings, &credentials).await
}

/// A name for a folder and a node.
fn name_of(typed: &str) -> Result<Name, Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=40).contains(&typed.len()) && typed.chars().all(plain) && !typed.starts_with('-');
    let name = Name::new(typed).ok().filter(|name| fits && !name.is_like_an_id());
    name.ok_or_else(|| {
        Problem::invalid(
            NOT_ATTACHED,
            format!("{typed:?} cannot be its name"),
            Some("a name has 1 to 40 lower-case letters, digits and hyphens, and looks like no id: such as offsite"),
        )
    })
}

fn must_be_free(shared: &Shared, name: &Name, settings: &Settings) -> Result<(), Problem> {
    let taken = shared.backends.list().iter().any(|lodger| lodger.folder == name.as_str());
    if taken || !shared.nodes_named(name.as_str()).is_empty() {
        return Err(Problem::conflict(
            NOT_ATTACHED,
            format!("there is a node {} already", name.as_str()),
            Some("choose another name; see freehold node list"),
        ));
    }
    let place = |store: &Settings| (store.endpoint.clone(), store.bucket.clone(), store.prefix.clone());
    let own: BTreeSet<_> = settings.stores().map(place).collect();
    if own.len() < settings.stores().count() {
        return Err(Problem::invalid(
            NOT_ATTACHED,
            "one of its stores is named twice: two parts in one place are lost together",
            Some("name another store"),
        ));
    }
    let same = |other: &Settings| other.stores().any(|store| own.contains(&place(store)));
    match shared.backends.list().iter().find(|lodger| lodger.settings().as_ref().is_some_and(same)) {
        None => Ok(()),
        Some(other) => Err(Problem::conflict(
            NOT_ATTACHED,
            format!("the backend {} is there already: two copies in one place are one", other.folder),
            Some("use another store"),
        )),
    }
}

/// The realm must take a new node from this machine.
fn must_decide(shared: &Shared) -> Result<(), Problem> {
    if shared.keys.device.is_some() && shared.is_keeper() {
        return Ok(());
    }
    Err(Problem::refused(
        NOT_ATTACHED,
        "a backend is a node of the realm, and this machine lets none in",
        Some("attach it on an admin's machine: freehold node list    (shows which are)"),
    ))
}

/// Makes the node of a backend and lets it into the realm; its identity is written last.
async fn settle_down(
    shared: &Arc<Shared>,
    name: &Name,
    settings: Settings,
    credentials: &[Credentials],
) -> Result<Lodger, Problem> {
    let rooms = shared.home.backends();
    freehold_disk::make_private_dir(&rooms).map_err(|error| home_problem(&rooms, &error))?;
    let home = Home::at(&rooms.join(name.as_str()));
    clear(&home)?;
    let made = make(shared, name, &home, &settings, credentials).await;
    if made.is_err() {
        clear(&home)?;
    }
    let node = made?;
    let friends = friends(shared);
    let cancel = shared.backends.plane.get().map(|plane| plane.cancel().child_token());
    Ok(Lodger::new(name.as_str(), home, node, Some(settings), (friends, cancel.unwrap_or_default())))
}

/// Removes what an attachment left that was broken off.
fn clear(home: &Home) -> Result<(), Problem> {
    let is_there = home.root().exists() && Identity::read(home).is_ok_and(|identity| identity.is_none());
    if !is_there {
        return Ok(());
    }
    std::fs::remove_dir_all(home.root()).map_err(|error| home_problem(home.root(), &error))
}

async fn make(
    shared: &Arc<Shared>,
    name: &Name,
    home: &Home,
    settings: &Settings,
    credentials: &[Credentials],
) -> Result<NodeId, Problem> {
    let vacant = Vacant::take(home)?;
    let keys = FreshKeys::draw();
    store::keep(home, shared.realm(), settings, credentials, &OsEntropy.secret())?;
    store::must_be_vacant(home, settings, &friends(shared)).await?;
    let node = keys.keys().node_id();
    let settled = async {
        let heard = let_in(shared, &keys).await?;
        let mine = shared.mesh.get().map(|mesh| mesh.addresses().to_bytes()).unwrap_or_default();
        let contacts = vec![Contact { node: shared.me(), addresses: mine }];
        settle(&vacant, shared.realm(), &keys, false, &heard, contacts)
    };
    if let Err(problem) = settled.await {
        take_out(shared, node).await;
        return Err(problem);
    }
    // Without it, it is called by its id; that does no harm.
    let named = shared.say(vec![Saying::Row(DirectoryRow::NodeName(node, Some(name.clone())))]).await;
    if let Err(problem) = named {
        tracing::warn!(%problem, "a backend has no name in the directory");
    }
    Ok(node)
}

/// A node that was let in and will never run holds nothing, though all would wait for it.
async fn take_out(shared: &Shared, node: NodeId) {
    if !shared.log.view().state().nodes.contains_key(&node) {
        return;
    }
    if let Err(problem) = shared.log.say(NodeRemove { node, last: 0 }, By::Device).await {
        tracing::error!(%problem, %node, "a backend that was not attached is still a node of the realm");
    }
}

/// Invites a node and takes the invitation up, all here.
async fn let_in(shared: &Shared, keys: &FreshKeys) -> Result<Heard, Problem> {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret());
    let expires = clock::wall().plus(INVITED_FOR);
    let invitation =
        InvitationIssue { key: key.verifying(), roles: NodeRoles::STORAGE, expires, device: None };
    shared.log.say(invitation, By::Device).await?;
    let log = shared.log.export().await?;
    let (mut set, matured) = tokio::task::block_in_place(|| read_log(&log, shared.realm()))?;
    let (op, _) = redemption(&set, &matured, keys, &key)?;
    let op = shared.log.let_in(op).await?;
    set.insert(op).map_err(|e| Problem::bug(NOT_ATTACHED, e.to_string(), None::<&str>))?;
    Ok(Heard { ops: set.iter().cloned().collect(), matured })
}

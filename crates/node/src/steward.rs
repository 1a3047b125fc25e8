//! The steward keeps the rest of the node in line with log and directory: which buckets there are
//! and what they are called, who gets which key, whom the mesh connects to, what this node says of
//! itself. It holds no state: everything is derived again at each change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use freehold_disk::{OsEntropy, StoreError};
use freehold_mesh::Addresses;
use freehold_placement::Own;
use freehold_realm::body::NodeAdd;
use freehold_realm::{NodeRoles, Standing};
use freehold_seal::{DirectoryRow, KeyOf, KeyRing, Recipient, Setting};
use freehold_vault::BucketInfo;
use freehold_wire::{Bounded, BucketId, NodeId, Text};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::control::sharing;
use crate::entitled::{
    Access, Entitled, access, holders, is_active, is_erased, may_box, named, person_of, to_rotate,
};
use crate::log::{By, View};
use crate::naming::{self, Called};
use crate::scribe::Saying;
use crate::shared::Shared;
use crate::whereabouts;

/// How long after its start a node first asks whether a checkpoint is due.
const FIRST_LOOK: Duration = Duration::from_mins(1);
/// How often it asks from then on.
const LOOK_EVERY: Duration = Duration::from_mins(10);
/// Whoever shut a node out rotates the keys at once. One node does it for them a while later, if that
/// was not so.
const ROTATE_AFTER: Duration = Duration::from_secs(30);
/// How often it looks whether others were heard, where something waits for that.
const HEARD_EVERY: Duration = Duration::from_secs(10);

/// How soon it is looked again whether keys may end, which nothing else tells; twice as late each time.
const ENDINGS_AGAIN: Duration = Duration::from_secs(1);
const ENDINGS_RARELY: Duration = Duration::from_mins(5);

/// Works until told to stop.
pub async fn run(shared: Arc<Shared>, cancel: CancellationToken) {
    let mut log = shared.log.watch();
    let mut directory = shared.watch_directory();
    let mut addresses = shared.mesh.get().map(|mesh| mesh.watch_addresses());
    let mut neighbours = shared.neighbours.watch();
    let mut words = shared.vault.watch_words();
    let mut lent = shared.strangers.watch();
    // Not at once: the other nodes may have something to say first.
    let mut checkpoints = tokio::time::interval_at(Instant::now() + FIRST_LOOK, LOOK_EVERY);
    let mut rotation: Option<Instant> = None;
    let mut endings = ENDINGS_AGAIN;
    loop {
        log.mark_unchanged();
        directory.mark_unchanged();
        neighbours.mark_unchanged();
        words.mark_unchanged();
        lent.mark_unchanged();
        let may_say = shared.may_say();
        tidy_up(&shared).await;
        if may_say {
            say_again(&shared).await;
        }
        let ours = may_say && to_rotate(&shared).iter().any(|due| due.is_ours);
        let look = shared.endings.waits().then(|| Instant::now() + endings);
        let rarer = endings.saturating_mul(2).min(ENDINGS_RARELY);
        endings = ENDINGS_AGAIN;
        rotation = rotation.filter(|_| ours).or_else(|| ours.then(|| Instant::now() + ROTATE_AFTER));
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            changed = log.changed() => if changed.is_err() { return },
            changed = directory.changed() => if changed.is_err() { return },
            () = moved(&mut addresses) => {}
            changed = neighbours.changed() => if changed.is_err() { return },
            changed = words.changed() => if changed.is_err() { return },
            changed = lent.changed() => if changed.is_err() { return },
            () = shared.until_may_say(), if !may_say => {}
            () = shared.log.met() => {}
            () = tokio::time::sleep(HEARD_EVERY), if shared.begun.listens() => {}
            () = until(look) => endings = rarer,
            () = until(rotation) => {
                rotation = None;
                rotate_ours(&shared).await;
            }
            _ = checkpoints.tick() => checkpoint(&shared).await,
        }
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Makes or signs a checkpoint if this machine is an admin's and one is due.
async fn checkpoint(shared: &Shared) {
    if shared.keys.device.is_none() {
        return;
    }
    if let Err(problem) = shared.log.checkpoint(false).await {
        tracing::debug!(why = %problem.why, "no checkpoint is due");
    }
}

async fn moved(addresses: &mut Option<tokio::sync::watch::Receiver<Addresses>>) {
    let told = match addresses {
        Some(watch) => watch.changed().await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending::<()>().await;
    }
}

/// Brings everything in line once. What is to be said waits while this node may not write: it is not
/// held up by that.
pub async fn tidy_up(shared: &Shared) {
    let _turn = shared.tidying.lock().await;
    shared.trust_the_log();
    if let Err(error) = shared.cut_directory() {
        tracing::error!(%error, "what a suspended node said could not be sorted out");
    }
    hand_keys_to_vault(shared).await;
    // What must be kept of a bucket shows once it is read.
    if let Err(problem) = crate::erasing::begin_due(shared).await {
        tracing::warn!(%problem, "what is to be erased waits");
    }
    shared.trust_the_log();
    if know_who_vouches(shared) {
        hand_keys_to_vault(shared).await;
    }
    name_buckets(shared);
    if let Err(error) = know_who_writes(shared).await {
        tracing::error!(%error, "what nodes wrote that may not could not be sorted out");
    }
    if let Err(error) = shared.vault.set_cuts(shared.cuts()).await {
        tracing::error!(%error, "what a suspended node wrote could not be sorted out");
    }
    connect(shared).await;
    settle_in(shared).await;
    if shared.may_say() {
        let erased = ("erasures", crate::erasing::carry_out(shared).await);
        let boxed = ("keys", box_keys(shared).await);
        for (what, done) in [erased, boxed, ("addresses", say_addresses(shared).await)] {
            if let Err(problem) = done {
                tracing::warn!(what, %problem, "the directory was not brought up to date");
            }
        }
    }
    if let Some(replica) = shared.replica.get() {
        replica.look_again().await;
    }
}

async fn hand_keys_to_vault(shared: &Shared) {
    let rings: Vec<_> = shared.directory().rings().cloned().collect();
    for ring in rings {
        let KeyOf::Bucket(bucket) = ring.of() else { continue };
        if ring.sealing().next().is_none()
            || (shared.keyring.has_all(&ring) && shared.keyring.is_read(&bucket))
        {
            continue;
        }
        shared.keyring.set(ring);
        let read = shared.vault.reopen(&bucket).await;
        if let Err(error) = &read {
            tracing::error!(%error, "a bucket's entries could not be opened with its key");
        }
        shared.keyring.note_read(bucket, read.is_ok());
    }
}

/// Who may make the next keys of private buckets is read in the buckets themselves.
fn know_who_vouches(shared: &Shared) -> bool {
    let view = shared.log.view();
    let rings: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    let mut changed = false;
    for ring in rings.iter().filter(|ring| ring.is_private()) {
        let KeyOf::Bucket(bucket) = ring.of() else { continue };
        let entitled = Entitled::to(shared, &view, ring);
        if entitled.is_said() {
            changed |= shared.trust_writers(bucket, entitled.writers().clone());
        }
    }
    changed
}

/// Whoever holds all keys by its role writes everywhere; others as the bucket's holders said.
async fn know_who_writes(shared: &Shared) -> Result<(), StoreError> {
    let view = shared.log.view();
    let rings: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    let (mut writers, mut kept_out) = (BTreeMap::new(), BTreeMap::new());
    for (bucket, may, here) in rings.iter().filter_map(|ring| access(shared, &view, ring)) {
        writers.insert(bucket, may);
        match here {
            Access::Writes => {}
            Access::Reads => drop(kept_out.insert(bucket, Own::Reads)),
            Access::Lost => drop(kept_out.insert(bucket, Own::Unshared)),
        }
    }
    if let Some(replica) = shared.replica.get() {
        replica.keep_out(kept_out);
    }
    shared.vault.set_writers(writers).await
}

fn name_buckets(shared: &Shared) {
    let view = shared.log.view();
    let called = {
        let directory = shared.directory();
        let called = |(id, _): (&BucketId, &freehold_realm::Bucket)| {
            // A keeper who lists a private bucket under another name would have its own free for one.
            let called = if shared.keyring.is_private(id) {
                own_name(shared, &view, id)
            } else {
                directory.bucket_name(*id).map(|name| Called::Listed(name.to_owned()))
            };
            (*id, called.unwrap_or(Called::Not))
        };
        view.state().live_buckets().map(called).collect::<BTreeMap<_, _>>()
    };
    let mut names = naming::names(&called);
    let info = |(id, bucket): (&BucketId, &freehold_realm::Bucket)| {
        let info = BucketInfo {
            name: names.remove(id).unwrap_or_else(|| id.short()),
            copies: bucket.copies.into(),
            confirm: bucket.confirm.into(),
            created: view.bucket_times.get(id).copied().unwrap_or_default(),
        };
        (*id, info)
    };
    let buckets: BTreeMap<_, _> = view.state().live_buckets().map(info).collect();
    shared.vault.set_makers(view.makers.clone());
    shared.vault.set_buckets(buckets);
}

/// A private bucket's name is known to its holders alone. One that this node or another of the same
/// person gave is not for others to take.
fn own_name(shared: &Shared, view: &View, id: &BucketId) -> Option<Called> {
    let held = holders(shared, view, id, true);
    let writing = named(view, &held);
    let words = shared.vault.words(id, Setting::Name).into_iter();
    let words = words.filter(|word| held.authors.contains(&word.stamp.origin));
    let last = words
        .max_by_key(|word| (writing.get(&word.stamp.origin) == Some(&false), word.generation, word.stamp))?;
    let name = str::from_utf8(last.document.as_deref()?).ok()?;
    let (by, me) = (last.stamp.origin, shared.me());
    let is_ours = by == me || person_of(view, &by).is_some_and(|by| Some(by) == person_of(view, &me));
    let name = crate::control::is_bucket_name(name).then(|| name.to_owned())?;
    Some(if is_ours { Called::Ours(name) } else { Called::Itself(name) })
}

/// Tells the mesh whom to connect to, and cuts whom the realm no longer wants.
async fn connect(shared: &Shared) {
    let Some(mesh) = shared.mesh.get() else { return };
    let view = shared.log.view();
    let me = shared.me();
    let mut peers = BTreeMap::new();
    for contact in &shared.identity.first_contacts {
        if let Ok(addresses) = Addresses::from_bytes(&contact.addresses) {
            peers.insert(contact.node, addresses);
        }
    }
    let mut said = whereabouts::of_others(shared);
    for (id, node) in view.state().nodes.iter().filter(|(id, _)| **id != me) {
        if node.standing != Standing::Active {
            mesh.disconnect(*id);
            peers.remove(id);
            continue;
        }
        // What the invitation said counts until they speak themselves.
        let known = said.remove(id).or_else(|| peers.remove(id)).unwrap_or_default();
        let known = shared.neighbours.beside(*id, known);
        let may_relay = node.roles.contains(NodeRoles::RELAY);
        peers.insert(*id, if may_relay { known } else { known.without_relay_service() });
    }
    peers.remove(&me);
    for health in mesh.peers() {
        // A node that left is cut; one that we have not heard of yet may know more than we do. One
        // whose recovery was stopped gets nothing more, but hears of it: the mesh cuts it in seconds.
        let stays =
            crate::gate::admits(&view, shared, health.id) || shared.visitors.is_stopped(health.id, &view);
        if health.connected && view.operations > 0 && !stays {
            mesh.disconnect(health.id);
        }
    }
    mesh.borrow_relays(shared.strangers.relays(view.state(), crate::clock::wall()));
    mesh.set_peers(peers).await;
}

/// After a recovery has taken effect this machine is an admin's device, but its node is not of the
/// realm yet: it adds itself.
async fn settle_in(shared: &Shared) {
    let Some(device) = &shared.keys.device else { return };
    let view = shared.log.view();
    let state = view.state();
    let is_admin = state
        .device(&device.verifying().id())
        .is_some_and(|(person, _)| state.active_admins().any(|(admin, _)| *admin == person));
    if !is_admin || state.nodes.contains_key(&shared.me()) {
        return;
    }
    let roles = NodeRoles::STORAGE.with(NodeRoles::GATEWAY).with(NodeRoles::RELAY).with(NodeRoles::SECRETS);
    let node = Arc::clone(&shared.keys.node);
    let add = NodeAdd { node: node.verifying(), box_key: shared.box_public(), roles };
    if let Err(problem) = shared.log.say_with(add, By::Device, vec![node]).await {
        tracing::warn!(%problem, "this node could not add itself to the recovered realm");
    }
}

/// Boxes every key that this node holds for everybody who ought to have it. Only a keeper's boxes for
/// others are believed, and of a private bucket a holder's.
async fn box_keys(shared: &Shared) -> Result<(), freehold_api::Problem> {
    let view = shared.log.view();
    let (state, me) = (view.state(), shared.me());
    let keeps = |node: &NodeId| is_active(state, node) && view.keepers.contains(node);
    // It may have destroyed a key by what it says there, and got another box since.
    let settled = |to: &Recipient| match to {
        Recipient::Node(node) => *node == me || !shared.log.may_say_more_at(node),
        Recipient::Recovery => true,
    };
    let rings: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    let mut sayings = Vec::new();
    // After an older copy of the keys was put back.
    let known = shared.directory().box_key(me);
    let now = shared.box_public();
    if known.is_some_and(|known| known != now) {
        sayings.push(Saying::Row(DirectoryRow::BoxKey(me, now)));
    }
    for ring in rings {
        let entitled = Entitled::to(shared, &view, &ring);
        // Others may have destroyed what is to be erased: a box would bring it back to them.
        let may = may_box(shared, &view, &ring, &entitled) && !is_erased(&view, &ring);
        let counts = |origin: &NodeId| {
            *origin == me || if ring.is_private() { entitled.writes(origin) } else { keeps(origin) }
        };
        let by_me = |origin: &NodeId| *origin == me;
        let due = |to: &Recipient| if may { settled(to) } else { *to == Recipient::Node(me) };
        for (to, public) in entitled.recipients().filter(|(to, _)| due(to)) {
            let is_mine = to == Recipient::Node(me);
            for key in ring.iter().filter(|key| ring.is_vouched(key.version())) {
                // Others may have destroyed what ends already.
                if !is_mine && (ring.is_ending(key.version()) || !entitled.is_for(&to, key.generation())) {
                    continue;
                }
                // Of a private bucket's key its own box says that it once was one to be trusted.
                let there = (ring.of(), key.version());
                let has = if is_mine && ring.is_private() {
                    shared.directory().has_envelope(there, (to, &public), by_me)
                } else {
                    shared.directory().has_envelope(there, (to, &public), counts)
                };
                if has {
                    continue;
                }
                match ring.envelope(key.version(), to, &public, &mut OsEntropy) {
                    Ok(envelope) => sayings.push(Saying::Key(Box::new(envelope))),
                    Err(error) => tracing::error!(%error, ?to, "a key could not be boxed"),
                }
            }
        }
    }
    if sayings.is_empty() { Ok(()) } else { shared.say(sayings).await }
}

/// Makes the next key of a ring, boxed for those who stay.
///
/// # Errors
/// A [`Problem`](freehold_api::Problem) if this node cannot.
pub(crate) async fn rotate(shared: &Shared, of: KeyOf) -> Result<(), freehold_api::Problem> {
    let turn = shared.tidying.lock().await;
    let view = shared.log.view();
    let ring = shared.directory().ring(of).cloned();
    let no_key = || {
        freehold_api::Problem::refused(
            "no new key was made",
            "this node has not been given the key that it would follow",
            Some("type it on a node that holds it: freehold node list"),
        )
    };
    let mut ring = ring.filter(|ring| ring.current().is_some()).ok_or_else(no_key)?;
    let entitled = Entitled::to(shared, &view, &ring);
    if !may_box(shared, &view, &ring, &entitled) {
        return Err(freehold_api::Problem::refused(
            "no new key was made",
            "nobody would believe this node's boxes: it does not hold the realm's secrets",
            Some("type it on a node with the role secrets: freehold node list"),
        ));
    }
    let version = ring.rotate(&mut OsEntropy).map(freehold_seal::BucketKey::version);
    let version = version.ok_or_else(no_key)?;
    let mut sayings = Vec::new();
    // Who hears of this node's own has heard of all others.
    let is_mine = |(to, _): &(Recipient, _)| *to == Recipient::Node(shared.me());
    let (mine, others): (Vec<_>, Vec<_>) = entitled.recipients().partition(is_mine);
    for (to, public) in others.into_iter().chain(mine) {
        match ring.envelope(version, to, &public, &mut OsEntropy) {
            Ok(envelope) => sayings.push(Saying::Key(Box::new(envelope))),
            Err(error) => tracing::error!(%error, ?to, "a key could not be boxed"),
        }
    }
    tracing::info!(?of, generation = freehold_seal::generation(version), "a key was rotated");
    // Durable before anything is sealed with it.
    shared.say(sayings).await?;
    hand_keys_to_vault(shared).await;
    drop(turn);
    if let KeyOf::Bucket(bucket) = of {
        // Until that is heard nobody else gives the key on to those who are named.
        say_holders_again(shared, &bucket).await;
    }
    Ok(())
}

/// Says under the newest key who is named, where this node said it under an earlier one and whoever
/// made that key has said so: then nobody needs the earlier one to know whom to believe.
async fn say_again(shared: &Shared) {
    let view = shared.log.view();
    let rings: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    for ring in rings {
        let (KeyOf::Bucket(bucket), Some(newest)) = (ring.of(), ring.current()) else { continue };
        let held = holders(shared, &view, &bucket, ring.is_private());
        let mine = shared.vault.words(&bucket, Setting::Holders);
        let mine = mine.iter().find(|word| word.stamp.origin == shared.me()).map(|word| word.generation);
        let entitled = Entitled::to(shared, &view, &ring);
        let is_behind = mine.is_some_and(|mine| mine < held.generation);
        if is_behind
            && newest.generation() == u32::from(held.generation)
            && may_box(shared, &view, &ring, &entitled)
        {
            say_holders_again(shared, &bucket).await;
        }
    }
}

async fn say_holders_again(shared: &Shared, bucket: &BucketId) {
    if let Err(problem) = sharing::say_again(shared, bucket).await {
        tracing::warn!(bucket = %bucket.short(), %problem, "who holds a bucket's keys was not said again");
    }
}

/// Rotates what somebody knows who should not, if this node is the one to do it.
async fn rotate_ours(shared: &Shared) {
    for due in to_rotate(shared).into_iter().filter(|due| due.is_ours) {
        if let Err(problem) = rotate(shared, due.of).await {
            tracing::warn!(%problem, "a key was not rotated");
        }
    }
    tidy_up(shared).await;
}

/// Says where this node is, if it has moved.
async fn say_addresses(shared: &Shared) -> Result<(), freehold_api::Problem> {
    let Some(mesh) = shared.mesh.get() else { return Ok(()) };
    let me: NodeId = shared.me();
    let is_member =
        shared.log.view().state().nodes.get(&me).is_some_and(|node| node.standing == Standing::Active);
    let has_key = shared.directory().ring(KeyOf::Directory).is_some_and(|ring| ring.current().is_some());
    let now = mesh.addresses();
    if !is_member || !has_key || now.is_empty() {
        return Ok(());
    }
    let items: Vec<String> = now.to_string().split(',').map(str::to_owned).collect();
    let known = shared
        .directory()
        .addresses(me)
        .map(|known| known.into_iter().map(str::to_owned).collect::<Vec<_>>());
    if known.as_deref() == Some(&items) {
        return Ok(());
    }
    let mut texts = items.into_iter().filter_map(|item| Text::new(item).ok());
    shared.say(vec![Saying::Row(DirectoryRow::Addresses(me, Bounded::fill(&mut texts)))]).await
}

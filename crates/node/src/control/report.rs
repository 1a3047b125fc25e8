//! How everything is: status, doctor, metrics, each from one reading of the planes.

mod erasures;
mod metrics;
mod parts;

use std::collections::BTreeMap;

use freehold_api::{
    BackendState, BackendStatus, BucketAccess, BucketStatus, ChecklistItem, CopiesCount, Doctor, Endpoints,
    Finding, Level, LogStatus, NodeStatus, Path, Protection, RealmName, RecoveryStatus, Role, Standing,
    Status, StorageStatus, words,
};
use freehold_mesh::PeerHealth;
use freehold_placement::Own;
use freehold_realm::{Alarm, NodeRoles};
use freehold_seal::KeyOf;
use freehold_wire::{BucketId, Millis, NodeId};

pub(super) use self::metrics::metrics;
use crate::clock;
use crate::heard::silent;
use crate::log::{NotYet, View};
use crate::people::is_record;
use crate::shared::Shared;

pub(super) fn status(shared: &Shared) -> Status {
    let view = shared.log.view();
    let guardians = &view.state().guardians;
    let name = shared.realm_name().unwrap_or_else(|| "unnamed realm".to_owned());
    Status {
        realm: RealmName {
            id: shared.realm().to_string(),
            name,
            guardians: u16::try_from(guardians.guardians.len()).unwrap_or(u16::MAX),
            guardians_needed: guardians.threshold.into(),
        },
        this_node: shared.me().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: clock::monotonic().since(shared.started).0,
        alarms: alarms(shared),
        planes: parts::planes(shared),
        nodes: nodes(shared),
        buckets: buckets(shared).into_iter().filter(|bucket| is_peoples(&bucket.name)).collect(),
        log: LogStatus {
            heads: view.heads.iter().map(ToString::to_string).collect(),
            operations: view.operations as u64,
            refused: view.folded.refused.len() as u64,
            epoch: view.epoch_seen,
            checkpoint_ms: view.state().base.map(|_| clock::wall().since(view.state().base_time).0),
        },
        storage: storage(shared),
        endpoints: endpoints(shared),
        checklist: checklist(shared, &view),
        recoveries: view
            .waiting_recoveries(clock::wall())
            .map(|(id, left)| RecoveryStatus { id: id.to_string(), effective_in_ms: left.map(|left| left.0) })
            .collect(),
        erasures: erasures::under_way(shared, &view),
    }
}

/// Whether people have made it: not one of the planes' own.
fn is_peoples(bucket: &str) -> bool {
    !is_record(bucket) && ![crate::net::door::kept::BUCKET, crate::backup::BUCKET].contains(&bucket)
}

/// Where it answers; for names that changes while it runs.
fn endpoints(shared: &Shared) -> Endpoints {
    let first = shared.endpoints.get().cloned().unwrap_or_default();
    let names = shared.names.get().map(|names| names.addresses());
    Endpoints { names: names.unwrap_or_else(|| first.names.clone()), ..first }
}

fn storage(shared: &Shared) -> StorageStatus {
    let used = shared.depot.used();
    let free = freehold_disk::free_bytes(shared.home.root()).unwrap_or_default();
    let missing = shared.replica.get().map(|replica| replica.report().missing).unwrap_or_default();
    StorageStatus { used, free, coming: missing.0 as u64, coming_bytes: missing.1 }
}

pub(super) fn roles(roles: NodeRoles) -> Vec<Role> {
    Role::ALL
        .iter()
        .copied()
        .filter(|role| NodeRoles::named(role.as_str()).is_some_and(|r| roles.contains(r)))
        .collect()
}

pub(super) fn nodes(shared: &Shared) -> Vec<NodeStatus> {
    let view = shared.log.view();
    let peers = shared.mesh.get().map(|mesh| mesh.peers()).unwrap_or_default();
    let me = shared.me();
    let mut backends = shared.backends.status(shared);
    let mut backend = |id: &NodeId| {
        let id = id.to_string();
        backends.iter().position(|backend| backend.node == id).map(|at| Box::new(backends.swap_remove(at)))
    };
    let node = |(id, node): (&NodeId, &freehold_realm::Node)| {
        let health: Option<&PeerHealth> = peers.iter().find(|peer| peer.id == *id);
        let connected = *id == me || health.is_some_and(|peer| peer.connected);
        NodeStatus {
            id: id.to_string(),
            name: shared.name_of(*id),
            roles: roles(node.roles),
            connected,
            path: path(health),
            last_heard_ms: if *id == me { Some(0) } else { last_heard(shared, *id, health) },
            standing: standing(node.standing),
            admin: has_admin(&view, id),
            backend: backend(id),
            place: super::places::place_of(shared, id, node),
        }
    };
    let mut all: Vec<NodeStatus> = view.state().nodes.iter().map(node).collect();
    // A machine that guardians are bringing back is no node yet, but it reads.
    let mut visitors = shared.visitors.list(&view);
    visitors.extend(view.not_yet(me, clock::wall()).map(|_| me));
    visitors.retain(|id| !view.state().nodes.contains_key(id));
    all.extend(visitors.into_iter().map(|id| visitor(shared, id, &peers)));
    all
}

pub(super) const fn standing(of: freehold_realm::Standing) -> Standing {
    match of {
        freehold_realm::Standing::Active => Standing::Member,
        freehold_realm::Standing::Suspended => Standing::Suspended,
        freehold_realm::Standing::Burned => Standing::Burned,
    }
}

/// Whether an admin's device is on the machine of a node.
fn has_admin(view: &View, node: &NodeId) -> bool {
    let state = view.state();
    let device = view.devices.get(node).and_then(|key| state.device(key));
    device.is_some_and(|(person, device)| {
        device.standing == freehold_realm::Standing::Active
            && state.active_admins().any(|(admin, _)| *admin == person)
    })
}

fn visitor(shared: &Shared, id: NodeId, peers: &[PeerHealth]) -> NodeStatus {
    let health = peers.iter().find(|peer| peer.id == id);
    let is_me = id == shared.me();
    NodeStatus {
        id: id.to_string(),
        name: shared.name_of(id),
        roles: Vec::new(),
        connected: is_me || health.is_some_and(|peer| peer.connected),
        path: path(health),
        last_heard_ms: if is_me { Some(0) } else { last_heard(shared, id, health) },
        standing: Standing::Visitor,
        admin: false,
        backend: None,
        place: freehold_api::NodePlace::default(),
    }
}

pub(super) fn path(health: Option<&PeerHealth>) -> Option<Path> {
    match health.filter(|peer| peer.connected)?.path {
        freehold_mesh::Path::Direct(_) => Some(Path::Direct),
        freehold_mesh::Path::Relay(_) => Some(Path::Relay),
        freehold_mesh::Path::Unknown => None,
    }
}

/// In this run, or before it.
pub(super) fn last_heard(shared: &Shared, node: NodeId, health: Option<&PeerHealth>) -> Option<u64> {
    let now = health.and_then(|peer| peer.last_heard);
    let now = now.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
    let before = shared.replica.get().and_then(|replica| replica.report().heard.get(&node).copied());
    now.or_else(|| before.map(|at| clock::wall().since(at).0))
}

pub(crate) fn buckets(shared: &Shared) -> Vec<BucketStatus> {
    let stats = shared.vault.stats();
    let (log, view) = (shared.log.view(), super::places::view_of(shared));
    let rules: BTreeMap<_, _> = log.state().live_buckets().map(|(id, of)| (*id, of.rules.clone())).collect();
    let report = shared.replica.get().map(crate::replica::Replica::report);
    let called = shared.vault.buckets();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for info in called.values() {
        *names.entry(&info.name).or_default() += 1;
    }
    let maker = |id: &BucketId| {
        Some(super::bucket::who_signed(shared, &log, &log.state().buckets.get(id)?.created_by))
    };
    let bucket = |(id, info): (BucketId, freehold_vault::BucketInfo)| {
        let numbers = stats.get(&id).copied().unwrap_or_default();
        let looked = report.as_ref().and_then(|report| report.looked.get(&id)).cloned().unwrap_or_default();
        let held = shared.protection(&id, info.copies, numbers.objects);
        // Replication counts writes: what was overwritten or deleted since is no object.
        let waiting = held.waiting.min(numbers.objects);
        let is_double = names.get(info.name.as_str()).is_some_and(|count| *count > 1);
        let made_by = is_double.then(|| maker(&id)).flatten();
        BucketStatus {
            id: id.to_string(),
            name: info.name,
            copies: info.copies,
            confirm: info.confirm,
            objects: numbers.objects,
            bytes: numbers.bytes,
            protected: match waiting {
                0 => Protection::Full,
                waiting if waiting >= numbers.objects => Protection::NotYet,
                _ => Protection::Partly,
            },
            waiting,
            oldest_unprotected_ms: held.oldest_ms.filter(|_| waiting > 0),
            rules: rules.get(&id).map(super::places::rules_said).unwrap_or_default(),
            good_copies: good_copies(&held),
            bytes_waiting: if waiting > 0 { held.bytes } else { 0 },
            checked_ms: looked.oldest().map(|at| clock::wall().since(at).0),
            unchecked: u16::try_from(looked.never.len()).unwrap_or(u16::MAX),
            lacks: super::places::lacks(&view, &id).filter(|_| waiting > 0 || numbers.objects == 0),
            access: access(shared, &id),
            made_ms: Some(info.created.0),
            made_by,
        }
    };
    let mut all: Vec<_> = called.clone().into_iter().map(bucket).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// What this node can do with a bucket.
pub(super) fn access(shared: &Shared, bucket: &BucketId) -> BucketAccess {
    if shared.keyring.current(bucket).is_none() {
        return BucketAccess::Stores;
    }
    match shared.replica.get().and_then(|replica| replica.kept_out_of(bucket)) {
        None => BucketAccess::Writes,
        Some(Own::Unshared) => BucketAccess::TakenBack,
        Some(_) => BucketAccess::Reads,
    }
}

/// How many have how many copies, without the numbers that none has.
fn good_copies(held: &crate::shared::Held) -> Vec<CopiesCount> {
    let counts = (0..).zip(held.copies).map(|(copies, objects)| CopiesCount { copies, objects });
    counts.filter(|count| count.objects > 0).collect()
}

fn checklist(shared: &Shared, view: &View) -> Vec<ChecklistItem> {
    let item = |id: &str, title: &str, done, how: &str| ChecklistItem {
        id: id.to_owned(),
        title: title.to_owned(),
        done,
        how: how.to_owned(),
    };
    let alone = is_alone(shared, view);
    let protected = buckets(shared).iter().all(|bucket| bucket.protected == Protection::Full);
    vec![
        item("second-node", "Add a second node", !alone, "freehold invite"),
        item(
            "backup",
            "Have everything on as many nodes as its bucket asks for",
            protected && !alone,
            if alone { "comes by itself with the second node" } else { "bring the other nodes online" },
        ),
        item(
            "guardians-tested",
            "Type two guardian phrases back, so that you know they are written down right",
            view.state().guardians_proven(),
            "freehold guardians test",
        ),
    ]
}

/// Whether no other node's rights hold.
fn is_alone(shared: &Shared, view: &View) -> bool {
    // A backend is not another machine: it goes with the one that hosts it.
    let active = |(id, node): &(&NodeId, &freehold_realm::Node)| {
        node.standing == freehold_realm::Standing::Active && !shared.backends.has(**id)
    };
    view.state().nodes.iter().filter(active).count() <= 1
}

/// What is shown at the head of the status.
pub(crate) fn alarms(shared: &Shared) -> Vec<Finding> {
    let all = findings(shared, &shared.log.view()).into_iter();
    all.filter(|found| found.level == Level::Alarm).collect()
}

pub(super) fn doctor(shared: &Shared) -> Doctor {
    let mut findings = findings(shared, &shared.log.view());
    findings.sort_by_key(|found| std::cmp::Reverse(found.level));
    Doctor { findings }
}

fn found(level: Level, what: impl Into<String>, why: impl Into<String>, next: Option<&str>) -> Finding {
    Finding { level, what: what.into(), why: why.into(), next: next.map(str::to_owned) }
}

const MORE_NODES: &str = "bring the other nodes online, or add one: freehold invite";

fn findings(shared: &Shared, view: &View) -> Vec<Finding> {
    let mut all = Vec::new();
    all.extend(of_disk_and_clock(shared));
    all.extend(of_phrases(shared));
    all.extend(of_log(shared, view));
    all.extend(parts::planes(shared).into_iter().filter_map(parts::told));
    let alone = is_alone(shared, view);
    for bucket in buckets(shared).iter().filter(|bucket| bucket.protected != Protection::Full) {
        let wanted = words::count(bucket.copies.into(), "node");
        let (lacks, next) = match &bucket.lacks {
            Some(lacks) if alone => (lacks.clone(), "freehold invite    (adds a node)"),
            Some(lacks) => (
                lacks.clone(),
                "freehold invite    (adds a node), or change what it asks for: freehold bucket set --help",
            ),
            None if alone => (format!("it is to be on {wanted}"), "freehold invite    (adds a node)"),
            None => (format!("it is to be on {wanted}"), MORE_NODES),
        };
        all.push(found(
            Level::Alarm,
            format!("bucket {} is not fully protected", bucket.name),
            format!(
                "{} of {} {} for a copy: {lacks}",
                bucket.waiting,
                words::count(bucket.objects, "object"),
                words::verb(bucket.waiting, "waits", "wait"),
            ),
            Some(next),
        ));
    }
    all.extend(damaged(shared));
    all.extend(of_checks(shared, view));
    all.extend(taken_back(shared));
    all.extend(crate::quota::told::findings(shared));
    all.extend(crate::net::lending::told::findings(shared));
    all.extend(crate::backup::told::findings(shared));
    all.extend(crate::zfs::told::findings(shared));
    all.extend(shared.alarms.findings());
    for due in crate::entitled::to_rotate(shared) {
        let known = super::keys::knowing(shared, &due).join(", ");
        all.push(found(
            Level::Alarm,
            format!("the key of {} is to be rotated", super::keys::what(shared, due.of)),
            format!("{known} knows it, and is not to read what is written from now on"),
            Some("freehold bucket rotate    (makes new keys of all that need one)"),
        ));
    }
    all.extend(erasures::findings(shared, view));
    all.extend(strange_owners(shared));
    all.extend(shared.backends.status(shared).iter().filter_map(behind));
    for node in nodes(shared).iter().filter(|node| node.standing == Standing::Member) {
        match &node.backend {
            Some(backend) => all.extend(of_backend(backend)),
            None if node.connected => {}
            None => all.push(away(shared, node)),
        }
    }
    all
}

/// Buckets of which the last verification left something damaged.
fn damaged(shared: &Shared) -> Vec<Finding> {
    let one = |(id, bucket): (BucketId, freehold_vault::BucketInfo)| {
        let damaged = shared.damages.of(&id);
        (damaged > 0).then(|| {
            found(
                Level::Alarm,
                format!("bucket {} is damaged on this node", bucket.name),
                format!(
                    "the last verification left {} of it as {}",
                    words::count(damaged, "part"),
                    words::verb(damaged, "it is", "they are")
                ),
                Some(&format!(
                    "freehold bucket verify {}    (mends it from a good copy)",
                    words::typed(&bucket.name)
                )),
            )
        })
    };
    shared.vault.buckets().into_iter().filter_map(one).collect()
}

/// Buckets that this node had the keys of, and is to have no more.
fn taken_back(shared: &Shared) -> Vec<Finding> {
    let all = shared.vault.buckets().into_iter();
    let lost = all.filter(|(id, _)| access(shared, id) == BucketAccess::TakenBack);
    let one = |(_, info): (BucketId, freehold_vault::BucketInfo)| {
        found(
            Level::Notice,
            format!("bucket {} was taken back from this node", info.name),
            "it reads what it could read before; what it would write counts nowhere, so it refuses to",
            Some(&format!(
                "if that is a mistake, on a node with the role secrets: freehold bucket share {} --with NODE",
                words::typed(&info.name)
            )),
        )
    };
    lost.map(one).collect()
}

/// Buckets that a machine gave to somebody which may write them, and not say whose they are.
fn strange_owners(shared: &Shared) -> Vec<Finding> {
    let strange = |(id, info): (BucketId, freehold_vault::BucketInfo)| {
        let by = shared.name_of(shared.vault.strange_owner(&id)?);
        Some(found(
            Level::Alarm,
            format!("{by} says whose bucket {} is, and may not", info.name),
            "it was not made there, and that is no admin's machine; so the bucket is taken for the realm owner's",
            Some(&format!("if you do not know why: freehold node suspend {}", words::typed(&by))),
        ))
    };
    shared.vault.buckets().into_iter().filter_map(strange).collect()
}

/// Buckets of which a copy was not read for too long: nobody knows whether it is still good.
fn of_checks(shared: &Shared, view: &View) -> Vec<Finding> {
    let Some(report) = shared.replica.get().map(crate::replica::Replica::report) else { return Vec::new() };
    let now = clock::wall();
    let is_new = |node: &NodeId| {
        view.known_since.get(node).is_some_and(|since| now.since(*since) < crate::checks::FIRST_WITHIN)
    };
    let buckets = shared.vault.buckets();
    let name =
        |bucket: &BucketId| buckets.get(bucket).map_or_else(|| bucket.short(), |info| info.name.clone());
    let old = report.looked.iter().filter_map(|(bucket, looked)| {
        let age = crate::checks::too_old(looked, now, is_new)?;
        Some(found(
            Level::Alarm,
            format!("copies in bucket {} were not checked for {}", name(bucket), words::span(age.0)),
            "a machine that holds some has not read them, so nobody knows whether they are still good",
            Some("freehold node list, then on the machine that was off: freehold bucket verify NAME"),
        ))
    });
    old.collect()
}

/// How long a journal may be behind before people ought to know.
const BEHIND: u64 = 3_600_000;

/// A backend that nobody could bring back as it is now.
fn behind(backend: &BackendStatus) -> Option<Finding> {
    let up = backend.state == BackendState::Up;
    let age = backend.journal_ms.unwrap_or(backend.since_ms);
    (up && age >= BEHIND).then(|| {
        found(
            Level::Alarm,
            format!("the journal of the backend {} is behind", backend.name),
            format!("for {}: what came since opens to nobody if this machine is lost", words::span(age)),
            Some("it is tried again by itself; freehold backend probe says what its store can do"),
        )
    })
}

/// A backend whose node does not run, or whose store has not kept what it was given.
fn of_backend(backend: &BackendStatus) -> Option<Finding> {
    let state = backend.state;
    match state {
        BackendState::Starting => return None,
        BackendState::Up if backend.why.is_empty() => return None,
        BackendState::Up => {
            let next = format!(
                "it is mended by itself as far as good copies are left; if it does not end: freehold bucket \
                 verify, or another store in place of {}",
                backend.name
            );
            let what = format!("the backend {} is not whole", backend.name);
            return Some(found(Level::Alarm, what, backend.why.clone(), Some(&next)));
        }
        BackendState::Away | BackendState::Broken => {}
    }
    let why = format!("for {}: {}", words::span(backend.since_ms), backend.why);
    let next = format!(
        "it is tried again by itself; if it will not come back: freehold backend detach {} --force",
        words::typed(&backend.name)
    );
    Some(found(Level::Alarm, format!("the backend {} is {state}", backend.name), why, Some(&next)))
}

/// A node that is away: for long, and people have to say whether it comes back.
fn away(shared: &Shared, node: &NodeStatus) -> Finding {
    let heard = node.last_heard_ms.map(|ms| format!("last heard {} ago", words::span(ms)));
    let heard = heard.unwrap_or_else(|| "not heard yet".to_owned());
    let now = clock::wall();
    let last = node.last_heard_ms.map(|ago| now.since(Millis(ago)));
    let id: Option<NodeId> = node.id.parse().ok();
    let known = id.and_then(|id| shared.log.view().known_since.get(&id).copied()).unwrap_or(now);
    let started = clock::monotonic().since(shared.started);
    match silent(last, known, now).filter(|_| started >= ONLY_JUST) {
        None => found(Level::Notice, format!("node {} is not connected", node.name), heard, None),
        Some(silence) => found(
            Level::Alarm,
            format!("node {} has been silent for {}", node.name, words::span(silence.0)),
            format!("{heard}; what it holds counts as a copy until somebody says that it will not come back"),
            Some(&format!("switch it on; if it is lost: freehold node suspend {}", words::typed(&node.name))),
        ),
    }
}

/// Until then the others have had no time to answer.
const ONLY_JUST: Millis = Millis::from_secs(20);
const DISK_NEARLY_FULL: u64 = 1_000_000_000;

fn of_disk_and_clock(shared: &Shared) -> Vec<Finding> {
    let free = storage(shared).free;
    let disk = if free < DISK_NEARLY_FULL {
        let why = format!("{} are free", words::bytes(free));
        found(
            Level::Alarm,
            "the disk is nearly full",
            why,
            Some("free some space; writes stop before it is full"),
        )
    } else {
        found(Level::Good, "the disk has room", format!("{} are free", words::bytes(free)), None)
    };
    let wall = clock::wall();
    let ahead = shared.newest_heard().since(wall);
    let time = if wall < clock::EARLIEST || ahead > freehold_wire::Hlc::DRIFT_MAX {
        found(
            Level::Alarm,
            "the clock of this machine is wrong",
            if wall < clock::EARLIEST {
                "it shows a time before this program existed".to_owned()
            } else {
                format!("it is {} behind what the realm has written", words::span(ahead.0))
            },
            Some("timedatectl set-ntp true"),
        )
    } else {
        found(Level::Good, "the clock is plausible", "", None)
    };
    vec![disk, time]
}

fn of_phrases(shared: &Shared) -> Option<Finding> {
    let file = shared.identity.phrases_left_in.as_ref()?;
    std::path::Path::new(file).exists().then(|| {
        found(
            Level::Alarm,
            "the guardian phrases are still on this machine",
            format!("{file} exists; whoever reads it owns the realm"),
            Some("write each phrase down in its own place, delete the file, then: freehold guardians test"),
        )
    })
}

fn of_log(shared: &Shared, view: &View) -> Vec<Finding> {
    let state = view.state();
    let mut all = Vec::new();
    if view.operations == 0 {
        all.push(found(
            Level::Alarm,
            "this node has not heard the realm's log yet",
            "no other node has answered",
            Some("bring another node of the realm online"),
        ));
        return all;
    }
    if let Some(mark) = view.behind {
        let file = shared.home.log_seen();
        all.push(found(
            Level::Alarm,
            "the realm log was rolled back",
            format!(
                "it held {} in epoch {}, here are {} in epoch {}: an old copy was put back",
                words::count(mark.operations, "operation"),
                mark.epoch,
                words::thousands(view.operations as u64),
                state.epoch
            ),
            Some(&format!(
                "bring another node online, it sends what is missing; if there is none: delete {} and start again",
                file.display()
            )),
        ));
    }
    let not_yet = view.not_yet(shared.me(), clock::wall());
    all.extend(not_yet.map(of_recovering).or_else(|| {
        let why = "the operation that admits it has not taken effect";
        let is_member = state.nodes.contains_key(&shared.me()) || view.was_removed(&shared.me());
        (!is_member).then(|| found(Level::Notice, "this node is not a member of the realm yet", why, None))
    }));
    all.extend(half_suspended(shared, view));
    if let Some(problem) = crate::membership::refused(shared) {
        all.push(found(Level::Alarm, problem.what, problem.why, problem.next.as_deref()));
    }
    let active = |id: &NodeId| {
        state.nodes.get(id).is_some_and(|node| node.standing == freehold_realm::Standing::Active)
    };
    all.extend(shared.log.apart().into_iter().filter(|(id, _)| active(id)).map(|(id, for_ms)| {
        found(
            Level::Alarm,
            format!("node {} does not take the same log as this one", shared.name_of(id)),
            format!("connected, but different for {}", words::span(for_ms.0)),
            Some("freehold doctor    (on both; suspend a machine whose key was used twice)"),
        )
    }));
    let report = shared.replica.get().map(crate::replica::Replica::report);
    for alarm in report.map(|report| report.alarms.clone()).unwrap_or_default() {
        all.push(found(Level::Alarm, alarm.what, alarm.why, Some(alarm.next)));
    }
    // On the machine that it is about, the recovery is told above.
    let told = |alarm: &&Alarm| not_yet.is_some() && matches!(alarm, Alarm::RecoveryWaits { .. });
    all.extend(state.alarms.iter().filter(|alarm| !told(alarm)).map(|alarm| of_alarm(alarm, view)));
    all
}

/// What a machine that guardians are bringing back says of itself.
fn of_recovering(not_yet: NotYet) -> Finding {
    let what = match not_yet {
        NotYet::Waits(_) => "guardians are bringing the realm back on this machine: it is not a member yet",
        NotYet::Stopped => {
            "the recovery that was begun on this machine is stopped: it is no member of the realm"
        }
    };
    found(Level::Alarm, what, not_yet.why(), Some(not_yet.next()))
}

/// Nodes whose suspension is not complete.
fn half_suspended(shared: &Shared, view: &View) -> Vec<Finding> {
    let directory = shared.directory();
    let reads = directory.ring(KeyOf::Directory).is_some_and(|ring| ring.current().is_some());
    let uncut: Vec<NodeId> = view
        .state()
        .nodes
        .iter()
        .filter(|(id, node)| {
            node.standing == freehold_realm::Standing::Suspended
                && reads
                && !directory.cuts().contains_key(*id)
        })
        .map(|(id, _)| *id)
        .collect();
    drop(directory);
    let found = |node: NodeId| {
        let name = shared.name_of(node);
        found(
            Level::Alarm,
            format!("node {name} is suspended, but not cut off"),
            "nobody has said yet how much of what it wrote counts, so all of it does",
            Some(&format!(
                "freehold node suspend {}    (on an admin's machine with the role secrets)",
                words::typed(&name)
            )),
        )
    };
    uncut.into_iter().map(found).collect()
}

fn of_alarm(alarm: &Alarm, view: &View) -> Finding {
    let (what, why, next) = match alarm {
        Alarm::Equivocation { key, .. } if view.state().invitations.contains_key(key) => (
            "two machines came by one invitation",
            "nobody can tell whose it was, so both are shut out".to_owned(),
            "freehold invite    (once for each of them)".to_owned(),
        ),
        Alarm::Equivocation { key, seq, .. } => (
            "a key was used on two machines",
            format!("key {} signed two operations with number {seq}", key.short()),
            "freehold node list, then suspend the machine that was copied".to_owned(),
        ),
        Alarm::ConflictingCheckpoints { kept, other } => (
            "two checkpoints contradict each other",
            format!("{} is in force, {} is not", kept.short(), other.short()),
            "ask the other admins what happened, then: freehold realm checkpoint".to_owned(),
        ),
        Alarm::RecoveryWaits { recovery, vetoed: true } => {
            let why = format!("it will not take effect ({})", recovery.short());
            return found(Level::Notice, "an admin vetoed a recovery by guardians", why, None);
        }
        Alarm::RecoveryWaits { recovery, vetoed: false } => {
            let mut waiting = view.waiting_recoveries(clock::wall()).filter(|(id, _)| id == recovery);
            let left = waiting.find_map(|(_, left)| left).map_or(0, |left| left.0.div_ceil(HOUR_MS));
            let short = recovery.short();
            (
                "guardians are giving the realm new admins",
                format!("recovery {short} takes effect in {}", words::count(left, "hour")),
                format!("freehold realm veto {short}    (if nobody of you started it)"),
            )
        }
    };
    found(Level::Alarm, what, why, Some(&next))
}

const HOUR_MS: u64 = 3_600_000;

//! Ending earlier keys of a bucket on this node, in two steps: it gets ready, which is to seal anew what lives and
//! to wait for copies, and says so; and once all have said so that can have such a key, everybody destroys them.

use std::collections::BTreeSet;

use freehold_api::{Problem, words::count};
use freehold_placement::Place;
use freehold_realm::{NodeRoles, Standing};
use freehold_seal::{DirectoryRow, KeyOf, KeyRing, Ready, ends_before};
use freehold_vault::{Ended, Ending};
use freehold_wire::{BucketId, Millis, NodeId, OpId};
use tokio::time::Instant;

use super::rule::{Scene, Wait};
use crate::clock;
use crate::control::sharing;
use crate::directory::Directory;
use crate::entitled::{Access, Entitled, access, holders, may_box, named};
use crate::log::View;
use crate::problem::{put_problem, store_problem};
use crate::scribe::Saying;
use crate::shared::Shared;

/// For so long each seals anew what it wrote itself, and nobody does it twice; then who has not gets help.
const OWN_FIRST: Millis = Millis::from_hours(1);

/// What this node is to a bucket whose keys are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It holds none of its keys.
    None,
    /// No log ends a private bucket's keys.
    Private,
    /// The key that stays has not come here.
    Lacks,
    /// It reads the bucket.
    Reads,
    /// It reads and writes it.
    Writes,
    /// The bucket was taken away from it: others know what it wrote.
    Lost,
}

/// Whether keys of a bucket may end as far as a node is concerned that has none of them: it waits for all others.
pub(super) fn none_is_left(shared: &Shared, view: &View, directory: &Directory, bucket: BucketId) -> bool {
    let Some(kept) = view.state().kept(&bucket) else { return false };
    let ring = directory.ring(KeyOf::Bucket(bucket));
    !ring.is_some_and(|ring| has_ending(ring, kept))
        && scene(shared, view, directory, (bucket, kept)).may_end().is_ok()
}

fn has_ending(ring: &KeyRing, kept: u32) -> bool {
    ring.sealing().any(|key| ends_before(key.version(), kept))
}

fn scene(shared: &Shared, view: &View, directory: &Directory, (bucket, kept): (BucketId, u32)) -> Scene {
    let nodes = view.state().nodes.iter();
    let active = nodes.filter(|(_, node)| node.standing == Standing::Active);
    let recovery = view.state().guardians.recovery;
    Scene {
        kept,
        active: active.map(|(id, node)| (*id, node.roles.contains(NodeRoles::SECRETS))).collect(),
        named: view.named.clone(),
        boxed: directory.boxed_before(bucket, kept),
        said: directory.ready(bucket),
        // If it cannot be read, nobody's entries have come.
        here: shared.entries.vector(&bucket).unwrap_or_default(),
        for_guardians: directory.is_for_guardians(bucket, kept, &recovery),
    }
}

/// Gets ready where that is due, destroys keys where all are, and says which erasures are carried out with that.
/// One bucket that fails does not keep the others.
pub(super) async fn end(shared: &Shared, view: &View) -> Vec<OpId> {
    let mut done = Vec::new();
    let buckets: BTreeSet<BucketId> = view.state().ended().map(|(bucket, _)| bucket).collect();
    for bucket in buckets {
        let due = due(shared, view, bucket);
        if view.state().buckets.get(&bucket).is_some_and(|bucket| bucket.erased.is_some()) {
            // All its keys go, or wait, with the bucket.
            let goes = shared.directory().trust().erased.contains(&bucket);
            done.extend(due.into_iter().filter(|_| goes));
            shared.endings.set(bucket, Vec::new());
            continue;
        }
        let until = match end_in(shared, view, bucket, !due.is_empty()).await {
            Ok(until) => until,
            Err(problem) => vec![format!("for this to be over: {problem}")],
        };
        if until.is_empty() {
            done.extend(due);
        } else {
            tracing::info!(bucket = %bucket.short(), ?until, "keys are to end");
        }
        shared.endings.set(bucket, until);
    }
    done
}

/// Erasures that this node has to carry out. Who got earlier keys from guardians, after every machine was lost,
/// may be the only one that can seal anew what lives.
fn due(shared: &Shared, view: &View, bucket: BucketId) -> Vec<OpId> {
    let directory = shared.directory();
    let kept = view.state().kept(&bucket).unwrap_or_default();
    let holds = directory.ring(KeyOf::Bucket(bucket)).is_some_and(|ring| has_ending(ring, kept));
    let all = view.state().ended().filter(|(of, _)| *of == bucket).map(|(_, ended)| ended.erasure);
    let is_due = |erasure: &OpId| {
        !super::has_confirmed(&directory, shared.me(), *erasure)
            && (holds || view.was_here(shared.me(), *erasure))
    };
    all.filter(is_due).collect()
}

/// What ending keys waits for, in words; nothing if nothing is left to do.
async fn end_in(shared: &Shared, view: &View, bucket: BucketId, ends: bool) -> Result<Vec<String>, Problem> {
    let Some(kept) = view.state().kept(&bucket) else { return Ok(Vec::new()) };
    let ring = shared.directory().ring(KeyOf::Bucket(bucket)).cloned();
    let part = part(shared, view, ring.as_ref(), (bucket, kept));
    let look = || {
        let directory = shared.directory();
        scene(shared, view, &directory, (bucket, kept))
    };
    let mut now = look();
    let me = shared.me();
    let was_ready = now.ready(&me).is_some();
    if !was_ready && part != Part::None {
        match get_ready_in_time(shared, view, (bucket, kept), part).await? {
            Ok(ready) => {
                shared.say(vec![Saying::Row(DirectoryRow::Ready(me, bucket, ready))]).await?;
                now = look();
            }
            Err(until) => return Ok(until),
        }
    }
    if !ends {
        return Ok(Vec::new());
    }
    if let Err(wait) = now.may_end() {
        return Ok(vec![in_words(shared, wait)]);
    }
    if now.ready(&me).is_some() && !is_known_elsewhere(shared, &now).await? {
        return Ok(vec!["until another machine has heard that this one is ready".to_owned()]);
    }
    if part == Part::Lost {
        let own = shared.vault.own_passed_over(&bucket, kept).await;
        let own = own.map_err(|error| put_problem(&bucket.short(), "what earlier keys sealed", &error))?;
        if own > 0 {
            return Ok(vec![format!(
                "until the bucket is shared with this machine again, or it is removed: nobody else can seal {} of its own anew, which count then",
                count(own, "entry")
            )]);
        }
    }
    if matches!(part, Part::Reads | Part::Writes) {
        // Something may have come from somebody who was not ready then.
        if was_ready && let Err(until) = get_ready_in_time(shared, view, (bucket, kept), part).await? {
            return Ok(until);
        }
        let erased = shared.vault.erase_ended(&bucket).await;
        let erased =
            erased.map_err(|error| put_problem(&bucket.short(), "what earlier keys sealed", &error))?;
        tracing::info!(bucket = %bucket.short(), erased, "keys of a bucket end");
    }
    shared.end_keys(bucket, kept);
    if let Some(mut ring) = ring.filter(|_| part != Part::None) {
        ring.keep(kept);
        ring.forget_before(kept);
        shared.keyring.set(ring);
    }
    Ok(Vec::new())
}

fn part(shared: &Shared, view: &View, ring: Option<&KeyRing>, (bucket, kept): (BucketId, u32)) -> Part {
    let Some(ring) = ring.filter(|ring| ring.sealing().next().is_some()) else { return Part::None };
    if ring.is_private() {
        return Part::Private;
    }
    let access = access(shared, view, ring).map(|(_, _, access)| access);
    match access {
        // Whoever makes a key boxes it for the guardians last: then a box for this node would be here.
        Some(Access::Lost) => {
            let recovery = view.state().guardians.recovery;
            let is_sure = shared.directory().is_for_guardians(bucket, kept, &recovery);
            if is_sure { Part::Lost } else { Part::Lacks }
        }
        Some(Access::Reads) if ring.get(kept).is_some() => Part::Reads,
        Some(Access::Writes) if ring.get(kept).is_some() => Part::Writes,
        _ => Part::Lacks,
    }
}

/// The same, but not as often as anything changes.
async fn get_ready_in_time(
    shared: &Shared,
    view: &View,
    of: (BucketId, u32),
    part: Part,
) -> Result<Result<Ready, Vec<String>>, Problem> {
    if let Some(until) = shared.endings.paused(&of.0) {
        return Ok(Err(until));
    }
    let began = Instant::now();
    let ready = get_ready(shared, view, of, part).await?;
    if ready.is_err() {
        shared.endings.note_look(of.0, began.elapsed());
    }
    Ok(ready)
}

/// Seals anew what this node is to, and says whether it is ready, or what that waits for.
async fn get_ready(
    shared: &Shared,
    view: &View,
    (bucket, kept): (BucketId, u32),
    part: Part,
) -> Result<Result<Ready, Vec<String>>, Problem> {
    let no = |until: String| Ok(Err(vec![until]));
    match part {
        Part::Lost => return Ok(Ok(Ready { kept, last: 0, whole: false })),
        Part::Private => return no("for nothing: no machine ends the keys of a private bucket".to_owned()),
        Part::None | Part::Lacks => {
            return no("until this machine has been given the key that stays".to_owned());
        }
        Part::Reads | Part::Writes => {}
    }
    let is_whole = match shared.replica.get() {
        Some(replica) => replica.in_step(bucket).await && shared.keyring.is_read(&bucket),
        None => false,
    };
    // A key that came since this look began is not in the vault yet, and what that seals with another.
    let in_vault = |ring: &KeyRing| shared.keyring.has_all(ring);
    if !is_whole || !shared.directory().ring(KeyOf::Bucket(bucket)).is_some_and(in_vault) {
        return no("until this machine has, and has read, what others told of the bucket".to_owned());
    }
    let problem = |error| put_problem(&bucket.short(), "what earlier keys sealed", &error);
    let writes = part == Part::Writes;
    let (locked, left) = delete_again(shared, view, bucket, writes).await?;
    if locked + left > 0 {
        let why =
            if locked > 0 { "must be kept: under a retention, or a legal hold" } else { "came meanwhile" };
        return no(format!("{} of the object {why}", count(locked + left, "version")));
    }
    if writes && may_tell_holders(shared, view, bucket) && !sharing::has_said_all(shared, &bucket) {
        sharing::say_again(shared, &bucket).await?;
    }
    let leave_to = left_to(shared, view, bucket);
    let before = shared.directory().trust().ended.get(&bucket).copied();
    let how = Ending { kept, writes, leave_to: &leave_to, ended: before };
    let ended = shared.vault.renew_ending(&bucket, how).await.map_err(problem)?;
    shared.endings.note_unread(bucket, ended.unread);
    tracing::info!(bucket = %bucket.short(), ?ended, "what keys sealed that are to end");
    if ended.own_word && writes && may_tell_holders(shared, view, bucket) {
        sharing::say_again(shared, &bucket).await?;
        return no("until this machine has said again who holds the bucket's keys".to_owned());
    }
    if !ended.is_ready() {
        return Ok(Err(what_is_left(&ended)));
    }
    let last = shared.entries.vector(&bucket).map_err(|error| store_problem(&error))?;
    let last = last.get(&shared.me()).copied().unwrap_or_default();
    Ok(Ok(Ready { kept, last, whole: ended.unknown == 0 }))
}

fn what_is_left(ended: &Ended) -> Vec<String> {
    let others = ended.left.saturating_sub(ended.away);
    let mut until = Vec::new();
    if ended.away > 0 {
        until.push(format!(
            "until a machine is on that has the bytes of {}: nobody is known to have them (or delete what is lost)",
            count(ended.away, "version")
        ));
    }
    if others > 0 {
        until.push(format!("until who wrote them has sealed {} anew", count(others, "version")));
    }
    if ended.waiting > 0 {
        until.push(format!(
            "until {} that took the place of others are on as many machines as those",
            count(ended.waiting, "entry")
        ));
    }
    until
}

/// Deletes versions of erased objects that came between their deletion and the word of it. Says how many must be
/// kept, and how many others are left.
async fn delete_again(
    shared: &Shared,
    view: &View,
    bucket: BucketId,
    writes: bool,
) -> Result<(u64, u64), Problem> {
    let Some(ring) = shared.directory().ring(KeyOf::Bucket(bucket)).cloned() else { return Ok((0, 0)) };
    let (mut locked, mut left) = (0, 0);
    for (_, ended) in view.state().ended().filter(|(of, _)| *of == bucket) {
        // Once this node has confirmed it, its turn is over: whatever comes then is another object.
        let is_over = super::has_confirmed(&shared.directory(), shared.me(), ended.erasure);
        let Some(object) = ended.object.filter(|_| !is_over) else { continue };
        let is_meant = |name: &str| ring.mark(name).is_some_and(|mark| mark.digest == object);
        let outlived = shared.vault.outlived(&bucket, ended.at, is_meant);
        locked += outlived.locked;
        if !writes {
            left += outlived.removals.len() as u64;
        } else if !outlived.removals.is_empty() {
            let removed = shared.vault.delete_many(&bucket, &outlived.removals).await;
            let removed = removed.and_then(|all| all.into_iter().collect::<Result<Vec<_>, _>>());
            removed.map_err(|error| put_problem(&bucket.short(), "what was erased", &error))?;
        }
    }
    Ok((locked, left))
}

fn may_tell_holders(shared: &Shared, view: &View, bucket: BucketId) -> bool {
    let ring = shared.directory().ring(KeyOf::Bucket(bucket)).cloned();
    ring.is_some_and(|ring| may_box(shared, view, &ring, &Entitled::to(shared, view, &ring)))
}

/// Other nodes that write the bucket, for as long as each is to seal anew what it wrote.
fn left_to(shared: &Shared, view: &View, bucket: BucketId) -> BTreeSet<NodeId> {
    let said = view.state().ended().filter(|(of, _)| *of == bucket).map(|(_, ended)| ended.at);
    if clock::wall().since(said.max().unwrap_or_default()) >= OWN_FIRST {
        return BTreeSet::new();
    }
    let named = named(view, &holders(shared, view, &bucket, false));
    let nodes = view.state().nodes.iter();
    let writes = nodes.filter(|(id, node)| {
        node.standing == Standing::Active
            && (node.roles.contains(NodeRoles::SECRETS) || named.get(*id) == Some(&false))
    });
    writes.map(|(id, _)| *id).filter(|id| *id != shared.me()).collect()
}

/// Whether somebody else has what this node said, if there is anybody.
async fn is_known_elsewhere(shared: &Shared, scene: &Scene) -> Result<bool, Problem> {
    if scene.active.keys().all(|node| *node == shared.me()) {
        return Ok(true);
    }
    let Some(replica) = shared.replica.get() else { return Ok(false) };
    let (bucket, origin) = (shared.directory_bucket(), shared.me());
    let said = shared.entries.vector(&bucket).map_err(|error| store_problem(&error))?;
    let Some(seq) = said.get(&origin).copied() else { return Ok(false) };
    Ok(replica.copies_of(Place { bucket, origin, seq }).await >= 2)
}

fn in_words(shared: &Shared, wait: Wait) -> String {
    let names = |nodes: BTreeSet<NodeId>| {
        let names: Vec<String> = nodes.into_iter().map(|node| shared.name_of(node)).collect();
        names.join(", ")
    };
    match wait {
        Wait::Guardians => "until the key that stays is boxed for the guardians".to_owned(),
        Wait::Log => "until the realm's log tells of a machine that has such a key".to_owned(),
        Wait::Words(nodes) => {
            format!("until these are ready: {} (what is lost for good: freehold node remove)", names(nodes))
        }
        Wait::Entries(nodes) => format!("until this machine has what these wrote: {}", names(nodes)),
        Wait::Whole => {
            "until a machine is ready that has all earlier keys; guardians can bring one back".to_owned()
        }
    }
}

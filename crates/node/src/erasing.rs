//! What a node does once a bucket is erased, or earlier keys of one: it forgets the keys, erases what they sealed
//! and the boxes that brought them, destroys the key that opened those boxes, and says so.

mod keys;
mod parts;
mod person;
pub mod receipt;
mod rule;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_api::Problem;
use freehold_crypt::BoxPublic;
use freehold_disk::{EntryStore, OsEntropy, StoreError};
use freehold_seal::{DirectoryRow, Envelope, Erased, KeyOf, KeyRing, Recipient};
use freehold_wire::{BucketId, Millis, NodeId, OpId};
use tokio::time::Instant;

use crate::clock;
use crate::directory::{Directory, Trust, Unwanted};
use crate::entitled::is_active;
use crate::identity::{draw_next_box, settle_next_box};
use crate::log::View;
use crate::problem::{get_problem, identity_problem, store_problem};
use crate::scribe::Saying;
use crate::shared::Shared;
use parts::{Part, parts};
use turn::Sight;

const BEGUN: &str = "erasures begun";

/// Erasures that this node has begun to carry out: it goes on with them after a restart, though it may have
/// no key any more that shows what they are about.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    erasures: Mutex<BTreeSet<OpId>>,
    /// Whether another one waits until others were heard.
    listens: AtomicBool,
}

impl Begun {
    fn has(&self, part: &Part) -> bool {
        let begun = self.erasures.lock().unwrap_or_else(PoisonError::into_inner);
        begun.contains(&part.word) || begun.contains(&part.erasure)
    }

    fn add(&self, erasures: impl IntoIterator<Item = OpId>) {
        self.erasures.lock().unwrap_or_else(PoisonError::into_inner).extend(erasures);
    }

    fn all(&self) -> BTreeSet<OpId> {
        self.erasures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is to be looked again soon: nothing tells when others were heard.
    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    /// Takes back what was begun before a restart.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn restore(&self, entries: &EntryStore) -> Result<(), StoreError> {
        let kept = entries.meta(BEGUN)?.unwrap_or_default();
        self.add(kept.as_chunks::<32>().0.iter().map(|id| OpId::from_bytes(*id)));
        Ok(())
    }
}

/// Whom to believe, and which keys are no more.
pub(crate) fn trust(shared: &Shared) -> Trust {
    let (view, mut trust) = (shared.log.view(), shared.log.view().trust());
    let directory = shared.directory();
    let goes = |part: &Part| shared.begun.has(part) || part.is_done(&directory, &view, shared.me());
    trust.erased = parts(view.state()).filter(goes).map(|part| part.bucket).collect();
    let mut none_left = BTreeMap::new();
    for (bucket, ended) in view.state().ended() {
        // Who came later has nothing to carry out, and waits for the others all the same.
        let is_over = has_confirmed(&directory, shared.me(), ended.erasure)
            || (!view.was_here(shared.me(), ended.erasure)
                && *none_left
                    .entry(bucket)
                    .or_insert_with(|| keys::none_is_left(shared, &view, &directory, bucket)));
        if is_over {
            note_ended(&mut trust, bucket, ended.kept);
        }
    }
    trust
}

fn note_ended(trust: &mut Trust, bucket: BucketId, kept: u32) {
    let ended = trust.ended.entry(bucket).or_default();
    *ended = kept.max(*ended);
}

fn has_confirmed(directory: &Directory, me: NodeId, erasure: OpId) -> bool {
    directory.erased_by(erasure).any(|said| said.node == me)
}

/// Whether this node has carried an erasure out, or never had what it is about.
fn is_done(directory: &Directory, view: &View, me: NodeId, erasure: OpId) -> bool {
    !view.was_here(me, erasure) || has_confirmed(directory, me, erasure)
}

/// What of erasures this node has neither carried out nor begun.
fn waiting(shared: &Shared) -> Vec<Part> {
    let view = shared.log.view();
    let directory = shared.directory();
    let waits = |part: &Part| !shared.begun.has(part) && !part.is_done(&directory, &view, shared.me());
    parts(view.state()).filter(waits).collect()
}

fn is_keyed(shared: &Shared, bucket: &BucketId) -> bool {
    let directory = shared.directory();
    directory.ring(KeyOf::Bucket(*bucket)).is_some_and(|ring| ring.sealing().next().is_some())
}

/// Begins what it is this node's turn to carry out.
pub(crate) async fn begin_due(shared: &Shared) -> Result<(), Problem> {
    let mut due = Vec::new();
    shared.begun.listens.store(false, Ordering::Relaxed);
    for part in waiting(shared) {
        due.extend(has_come(shared, &part).await.then_some(part.word));
    }
    if due.is_empty() { Ok(()) } else { begin(shared, due).await }
}

/// Has this node carry erasures out, whatever it hears from now on.
///
/// # Errors
/// A [`Problem`] if that cannot be kept.
pub(crate) async fn begin(shared: &Shared, erasures: Vec<OpId>) -> Result<(), Problem> {
    let mut all = shared.begun.all();
    all.extend(&erasures);
    {
        // What is done needs no note.
        let (view, directory) = (shared.log.view(), shared.directory());
        let open = parts(view.state()).filter(|part| !part.is_done(&directory, &view, shared.me()));
        let open: BTreeSet<OpId> = open.flat_map(|part| [part.word, part.erasure]).collect();
        all.retain(|erasure| open.contains(erasure));
    }
    let bytes: Vec<u8> = all.iter().flat_map(|erasure| *erasure.as_bytes()).collect();
    set_meta(shared, BEGUN, bytes).await?;
    shared.begun.add(erasures);
    Ok(())
}

async fn set_meta(shared: &Shared, row: &'static str, bytes: Vec<u8>) -> Result<(), Problem> {
    let (tell, told) = tokio::sync::oneshot::channel();
    shared.entries.submit(move |txn| txn.set_meta(row, &bytes), move |kept| drop(tell.send(kept)));
    let stopping =
        |_| Problem::unreachable("nothing was erased yet", "the node is stopping", Some("freehold up"));
    told.await.map_err(stopping)?.map_err(|error| store_problem(&error))
}

async fn has_come(shared: &Shared, part: &Part) -> bool {
    let bucket = &part.bucket;
    let sight = if is_keyed(shared, bucket) {
        let heard = match shared.replica.get() {
            Some(replica) => replica.in_step(*bucket).await,
            None => false,
        };
        if !heard {
            shared.begun.listens.store(true, Ordering::Relaxed);
        }
        let kept = shared.vault.must_stay(bucket, clock::wall());
        if kept > 0 {
            tracing::warn!(bucket = %bucket.short(), kept, "a bucket is not erased: something in it must be kept");
        }
        let is_sure = heard && shared.keyring.has(bucket) && shared.keyring.is_read(bucket);
        // What it cannot read may be under a lock, or say that another one is. It looks at every entry for that.
        let is_sure = is_sure && kept == 0 && matches!(shared.vault.unopened(bucket).await, Ok(0));
        Sight::Keyed { is_sure, kept }
    } else {
        let known = shared.log.view().erased_since.get(&part.erasure).copied();
        Sight::Blind { waited: known.map_or(Millis(0), |known| clock::wall().since(known)) }
    };
    let (keyed, said) = others(shared, part);
    turn::has_come(sight, &keyed, &said)
}

/// Other nodes of the realm that have keys of what is erased, or had; and those that have erased it and could see
/// what must be kept.
fn others(shared: &Shared, part: &Part) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    let (view, me) = (shared.log.view(), shared.me());
    let directory = shared.directory();
    let had = directory.had_keys(&part.bucket);
    let mut said = part.said_by(&directory);
    said.retain(|node| had.contains(node) || view.keepers.contains(node));
    let mut keyed = had;
    keyed.retain(|node| *node != me && is_active(view.state(), node) && view.was_here(*node, part.erasure));
    (keyed, said)
}

/// What this node waits for before it carries an erasure out, in words, and how many versions must be kept here.
pub(crate) fn waits(shared: &Shared, erasure: OpId) -> (Vec<String>, u64) {
    let view = shared.log.view();
    let (mut until, mut kept) = (Vec::new(), 0);
    for part in waiting(shared).into_iter().filter(|part| part.erasure == erasure) {
        if is_keyed(shared, &part.bucket) {
            kept += shared.vault.must_stay(&part.bucket, clock::wall());
            continue;
        }
        let (keyed, said) = others(shared, &part);
        let silent: Vec<String> = keyed.difference(&said).map(|node| shared.name_of(*node)).collect();
        if !silent.is_empty() {
            until.push(format!("for the word of those who can see what must be kept: {}", silent.join(", ")));
        } else if keyed.is_empty() && said.is_empty() {
            until.push("until a week is over: nobody is left who can see what must be kept".to_owned());
        }
    }
    if let Some((bucket, _)) = view.state().ended().find(|(_, ended)| ended.erasure == erasure) {
        until.extend(shared.endings.of(&bucket).unwrap_or_default().until);
    }
    until.dedup();
    (until, kept)
}

/// Takes in, at the start, what this node has carried out.
pub(crate) fn recall(directory: &mut Directory, view: &View, me: NodeId) {
    let erased = parts(view.state()).filter(|part| part.is_done(directory, view, me));
    let mut trust = Trust { erased: erased.map(|part| part.bucket).collect(), ..view.trust() };
    let ended = view.state().ended();
    for (bucket, ended) in ended.filter(|(_, ended)| has_confirmed(directory, me, ended.erasure)) {
        note_ended(&mut trust, bucket, ended.kept);
    }
    directory.set_trust(trust);
}

/// Erases what has come of erased buckets since.
pub(crate) async fn sweep(shared: &Shared) {
    let erased = shared.directory().trust().erased.clone();
    match shared.vault.erase_late_in(erased).await {
        Ok(0) => {}
        Ok(entries) => tracing::info!(entries, "what came of erased buckets was erased"),
        Err(error) => tracing::warn!(%error, "what came of erased buckets was not erased"),
    }
}

/// Carries out what the realm log says is erased and this node has not confirmed. Whoever calls it brings
/// the node in line, so that no key changes meanwhile.
///
/// # Errors
/// A [`Problem`]; what was done stays done, and the rest is done the next time.
pub(crate) async fn carry_out(shared: &Shared) -> Result<(), Problem> {
    let (view, me) = (shared.log.view(), shared.me());
    // Without the directory's key there is nothing yet that opens, and nothing can be said.
    if shared.directory().ring(KeyOf::Directory).is_none_or(|ring| ring.current().is_none()) {
        return Ok(());
    }
    let mut done = erase_buckets(shared, &view).await;
    // One that fails does not keep the others.
    if let Err(problem) = person::end_keys(shared, &view, &mut done).await {
        tracing::warn!(%problem, "a person's access keys do not end yet");
    }
    done.extend(keys::end(shared, &view).await);
    let late = shared.directory().unwanted();
    let owed = late.opened > 0 || is_owed(&shared.entries).map_err(|error| store_problem(&error))?;
    let renews = !done.is_empty() || (owed && shared.renewals.may_again());
    if !renews && late.boxes == 0 {
        return Ok(());
    }
    erase_boxes(shared, late.opened > 0).await?;
    // The boxes live on in copies of this disk: they go with what opens them.
    if renews {
        renew_box(shared).await?;
        shared.renewals.note();
        if owed {
            set_meta(shared, OWED, Vec::new()).await?;
        }
    }
    let at = clock::wall();
    let word = |erasure: &OpId| {
        let said = Erased::sign(shared.realm(), me, *erasure, at, &shared.keys.node);
        Saying::Row(DirectoryRow::Erased(said))
    };
    if !done.is_empty() {
        shared.say(done.iter().map(word).collect()).await?;
    }
    shared.settle_unwanted(Unwanted { opened: if renews { late.opened } else { 0 }, ..late });
    Ok(())
}

/// Notes that the box key is to be renewed: what told of it goes before.
const OWED: &str = "box renewal";

fn is_owed(entries: &EntryStore) -> Result<bool, StoreError> {
    entries.meta(OWED).map(|noted| noted.is_some_and(|noted| !noted.is_empty()))
}

/// Erases the buckets whose turn has come, and says which words that is.
async fn erase_buckets(shared: &Shared, view: &View) -> BTreeSet<OpId> {
    let due: Vec<Part> = {
        let directory = shared.directory();
        let is_due = |part: &Part| {
            directory.trust().erased.contains(&part.bucket) && !part.is_done(&directory, view, shared.me())
        };
        parts(view.state()).filter(is_due).collect()
    };
    let mut done = BTreeSet::new();
    for Part { bucket, word, .. } in due {
        shared.keyring.remove(&bucket);
        match shared.vault.erase_bucket(bucket).await {
            Ok(entries) => {
                tracing::info!(bucket = %bucket.short(), entries, "a bucket was erased");
                done.insert(word);
            }
            Err(error) => {
                let problem = get_problem(&bucket.short(), "what is to be erased", &error);
                tracing::warn!(%problem, "a bucket is not erased yet");
            }
        }
    }
    done
}

/// What keys that are to end wait for here, by bucket.
#[derive(Debug, Default)]
pub(crate) struct Endings(Mutex<BTreeMap<BucketId, Waiting>>);

/// Why keys of a bucket have not ended yet on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// What has to come first, in words.
    pub(crate) until: Vec<String>,
    /// Entries of which this node could not tell whether they are needed: they stay, and no key opens them that is
    /// left. Known since it was started.
    pub(crate) unread: u64,
    /// When it may look again whether it is ready.
    again: Option<Instant>,
}

/// How much longer than a look the pause after it is: each looks at every entry of the bucket.
const PAUSE: u32 = 20;
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// How long to pause after a look that took so long.
fn pause_after(took: Duration) -> Duration {
    took.saturating_mul(PAUSE).min(PAUSE_MAX)
}

impl Endings {
    fn set(&self, bucket: BucketId, until: Vec<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(bucket).or_default().until = until;
    }

    fn note_unread(&self, bucket: BucketId, unread: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(bucket).or_default().unread = unread;
    }

    /// Notes how long a look took that found this node not ready.
    fn note_look(&self, bucket: BucketId, took: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(bucket).or_default().again = Instant::now().checked_add(pause_after(took));
    }

    /// What was found at the last look, as long as it is too soon for the next one.
    fn paused(&self, bucket: &BucketId) -> Option<Vec<String>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.get(bucket).filter(|last| !last.until.is_empty())?;
        last.again.is_some_and(|again| Instant::now() < again).then(|| last.until.clone())
    }

    /// Whether any waits.
    pub(crate) fn waits(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().any(|waiting| !waiting.until.is_empty())
    }

    /// Why those of a bucket wait.
    pub(crate) fn of(&self, bucket: &BucketId) -> Option<Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned()
    }
}

/// When this node's box key was renewed last, since it was started.
#[derive(Debug, Default)]
pub(crate) struct Renewals(Mutex<Option<Instant>>);

/// Boxes that come later have the key renewed so often at most: whoever can bring such must not keep every
/// node at it.
const RENEWAL_EVERY: Duration = Duration::from_hours(1);

impl Renewals {
    fn may_again(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() >= RENEWAL_EVERY)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// Erases the boxes with keys that are no more; with `owed`, it stays known that one of them opened.
async fn erase_boxes(shared: &Shared, owed: bool) -> Result<(), Problem> {
    let trust = shared.directory().trust().clone();
    let (entries, of) = (Arc::clone(&shared.entries), shared.directory_bucket());
    let work = move || -> Result<Vec<(NodeId, u64)>, StoreError> {
        let mut boxes = Vec::new();
        entries.scan_bucket(&of, |row| {
            let envelope = row.payload.as_deref().and_then(|payload| Envelope::decode(payload).ok());
            if envelope.is_some_and(|envelope| trust.is_unwanted(&envelope.key_of, envelope.version)) {
                boxes.push((row.origin, row.seq));
            }
            ControlFlow::Continue(())
        })?;
        let each = boxes.clone();
        entries.write(move |txn| {
            if owed {
                txn.set_meta(OWED, &[1])?;
            }
            each.iter().try_for_each(|(origin, seq)| txn.erase_payload(&of, origin, *seq).map(drop))
        })?;
        Ok(boxes)
    };
    let stopping =
        |_| Problem::unreachable("nothing was erased yet", "the node is stopping", Some("freehold up"));
    let boxes = tokio::task::spawn_blocking(work).await.map_err(stopping)?.map_err(|e| store_problem(&e))?;
    if let Some(replica) = shared.replica.get() {
        for (origin, seq) in boxes {
            replica.erased(of, origin, seq);
        }
    }
    Ok(())
}

/// Gives this node another box key, with a box of every key that it holds; the one before is destroyed.
async fn renew_box(shared: &Shared) -> Result<(), Problem> {
    let me = shared.me();
    // One that was interrupted comes first.
    let told = shared.directory().box_key(me);
    while !settle(shared, &all_keys(shared), told)?.is_empty() {}
    let public = draw_next_box(&shared.home).map_err(|e| identity_problem(&e))?.public();
    let mut boxed = BTreeSet::new();
    let mut lacking: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    // Last: from then on the key is in force, also after a crash.
    let mut row = Some(Saying::Row(DirectoryRow::BoxKey(me, public)));
    loop {
        let mut sayings = Vec::new();
        for ring in &lacking {
            for key in ring.iter().filter(|key| boxed.insert((ring.of(), key.version()))) {
                let one = ring.envelope(key.version(), Recipient::Node(me), &public, &mut OsEntropy);
                let one = one.map_err(|error| {
                    Problem::bug("this node's box key was not renewed", error.to_string(), None::<&str>)
                })?;
                sayings.push(Saying::Key(Box::new(one)));
            }
        }
        sayings.extend(row.take());
        shared.say(sayings).await?;
        // Keys may have come meanwhile, in boxes to the key that goes.
        lacking = settle(shared, &boxed, Some(public))?;
        if lacking.is_empty() {
            return Ok(());
        }
    }
}

fn all_keys(shared: &Shared) -> BTreeSet<(KeyOf, u32)> {
    let directory = shared.directory();
    directory.rings().flat_map(|ring| ring.iter().map(|key| (ring.of(), key.version()))).collect()
}

fn settle(
    shared: &Shared,
    boxed: &BTreeSet<(KeyOf, u32)>,
    told: Option<BoxPublic>,
) -> Result<Vec<KeyRing>, Problem> {
    let settle = || settle_next_box(&shared.home, told).map_err(|error| identity_problem(&error));
    shared.settle_box_secret(boxed, settle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_takes_long_is_not_taken_again_at_once() {
        assert_eq!(pause_after(Duration::from_millis(2)), Duration::from_millis(40));
        assert_eq!(pause_after(Duration::from_mins(2)), PAUSE_MAX);
        let (endings, bucket) = (Endings::default(), BucketId::from_bytes([1; 32]));
        endings.set(bucket, vec!["until others are ready".to_owned()]);
        assert_eq!(endings.paused(&bucket), None);
        endings.note_look(bucket, Duration::from_mins(2));
        assert_eq!(endings.paused(&bucket), Some(vec!["until others are ready".to_owned()]));
        endings.note_look(bucket, Duration::ZERO);
        assert_eq!(endings.paused(&bucket), None);
    }

    #[test]
    fn that_the_box_key_is_to_be_renewed_outlives_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let open = || EntryStore::open(&home.path().join("entries.redb")).unwrap();
        let set = |bytes: &'static [u8]| open().write(move |txn| txn.set_meta(OWED, bytes)).unwrap();
        assert!(!is_owed(&open()).unwrap());
        set(&[1]);
        assert!(is_owed(&open()).unwrap());
        set(&[]);
        assert!(!is_owed(&open()).unwrap());
    }
}

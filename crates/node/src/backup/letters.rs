//! What brings a realm back when nothing is left but a backup: the realm's log, its directory and the passwords of
//! its backups, boxed to the realm's recovery key, which the guardians have together. It lies beside the repository, on a disk,
//! in a bucket, or on the shelf at a friend's. There it can only be added to, like that: whoever takes the machine that
//! writes it cannot undo one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use freehold_backup::{FileId, FileKind, Store};
use freehold_crypt::{BoxSecret, hash};
use freehold_disk::{OsEntropy, replace};
use freehold_realm::body::GuardianSet;
use freehold_wire::{DecodeError, Digest, Millis, RealmId, from_canonical, to_canonical};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Place, kept, passwords};
use crate::clock;
use crate::shared::Shared;

const INFO: &[u8] = b"freehold 2026 letter to guardians, format 1";
const SUM: &str = "freehold 2026 sum of a letter to guardians";
/// No letter is longer.
pub(crate) const LETTER_MAX: usize = 64 << 20;
/// So many of the newest letters that lie at one place are read: whoever took the machine that wrote them may have added
/// some, and each that is sound counts.
pub(crate) const LETTERS_MAX: usize = 64;
/// What changes without anybody's doing is written anew this often.
const EVERY: Millis = Millis::from_hours(24);
/// What was last written, and when.
const NOTES: &str = "letters";

/// A letter as it lies there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Letter {
    /// The guardians, as the realm's log has them: who keeps the letter asks their keys of whoever wants it.
    #[n(0)]
    guardians: ByteVec,
    #[n(1)]
    boxed: ByteVec,
}

/// What only enough guardians read, together.
#[derive(Encode, Decode)]
#[cbor(array)]
pub(crate) struct Inside {
    #[n(0)]
    pub(crate) realm: RealmId,
    /// When it was written, by its writer's clock.
    #[n(1)]
    pub(crate) written: Millis,
    /// The log, as it is exported.
    #[n(2)]
    pub(crate) log: ByteVec,
    /// The directory's entries, as guardians are given them at the door.
    #[n(3)]
    pub(crate) directory: ByteVec,
    /// Passwords of repositories by their names, each with the place that it is of.
    #[n(4)]
    pub(crate) passwords: Vec<(String, String)>,
}

impl Letter {
    /// Boxes it to the realm's guardians.
    pub(crate) fn seal(guardians: &GuardianSet, inside: &Inside) -> Option<Self> {
        let plain = Zeroizing::new(to_canonical(inside));
        let boxed = guardians.recovery.seal(INFO, &plain, &mut OsEntropy).ok()?;
        Some(Self { guardians: to_canonical(guardians).into(), boxed: boxed.into() })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, LETTER_MAX)
    }

    /// The guardians to whom it is.
    pub(crate) fn guardians(&self) -> Option<GuardianSet> {
        from_canonical::<GuardianSet>(&self.guardians, LETTER_MAX).ok().filter(GuardianSet::fits)
    }

    /// Opens it with the secret that they have together.
    pub(crate) fn open(&self, recovery: &BoxSecret) -> Option<Inside> {
        from_canonical(&recovery.open(INFO, &self.boxed).ok()?, LETTER_MAX).ok()
    }
}

/// What was last written to a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    at_ms: u64,
    /// Of the log and the passwords, and of all of it.
    sums: (String, String),
}

/// Has a letter lie beside a repository that is not this realm's own machine's: at once when the log or a password is another
/// one, and after a day if anything is. What fails is tried again after the next run.
pub(crate) async fn keep(shared: &Arc<Shared>, place: &Place) {
    if !place.takes_letters(shared.me()) {
        return;
    }
    let (letter, sums) = match written(shared).await {
        Ok(Some(written)) => written,
        Ok(None) => return,
        Err(why) => {
            tracing::warn!(why, "what brings the realm back was not written down; it is tried again");
            return;
        }
    };
    let (to_reach, place) = (Arc::clone(shared), place.clone());
    let lay = move || laid(&to_reach, &place, &letter, sums);
    let done = tokio::task::spawn_blocking(lay).await.map_err(io::Error::other).and_then(|done| done);
    if let Err(error) = done {
        tracing::warn!(%error, "what brings the realm back was not left beside the backup; it is tried again");
    }
}

/// Puts a letter there, unless one lies there that is new enough.
fn laid(shared: &Arc<Shared>, place: &Place, letter: &Letter, sums: Sums) -> io::Result<()> {
    let file = shared.home.backup().join(NOTES);
    let mut notes: BTreeMap<String, Note> = kept::read(&file).ok().flatten().unwrap_or_default();
    let (key, now) = (place.key(shared.me()), clock::wall());
    let store = place.beside(shared)?;
    // Another disk may have come to be there.
    let there = store.list(FileKind::Letter)?;
    if notes.get(&key).is_some_and(|note| is_new_enough(note, &sums, now)) && !there.is_empty() {
        return Ok(());
    }
    if store.list(FileKind::Config)?.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no repository any more"));
    }
    store.stays();
    let bytes = Bytes::from(letter.to_bytes());
    store.add(FileKind::Letter, &hash::sha256(&bytes), &[bytes])?;
    if place.can_remove() {
        thin(&*store, there)?;
    }
    notes.insert(key, Note { at_ms: now.0, sums });
    replace(&file, &serde_json::to_vec_pretty(&notes)?, 0o600)
}

/// Removes the oldest where more lie than are read when they are needed.
fn thin(store: &dyn Store, there: Vec<(FileId, u64)>) -> io::Result<()> {
    let many = (there.len() + 1).saturating_sub(LETTERS_MAX);
    if many == 0 {
        return Ok(());
    }
    let mut dated: Vec<_> =
        there.into_iter().map(|(id, _)| (store.written(FileKind::Letter, &id), id)).collect();
    dated.sort();
    dated.iter().take(many).try_for_each(|(_, id)| store.remove(FileKind::Letter, id))
}

fn is_new_enough(note: &Note, sums: &(String, String), now: Millis) -> bool {
    let is_young = now.since(Millis(note.at_ms)) < EVERY && note.at_ms <= now.0;
    note.sums == *sums || (note.sums.0 == sums.0 && is_young)
}

type Sums = (String, String);

/// A letter of how the realm is now; none where it has no guardians.
async fn written(shared: &Arc<Shared>) -> Result<Option<(Letter, Sums)>, String> {
    let guardians = shared.log.view().state().guardians.clone();
    if guardians.threshold == 0 {
        return Ok(None);
    }
    let log = shared.log.export().await.map_err(|problem| problem.why)?;
    let directory = crate::door::directory(shared).await?;
    let passwords = passwords::all(shared).await.map_err(|problem| problem.why)?;
    let view = shared.log.view();
    let ops: Vec<u8> = view.heads.iter().flat_map(|op| *op.as_bytes()).collect();
    let told = Zeroizing::new(to_canonical(&passwords));
    let near = hash::digest(SUM, &[&ops[..], &told[..]].concat());
    let all = hash::digest(SUM, &[&near[..], &directory[..]].concat());
    let sums = (Digest::from_bytes(near).to_string(), Digest::from_bytes(all).to_string());
    let inside = Inside {
        realm: shared.realm(),
        written: clock::wall(),
        log: log.into(),
        directory: directory.into(),
        passwords,
    };
    Ok(Letter::seal(&guardians, &inside).map(|letter| (letter, sums)))
}

#[cfg(test)]
mod tests {
    use freehold_crypt::Secret;
    use freehold_wire::Bounded;
    use proptest::prelude::*;

    use super::*;

    fn guardians(secret: &BoxSecret) -> GuardianSet {
        GuardianSet { threshold: 0, guardians: Bounded::default(), recovery: secret.public() }
    }

    fn inside() -> Inside {
        Inside {
            realm: RealmId::from_bytes([1; 32]),
            written: Millis(5),
            log: vec![1, 2, 3].into(),
            directory: vec![4].into(),
            passwords: vec![("repository-1".to_owned(), "secret\nshelf\n".to_owned())],
        }
    }

    #[test]
    fn only_the_guardians_together_read_a_letter() {
        let secret = BoxSecret::from_seed(&Secret::from_bytes([7; 32]));
        let set = guardians(&secret);
        let letter = Letter::from_bytes(&Letter::seal(&set, &inside()).unwrap().to_bytes()).unwrap();
        assert_eq!(letter.guardians(), Some(set));
        let read = letter.open(&secret).unwrap();
        assert_eq!(
            (read.realm, read.written, read.passwords),
            (RealmId::from_bytes([1; 32]), Millis(5), inside().passwords)
        );
        assert!(letter.open(&BoxSecret::from_seed(&Secret::from_bytes([8; 32]))).is_none());
        let bytes = letter.to_bytes();
        assert!(!bytes.windows(6).any(|part| part == b"secret"), "the friend reads nothing");
        let mut other = letter;
        other.boxed = vec![0; 100].into();
        assert!(other.open(&secret).is_none());
    }

    #[test]
    fn what_somebody_decided_is_written_at_once_and_the_rest_daily() {
        let note = Note { at_ms: 1_000_000_000, sums: ("a".to_owned(), "b".to_owned()) };
        let now = |hours: u64| Millis(note.at_ms).plus(Millis::from_hours(hours));
        let sums = |near: &str, all: &str| (near.to_owned(), all.to_owned());
        assert!(is_new_enough(&note, &sums("a", "b"), now(100)));
        assert!(is_new_enough(&note, &sums("a", "c"), now(23)));
        assert!(!is_new_enough(&note, &sums("a", "c"), now(25)));
        assert!(!is_new_enough(&note, &sums("d", "c"), now(0)));
        assert!(!is_new_enough(&note, &sums("a", "c"), Millis(5)), "a clock that was set back");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_as_they_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(letter) = Letter::from_bytes(&bytes) {
                prop_assert_eq!(letter.to_bytes(), bytes);
                let _ = letter.guardians();
            }
        }
    }
}

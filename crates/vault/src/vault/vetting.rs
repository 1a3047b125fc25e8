//! Whether an entry says what its writer committed itself to. Whoever has a bucket's key can seal what opens for
//! all: that somebody sealed anew what another one said is believed of nobody, but compared.

use std::collections::{BTreeMap, BTreeSet};

use freehold_disk::{EntryRow, StoreError};
use freehold_index::Locator;
use freehold_placement::Entry;
use freehold_seal::{Blinding, PayloadHeader};
use freehold_wire::Digest;

use super::read::{Original, Said};
use super::rebuild::{Heard, locator_of, pass_over};
use super::{Inner, is_release};

/// Why what an entry says does not count.
#[derive(Debug, thiserror::Error)]
enum Doubt {
    /// Of what was sealed anew, the entry that said it first is not here.
    #[error("the entry that it seals anew has not come yet")]
    Early(Locator),
    /// The signed part of the entry has another digest.
    #[error("it does not say what its writer committed itself to")]
    Other,
    /// The entry that it claims to seal anew said something else.
    #[error("it claims that another entry said this, which did not")]
    Forged,
    /// What is here cannot be read.
    #[error("reading the entry that it seals anew failed")]
    Store(#[source] StoreError),
}

impl Inner {
    /// Opens what an entry says, if it is genuine. What is not is told.
    pub(super) fn open_entry(&self, entry: &Entry, payload: &[u8]) -> Option<Heard> {
        let said = match self.open_payload(entry, payload) {
            Ok(said) => said,
            Err(error) => {
                pass_over(entry, &error);
                return None;
            }
        };
        let alone = match self.vet_or_wait(entry, &said) {
            Ok(alone) => alone,
            Err(Doubt::Early(_)) => return None,
            Err(doubt) => {
                tracing::warn!(
                    bucket = %entry.bucket.short(), origin = %entry.origin.short(), seq = entry.seq, error = %doubt,
                    "an entry does not count"
                );
                if matches!(doubt, Doubt::Forged) {
                    self.shared.replication.forged(&entry.bucket, &entry.origin);
                }
                return None;
            }
        };
        Heard::of(&said, entry, alone)
    }

    /// What was sealed anew of an entry that is here now.
    pub(super) fn sealed_anew_of(&self, at: &Locator) -> Vec<Heard> {
        let carriers = self.awaited().remove(at).unwrap_or_default();
        let mut heard = Vec::new();
        for carrier in carriers {
            let row = self.shared.entries.entry(&carrier.bucket, &carrier.origin, carrier.seq);
            let Ok(Some(EntryRow { entry, payload: Some(payload), .. })) = row else { continue };
            let Ok(entry) = Entry::decode(&entry) else { continue };
            heard.extend(self.open_entry(&entry, &payload));
        }
        heard
    }

    /// Looks again after it has said what it waits for: that may come in between.
    fn vet_or_wait(&self, entry: &Entry, said: &Said) -> Result<bool, Doubt> {
        let first = match self.vet(entry, said) {
            Err(Doubt::Early(first)) => first,
            vetted => return vetted,
        };
        let carrier = locator_of(entry);
        self.awaited().entry(first).or_default().insert(carrier);
        let again = self.vet(entry, said);
        if !matches!(again, Err(Doubt::Early(_)))
            && let Some(waiting) = self.awaited().get_mut(&first)
        {
            waiting.remove(&carrier);
        }
        again
    }

    /// Says of what was sealed anew whether it is all there is: what said it first cannot be read here.
    fn vet(&self, entry: &Entry, said: &Said) -> Result<bool, Doubt> {
        let place = self.place(entry.bucket, entry.origin, entry.seq);
        let Some(Original { stamp, blinding }) = &said.of else {
            // It need not be told what it wrote.
            let own = entry.origin == self.config.node;
            let says = || said.content.says(&said.key, &place, &Blinding::of(&said.key, &place));
            return if own || is_same(entry.says, says()) { Ok(false) } else { Err(Doubt::Other) };
        };
        // What it seals anew was there before.
        if stamp.hlc > entry.hlc || (stamp.origin == entry.origin && stamp.seq >= entry.seq) {
            return Err(Doubt::Forged);
        }
        let at = stamp.locator(entry.bucket);
        let row = self.shared.entries.entry(&at.bucket, &at.origin, at.seq).map_err(Doubt::Store)?;
        let Some(row) = row else { return Err(Doubt::Early(at)) };
        let first = Entry::decode(&row.entry).map_err(|_| Doubt::Early(at))?;
        let same = first.hlc == stamp.hlc
            && first.blobs == entry.blobs
            && is_same(first.says, said.content.says(&said.key, &place, blinding));
        if same { Ok(!self.can_open(&row)) } else { Err(Doubt::Forged) }
    }

    /// Whether a payload is here, and the key that sealed it.
    fn can_open(&self, row: &EntryRow) -> bool {
        let Some(payload) = row.payload.as_deref().filter(|payload| !is_release(payload)) else {
            return false;
        };
        let header = PayloadHeader::decode(payload).ok();
        header.is_some_and(|header| self.shared.keys.version(&row.bucket, header.key_version).is_some())
    }
}

/// Who commits itself to nothing can say nothing.
fn is_same(said: Option<Digest>, says: Option<Digest>) -> bool {
    said.is_some() && said == says
}

/// Entries that seal anew what has not come yet, by what they wait for.
pub(super) type Awaited = BTreeMap<Locator, BTreeSet<Locator>>;

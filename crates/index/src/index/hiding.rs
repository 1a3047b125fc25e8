//! Taking out what does not count any more. What it hid has to be read anew, and that takes long: until it is
//! known all stays as it was, or objects that are there would be missing meanwhile.

use std::collections::BTreeSet;

use freehold_placement::{Cuts, is_cut_off};
use freehold_wire::{BucketId, Millis};

use super::{Index, Of};
use crate::{Fact, Stamp, Writers};

/// What is heard of a bucket while it is read anew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hiding {
    /// Objects of which something does not count any more.
    keys: BTreeSet<Box<str>>,
    /// What is said of them, and of the bucket.
    facts: Vec<(Stamp, Fact)>,
}

impl Hiding {
    pub(super) fn note(&mut self, stamp: Stamp, fact: &Fact) {
        let wanted = match fact {
            Fact::Version { key, .. } | Fact::Removal { key, .. } | Fact::Said { key, .. } => {
                self.keys.contains(key)
            }
            Fact::Setting { .. } => true,
        };
        if wanted {
            self.facts.push((stamp, fact.clone()));
        }
    }
}

impl Index {
    /// Says whether anything of a bucket does not count any more. Then all that does has to be taken in again, be it
    /// known, and [`Self::end_hiding`] called; until then nothing of it is due. Words stay though their node may not write: whoever adds them up knows
    /// whom to believe.
    pub fn begin_hiding(&mut self, bucket: &BucketId, cuts: &Cuts, writers: Option<&Writers>) -> bool {
        let Some(index) = self.buckets.get(bucket) else { return false };
        let is_cut = |stamp: &Stamp| is_cut_off(cuts, bucket, &stamp.origin, stamp.seq);
        let is_out = |stamp: &Stamp| is_out(cuts, writers, bucket, stamp);
        let gone = index.keys.iter().filter(|(_, state)| state.any_entry(is_out));
        let keys: BTreeSet<Box<str>> = gone.map(|(key, _)| key.clone()).collect();
        let is_said = index.settings.entries().any(|stamp| is_out(&stamp))
            || index.words.entries().any(|stamp| is_cut(&stamp));
        let less = self.hide_carriers(bucket, is_out) || !keys.is_empty() || is_said;
        if !less && !self.hiding.contains_key(bucket) {
            return false;
        }
        // Which carrier counts is found out anew.
        self.superseded.retain(|at, over| at.bucket != *bucket || !matches!(over.of, Of::Resealed(_)));
        self.hiding.insert(*bucket, Hiding { keys, ..Hiding::default() });
        true
    }

    /// Takes it out, and shows what it hid. Says whether all of that was taken in again; else it has to be begun anew.
    pub fn end_hiding(
        &mut self,
        bucket: &BucketId,
        cuts: &Cuts,
        writers: Option<&Writers>,
        now: Millis,
    ) -> bool {
        let Some(Hiding { keys, facts }) = self.hiding.remove(bucket) else { return true };
        let Some(index) = self.buckets.get_mut(bucket) else { return true };
        let is_out = |stamp: &Stamp| is_out(cuts, writers, bucket, stamp);
        let gone = index.keys.iter().filter(|(_, state)| state.any_entry(is_out));
        let gone: BTreeSet<Box<str>> = gone.map(|(key, _)| key.clone()).collect();
        for key in &gone {
            if let Some(state) = index.keys.remove(key) {
                index.counts.take(&state);
            }
        }
        let unset = index.settings.hide(is_out);
        let unsaid = index.words.hide(|stamp| is_cut_off(cuts, bucket, &stamp.origin, stamp.seq));
        self.superseded.retain(|at, overtaken| {
            at.bucket != *bucket
                || match &overtaken.of {
                    Of::Null(key) | Of::Said(key, ..) | Of::Ended(key, _) => !gone.contains(key),
                    Of::Setting(setting) => !unset.contains(setting),
                    Of::Word(setting, node) => !unsaid.contains(&(*setting, *node)),
                    Of::Released | Of::Resealed(_) => true,
                }
        });
        for (stamp, fact) in facts {
            self.restore(*bucket, stamp, fact, now);
        }
        gone.is_subset(&keys)
    }
}

fn is_out(cuts: &Cuts, writers: Option<&Writers>, bucket: &BucketId, stamp: &Stamp) -> bool {
    is_cut_off(cuts, bucket, &stamp.origin, stamp.seq)
        || writers.is_some_and(|writers| !writers.lets(&stamp.origin, stamp.seq))
}

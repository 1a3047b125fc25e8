//! Making checkpoints: the core decides whether one is due, this drafts it and puts it in.

use std::sync::Arc;

use freehold_api::Problem;
use freehold_realm::checkpoint::{Known, Step, due};
use freehold_realm::draft;
use freehold_wire::OpId;

use super::owner::{Owner, not_a_device};
use crate::clock;

impl Owner {
    /// Makes or signs the checkpoint that is due, and returns it.
    pub(super) fn checkpoint(&mut self, asked: bool) -> Result<OpId, Problem> {
        let what = || "no checkpoint was made".to_owned();
        let refused = |why: String| Problem::refused(what(), why, None::<&str>);
        let key = self.keys.device.clone().ok_or_else(|| not_a_device(what()))?;
        let view = Arc::clone(&self.view.borrow());
        let mut first_seen = self.first_seen.clone();
        first_seen.extend(&self.signed);
        let (set, clock, now) = (self.sync.log(), self.clock(), clock::wall());
        let known = Known {
            set,
            folded: &view.folded,
            clock: &clock,
            first_seen: &first_seen,
            me: &key.verifying(),
            asked,
        };
        let (about, op) = match due(&known).map_err(|wait| refused(wait.to_string()))? {
            Step::Propose(proposal) => {
                (None, draft::propose_checkpoint(set, view.state(), &key, proposal, now))
            }
            Step::Cosign(id) => (Some(id), draft::cosign(set, view.state(), &id, &key, &key, now)),
        };
        let said = self.put(&what(), &op.map_err(|error| refused(error.to_string()))?)?;
        let checkpoint = about.unwrap_or(said);
        let in_force = self.view.borrow().state().base == Some(checkpoint);
        tracing::info!(checkpoint = %checkpoint.short(), in_force, "a checkpoint was signed");
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use freehold_disk::LogStore;
    use freehold_realm::body::BucketSet;
    use freehold_wire::{BucketId, Millis};

    use super::super::{By, Log, open};
    use super::*;
    use crate::founding::found;
    use crate::home::Home;
    use crate::identity::load_keys;
    use crate::vacant::Vacant;

    fn reopen(home: &Home) -> (Owner, Log) {
        let store = Arc::new(LogStore::open(&home.log()).unwrap());
        let realm = crate::identity::Identity::read(home).unwrap().unwrap().realm;
        open(store, home.log_seen(), realm, Arc::new(load_keys(home).unwrap()), Arc::new(OnceLock::new()))
            .unwrap()
    }

    #[test]
    fn a_day_after_its_founding_a_realm_is_final_and_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        for (name, hours, made) in [("old", 25, true), ("young", 23, false)] {
            let home = Home::at(&folder.path().join(name));
            let then = Millis(clock::wall().0 - hours * 3_600_000);
            found("smith", "laptop", then)
                .unwrap()
                .finish(&Vacant::take(&home).unwrap(), None, None)
                .unwrap();
            let (mut owner, log) = reopen(&home);
            assert_eq!(owner.checkpoint(false).is_ok(), made, "{name}");
            assert_eq!(log.view().state().epoch, u64::from(made));
            drop(owner);
            let (mut owner, log) = reopen(&home);
            assert_eq!(log.view().state().epoch, u64::from(made));
            // Nothing happened since; asked, the young one does not wait.
            assert_eq!(owner.checkpoint(true).is_ok(), !made, "{name}");
            assert_eq!(log.view().state().epoch, 1);
            let bucket =
                BucketSet { bucket: BucketId::from_bytes([1; 32]), copies: 1, confirm: 1, rules: None };
            owner.say(bucket.into(), &By::Device, &[]).unwrap();
            assert!(owner.checkpoint(false).is_err(), "a moment old");
        }
    }
}

//! The letter to the guardians on each store of a backend, signed by its node: it says how far the
//! journal is, and is written anew as that goes on.

use freehold_backend::{Head, Inside, LetterError, Sealed, Stores};
use freehold_crypt::hash::digest;
use freehold_disk::OsEntropy;
use freehold_wire::{Digest, Millis, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use super::holder::Held;
use super::journal::set_meta;
use super::{Lodger, store};
use crate::clock;
use crate::identity::load_keys;
use crate::problem::chain;
use crate::shared::Shared;

/// How soon a letter follows the journal: parts that it does not name yet count, but could be cut off
/// without a trace.
const FOLLOW_AFTER: Millis = Millis::from_secs(60);
/// How often it is written though nothing happens: its date tells how old a store's answer is.
const EVERY: Millis = Millis::from_hours(6);
/// How soon a store that was away is tried again.
const AGAIN_AFTER: Millis = Millis::from_secs(300);
const META: &str = "letter";
const META_MAX: usize = 1 << 20;

/// What was written last.
#[derive(Debug, Clone, Encode, Decode)]
#[cbor(array)]
struct Written {
    /// What it says to the guardians, hashed.
    #[n(0)]
    says: Digest,
    #[n(1)]
    time: Millis,
    #[n(2)]
    sealed: Sealed,
}

/// The letter as it lies on the stores.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// How far the journal was, and when that was left.
    left: Option<((u64, Digest), Millis)>,
    /// A store did not take it.
    lacking: bool,
}

impl Mail {
    /// Sees to it that each store has the newest: how far the journal is, the guardians, and keys change.
    pub(super) async fn leave(
        &mut self,
        lodger: &Lodger,
        shared: &Shared,
        (base, last): (u64, Digest),
        news: bool,
    ) -> Result<(), String> {
        let now = clock::monotonic();
        let is_due = self.left.is_none_or(|(left, at)| {
            let age = now.since(at);
            let anew = left.0 != base;
            let moved = left.1 != last && age >= FOLLOW_AFTER;
            anew || moved || age >= EVERY || (self.lacking && age >= AGAIN_AFTER)
        });
        if !is_due && !news {
            return Ok(());
        }
        let view = shared.log.view();
        let guardians = &view.state().guardians;
        if guardians.threshold == 0 {
            return Ok(());
        }
        let settings = lodger.settings().ok_or("its settings cannot be read")?;
        let claim = Held::read(&lodger.home)?.number;
        let written = write(lodger, shared, claim).await?;
        let node = shared.me();
        let head = Head { node, claim, time: written.time, base, last };
        let Stores { each, .. } = store::stores(&settings, &lodger.home, &lodger.friends)?;
        let mut failed: Option<LetterError> = None;
        let (mut away, may_be) = (0, usize::from(settings.parity));
        for (at, (store, place)) in each.iter().zip(settings.stores()).enumerate() {
            let letter = written.sealed.sign(shared.realm(), head, at, &shared.keys.node);
            if let Err(error) = letter.leave(store, shared.realm(), place).await {
                (away, failed) = (away + 1, Some(error));
            }
        }
        if let Some(error) = failed.filter(|_| away > may_be) {
            return Err(format!("the letter to the guardians: {}", chain(&error)));
        }
        (self.left, self.lacking) = (Some(((base, last), now)), away > 0);
        Ok(())
    }
}

/// What goes into the next letter; its time is later than that of any before.
async fn write(lodger: &Lodger, shared: &Shared, claim: u64) -> Result<Written, String> {
    let view = shared.log.view();
    let guardians = &view.state().guardians;
    let keys = load_keys(&lodger.home).map_err(|e| chain(&e))?;
    let inside = Inside {
        name: lodger.folder.clone(),
        node: keys.node_seed.clone(),
        node_box: keys.node_box.clone(),
        packs: store::packs_key(&lodger.home)?,
        settings: lodger.settings().ok_or("its settings cannot be read")?,
        claim,
    };
    let listed = to_canonical(guardians);
    let all = [inside.to_bytes().map_err(|e| chain(&e))?.to_vec(), listed.clone()].concat();
    let says = Digest::from_bytes(digest("freehold 2026 letter says", &all));
    let known = shared.entries.meta(META).map_err(|e| chain(&e))?;
    let known: Option<Written> = known.and_then(|bytes| from_canonical(&bytes, META_MAX).ok());
    let before = known.as_ref().map_or(Millis(0), |known| known.time);
    let time = clock::wall().max(before.plus(Millis(1)));
    let sealed = match known.filter(|known| known.says == says) {
        Some(known) => known.sealed,
        None => Sealed::write(shared.realm(), listed, &guardians.recovery, &inside, &mut OsEntropy)
            .map_err(|e| chain(&e))?,
    };
    let written = Written { says, time, sealed };
    // Before it is left: a clock that is set back makes none that looks older.
    set_meta(shared, META, to_canonical(&written)).await?;
    Ok(written)
}

//! Founding a realm: keys, guardians, the first operations and the first directory entries. All of
//! it is made in memory and written only when the phrases have been handed over.

use std::sync::Arc;

use freehold_api::Problem;
use freehold_crypt::{BoxSecret, Entropy as _, Phrase, Secret, SigningKey, split};
use freehold_disk::{EntryStore, LogStore, OsEntropy, StoreError};
use freehold_realm::body::{BucketSet, Guardian, GuardianSet, GuardianTested, NodeAdd};
use freehold_realm::{Body, Clock, DraftError, NodeRoles, Op, OpSet, draft, fold};
use freehold_seal::{BucketKey, DirectoryRow, KeyRing, KeyRingError, Recipient};
use freehold_wire::{Bounded, BucketId, Hlc, Millis, Name, NameError, RealmId};
use zeroize::Zeroizing;

use crate::door::free_name;
use crate::home::Home;
use crate::identity::{FreshKeys, Identity, IdentityError};
use crate::scribe::{Saying, Scribe, ScribeError};
use crate::vacant::Vacant;

/// Guardians made at founding, and how many of them can recover the realm.
pub const GUARDIANS: u8 = 3;
/// See [`GUARDIANS`].
pub const GUARDIANS_NEEDED: u8 = 2;
/// The bucket that every new realm has, so that the first file has a place.
pub const FIRST_BUCKET: &str = "files";

/// What a share of the recovery secret is sealed for.
pub const SHARE_INFO: &[u8] = b"freehold 2026 guardian share";

/// No realm was made.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The realm or the node cannot be called so.
    #[error("{0}")]
    Name(#[source] NameError),
    /// An operation could not be put together.
    #[error("writing the first operations: {0}")]
    Draft(#[source] DraftError),
    /// A key could not be boxed.
    #[error("boxing the first keys: {0}")]
    Box(#[source] KeyRingError),
    /// The home could not be cleared.
    #[error("{0}")]
    Home(Problem),
    /// Keys or identity could not be written.
    #[error("{0}")]
    Identity(#[source] IdentityError),
    /// A store failed.
    #[error("{0}")]
    Store(#[source] StoreError),
    /// The directory could not be written.
    #[error("{0}")]
    Directory(#[source] ScribeError),
    /// Our own operations do not fit together.
    #[error("the first operations do not fit together")]
    Unfit,
}

/// A realm in memory.
pub struct Founding {
    keys: FreshKeys,
    phrases: Vec<Zeroizing<String>>,
    guardians: Vec<SigningKey>,
    ops: Vec<Op>,
    set: OpSet,
    directory: KeyRing,
    bucket: (BucketId, KeyRing),
    recovery: BoxSecret,
    names: (Name, Name),
    now: Millis,
}

/// Makes a realm in memory.
///
/// # Errors
/// [`FoundError`]
pub fn found(realm_name: &str, node_name: &str, now: Millis) -> Result<Founding, FoundError> {
    let machine = Name::new(node_name).map_err(FoundError::Name)?;
    let names = (Name::new(realm_name).map_err(FoundError::Name)?, free_name(&machine, |_| false));
    let mut entropy = OsEntropy;
    let keys = FreshKeys::draw();
    let recovery_seed = entropy.secret();
    let recovery = BoxSecret::from_seed(&recovery_seed);
    let (phrases, guardians, set_of_guardians) = make_guardians(&recovery_seed, &recovery)?;
    let directory = BucketKey::random(&mut entropy);
    let (device, device_box) = (keys.device(), keys.device_box().public());
    let root = directory.directory_root();
    let genesis = draft::genesis(&device, device_box, entropy.bytes32(), set_of_guardians, root, now)
        .map_err(FoundError::Draft)?;
    let realm = genesis.realm();
    let mut founding = Founding {
        keys,
        phrases,
        guardians,
        ops: Vec::new(),
        set: OpSet::new(realm),
        directory: KeyRing::found_directory(realm, &directory, &mut entropy),
        bucket: KeyRing::found_bucket(realm, &mut entropy),
        recovery,
        names,
        now,
    };
    founding.take(genesis)?;
    founding.first_operations()?;
    Ok(founding)
}

type Guardians = (Vec<Zeroizing<String>>, Vec<SigningKey>, GuardianSet);

fn make_guardians(seed: &Secret, recovery: &BoxSecret) -> Result<Guardians, FoundError> {
    let mut entropy = OsEntropy;
    let shares = split(seed, GUARDIANS_NEEDED, GUARDIANS, &mut entropy).map_err(|_| FoundError::Unfit)?;
    let mut made = Vec::new();
    for share in shares {
        let phrase = Phrase::generate(&mut entropy);
        let key = phrase.signing_key();
        let box_key = phrase.box_secret().public();
        let share = box_key.seal(SHARE_INFO, share.expose(), &mut entropy).map_err(|_| FoundError::Unfit)?;
        made.push((phrase.words(), Guardian { key: key.verifying(), box_key, share }, key));
    }
    // Ascending, as the format wants it; the phrases are numbered in the same order.
    made.sort_by_key(|(_, guardian, _)| guardian.key);
    let guardians = GuardianSet {
        threshold: GUARDIANS_NEEDED,
        guardians: Bounded::fill(&mut made.iter().map(|(_, guardian, _)| guardian.clone())),
        recovery: recovery.public(),
    };
    let (phrases, keys) = made.into_iter().map(|(words, _, key)| (words, key)).unzip();
    Ok((phrases, keys, guardians))
}

impl Founding {
    /// The guardian phrases.
    pub fn phrases(&self) -> &[Zeroizing<String>] {
        &self.phrases
    }

    /// The realm's id.
    pub const fn realm(&self) -> RealmId {
        self.set.realm()
    }

    fn first_operations(&mut self) -> Result<(), FoundError> {
        let keys = self.keys.keys();
        let roles =
            NodeRoles::STORAGE.with(NodeRoles::GATEWAY).with(NodeRoles::RELAY).with(NodeRoles::SECRETS);
        let node = keys.node.verifying();
        let add = NodeAdd { node, box_key: keys.box_secret().public(), roles };
        self.say(add, Some(&keys.node))?;
        self.say(BucketSet { bucket: self.bucket.0, copies: 2, confirm: 1, rules: None }, None)
    }

    /// Drafts as the founder, co-signed by another key if the operation needs one.
    fn say(&mut self, body: impl Into<Body>, cosigner: Option<&SigningKey>) -> Result<(), FoundError> {
        let folded = fold(&self.set, &Clock { now: self.now, ..Clock::default() });
        let mut op = draft(&self.set, &folded.state, &self.keys.device(), body, self.now)
            .map_err(FoundError::Draft)?;
        if let Some(cosigner) = cosigner {
            op.add_signature(cosigner);
        }
        self.take(op)
    }

    fn take(&mut self, op: Op) -> Result<(), FoundError> {
        self.set.insert(op.clone()).map_err(|_| FoundError::Unfit)?;
        self.ops.push(op);
        Ok(())
    }

    /// Writes everything; the identity last. `tested` names the guardian (counted from 0) whose
    /// phrase was typed back.
    ///
    /// # Errors
    /// [`FoundError`]; the home then holds no node.
    pub fn finish(
        mut self,
        vacant: &Vacant,
        left_in: Option<String>,
        tested: Option<usize>,
    ) -> Result<(), FoundError> {
        if let Some(key) =
            tested.and_then(|at| (at < self.guardians.len()).then(|| self.guardians.swap_remove(at)))
        {
            self.say(GuardianTested { guardian: key.verifying().id() }, Some(&key))?;
        }
        let folded = fold(&self.set, &Clock { now: self.now, ..Clock::default() });
        if !folded.refused.is_empty() || !folded.pending.is_empty() {
            return Err(FoundError::Unfit);
        }
        vacant.clear().map_err(FoundError::Home)?;
        let home = vacant.home();
        self.keys.write(home, true).map_err(FoundError::Identity)?;
        self.write_directory(home)?;
        let log = LogStore::open(&home.log()).map_err(FoundError::Store)?;
        log.append(self.ops.iter().map(|op| (op.id(), op.to_bytes())).collect(), self.now)
            .map_err(FoundError::Store)?;
        Identity { realm: self.realm(), phrases_left_in: left_in, first_contacts: Vec::new() }
            .write(home)
            .map_err(FoundError::Identity)
    }

    fn write_directory(&self, home: &Home) -> Result<(), FoundError> {
        let keys = self.keys.keys();
        let me = keys.node_id();
        let mut sayings = Vec::new();
        for ring in [&self.directory, &self.bucket.1] {
            for (to, public) in [
                (Recipient::Node(me), keys.box_secret().public()),
                (Recipient::Recovery, self.recovery.public()),
            ] {
                for key in ring.iter() {
                    let envelope = ring.envelope(key.version(), to, &public, &mut OsEntropy);
                    sayings.push(Saying::Key(Box::new(envelope.map_err(FoundError::Box)?)));
                }
            }
        }
        let first_bucket = Name::new(FIRST_BUCKET).map_err(FoundError::Name)?;
        sayings.push(Saying::Row(DirectoryRow::RealmName(Some(self.names.0.clone()))));
        sayings.push(Saying::Row(DirectoryRow::NodeName(me, Some(self.names.1.clone()))));
        sayings.push(Saying::Row(DirectoryRow::BucketName(self.bucket.0, Some(first_bucket))));
        let entries = EntryStore::open(&home.entries()).map_err(FoundError::Store)?;
        let scribe =
            Scribe { realm: self.realm(), node: me, key: Arc::clone(&keys.node), entries: Arc::new(entries) };
        let hlc = Hlc { wall: self.now, count: 0 };
        scribe.write(sayings, self.directory.current().cloned(), hlc).map(drop).map_err(FoundError::Directory)
    }
}

impl std::fmt::Debug for Founding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Founding({})", self.realm().short())
    }
}

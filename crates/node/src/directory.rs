//! The directory as this node reads it: names, addresses and keys, from the entries that every node
//! of the realm holds. Last writer wins; what cannot be opened yet waits for its key.

mod ending;
mod network;
mod unwanted;

pub use unwanted::Unwanted;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use freehold_crypt::{BoxPublic, BoxSecret, hash};
use freehold_disk::{EntryStore, StoreError};
use freehold_placement::{Cuts, Entry, is_cut_off};
use freehold_seal::{
    BoxHint, DirectoryRow, Envelope, Erased, KeyOf, KeyRing, PayloadKind, PayloadPlace, Recipient, RowKey,
    box_hint, ends_before, generation, payload_kind,
};
use freehold_wire::{BucketId, Digest, Hlc, Name, NodeId, OpId, RealmId, ServiceId, ZoneId};

/// The bucket id under which a realm's directory entries travel.
pub fn directory_bucket(realm: RealmId) -> BucketId {
    BucketId::from_bytes(hash::digest("freehold 2026 directory", realm.as_bytes()))
}

/// The directory entry a payload came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From {
    /// Who wrote it.
    pub origin: NodeId,
    /// Its number in the writer's sequence.
    pub seq: u64,
    /// When it was written, as the writer says.
    pub hlc: Hlc,
}

/// What the realm log says of whom to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The hash of the directory's first key; none until the log was heard.
    pub root: Option<Digest>,
    /// Nodes that the log lets, or once let, hold the realm's secrets: who may name things.
    pub keepers: BTreeSet<NodeId>,
    /// Buckets that were erased: nobody takes in a key of theirs any more.
    pub erased: BTreeSet<BucketId>,
    /// The key of a bucket that stays, with later ones, where the log says that earlier ones end.
    pub kept: BTreeMap<BucketId, u32>,
    /// Before which key of a bucket this node has destroyed others: it takes none of them in any more.
    pub ended: BTreeMap<BucketId, u32>,
}

impl Trust {
    /// Whether a version of a key was destroyed.
    pub fn is_unwanted(&self, of: &KeyOf, version: u32) -> bool {
        let KeyOf::Bucket(bucket) = of else { return false };
        let ended = |before: &u32| ends_before(version, *before) && self.kept.get(bucket) != Some(&version);
        self.erased.contains(bucket) || self.ended.get(bucket).is_some_and(ended)
    }
}

/// What a payload changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// Nothing new, or nothing that opens.
    Nothing,
    /// A row holds that did not before.
    Row(RowKey),
    /// A key came into a ring.
    Key(KeyOf),
    /// A key of a bucket that was erased: its box is to be erased as well.
    Unwanted,
}

/// Names, addresses and keys.
pub struct Directory {
    realm: RealmId,
    me: Recipient,
    secret: BoxSecret,
    rows: BTreeMap<RowKey, (Hlc, NodeId, DirectoryRow)>,
    rings: BTreeMap<KeyOf, KeyRing>,
    /// Apart by who wrote them: one that does not open must not take the place of one that does.
    envelopes: BTreeMap<(KeyOf, u32, Recipient, BoxHint, NodeId), Envelope>,
    /// Payloads that came before the key that opens them, or before the log said who wrote them.
    waiting: VecDeque<(From, Vec<u8>)>,
    trust: Trust,
    unwanted: Unwanted,
    /// Every row that says what counts of a node, in the order of their dates, with its number.
    said: BTreeMap<(Hlc, NodeId), (u64, DirectoryRow)>,
    /// What counts of nodes whose rights were taken away.
    cuts: Cuts,
    /// Of private buckets, who vouches for keys, as far as it is known.
    writers: BTreeMap<BucketId, BTreeSet<NodeId>>,
}

/// Payloads that wait; more than any realm writes between two syncs. The oldest give way.
const WAITING_MAX: usize = 10_000;

impl Directory {
    /// An empty directory of a reader who opens envelopes to `me` with `secret`.
    pub const fn new(realm: RealmId, me: Recipient, secret: BoxSecret) -> Self {
        Self {
            realm,
            me,
            secret,
            rows: BTreeMap::new(),
            rings: BTreeMap::new(),
            envelopes: BTreeMap::new(),
            waiting: VecDeque::new(),
            trust: Trust {
                root: None,
                keepers: BTreeSet::new(),
                erased: BTreeSet::new(),
                kept: BTreeMap::new(),
                ended: BTreeMap::new(),
            },
            unwanted: Unwanted { boxes: 0, opened: 0 },
            said: BTreeMap::new(),
            cuts: BTreeMap::new(),
            writers: BTreeMap::new(),
        }
    }

    /// Takes a ring that this node itself made.
    pub fn own(&mut self, ring: KeyRing) {
        self.rings.insert(ring.of(), ring);
    }

    /// Whom it believes.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Says whom to believe; what waited for that is read again.
    pub fn set_trust(&mut self, trust: Trust) -> Vec<Learned> {
        if trust == self.trust {
            return Vec::new();
        }
        self.trust = trust;
        self.drop_erased();
        let boxed: BTreeSet<KeyOf> = self.envelopes.keys().map(|(of, ..)| *of).collect();
        let mut learned = Vec::new();
        for of in boxed.into_iter().chain([KeyOf::Directory]) {
            if self.open_all(of) {
                learned.push(Learned::Key(of));
            }
        }
        learned.extend(self.read_waiting());
        learned
    }

    fn read_waiting(&mut self) -> Vec<Learned> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().flat_map(|(from, payload)| self.absorb(from, &payload)).collect()
    }

    fn wait(&mut self, from: From, payload: &[u8]) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((from, payload.to_vec()));
    }

    /// Reads the payload of a directory entry.
    pub fn absorb(&mut self, from: From, payload: &[u8]) -> Vec<Learned> {
        match payload_kind(payload) {
            Some(PayloadKind::Envelope) => self.absorb_envelope(from, payload),
            Some(PayloadKind::Sealed) => vec![self.absorb_row(from, payload)],
            // Releases are of buckets.
            Some(PayloadKind::Release) | None => Vec::new(),
        }
    }

    fn absorb_envelope(&mut self, from: From, payload: &[u8]) -> Vec<Learned> {
        let Ok(envelope) = Envelope::decode(payload) else { return Vec::new() };
        let (key_of, to) = (envelope.key_of, envelope.to);
        // Whoever was shut out knows the keys of that time, and could make next ones.
        if is_cut_off(&self.cuts, &directory_bucket(self.realm), &from.origin, from.seq) {
            return Vec::new();
        }
        if self.trust.is_unwanted(&key_of, envelope.version) {
            self.refuse(from.origin, &envelope);
            return vec![Learned::Unwanted];
        }
        let own = to == Recipient::Node(from.origin);
        // Who boxes a bucket's key counts when it is known whether the bucket is private.
        if key_of == KeyOf::Directory && !own && !self.trust.keepers.contains(&from.origin) {
            self.wait(from, payload);
            return Vec::new();
        }
        self.envelopes.entry((key_of, envelope.version, to, envelope.hint, from.origin)).or_insert(envelope);
        if to != self.me {
            return Vec::new();
        }
        if !self.open_all(key_of) {
            return Vec::new();
        }
        let mut learned = vec![Learned::Key(key_of)];
        if key_of == KeyOf::Directory {
            learned.extend(self.read_waiting());
        }
        learned
    }

    /// Admits every envelope to us for one ring, oldest version first: a later one is vouched for
    /// by the one before, which may have come after it.
    fn open_all(&mut self, key_of: KeyOf) -> bool {
        let empty = match (key_of, self.trust.root) {
            (KeyOf::Bucket(bucket), _) => KeyRing::of_bucket(self.realm, bucket),
            (KeyOf::Directory, Some(root)) => KeyRing::of_directory(self.realm, root),
            // Nobody's word is taken before the log's.
            (KeyOf::Directory, None) => return false,
        };
        let ring = self.rings.entry(key_of).or_insert(empty);
        if let KeyOf::Bucket(bucket) = key_of
            && let Some(kept) = self.trust.kept.get(&bucket)
        {
            ring.keep(*kept);
        }
        let mine = (self.me, box_hint(&self.secret.public()));
        let mine =
            self.envelopes.iter().filter(|((of, _, to, hint, _), _)| *of == key_of && (*to, *hint) == mine);
        let mut new = false;
        for ((.., origin), envelope) in mine {
            // A node boxes for itself what it made; for others a keeper does, or a holder of a private
            // bucket's key. That a bucket's first key is the one meant, its id says.
            let own = self.me == Recipient::Node(*origin);
            let named = key_of != KeyOf::Directory && (envelope.link.is_none() || ring.is_private());
            if !(own || named || self.trust.keepers.contains(origin)) {
                continue;
            }
            // What this node boxed for itself it vouched for before: so it stays over a restart.
            let vouched = own
                || matches!(key_of, KeyOf::Bucket(bucket)
                    if self.writers.get(&bucket).is_some_and(|writers| writers.contains(origin)));
            let admitted = if vouched {
                ring.admit_vouched(envelope, self.me, &self.secret)
            } else {
                ring.admit(envelope, self.me, &self.secret)
            };
            match admitted {
                Ok(was_new) => new |= was_new,
                Err(error) => {
                    tracing::warn!(?key_of, version = envelope.version, %error, "a key was refused");
                }
            }
        }
        new
    }

    /// Says who may make the next keys of a private bucket, now. What they made counts from now on, also
    /// when they may not any more. Returns whether that brought a key.
    pub fn set_writers(&mut self, bucket: BucketId, writers: BTreeSet<NodeId>) -> bool {
        if self.writers.get(&bucket) == Some(&writers) {
            return false;
        }
        self.writers.insert(bucket, writers);
        self.open_all(KeyOf::Bucket(bucket))
    }

    fn absorb_row(&mut self, from: From, payload: &[u8]) -> Learned {
        let place = PayloadPlace {
            realm: self.realm,
            bucket: directory_bucket(self.realm),
            origin: from.origin,
            seq: from.seq,
        };
        let Some(ring) = self.rings.get(&KeyOf::Directory) else {
            self.wait(from, payload);
            return Learned::Nothing;
        };
        let Some(row) = ring.iter().find_map(|key| DirectoryRow::open(key, &place, payload).ok()) else {
            self.wait(from, payload);
            return Learned::Nothing;
        };
        if row.needs_keeper(from.origin) && !self.trust.keepers.contains(&from.origin) {
            self.wait(from, payload);
            return Learned::Nothing;
        }
        if matches!(&row, DirectoryRow::Erased(said) if !said.is_genuine(self.realm)) {
            return Learned::Nothing;
        }
        if matches!(row, DirectoryRow::Cut(..)) && row.may_come_from(from.origin) {
            self.said.insert((from.hlc, from.origin), (from.seq, row.clone()));
        }
        if is_cut_off(&self.cuts, &directory_bucket(self.realm), &from.origin, from.seq) {
            return Learned::Nothing;
        }
        let key = row.key();
        let newer =
            self.rows.get(&key).is_none_or(|(hlc, origin, _)| (from.hlc, from.origin) > (*hlc, *origin));
        if !newer || !row.may_come_from(from.origin) {
            return Learned::Nothing;
        }
        self.rows.insert(key, (from.hlc, from.origin, row));
        Learned::Row(key)
    }

    /// The keys of a bucket or of the directory, as far as this node has them.
    pub fn ring(&self, key_of: KeyOf) -> Option<&KeyRing> {
        self.rings.get(&key_of)
    }

    /// Every ring.
    pub fn rings(&self) -> impl Iterator<Item = &KeyRing> {
        self.rings.values()
    }

    /// Whether somebody who counts has boxed this version of a key for `to`, whose key is `public` now.
    /// A box cannot be looked into, so one of a thief's must not keep others from boxing.
    pub fn has_envelope(
        &self,
        (key_of, version): (KeyOf, u32),
        (to, public): (Recipient, &BoxPublic),
        counts: impl Fn(&NodeId) -> bool,
    ) -> bool {
        let hint = box_hint(public);
        let low = (key_of, version, to, hint, NodeId::from_bytes([0; 32]));
        let high = (key_of, version, to, hint, NodeId::from_bytes([0xff; 32]));
        self.envelopes.range(low..=high).any(|((.., origin), _)| counts(origin))
    }

    /// The nodes that a version of a key was boxed to, where it counts who wrote the box, and for whom.
    pub fn boxed_to(
        &self,
        key_of: KeyOf,
        version: u32,
        counts: impl Fn(&NodeId, &NodeId) -> bool,
    ) -> BTreeSet<NodeId> {
        let boxed =
            self.envelopes.keys().filter(|(of, of_version, ..)| (*of, *of_version) == (key_of, version));
        let nodes = boxed.filter_map(|(_, _, to, _, origin)| match to {
            Recipient::Node(node) => counts(origin, node).then_some(*node),
            Recipient::Recovery => None,
        });
        nodes.collect()
    }

    /// Whether a later key than this version was boxed for others, and for this reader none: it is not
    /// among those who are to have it. Who makes a key boxes it for itself last.
    pub(crate) fn is_left_out(&self, key_of: KeyOf, version: u32, counts: impl Fn(&NodeId) -> bool) -> bool {
        let later = self.envelopes.keys().filter(|(of, other, _, _, origin)| {
            *of == key_of && generation(*other) > generation(version) && counts(origin)
        });
        let mut is_said = false;
        for (_, _, to, _, origin) in later {
            if *to == self.me {
                return false;
            }
            is_said |= *to == Recipient::Node(*origin);
        }
        is_said
    }

    /// A clock reading at `now` or later that wins over what is known of these rows, though a node
    /// whose clock was ahead wrote them.
    pub fn reading_for(&self, rows: impl IntoIterator<Item = RowKey>, now: Hlc) -> Hlc {
        let known =
            rows.into_iter().filter_map(|key| self.rows.get(&key).map(|(hlc, ..)| hlc.tick(hlc.wall)));
        known.fold(now, Hlc::max)
    }

    /// The realm's name.
    pub fn realm_name(&self) -> Option<&str> {
        match self.row(RowKey::RealmName)? {
            DirectoryRow::RealmName(name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// A node's name.
    pub fn node_name(&self, node: NodeId) -> Option<&str> {
        match self.row(RowKey::NodeName(node))? {
            DirectoryRow::NodeName(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// A bucket's name.
    pub fn bucket_name(&self, bucket: BucketId) -> Option<&str> {
        match self.row(RowKey::BucketName(bucket))? {
            DirectoryRow::BucketName(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// A zone's name.
    pub fn zone_name(&self, zone: ZoneId) -> Option<&str> {
        match self.row(RowKey::ZoneName(zone))? {
            DirectoryRow::ZoneName(_, name) => name.as_ref().map(Name::as_str),
            _ => None,
        }
    }

    /// The zone of that name: the first, should several machines have named one at once.
    pub fn zone_named(&self, named: &str) -> Option<ZoneId> {
        self.rows.values().find_map(|(_, _, row)| match row {
            DirectoryRow::ZoneName(zone, Some(name)) if name.as_str() == named => Some(*zone),
            _ => None,
        })
    }

    /// The services that were named, as policies name them.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &str)> {
        self.rows.values().filter_map(|(_, _, row)| match row {
            DirectoryRow::ServiceName(service, Some(name)) => Some((*service, name.as_str())),
            _ => None,
        })
    }

    /// Where a node said it is, as text items.
    pub fn addresses(&self, node: NodeId) -> Option<Vec<&str>> {
        match self.row(RowKey::Addresses(node))? {
            DirectoryRow::Addresses(_, items) => {
                Some(items.iter().map(freehold_wire::Text::as_str).collect())
            }
            _ => None,
        }
    }

    /// What counts of those that are `gone`. Said in the order of dates, so that what one of them says
    /// of another after it was cut off itself does not count.
    pub fn cuts_of(&self, gone: impl Fn(&NodeId) -> bool) -> Cuts {
        let bucket = directory_bucket(self.realm);
        let mut cuts = Cuts::new();
        for ((_, origin), (seq, row)) in &self.said {
            match row {
                _ if is_cut_off(&cuts, &bucket, origin, *seq) => {}
                DirectoryRow::Cut(node, Some(last)) if gone(node) => {
                    cuts.insert(*node, last.iter().copied().collect());
                }
                DirectoryRow::Cut(node, None) => drop(cuts.remove(node)),
                _ => {}
            }
        }
        cuts
    }

    /// What counts of nodes whose rights were taken away, as it was said last.
    pub const fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// Says what counts from now on. If that is something else than before, no row holds any more,
    /// and every entry has to be absorbed again: what was hidden by a row that does not count shows.
    pub fn set_cuts(&mut self, cuts: Cuts) -> bool {
        if cuts == self.cuts {
            return false;
        }
        self.cuts = cuts;
        self.rows.clear();
        self.waiting.clear();
        true
    }

    /// The key that this reader opens boxes with.
    pub fn public(&self) -> BoxPublic {
        self.secret.public()
    }

    /// The key that a node opens boxes with, if that is not the one in the log.
    pub fn box_key(&self, node: NodeId) -> Option<BoxPublic> {
        match self.row(RowKey::BoxKey(node))? {
            DirectoryRow::BoxKey(_, public) => Some(*public),
            _ => None,
        }
    }

    /// Which nodes say that they have carried out an erasure.
    pub fn erased_by(&self, erasure: OpId) -> impl Iterator<Item = &Erased> {
        let none = RowKey::Erased(erasure, NodeId::from_bytes([0; 32]));
        let all = RowKey::Erased(erasure, NodeId::from_bytes([0xff; 32]));
        self.rows.range(none..=all).filter_map(|(_, (_, _, row))| match row {
            DirectoryRow::Erased(erased) => Some(erased),
            _ => None,
        })
    }

    fn row(&self, key: RowKey) -> Option<&DirectoryRow> {
        self.rows.get(&key).map(|(_, _, row)| row)
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("rows", &self.rows.len())
            .field("rings", &self.rings)
            .finish_non_exhaustive()
    }
}

/// Reads every directory entry that is here.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn read_directory(
    directory: &mut Directory,
    entries: &EntryStore,
    realm: RealmId,
) -> Result<(), StoreError> {
    entries.scan_bucket(&directory_bucket(realm), |row| {
        match (Entry::decode(&row.entry), row.payload) {
            (Ok(entry), Some(payload)) => {
                let from = From { origin: entry.origin, seq: entry.seq, hlc: entry.hlc };
                drop(directory.absorb(from, &payload));
            }
            (Ok(_), None) => {}
            (Err(error), _) => tracing::error!(seq = row.seq, %error, "a directory entry is unreadable"),
        }
        ControlFlow::Continue(())
    })
}

#[cfg(test)]
mod vouching;

#[cfg(test)]
mod tests {
    use freehold_crypt::{Entropy, Secret};
    use freehold_disk::OsEntropy;
    use freehold_seal::BucketKey;
    use freehold_wire::{Bounded, Millis};

    use super::*;

    fn trust<const N: usize>(ring: &KeyRing, keepers: [u8; N]) -> Trust {
        let root = ring.get(1).map(BucketKey::directory_root);
        let keepers = keepers.map(|n| NodeId::from_bytes([n; 32])).into();
        Trust { root, keepers, ..Trust::default() }
    }

    #[test]
    fn a_forged_first_key_is_refused_and_the_genuine_one_taken() {
        let mut entropy = OsEntropy;
        let realm = RealmId::from_bytes([1; 32]);
        let me = Recipient::Node(NodeId::from_bytes([3; 32]));
        let secret = entropy.secret();
        let mine = BoxSecret::from_seed(&secret).public();
        let [genuine, forged] = [(); 2].map(|()| {
            let ring = KeyRing::found_directory(realm, &BucketKey::random(&mut entropy), &mut OsEntropy);
            let envelope = ring.envelope(1, me, &mine, &mut entropy).unwrap();
            (ring, envelope.to_bytes())
        });
        let from = |origin, seq| From { origin: NodeId::from_bytes([origin; 32]), seq, hlc: Hlc::default() };
        let reader = || Directory::new(realm, me, BoxSecret::from_seed(&secret));

        let mut known = reader();
        known.set_trust(trust(&genuine.0, [2, 9]));
        assert_eq!(known.absorb(from(9, 1), &forged.1), []);
        assert_eq!(known.absorb(from(2, 1), &genuine.1), [Learned::Key(KeyOf::Directory)]);

        // The log comes last: until then nobody is believed.
        let mut later = reader();
        later.set_trust(Trust { root: None, ..trust(&genuine.0, [2, 9]) });
        assert_eq!(later.absorb(from(9, 1), &forged.1), []);
        assert_eq!(later.absorb(from(2, 1), &genuine.1), []);
        assert_eq!(later.set_trust(trust(&genuine.0, [2, 9])), [Learned::Key(KeyOf::Directory)]);
        for reader in [&known, &later] {
            assert!(reader.ring(KeyOf::Directory).unwrap().iter().eq(genuine.0.get(1)));
        }
    }

    #[test]
    fn rows_wait_for_the_key_and_the_newest_wins() {
        let mut entropy = OsEntropy;
        let realm = RealmId::from_bytes([1; 32]);
        let (a, b) = (NodeId::from_bytes([2; 32]), NodeId::from_bytes([3; 32]));
        let secret: Secret = entropy.secret();
        let ring = KeyRing::found_directory(realm, &BucketKey::random(&mut entropy), &mut OsEntropy);
        let mut reader = Directory::new(realm, Recipient::Node(b), BoxSecret::from_seed(&secret));
        let row = |name: &str| DirectoryRow::RealmName(Some(Name::new(name).unwrap()));
        let mut say = |reader: &mut Directory, seq, wall, name: &str| {
            let place = PayloadPlace { realm, bucket: directory_bucket(realm), origin: a, seq };
            let payload = row(name).seal(ring.current().unwrap(), &place, &mut entropy).unwrap();
            reader.absorb(From { origin: a, seq, hlc: Hlc { wall: Millis(wall), count: 0 } }, &payload)
        };
        reader.set_trust(trust(&ring, [2]));
        say(&mut reader, 1, 10, "newer");
        assert_eq!(reader.realm_name(), None);
        let mine = BoxSecret::from_seed(&secret).public();
        for (key, then) in ring.iter().zip([Learned::Nothing, Learned::Row(RowKey::RealmName)]) {
            let envelope = ring.envelope(key.version(), Recipient::Node(b), &mine, &mut OsEntropy).unwrap();
            let from = From { origin: a, seq: 2, hlc: Hlc::default() };
            let learned = reader.absorb(from, &envelope.to_bytes());
            assert_eq!(learned, [Learned::Key(KeyOf::Directory), then]);
        }
        assert_eq!(say(&mut reader, 3, 5, "older"), [Learned::Nothing]);
        assert_eq!(reader.realm_name(), Some("newer"));
    }

    #[test]
    fn an_envelope_that_does_not_open_does_not_shut_out_one_that_does() {
        let mut entropy = OsEntropy;
        let realm = RealmId::from_bytes([1; 32]);
        let me = Recipient::Node(NodeId::from_bytes([3; 32]));
        let (secret, other) = (entropy.secret(), BoxSecret::from_seed(&entropy.secret()));
        let (bucket, ring) = KeyRing::found_bucket(realm, &mut entropy);
        let mine = BoxSecret::from_seed(&secret).public();
        let mut reader = Directory::new(realm, me, BoxSecret::from_seed(&secret));
        reader.set_trust(trust(&ring, [2, 9]));
        let from = |origin, seq| From { origin: NodeId::from_bytes([origin; 32]), seq, hlc: Hlc::default() };
        let forged = ring.envelope(1, me, &other.public(), &mut entropy).unwrap();
        assert_eq!(reader.absorb(from(9, 1), &forged.to_bytes()), []);
        let genuine = ring.envelope(1, me, &mine, &mut entropy).unwrap();
        let learned = reader.absorb(from(2, 1), &genuine.to_bytes());
        assert_eq!(learned, [Learned::Key(KeyOf::Bucket(bucket))]);
    }

    #[test]
    fn a_box_for_a_key_that_was_renewed_is_none_for_the_new_one() {
        let mut entropy = OsEntropy;
        let realm = RealmId::from_bytes([1; 32]);
        let (keeper, other) = (NodeId::from_bytes([2; 32]), NodeId::from_bytes([9; 32]));
        let (bucket, ring) = KeyRing::found_bucket(realm, &mut entropy);
        let mut reader =
            Directory::new(realm, Recipient::Node(keeper), BoxSecret::from_seed(&entropy.secret()));
        reader.set_trust(trust(&ring, [2]));
        let of = KeyOf::Bucket(bucket);
        let [old, new] = [(); 2].map(|()| BoxSecret::from_seed(&OsEntropy.secret()).public());
        let has = |reader: &Directory, public: &BoxPublic| {
            let counts = |origin: &NodeId| *origin == keeper;
            reader.has_envelope((of, 1), (Recipient::Recovery, public), counts)
        };
        let mut say = |reader: &mut Directory, origin, seq, public: &BoxPublic| {
            let envelope = ring.envelope(1, Recipient::Recovery, public, &mut entropy).unwrap();
            reader.absorb(From { origin, seq, hlc: Hlc::default() }, &envelope.to_bytes());
        };
        say(&mut reader, keeper, 1, &old);
        assert!(has(&reader, &old) && !has(&reader, &new), "the guardians were replaced");
        say(&mut reader, other, 1, &new);
        assert!(!has(&reader, &new), "of somebody who may not box it");
        say(&mut reader, keeper, 2, &new);
        assert!(has(&reader, &old) && has(&reader, &new));

        let noise = ring.envelope(1, Recipient::Node(other), &old, &mut OsEntropy).unwrap();
        let from = From { origin: other, seq: 2, hlc: Hlc::default() };
        reader.absorb(from, &noise.to_bytes());
        assert_eq!(reader.boxed_to(of, 1, |by, _| *by == keeper), [].into(), "anybody can box noise");
        assert_eq!(reader.boxed_to(of, 1, |_, _| true), [other].into());
    }

    #[test]
    fn who_is_given_no_next_key_is_left_out() {
        let realm = RealmId::from_bytes([1; 32]);
        let [keeper, me, other] = [2, 3, 4].map(|n| NodeId::from_bytes([n; 32]));
        let seed = OsEntropy.secret();
        let public = BoxSecret::from_seed(&seed).public();
        let (bucket, mut ring) = KeyRing::found_bucket(realm, &mut OsEntropy);
        let of = KeyOf::Bucket(bucket);
        let mut reader = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&seed));
        reader.set_trust(trust(&ring, [2]));
        let mut seq = 0;
        let mut say = |reader: &mut Directory, by, ring: &KeyRing, to| {
            seq += 1;
            let version = ring.current().unwrap().version();
            let boxed = ring.envelope(version, Recipient::Node(to), &public, &mut OsEntropy).unwrap();
            reader.absorb(From { origin: by, seq, hlc: Hlc::default() }, &boxed.to_bytes());
        };
        let first = ring.current().unwrap().version();
        let is_out = |reader: &Directory| reader.is_left_out(of, first, |by| *by == keeper);
        say(&mut reader, keeper, &ring, me);
        assert!(!is_out(&reader), "there is no later one");
        ring.rotate(&mut OsEntropy).unwrap();
        say(&mut reader, other, &ring, other);
        assert!(!is_out(&reader), "anybody can box noise");
        say(&mut reader, keeper, &ring, other);
        assert!(!is_out(&reader), "not all that it boxed may have come");
        say(&mut reader, keeper, &ring, keeper);
        assert!(is_out(&reader));
        say(&mut reader, keeper, &ring, me);
        assert!(!is_out(&reader), "it was only on its way");
    }

    #[test]
    fn a_new_name_wins_over_one_that_a_fast_clock_gave() {
        let (keeper, realm) = (NodeId::from_bytes([2; 32]), RealmId::from_bytes([1; 32]));
        let ring = KeyRing::found_directory(realm, &BucketKey::random(&mut OsEntropy), &mut OsEntropy);
        let key = ring.current().unwrap().clone();
        let mut reader =
            Directory::new(realm, Recipient::Node(keeper), BoxSecret::from_seed(&OsEntropy.secret()));
        reader.set_trust(trust(&ring, [2]));
        reader.own(ring);
        let say = |reader: &mut Directory, seq, hlc, name: &str| {
            let row = DirectoryRow::RealmName(Some(Name::new(name).unwrap()));
            let place = PayloadPlace { realm, bucket: directory_bucket(realm), origin: keeper, seq };
            let payload = row.seal(&key, &place, &mut OsEntropy).unwrap();
            reader.absorb(From { origin: keeper, seq, hlc }, &payload)
        };
        let now = Hlc { wall: Millis(1000), count: 0 };
        say(&mut reader, 1, Hlc { wall: Millis(9_000_000), count: 3 }, "from the future");
        let reading = reader.reading_for([RowKey::RealmName], now);
        say(&mut reader, 2, reading, "smith");
        assert_eq!(reader.realm_name(), Some("smith"));
        assert_eq!(reader.reading_for([RowKey::NodeName(keeper)], now), now);
    }

    #[test]
    fn a_mere_store_names_nothing() {
        let realm = RealmId::from_bytes([1; 32]);
        let (keeper, store) = (NodeId::from_bytes([2; 32]), NodeId::from_bytes([3; 32]));
        let mut reader =
            Directory::new(realm, Recipient::Node(keeper), BoxSecret::from_seed(&OsEntropy.secret()));
        let ring = KeyRing::found_directory(realm, &BucketKey::random(&mut OsEntropy), &mut OsEntropy);
        let key = ring.current().unwrap().clone();
        reader.set_trust(trust(&ring, [2]));
        reader.own(ring);
        let mut say = |origin, row: DirectoryRow| {
            let place = PayloadPlace { realm, bucket: directory_bucket(realm), origin, seq: 1 };
            let payload = row.seal(&key, &place, &mut OsEntropy).unwrap();
            reader.absorb(From { origin, seq: 1, hlc: Hlc { wall: Millis(5), count: 0 } }, &payload)
        };
        let bucket = BucketId::from_bytes([9; 32]);
        let forged = DirectoryRow::BucketName(bucket, Some(Name::new("photos").unwrap()));
        assert_eq!(say(store, forged.clone()), [Learned::Nothing]);
        assert_eq!(say(keeper, forged), [Learned::Row(RowKey::BucketName(bucket))]);
        let own = DirectoryRow::NodeName(store, Some(Name::new("cellar").unwrap()));
        assert_eq!(say(store, own), [Learned::Row(RowKey::NodeName(store))]);
    }

    #[test]
    fn what_a_stolen_keeper_said_beyond_its_cut_names_nothing() {
        let realm = RealmId::from_bytes([1; 32]);
        let [admin, thief, other, me] = [2, 3, 4, 5].map(|n| NodeId::from_bytes([n; 32]));
        let ring = KeyRing::found_directory(realm, &BucketKey::random(&mut OsEntropy), &mut OsEntropy);
        let key = ring.current().unwrap().clone();
        let mut reader =
            Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&OsEntropy.secret()));
        reader.set_trust(trust(&ring, [2, 3, 4]));
        reader.own(ring);
        let bucket = BucketId::from_bytes([9; 32]);
        let name = |text: &str| DirectoryRow::BucketName(bucket, Some(Name::new(text).unwrap()));
        let of = directory_bucket(realm);
        let cut = |node, last| DirectoryRow::Cut(node, Some(Bounded::fill(&mut [(of, last)].into_iter())));
        let said = [
            (admin, 1, 10, name("photos")),
            (thief, 1, 20, name("pictures")),
            (thief, 2, 90, name("letters")),
            // It lifts its own cut through a second stolen machine, and says that more of that counts.
            (admin, 2, 30, cut(thief, 1)),
            (admin, 3, 31, cut(other, 0)),
            (thief, 3, 91, cut(other, 9)),
            (other, 1, 92, cut(thief, 9)),
        ];
        let read = |reader: &mut Directory| {
            for (origin, seq, wall, row) in &said {
                let place = PayloadPlace { realm, bucket: of, origin: *origin, seq: *seq };
                let payload = row.seal(&key, &place, &mut OsEntropy).unwrap();
                let hlc = Hlc { wall: Millis(*wall), count: 0 };
                reader.absorb(From { origin: *origin, seq: *seq, hlc }, &payload);
            }
        };
        read(&mut reader);
        assert_eq!(reader.bucket_name(bucket), Some("letters"), "the cut was not heard yet");
        let cuts = reader.cuts_of(|node| *node != admin);
        assert!(reader.set_cuts(cuts));
        read(&mut reader);
        assert_eq!(reader.bucket_name(bucket), Some("pictures"));
        let cuts = reader.cuts_of(|node| *node != admin);
        assert!(!reader.set_cuts(cuts), "it is stable");
        // Its rights are given back.
        let cuts = reader.cuts_of(|_| false);
        assert!(reader.set_cuts(cuts));
        read(&mut reader);
        assert_eq!(reader.bucket_name(bucket), Some("letters"));
    }
}

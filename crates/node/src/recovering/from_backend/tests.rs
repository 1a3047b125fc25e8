use freehold_backend::{Cutter, Head, Letter, Part, Sealed, Sum};
use freehold_crypt::{Algorithm, BoxSecret, Entropy as _, Secret};
use freehold_disk::{EntryRow, OsEntropy};
use freehold_placement::Entry;
use freehold_realm::body::{BucketErase, GuardianSet, NodeAdd};
use freehold_realm::{NodeRoles, OpSet, draft};
use freehold_seal::{DirectoryRow, Envelope, KeyOf, Recipient};
use freehold_wire::{Bounded, Digest, Hlc, NodeId, OpId, RealmId, to_canonical};

use super::journal::{judge, matured, stands, vouch};
use super::letters::{judge as judge_letter, newest};
use super::*;
use crate::directory::From;
use crate::founding::found;
use crate::identity::load_keys;
use crate::scribe::{Saying, Scribe};
use crate::vacant::Vacant;

const DAY: u64 = 24 * 3_600_000;

/// A realm of one machine with a backend, founded ten days ago.
struct Lone {
    folder: tempfile::TempDir,
    card: Card,
    phrases: Vec<Phrase>,
    ops: Vec<Op>,
    backend: SigningKey,
}

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([seed; 32]))
}

fn id(key: &SigningKey) -> NodeId {
    NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap())
}

impl Lone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("home"));
        let then = Millis(clock::wall().0 - 10 * DAY);
        let founding = found("smith", "laptop", then).unwrap();
        let card = Card { realm: founding.realm(), contacts: Bounded::new() };
        let phrases = founding.phrases().iter().take(2).map(|words| Phrase::parse(words).unwrap()).collect();
        let vacant = Vacant::take(&home).unwrap();
        founding.finish(&vacant, None, None).unwrap();
        drop(vacant);
        let rows = LogStore::open(&home.log()).unwrap().operations().unwrap();
        let ops: Vec<Op> = rows.iter().map(|row| Op::decode(&row.bytes).unwrap()).collect();
        let mut lone = Self { folder, card, phrases, ops, backend: signing(5) };
        let device = load_keys(&home).unwrap().device.unwrap();
        let box_key = BoxSecret::from_seed(&OsEntropy.secret()).public();
        let node = NodeAdd { node: lone.backend.verifying(), box_key, roles: NodeRoles::STORAGE };
        let (set, folded) = (lone.set(), lone.known().folded);
        let mut add = draft(&set, &folded.state, &device, node, then.plus(Millis(DAY))).unwrap();
        add.add_signature(&lone.backend);
        lone.ops.push(add);
        lone
    }

    fn set(&self) -> OpSet {
        let mut set = OpSet::new(self.card.realm);
        for op in &self.ops {
            set.insert(op.clone()).unwrap();
        }
        set
    }

    fn sum(&self, said: &BTreeSet<OpId>) -> Sum {
        let (mut sum, mut cutter) = (Sum::default(), Cutter::default());
        for op in &self.ops {
            assert!(cutter.op(op.id(), op.to_bytes()).is_none());
        }
        sum.add(&cutter.finish(said).to_bytes(), |_| true).unwrap();
        sum
    }

    fn known(&self) -> Known {
        judge(&self.sum(&BTreeSet::new()), self.card.realm).unwrap()
    }

    fn guardians(&self) -> GuardianSet {
        self.known().folded.state.guardians
    }

    fn head(&self, claim: u64, time: u64) -> Head {
        let last = Digest::from_bytes([4; 32]);
        Head { node: id(&self.backend), claim, time: Millis(time), base: 1, last }
    }

    fn inside(seed: u8, packs: u8, claim: u64) -> Inside {
        Inside {
            name: "offsite".to_owned(),
            node: Secret::from_bytes([seed; 32]),
            node_box: Secret::from_bytes([7; 32]),
            packs: Secret::from_bytes([packs; 32]),
            settings: Settings::new("https://one.example", "attic"),
            claim,
        }
    }

    /// A letter, as whoever has this node's key can write it.
    fn letter(&self, head: Head, seed: u8, packs: u8) -> Letter {
        let (guardians, inside) = (self.guardians(), Self::inside(seed, packs, head.claim));
        let listed = to_canonical(&guardians);
        let sealed =
            Sealed::write(self.card.realm, listed, &guardians.recovery, &inside, &mut OsEntropy).unwrap();
        sealed.sign(self.card.realm, head, 0, &signing(seed))
    }

    fn opened(&self, letter: Letter) -> Result<letters::Opened, Problem> {
        judge_letter(&self.card, &self.phrases, letter, "somewhere".to_owned())
    }
}

#[test]
fn the_log_says_which_node_and_which_guardians() {
    let lone = Lone::new();
    let (known, guardians) = (lone.known(), lone.guardians());
    assert!(known.missing.is_empty());
    vouch(&known, &lone.head(0, 1), &guardians).unwrap();
    // Somebody else's node, with a letter that opens.
    let stranger = Head { node: id(&signing(9)), ..lone.head(0, 1) };
    assert!(lone.opened(lone.letter(stranger, 9, 3)).is_ok());
    let refused = vouch(&known, &stranger, &guardians).unwrap_err();
    assert!(refused.why.contains("no node of the realm"), "{refused}");
    // A node of the realm that is no backend.
    let keys = load_keys(&Home::at(&lone.folder.path().join("home"))).unwrap();
    let laptop = Head { node: keys.node_id(), ..lone.head(0, 1) };
    assert!(vouch(&known, &laptop, &guardians).unwrap_err().why.contains("no backend"));
    // A log that ends before the backend came.
    let mut cut = Lone::new();
    cut.ops.pop();
    assert!(vouch(&cut.known(), &cut.head(0, 1), &cut.guardians()).is_err());
    // Guardians of the letter alone.
    let others = vouch(&known, &lone.head(0, 1), &cut.guardians()).unwrap_err();
    assert!(others.why.contains("other guardians"), "{others}");
    // Another realm's log, or none.
    assert!(judge(&cut.sum(&BTreeSet::new()), lone.card.realm).is_err());
}

#[test]
fn letters_are_signed_and_of_one_backend() {
    let lone = Lone::new();
    let good = |claim, time| lone.opened(lone.letter(lone.head(claim, time), 5, 3)).unwrap();
    assert_eq!(newest(vec![good(1, 9), good(2, 3), good(2, 2)]).unwrap().letter.head(), &lone.head(2, 3));
    // Signed by one, in the name of another.
    let forged = lone.letter(lone.head(1, 9), 9, 3);
    assert!(lone.opened(forged).err().unwrap().why.contains("not signed"));
    // Another node, or the same with other packs: people choose.
    let other = Head { node: id(&signing(9)), ..lone.head(7, 99) };
    let other = lone.opened(lone.letter(other, 9, 3)).unwrap();
    let refused = newest(vec![good(1, 9), other]).err().unwrap();
    assert!(refused.why.contains("different backends") && refused.why.contains("somewhere"), "{refused}");
    let packs = lone.opened(lone.letter(lone.head(2, 9), 5, 4)).unwrap();
    assert!(newest(vec![good(1, 9), packs]).is_err());
    // One moment, two histories.
    let fork = Head { last: Digest::from_bytes([8; 32]), ..lone.head(1, 9) };
    let fork = lone.opened(lone.letter(fork, 5, 3)).unwrap();
    assert!(newest(vec![good(1, 9), fork]).is_err());
}

#[test]
fn a_recovery_has_matured_only_if_its_date_allows() {
    let mut lone = Lone::new();
    let guardians: Vec<SigningKey> = lone.phrases.iter().map(Phrase::signing_key).collect();
    let now = clock::wall();
    let keys = FreshKeys::draw();
    let at = Millis(now.0 - 4 * DAY);
    let op = recovery_operation(&lone.set(), &lone.known().folded, &keys, &guardians, at).unwrap();
    let recovery = op.id();
    lone.ops.push(op);
    let set = lone.set();
    let said = BTreeSet::from([recovery, OpId::from_bytes([7; 32])]);
    assert_eq!(matured(&set, &BTreeSet::new(), now).0, BTreeSet::new());
    assert_eq!(matured(&set, &said, now).0, [recovery].into());
    let folded = matured(&set, &said, now).1;
    assert!(folded.state.device(&keys.device().verifying().id()).is_some());
    assert_eq!(matured(&set, &said, Millis(at.0 + 2 * DAY)).0, BTreeSet::new());
    assert_eq!(judge(&lone.sum(&said), lone.card.realm).unwrap().matured, [recovery].into());
}

/// The journal may be older than an erasure that it tells of: the boxes do not come back with it.
#[test]
fn no_key_of_an_erased_bucket_comes_back() {
    let mut lone = Lone::new();
    let (home, realm) = (Home::at(&lone.folder.path().join("home")), lone.card.realm);
    let boxed = |known: &Known| {
        let entries = EntryStore::open(&home.entries()).unwrap();
        let carried = journal::directory(&entries, realm, &known.folded).unwrap();
        let envelopes = carried.iter().filter_map(|one| Envelope::decode(&one.payload).ok());
        envelopes.filter(|envelope| matches!(envelope.key_of, KeyOf::Bucket(_))).count()
    };
    let known = lone.known();
    assert_eq!(boxed(&known), 4, "two keys, for the laptop and the guardians");
    let bucket = *known.folded.state.buckets.keys().next().unwrap();
    let device = load_keys(&home).unwrap().device.unwrap();
    let erase = draft(&lone.set(), &known.folded.state, &device, BucketErase { bucket }, clock::wall());
    lone.ops.push(erase.unwrap());
    assert_eq!(boxed(&lone.known()), 0);
    assert_eq!(boxed(&known), 0, "they are gone");
}

/// The node's box key was renewed after the letter was written: with the old one it reads the directory again.
#[test]
fn a_box_key_that_is_older_than_the_last_is_said_again() {
    let lone = Lone::new();
    let home = Home::at(&lone.folder.path().join("home"));
    let (realm, me) = (lone.card.realm, id(&lone.backend));
    let (old, new) = (BoxSecret::from_seed(&OsEntropy.secret()), BoxSecret::from_seed(&OsEntropy.secret()));
    let known = lone.known();
    let read = || {
        let entries = EntryStore::open(&home.entries()).unwrap();
        let carried = journal::directory(&entries, realm, &known.folded).unwrap();
        let recovery = recovery_secret(&lone.guardians(), &lone.phrases).unwrap();
        let trust = trust(&known.folded, &known.let_in);
        (read_directory(&lone.card, trust, &known.let_in, &carried, recovery).0, carried)
    };
    // Said by the backend itself, as its renewal does.
    let directory_key = read().0.ring(KeyOf::Directory).unwrap().current().cloned();
    let entries = Arc::new(EntryStore::open(&home.entries()).unwrap());
    let scribe = Scribe { realm, node: me, key: Arc::new(signing(5)), entries };
    let row = Saying::Row(DirectoryRow::BoxKey(me, new.public()));
    scribe.write(vec![row], directory_key, Hlc { wall: Millis(clock::wall().0 - DAY), count: 0 }).unwrap();
    drop(scribe);
    assert_eq!(read().0.box_key(me), Some(new.public()));

    let say = |secret: &BoxSecret| {
        let directory = read().0;
        let entries = EntryStore::open(&home.entries()).unwrap();
        boxes::say_again(entries, realm, &directory, signing(5), secret).unwrap()
    };
    assert!(!say(&new), "nothing to say");
    assert!(say(&old));
    assert!(!say(&old), "it was said");
    let (directory, carried) = read();
    assert_eq!(directory.box_key(me), Some(old.public()));
    // As the node reads it.
    let mut own = Directory::new(realm, Recipient::Node(me), old);
    own.set_trust(trust(&known.folded, &known.let_in));
    for one in &carried {
        let entry = Entry::decode(&one.entry).unwrap();
        drop(own.absorb(From { origin: entry.origin, seq: entry.seq, hlc: entry.hlc }, &one.payload));
    }
    assert!(own.ring(KeyOf::Directory).is_some_and(|ring| ring.current().is_some()));
    assert_eq!(own.realm_name(), Some("smith"));
}

#[test]
fn entries_stand_only_where_their_writer_put_them() {
    let lone = Lone::new();
    let entries = EntryStore::open(&Home::at(&lone.folder.path().join("home")).entries()).unwrap();
    let mut rows = Vec::new();
    entries
        .scan(|row| {
            rows.push(row);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let (realm, row) = (lone.card.realm, rows.first().unwrap().clone());
    assert!(rows.iter().all(|row| stands(realm, row)));
    assert!(stands(realm, &EntryRow { payload: None, ..row.clone() }), "it was erased");
    let mut altered = row.entry.clone();
    *altered.last_mut().unwrap() ^= 1;
    let wrong = [
        EntryRow { seq: row.seq + 1, ..row.clone() },
        EntryRow { origin: id(&signing(9)), ..row.clone() },
        EntryRow { bucket: freehold_wire::BucketId::from_bytes([9; 32]), ..row.clone() },
        EntryRow { payload: Some(b"another".to_vec()), ..row.clone() },
        EntryRow { entry: altered, ..row.clone() },
        EntryRow { entry: b"none".to_vec(), ..row.clone() },
    ];
    assert!(wrong.iter().all(|row| !stands(realm, row)));
    assert!(!stands(RealmId::from_bytes([1; 32]), &row));
    // Such a row is left out of what is kept.
    let (mut sum, mut cutter) = (Sum::default(), Cutter::default());
    cutter.entry(wrong.into_iter().nth(3).unwrap());
    let part = cutter.finish(&BTreeSet::new()).to_bytes();
    assert!(sum.add(&part, |row| stands(realm, row)).unwrap().is_empty());
    assert_eq!((sum.left_out(), sum.is_whole(&Part::hash(&part))), (1, true));
}

fn named(endpoint: &str, bucket: &str) -> (Settings, Credentials) {
    let key = format!("access_key_id = {bucket}\nsecret_access_key = s");
    (Settings::new(endpoint, bucket), Credentials::parse(&key).unwrap())
}

#[test]
fn stores_keep_their_order_however_they_are_named_and_one_may_be_lost() {
    let mut known = Settings::new("https://one.example", "attic");
    known.others =
        vec![Settings::new("https://two.example", "attic"), Settings::new("https://three.example", "shed")];
    (known.parity, known.capacity) = (1, Some(1 << 40));
    // The second has another name by now; the first is gone.
    let now = [(2, named("https://three.example", "shed")), (1, named("https://two.new.example", "attic"))];
    let (settings, credentials) = whereabouts(&known, now.into());
    let places: Vec<&str> = settings.stores().map(|store| store.endpoint.as_str()).collect();
    assert_eq!(places, ["https://one.example", "https://two.new.example", "https://three.example"]);
    assert_eq!((settings.parity, settings.capacity, settings.check().is_ok()), (1, Some(1 << 40), true));
    let keys: Vec<&str> = credentials.iter().map(|key| key.access_key_id.as_str()).collect();
    assert_eq!(keys, ["lost", "attic", "shed"]);
}

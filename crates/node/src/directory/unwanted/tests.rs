use freehold_crypt::{Algorithm, BoxPublic, BoxSecret, Entropy as _, Secret, SigningKey};
use freehold_disk::OsEntropy;
use freehold_seal::{BucketKey, DirectoryRow, Erased, KeyRing, PayloadPlace, seal_envelope};
use freehold_wire::{Hlc, Millis, OpId, RealmId};

use super::super::{From, Learned, Trust, directory_bucket};
use super::*;

fn trust(ring: &KeyRing, keeper: NodeId) -> Trust {
    let root = ring.get(1).map(BucketKey::directory_root);
    Trust { root, keepers: [keeper].into(), ..Trust::default() }
}

#[test]
fn a_reader_with_a_new_box_key_keeps_its_rings_and_takes_none_of_an_erased_bucket() {
    let mut entropy = OsEntropy;
    let realm = RealmId::from_bytes([1; 32]);
    let (keeper, me) = (NodeId::from_bytes([2; 32]), NodeId::from_bytes([3; 32]));
    let [old, new] = [(); 2].map(|()| OsEntropy.secret());
    let public = |seed: &Secret| BoxSecret::from_seed(seed).public();
    let [(bucket, ring), (other, rest)] = [(); 2].map(|()| KeyRing::found_bucket(realm, &mut entropy));
    let mut reader = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&old));
    let trusted = trust(&ring, keeper);
    reader.set_trust(trusted.clone());
    let mut seq = 0;
    let mut say = |reader: &mut Directory, ring: &KeyRing, public: &BoxPublic| {
        seq += 1;
        let envelope = ring.envelope(1, Recipient::Node(me), public, &mut OsEntropy).unwrap();
        reader.absorb(From { origin: keeper, seq, hlc: Hlc::default() }, &envelope.to_bytes())
    };
    for ring in [&ring, &rest] {
        say(&mut reader, ring, &public(&old));
    }
    assert_eq!(say(&mut reader, &ring, &public(&new)), [], "not yet its key");
    reader.set_secret(BoxSecret::from_seed(&new));
    assert!([bucket, other].iter().all(|of| reader.ring(KeyOf::Bucket(*of)).is_some()));

    reader.set_trust(Trust { erased: [bucket].into(), ..trusted });
    assert!(reader.ring(KeyOf::Bucket(bucket)).is_none() && reader.ring(KeyOf::Bucket(other)).is_some());
    assert_eq!(say(&mut reader, &ring, &public(&old)), [Learned::Unwanted]);
    assert_eq!(say(&mut reader, &ring, &public(&new)), [Learned::Unwanted]);
    assert!(reader.ring(KeyOf::Bucket(bucket)).is_none());
}

#[test]
fn a_box_of_an_erased_bucket_counts_only_with_a_key_of_it() {
    let realm = RealmId::from_bytes([1; 32]);
    let [keeper, store, me] = [2, 3, 4].map(|n| NodeId::from_bytes([n; 32]));
    let secret = OsEntropy.secret();
    let mine = BoxSecret::from_seed(&secret).public();
    let (bucket, mut ring) = KeyRing::found_bucket(realm, &mut OsEntropy);
    let next = ring.rotate(&mut OsEntropy).unwrap().version();
    let mut reader = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&secret));
    reader.set_trust(Trust { erased: [bucket].into(), ..trust(&ring, keeper) });
    let genuine = |version| ring.envelope(version, Recipient::Node(me), &mine, &mut OsEntropy).unwrap();
    let noise = BucketKey::random(&mut OsEntropy);
    let of = KeyOf::Bucket(bucket);
    let noise = seal_envelope(realm, of, &noise, None, Recipient::Node(me), &mine, &mut OsEntropy).unwrap();
    let mut altered = genuine(next);
    altered.sealed[40] ^= 1;
    let cases = [
        (keeper, genuine(next), 1, "a keeper's"),
        (keeper, altered, 0, "with the hint of its key, and it does not open"),
        (keeper, noise.clone(), 0, "not the first key"),
        (store, noise, 0, "anybody can box noise"),
        (store, genuine(next), 0, "nothing tells that this is one"),
        (store, genuine(1), 1, "this does, whoever has it"),
    ];
    for (seq, (origin, envelope, opened, why)) in (1..).zip(cases) {
        let from = From { origin, seq, hlc: Hlc::default() };
        assert_eq!(reader.absorb(from, &envelope.to_bytes()), [Learned::Unwanted]);
        assert_eq!(reader.unwanted(), Unwanted { boxes: 1, opened }, "{why}");
        // Nothing is lost that was not done.
        reader.settle_unwanted(Unwanted { boxes: 1, opened: 0 });
        assert_eq!(reader.unwanted(), Unwanted { boxes: 0, opened }, "{why}");
        reader.settle_unwanted(Unwanted { boxes: 0, opened });
        assert!(reader.ring(of).is_none());
    }
}

#[test]
fn keys_that_ended_are_not_taken_in_again_and_who_comes_later_needs_none_of_them() {
    let realm = RealmId::from_bytes([1; 32]);
    let [keeper, me] = [2, 3].map(|n| NodeId::from_bytes([n; 32]));
    let secret = OsEntropy.secret();
    let mine = BoxSecret::from_seed(&secret).public();
    let (bucket, mut ring) = KeyRing::found_bucket(realm, &mut OsEntropy);
    let (of, first) = (KeyOf::Bucket(bucket), ring.current().unwrap().version());
    let kept = ring.rotate(&mut OsEntropy).unwrap().version();
    let trusted = Trust { kept: [(bucket, kept)].into(), ..trust(&ring, keeper) };
    let read = |reader: &mut Directory, version| {
        let envelope = ring.envelope(version, Recipient::Node(me), &mine, &mut OsEntropy).unwrap();
        let from = From { origin: keeper, seq: version.into(), hlc: Hlc::default() };
        reader.absorb(from, &envelope.to_bytes())
    };
    let versions = |reader: &Directory| -> Vec<u32> {
        reader.ring(of).map(|ring| ring.iter().map(BucketKey::version).collect()).unwrap_or_default()
    };
    let mut holder = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&secret));
    holder.set_trust(trusted.clone());
    for version in [1, first, kept] {
        assert_eq!(read(&mut holder, version), [Learned::Key(of)]);
    }
    assert_eq!(versions(&holder), [1, first, kept], "what lives is still to be sealed anew");
    holder.end_keys(bucket, kept);
    assert_eq!((versions(&holder), holder.unwanted()), (vec![1, kept], Unwanted { boxes: 1, opened: 1 }));
    assert_eq!(read(&mut holder, first), [Learned::Unwanted]);

    let mut later = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&secret));
    later.set_trust(Trust { ended: [(bucket, kept)].into(), ..trusted });
    for version in [kept, 1, first] {
        read(&mut later, version);
    }
    assert_eq!(versions(&later), [1, kept]);
    assert_eq!(later.ring(of).and_then(KeyRing::current), ring.get(kept));
}

#[test]
fn a_nodes_word_on_an_erasure_needs_its_signature() {
    let realm = RealmId::from_bytes([1; 32]);
    let key = SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret());
    let me = NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap());
    let ring = KeyRing::found_directory(realm, &BucketKey::random(&mut OsEntropy), &mut OsEntropy);
    let sealing = ring.current().unwrap().clone();
    let mut reader = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&OsEntropy.secret()));
    reader.set_trust(trust(&ring, me));
    reader.own(ring);
    let erasure = OpId::from_bytes([5; 32]);
    let genuine = Erased::sign(realm, me, erasure, Millis(7), &key);
    for (seq, said, counts) in [(1, Erased { at: Millis(8), ..genuine }, 0), (2, genuine, 1)] {
        let place = PayloadPlace { realm, bucket: directory_bucket(realm), origin: me, seq };
        let payload = DirectoryRow::Erased(said).seal(&sealing, &place, &mut OsEntropy).unwrap();
        reader.absorb(From { origin: me, seq, hlc: Hlc { wall: Millis(9 - seq), count: 0 } }, &payload);
        assert_eq!(reader.erased_by(erasure).count(), counts);
    }
}

#[test]
fn a_key_that_comes_while_the_box_key_is_renewed_is_not_lost() {
    let realm = RealmId::from_bytes([1; 32]);
    let [keeper, me] = [2, 3].map(|n| NodeId::from_bytes([n; 32]));
    let [old, new] = [(); 2].map(|()| OsEntropy.secret());
    let public = BoxSecret::from_seed(&old).public();
    let rings = [(); 2].map(|()| KeyRing::found_bucket(realm, &mut OsEntropy).1);
    let mut reader = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&old));
    reader.set_trust(trust(&rings[0], keeper));
    let all = |reader: &Directory| -> BTreeSet<(KeyOf, u32)> {
        reader.rings().flat_map(|ring| ring.iter().map(|key| (ring.of(), key.version()))).collect()
    };
    let mut boxed = BTreeSet::new();
    for (seq, ring) in (1..).zip(&rings) {
        boxed = all(&reader);
        let envelope = ring.envelope(1, Recipient::Node(me), &public, &mut OsEntropy).unwrap();
        reader.absorb(From { origin: keeper, seq, hlc: Hlc::default() }, &envelope.to_bytes());
    }
    let settle = || Ok::<_, ()>(Some(BoxSecret::from_seed(&new)));
    let lacking = reader.change_secret(&boxed, settle).unwrap();
    assert_eq!(lacking.iter().map(KeyRing::of).collect::<Vec<_>>(), [rings[1].of()]);
    assert_eq!(reader.public(), public, "the present key stays until the other one is boxed as well");
    assert!(reader.change_secret(&all(&reader), settle).unwrap().is_empty());
    assert_ne!(reader.public(), public);
}

//! Whose keys of a private bucket are sealed with.

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_seal::BucketKey;

use super::*;

#[test]
fn who_left_a_private_bucket_makes_no_key_that_others_seal_with() {
    let mut entropy = OsEntropy;
    let realm = RealmId::from_bytes([1; 32]);
    let [maker, left, me] = [2, 3, 4].map(|n| NodeId::from_bytes([n; 32]));
    let secret = entropy.secret();
    let mine = BoxSecret::from_seed(&secret).public();
    let (bucket, made) = KeyRing::found_private(realm, &mut entropy);
    let of = KeyOf::Bucket(bucket);
    let mut rogue = made.clone();
    // However many.
    let later: Vec<u32> = (0..9).map(|_| rogue.rotate(&mut entropy).unwrap().version()).collect();
    let founded: Vec<u32> = made.iter().map(BucketKey::version).collect();
    let boxed =
        |ring: &KeyRing, version| ring.envelope(version, Recipient::Node(me), &mine, &mut OsEntropy).unwrap();
    let mut said: Vec<_> = founded.iter().map(|version| (maker, boxed(&made, *version))).collect();
    said.extend(later.iter().map(|version| (left, boxed(&rogue, *version))));
    let read = |said: &[(NodeId, Envelope)]| {
        let mut reader = Directory::new(realm, Recipient::Node(me), BoxSecret::from_seed(&secret));
        for (seq, (origin, envelope)) in (1..).zip(said) {
            reader.absorb(From { origin: *origin, seq, hlc: Hlc::default() }, &envelope.to_bytes());
        }
        reader
    };
    let generation = |reader: &Directory| reader.ring(of).unwrap().current().map(BucketKey::generation);
    let mut reader = read(&said);
    assert_eq!(generation(&reader), None, "it was not read yet who holds the bucket's key");
    assert!(reader.set_writers(bucket, [maker, me].into()));
    assert_eq!(generation(&reader), Some(1));
    assert_eq!(reader.ring(of).unwrap().iter().count(), 11, "they open");
    // After a restart, with the box that this node made for itself.
    said.extend(founded.iter().map(|version| (me, boxed(reader.ring(of).unwrap(), *version))));
    let mut reader = read(&said);
    assert_eq!(generation(&reader), Some(1));
    // The next one of the maker.
    let mut made = made;
    let next = made.rotate(&mut OsEntropy).unwrap().version();
    let next = boxed(&made, next);
    reader.set_writers(bucket, [maker, me].into());
    reader.absorb(From { origin: maker, seq: 99, hlc: Hlc::default() }, &next.to_bytes());
    assert_eq!(generation(&reader), Some(2));
    assert_eq!(reader.ring(of).unwrap().current(), made.current());
}

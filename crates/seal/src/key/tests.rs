use super::*;
use crate::fixture::{self, NODE, REALM, Seeded};

fn box_secret(n: u8) -> BoxSecret {
    BoxSecret::from_seed(&Secret::from_bytes([n; 32]))
}

fn directory(entropy: &mut Seeded) -> KeyRing {
    let root = BucketKey::random(entropy);
    KeyRing::found_directory(REALM, &root, entropy)
}

const ME: Recipient = Recipient::Node(NODE);

#[test]
fn a_wrapped_key_unwraps_for_its_object_only() {
    let mut entropy = Seeded::new(1);
    let (bucket, object) = (fixture::bucket_key(), fixture::object_key());
    let binding = fixture::binding();
    let wrapped = bucket.wrap(&binding, &object, &mut entropy);
    assert_eq!(bucket.unwrap(&binding, &wrapped), Ok(object));
    let other = Binding::new(REALM, fixture::BUCKET, "photos/2026/other.jpg", fixture::VERSION);
    assert_eq!(bucket.unwrap(&other, &wrapped), Err(WrapError));
    let next = BucketKey::from_secret(2, bucket.secret().clone());
    assert_eq!(next.unwrap(&binding, &wrapped), Err(WrapError));
    assert_eq!(BucketKey::random(&mut entropy).unwrap(&binding, &wrapped), Err(WrapError));
}

#[test]
fn a_ring_is_handed_on_version_by_version() {
    let mut entropy = Seeded::new(1);
    let (bucket, mut ring) = KeyRing::found_bucket(REALM, &mut entropy);
    ring.rotate(&mut entropy).unwrap();
    ring.rotate(&mut entropy).unwrap();
    let mine = box_secret(1);
    let versions: Vec<u32> = ring.iter().map(BucketKey::version).collect();
    assert_eq!(versions.iter().map(|version| generation(*version)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let envelopes: Vec<_> =
        versions.iter().map(|v| ring.envelope(*v, ME, &mine.public(), &mut entropy).unwrap()).collect();
    let mut got = KeyRing::of_bucket(REALM, bucket);
    assert_eq!(got.admit(&envelopes[1], ME, &mine), Err(KeyRingError::Missing(versions[1])));
    for envelope in &envelopes {
        assert_eq!(got.admit(envelope, ME, &mine), Ok(true));
        assert_eq!(got.admit(envelope, ME, &mine), Ok(false));
    }
    assert!(got.iter().eq(ring.iter()));
    assert_eq!(got.current().map(BucketKey::generation), Some(3));
    assert!(!got.is_private());
    assert_eq!(ring.envelope(4, ME, &mine.public(), &mut entropy), Err(KeyRingError::Missing(4)));
}

#[test]
fn a_node_without_the_key_cannot_pass_off_its_own() {
    let mut entropy = Seeded::new(1);
    let mine = box_secret(1);
    let (bucket, mut ring) = KeyRing::found_bucket(REALM, &mut entropy);
    let of = KeyOf::Bucket(bucket);
    // As the first version.
    let own = BucketKey::random(&mut entropy);
    let forged = envelope::seal_envelope(REALM, of, &own, None, ME, &mine.public(), &mut entropy).unwrap();
    assert_eq!(KeyRing::of_bucket(REALM, bucket).admit(&forged, ME, &mine), Err(KeyRingError::NotTheFirst));
    // As the next one, with no proof or a made-up one, or in the place of the one that is there.
    let (before, link) = (ring.current().cloned(), Some(Digest::from_bytes([7; 32])));
    for (version, link) in [(1 << 16, None), (1 << 16, link), (2, link)] {
        let own = BucketKey::from_secret(version, own.secret().clone());
        let forged =
            envelope::seal_envelope(REALM, of, &own, link, ME, &mine.public(), &mut entropy).unwrap();
        assert_eq!(ring.admit(&forged, ME, &mine), Err(KeyRingError::NoSuccessor(version)));
    }
    // As a first version with a proof that none has.
    let first =
        envelope::seal_envelope(REALM, of, ring.get(1).unwrap(), link, ME, &mine.public(), &mut entropy);
    assert_eq!(
        KeyRing::of_bucket(REALM, bucket).admit(&first.unwrap(), ME, &mine),
        Err(KeyRingError::NoSuccessor(1))
    );
    assert_eq!(ring.current(), before.as_ref());
}

#[test]
fn a_key_that_leaps_over_generations_is_refused() {
    let mut entropy = Seeded::new(1);
    let mine = box_secret(1);
    let (bucket, mut ring) = KeyRing::found_private(REALM, &mut entropy);
    let (of, first) = (KeyOf::Bucket(bucket), ring.get(1).unwrap().clone());
    for (version, refused) in [(0xffff << 16, true), (3 << 16, true), (2 << 16 | 7, false)] {
        let key = BucketKey::from_secret(version, entropy.secret());
        let link = Some(first.link(REALM, of, &key));
        let envelope =
            envelope::seal_envelope(REALM, of, &key, link, ME, &mine.public(), &mut entropy).unwrap();
        let wanted = if refused { Err(KeyRingError::Missing(version)) } else { Ok(true) };
        assert_eq!(ring.admit(&envelope, ME, &mine), wanted);
    }
}

#[test]
fn a_private_buckets_key_that_nobody_vouches_for_opens_and_seals_not() {
    let mut entropy = Seeded::new(1);
    let mine = box_secret(1);
    let (bucket, mut made) = KeyRing::found_private(REALM, &mut entropy);
    let mut rogue = made.clone();
    let of = KeyOf::Bucket(bucket);
    let founded = made.current().unwrap().version();
    let genuine = made.rotate(&mut entropy).unwrap().clone();
    // Even of the same version, which shows in the boxes for others.
    let key = BucketKey::from_secret(genuine.version(), entropy.secret());
    let link = Some(rogue.get(1).unwrap().link(REALM, of, &key));
    let squats = envelope::seal_envelope(REALM, of, &key, link, ME, &mine.public(), &mut entropy).unwrap();
    let later = rogue.rotate(&mut entropy).unwrap().version();
    let later = rogue.envelope(later, ME, &mine.public(), &mut entropy).unwrap();
    let boxed = |ring: &KeyRing, version, entropy: &mut Seeded| {
        ring.envelope(version, ME, &mine.public(), entropy).unwrap()
    };
    let [root, first, next] =
        [1, founded, genuine.version()].map(|version| boxed(&made, version, &mut entropy));

    let mut got = KeyRing::of_bucket(REALM, bucket);
    for envelope in [&root, &first] {
        assert_eq!(got.admit(envelope, ME, &mine), Ok(true));
        assert_eq!(got.current(), None, "not even the first: there may be a next one");
    }
    for envelope in [&root, &first] {
        assert_eq!(got.admit_vouched(envelope, ME, &mine), Ok(true));
    }
    for envelope in [&squats, &later] {
        assert_eq!(got.admit(envelope, ME, &mine), Ok(true));
        assert_eq!(got.current().map(BucketKey::version), Some(founded));
    }
    assert_eq!(got.admit_vouched(&next, ME, &mine), Ok(true));
    assert_eq!(got.current(), Some(&genuine));
    assert_eq!(got.get(genuine.version()), Some(&genuine));
    assert_eq!(got.admit_vouched(&squats, ME, &mine), Err(KeyRingError::Conflict(genuine.version())));
    assert_eq!(got.admit_vouched(&next, ME, &mine), Ok(false));
    assert_eq!(got.rotate(&mut entropy).map(BucketKey::generation), Some(3));
}

#[test]
fn a_forged_first_key_of_the_directory_is_refused() {
    let mut entropy = Seeded::new(1);
    let mine = box_secret(1);
    let genuine = directory(&mut entropy);
    let root = genuine.get(1).unwrap().directory_root();
    let mut ring = KeyRing::of_directory(REALM, root);
    let forged = directory(&mut entropy);
    let forged = forged.envelope(1, ME, &mine.public(), &mut entropy).unwrap();
    assert_eq!(ring.admit(&forged, ME, &mine), Err(KeyRingError::NotTheFirst));
    let envelope = genuine.envelope(1, ME, &mine.public(), &mut entropy).unwrap();
    assert_eq!(ring.admit(&envelope, ME, &mine), Ok(true));
    assert_eq!(ring.get(1), genuine.get(1));
    // What vouches for a bucket vouches for no directory.
    let (bucket, ring) = KeyRing::found_bucket(REALM, &mut entropy);
    assert_ne!(ring.get(1).unwrap().directory_root().as_bytes(), bucket.as_bytes());
}

#[test]
fn a_proof_does_not_serve_for_another_realm_bucket_or_version() {
    let mut entropy = Seeded::new(1);
    let (bucket, mut ring) = KeyRing::found_bucket(REALM, &mut entropy);
    let (first, next) = (ring.get(1).unwrap().clone(), ring.rotate(&mut entropy).unwrap().clone());
    let of = KeyOf::Bucket(bucket);
    let link = first.link(REALM, of, &next);
    assert_ne!(link, first.link(RealmId::from_bytes([9; 32]), of, &next));
    assert_ne!(link, first.link(REALM, KeyOf::Directory, &next));
    assert_ne!(link, first.link(REALM, of, &BucketKey::from_secret(3, next.secret().clone())));
    assert_ne!(link, next.link(REALM, of, &first));
}

#[test]
fn nodes_that_rotate_apart_come_to_seal_with_one_key() {
    let mut entropy = Seeded::new(1);
    let (_, ring) = KeyRing::found_bucket(REALM, &mut entropy);
    let mine = box_secret(1);
    let mut apart = [ring.clone(), ring];
    let made = apart.each_mut().map(|ring| {
        let version = ring.rotate(&mut entropy).unwrap().version();
        ring.envelope(version, ME, &mine.public(), &mut entropy).unwrap()
    });
    let [left, right] = &mut apart;
    assert_eq!(left.admit(&made[1], ME, &mine), Ok(true));
    assert_eq!(right.admit(&made[0], ME, &mine), Ok(true));
    assert!(left.iter().eq(right.iter()));
    assert_eq!(left.iter().count(), 4);
    assert_eq!(left.current().unwrap().generation(), 2);
    // Whoever rotates then follows the one that all seal with.
    assert_eq!(left.rotate(&mut entropy).unwrap().generation(), 3);
}

#[test]
fn a_private_buckets_id_says_that_it_is() {
    let mut entropy = Seeded::new(1);
    let (bucket, ring) = KeyRing::found_private(REALM, &mut entropy);
    assert!(ring.is_private());
    assert_ne!(ring.get(1).unwrap().bucket(), bucket);
    let mine = box_secret(1);
    let envelope = ring.envelope(1, ME, &mine.public(), &mut entropy).unwrap();
    let mut got = KeyRing::of_bucket(REALM, bucket);
    assert!(got.is_private(), "as long as it is not known otherwise");
    assert_eq!(got.admit(&envelope, ME, &mine), Ok(true));
    assert!(got.is_private());
}

#[test]
fn two_keys_of_one_version_are_a_conflict() {
    let mut entropy = Seeded::new(1);
    let (_, mut bucket) = KeyRing::found_bucket(REALM, &mut entropy);
    let mut ring = directory(&mut entropy);
    let mine = box_secret(1);
    let first = ring.get(1).unwrap().clone();
    let version = ring.rotate(&mut entropy).unwrap().version();
    let other = BucketKey::from_secret(version, entropy.secret());
    let link = first.link(REALM, KeyOf::Directory, &other);
    let boxed = envelope::seal_envelope(
        REALM,
        KeyOf::Directory,
        &other,
        Some(link),
        ME,
        &mine.public(),
        &mut entropy,
    );
    assert_eq!(ring.admit(&boxed.unwrap(), ME, &mine), Err(KeyRingError::Conflict(version)));
    let directory = ring.envelope(1, ME, &mine.public(), &mut entropy).unwrap();
    assert!(matches!(bucket.admit(&directory, ME, &mine), Err(KeyRingError::OtherRing { .. })));
}

#[test]
fn nothing_secret_is_printed() {
    let mut entropy = Seeded::new(1);
    let (_, ring) = KeyRing::found_bucket(REALM, &mut entropy);
    let shown = format!("{ring:?} {:?} {:?}", ring.current(), ObjectKey::random(&mut entropy));
    assert!(!shown.contains(&hex::encode(ring.current().unwrap().secret().expose())[..8]), "{shown}");
}

#[test]
fn earlier_keys_end_and_the_rest_is_believed_without_them() {
    let mut entropy = Seeded::new(1);
    let mine = box_secret(1);
    let (bucket, mut ring) = KeyRing::found_bucket(REALM, &mut entropy);
    let first = ring.current().unwrap().version();
    let apart = ring.clone().rotate(&mut entropy).unwrap().version();
    let kept = ring.rotate(&mut entropy).unwrap().version();
    let boxed = |ring: &KeyRing, version, entropy: &mut Seeded| {
        ring.envelope(version, ME, &mine.public(), entropy).unwrap()
    };
    assert!([first, apart].iter().all(|version| ends_before(*version, kept)), "one that was made apart too");
    assert!(![1, kept, kept + (1 << 16)].iter().any(|version| ends_before(*version, kept)));

    // Not as long as the one is unknown that stays.
    let mut holder = KeyRing::of_bucket(REALM, bucket);
    holder.keep(kept);
    for version in [1, first] {
        assert_eq!(holder.admit(&boxed(&ring, version, &mut entropy), ME, &mine), Ok(true));
    }
    assert!(!holder.is_ending(first));
    assert_eq!(holder.current(), ring.get(first));
    assert_eq!(holder.admit(&boxed(&ring, kept, &mut entropy), ME, &mine), Ok(true));
    assert!(holder.is_ending(first) && !holder.is_ending(kept) && !holder.is_ending(1));
    assert_eq!(holder.current(), ring.get(kept));
    assert!(holder.get(first).is_some(), "it opens until it is forgotten");
    holder.forget_before(kept);
    assert_eq!(holder.iter().map(BucketKey::version).collect::<Vec<_>>(), [1, kept]);

    // Who comes later, and what follows.
    let next = holder.rotate(&mut entropy).unwrap().version();
    assert_eq!(generation(next), 3);
    let mut later = KeyRing::of_bucket(REALM, bucket);
    later.keep(kept);
    for version in [1, kept, next] {
        assert_eq!(later.admit(&boxed(&holder, version, &mut entropy), ME, &mine), Ok(true));
    }
    assert_eq!(later.current(), holder.get(next));
}

#[test]
fn no_log_ends_the_keys_of_a_private_bucket() {
    let mut entropy = Seeded::new(1);
    let (_, mut ring) = KeyRing::found_private(REALM, &mut entropy);
    let first = ring.current().unwrap().version();
    let kept = ring.rotate(&mut entropy).unwrap().version();
    ring.keep(kept);
    ring.forget_before(kept);
    assert!(!ring.is_ending(first) && ring.get(first).is_some());
}

#[test]
fn what_stays_by_a_later_word_is_not_forgotten_and_another_takes_the_place_of_one_that_never_came() {
    let mut entropy = Seeded::new(1);
    let (_, mut ring) = KeyRing::found_bucket(REALM, &mut entropy);
    let [one, two] = [(); 2].map(|()| ring.rotate(&mut entropy).unwrap().version());
    // The first erasure is carried out, the second is not: what it has to seal anew needs this key.
    ring.keep(two);
    ring.forget_before(one);
    assert_eq!(ring.iter().map(BucketKey::version).collect::<Vec<_>>(), [1, one, two]);
    // Said apart of one generation: the higher one stays, whichever was carried out.
    let mut apart = ring.clone();
    apart.keep(two);
    apart.forget_before(two ^ 1);
    assert_eq!(apart.iter().map(BucketKey::version).collect::<Vec<_>>(), [1, two]);

    let lost = 9 << 16;
    ring.keep(lost);
    assert_eq!(ring.current().map(BucketKey::version), Some(two), "nothing ends as long as it is not known");
    let next = ring.rotate(&mut entropy).unwrap();
    assert_eq!(next.generation(), 10);
}

//! Makes the vectors.

use data_encoding::BASE64;
use freehold_crypt::{BoxSecret, Entropy, Secret, SigningKey, hash};
use freehold_seal::{
    Amendment, Annotation, Aspect, Binding, Blinding, BlobSealer, BucketKey, Checksum, ChecksumAlgorithm,
    Content, DirectoryRow, Document, Envelope, Erased, FilterGroup, FilterHours, FilterList, FilterMember,
    FilterRow, GrantContact, Holder, HolderRow, Holders, KeyOf, KeyRing, Kind, KnownGrant, Manifest,
    ManifestPart, ObjectKey, PartSums, PayloadPlace, PhoneDoor, Proof, PublicAuthority, Published, Ready,
    Recipient, Release, Released, Resealed, Right, Setting, SettingRow, Stored, Target, TlsEnds, VersionId,
    ZoneServer, blob_list_digest, seal_payload,
};
use freehold_wire::{
    BlobName, Bounded, BucketId, Digest, GrantId, Hlc, Millis, Name, NodeId, OpId, PersonId, PhoneId,
    RealmId, RuleId, ServiceId, Text, ZoneId, to_canonical,
};
use serde_json::{Value, json};

const CHUNK: usize = 65_536;
const SEALED: usize = CHUNK + 16;

/// Random bytes that follow from a seed.
struct Seeded(u64, u64);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for block in out.chunks_mut(32) {
            let input = [self.0.to_be_bytes(), self.1.to_be_bytes()].concat();
            block.copy_from_slice(&hash::digest("freehold 2026 test entropy", &input)[..block.len()]);
            self.1 += 1;
        }
    }
}

const REALM: RealmId = RealmId::from_bytes([0x11; 32]);
const BUCKET: BucketId = BucketId::from_bytes([0x22; 32]);
const NODE: NodeId = NodeId::from_bytes([0x33; 32]);
const VERSION: VersionId = VersionId::from_bytes([0x44; 16]);
const NAME: &str = "photos/2026/Übersee.jpg";

fn binding() -> Binding {
    Binding::new(REALM, BUCKET, NAME, VERSION)
}

fn object_key() -> Secret {
    Secret::from_bytes([0x55; 32])
}

fn bucket_key(version: u32) -> BucketKey {
    BucketKey::from_secret(version, Secret::from_bytes([0x66; 32]))
}

fn text<const N: usize>(s: &str) -> Text<N> {
    Text::new(s).unwrap()
}

/// The byte at `i` of every plaintext.
pub(crate) fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31 + i / 256) % 256).unwrap()).collect()
}

fn blob(name: &str, len: usize, part: u16, seed: u64, whole: bool) -> Value {
    let mut sealer =
        BlobSealer::new(&ObjectKey::from_secret(object_key()), &binding(), part, &mut Seeded(seed, 0));
    let mut out = Vec::new();
    sealer.push(&plain(len), &mut out).unwrap();
    let done = sealer.finish(&mut out);
    let mut vector = json!({
        "name": name, "part": part, "plain_len": len, "blob": done.name.to_string(),
        "cipher_len": done.cipher_len, "hash": done.hash.to_string(),
    });
    if whole {
        vector["cipher"] = BASE64.encode(&out).into();
    }
    vector
}

pub(crate) fn blobs() -> Value {
    let attack =
        |name: &str, edits: Value, with: Value| json!({ "name": name, "edits": edits, "with": with });
    let (zero, one) = (80, 80 + SEALED);
    json!({
        "what": "sealed blobs; the byte at i of each plaintext is (31 i + floor(i / 256)) mod 256; attacks are made on 'three chunks'",
        "realm": REALM.to_string(), "bucket": BUCKET.to_string(), "object_name": NAME,
        "version": VERSION.to_string(), "object_key": hex::encode(object_key().expose()),
        "opens": [
            blob("empty", 0, 1, 1, true), blob("short", 13, 1, 2, true),
            blob("exactly one chunk", CHUNK, 1, 3, false), blob("three chunks", 2 * CHUNK + 100, 7, 4, true),
        ],
        "refused": [
            attack("a flipped bit in a chunk", json!([["flip", 100, 1]]), json!({})),
            attack("a flipped bit in the last tag", json!([["flip", 80 + 2 * SEALED + 115, 128]]), json!({})),
            attack("two chunks swapped", json!([["swap", zero, one, SEALED]]), json!({})),
            attack("a chunk repeated", json!([["copy", zero, one, SEALED]]), json!({})),
            attack("a chunk left out", json!([["drop", zero, SEALED]]), json!({})),
            attack("cut at a chunk's edge", json!([["cut", 80 + 2 * SEALED]]), json!({})),
            attack("cut at a chunk's edge, and the length with it", json!([["cut", 80 + 2 * SEALED]]), json!({ "plain_len": 2 * CHUNK })),
            attack("cut to the header", json!([["cut", 80]]), json!({ "plain_len": 0 })),
            attack("moved to another object", json!([]), json!({ "object_name": "photos/2026/other.jpg" })),
            attack("moved to another version", json!([]), json!({ "version": "45".repeat(16) })),
            attack("moved to another part", json!([]), json!({ "part": 8 })),
            attack("moved to another bucket", json!([]), json!({ "bucket": "23".repeat(32) })),
            attack("moved to another realm", json!([]), json!({ "realm": "12".repeat(32) })),
            attack("wrong commitment", json!([["flip", 48, 1]]), json!({})),
            attack("served under another name", json!([]), json!({ "blob": "77".repeat(32) })),
            attack("an algorithm that does not exist", json!([["flip", 9, 2]]), json!({})),
        ],
    })
}

fn manifest(stored: Option<Stored>) -> Manifest {
    Manifest {
        name: text(NAME),
        version: VERSION,
        modified: Millis(1_795_000_000_000),
        stored: stored.map(Box::new),
        kind: None,
    }
}

fn stored() -> Stored {
    let blob = |n: u8| (BlobName::from_bytes([n; 32]), 65_536 + 96, Digest::from_bytes([n + 1; 32]));
    let blobs = [blob(0x80), blob(0x90)];
    let part = |number| ManifestPart { number, plain_len: 65_536 };
    Stored {
        size: 131_072,
        etag: text("9e107d9d372bb6826bd81d3542a419d6-2"),
        content_type: Some(text("image/jpeg")),
        headers: Bounded::from_vec(vec![(text("cache-control"), text("max-age=60"))]).unwrap(),
        metadata: Bounded::from_vec(vec![(text("camera"), text("Zenit"))]).unwrap(),
        checksums: Bounded::from_vec(vec![Checksum {
            algorithm: ChecksumAlgorithm::Crc32c,
            value: text("yZRlqg==-2"),
        }])
        .unwrap(),
        parts: Bounded::from_vec(vec![part(1), part(2)]).unwrap(),
        blobs: blob_list_digest(blobs.iter().map(|(name, len, hash)| (name, *len, hash))),
        key: bucket_key(1).wrap(&binding(), &ObjectKey::from_secret(object_key()), &mut Seeded(20, 0)),
        annotations: Bounded::from_vec(vec![Annotation {
            aspect: Aspect::Tags,
            document: document(b"kind=photo&year=2026"),
        }])
        .unwrap(),
        part_sums: None,
    }
}

fn summed() -> Stored {
    Stored { part_sums: PartSums::of(ChecksumAlgorithm::Crc32c, [[0xc9; 4], [0x94; 4]]), ..stored() }
}

fn document(bytes: &[u8]) -> Document {
    Document::new(bytes.to_vec()).unwrap()
}

/// What came with versions: a kept write, a marker, a removal, what is said later.
fn later() -> [(&'static str, u8, Vec<u8>); 10] {
    let amendment = |target, aspect, bytes: Option<&[u8]>| {
        to_canonical(&Amendment { name: text(NAME), target, aspect, document: bytes.map(document) })
    };
    let of = |kind, stored| to_canonical(&Manifest { kind: Some(kind), ..manifest(stored) });
    let null = Target::Null(Hlc { wall: Millis(1_795_000_000_000), count: 1 }, NODE, 257);
    let retention: &[u8] = &[0x82, 0x02, 0x1b, 0, 0, 1, 0xa4, 0xe6, 0xb1, 0x90, 0];
    let setting =
        |setting, bytes: Option<&[u8]>| to_canonical(&SettingRow { setting, document: bytes.map(document) });
    let holders: Holders = Bounded::from_vec(vec![
        HolderRow { holder: Holder::Node(NODE), turn: 1, right: Right::Writes, last: Bounded::new() },
        HolderRow {
            holder: Holder::Person(PersonId::from_bytes([0x88; 32])),
            turn: 2,
            right: Right::Gone,
            last: Bounded::from_vec(vec![(NODE, 300)]).unwrap(),
        },
    ])
    .unwrap();
    let resealed = |content: Content| {
        let hlc = Hlc { wall: Millis(1_795_000_000_000), count: 1 };
        let earlier = BucketKey::from_secret(1 << 16, Secret::from_bytes([0x67; 32]));
        let blinding = Blinding::of(&earlier, &PayloadPlace { seq: 257, ..PLACE });
        to_canonical(&Resealed { hlc, origin: NODE, seq: 257, content: content.to_bytes(), blinding })
    };
    let untagged = Amendment { name: text(NAME), target: null, aspect: Aspect::Tags, document: None };
    [
        ("a kept version", 1, of(Kind::Kept, Some(stored()))),
        ("a removal", 1, of(Kind::Removal, None)),
        ("an amendment: retention", 3, amendment(Target::Kept(VERSION), Aspect::Retention, Some(retention))),
        ("an amendment: no tags any more", 3, amendment(null, Aspect::Tags, None)),
        ("a setting: versions are kept", 4, setting(Setting::Versioning, Some(&[1]))),
        ("a setting: no policy any more", 4, setting(Setting::Policy, None)),
        ("a kept version with checksums of its parts", 1, of(Kind::Kept, Some(summed()))),
        ("a setting: who holds the key", 4, setting(Setting::Holders, Some(&to_canonical(&holders)))),
        ("an entry sealed anew", 5, resealed(Content::Manifest(manifest(Some(stored()))))),
        ("an amendment sealed anew", 5, resealed(Content::Amendment(untagged))),
    ]
}

const PLACE: PayloadPlace = PayloadPlace { realm: REALM, bucket: BUCKET, origin: NODE, seq: 258 };

fn payload(name: &str, content: &[u8], seed: u64) -> Value {
    let sealed = seal_payload(&bucket_key(1), &PLACE, content, &mut Seeded(seed, 0)).unwrap();
    let says = says(&bucket_key(1), &PLACE, &Content::decode(content).unwrap());
    json!({ "name": name, "content": hex::encode(content), "payload": BASE64.encode(&sealed), "says": says })
}

/// What the entry that said it first commits itself to.
pub(crate) fn says(key: &BucketKey, place: &PayloadPlace, content: &Content) -> Option<String> {
    let says = match content {
        Content::Resealed(resealed) => resealed.content().unwrap().says(key, place, &resealed.blinding),
        content => content.says(key, place, &Blinding::of(key, place)),
    };
    says.map(|says| says.to_string())
}

fn erased() -> Erased {
    let key = SigningKey::from_seed(freehold_crypt::Algorithm::Ed25519, &Secret::from_bytes([0xaa; 32]));
    let node = NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap());
    Erased::sign(REALM, node, OpId::from_bytes([0xbb; 32]), Millis(1_795_000_000_000), &key)
}

fn published() -> Published {
    Published {
        hosts: Bounded::from_vec(vec![text("wiki.example.org"), text("*.wiki.example.org")]).unwrap(),
        ends: TlsEnds::Home,
        port: 8080,
        body_max: Some(1 << 30),
        rate: Some((50, 100)),
        sign_on: Some(text("http://127.0.0.1:9091/verify")),
        copied: Bounded::from_vec(vec![text("remote-user")]).unwrap(),
        answers: Bounded::from_vec(vec![(text("x-frame-options"), text("DENY"))]).unwrap(),
        hsts: None,
    }
}

fn authority() -> PublicAuthority {
    let update = ZoneServer {
        server: text("192.0.2.53:53"),
        zone: text("example.org"),
        key: text("freehold"),
        sha512: false,
    };
    PublicAuthority {
        directory: text("https://acme.example/directory"),
        contact: Bounded::from_vec(vec![text("mailto:ada@example.org")]).unwrap(),
        agreed: true,
        proof: Proof::Dns,
        roots: None,
        update: Some(update),
    }
}

fn filter_rows() -> [DirectoryRow; 5] {
    let group = FilterGroup {
        members: Bounded::from_vec(vec![
            FilterMember::Everybody,
            FilterMember::Person(PersonId::from_bytes([0xdd; 32])),
            FilterMember::Network("192.168.7.0/24".parse().unwrap()),
        ])
        .unwrap(),
        lists: Bounded::from_vec(vec![text("ads")]).unwrap(),
        allow: Bounded::from_vec(vec![text("=ok.example")]).unwrap(),
        hours: Bounded::from_vec(vec![FilterHours { days: 0x1f, from: 21 * 60, to: 420, lists: None }])
            .unwrap(),
        zone: text("Europe/Berlin"),
        safe: 255,
        paused_until: Some(Millis(1_795_000_000_000)),
        ..FilterGroup::default()
    };
    let list = FilterList { url: text("https://lists.example/ads"), syntax: 0, sha256: None, hours: 24 };
    let servers = Bounded::from_vec(vec![text("tls://dns.example@192.0.2.1")]).unwrap();
    let row = |key, row| DirectoryRow::Filter(text(key), row);
    [
        row("group/kids", Some(FilterRow::Group(group))),
        row("list/ads", Some(FilterRow::List(list))),
        row("upstream", Some(FilterRow::Upstream(servers))),
        row(
            "record/printer.home",
            Some(FilterRow::Records(Bounded::from_vec(vec![text("A 192.168.1.9")]).unwrap())),
        ),
        row("statistics", None),
    ]
}

fn rows() -> Vec<DirectoryRow> {
    vec![
        DirectoryRow::NodeName(NODE, Some(Name::new("attic").unwrap())),
        DirectoryRow::BucketName(BUCKET, Some(Name::new("photos").unwrap())),
        DirectoryRow::Addresses(NODE, Bounded::from_vec(vec![text("192.0.2.7:4433")]).unwrap()),
        DirectoryRow::ServiceName(ServiceId::from_bytes([0x88; 32]), None),
        DirectoryRow::ZoneName(ZoneId::from_bytes([0x99; 16]), Some(Name::new("cellar").unwrap())),
        DirectoryRow::ServiceName(
            ServiceId::from_bytes([0xaa; 32]),
            Some(Name::new("freehold/backup").unwrap()),
        ),
        DirectoryRow::BoxKey(NODE, BoxSecret::from_seed(&Secret::from_bytes([0x99; 32])).public()),
        DirectoryRow::Erased(erased()),
        DirectoryRow::Ready(NODE, BUCKET, Ready { kept: 2 << 16 | 7, last: 258, whole: true }),
        DirectoryRow::NetService(ServiceId::from_bytes([0xbb; 32]), Some(Name::new("wiki").unwrap())),
        DirectoryRow::NetRule(RuleId::from_bytes([0xcc; 32]), Some(Name::new("ssh for ann").unwrap())),
        DirectoryRow::Published(ServiceId::from_bytes([0xbb; 32]), Some(published())),
        DirectoryRow::PublicAuthority(Some(authority())),
        DirectoryRow::PhoneName(PhoneId::from_bytes([0xdd; 32]), Some(Name::new("ann's phone").unwrap())),
        DirectoryRow::PhoneDoor(
            NODE,
            Some(PhoneDoor {
                key: BoxSecret::from_seed(&Secret::from_bytes([0x98; 32])).public(),
                endpoint: text("vps.example.org:51820"),
            }),
        ),
        DirectoryRow::Grant(
            GrantId::from_bytes([0xee; 32]),
            Some(KnownGrant {
                name: Name::new("jones").unwrap(),
                realm: Name::new("The Joneses").unwrap(),
                contacts: Bounded::from_vec(vec![GrantContact {
                    node: NODE,
                    addresses: Bounded::from_vec(vec![text("192.0.2.7:4433")]).unwrap(),
                }])
                .unwrap(),
                signers: Bounded::from_vec(vec![NODE]).unwrap(),
            }),
        ),
    ]
}

pub(crate) fn payloads() -> Value {
    let content = |sort: u8, fields: Vec<u8>| [vec![sort], fields].concat();
    let rows = rows();
    let filter = filter_rows();
    let mut opens = vec![
        payload("a manifest", &content(1, to_canonical(&manifest(Some(stored())))), 5),
        payload("a tombstone", &content(1, to_canonical(&manifest(None))), 6),
    ];
    for (row, seed) in rows.iter().zip(7..) {
        opens.push(payload(&format!("a row: {:?}", row.key()), &content(2, to_canonical(row)), seed));
    }
    for (row, seed) in filter.iter().zip(60..) {
        opens.push(payload(
            &format!("a row of the filter: {:?}", row.key()),
            &content(2, to_canonical(row)),
            seed,
        ));
    }
    for ((name, sort, fields), seed) in later().into_iter().zip(21..) {
        opens.push(payload(name, &content(sort, fields), seed));
    }
    let attack =
        |name: &str, edits: Value, with: Value| json!({ "name": name, "edits": edits, "with": with });
    json!({
        "what": "sealed payloads of an entry; attacks are made on the first",
        "realm": REALM.to_string(), "bucket": BUCKET.to_string(), "origin": NODE.to_string(), "seq": 258,
        "key_version": 1, "bucket_key": hex::encode(bucket_key(1).secret().expose()),
        "opens": opens,
        "refused": [
            attack("a flipped bit", json!([["flip", 500, 1]]), json!({})),
            attack("wrong commitment", json!([["flip", 40, 1]]), json!({})),
            attack("another key version claimed", json!([["flip", 7, 2]]), json!({ "key_version": 3 })),
            attack("moved to the next entry", json!([]), json!({ "seq": 259 })),
            attack("moved to another node's entry", json!([]), json!({ "origin": "34".repeat(32) })),
            attack("moved to another bucket", json!([]), json!({ "bucket": "23".repeat(32) })),
            attack("moved to another realm", json!([]), json!({ "realm": "12".repeat(32) })),
            attack("cut", json!([["cut", 512]]), json!({})),
            attack("a format that does not exist", json!([["flip", 2, 2]]), json!({})),
        ],
    })
}

pub(crate) fn keys() -> Value {
    let wrapped = |version: u32, seed: u64| {
        let key = ObjectKey::from_secret(object_key());
        let wrapped = bucket_key(version).wrap(&binding(), &key, &mut Seeded(seed, 0));
        json!({ "name": format!("under key version {version}"), "key_version": version,
                "wrapped": hex::encode(to_canonical(&wrapped)) })
    };
    json!({
        "what": "object keys wrapped under a bucket key; attacks are made on the first",
        "realm": REALM.to_string(), "bucket": BUCKET.to_string(), "object_name": NAME,
        "version": VERSION.to_string(), "object_key": hex::encode(object_key().expose()),
        "bucket_key": hex::encode(bucket_key(1).secret().expose()),
        "bucket_id_of_key": bucket_key(1).bucket().to_string(),
        "opens": [wrapped(1, 30), wrapped(2, 31)],
        "refused": [
            { "name": "of another object", "with": { "object_name": "photos/2026/other.jpg" } },
            { "name": "of another version", "with": { "version": "45".repeat(16) } },
            { "name": "under another key", "with": { "bucket_key": "67".repeat(32) } },
        ],
    })
}

pub(crate) fn envelopes() -> Value {
    let mut entropy = Seeded(40, 0);
    let (bucket, mut ring) = KeyRing::found_bucket(REALM, &mut entropy);
    ring.rotate(&mut entropy).unwrap();
    let (private, hidden) = KeyRing::found_private(REALM, &mut entropy);
    let seed = Secret::from_bytes([0x99; 32]);
    let public = BoxSecret::from_seed(&seed).public();
    let made = |version: u32, to: Recipient, entropy: &mut Seeded| {
        let envelope = ring.envelope(version, to, &public, entropy).unwrap();
        (envelope.to_bytes(), ring.get(version).unwrap().secret().clone())
    };
    let vector = |name: &str, (bytes, key): (Vec<u8>, Secret)| {
        json!({
            "name": name, "envelope": hex::encode(bytes), "key": hex::encode(key.expose()),
        })
    };
    let node = Recipient::Node(NODE);
    let [next, third] = [1, 2].map(|generation| {
        ring.iter()
            .map(BucketKey::version)
            .find(|version| freehold_seal::generation(*version) == generation)
            .unwrap()
    });
    let second = made(next, node, &mut entropy);
    let edited = |name: &str, edit: fn(&mut Envelope)| {
        let mut envelope = Envelope::decode(&second.0).unwrap();
        edit(&mut envelope);
        json!({ "name": name, "envelope": hex::encode(envelope.to_bytes()) })
    };
    let opens = [
        vector("version 1, to a node", made(1, node, &mut entropy)),
        vector("version 1, to the recovery key", made(1, Recipient::Recovery, &mut entropy)),
        vector("generation 1, to a node", second.clone()),
        vector("generation 2, to a node", made(third, node, &mut entropy)),
    ];
    // A genuine directory and a forged one.
    let [directory, forged] = [(); 2].map(|()| {
        let first = BucketKey::random(&mut entropy);
        let ring = KeyRing::found_directory(REALM, &first, &mut entropy);
        let boxed = ring.envelope(1, node, &public, &mut entropy);
        (first, boxed.unwrap().to_bytes())
    });
    let root = directory.0.directory_root();
    let private_box = hidden.envelope(1, node, &public, &mut entropy).unwrap().to_bytes();
    let opens = [
        opens.as_slice(),
        &[
            vector("the directory's, to a node", (directory.1, directory.0.secret().clone())),
            vector("a private bucket's, to a node", (private_box, hidden.get(1).unwrap().secret().clone())),
        ],
    ]
    .concat();
    json!({
        "what": "keys boxed with HPKE; the hash of version 1 is the bucket's id, or in the realm's genesis, and version 1 vouches for each other one",
        "realm": REALM.to_string(), "bucket": bucket.to_string(), "node": NODE.to_string(),
        "private_bucket": private.to_string(), "directory_root": root.to_string(),
        "box_seed": hex::encode(seed.expose()), "box_public": hex::encode(public.as_bytes()),
        "opens": opens,
        "refused": [
            edited("of another bucket", |e| e.key_of = KeyOf::Bucket(BUCKET)),
            edited("of the directory", |e| e.key_of = KeyOf::Directory),
            edited("as another version", |e| e.version = 3),
            edited("to another node", |e| e.to = Recipient::Node(NodeId::from_bytes([0x34; 32]))),
            edited("with another link", |e| e.link = Some(Digest::from_bytes([0; 32]))),
            edited("without the link", |e| e.link = None),
            edited("with a flipped bit", |e| e.sealed[50] ^= 1),
            edited("with another encapsulated key", |e| e.sealed[0] ^= 1),
            edited("said to be boxed to another key", |e| e.hint[0] ^= 1),
            { "name": "a first key of the directory that the genesis does not mean", "envelope": hex::encode(forged.1) },
        ],
    })
}

pub(crate) fn releases() -> Value {
    let other = NodeId::from_bytes([0x34; 32]);
    let bytes = |of: &[(NodeId, &[u64])]| {
        let released = of.iter().map(|(origin, numbers)| Released {
            origin: *origin,
            numbers: Bounded::from_vec(numbers.to_vec()).unwrap(),
        });
        Release(Bounded::from_vec(released.collect()).unwrap()).to_bytes()
    };
    let vector = |name: &str, of: &[(NodeId, &[u64])]| {
        let entries = of
            .iter()
            .flat_map(|(origin, numbers)| numbers.iter().map(|number| json!([origin.to_string(), number])));
        let entries: Vec<Value> = entries.collect();
        json!({ "name": name, "release": hex::encode(bytes(of)), "entries": entries })
    };
    let good = bytes(&[(NODE, &[3])]);
    let attack = |name: &str, bytes: &[u8]| json!({ "name": name, "release": hex::encode(bytes) });
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    // The number 3 in two bytes.
    let long = [&good[..good.len() - 1], &[0x18, 3]].concat();
    json!({
        "what": "entries that nobody needs any more: who wrote them, and their numbers",
        "opens": [
            vector("one entry", &[(NODE, &[3])]),
            vector("of two nodes", &[(NODE, &[1, 24, 70_000]), (other, &[5])]),
            vector("nothing", &[]),
        ],
        "refused": [
            attack("of another sort", &with(1, b'E')),
            attack("of a later format", &with(2, 2)),
            attack("cut", &good[..good.len() - 1]),
            attack("with a byte more", &[good.as_slice(), &[0]].concat()),
            attack("not the shortest integer", &long),
            attack("without its fields", &good[..3]),
        ],
    })
}

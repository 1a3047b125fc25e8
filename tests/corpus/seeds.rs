//! One valid input of each kind.

mod door;
mod house;
mod network;
mod packets;
mod passes;
mod pools;
mod resolved;
mod shells;

use freehold_crypt::{Algorithm, BoxSecret, Entropy, Secret, SigningKey, split, wrap_key};
use freehold_placement::{BlobRef, Draft, Message as Told, Row, Vector, payload_hash};
use freehold_realm::audit::Export;
use freehold_realm::body::{self, Body, Guardian, GuardianSet};
use freehold_realm::{Head, LEVEL, NodeRoles, Op, OpSet, draft};
use freehold_seal::DirectoryRow;
use freehold_sync::{Answer, Message};
use freehold_wire::{
    BlobName, Bounded, BucketId, Digest, GrantId, Hlc, KeyId, Millis, Name, NodeId, OpId, RealmId, Text,
    to_canonical,
};
use serde_json::Value;

pub(crate) use door::gateway;
pub(crate) use house::{onion, router};
pub(crate) use packets::packet;
pub(crate) use passes::passes;
pub(crate) use pools::pools;
pub(crate) use resolved::names;
pub(crate) use shells::{api, documents, mesh, node, world};

type Seeds = Vec<(String, Vec<u8>)>;

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(29).wrapping_add(17);
            *byte = self.0;
        }
    }
}

fn named(seeds: Vec<(&str, Vec<u8>)>) -> Seeds {
    seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

fn key(algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::from_seed(algorithm, &Secret::from_bytes([seed; 32]))
}

fn box_public() -> freehold_crypt::BoxPublic {
    BoxSecret::from_seed(&Secret::from_bytes([9; 32])).public()
}

pub(crate) fn wire() -> Seeds {
    named(vec![
        ("lists", to_canonical(&vec![vec![1u64, 2], vec![300]])),
        ("id", RealmId::from_bytes([0xab; 32]).to_string().into_bytes()),
        ("sample", sample()),
    ])
}

/// A value of the probe's `Sample`, spelled out.
fn sample() -> Vec<u8> {
    let mut out = vec![0xa6, 0x00];
    out.extend(to_canonical(&Digest::from_bytes([1; 32])));
    out.push(0x01);
    out.extend(to_canonical(&Hlc { wall: Millis(1_795_000_000_000), count: 2 }));
    out.extend([0x02, 0x81]);
    out.extend(to_canonical(&Text::<8>::new("attic").unwrap()));
    out.extend([0x03, 0x82, 0x02, 0xa2, 0x00, 0x20, 0x01, 0xf5]);
    out.extend([0x04, 0xa1, 0x01, 0x02]);
    out.extend([0x05, 0x44, 1, 2, 3, 4]);
    out
}

pub(crate) fn crypt() -> Seeds {
    let mut entropy = Counting(1);
    let secret = Secret::from_bytes([7; 32]);
    let with = |which: u8, bytes: &[u8]| [&[which], bytes].concat();
    let shares: Vec<u8> = split(&secret, 2, 3, &mut entropy)
        .unwrap()
        .iter()
        .flat_map(|share| share.expose().to_vec())
        .collect();
    let wrapped = wrap_key(&Secret::from_bytes([8; 32]), b"purpose", &secret, &mut entropy);
    let (ed, p256) = (key(Algorithm::Ed25519, 1), key(Algorithm::P256, 1));
    named(vec![
        ("ed25519", with(0, &ed.verifying().to_bytes())),
        ("p256", with(0, &p256.verifying().to_bytes())),
        ("key", with(1, &to_canonical(&p256.verifying()))),
        ("signature", with(1, &to_canonical(&ed.sign(b"message")))),
        ("box", with(2, &box_public().seal(b"info", b"plain", &mut entropy).unwrap())),
        ("box-key", with(3, &to_canonical(&box_public()))),
        ("wrapped", with(4, &to_canonical(&wrapped))),
        ("shares", with(5, &shares)),
        ("phrase", with(6, b"legal winner thank year wave sausage worth useful legal winner thank yellow")),
        ("chunk", with(7, &[0; 40])),
    ])
}

fn guardians() -> GuardianSet {
    let guardian = |seed| Guardian {
        key: key(Algorithm::Ed25519, seed).verifying(),
        box_key: box_public(),
        share: vec![seed; 81],
    };
    let mut guardians = vec![guardian(11), guardian(12), guardian(13)];
    guardians.sort_by_key(|guardian| guardian.key.to_bytes());
    GuardianSet { threshold: 2, guardians: Bounded::from_vec(guardians).unwrap(), recovery: box_public() }
}

fn bodies(device: &SigningKey, genesis: &Op) -> Vec<Body> {
    let (node, bucket, grant) =
        (NodeId::from_bytes([3; 32]), BucketId::from_bytes([4; 32]), GrantId::from_bytes([5; 32]));
    let Body::Genesis(founded) = genesis.body() else { unreachable!("a genesis") };
    let terms = body::Terms {
        resource: body::Resource::Storage,
        ceilings: body::Ceilings { bytes: 1 << 40, egress: 1 << 30, cpu_milli: 0, memory: 0 },
        from: Millis(1),
        until: Millis(2),
        wind_down_days: 30,
    };
    let roles = NodeRoles::NONE;
    let verifying = device.verifying();
    vec![
        body::GuardianTested { guardian: KeyId::from_bytes([6; 32]) }.into(),
        body::GuardiansSet { guardians: guardians() }.into(),
        body::Recovery {
            base: None,
            admins: Bounded::from_vec(vec![founded.founder.clone()]).unwrap(),
            guardians: Some(guardians()),
            standing: Bounded::from_vec(vec![OpId::from_bytes([7; 32])]).unwrap(),
        }
        .into(),
        body::Checkpoint { base: Some(genesis.id()), standing: Bounded::new() }.into(),
        body::WitnessesSet { nodes: Bounded::from_vec(vec![node]).unwrap(), threshold: 1 }.into(),
        body::InvitationIssue { key: verifying, roles, expires: Millis(9), device: None }.into(),
        body::NodeAdd { node: verifying, box_key: box_public(), roles }.into(),
        body::NodeChange { node, roles }.into(),
        body::NodeRemove { node, last: 4 }.into(),
        body::GrantOffer {
            grant,
            to: RealmId::from_bytes([8; 32]),
            terms,
            keys: Bounded::new(),
            homes: None,
        }
        .into(),
        body::GrantRevoke { grant }.into(),
        body::BucketSet { bucket, copies: 2, confirm: 1, rules: None }.into(),
        body::BucketDelete { bucket }.into(),
    ]
}

pub(crate) fn realm() -> Seeds {
    let mut seeds = Vec::new();
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let device = key(algorithm, 1);
        let genesis = draft::genesis(
            &device,
            box_public(),
            [2; 32],
            guardians(),
            Digest::from_bytes([9; 32]),
            Millis(1_795_000_000_000),
        )
        .unwrap();
        let mut set = OpSet::new(genesis.realm());
        set.insert(genesis.clone()).unwrap();
        if algorithm == Algorithm::Ed25519 {
            seeds.push(("export".to_owned(), Export::of(&set, Millis(5)).encode()));
        }
        for body in bodies(&device, &genesis).into_iter().chain(network::bodies()) {
            let head = Head {
                realm: Some(genesis.realm()),
                level: LEVEL,
                author: device.verifying(),
                seq: 2,
                prev: Some(genesis.id()),
                parents: Bounded::from_vec(vec![genesis.id()]).unwrap(),
                epoch: 0,
                hlc: Hlc { wall: Millis(1_795_000_000_001), count: 0 },
            };
            let name = format!("{algorithm:?}-{}", body.name()).to_lowercase();
            seeds.push((name, Op::sign(head, body, &device).unwrap().to_bytes()));
        }
        seeds.push((format!("{algorithm:?}-genesis").to_lowercase(), genesis.to_bytes()));
    }
    seeds
}

/// What the vectors of the vault's format hold, taken from the committed files.
fn vectors(file: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/vault/vectors/");
    serde_json::from_str(&std::fs::read_to_string(format!("{path}{file}")).unwrap()).unwrap()
}

pub(crate) fn seal() -> Seeds {
    let with = |which: u8, bytes: &[u8]| [&[which], bytes].concat();
    let unhex = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let contents = vectors("payload.json")["opens"].clone();
    let header = freehold_seal::BlobHeader {
        algorithm: freehold_seal::Algorithm::Aes256GcmStream,
        salt: [1; 32],
        commitment: [2; 32],
    };
    let row = DirectoryRow::RealmName(Some(Name::new("smith").unwrap()));
    let numbers: Vec<u8> = [200_000u64, 5, 70_000].iter().flat_map(|n| n.to_be_bytes()).collect();
    let mut seeds = named(vec![
        ("blob", with(0, &[header.to_bytes().as_slice(), &[3; 64]].concat())),
        ("payload", with(1, &[b"FP\x01\x01\x00\x00\x00\x01".as_slice(), &[4; 1016]].concat())),
        ("manifest", with(2, &unhex(&contents[0]["content"])[1..])),
        ("tombstone", with(2, &unhex(&contents[1]["content"])[1..])),
        ("row-realm", with(3, &to_canonical(&row))),
        ("envelope", with(4, &unhex(&vectors("envelope.json")["opens"][2]["envelope"]))),
        ("range", with(5, &numbers)),
    ]);
    for at in 2..6 {
        seeds.push((format!("row-{at}"), with(3, &unhex(&contents[at]["content"])[1..])));
    }
    seeds
}

pub(crate) fn attack() -> Seeds {
    // Number of edits, then each: aligned, two places, what; then length, range, piece.
    let edit = |places: [u8; 2], what: u8| vec![0, 0, 0, 0, 0, places[0], 0, 0, places[1], 0, 0, what];
    let read = [0, 0, 1, 0, 0, 0, 2, 0, 99, 1, 0, 0];
    let script =
        |edits: &[Vec<u8>]| [&[0, 0, u8::try_from(edits.len()).unwrap()], &*edits.concat(), &read].concat();
    named(vec![
        ("none", script(&[])),
        ("swap", script(&[edit([0, 1], 5)])),
        ("repeat", script(&[edit([0, 1], 4)])),
        ("cut", script(&[edit([2, 0], 1)])),
        ("drop", script(&[edit([1, 0], 2)])),
    ])
}

pub(crate) fn sync() -> Seeds {
    let op = |name: &str| realm().into_iter().find(|(seed, _)| seed == name).map(|(_, bytes)| bytes).unwrap();
    let (genesis, child) = (op("ed25519-genesis"), op("ed25519-bucketset"));
    let ids = [&genesis, &child].map(|bytes| Op::decode(bytes).unwrap().id());
    let operations = |ops: &[&Vec<u8>], answer| Message::Operations {
        operations: Bounded::from_vec(ops.iter().map(|op| (*op).clone().into()).collect()).unwrap(),
        answer,
    };
    let heads = Message::Heads { heads: Bounded::from_vec(vec![ids[1]]).unwrap(), total: 2, sum: 7 };
    let want = Message::Want { have: Bounded::from_vec(ids.to_vec()).unwrap() };
    let (end, push) = (operations(&[&child], Answer::End), operations(&[&genesis, &child], Answer::Push));
    let sums = Message::Sums { sums: Bounded::from_vec(vec![3; 256]).unwrap() };
    let said = |messages: &[&Message]| {
        let framed = messages.iter().map(|message| message.encode());
        framed
            .flat_map(|bytes| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), &*bytes].concat())
            .collect()
    };
    named(vec![
        ("heads", heads.encode()),
        ("want", want.encode()),
        ("operations", push.encode()),
        ("sums", sums.encode()),
        ("answered", said(&[&heads, &end, &want])),
        ("pushed", said(&[&push, &heads, &sums])),
    ])
}

pub(crate) fn placement() -> Seeds {
    let node = key(Algorithm::Ed25519, 1);
    let (bucket, origin) =
        (BucketId::from_bytes([2; 32]), NodeId::from_bytes(node.verifying().ed25519_bytes().unwrap()));
    let blob =
        |n: u8| BlobRef { name: BlobName::from_bytes([n; 32]), len: 96, hash: Digest::from_bytes([n; 32]) };
    let entry = |seq: u64, blobs: Vec<BlobRef>| {
        let draft = Draft {
            realm: RealmId::from_bytes([1; 32]),
            bucket,
            origin,
            seq,
            hlc: Hlc { wall: Millis(1_795_000_000_000), count: 1 },
            blobs: Bounded::from_vec(blobs).unwrap(),
            payload_hash: payload_hash(b"payload"),
            says: None,
        };
        draft.sign(&node)
    };
    let row = |entry| Row { entry, payload: Some(b"payload".to_vec().into()) };
    let chain = minicbor::bytes::ByteArray::from([5; 16]);
    let vector = Vector { bucket, origin, seq: 2, chain, held: 3 };
    let vectors = Told::Vectors { vectors: Bounded::from_vec(vec![vector]).unwrap(), whole: true, view: 0 };
    let rows = vec![row(entry(1, vec![blob(4), blob(5)])), row(entry(2, vec![]))];
    let entries = Told::Entries { rows: Bounded::from_vec(rows).unwrap() };
    let ask = Told::Ask { bucket, origin, from: 1, chain };
    let history = Told::Chain { bucket, origin, seq: 1, chain, reply: false };
    let asks_holds = Told::AskHolds { bucket, origin };
    let holds = Told::Holds { bucket, origin, from: 1, count: 9, bits: vec![3, 1].into() };
    let bad = Told::Bad { bucket, blob: BlobName::from_bytes([4; 32]) };
    let checked = Told::Checked { rows: Bounded::from_vec(vec![(bucket, Millis(6))]).unwrap() };
    let all = [&vectors, &entries, &ask, &history, &asks_holds, &holds, &bad, &checked];
    let framed = all.map(Told::encode);
    let said = framed
        .iter()
        .flat_map(|bytes| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), &**bytes].concat());
    let mut seeds: Seeds = all.iter().map(|message| (message.name().to_owned(), message.encode())).collect();
    seeds.push(("conversation".to_owned(), said.collect()));
    seeds.push(("row".to_owned(), entry(3, vec![]).to_bytes()));
    seeds.push(("object".to_owned(), entry(3, vec![blob(4), blob(5)]).to_bytes()));
    seeds
}

/// The first byte says which: a policy, a list, text.
pub(crate) fn access() -> Seeds {
    let policy = br#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["*","freehold"]},"Action":["s3:GetObject","s3:List*"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"],"Condition":{"StringLike":{"s3:prefix":["a*"]},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}},{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam:::user/freehold/main"},"NotAction":"s3:Get*","NotResource":"arn:aws:s3:::photos/b?","Condition":{"BoolIfExists":{"aws:SecureTransport":false},"NumericLessThan":{"s3:max-keys":9},"DateLessThan":{"aws:CurrentTime":"2026-11-21T00:00:00Z"}}}]}"#;
    let policy = [&[0], policy.as_slice()].concat();
    let list = freehold_access::Acl::canned(
        freehold_access::Canned::PublicReadWrite,
        freehold_access::Principal::REALM,
        None,
    );
    let list = [&[1], list.to_bytes().as_slice()].concat();
    let grants = b"\x02id=\"freehold/alt\", uri=http://acs.amazonaws.com/groups/global/AllUsers".to_vec();
    let principal = b"\x02freehold/main".to_vec();
    [("policy", policy), ("list", list), ("grants", grants), ("principal", principal)]
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .to_vec()
}

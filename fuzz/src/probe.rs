//! One probe for each fuzz target: bytes from anywhere go in, and nothing may panic, loop, or be
//! accepted in a spelling other than the canonical one. The fuzzer drives them in search of new
//! paths; `tests/corpus` drives them over the committed corpus in every ordinary test run.

#[path = "house.rs"]
mod around;
#[path = "documents.rs"]
mod asked;
#[path = "gateway.rs"]
mod door;
mod packets;
#[path = "pools.rs"]
mod pooled;
#[path = "names.rs"]
mod resolved;
mod shells;
#[path = "passes.rs"]
mod shown;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub use around::{onion, router};
pub use asked::documents;
pub use door::gateway;
use freehold_crypt::stream::{Position, StreamKey};
use freehold_crypt::{
    Algorithm, BoxPublic, BoxSecret, Entropy, Phrase, Secret, Share, Signature, SigningKey, VerifyingKey,
    WrappedKey, combine, unwrap_key,
};
use freehold_placement::{BucketView, Entry, NodeView, Replica, View};
use freehold_realm::audit::Export;
use freehold_realm::{Op, OpSet};
use freehold_seal::{
    Binding, BlobHeader, BlobOpener, BucketKey, CHUNK_LEN, Content, DirectoryRow, Envelope, HEADER_LEN,
    Manifest, ObjectKey, PayloadPlace, Release, SEALED_CHUNK_LEN, VersionId, cipher_len, open_payload,
    payload_kind, plain_len, plan_range,
};
use freehold_sim::{Bytes, Choose as _, LogWorld, Options, ReplicaWorld, run};
use freehold_sync::{Input, LogSync, Message, Output};
use freehold_wire::{
    BlobName, Bounded, BucketId, Digest, Hlc, Millis, NodeId, RealmId, Text, from_canonical, to_canonical,
};
use minicbor::{Decode, Encode};
pub use packets::packet;
pub use pooled::pools;
pub use resolved::names;
pub use shells::{api, mesh, node};
pub use shown::passes;
pub use words::access;

const MAX: usize = 1 << 20;

/// The result does not matter, only that there was one.
fn done<T>(_: T) {}

/// Reads a value and checks that it is written the same.
fn round_trip<T: for<'b> Decode<'b, ()> + Encode<()>>(data: &[u8]) -> Option<T> {
    let value = from_canonical::<T>(data, MAX).ok()?;
    assert_eq!(to_canonical(&value), data, "two spellings of one value");
    Some(value)
}

/// Bytes that are not random at all, for what must be drawn.
struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
    }
}

/// A field of every shape that our types have.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Sample {
    #[n(0)]
    id: Option<Digest>,
    #[n(1)]
    at: Hlc,
    #[n(2)]
    names: Bounded<Text<8>, 3>,
    #[n(3)]
    shape: Shape,
    #[n(4)]
    counts: BTreeMap<u32, u64>,
    #[cbor(n(5), with = "minicbor::bytes")]
    bytes: Option<[u8; 4]>,
}

#[derive(Encode, Decode)]
enum Shape {
    #[n(0)]
    Nothing,
    #[n(1)]
    One(#[n(0)] Option<Millis>),
    #[n(2)]
    #[cbor(map)]
    Two {
        #[n(0)]
        count: i32,
        #[n(1)]
        flag: bool,
    },
}

/// Encodings and ids.
pub fn wire(data: &[u8]) {
    round_trip::<Sample>(data);
    round_trip::<Bounded<Bounded<u64, 4>, 4>>(data);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(id) = text.parse::<RealmId>()
    {
        assert_eq!(id.to_string(), text);
    }
}

/// Keys, signatures, boxes, wrapped keys, shares, phrases, chunks; the first byte says which.
pub fn crypt(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let secret = Secret::from_bytes([7; 32]);
    match which % 8 {
        0 => {
            if let Ok(key) = VerifyingKey::from_bytes(data) {
                assert_eq!(key.to_bytes(), data, "two spellings of one key");
                assert!(key.verify(b"message", &Signature::from_bytes([1; 64])).is_err());
            }
        }
        1 => {
            round_trip::<VerifyingKey>(data);
            round_trip::<Signature>(data);
        }
        2 => {
            let mine = BoxSecret::from_seed(&secret);
            assert!(mine.open(b"info", data).is_err(), "a box opened that nobody sealed");
        }
        3 => {
            if let Some(public) = round_trip::<BoxPublic>(data) {
                let sealed = public.seal(b"info", b"plain", &mut Fixed(0));
                assert!(sealed.is_err() || sealed.is_ok_and(|sealed| sealed.len() == 53));
            }
        }
        4 => {
            if let Some(wrapped) = round_trip::<WrappedKey>(data) {
                assert!(unwrap_key(&secret, b"purpose", &wrapped).is_err(), "a key that nobody wrapped");
            }
        }
        5 => {
            let shares: Vec<Share> =
                data.chunks(33).filter_map(|share| Share::from_bytes(share).ok()).collect();
            done(combine(&shares));
        }
        6 => {
            if let Ok(text) = std::str::from_utf8(data)
                && let Ok(phrase) = Phrase::parse(text)
            {
                let again = Phrase::parse(&phrase.words()).map(|again| again.signing_key().verifying());
                assert_eq!(again, Ok(phrase.signing_key().verifying()));
            }
        }
        _ => {
            let key = StreamKey::derive(&secret, &[1; 32], b"binding");
            let at = Position { index: 0, last: true };
            let offset = data.first().map_or(0, |first| usize::from(*first));
            assert!(key.open(at, &mut data.to_vec()).is_err(), "a chunk that nobody sealed");
            assert!(key.open_within(at, &mut data.to_vec(), offset).is_err());
        }
    }
}

/// Operations of the realm log: read, verified, offered to a set; and whole exported logs.
pub fn realm(data: &[u8]) {
    if let Ok(op) = Op::decode(data) {
        assert_eq!(op.to_bytes(), data, "two spellings of one operation");
        done(op.verify());
        let mut set = OpSet::new(op.realm());
        done(set.insert(op));
    }
    if let Ok(export) = Export::decode(data) {
        assert_eq!(export.encode(), data, "two spellings of one export");
    }
}

/// Everything of the vault's format; the first byte says which.
pub fn seal(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let place = PayloadPlace {
        realm: RealmId::from_bytes([1; 32]),
        bucket: BucketId::from_bytes([2; 32]),
        origin: NodeId::from_bytes([3; 32]),
        seq: 4,
    };
    match which % 6 {
        0 => blob(&place, data),
        1 => {
            let key = BucketKey::from_secret(1, Secret::from_bytes([6; 32]));
            assert!(open_payload(&key, &place, data).is_err(), "a payload that nobody sealed");
            done(payload_kind(data));
        }
        2 => {
            if let Ok(manifest) = Manifest::decode(&[&[1], data].concat()) {
                assert_eq!(to_canonical(&manifest), data, "two spellings of one manifest");
                done(manifest.binding(place.realm, place.bucket));
                let nothing: [(&BlobName, u64, &Digest); 0] = [];
                done(manifest.stored.map(|stored| stored.check_blobs(nothing.into_iter())));
            }
        }
        3 => {
            if let Ok(row) = DirectoryRow::decode(&[&[2], data].concat()) {
                assert_eq!(to_canonical(&row), data, "two spellings of one row");
                assert!(row.may_come_from(place.origin) || row.needs_keeper(place.origin));
            }
            if let Ok(Content::Amendment(amendment)) = Content::decode(&[&[3], data].concat()) {
                assert_eq!(to_canonical(&amendment), data, "two spellings of one amendment");
            }
            if let Ok(Content::Setting(row)) = Content::decode(&[&[4], data].concat()) {
                assert_eq!(to_canonical(&row), data, "two spellings of one setting");
            }
        }
        4 => {
            if let Ok(envelope) = Envelope::decode(data) {
                assert_eq!(envelope.to_bytes(), data, "two spellings of one envelope");
                let mine = BoxSecret::from_seed(&Secret::from_bytes([7; 32]));
                assert!(freehold_seal::open_envelope(place.realm, &envelope, envelope.to, &mine).is_err());
            }
            if let Ok(release) = Release::decode(data) {
                assert_eq!(release.to_bytes(), data, "two spellings of one release");
                done(release.entries().count());
            }
        }
        _ => ranges(data),
    }
}

/// A blob from a hostile backend, asked for by the name that it claims.
fn blob(place: &PayloadPlace, data: &[u8]) {
    let Ok(header) = BlobHeader::decode(data) else { return };
    assert!(data.starts_with(&header.to_bytes()));
    let binding = Binding::new(place.realm, place.bucket, "name", VersionId::from_bytes([5; 16]));
    let key = ObjectKey::from_secret(Secret::from_bytes([6; 32]));
    let opened = BlobOpener::new(&key, &binding, 1, header.name(), data);
    assert!(opened.is_err(), "a blob that nobody sealed");
    // Under the right commitment, which only the key's holder can make, no chunk opens either.
    let mut sealed = Vec::new();
    let sealer = freehold_seal::BlobSealer::new(&key, &binding, 1, &mut Fixed(0));
    let name = sealer.name();
    sealer.finish(&mut sealed);
    let body = data.get(HEADER_LEN..).unwrap_or_default();
    if let Ok(opener) = BlobOpener::new(&key, &binding, 1, name, &sealed)
        && let Ok(plan) = plan_range(body.len() as u64, 0..body.len() as u64)
    {
        assert!(opener.open_run(body.len() as u64, plan.chunks, &mut body.to_vec()).is_err());
    }
}

/// A hostile backend with a genuine blob: the bytes are a script of edits, a range and the sizes of
/// pieces. What comes out is the plaintext of the range, or nothing but an error.
pub fn attack(data: &[u8]) {
    thread_local! {
        static GENUINE: (Vec<u8>, Vec<u8>, BlobName) = genuine();
    }
    GENUINE.with(|(plain, sealed, name)| {
        let mut script = data.iter().copied();
        let mut number = |below: usize| {
            let [a, b, c] = [(); 3].map(|()| usize::from(script.next().unwrap_or(0)));
            (a << 16 | b << 8 | c) % below.max(1)
        };
        let mut cipher = sealed.clone();
        for _ in 0..number(5) {
            edit(&mut cipher, &mut number);
        }
        let len = if number(4) == 0 { number(200_000) } else { plain.len() };
        let (a, b) = (number(len + 1), number(len + 1));
        let (start, end) = (a.min(b), a.max(b));
        let run = 1 + number(3) as u64;
        let Ok(opener) = BlobOpener::new(&object_key(), &binding(), 1, *name, &cipher) else {
            assert_ne!(cipher.get(..HEADER_LEN), sealed.get(..HEADER_LEN), "a genuine header refused");
            return;
        };
        let Ok(plan) = plan_range(len as u64, start as u64..end as u64) else {
            unreachable!("the range is inside")
        };
        let at = |chunk: u64| {
            let offset = (HEADER_LEN as u64 + chunk * SEALED_CHUNK_LEN as u64).min(plan.cipher.end);
            usize::try_from(offset).unwrap_or(usize::MAX).min(cipher.len())
        };
        let (mut out, mut next) = (Vec::new(), plan.chunks.start);
        let mut whole = Ok(());
        while next < plan.chunks.end && whole.is_ok() {
            let chunks = next..plan.chunks.end.min(next + run);
            next = chunks.end;
            let mut served = cipher.get(at(chunks.start)..at(chunks.end)).unwrap_or_default().to_vec();
            whole = opener.open_run(len as u64, chunks, &mut served).map(|opened| {
                out.extend_from_slice(served.get(..opened).unwrap_or_default());
            });
        }
        let from = usize::try_from(plan.chunks.start).unwrap_or(0) * CHUNK_LEN;
        let genuine = plain.get(from..).unwrap_or_default();
        assert!(genuine.starts_with(&out), "plaintext that nobody sealed");
        if cipher == *sealed && len == plain.len() {
            assert_eq!(whole, Ok(()), "a genuine blob refused");
        }
        if whole.is_ok() {
            assert!(from + out.len() >= end.min(plain.len()), "a short read taken for a whole one");
            assert!(end <= from + out.len(), "more than there is was read");
        }
    });
}

fn object_key() -> ObjectKey {
    ObjectKey::from_secret(Secret::from_bytes([6; 32]))
}

fn binding() -> Binding {
    let version = VersionId::from_bytes([5; 16]);
    Binding::new(RealmId::from_bytes([1; 32]), BucketId::from_bytes([2; 32]), "name", version)
}

/// Two full chunks and a short one.
fn genuine() -> (Vec<u8>, Vec<u8>, BlobName) {
    let plain: Vec<u8> = (0u32..131_172).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let mut sealed = Vec::new();
    let mut sealer = freehold_seal::BlobSealer::new(&object_key(), &binding(), 1, &mut Fixed(0));
    done(sealer.push(&plain, &mut sealed));
    let name = sealer.finish(&mut sealed).name;
    (plain, sealed, name)
}

/// One edit: of any bytes, or of whole chunks, which is what a clever backend moves.
fn edit(cipher: &mut Vec<u8>, number: &mut impl FnMut(usize) -> usize) {
    let chunk = SEALED_CHUNK_LEN;
    let aligned = number(2) == 0;
    let mut place = |cipher: &Vec<u8>| {
        if aligned { (HEADER_LEN + number(3) * chunk).min(cipher.len()) } else { number(cipher.len() + 1) }
    };
    let (a, b) = (place(cipher), place(cipher));
    let len = if aligned { chunk } else { number(100_000) };
    let end = |from: usize| from.saturating_add(len).min(cipher.len());
    let (a_end, b_end) = (end(a), end(b));
    match number(6) {
        0 => {
            let bit = 1 << number(8);
            if let Some(byte) = cipher.get_mut(a) {
                *byte ^= bit;
            }
        }
        1 => cipher.truncate(a),
        2 => drop(cipher.drain(a..a_end)),
        3 => {
            let copied = cipher.get(a..a_end).unwrap_or_default().to_vec();
            drop(cipher.splice(b..b, copied));
        }
        4 => {
            let copied = cipher.get(a..a_end).unwrap_or_default().to_vec();
            cipher.iter_mut().skip(b).zip(copied).for_each(|(to, from)| *to = from);
        }
        _ => {
            let (one, two) = (cipher.get(a..a_end).unwrap_or_default().to_vec(), b..b_end);
            let other = cipher.get(two.clone()).unwrap_or_default().to_vec();
            cipher.iter_mut().skip(a).zip(other).for_each(|(to, from)| *to = from);
            cipher.iter_mut().skip(b).zip(one).for_each(|(to, from)| *to = from);
        }
    }
}

/// Lengths and ranges that somebody made up.
fn ranges(data: &[u8]) {
    let mut numbers = data.as_chunks::<8>().0.iter().map(|bytes| u64::from_be_bytes(*bytes));
    let (Some(len), Some(start), Some(end)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return;
    };
    if let Some(plain) = plain_len(len) {
        assert_eq!(cipher_len(plain), Some(len));
    }
    if let Ok(plan) = plan_range(len, start..end) {
        assert!(plan.chunks.start < plan.chunks.end && plan.take == end - start && end <= len);
        assert!(Some(plan.cipher.end) <= cipher_len(len));
    }
}

/// Messages of log sync; and, one after the other, said by a peer to a replica that has a genesis.
pub fn sync(data: &[u8]) {
    if let Ok(message) = Message::decode(data) {
        assert_eq!(message.encode(), data, "two spellings of one message");
    }
    let Some((mut machine, peer)) = replica() else { return };
    let (mut now, mut rest) = (Millis(1_795_000_000_000), data);
    while let Some(([high, low], after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (said, after) = after.split_at(len.min(after.len()));
        rest = after;
        now = now.plus(Millis(len as u64));
        let input = Message::decode(said).map_or(Input::Garbage(peer), |said| Input::Received(peer, said));
        machine.handle(now, input);
        drain(&mut machine, now);
        if machine.poll_timeout().is_some_and(|(at, _)| at <= now) {
            machine.handle_timeout(now);
            drain(&mut machine, now);
        }
        done(machine.describe());
    }
}

fn replica() -> Option<(LogSync<OpSet>, NodeId)> {
    let genesis = Op::decode(include_bytes!("../corpus/realm/seed-ed25519-genesis")).ok()?;
    let mut set = OpSet::new(genesis.realm());
    set.insert(genesis).ok()?;
    let mut machine = LogSync::new(set);
    let peer = NodeId::from_bytes([1; 32]);
    let now = Millis(1_795_000_000_000);
    machine.handle(now, Input::Connected(peer));
    drain(&mut machine, now);
    Some((machine, peer))
}

/// The simulated world with these bytes as the one who decides: is there a story in which an
/// acknowledged write is lost, or the nodes do not agree in the end?
pub fn world(data: &[u8]) {
    let choose = &mut Bytes::new(data);
    let log = choose.below(2) == 0;
    let options = Options::swarm(choose);
    let failure = if log {
        run(&mut LogWorld::new(options, choose), choose).err()
    } else {
        run(&mut ReplicaWorld::new(options, choose), choose).err()
    };
    assert!(failure.is_none(), "\n{}", failure.map(|failure| failure.to_string()).unwrap_or_default());
}

/// Does what it asks, until it asks for nothing; that it stops asking is part of the law.
fn drain(machine: &mut LogSync<OpSet>, now: Millis) {
    for _ in 0..10_000 {
        match machine.poll_output() {
            Some(Output::Store(ticket, _)) => machine.handle(now, Input::Stored(ticket)),
            Some(Output::Send(_, message)) => assert!(message.encode().len() <= freehold_sync::MESSAGE_MAX),
            Some(_) => {}
            None => return,
        }
    }
    unreachable!("it asks for ever");
}

/// Entries; messages between replicas; and such messages one after the other from a peer of the
/// realm to a replica whose outputs are obeyed.
pub fn placement(data: &[u8]) {
    if let Ok(entry) = Entry::decode(data) {
        assert_eq!(entry.to_bytes(), data, "two spellings of one entry");
        done(entry.verify());
        done(entry.id());
    }
    if let Ok(message) = freehold_placement::Message::decode(data) {
        assert_eq!(message.encode(), data, "two spellings of one message");
    }
    let (mut replica, peer) = store();
    let mut now = Millis(1000);
    obey(&mut replica, now);
    let mut rest = data;
    while let Some(([high, low], after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (said, after) = after.split_at(len.min(after.len()));
        rest = after;
        now = now.plus(Millis(len as u64));
        let said = freehold_placement::Message::decode(said);
        let heard = freehold_placement::Input::Garbage(peer);
        replica.handle(now, said.map_or(heard, |said| freehold_placement::Input::Received(peer, said)));
        obey(&mut replica, now);
        if replica.poll_timeout().is_some_and(|(at, _)| at <= now) {
            replica.handle_timeout(now);
            obey(&mut replica, now);
        }
        done(replica.describe());
    }
}

/// Whose entries the corpus has.
static WRITER: std::sync::LazyLock<NodeId> = std::sync::LazyLock::new(|| {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([1; 32]));
    NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap_or_default())
});

/// A replica of two nodes and one bucket, connected to the other.
fn store() -> (Replica, NodeId) {
    let (me, peer) = (NodeId::from_bytes([8; 32]), NodeId::from_bytes([9; 32]));
    let node = NodeView { stores: true, ..NodeView::default() };
    let view = View {
        realm: RealmId::from_bytes([1; 32]),
        directory: BucketId::from_bytes([7; 32]),
        nodes: BTreeMap::from([(me, node), (peer, node)]),
        buckets: BTreeMap::from([(
            BucketId::from_bytes([2; 32]),
            BucketView { copies: 2, ..BucketView::default() },
        )]),
        members: BTreeSet::from([me, peer, *WRITER]),
        writers: BTreeSet::from([*WRITER]),
        cuts: BTreeMap::new(),
        quiet: BTreeSet::new(),
    };
    let mut replica = Replica::new(me, view);
    replica.handle(Millis(1000), freehold_placement::Input::Clock(Millis(1_795_000_000_000)));
    replica.handle(Millis(1000), freehold_placement::Input::Connected(peer));
    (replica, peer)
}

/// Does what it asks, until it asks for nothing; that it stops asking is part of the law.
fn obey(replica: &mut Replica, now: Millis) {
    use freehold_placement::{FetchError, Input, MESSAGE_MAX, Output};
    for asked in 0..10_000 {
        match replica.poll_output() {
            Some(Output::Store(ticket, _)) => replica.handle(now, Input::Stored(ticket)),
            Some(Output::Load(load)) => replica.handle(now, Input::Loaded(load, Vec::new())),
            Some(Output::Fetch { blob, .. }) if asked % 2 == 0 => {
                replica.handle(now, Input::Fetched(blob));
            }
            Some(Output::Fetch { blob, .. }) => {
                replica.handle(now, Input::FetchFailed(blob, FetchError::Missing));
            }
            Some(Output::Send(_, message)) => assert!(message.encode().len() <= MESSAGE_MAX),
            Some(_) => {}
            None => return,
        }
    }
    unreachable!("it asks for ever");
}

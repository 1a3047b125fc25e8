//! A backend that lies: each attack is seen by reading and by verifying, and undone from a good
//! copy.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_disk::EntryRow;
use freehold_placement::{BlobRef, Draft, payload_hash};
use freehold_vault::{Damage, GetError, VerifyReport};
use freehold_wire::{Bounded, Digest, Hlc, NodeId};

use crate::world::{Peer, Setup, Witness, World, random};

const CHUNK: u64 = (1 << 16) + 16;
const HEADER: u64 = 80;

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn resize(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn swap_chunks(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut chunks = [vec![0; 65_552], vec![0; 65_552]];
    file.read_exact_at(&mut chunks[0], HEADER).unwrap();
    file.read_exact_at(&mut chunks[1], HEADER + CHUNK).unwrap();
    file.write_all_at(&chunks[1], HEADER).unwrap();
    file.write_all_at(&chunks[0], HEADER + CHUNK).unwrap();
}

/// What an attack may lay its hands on: the victim's blob, another object's, and the blob of an
/// older version of the victim.
struct Files {
    victim: PathBuf,
    other: PathBuf,
    older: Vec<u8>,
}

type Attack = (&'static str, Damage, fn(&Files));

const ATTACKS: [Attack; 12] = [
    ("flip a bit of the magic", Damage::Altered, |files| flip(&files.victim, 0)),
    ("flip a bit of the commitment", Damage::Altered, |files| flip(&files.victim, 60)),
    ("flip a bit of the first chunk", Damage::Altered, |files| flip(&files.victim, HEADER + 5)),
    ("flip a bit of the last tag", Damage::Altered, |files| {
        flip(&files.victim, std::fs::metadata(&files.victim).unwrap().len() - 1);
    }),
    ("swap two chunks", Damage::Altered, |files| swap_chunks(&files.victim)),
    ("cut at a chunk's edge", Damage::Cut, |files| resize(&files.victim, HEADER + 2 * CHUNK)),
    ("cut inside a chunk", Damage::Cut, |files| resize(&files.victim, HEADER + 2 * CHUNK + 99)),
    ("cut to nothing", Damage::Cut, |files| resize(&files.victim, 0)),
    ("make longer", Damage::Cut, |files| resize(&files.victim, HEADER + 9 * CHUNK)),
    ("put another object's blob in its place", Damage::Swapped, |files| {
        std::fs::copy(&files.other, &files.victim).unwrap();
    }),
    ("replay the older version", Damage::Swapped, |files| {
        freehold_disk::replace(&files.victim, &files.older, 0o600).unwrap();
    }),
    ("drop it", Damage::Missing, |files| std::fs::remove_file(&files.victim).unwrap()),
];

async fn prepare(world: &World) -> (Files, Vec<u8>) {
    world.put("victim", &random(4 << 16)).await.unwrap();
    let older = std::fs::read(world.blob_file("victim")).unwrap();
    let content = random(4 << 16);
    world.put("victim", &content).await.unwrap();
    world.put("other", &random(4 << 16)).await.unwrap();
    let files = Files { victim: world.blob_file("victim"), other: world.blob_file("other"), older };
    (files, content)
}

#[tokio::test]
async fn each_attack_is_seen() {
    for (name, damage, attack) in ATTACKS {
        let home = tempfile::tempdir().unwrap();
        let world = World::open(home.path()).await;
        let (files, _) = prepare(&world).await;
        assert_eq!(world.vault.verify(None, false).await.unwrap().findings, []);
        attack(&files);
        match world.get("victim").await {
            Err(GetError::Tampered) => {}
            Err(GetError::Missing) if damage == Damage::Missing => {}
            other => panic!("{name}: {other:?}"),
        }
        let told = std::sync::atomic::AtomicU64::new(0);
        let tell = |report: &VerifyReport| {
            told.store(report.entries, std::sync::atomic::Ordering::SeqCst);
        };
        let report = world.vault.verify_telling(Some(&world.bucket), true, &tell).await.unwrap();
        assert_eq!(told.into_inner(), report.entries);
        let [finding] = report.findings.as_slice() else { panic!("{name}: {report:?}") };
        assert_eq!(finding.damage, damage, "{name}");
        assert_eq!((finding.key.as_deref(), finding.repaired), (Some("victim"), false), "{name}");
        world.get("other").await.unwrap();
    }
}

#[tokio::test]
async fn each_attack_is_undone_from_a_good_copy() {
    for (name, damage, attack) in ATTACKS {
        let (home, good) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = World::open(home.path()).await;
        let (files, content) = prepare(&first).await;
        let peer = World::with(good.path(), Setup { node: 2, ..Setup::default() }).await;
        first.send_entries(&peer);
        for key in ["victim", "other"] {
            let blob = first.blobs(key)[0];
            let stream = first.vault.depot().open(blob.name).await.unwrap().stream(0..blob.len);
            let stream = futures::TryStreamExt::map_err(stream, Into::into);
            peer.vault.depot().put_stream(&blob, Box::pin(stream)).await.unwrap();
        }
        drop(first);

        let witness = Arc::new(Witness::default());
        let replication = Arc::<Witness>::clone(&witness);
        let peers = Arc::new(Peer { depot: peer.vault.depot().clone() });
        let setup = Setup { peers, replication, ..Setup::default() };
        let world = World::with(home.path(), setup).await;
        attack(&files);
        assert_eq!(world.get("victim").await.unwrap(), content, "{name}: read from the good copy");
        let blob = world.blobs("victim")[0].name;
        assert!(witness.lost.lock().unwrap().contains(&blob), "{name}: replication was not told");
        let report = world.vault.verify(None, true).await.unwrap();
        // The older version's blob went nowhere else, and nothing refers to it any more.
        let [finding] = report.findings.as_slice() else { panic!("{name}: {report:?}") };
        assert_eq!((finding.damage, finding.repaired), (damage, true), "{name}");
        drop(world);

        let alone = World::open(home.path()).await;
        assert_eq!(alone.get("victim").await.unwrap(), content, "{name}: repaired");
        assert_eq!(alone.vault.verify(None, false).await.unwrap().findings, []);
    }
}

/// The copy on the node that wrote it, where others are to hold it: for a while it is the only one.
#[tokio::test]
async fn what_lies_here_but_belongs_elsewhere_is_read_too() {
    let home = tempfile::tempdir().unwrap();
    let replication = Arc::new(Witness { elsewhere: true, ..Witness::default() });
    let world = World::with(home.path(), Setup { replication, ..Setup::default() }).await;
    let (files, _) = prepare(&world).await;
    assert_eq!(world.vault.verify(None, false).await.unwrap().blobs, 2);
    flip(&files.victim, HEADER + 5);
    let report = world.vault.verify(None, false).await.unwrap();
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((finding.damage, finding.key.as_deref()), (Damage::Altered, Some("victim")));
    std::fs::remove_file(&files.victim).unwrap();
    let report = world.vault.verify(None, false).await.unwrap();
    assert_eq!((report.blobs, report.findings.len()), (1, 0), "given up, as it should be");
}

#[tokio::test]
async fn a_peer_that_lies_too_is_not_believed() {
    let (home, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(home.path()).await;
    let (files, _) = prepare(&first).await;
    drop(first);
    let liar = World::with(bad.path(), Setup { node: 2, ..Setup::default() }).await;
    let wrong = std::fs::read(&files.other).unwrap();
    let path = liar.home.join("depot").join(files.victim.strip_prefix(home.path().join("depot")).unwrap());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    freehold_disk::replace(&path, &wrong, 0o600).unwrap();
    std::fs::remove_file(&files.victim).unwrap();
    let peers = Arc::new(Peer { depot: liar.vault.depot().clone() });
    let world = World::with(home.path(), Setup { peers, ..Setup::default() }).await;
    assert!(matches!(world.get("victim").await, Err(GetError::Tampered)));
    let report = world.vault.verify(None, true).await.unwrap();
    assert_eq!((report.findings[0].damage, report.findings[0].repaired), (Damage::Missing, false));
    assert!(!files.victim.exists(), "a bad copy must not get in");
}

#[tokio::test]
async fn entries_that_are_moved_do_not_open() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.put("a", b"one").await.unwrap();
    world.put("b", b"two").await.unwrap();
    let mut rows: Vec<EntryRow> = Vec::new();
    world
        .entries
        .scan(|row| {
            rows.push(row);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let [first, second] = rows.try_into().unwrap();
    let moved = EntryRow { payload: second.payload, ..first };
    world
        .entries
        .write(move |txn| {
            txn.erase_payload(&moved.bucket, &moved.origin, moved.seq)?;
            txn.insert(&moved)
        })
        .unwrap();
    assert!(matches!(world.get("a").await, Err(GetError::Tampered)));
    assert_eq!(world.get("b").await.unwrap(), b"two");
    assert_eq!(world.vault.verify(None, false).await.unwrap().bad_entries, 1);
    drop(world);
    let world = World::open(home.path()).await;
    assert_eq!(world.keys(), ["b"]);
}

#[tokio::test]
async fn one_blob_is_checked_without_a_key() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.put("k", &random(100_000)).await.unwrap();
    let (blob, file) = (world.blobs("k")[0], world.blob_file("k"));
    world.vault.keys().remove(&world.bucket);
    assert_eq!(world.vault.check_blob(&blob).await.unwrap(), None);
    flip(&file, 90_000);
    assert_eq!(world.vault.check_blob(&blob).await.unwrap(), Some(Damage::Altered));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(world.vault.check_blob(&blob).await.unwrap(), Some(Damage::Missing));
}

/// Another writer's entry names the victim's blob with another hash, and a peer has such bytes.
#[tokio::test]
async fn an_entry_that_disputes_a_blob_does_not_have_it_replaced() {
    let (home, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let liar = World::with(bad.path(), Setup { node: 2, ..Setup::default() }).await;
    let witness = Arc::new(Witness::default());
    let replication = Arc::<Witness>::clone(&witness);
    let peers = Arc::new(Peer { depot: liar.vault.depot().clone() });
    let world = World::with(home.path(), Setup { peers, replication, ..Setup::default() }).await;
    let (files, content) = prepare(&world).await;
    let genuine = std::fs::read(&files.victim).unwrap();
    let lie = vec![7; genuine.len()];
    let hash = freehold_crypt::hash::Hasher::plain().update(&lie).finish();
    let blob = BlobRef { hash: Digest::from_bytes(hash), ..world.blobs("victim")[0] };
    let pieces = futures::stream::iter([Ok(bytes::Bytes::from(lie))]);
    liar.vault.depot().put_stream(&blob, Box::pin(pieces)).await.unwrap();
    let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([2; 32]));
    let origin = NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap());
    let draft = Draft {
        realm: crate::world::REALM,
        bucket: world.bucket,
        origin,
        seq: 1,
        hlc: Hlc::default(),
        blobs: Bounded::fill(&mut [blob].into_iter()),
        payload_hash: payload_hash(b"lie"),
        says: None,
    };
    let (entry, payload) = (draft.sign(&key).to_bytes(), Some(b"lie".to_vec()));
    let row = EntryRow { bucket: world.bucket, origin, seq: 1, entry, payload };
    world.entries.write(move |txn| txn.insert(&row).map(drop)).unwrap();

    witness.unwanted.lock().unwrap().push(blob.name);
    let report = world.vault.verify(None, true).await.unwrap();
    assert_eq!((report.findings[0].blob, report.findings[0].repaired), (blob.name, false));
    assert!(witness.lost.lock().unwrap().is_empty());
    assert_eq!(std::fs::read(&files.victim).unwrap(), genuine);
    assert_eq!(world.get("victim").await.unwrap(), content);
}

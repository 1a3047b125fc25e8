//! What metering takes of a friend's storing: objects written and read through a [`Room`], in turn with the same calls on the
//! disk and nothing counted. A pass is judged once, when a machine shows it: what that takes is said by itself.
//!
//! `cargo run --release -p freehold-lent --example metering FOLDER`
#![expect(clippy::print_stdout, reason = "its output is read by a person")]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_disk::{make_private_dir, sync_dir};
use freehold_lent::Room;
use freehold_passes::{Claim, Ground, LIFE_MAX, Pass, Recalls, judge};
use freehold_realm::body::{Ceilings, Resource, Terms};
use freehold_realm::{Grant, Side};
use freehold_wire::{BlobName, GrantId, Hex, Millis, NodeId, OpId, RealmId};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const NOW: Millis = Millis(1_800_000_000_000);
const LENDER: RealmId = RealmId::from_bytes([1; 32]);
const BORROWER: RealmId = RealmId::from_bytes([2; 32]);
const GRANT: GrantId = GrantId::from_bytes([3; 32]);
const NODE: NodeId = NodeId::from_bytes([4; 32]);
/// Of each kind, so many times in turn.
const ROUNDS: usize = 9;

/// What a lender knows, and what a borrower shows.
struct Shown {
    grants: BTreeMap<GrantId, Grant>,
    recalls: Recalls,
    pass: Pass,
}

impl Shown {
    fn new() -> Self {
        let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([7; 32]));
        let until = NOW.plus(LIFE_MAX);
        let (grant, lender, borrower, node) = (GRANT, LENDER, BORROWER, NODE);
        let pass = Pass::sign(Claim { grant, lender, borrower, node, from: NOW, until }, &key);
        let known = Grant {
            side: Side::Lends,
            other: BORROWER,
            offer: OpId::from_bytes([5; 32]),
            said_in: OpId::from_bytes([5; 32]),
            terms: Terms {
                resource: Resource::Storage,
                ceilings: Ceilings::default(),
                from: NOW,
                until: until.plus(LIFE_MAX),
                wind_down_days: 30,
            },
            keys: vec![key.verifying()],
            homes: vec![],
            revoked: false,
            ended: None,
            suspended: false,
            standing_in: None,
        };
        Self { grants: BTreeMap::from([(GRANT, known)]), recalls: Recalls::default(), pass }
    }

    fn judged(&self) -> Outcome {
        let ground = Ground { realm: LENDER, grants: &self.grants, recalls: &self.recalls, now: NOW };
        judge(&ground, &self.pass, NODE, |_| false).map(drop).map_err(|why| format!("{why:?}").into())
    }
}

fn name(number: usize) -> BlobName {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    BlobName::from_bytes(bytes)
}

/// What a room does on the disk.
fn bare(dir: &Path, number: usize, bytes: &[u8]) -> Outcome {
    let (coming, objects) = (dir.join("coming"), dir.join("objects"));
    let path = coming.join(format!("whole-{number}"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&path, objects.join(Hex(name(number).as_bytes()).to_string()))?;
    Ok(sync_dir(&objects)?)
}

fn bare_read(dir: &Path, number: usize) -> Outcome<usize> {
    let path = dir.join("objects").join(Hex(name(number).as_bytes()).to_string());
    let (mut file, mut bytes) = (File::open(path)?, Vec::new());
    let len = file.metadata()?.len();
    Ok(std::io::Read::by_ref(&mut file).take(len).read_to_end(&mut bytes)?)
}

fn timed(work: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The middle one.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn compared(folder: &Path, what: &str, size: usize, count: usize) -> Outcome {
    let bytes = vec![0x5a; size];
    let (mut writes, mut reads) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..ROUNDS {
        let (metered, plain) =
            (folder.join(format!("{what}-m{round}")), folder.join(format!("{what}-p{round}")));
        let room = Room::open(&metered, (u64::MAX, u64::MAX), NOW)?;
        make_private_dir(&plain.join("coming"))?;
        make_private_dir(&plain.join("objects"))?;
        let put = || (0..count).try_for_each(|n| Ok(room.put(name(n), &bytes)?));
        let bare_put = || (0..count).try_for_each(|n| bare(&plain, n, &bytes));
        // Whoever comes second finds the disk as the first one left it: in turn.
        if round % 2 == 0 {
            writes[0].push(timed(put)?);
            writes[1].push(timed(bare_put)?);
        } else {
            writes[1].push(timed(bare_put)?);
            writes[0].push(timed(put)?);
        }
        reads[0].push(timed(|| {
            (0..count).try_for_each(|n| {
                let (_, read) = room.get(name(n), (0, u64::MAX), NOW)?.ok_or("nothing")?;
                if read.len() == size { Ok(()) } else { Err("not all of it".into()) }
            })
        })?);
        reads[1].push(timed(|| (0..count).try_for_each(|n| bare_read(&plain, n).map(drop)))?);
        std::fs::remove_dir_all(&metered)?;
        std::fs::remove_dir_all(&plain)?;
    }
    for (kind, [with, without]) in [("written", writes), ("read", reads)] {
        let (with, without) = (median(with), median(without));
        println!(
            "{what}, {kind}: {with:.3} s with, {without:.3} s without: {:+.2} %",
            (with / without - 1.0) * 100.0
        );
    }
    Ok(())
}

fn main() -> Outcome {
    let folder = std::env::args().nth(1).ok_or("a folder on the disk to measure, please")?;
    let folder = tempfile::tempdir_in(folder)?;
    let shown = Shown::new();
    let took = timed(|| (0..10_000).try_for_each(|_| shown.judged()))?;
    println!("a pass judged: {:.1} µs", took * 100.0);
    compared(folder.path(), "4 MiB", 4 << 20, 48)?;
    compared(folder.path(), "256 KiB", 256 << 10, 200)
}

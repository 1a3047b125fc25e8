//! What a live connection to another machine takes in memory: one mesh, its resident size alone and with so many
//! others connected to it, all on this machine; prints a row for docs/benchmarks.md.
//!
//! `cargo run --release -p freehold-mesh --example peers 200`

#![expect(clippy::print_stdout, reason = "it measures and prints")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_mesh::{Addresses, BlobSource, Config, Doorman, Event, Gate, Mesh, Proof, Served, Unavailable};
use freehold_wire::{BlobName, NodeId};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

type Failure = Box<dyn std::error::Error>;

const ANY: &str = "127.0.0.1:0";
/// All are to be there by then.
const PATIENCE: Duration = Duration::from_mins(2);
/// As long as a connection needs to settle: what its beginning took is given back.
const REST: Duration = Duration::from_secs(20);

/// Everybody belongs, and there is nothing else.
struct Open;

impl Gate for Open {
    fn admits(&self, _: NodeId) -> bool {
        true
    }
}

#[async_trait::async_trait]
impl BlobSource for Open {
    async fn open(&self, _: NodeId, _: BlobName, _: Range<u64>) -> Result<Served, Unavailable> {
        Err(Unavailable::NotHere)
    }
}

#[async_trait::async_trait]
impl Doorman for Open {
    fn admit(&self, _: &Proof) -> bool {
        false
    }

    async fn serve(&self, _: Proof, _: Bytes) -> Bytes {
        Bytes::new()
    }
}

fn id(seed: [u8; 32]) -> Result<NodeId, Failure> {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes(seed));
    Ok(NodeId::from_bytes(key.verifying().ed25519_bytes().ok_or("no key of a node")?))
}

/// Seeds of machines before the one that all of them dial: the first of two by id is who dials.
fn crowd() -> impl Iterator<Item = [u8; 32]> {
    seeds().filter(|seed| id(*seed).is_ok_and(|id| id.as_bytes()[0] < 0xff))
}

fn seeds() -> impl Iterator<Item = [u8; 32]> {
    (1_u32..).map(|number| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        seed
    })
}

fn hub() -> Result<[u8; 32], Failure> {
    let last = |seed: &[u8; 32]| id(*seed).is_ok_and(|id| id.as_bytes()[0] == 0xff);
    seeds().find(last).ok_or_else(|| "there are enough".into())
}

async fn start(seed: [u8; 32]) -> Result<(Mesh, mpsc::Receiver<Event>), Failure> {
    let (config, open) = (Config::new(Secret::from_bytes(seed), vec![ANY.parse()?]), Arc::new(Open));
    Ok(Mesh::start(config, Arc::clone(&open) as Arc<dyn Gate>, Arc::clone(&open) as _, open).await?)
}

/// Machines in a process of their own, until its standard input ends.
async fn others(at: SocketAddr, number: usize) -> Result<(), Failure> {
    let peer = BTreeMap::from([(id(hub()?)?, Addresses::new([at], [], None))]);
    let mut all = Vec::new();
    for seed in crowd().take(number) {
        let one = start(seed).await?;
        one.0.set_peers(peer.clone()).await;
        all.push(one);
    }
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no size")?;
    Ok(line.split_whitespace().next().ok_or("no size")?.parse()?)
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    freehold_allocator::give_back_soon();
    let mut words = std::env::args().skip(1);
    let number: usize = words.next().map_or(Ok(200), |word| word.parse())?;
    if let Some(at) = words.next() {
        return others(at.parse()?, number).await;
    }
    let (mesh, mut told) = start(hub()?).await?;
    let mut peers = BTreeMap::new();
    for seed in crowd().take(number) {
        peers.insert(id(seed)?, Addresses::default());
    }
    mesh.set_peers(peers).await;
    let alone = resident()?;
    let at = mesh.bound().first().copied().ok_or("no socket")?;
    let mut crowd = tokio::process::Command::new(std::env::current_exe()?)
        .args([number.to_string(), at.to_string()])
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut up, begun) = (0, Instant::now());
    while up < number {
        match tokio::time::timeout(PATIENCE, told.recv()).await?.ok_or("the mesh has ended")? {
            Event::Up(..) => up += 1,
            Event::Down(..) => up -= 1,
            Event::Message(..) => {}
        }
    }
    let took = begun.elapsed();
    // Nothing is to be said, only to be kept alive.
    let most = resident()?;
    let rest = tokio::time::timeout(REST, async { while told.recv().await.is_some() {} });
    drop(rest.await);
    let each = |now: u64| now.saturating_sub(alone) / number as u64;
    let (now, live) = (resident()?, mesh.peers().iter().filter(|peer| peer.connected).count());
    println!(
        "| {live} machines connected to one | all in {:.1} s; {} KiB each of resident memory, {} at their beginning; {} MiB without any |",
        took.as_secs_f64(),
        each(now),
        each(most),
        alone >> 10,
    );
    crowd.kill().await?;
    mesh.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

//! The shapes of YCSB, A to F, on a database, on etcd, and on SlateDB as it is: each write waits until
//! it is on the disk, on the same disk, with as many clients.

mod bare;
mod etcd;
mod ours;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use freehold_harness::Story;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

/// Records that are there before, and operations of a shape, unless `FREEHOLD_BENCH_KV` says how many.
const RECORDS: u64 = 10_000;
const CLIENTS: u64 = 16;
/// As in YCSB: ten fields of 100 bytes.
const VALUE: usize = 1000;
/// Keys of a scan at most.
const SCAN: u64 = 100;

/// What is measured.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    /// What it is called in the table.
    fn name(&self) -> &'static str;
    /// Reads a key that is there.
    async fn read(&self, key: &str) -> Result<()>;
    /// Writes a key; it is on the disk when this returns.
    async fn write(&self, key: &str, value: Vec<u8>) -> Result<()>;
    /// Reads some keys from one on.
    async fn scan(&self, from: &str, count: u64) -> Result<()>;
    /// Writes what was read, unless somebody else has written meanwhile.
    async fn modify(&self, key: &str, value: Vec<u8>) -> Result<()>;
}

/// Parts of a hundred of each operation.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    read: u32,
    update: u32,
    insert: u32,
    scan: u32,
    /// Those that were written last are read most.
    latest: bool,
}

const fn shape(name: &'static str, read: u32, update: u32, insert: u32, scan: u32, latest: bool) -> Shape {
    Shape { name, read, update, insert, scan, latest }
}

/// What is left of a hundred reads, changes and writes.
const SHAPES: [Shape; 6] = [
    shape("A (half reads, half updates)", 50, 50, 0, 0, false),
    shape("B (reads, one update in 20)", 95, 5, 0, 0, false),
    shape("C (reads only)", 100, 0, 0, 0, false),
    shape("D (reads of the latest, one insert in 20)", 95, 0, 5, 0, true),
    shape("E (short scans, one insert in 20)", 0, 0, 5, 95, false),
    shape("F (half reads, half read and changed)", 50, 0, 0, 0, false),
];

/// Rows of the table.
pub(crate) fn shapes(story: &Story) -> Result<()> {
    let records = match std::env::var("FREEHOLD_BENCH_KV") {
        Ok(count) => count.parse().context("FREEHOLD_BENCH_KV is a number")?,
        Err(_) => RECORDS,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let host = story.host("kv")?;
    let mut node = host.node()?;
    node.up(&[])?;
    let etcd = etcd::Server::start(&host)?;
    let folder = host.folder().join("bare");
    std::fs::create_dir_all(&folder)?;
    runtime.block_on(async {
        let stores: [Arc<dyn Store>; 3] = [
            Arc::new(ours::Ours::open(&node.home().join("control.sock")).await?),
            Arc::new(etcd.client().await?),
            Arc::new(bare::Bare::open(&folder).await?),
        ];
        let mut loaded = Vec::new();
        for store in &stores {
            alone(store).await?;
            loaded.push(load(store, records).await?);
        }
        row("load: inserts", &stores, &loaded);
        for shape in SHAPES {
            let mut rates = Vec::new();
            for store in &stores {
                rates.push(run(store, shape, records).await?);
            }
            row(shape.name, &stores, &rates);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    drop(etcd);
    node.stop()
}

fn row(what: &str, stores: &[Arc<dyn Store>], rates: &[f64]) {
    let told: Vec<String> =
        stores.iter().zip(rates).map(|(store, rate)| format!("{} {rate:.0}/s", store.name())).collect();
    println!("| KV {what}, {CLIENTS} clients | {} |", told.join("; "));
}

/// One write after the other, each waiting for the disk.
async fn alone(store: &Arc<dyn Store>) -> Result<()> {
    let mut took = Vec::new();
    for number in 0..51 {
        let begun = Instant::now();
        store.write(&format!("alone{number}"), vec![b'x'; VALUE]).await?;
        took.push(begun.elapsed());
    }
    took.sort();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    println!("| KV a lone write until it is durable, {} | median {} µs |", store.name(), median.as_micros());
    Ok(())
}

fn key(number: u64) -> String {
    format!("user{number:012}")
}

async fn load(store: &Arc<dyn Store>, records: u64) -> Result<f64> {
    let took = crowd(records, |client| {
        let store = Arc::clone(store);
        async move {
            for number in (client..records).step_by(usize::try_from(CLIENTS)?) {
                store.write(&key(number), vec![b'x'; VALUE]).await?;
            }
            Ok(())
        }
    });
    took.await
}

/// Operations a second.
async fn run(store: &Arc<dyn Store>, shape: Shape, records: u64) -> Result<f64> {
    let took = crowd(records, |client| {
        let store = Arc::clone(store);
        async move {
            let mut draw = StdRng::seed_from_u64(client);
            let mut last = records;
            for turn in 0..records / CLIENTS {
                let at = zipf(&mut draw, records);
                let known =
                    key(if shape.latest { last.saturating_sub(1 + at) } else { scattered(at, records) });
                let value = || vec![b'y'; VALUE];
                match draw.random_range(0..100) {
                    part if part < shape.read => store.read(&known).await?,
                    part if part < shape.read + shape.update => store.write(&known, value()).await?,
                    part if part < shape.read + shape.update + shape.insert => {
                        let new = records + client + turn * CLIENTS;
                        store.write(&key(new), value()).await?;
                        last = records;
                    }
                    part if part < shape.read + shape.update + shape.insert + shape.scan => {
                        store.scan(&known, draw.random_range(1..=SCAN)).await?;
                    }
                    _ => store.modify(&known, value()).await?,
                }
            }
            Ok(())
        }
    });
    took.await
}

/// All clients at once; how many operations a second that was.
async fn crowd<F: Future<Output = Result<()>> + Send + 'static>(
    operations: u64,
    client: impl Fn(u64) -> F,
) -> Result<f64> {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(number));
    }
    clients.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(rate(operations, begun.elapsed()))
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(operations: u64, took: Duration) -> f64 {
    operations as f64 / took.as_secs_f64()
}

/// A number below `count`, small ones much more often: the share of the n-th falls as 1/n.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a draw"
)]
fn zipf(draw: &mut StdRng, count: u64) -> u64 {
    let part: f64 = draw.random();
    ((count as f64).powf(part) as u64).saturating_sub(1).min(count.saturating_sub(1))
}

/// The popular ones are anywhere among the keys.
const fn scattered(at: u64, count: u64) -> u64 {
    at.wrapping_mul(0x9E37_79B9_7F4A_7C15) % count
}

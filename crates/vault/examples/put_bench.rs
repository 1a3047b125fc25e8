//! How fast a vault writes and reads on this machine's disk, without a network in front.
//! `cargo run --release -p freehold-vault --example put_bench [DIRECTORY] [GiB of one large object]`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use freehold_crypt::{Algorithm, Entropy as _, SigningKey};
use freehold_disk::{EntryStore, OsEntropy};
use freehold_seal::KeyRing;
use freehold_vault::{
    Alone, Body, BoxError, BucketInfo, Depot, DepotLimits, Keyring, PutRequest, Shared, Vault, VaultConfig,
};
use freehold_wire::{BucketId, Millis, NodeId, RealmId};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

const MIB: u64 = 1 << 20;
const REALM: RealmId = RealmId::from_bytes([1; 32]);

fn main() -> Result<()> {
    freehold_allocator::give_back_soon();
    // As the daemon has it: each thread keeps memory of its own, and two cores need no more.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().max_blocking_threads(16).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let large: u64 = match arguments.next() {
        Some(gib) => gib.to_string_lossy().parse().context("the size of the large object in GiB")?,
        None => 0,
    };
    let home = tempfile::tempdir_in(parent)?;
    let signing = Arc::new(SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret()));
    let (bucket, ring) = KeyRing::found_bucket(REALM, &mut OsEntropy);
    let vault = open(home.path(), &signing, (bucket, ring.clone())).await?;
    if large > 0 {
        let put = timed(&vault, bucket, large << 30, 1, 1, true).await?;
        let get = timed(&vault, bucket, large << 30, 1, 1, false).await?;
        say(&format!("{large} GiB: put {put:.1} s, get {get:.1} s, {}", peak_memory()?))?;
    }
    for (size, count, at_once) in [(64 * MIB, 12, 1), (64 * MIB, 12, 2), (MIB, 400, 4), (4096, 8000, 32)] {
        let put = timed(&vault, bucket, size, count, at_once, true).await?;
        let get = timed(&vault, bucket, size, count, at_once, false).await?;
        let mb = |secs: f64| float(size * count) / secs / 1e6;
        say(&format!(
            "{size:>9} bytes, {at_once:>2} at once: put {:>6.0} MB/s {:>6.0}/s, get {:>6.0} MB/s {:>6.0}/s, {}",
            mb(put),
            float(count) / put,
            mb(get),
            float(count) / get,
            peak_memory()?,
        ))?;
    }
    let objects: u64 = vault.stats().values().map(|bucket| bucket.objects).sum();
    drop(vault);
    let start = Instant::now();
    let vault = open(home.path(), &signing, (bucket, ring)).await?;
    let took = start.elapsed().as_secs_f64();
    anyhow::ensure!(vault.stats().values().map(|bucket| bucket.objects).sum::<u64>() == objects);
    say(&format!("opened again with {objects} objects in {took:.3} s"))?;
    Ok(())
}

async fn open(home: &Path, signing: &Arc<SigningKey>, (bucket, ring): (BucketId, KeyRing)) -> Result<Vault> {
    let node = NodeId::from_bytes(signing.verifying().ed25519_bytes().context("an Ed25519 key")?);
    let keys = Keyring::default();
    keys.set(ring);
    let limits = DepotLimits { reserve_bytes: 1 << 30, quota_bytes: None };
    let shared = Shared {
        depot: Depot::local(&home.join("depot"), limits).await?,
        entries: Arc::new(EntryStore::open(&home.join("entries.redb"))?),
        keys,
        peers: Arc::new(Alone),
        replication: Arc::new(Alone),
    };
    let config = VaultConfig {
        realm: REALM,
        node,
        signing: Arc::clone(signing),
        grace: Millis::from_hours(1),
        upload_grace: Millis::from_hours(24),
        day: freehold_vault::DAY,
        confirm_timeout: Millis::from_secs(10),
    };
    let vault = Vault::open(config, shared).await?;
    let info = BucketInfo { name: "bench".into(), copies: 1, confirm: 1, created: Millis(0) };
    vault.set_buckets(BTreeMap::from([(bucket, info)]));
    Ok(vault)
}

/// Seconds to write or read `count` objects, `at_once` of them side by side.
async fn timed(
    vault: &Vault,
    bucket: BucketId,
    size: u64,
    count: u64,
    at_once: u64,
    put: bool,
) -> Result<f64> {
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..at_once {
        let vault = vault.clone();
        workers.spawn(async move {
            for number in (worker..count).step_by(usize::try_from(at_once)?) {
                let key = format!("{size}/{at_once}/{number}");
                if put {
                    vault.put(&bucket, &key, PutRequest::default(), body(size)).await?;
                } else {
                    let object = vault.get(&bucket, &key, None, None).await?;
                    let read =
                        object.body.try_fold(0, async |sum, piece| Ok(sum + piece.len() as u64)).await?;
                    anyhow::ensure!(read == size, "{read} bytes of {size} came back");
                }
            }
            Ok(())
        });
    }
    workers.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The same 64 KiB over and over, as pieces come from a socket.
fn body(size: u64) -> Body {
    let piece = Bytes::from(vec![7; 64 << 10]);
    let pieces = (0..size.div_ceil(64 << 10)).map(move |number| {
        let left = usize::try_from(size - (number << 16)).unwrap_or(usize::MAX);
        Ok::<_, BoxError>(piece.slice(..left.min(64 << 10)))
    });
    futures::stream::iter(pieces).boxed()
}

fn peak_memory() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).context("the peak of memory")?;
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn say(line: &str) -> Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").context("writing a result")
}

#[expect(clippy::cast_precision_loss, reason = "a number to look at")]
fn float(number: u64) -> f64 {
    number as f64
}

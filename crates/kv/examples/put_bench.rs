//! How long a write to a database takes until it is durable, alone and in a crowd, without a network
//! in front. `cargo run --release -p freehold-kv --example put_bench [DIRECTORY] [WRITES]`; under
//! `strace -f -c -e trace=fsync,fdatasync` it also shows what a write costs the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use freehold_crypt::{Algorithm, Entropy as _, SigningKey};
use freehold_disk::{EntryStore, OsEntropy};
use freehold_kv::{Kv, NewDatabase, Op, Realm, RealmError, Write};
use freehold_seal::KeyRing;
use freehold_vault::{Alone, BucketInfo, Depot, DepotLimits, Keyring, Shared, Vault, VaultConfig};
use freehold_wire::{BucketId, Millis, NodeId, RealmId};
use tokio::task::JoinSet;

const REALM: RealmId = RealmId::from_bytes([1; 32]);
const CROWD: usize = 16;

/// A realm of one node.
#[derive(Debug)]
struct One(Mutex<Option<(Vault, BucketId)>>);

#[async_trait]
impl Realm for One {
    async fn create(&self, name: &str, copies: u16, confirm: u16) -> Result<(), RealmError> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((vault, bucket)) = held.as_ref() {
            let info = BucketInfo { name: name.to_owned(), copies, confirm, created: Millis(0) };
            vault.set_buckets(BTreeMap::from([(*bucket, info)]));
        }
        Ok(())
    }

    async fn end(&self, _: &BucketId) -> Result<(), RealmError> {
        Ok(())
    }

    fn counts(&self, _: &NodeId) -> bool {
        true
    }

    fn heard(&self, _: &NodeId) -> Option<Millis> {
        None
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let writes: usize = match arguments.next() {
        Some(count) => count.to_string_lossy().parse().context("the number of writes")?,
        None => 500,
    };
    let home = tempfile::tempdir_in(parent)?;
    let signing = Arc::new(SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret()));
    let node = NodeId::from_bytes(signing.verifying().ed25519_bytes().context("an Ed25519 key")?);
    let (bucket, ring) = KeyRing::found_bucket(REALM, &mut OsEntropy);
    let keys = Keyring::default();
    keys.set(ring);
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
    let shared = Shared {
        depot: Depot::local(&home.path().join("depot"), limits).await?,
        entries: Arc::new(EntryStore::open(&home.path().join("entries.redb"))?),
        keys,
        peers: Arc::new(Alone),
        replication: Arc::new(Alone),
    };
    let config = VaultConfig {
        realm: REALM,
        node,
        signing,
        grace: Millis::from_hours(1),
        upload_grace: Millis::from_hours(24),
        day: freehold_vault::DAY,
        confirm_timeout: Millis::from_secs(10),
    };
    let vault = Vault::open(config, shared).await?;
    let kv = Kv::new(vault.clone(), node, Arc::new(One(Mutex::new(Some((vault, bucket))))));
    kv.create(&NewDatabase { name: "bench".into(), copies: 1, confirm: 1 }).await?;
    put(&kv, 0).await?;
    let mut took = Vec::with_capacity(writes);
    for number in 0..writes {
        took.push(put(&kv, number).await?);
    }
    took.sort();
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    say(&format!("alone: median {:?}, 99 of 100 within {:?}", at(50), at(99)))?;
    let begun = Instant::now();
    let mut crowd = JoinSet::new();
    for writer in 0..CROWD {
        let kv = kv.clone();
        crowd.spawn(async move {
            for number in (writer..writes).step_by(CROWD) {
                put(&kv, number).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    crowd.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    say(&format!("{CROWD} at once: {writes} writes in {:?}", begun.elapsed()))?;
    kv.close().await;
    Ok(())
}

async fn put(kv: &Kv, number: usize) -> Result<Duration> {
    let op = Op::Put { key: format!("key{number:08}"), value: vec![7; 100].into(), lasting: None };
    let begun = Instant::now();
    kv.write("bench", &Write { ops: vec![op], ..Write::default() }).await?;
    Ok(begun.elapsed())
}

fn say(line: &str) -> Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").context("writing a result")
}

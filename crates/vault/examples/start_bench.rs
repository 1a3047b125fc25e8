//! What a node's start costs with many small objects, step by step.
//! `cargo run --release -p freehold-vault --example start_bench [DIRECTORY] [OBJECTS]`

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use freehold_crypt::{Algorithm, Entropy as _, SigningKey};
use freehold_disk::{EntryRow, EntryStore, OsEntropy};
use freehold_placement::{BlobRef, BucketView, Draft, Entry, NodeView, Replica, View, payload_hash};
use freehold_seal::{
    Binding, BucketKey, KeyRing, Manifest, ManifestPart, ObjectKey, PayloadPlace, Stored, VersionId,
    blob_list_digest, cipher_len,
};
use freehold_vault::{Alone, BucketInfo, Depot, DepotLimits, Keyring, ListQuery, Shared, Vault, VaultConfig};
use freehold_wire::{BlobName, Bounded, BucketId, Digest, Hlc, Millis, NodeId, RealmId, Text};

#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

const REALM: RealmId = RealmId::from_bytes([1; 32]);

fn main() -> Result<()> {
    freehold_allocator::give_back_soon();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().max_blocking_threads(16).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let objects: u64 = match arguments.next() {
        Some(count) => count.to_string_lossy().parse().context("the number of objects")?,
        None => 100_000,
    };
    let scratch = tempfile::tempdir_in(parent)?;
    let home = scratch.path();
    let signing = Arc::new(SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret()));
    let node = NodeId::from_bytes(signing.verifying().ed25519_bytes().context("an Ed25519 key")?);
    let (bucket, ring) = KeyRing::found_bucket(REALM, &mut OsEntropy);
    let key = ring.current().context("a fresh ring has a key")?;
    let realm = Realm { node, bucket, signing, key: key.clone() };
    timed("filling", || realm.fill(home, objects))?;
    let store = timed("opening the store", || Ok(EntryStore::open(&home.join("entries.redb"))?))?;
    // As a power cut leaves it: nothing was closed.
    std::fs::copy(home.join("entries.redb"), home.join("cut.redb"))?;
    drop(timed("opening it after a power cut", || Ok(EntryStore::open(&home.join("cut.redb"))?))?);
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
    let whole = Watch::start()?;
    let start = Watch::start()?;
    let depot = Depot::local(&home.join("depot"), limits).await?;
    let held: BTreeSet<BlobName> = depot.names().await?.into_iter().collect();
    start.said("opening the depot")?;
    timed("reading entries", || Ok(store.scan(|_| ControlFlow::Continue(()))?))?;
    let keys = Keyring::default();
    keys.set(ring);
    let shared = Shared {
        depot,
        entries: Arc::new(store),
        keys,
        peers: Arc::new(Alone),
        replication: Arc::new(Alone),
    };
    let config = VaultConfig {
        realm: REALM,
        node,
        signing: Arc::clone(&realm.signing),
        grace: Millis::from_hours(1),
        upload_grace: Millis::from_hours(24),
        day: freehold_vault::DAY,
        confirm_timeout: Millis::from_secs(10),
    };
    let start = Watch::start()?;
    let machine = Replica::new(node, realm.view());
    let tell =
        |(machine, held): &mut (Replica, BTreeSet<BlobName>), entry: &Entry, payload: Option<usize>| {
            machine.restore(Millis(1), entry, payload, &mut |blob: &BlobRef| held.contains(&blob.name));
        };
    let (vault, _machine) = Vault::open_telling(config, shared, (machine, held), tell).await?;
    start.said("opening vault and replication")?;
    let opened = whole.0.elapsed();
    vault.set_buckets([(bucket, Realm::info())].into());
    let listed = Watch::start()?;
    list(&vault, &bucket, objects)?;
    row(&format!("a vault of {objects} objects opens"), opened)?;
    row(&format!("listing {objects} keys of one bucket, by pages of 1000"), listed.0.elapsed())?;
    listed.said("listing all, by pages of 1000")?;
    anyhow::ensure!(vault.stats().get(&bucket).is_some_and(|stats| stats.objects == objects));
    Ok(())
}

fn list(vault: &Vault, bucket: &BucketId, objects: u64) -> Result<()> {
    let (mut after, mut found) = (None, 0);
    loop {
        let page = vault.list(bucket, &ListQuery { after, max: 1000, ..ListQuery::default() })?;
        found += page.objects.len() as u64;
        after = page.next;
        if after.is_none() {
            anyhow::ensure!(found == objects, "{found} of {objects} objects were listed");
            return Ok(());
        }
    }
}

struct Realm {
    node: NodeId,
    bucket: BucketId,
    signing: Arc<SigningKey>,
    key: BucketKey,
}

impl Realm {
    fn view(&self) -> View {
        let node = NodeView { stores: true, ..NodeView::default() };
        View {
            realm: REALM,
            directory: BucketId::from_bytes([2; 32]),
            nodes: [(self.node, node)].into(),
            buckets: [(self.bucket, BucketView { copies: 1, ..BucketView::default() })].into(),
            members: [self.node].into(),
            writers: [self.node].into(),
            cuts: freehold_placement::Cuts::new(),
            quiet: BTreeSet::new(),
        }
    }

    fn info() -> BucketInfo {
        BucketInfo { name: "album".to_owned(), copies: 1, confirm: 1, created: Millis(0) }
    }

    /// As if `objects` had been written one after another, but for the waiting.
    fn fill(&self, home: &Path, objects: u64) -> Result<()> {
        let store = EntryStore::open(&home.join("entries.redb"))?;
        let numbers: Vec<u64> = (1..=objects).collect();
        for some in numbers.chunks(1000) {
            let rows = some.iter().map(|seq| self.row(home, *seq)).collect::<Result<Vec<_>>>()?;
            store.write(move |txn| rows.iter().try_for_each(|row| txn.insert(row).map(drop)))?;
        }
        Ok(())
    }

    fn row(&self, home: &Path, seq: u64) -> Result<EntryRow> {
        let name = format!("album {}/picture {seq}.jpg", seq / 100);
        let len = cipher_len(300).context("a length")?;
        let version = VersionId::random(&mut OsEntropy);
        let hash = Digest::from_bytes(OsEntropy.bytes32());
        let blob = BlobRef { name: BlobName::from_bytes(OsEntropy.bytes32()), len, hash };
        let hex = blob.name.to_string();
        let shard = home.join("depot").join(hex.get(..2).unwrap_or_default());
        std::fs::create_dir_all(&shard)?;
        std::fs::File::create(shard.join(&hex))?.set_len(len)?;
        let binding = Binding::new(REALM, self.bucket, &name, version);
        let stored = Stored {
            size: 300,
            etag: Text::new("d41d8cd98f00b204e9800998ecf8427e")?,
            content_type: Some(Text::new("image/jpeg")?),
            headers: Bounded::new(),
            metadata: Bounded::new(),
            checksums: Bounded::new(),
            parts: Bounded::from_vec(vec![ManifestPart { number: 1, plain_len: 300 }])?,
            blobs: blob_list_digest([(&blob.name, blob.len, &blob.hash)]),
            key: self.key.wrap(&binding, &ObjectKey::random(&mut OsEntropy), &mut OsEntropy),
            annotations: Bounded::new(),
            part_sums: None,
        };
        let manifest = Manifest {
            name: Text::new(name)?,
            version,
            modified: Millis(seq),
            stored: Some(Box::new(stored)),
            kind: None,
        };
        let place = PayloadPlace { realm: REALM, bucket: self.bucket, origin: self.node, seq };
        let payload = manifest.seal(&self.key, &place, &mut OsEntropy)?;
        let draft = Draft {
            realm: REALM,
            bucket: self.bucket,
            origin: self.node,
            seq,
            hlc: Hlc { wall: Millis(seq), count: 0 },
            blobs: Bounded::from_vec(vec![blob])?,
            payload_hash: payload_hash(&payload),
            says: None,
        };
        let entry = draft.sign(&self.signing).to_bytes();
        Ok(EntryRow { bucket: self.bucket, origin: self.node, seq, entry, payload: Some(payload) })
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Watch::start()?;
    let done = work()?;
    start.said(what)?;
    Ok(done)
}

/// A row of docs/benchmarks.md.
fn row(what: &str, took: Duration) -> Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "| {what} | {} ms |", took.as_millis()).context("writing")
}

/// Time on the wall and on all processors.
struct Watch(Instant, f64);

impl Watch {
    fn start() -> Result<Self> {
        Ok(Self(Instant::now(), processors()?))
    }

    fn said(self, what: &str) -> Result<()> {
        use std::io::Write as _;
        let (wall, busy) = (self.0.elapsed().as_secs_f64(), processors()? - self.1);
        writeln!(std::io::stdout(), "{what:<30} {wall:>7.3} s, {busy:>6.2} s of processors")
            .context("writing")
    }
}

fn processors() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let ticks = stat.split_whitespace().skip(13).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.collect::<Result<Vec<_>, _>>()?.into_iter().sum();
    Ok(f64::from(ticks) / 100.0)
}

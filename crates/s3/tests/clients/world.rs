//! A vault in a directory of its own and an S3 front over it, on a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use freehold_access::{Account, Principal, Right, Rights};
use freehold_crypt::{Algorithm, Entropy as _, SigningKey};
use freehold_disk::{EntryStore, OsEntropy};
use freehold_s3::{
    Buckets, BucketsError, Credentials, Holder, Hosts, Keys, Limits, ServeError, serve_within,
};
use freehold_seal::KeyRing;
use freehold_vault::{Alone, BucketInfo, Depot, DepotLimits, Keyring, Shared, Vault, VaultConfig};
use freehold_wire::{BucketId, Millis, NodeId, RealmId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const KEY_ID: &str = "FHTESTKEY";
pub(crate) const SECRET: &str = "a-secret-that-only-tests-use-0123456789ab";

const REALM: RealmId = RealmId::from_bytes([7; 32]);

/// Opens a vault below `home`, alone in its realm.
pub(crate) async fn vault(home: &Path) -> (Arc<Vault>, Arc<dyn Buckets>) {
    let signing = SigningKey::from_seed(Algorithm::Ed25519, &OsEntropy.secret());
    let node = NodeId::from_bytes(signing.verifying().ed25519_bytes().expect("an Ed25519 key"));
    let keys = Keyring::default();
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
    let entries = Arc::new(EntryStore::open(&home.join("entries.redb")).expect("the entry store opens"));
    let depot = Depot::beside(Arc::clone(&entries), &home.join("depot"), limits).await;
    let shared = Shared {
        depot: depot.expect("the depot opens"),
        entries,
        keys: keys.clone(),
        peers: Arc::new(Alone),
        replication: Arc::new(Alone),
    };
    let config = VaultConfig {
        realm: REALM,
        node,
        signing: Arc::new(signing),
        grace: Millis(0),
        upload_grace: Millis(0),
        day: freehold_vault::DAY,
        confirm_timeout: Millis(1000),
    };
    let vault = Arc::new(Vault::open(config, shared).await.expect("the vault opens"));
    let buckets = Arc::new(Ledger { vault: Arc::clone(&vault), keys, one_at_a_time: Mutex::new(()) });
    (vault, buckets)
}

/// What the node does with the realm log, without one.
struct Ledger {
    vault: Arc<Vault>,
    keys: Keyring,
    one_at_a_time: Mutex<()>,
}

#[async_trait]
impl Buckets for Ledger {
    async fn create(&self, name: &str) -> Result<(), BucketsError> {
        let _guard = self.one_at_a_time.lock().expect("no panic under the lock");
        let mut buckets: BTreeMap<BucketId, BucketInfo> = self.vault.buckets();
        if buckets.values().any(|info| info.name == name) {
            return Err(BucketsError::Exists);
        }
        let (id, ring) = KeyRing::found_bucket(REALM, &mut OsEntropy);
        self.keys.set(ring);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let info =
            BucketInfo { name: name.to_owned(), copies: 1, confirm: 1, created: Millis::from_secs(now) };
        buckets.insert(id, info);
        self.vault.set_buckets(buckets);
        Ok(())
    }

    async fn delete(&self, id: &BucketId) -> Result<(), BucketsError> {
        let _guard = self.one_at_a_time.lock().expect("no panic under the lock");
        let mut buckets = self.vault.buckets();
        buckets.remove(id);
        self.vault.set_buckets(buckets);
        Ok(())
    }
}

/// Keys of several principals, all with one secret: the realm owner's; `ALT`, `MAIN` and `TENANT` behind it
/// are three services' that may do everything; `READ` a service's that may read and list what begins with
/// `in/` in the bucket `shared`, and `ENDED` one whose time is over.
struct Ring;

impl Ring {
    fn service(name: &str) -> Principal {
        Principal::Service(Account::Realm, name.parse().expect("a service's name"))
    }
}

impl Keys for Ring {
    fn pair(&self, access_key_id: &str) -> Option<Credentials> {
        self.holder(access_key_id).map(|_| Credentials::new(access_key_id, SECRET))
    }

    fn holder(&self, access_key_id: &str) -> Option<Holder> {
        let all = Rights::all;
        let (who, rights) = match access_key_id.strip_prefix(KEY_ID)? {
            "" => (Principal::REALM, all()),
            "ALT" => (Self::service("alt"), all()),
            "MAIN" => (Self::service("main"), all()),
            "TENANT" => (Self::service("tenant"), all()),
            "READ" => {
                let rights = Rights {
                    buckets: std::iter::once("shared".to_owned()).collect(),
                    prefix: "in/".to_owned(),
                    allow: [Right::Read, Right::List].into_iter().collect(),
                    until_ms: None,
                };
                (Self::service("reader"), rights)
            }
            "ENDED" => (Self::service("old"), Rights { until_ms: Some(1), ..all() }),
            _ => return None,
        };
        Some(Holder { who, rights })
    }

    fn knows(&self, who: &Principal) -> bool {
        ["main", "alt", "tenant", "reader", "old"].map(Self::service).contains(who)
            || *who == Principal::REALM
    }
}

/// Serves `home` until `cancel`.
pub(crate) async fn run(
    home: &Path,
    listener: TcpListener,
    limits: Limits,
    cancel: CancellationToken,
) -> Result<Arc<Vault>, ServeError> {
    let (vault, buckets) = vault(home).await;
    let keys = Arc::new(Ring);
    serve_within(listener, Arc::clone(&vault), buckets, keys, cancel, (Hosts::default(), limits)).await?;
    Ok(vault)
}

/// A free port on the loopback interface.
pub(crate) async fn listen(port: u16) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    let address = listener.local_addr().expect("a bound listener has an address");
    (listener, address)
}

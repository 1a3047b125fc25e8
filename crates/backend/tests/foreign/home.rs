//! A backend in a home of its own, with a depot on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_backend::{MapError, Pace, Packed};
use freehold_crypt::Secret;
use freehold_vault::{Depot, DepotError, DepotLimits};
use freehold_wire::BlobName;

use super::liar::Liar;

/// Nothing waits longer than it must.
pub(crate) const QUICK: Pace = Pace {
    gather: Duration::from_millis(1),
    tries: 2,
    between: Duration::from_millis(1),
    tend: Duration::from_hours(1),
    audit: Duration::from_hours(24),
    purge: Duration::from_hours(24),
    mend: Duration::from_hours(24),
    round: Duration::from_hours(24),
};

pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) liar: Arc<Liar>,
    pub(crate) packed: Arc<Packed>,
    pub(crate) depot: Depot,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let liar = Liar::new();
        let packed = open(&liar, folder.path(), 1, None).await.unwrap();
        let depot = depot(&packed).await;
        Self { folder, liar, packed, depot }
    }

    /// Closes it and opens it again, with or without its map.
    pub(crate) async fn again(self, with_map: bool) -> Self {
        let Self { folder, liar, packed, depot } = self;
        drop(depot);
        packed.close().await;
        drop(packed);
        if !with_map {
            std::fs::remove_file(folder.path().join("packs.redb")).unwrap();
        }
        let packed = open(&liar, folder.path(), 1, None).await.unwrap();
        let depot = self::depot(&packed).await;
        Self { folder, liar, packed, depot }
    }

    pub(crate) async fn put(&self, name: u8, bytes: &[u8]) -> Result<(), DepotError> {
        put(&self.depot, name, bytes).await
    }

    pub(crate) async fn get(&self, name: u8) -> Result<Vec<u8>, DepotError> {
        let reader = self.depot.open(blob(name)).await?;
        reader.read(0..reader.len()).await
    }
}

pub(crate) async fn open(
    liar: &Arc<Liar>,
    home: &Path,
    key: u8,
    capacity: Option<u64>,
) -> Result<Arc<Packed>, MapError> {
    let store = Arc::clone(liar);
    Packed::on(store, home, Secret::from_bytes([key; 32]), capacity, QUICK).await.map(Arc::new)
}

pub(crate) async fn depot(packed: &Arc<Packed>) -> Depot {
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
    let store = Arc::clone(packed);
    Depot::on(store, None, limits).await.unwrap()
}

pub(crate) fn blob(name: u8) -> BlobName {
    BlobName::from_bytes([name; 32])
}

pub(crate) async fn put(depot: &Depot, name: u8, bytes: &[u8]) -> Result<(), DepotError> {
    let mut writer = depot.begin(blob(name), Some(bytes.len() as u64))?;
    for piece in bytes.chunks(1 << 20) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await
}

/// Bytes that no other number has.
pub(crate) fn content(number: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(number | 1).wrapping_add((at >> 8) as u8) ^ number).collect()
}

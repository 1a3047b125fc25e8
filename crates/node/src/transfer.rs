//! Blobs between this node's depot and the mesh: giving out what is here, reading through what is
//! not.

pub(crate) mod line;

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock, RwLock};

use async_trait::async_trait;
use freehold_mesh::{BlobSource, Haste, Mesh, Served, Unavailable};
use freehold_placement::BlobRef;
use freehold_vault::{BlobStream, Depot, DepotError, PeerError, Peers};
use freehold_wire::{BlobName, BucketId, NodeId};
use futures::{StreamExt as _, TryStreamExt as _};

use self::line::{MeshLine, Read, Slow};

/// Gives peers the blobs of this node's depot. The gate has let them in; ciphertext under random
/// names is all there is to get.
#[derive(Debug, Clone)]
pub struct Giving {
    /// The depot.
    pub depot: Depot,
}

#[async_trait]
impl BlobSource for Giving {
    async fn open(&self, _to: NodeId, blob: BlobName, range: Range<u64>) -> Result<Served, Unavailable> {
        let reader = self.depot.open(blob).await.map_err(|error| match error {
            DepotError::Missing { .. } => Unavailable::NotHere,
            error => {
                tracing::warn!(%error, blob = %blob.short(), "a blob could not be given to a peer");
                Unavailable::Failed
            }
        })?;
        let total = reader.len();
        let bytes = reader.stream(range).map_err(io::Error::other).boxed();
        Ok(Served { total, bytes })
    }
}

/// Who holds which blob, as the replication machine says.
#[async_trait]
pub trait Holders: Send + Sync + std::fmt::Debug {
    /// Nodes that confirmed to hold it, the best to ask first.
    async fn of(&self, blob: &BlobRef) -> Vec<NodeId>;
}

/// Reads blobs through from other nodes. The mesh comes up after the vault that uses this, so it is
/// filled in later; until then nobody answers.
#[derive(Debug, Clone, Default)]
pub struct ReadThrough {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    mesh: OnceLock<Arc<Mesh>>,
    holders: RwLock<Option<Arc<dyn Holders>>>,
    slow: Arc<Slow>,
}

impl ReadThrough {
    /// Gives it the mesh.
    pub fn set_mesh(&self, mesh: Arc<Mesh>) {
        drop(self.inner.mesh.set(mesh));
    }

    /// Gives it the replication machine's knowledge.
    pub fn set_holders(&self, holders: Arc<dyn Holders>) {
        if let Ok(mut slot) = self.inner.holders.write() {
            *slot = Some(holders);
        }
    }
}

#[async_trait]
impl Peers for ReadThrough {
    async fn fetch(
        &self,
        _bucket: &BucketId,
        blob: &BlobRef,
        range: Range<u64>,
        tried: u32,
    ) -> Result<BlobStream, PeerError> {
        let mesh = self.inner.mesh.get().ok_or(PeerError::NoHolder)?;
        let known = self.inner.holders.read().ok().and_then(|holders| holders.clone());
        let mut ask = match known {
            Some(holders) => holders.of(blob).await,
            None => Vec::new(),
        };
        // Nobody confirmed it, yet somebody may have it: whoever is connected is asked.
        let connected = mesh.peers().into_iter().filter(|peer| peer.connected).map(|peer| peer.id);
        let connected: Vec<NodeId> = connected.collect();
        ask.retain(|node| connected.contains(node));
        for node in connected {
            if !ask.contains(&node) {
                ask.push(node);
            }
        }
        self.inner.slow.sort(&mut ask);
        let skip = usize::try_from(tried).unwrap_or(usize::MAX).min(ask.len().saturating_sub(1));
        let line = MeshLine { mesh: Arc::clone(mesh), blob: blob.name, haste: Haste::Read };
        let nodes = ask.into_iter().skip(skip);
        match Read::begin(line, range, nodes, Arc::clone(&self.inner.slow)).await {
            Ok(Some(stream)) => Ok(stream.map_err(Into::into).boxed()),
            Ok(None) => Err(PeerError::NoHolder),
            Err(error) => Err(PeerError::Failed(error.into())),
        }
    }
}

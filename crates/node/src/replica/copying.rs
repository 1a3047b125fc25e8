//! Blobs that are to be here: fetched from a node, and looked at.

use std::sync::{Arc, OnceLock};

use freehold_mesh::{Haste, Mesh, Unavailable};
use freehold_placement::{BlobRef, FetchError};
use freehold_vault::{Depot, DepotError};
use freehold_wire::NodeId;
use futures::{StreamExt as _, TryStreamExt as _};

use super::pace::Pace;
use crate::transfer::line::{Copy, MeshLine};

/// Brings a blob here from a node, unless it is here.
pub(super) async fn fetch(
    depot: &Depot,
    mesh: Option<&Arc<Mesh>>,
    (from, patience): (NodeId, u32),
    blob: &BlobRef,
    pace: Arc<Pace>,
) -> Result<(), FetchError> {
    if matches!(depot.len(blob.name).await, Ok(Some(len)) if len == blob.len) && is_good(depot, blob).await {
        return Ok(());
    }
    let mesh = Arc::clone(mesh.ok_or(FetchError::Unreachable)?);
    let line = MeshLine { mesh, blob: blob.name, haste: Haste::Background };
    let why = Arc::new(OnceLock::new());
    let note = Arc::clone(&why);
    let stream = Copy::of(line, from, blob.len, patience).stream().map_err(move |error| {
        note.get_or_init(|| meaning(&error));
        error.into()
    });
    depot.put_stream(blob, pace.slow(stream).boxed()).await.map_err(|error| match error {
        DepotError::NotAsAnnounced { .. } => FetchError::Corrupt,
        DepotError::BrokeOff { .. } => why.get().copied().unwrap_or(FetchError::Unreachable),
        error => {
            tracing::error!(%error, "a copy could not be kept");
            FetchError::Store
        }
    })
}

/// What a failure says of the node.
const fn meaning(error: &freehold_mesh::FetchError) -> FetchError {
    use freehold_mesh::FetchError as Mesh;
    match error {
        Mesh::Unavailable { why: Unavailable::NotHere, .. } => FetchError::Missing,
        Mesh::Silent(_) | Mesh::Slow(_) | Mesh::Broke(_) => FetchError::Slow,
        Mesh::NotConnected(_) | Mesh::Unavailable { .. } | Mesh::Crowded(_) | Mesh::Cut { .. } => {
            FetchError::Unreachable
        }
    }
}

/// Whether the blob that is here has the hash it should have.
pub(super) async fn is_good(depot: &Depot, blob: &BlobRef) -> bool {
    let Ok(reader) = depot.open(blob.name).await else { return false };
    if reader.len() != blob.len {
        return false;
    }
    let mut stream = reader.stream(0..blob.len);
    let mut hasher = freehold_crypt::hash::Hasher::plain();
    while let Some(piece) = stream.next().await {
        let Ok(piece) = piece else { return false };
        hasher.update(&piece);
    }
    hasher.finish() == *blob.hash.as_bytes()
}

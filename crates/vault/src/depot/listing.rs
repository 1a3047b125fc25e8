//! Looking through the directories of a depot. The local backend's own listing goes through several
//! layers for each file, and asks for its length and time also where only names are wanted: for
//! 100,000 blobs 0.8 s, where this takes 0.05.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use freehold_wire::{BlobName, Millis};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{DepotError, Held, blocking, io};

/// Removes the temporary files (`name#number`) that a killed process left behind, and says which
/// blobs there are.
pub(super) fn tidy(root: &Path) -> Result<Vec<BlobName>, DepotError> {
    let mut names = Vec::new();
    for shard in shards(root)? {
        for file in std::fs::read_dir(&shard).map_err(io("reading", &shard))? {
            let file = file.map_err(io("reading", &shard))?;
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.contains('#') {
                std::fs::remove_file(file.path()).map_err(io("removing", &file.path()))?;
            } else if let Ok(name) = name.parse() {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// All blobs, one directory at a time.
pub(super) fn held(root: PathBuf) -> BoxStream<'static, Result<Held, DepotError>> {
    let directories = async move {
        let shards = blocking(move || shards(&root)).await?;
        Ok(futures::stream::iter(shards.into_iter().map(Ok::<_, DepotError>)))
    };
    futures::stream::once(directories)
        .try_flatten()
        .and_then(async |shard| {
            let held = blocking(move || held_in(&shard)).await?;
            Ok(futures::stream::iter(held.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
}

fn held_in(shard: &Path) -> Result<Vec<Held>, DepotError> {
    let mut held = Vec::new();
    for file in std::fs::read_dir(shard).map_err(io("reading", shard))? {
        let file = file.map_err(io("reading", shard))?;
        let Ok(name) = file.file_name().to_string_lossy().parse() else { continue };
        let meta = match file.metadata() {
            Ok(meta) => meta,
            // Gone since.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(io("looking at", &file.path())(error)),
        };
        let modified = meta.modified().map_err(io("looking at", &file.path()))?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified = Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        held.push(Held { name, len: meta.len(), modified });
    }
    Ok(held)
}

/// Names are random, so the first byte spreads them over 256 directories.
fn shards(root: &Path) -> Result<Vec<PathBuf>, DepotError> {
    let mut shards = Vec::new();
    for shard in std::fs::read_dir(root).map_err(io("reading", root))? {
        let shard = shard.map_err(io("reading", root))?.path();
        if shard.is_dir() {
            shards.push(shard);
        }
    }
    Ok(shards)
}

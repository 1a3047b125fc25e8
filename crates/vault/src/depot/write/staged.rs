//! A large file on its way to its name. The local backend's own upload begins to write to the disk
//! only at the end; here the disk works while the rest is still being sealed, which took a quarter
//! off the time of a 64 MiB write.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::super::{DepotError, blocking, io};

/// Bytes after which the disk is told to begin.
const SYNC_AFTER: u64 = 8 << 20;

/// A file beside its name; removed if it is dropped before it is published.
pub(super) struct Staged {
    file: Arc<File>,
    path: PathBuf,
    dest: PathBuf,
    len: u64,
    unsynced: u64,
    syncing: Option<JoinHandle<Result<(), DepotError>>>,
    published: bool,
}

impl Staged {
    pub(super) async fn create(dest: PathBuf) -> Result<Self, DepotError> {
        blocking(move || {
            let (file, path) = create(&dest)?;
            Ok(Self {
                file: Arc::new(file),
                path,
                dest,
                len: 0,
                unsynced: 0,
                syncing: None,
                published: false,
            })
        })
        .await
    }

    /// Prepares to append; the write itself is the future that is returned.
    pub(super) async fn write(
        &mut self,
        pieces: Vec<Bytes>,
    ) -> Result<impl Future<Output = Result<(), DepotError>> + Send + 'static, DepotError> {
        if self.unsynced >= SYNC_AFTER {
            self.unsynced = 0;
            self.settle().await?;
            let (file, path) = (Arc::clone(&self.file), self.path.clone());
            let sync = move || file.sync_data().map_err(io("syncing", &path));
            self.syncing = Some(tokio::task::spawn_blocking(sync));
        }
        let start = self.len;
        let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.len += len;
        self.unsynced += len;
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        Ok(blocking(move || {
            let mut at = start;
            for piece in &pieces {
                file.write_all_at(piece, at).map_err(io("writing", &path))?;
                at += piece.len() as u64;
            }
            Ok(())
        }))
    }

    /// Makes the file durable and gives it its name.
    pub(super) async fn publish(mut self) -> Result<(), DepotError> {
        self.settle().await?;
        blocking(move || {
            self.file.sync_all().map_err(io("syncing", &self.path))?;
            std::fs::rename(&self.path, &self.dest).map_err(io("renaming", &self.path))?;
            self.published = true;
            let dir = self.dest.parent().unwrap_or(Path::new("/"));
            freehold_disk::sync_dir(dir).map_err(io("syncing", dir))
        })
        .await
    }

    async fn settle(&mut self) -> Result<(), DepotError> {
        match self.syncing.take() {
            Some(syncing) => syncing.await.unwrap_or(Err(DepotError::Closing)),
            None => Ok(()),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished blob is left until the next start");
        }
    }
}

/// Makes the temporary file, named as the backend names its own: listings pass it over, and the
/// next start removes it.
fn create(dest: &Path) -> Result<(File, PathBuf), DepotError> {
    let dir = dest.parent().unwrap_or(Path::new("/"));
    for number in 1..=u16::MAX {
        let mut path = dest.as_os_str().to_owned();
        path.push(format!("#{number}"));
        let path = PathBuf::from(path);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                freehold_disk::make_private_dir(dir).map_err(io("making", dir))?;
            }
            Err(error) => return Err(io("creating", &path)(error)),
        }
    }
    Err(io("creating", dest)(ErrorKind::AlreadyExists.into()))
}

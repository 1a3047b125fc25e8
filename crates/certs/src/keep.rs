//! Where certificates and keys are kept. The node keeps them in the vault; a folder does, too.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use zeroize::Zeroizing;

/// Why something is not kept or not found.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Not a name that something can be kept under.
    #[error("{0:?} is no name to keep something under")]
    Name(String),
    /// The folder's file cannot be read or written.
    #[error("keeping certificates in {path}: {source}; is the disk full, or the folder another user's?")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder's file may not be this user's.
    #[error("{error}; type: {}", .error.remedy())]
    NotOurs {
        /// What is wrong with it.
        error: freehold_disk::OwnError,
    },
    /// Another place failed.
    #[error("keeping certificates: {0}")]
    Other(String),
}

/// Keeps secret bytes by name. Names are of `a` to `z`, `0` to `9`, `.`, `-` and `_`. What was saved is there
/// after a power cut, or the error says that it is not.
#[async_trait]
pub trait Keep: Send + Sync + 'static {
    /// What is kept under a name.
    async fn load(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeepError>;
    /// Puts something in the place of what is kept under a name.
    async fn save(&self, name: &str, bytes: Zeroizing<Vec<u8>>) -> Result<(), KeepError>;
    /// Forgets what is kept under a name.
    async fn forget(&self, name: &str) -> Result<(), KeepError>;
}

/// A folder that only its owner may enter, with files that only its owner may read.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// [`KeepError::Io`]
    pub fn new(path: PathBuf) -> Result<Self, KeepError> {
        match freehold_disk::make_private_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(KeepError::Io { path, source }),
        }
    }

    fn file(&self, name: &str) -> Result<PathBuf, KeepError> {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.bytes().all(fine) {
            return Err(KeepError::Name(name.to_owned()));
        }
        Ok(self.0.join(name))
    }

    async fn with<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(PathBuf) -> Result<T, KeepError> + Send + 'static,
    ) -> Result<T, KeepError> {
        let path = self.file(name)?;
        let done = tokio::task::spawn_blocking(move || work(path)).await;
        done.unwrap_or_else(|error| Err(KeepError::Other(error.to_string())))
    }
}

#[async_trait]
impl Keep for Folder {
    async fn load(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeepError> {
        let read = |path: PathBuf| match freehold_disk::read_private(&path) {
            Ok(bytes) => Ok(bytes.map(Zeroizing::new)),
            Err(error) => Err(KeepError::NotOurs { error }),
        };
        self.with(name, read).await
    }

    async fn save(&self, name: &str, bytes: Zeroizing<Vec<u8>>) -> Result<(), KeepError> {
        let write = move |path: PathBuf| {
            freehold_disk::replace(&path, &bytes, 0o600).map_err(|source| KeepError::Io { path, source })
        };
        self.with(name, write).await
    }

    async fn forget(&self, name: &str) -> Result<(), KeepError> {
        let remove = |path: PathBuf| match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(KeepError::Io { path, source }),
            _ => Ok(()),
        };
        self.with(name, remove).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("certs")).unwrap();
        assert!(folder.load("a.b").await.unwrap().is_none());
        folder.save("a.b", Zeroizing::new(b"key".to_vec())).await.unwrap();
        assert_eq!(folder.load("a.b").await.unwrap().unwrap().as_slice(), b"key");
        let path = dir.path().join("certs/a.b");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(folder.load("a.b").await, Err(KeepError::NotOurs { .. })));
        folder.forget("a.b").await.unwrap();
        folder.forget("a.b").await.unwrap();
        for bad in ["", "../x", ".x", "a/b", "A", "*"] {
            assert!(matches!(folder.load(bad).await, Err(KeepError::Name(_))), "{bad:?}");
        }
    }
}

//! Key files: 32 bytes each, in a directory and with permissions that shut everybody else out.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use freehold_crypt::{Entropy, Secret};

use crate::own::nofollow;
use crate::replace::{make_private_dir, replace};

/// A key file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Group or others may read it, so it may be known.
    #[error("{path} may be read by other users (mode {mode:o}); `chmod go= {path}` if nobody has")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not 32 bytes.
    #[error("{path} is not a key file; restore it from a backup, or join the realm anew")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// A key is already there and is not overwritten.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{doing} {path} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A directory (0700) of key files (0600).
#[derive(Debug, Clone)]
pub struct KeyStore {
    dir: PathBuf,
}

impl KeyStore {
    /// Opens the directory, making it if needed.
    ///
    /// # Errors
    /// [`KeyFileError::Exposed`] if others may read it.
    pub fn open(dir: &Path) -> Result<Self, KeyFileError> {
        make_private_dir(dir).map_err(|source| KeyFileError::Io {
            doing: "making",
            path: dir.into(),
            source,
        })?;
        let meta = std::fs::metadata(dir).map_err(|source| KeyFileError::Io {
            doing: "reading",
            path: dir.into(),
            source,
        })?;
        refuse_exposed(dir, meta.permissions().mode())?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Reads a key; `None` if there is none of that name.
    ///
    /// # Errors
    /// [`KeyFileError`] if others may read it, or it is not a key.
    pub fn read(&self, name: &str) -> Result<Option<Secret>, KeyFileError> {
        let path = self.path(name);
        let failed = |source| KeyFileError::Io { doing: "reading", path: path.clone(), source };
        // No following of links: a key is a file of ours in this directory.
        let mut file = match OpenOptions::new().read(true).custom_flags(nofollow()).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let meta = file.metadata().map_err(failed)?;
        refuse_exposed(&path, meta.permissions().mode())?;
        if meta.len() != 32 {
            return Err(KeyFileError::Malformed { path });
        }
        let mut secret = Secret::zeroed();
        file.read_exact(secret.expose_mut()).map_err(failed)?;
        Ok(Some(secret))
    }

    /// Writes a new key durably.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] if there is one of that name: keys are never overwritten.
    pub fn create(&self, name: &str, key: &Secret) -> Result<(), KeyFileError> {
        let path = self.path(name);
        if path.symlink_metadata().is_ok() {
            return Err(KeyFileError::Exists { path });
        }
        replace(&path, key.expose(), 0o600).map_err(|source| KeyFileError::Io {
            doing: "writing",
            path,
            source,
        })
    }

    /// Reads a key, or makes and keeps a random one.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Self::create`].
    pub fn read_or_create(&self, name: &str, entropy: &mut dyn Entropy) -> Result<Secret, KeyFileError> {
        if let Some(key) = self.read(name)? {
            return Ok(key);
        }
        let key = entropy.secret();
        self.create(name, &key)?;
        Ok(key)
    }

    /// Puts a key in the place of another, durably: that one is gone.
    ///
    /// # Errors
    /// What the system said.
    pub fn replace(&self, name: &str, with: &str) -> Result<(), KeyFileError> {
        let (path, from) = (self.path(name), self.path(with));
        let moved = std::fs::rename(from, &path).and_then(|()| crate::sync_dir(&self.dir));
        moved.map_err(|source| KeyFileError::Io { doing: "replacing", path, source })
    }

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove(&self, name: &str) -> Result<(), KeyFileError> {
        let path = self.path(name);
        match std::fs::remove_file(&path).and_then(|()| crate::sync_dir(&self.dir)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeyFileError::Io { doing: "removing", path, source })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn refuse_exposed(path: &Path, mode: u32) -> Result<(), KeyFileError> {
    if mode.trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(KeyFileError::Exposed { path: path.into(), mode: mode & 0o777 })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};

    use super::*;
    use crate::OsEntropy;

    #[test]
    fn keeps_keys_and_refuses_exposed_ones() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("keys");
        let store = KeyStore::open(&dir).unwrap();
        let key = store.read_or_create("node", &mut OsEntropy).unwrap();
        assert_eq!(store.read("node").unwrap(), Some(key.clone()));
        assert_eq!(store.read_or_create("node", &mut OsEntropy).unwrap(), key);
        assert!(matches!(store.create("node", &key), Err(KeyFileError::Exists { .. })));
        assert_eq!(store.read("other").unwrap(), None);
        let next = store.read_or_create("next", &mut OsEntropy).unwrap();
        store.replace("node", "next").unwrap();
        assert_eq!((store.read("node").unwrap(), store.read("next").unwrap()), (Some(next), None));

        set_permissions(dir.join("node"), Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(store.read("node"), Err(KeyFileError::Exposed { mode: 0o640, .. })));
        set_permissions(dir.join("node"), Permissions::from_mode(0o600)).unwrap();
        set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(KeyStore::open(&dir), Err(KeyFileError::Exposed { .. })));

        std::os::unix::fs::symlink(dir.join("node"), dir.join("link")).unwrap();
        assert!(matches!(store.read("link"), Err(KeyFileError::Io { .. })));
        store.remove("node").unwrap();
        store.remove("node").unwrap();
        assert_eq!(store.read("node").unwrap(), None);
    }
}

//! The folder of a move: its journal, its key, and in the end the receipt.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use freehold_crypt::{Algorithm, Entropy as _, Secret, SigningKey};
use freehold_disk::{HomeLock, OsEntropy};
use freehold_moves::{Line, Model};
use zeroize::Zeroizing;

use crate::MoveError;

/// A move's folder, for this process alone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    inner: Mutex<Inner>,
    _lock: HomeLock,
}

#[derive(Debug)]
struct Inner {
    file: File,
    model: Model,
}

impl Folder {
    /// Opens the folder; `make` makes it where there is none.
    ///
    /// # Errors
    /// [`MoveError`]
    pub fn open(path: &Path, make: bool) -> Result<Self, MoveError> {
        let journal = path.join("journal");
        if !make && !journal.exists() {
            return Err(MoveError::NoMove(path.to_owned()));
        }
        let failed = |source| MoveError::Disk { path: journal.clone(), source };
        freehold_disk::make_private_dir(path).map_err(failed)?;
        let lock = HomeLock::take(path).map_err(|error| MoveError::Busy(error.to_string()))?;
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&journal).map_err(failed)?;
        let bytes = std::fs::read(&journal).map_err(failed)?;
        // Whoever was killed while writing a line has not done anything upon it.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64).map_err(failed)?;
        let mut model = Model::default();
        let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        for (number, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let bad = |_| MoveError::Journal { path: journal.clone(), line: number + 1 };
            model.read(serde_json::from_slice(line).map_err(bad)?);
        }
        Ok(Self { path: path.to_owned(), inner: Mutex::new(Inner { file, model }), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at what is known so far.
    pub(crate) fn see<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        look(&self.inner.lock().unwrap_or_else(PoisonError::into_inner).model)
    }

    /// Writes a line down; what other things follow from is on the disk when this returns.
    pub(crate) fn note(&self, line: Line) -> Result<(), MoveError> {
        let failed = |source| MoveError::Disk { path: self.path.join("journal"), source };
        let mut bytes = serde_json::to_vec(&line).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.file.write_all(&bytes).map_err(failed)?;
        // What is lost of the others by a power cut is found again in the new realm's own list.
        if matches!(
            line,
            Line::Begun(..)
                | Line::Closed(_)
                | Line::Reopened
                | Line::OldIsGone
                | Line::TakenOver(_)
                | Line::Ended(_)
        ) {
            inner.file.sync_all().map_err(failed)?;
        }
        inner.model.read(line);
        Ok(())
    }

    /// Writes a file of the move.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, MoveError> {
        let path = self.path.join(name);
        match freehold_disk::replace(&path, bytes, 0o600) {
            Ok(()) => Ok(path),
            Err(source) => Err(MoveError::Disk { path, source }),
        }
    }

    /// The key that signs the move's receipt: made at its first use, and of no other use.
    pub(crate) fn key(&self) -> Result<SigningKey, MoveError> {
        let path = self.path.join("key");
        let failed = |why: String| MoveError::Key { path: path.clone(), why };
        let found = freehold_disk::read_private(&path).map_err(|error| failed(error.to_string()))?;
        let mut seed = Zeroizing::new([0; 32]);
        if let Some(bytes) = found.map(Zeroizing::new) {
            let bytes: &[u8; 32] =
                bytes.as_slice().try_into().map_err(|_| failed("it is not a key of a move".to_owned()))?;
            *seed = *bytes;
        } else {
            OsEntropy.fill(&mut *seed);
            freehold_disk::replace(&path, &*seed, 0o600).map_err(|error| failed(error.to_string()))?;
        }
        Ok(SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes(*seed)))
    }
}

//! Whether what lies in a home was put there by its owner: who may write into a home may swap its
//! certificate or its access keys, and read all that is served with them.

use std::fs::{Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file or directory is not, or not only, this user's.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// Somebody else made it.
    #[error("{path} belongs to another user (id {owner})")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Others may write into it.
    #[error("other users may write into {path} (mode {mode:o})")]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Others may read it.
    #[error("other users may read {path} (mode {mode:o})")]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It cannot be looked at.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl OwnError {
    /// What to type, if nobody has used the chance.
    pub fn remedy(&self) -> String {
        match self {
            Self::Foreign { path, .. } => format!(
                "ls -l {}    (if you did not put it there, move it away; else: chown it to the user that runs \
                 freehold)",
                path.display()
            ),
            Self::Writable { path, .. } => {
                format!("chmod 700 {}    (look first for files in it that you did not make)", path.display())
            }
            Self::Readable { path, .. } => {
                format!("rm {0} to have it made anew, or chmod 600 {0} if nobody has read it", path.display())
            }
            Self::Io { .. } => "another --home, which you may read and write".to_owned(),
        }
    }
}

/// Refuses a home into which others may write, and one with something in it that others put there;
/// closes one that others may look into.
/// What is above it does not matter: who swaps the whole home owns what is there then. A home that
/// is not there yet is fine.
///
/// # Errors
/// [`OwnError`]
pub fn check_home(home: &Path) -> Result<(), OwnError> {
    let about = match std::fs::metadata(home) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OwnError::Io { path: home.to_owned(), source }),
    };
    ours(home, &about)?;
    if about.mode() & 0o022 != 0 {
        return Err(OwnError::Writable { path: home.to_owned(), mode: about.mode() & 0o777 });
    }
    let failed = |source| OwnError::Io { path: home.to_owned(), source };
    for file in std::fs::read_dir(home).map_err(failed)? {
        let file = file.map_err(failed)?;
        // Of a link itself, not of what it leads to. A file that has just gone was the socket.
        if let Ok(about) = file.metadata() {
            ours(&file.path(), &about)?;
            if about.is_symlink() {
                check_linked(&file.path())?;
            }
        }
    }
    if about.mode() & 0o077 != 0 {
        std::fs::set_permissions(home, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// A link out of the home leads to a folder that nobody else may write to, or to none.
fn check_linked(link: &Path) -> Result<(), OwnError> {
    let Ok(about) = std::fs::metadata(link) else { return Ok(()) };
    ours(link, &about)?;
    if about.is_dir() && about.mode() & 0o022 != 0 {
        return Err(OwnError::Writable { path: link.to_owned(), mode: about.mode() & 0o777 });
    }
    Ok(())
}

/// Reads a file that nobody else may have written or read; `None` if it is not there.
///
/// # Errors
/// [`OwnError`]
pub fn read_private(path: &Path) -> Result<Option<Vec<u8>>, OwnError> {
    let failed = |source| OwnError::Io { path: path.to_owned(), source };
    let mut file = match OpenOptions::new().read(true).custom_flags(nofollow()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let about = file.metadata().map_err(failed)?;
    ours(path, &about)?;
    if about.mode() & 0o077 != 0 {
        return Err(OwnError::Readable { path: path.to_owned(), mode: about.mode() & 0o777 });
    }
    // As long as it says it is: a buffer that grows would leave copies of a secret behind.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0).saturating_add(1));
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Root may do everything anyway.
fn ours(path: &Path, about: &Metadata) -> Result<(), OwnError> {
    let owner = about.uid();
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(OwnError::Foreign { path: path.to_owned(), owner })
}

pub(crate) fn nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::fs::set_permissions;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_home_that_others_may_write_to_is_refused() {
        let above = tempfile::tempdir().unwrap();
        let home = above.path().join("home");
        check_home(&home).unwrap();
        std::fs::create_dir(&home).unwrap();
        for (mode, good) in [(0o700, true), (0o755, true), (0o775, false), (0o777, false), (0o1777, false)] {
            chmod(&home, mode);
            assert_eq!(check_home(&home).is_ok(), good, "{mode:o}");
        }
        let error = check_home(&home).unwrap_err();
        assert!(error.remedy().starts_with(&format!("chmod 700 {}", home.display())), "{}", error.remedy());
        chmod(&home, 0o700);
        chmod(above.path(), 0o1777);
        check_home(&home).unwrap();
    }

    #[test]
    fn a_home_is_closed_and_leads_nowhere_that_others_write() {
        let above = tempfile::tempdir().unwrap();
        let (home, elsewhere) = (above.path().join("home"), above.path().join("elsewhere"));
        for folder in [&home, &elsewhere] {
            std::fs::create_dir(folder).unwrap();
            chmod(folder, 0o755);
        }
        std::os::unix::fs::symlink(&elsewhere, home.join("depot")).unwrap();
        check_home(&home).unwrap();
        assert_eq!(std::fs::metadata(&home).unwrap().mode() & 0o777, 0o700);
        chmod(&elsewhere, 0o777);
        assert!(matches!(check_home(&home), Err(OwnError::Writable { mode: 0o777, .. })));
    }

    #[test]
    fn what_somebody_else_put_there_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let planted = home.path().join("console.pem");
        crate::replace(&planted, b"x", 0o600).unwrap();
        check_home(home.path()).unwrap();
        // Only root can give a file away.
        if std::os::unix::fs::chown(&planted, Some(65_534), None).is_ok() {
            assert!(matches!(check_home(home.path()), Err(OwnError::Foreign { owner: 65_534, .. })));
            assert!(matches!(read_private(&planted), Err(OwnError::Foreign { .. })));
        }
    }

    #[test]
    fn a_private_file_is_read_only_if_it_is_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s3-credentials");
        assert!(read_private(&path).unwrap().is_none());
        crate::replace(&path, b"secret", 0o600).unwrap();
        assert_eq!(read_private(&path).unwrap().unwrap(), b"secret");
        chmod(&path, 0o604);
        assert!(matches!(read_private(&path), Err(OwnError::Readable { mode: 0o604, .. })));
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(read_private(&link), Err(OwnError::Io { .. })));
    }
}

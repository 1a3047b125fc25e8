//! The folder on which it is mounted: whether it can be, and that nothing stays behind.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use fuser::{BackgroundSession, Config, MountOption, Session};
use rustix::mount::{UnmountFlags, unmount};
use thiserror::Error;

use crate::{
    Root, Source,
    shown::{AtEnd, Shown},
    table::{SOURCE, is_ours},
};

const DEVICE: &str = "/dev/fuse";
/// Mounts for who is not root.
const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];
/// Reads that are answered at the same time.
const READERS: usize = 8;

/// Why nothing was mounted, or not unmounted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MountError {
    /// The kernel has no FUSE, or nobody here may have it.
    #[error("this machine shows no folders of programs (FUSE): {DEVICE}: {0}")]
    NoFuse(io::Error),
    /// Who is not root needs a program for it.
    #[error("who is not root needs the program fusermount3 to mount something, and it is not there")]
    NoHelper,
    /// What a program left that was killed.
    #[error("{} is mounted, and nobody answers there any more: the program that did was killed", .0.display())]
    Left(PathBuf),
    /// One of ours is there.
    #[error("a backup is mounted on {} already", .0.display())]
    Mounted(PathBuf),
    /// Files would be hidden.
    #[error("{} is not empty: what is in it would be hidden", .0.display())]
    NotEmpty(PathBuf),
    /// The folder cannot be used.
    #[error("{}: {why}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// The system refused it.
    #[error("the system refused it: {0}")]
    Refused(io::Error),
}

impl MountError {
    /// What whoever wanted it can type.
    pub fn next(&self) -> String {
        match self {
            Self::NoFuse(_) => {
                "modprobe fuse as root, or without it: freehold backup restore --to DIR".to_owned()
            }
            Self::NoHelper => {
                "install the package fuse3, or without it: freehold backup restore --to DIR".to_owned()
            }
            Self::Left(folder) | Self::Mounted(folder) => word_to_unmount(folder),
            Self::NotEmpty(_) | Self::Folder { .. } => {
                "name an empty folder, or one that is not there yet".to_owned()
            }
            Self::Refused(_) => "without it: freehold backup restore --to DIR".to_owned(),
        }
    }
}

/// A folder as a shell reads it.
fn quoted(folder: &Path) -> String {
    let text = folder.display().to_string();
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "/._-+:@%,".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn word_to_unmount(folder: &Path) -> String {
    let program = if is_root() { "umount" } else { "fusermount3 -u" };
    format!("{program} {}", quoted(folder))
}

/// Something mounted. To be ended by [`Mounted::end`].
#[derive(Debug)]
pub struct Mounted {
    folder: PathBuf,
    session: BackgroundSession,
    made: bool,
}

/// Shows snapshots, the oldest first, in a folder, which is made if it is not there; with `latest` if the last of them is the
/// newest of all that belong together. `at_end` is called when it is unmounted, by whomever.
///
/// # Errors
/// Why nothing is mounted; nothing stays behind.
pub fn mount<S: Source>(
    folder: &Path,
    roots: Vec<Root>,
    latest: bool,
    source: S,
    at_end: impl FnOnce() + Send + Sync + 'static,
) -> Result<Mounted, MountError> {
    let made = !check(folder)?;
    if made {
        fs::create_dir(folder).map_err(|why| MountError::Folder { folder: folder.to_owned(), why })?;
    }
    let undone = |error| {
        if made {
            drop(fs::remove_dir(folder));
        }
        error
    };
    let unusable = |why| undone(MountError::Folder { folder: folder.to_owned(), why });
    let folder = folder.canonicalize().map_err(unusable)?;
    let at_end: AtEnd = Box::new(at_end);
    let shown = Shown::new(source, roots, latest, at_end);
    let mut config = Config::default();
    // Nobody but who mounts it sees it, and they have a backup's password already: modes of files that belong to others are
    // shown, and keep nobody out.
    config.mount_options =
        vec![MountOption::RO, MountOption::FSName(SOURCE.to_owned()), MountOption::NoAtime];
    config.n_threads = Some(READERS);
    let session = Session::new(shown, &folder, &config).and_then(Session::spawn);
    let session = session.map_err(|why| undone(MountError::Refused(why)))?;
    Ok(Mounted { folder, session, made })
}

/// Sees that there is a FUSE, and a folder to mount on or a name for one. Answers whether the folder is there.
///
/// # Errors
/// Why nothing can be mounted there.
pub fn check(folder: &Path) -> Result<bool, MountError> {
    let odd = |why| MountError::Folder { folder: folder.to_owned(), why };
    // First: what was left has to be known for what it is.
    let there = match fs::metadata(folder) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOTCONN.raw_os_error()) => {
            return Err(MountError::Left(folder.to_owned()));
        }
        Err(error) => return Err(odd(error)),
    };
    fs::File::options().read(true).write(true).open(DEVICE).map_err(MountError::NoFuse)?;
    if !is_root() && helper().is_none() {
        return Err(MountError::NoHelper);
    }
    let Some(there) = there else {
        let above = folder.parent().is_none_or(|above| above.as_os_str().is_empty() || above.is_dir());
        return if above { Ok(false) } else { Err(odd(io::ErrorKind::NotFound.into())) };
    };
    if !there.is_dir() {
        return Err(odd(io::ErrorKind::NotADirectory.into()));
    }
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    if is_ours(&table, &folder.canonicalize().map_err(odd)?) {
        return Err(MountError::Mounted(folder.to_owned()));
    }
    match fs::read_dir(folder).map_err(odd)?.next() {
        None => Ok(true),
        Some(_) => Err(MountError::NotEmpty(folder.to_owned())),
    }
}

/// The program that mounts and unmounts for who is not root.
fn helper() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = env::split_paths(&path).chain(["/bin".into(), "/sbin".into()]).collect();
    HELPERS.iter().find_map(|name| dirs.iter().map(|dir| dir.join(name)).find(|file| file.is_file()))
}

impl Mounted {
    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts it. Where something in it is still open, the folder is free at once, and what is open ends with this program;
    /// the answer is whether that was so. Blocks.
    ///
    /// # Errors
    /// Why it is still mounted.
    pub fn end(self) -> Result<bool, MountError> {
        let busy = detach(&self.folder)?;
        self.was_ended();
        Ok(busy)
    }

    /// Takes away what is left after somebody else has unmounted it.
    pub fn was_ended(self) {
        drop(self.session);
        if self.made {
            drop(fs::remove_dir(&self.folder));
        }
    }
}

/// Answers whether something was still open.
fn detach(folder: &Path) -> Result<bool, MountError> {
    if is_root() {
        return match unmount(folder, UnmountFlags::NOFOLLOW) {
            // Somebody else was faster.
            Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(false),
            Err(rustix::io::Errno::BUSY) => {
                let lazily = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
                unmount(folder, lazily).map_err(|error| MountError::Refused(error.into()))?;
                Ok(true)
            }
            Err(error) => Err(MountError::Refused(error.into())),
        };
    }
    let program = helper().ok_or(MountError::NoHelper)?;
    let asked = |how: &str| Command::new(&program).args([how, "-q", "--"]).arg(folder).status();
    if asked("-u").map_err(MountError::Refused)?.success() {
        return Ok(false);
    }
    if asked("-uz").map_err(MountError::Refused)?.success() {
        return Ok(true);
    }
    Err(MountError::Refused(io::Error::other("fusermount3 did not unmount it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_not_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::File::create(&file).unwrap();
        for (folder, odd) in
            [(dir.path(), "not empty"), (&file, "not a directory"), (&dir.path().join("a/b"), "a/b")]
        {
            match check(folder) {
                // Where there is no FUSE, that is said first.
                Err(MountError::NoFuse(_) | MountError::NoHelper) => {}
                Err(error) => assert!(error.to_string().contains(odd), "{error}"),
                Ok(_) => panic!("{}", folder.display()),
            }
        }
    }

    #[test]
    fn what_is_to_be_typed_is_typed_as_a_shell_reads_it() {
        assert!(word_to_unmount(Path::new("/mnt/a b")).ends_with(" '/mnt/a b'"));
        assert!(word_to_unmount(Path::new("/mnt/a'b")).ends_with(r" '/mnt/a'\''b'"));
        assert!(word_to_unmount(Path::new("/mnt/ab")).ends_with(" /mnt/ab"));
    }
}

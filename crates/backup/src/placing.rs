//! How files, directories, links and what is said of them come to be on the disk. Nothing here follows a link below the
//! place of the restore: a directory is made or is one, and everything else is put beside and renamed, or replaced.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustic_core::{
    jiff::Timestamp,
    repofile::{Node, NodeType},
};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

/// Makes names of files that are under way unlike each other within this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file that has not got its name yet. It is removed if it never gets it.
pub(crate) struct Beside {
    file: File,
    path: PathBuf,
    to: PathBuf,
    named: bool,
}

impl Beside {
    pub(crate) fn new(to: &Path) -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = to.with_file_name(format!(".freehold-restore-{}-{number}", std::process::id()));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, to: to.to_owned(), named: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    pub(crate) fn name(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.to)?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.named
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "what a restore began is left");
        }
    }
}

/// Whether a file is there as the snapshot has it, by its size and time.
pub(crate) fn is_there(path: &Path, node: &Node) -> bool {
    let Ok(there) = path.symlink_metadata() else { return false };
    let time = there.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    there.is_file() && there.len() == node.meta.size && time.is_some() && time == node.meta.mtime
}

/// Makes a directory, or takes the one that is there. A link to one is none: it is replaced.
pub(crate) fn dir(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Takes away what is in the way, unless it is a directory: what is in that is nobody's to take away.
fn clear(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Another name of a file.
pub(crate) fn link(first: &Path, path: &Path) -> io::Result<()> {
    clear(path)?;
    fs::hard_link(first, path)
}

/// A link, pipe, socket or device.
pub(crate) fn special(path: &Path, kind: &NodeType) -> io::Result<()> {
    clear(path)?;
    let (kind, device) = match kind {
        NodeType::Symlink { .. } => return std::os::unix::fs::symlink(kind.to_link(), path),
        NodeType::Fifo => (FileType::Fifo, 0),
        NodeType::Socket => (FileType::Socket, 0),
        NodeType::Dev { device } => (FileType::BlockDevice, *device),
        NodeType::Chardev { device } => (FileType::CharacterDevice, *device),
        NodeType::File | NodeType::Dir => return Err(io::ErrorKind::InvalidInput.into()),
    };
    Ok(rustix::fs::mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, device)?)
}

/// Gives what lies there its owner, mode, attributes and times, in this order: a new owner takes marks of the mode away, and
/// everything changes times. Answers what could not be given. Owners, and marks that lend their rights, are root's to give.
pub(crate) fn dress(path: &Path, node: &Node) -> Vec<String> {
    let mut failed = Vec::new();
    let mut tell = |what: &str, given: io::Result<()>| {
        if let Err(error) = given {
            failed.push(format!("it is there, but not {what}: {error}"));
        }
    };
    let root = rustix::process::geteuid().is_root();
    if root {
        tell("its owner", owner(path, node));
    }
    if let Some(mode) = node.meta.mode.filter(|_| !node.is_symlink()) {
        let mode = fs::Permissions::from_mode(mode_of(mode, root));
        tell("its mode", fs::set_permissions(path, mode));
    }
    for attribute in &node.meta.extended_attributes {
        let lent = ["security.", "trusted."].iter().any(|space| attribute.name.starts_with(space));
        if root || !lent {
            let value = attribute.value.as_deref().unwrap_or_default();
            let set = rustix::fs::lsetxattr(path, OsStr::new(&attribute.name), value, XattrFlags::empty());
            tell(&format!("its attribute {}", attribute.name), set.map_err(io::Error::from));
        }
    }
    if let Some(modified) = node.meta.mtime {
        let last_access = timespec(node.meta.atime.unwrap_or(modified));
        let times = Timestamps { last_access, last_modification: timespec(modified) };
        let set = rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
        tell("its time", set.map_err(io::Error::from));
    }
    failed
}

fn owner(path: &Path, node: &Node) -> io::Result<()> {
    // The greatest number means nobody.
    let number = |id: Option<u32>| id.filter(|id| *id != u32::MAX);
    let (user, group) = (number(node.meta.uid).map(Uid::from_raw), number(node.meta.gid).map(Gid::from_raw));
    Ok(rustix::fs::chownat(CWD, path, user, group, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Unix's mode of one that restic's format has in Go's bits (<https://pkg.go.dev/io/fs#FileMode>). Who is not root gets no
/// marks that lend a file's owner's rights: the owner is another one now.
pub(crate) const fn mode_of(go: u32, root: bool) -> u32 {
    let mut mode = go & 0o777;
    if root && go & (1 << 23) != 0 {
        mode |= 0o4000;
    }
    if root && go & (1 << 22) != 0 {
        mode |= 0o2000;
    }
    if go & (1 << 20) != 0 {
        mode |= 0o1000;
    }
    mode
}

fn timespec(time: Timestamp) -> Timespec {
    let nanos = time.as_nanosecond();
    Timespec {
        tv_sec: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or_default(),
        tv_nsec: i64::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

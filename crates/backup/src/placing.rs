//! How files, directories, links and what is said of them come to be on the disk. Nothing here follows a link below the
//! place of the restore: a directory is made or is one, and everything else is put beside and renamed, or replaced.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustic_core::{
    jiff::Timestamp,
    repofile::{Node, NodeType},
};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

/// How files are named that are not whole yet.
const UNDER_WAY: &str = ".freehold-restore-";
/// What is not whole after so long, nobody is writing any more.
const LEFT_AFTER: Duration = Duration::from_hours(24);

/// A file that has not got its name yet. It is removed if it never gets it.
pub(crate) struct Beside {
    file: File,
    path: PathBuf,
    to: PathBuf,
    named: bool,
}

impl Beside {
    pub(crate) fn new(to: &Path) -> io::Result<Self> {
        let path = beside(to)?;
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

/// Takes away what restores that were killed a day before `now` or longer have left in a directory. What stays is told.
pub(crate) fn sweep(dir: &Path, now: SystemTime) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        // A name as only we give them: sixteen digits, and nothing else.
        let digits = name.to_str().and_then(|name| name.strip_prefix(UNDER_WAY)).unwrap_or_default();
        if digits.len() != 16 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            continue;
        }
        let Ok(there) = entry.metadata() else { continue };
        // By its own clock: what a snapshot says of a file's time may have been given to it already.
        let changed = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(u64::try_from(there.ctime()).unwrap_or(u64::MAX)));
        let age = changed.and_then(|at| now.duration_since(at).ok());
        if !there.is_dir()
            && age.is_some_and(|age| age >= LEFT_AFTER)
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "what a killed restore has left stays");
        }
    }
}

/// Makes a directory, or takes the one that is there. A link to one is none: it is replaced.
pub(crate) fn dir(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() => {
            sweep(path, SystemTime::now());
            return Ok(());
        }
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// A name beside another one, that nobody has.
fn beside(to: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(to.with_file_name(format!("{UNDER_WAY}{}", hex::encode(random))))
}

/// Renames what was made beside to its name. What is in the way goes only now, and a directory does not: what is in that is
/// nobody's to take away.
fn rename(beside: &Path, path: &Path) -> io::Result<()> {
    let renamed = fs::rename(beside, path);
    // Two names of one file are not renamed to each other: both stay.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => renamed.and(Err(error)),
        _ => renamed,
    }
}

/// Another name of a file.
pub(crate) fn link(first: &Path, path: &Path) -> io::Result<()> {
    let beside = beside(path)?;
    fs::hard_link(first, &beside)?;
    rename(&beside, path)
}

/// A link, pipe, socket or device.
pub(crate) fn special(path: &Path, kind: &NodeType) -> io::Result<()> {
    let beside = beside(path)?;
    let (file, device) = match kind {
        NodeType::Symlink { .. } => {
            std::os::unix::fs::symlink(kind.to_link(), &beside)?;
            return rename(&beside, path);
        }
        NodeType::Fifo => (FileType::Fifo, 0),
        NodeType::Socket => (FileType::Socket, 0),
        NodeType::Dev { device } => (FileType::BlockDevice, *device),
        NodeType::Chardev { device } => (FileType::CharacterDevice, *device),
        NodeType::File | NodeType::Dir => return Err(io::ErrorKind::InvalidInput.into()),
    };
    rustix::fs::mknodat(CWD, &beside, file, Mode::RUSR | Mode::WUSR, device)?;
    rename(&beside, path)
}

/// Gives what lies there its owner, mode, attributes and times, where they are others, in this order: a new owner takes
/// marks of the mode away, and everything changes times. Answers what could not be given. Owners, and marks that lend their
/// rights, are root's to give.
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
        tell("its mode", set_mode(path, mode_of(mode, root)));
    }
    for attribute in &node.meta.extended_attributes {
        let lent = ["security.", "trusted."].iter().any(|space| attribute.name.starts_with(space));
        let value = attribute.value.as_deref().unwrap_or_default();
        if (root || !lent) && !has(path, &attribute.name, value) {
            let set = rustix::fs::lsetxattr(path, OsStr::new(&attribute.name), value, XattrFlags::empty());
            tell(&format!("its attribute {}", attribute.name), set.map_err(io::Error::from));
        }
    }
    if let Some(modified) = node.meta.mtime {
        let there = path.symlink_metadata().and_then(|there| there.modified()).ok();
        if there.and_then(|time| Timestamp::try_from(time).ok()) != Some(modified) {
            let last_access = timespec(node.meta.atime.unwrap_or(modified));
            let times = Timestamps { last_access, last_modification: timespec(modified) };
            let set = rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
            tell("its time", set.map_err(io::Error::from));
        }
    }
    failed
}

/// Whether its owner, mode and attributes are those that [`dress`] would give it.
pub(crate) fn is_dressed(path: &Path, there: &fs::Metadata, node: &Node) -> bool {
    let root = rustix::process::geteuid().is_root();
    let mode = node.meta.mode.filter(|_| !node.is_symlink());
    let lent = |name: &str| ["security.", "trusted."].iter().any(|space| name.starts_with(space));
    let mut attributes = node.meta.extended_attributes.iter().filter(|one| root || !lent(&one.name));
    (!root || is_owner(there, node))
        && mode.is_none_or(|mode| there.mode() & 0o7777 == mode_of(mode, root))
        && attributes.all(|one| has(path, &one.name, one.value.as_deref().unwrap_or_default()))
}

/// Whether it has this attribute already.
fn has(path: &Path, name: &str, value: &[u8]) -> bool {
    // One more than is wanted shows what is longer.
    let mut there = vec![0; value.len() + 1];
    let length = rustix::fs::lgetxattr(path, OsStr::new(name), &mut there[..]);
    length.is_ok_and(|length| there.get(..length) == Some(value))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if path.symlink_metadata()?.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// The greatest number means nobody.
fn number(id: Option<u32>) -> Option<u32> {
    id.filter(|id| *id != u32::MAX)
}

fn is_owner(there: &fs::Metadata, node: &Node) -> bool {
    let is = |id: Option<u32>, now: u32| number(id).is_none_or(|id| id == now);
    is(node.meta.uid, there.uid()) && is(node.meta.gid, there.gid())
}

fn owner(path: &Path, node: &Node) -> io::Result<()> {
    if is_owner(&path.symlink_metadata()?, node) {
        return Ok(());
    }
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

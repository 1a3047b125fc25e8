//! What the kernel asks, and what it is answered.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, Request,
};

use crate::{
    Entry, Kind, Root, Source,
    names::names,
    tree::{Dir, FIRST, LATEST, Listing, Numbers, SNAPSHOTS, TOP, below},
};

/// What is in a snapshot never changes.
const FOR_LONG: Duration = Duration::from_hours(24);
/// So many things are told of that could not be read.
const TOLD_MAX: usize = 1000;
const BLOCK: u32 = 4096;
const NAME_MAX: u32 = 255;

/// Called when it is unmounted, by whomever.
pub(crate) type AtEnd = Box<dyn FnOnce() + Send + Sync>;

/// The folder.
pub(crate) struct Shown<S> {
    source: S,
    roots: Vec<Root>,
    names: Vec<String>,
    /// Whether there is one that is the newest.
    latest: bool,
    owner: (u32, u32),
    numbers: Mutex<Numbers>,
    told: Mutex<BTreeSet<u64>>,
    at_end: Option<AtEnd>,
}

/// What has a number.
enum Thing {
    Top,
    Snapshots,
    Latest,
    Snapshot(usize),
    /// Something in a directory.
    Within(Arc<Listing>),
}

impl<S: Source> Shown<S> {
    /// The snapshots, the oldest first.
    pub(crate) fn new(source: S, roots: Vec<Root>, latest: bool, at_end: AtEnd) -> Self {
        let owner = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let (names, numbers) = (names(&roots), Mutex::new(Numbers::new(roots.len())));
        let latest = latest && !roots.is_empty();
        Self { source, roots, names, latest, owner, numbers, told: Mutex::default(), at_end: Some(at_end) }
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn thing(&self, number: u64) -> Result<Thing, Errno> {
        match number {
            TOP => Ok(Thing::Top),
            SNAPSHOTS => Ok(Thing::Snapshots),
            LATEST if self.latest => Ok(Thing::Latest),
            number => {
                let snapshot = number.checked_sub(FIRST).and_then(|at| usize::try_from(at).ok());
                if let Some(at) = snapshot.filter(|at| *at < self.roots.len()) {
                    return Ok(Thing::Snapshot(at));
                }
                let above = self.numbers().above(number).ok_or(Errno::ENOENT)?;
                Ok(Thing::Within(self.listing(above)?))
            }
        }
    }

    /// What a directory is, by which it is listed.
    fn dir(&self, number: u64) -> Result<Dir, Errno> {
        if let Some(known) = self.numbers().dir(number) {
            return Ok(known);
        }
        match self.thing(number)? {
            Thing::Snapshot(at) => {
                let (root, name) = (self.roots.get(at), self.names.get(at));
                let (root, name) = root.zip(name).ok_or(Errno::ENOENT)?;
                let (name, tree) = (name.clone().into_bytes(), root.tree.as_str().into());
                Ok(Dir { above: SNAPSHOTS, name, tree })
            }
            Thing::Within(listing) => {
                let above = self.numbers().above(number).ok_or(Errno::ENOENT)?;
                below(above, listing.get(number).ok_or(Errno::ENOENT)?).ok_or(Errno::ENOTDIR)
            }
            Thing::Top | Thing::Snapshots | Thing::Latest => Err(Errno::ENOTDIR),
        }
    }

    /// What is in a directory of a snapshot.
    fn listing(&self, number: u64) -> Result<Arc<Listing>, Errno> {
        if let Some(held) = self.numbers().held(number) {
            return Ok(held);
        }
        let dir = self.dir(number)?;
        // Not under the lock: it may lie far away.
        let entries = self.source.entries(&dir.tree).map_err(|why| {
            self.tell(number, &dir, b"", &why);
            Errno::EIO
        })?;
        Ok(self.numbers().take(number, dir, entries))
    }

    /// Once for each thing: the kernel asks again and again.
    fn tell(&self, number: u64, dir: &Dir, name: &[u8], why: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_MAX || !told.insert(number) {
            return;
        }
        drop(told);
        let (_, above) = self.numbers().path(dir.above);
        let names = [above.as_slice(), &dir.name, name];
        let names = names.iter().filter(|name| !name.is_empty()).copied().collect::<Vec<_>>();
        self.source.tell(format!("{}: {why}", String::from_utf8_lossy(&names.join(&b'/'))));
    }

    fn own(&self, number: u64, kind: FileType, size: u64) -> FileAttr {
        let made = number.checked_sub(FIRST).and_then(|at| self.roots.get(usize::try_from(at).ok()?));
        let newest = made
            .or(self.roots.last())
            .map_or(UNIX_EPOCH, |root| UNIX_EPOCH + Duration::from_millis(root.made_ms));
        let perm = if kind == FileType::Symlink { 0o777 } else { 0o555 };
        attr(number, kind, size, [newest; 3], (perm, 1, self.owner, 0))
    }

    fn attr(&self, number: u64) -> Result<FileAttr, Errno> {
        Ok(match self.thing(number)? {
            Thing::Top | Thing::Snapshots | Thing::Snapshot(_) => self.own(number, FileType::Directory, 0),
            Thing::Latest => self.own(number, FileType::Symlink, self.to_latest().len() as u64),
            Thing::Within(listing) => attr_of(number, listing.get(number).ok_or(Errno::ENOENT)?),
        })
    }

    fn to_latest(&self) -> Vec<u8> {
        format!("snapshots/{}", self.names.last().map_or("", String::as_str)).into_bytes()
    }

    fn find(&self, above: u64, name: &[u8]) -> Result<FileAttr, Errno> {
        let number = match (self.thing(above)?, name) {
            (Thing::Top, b"snapshots") => SNAPSHOTS,
            (Thing::Top, b"latest") if self.latest => LATEST,
            (Thing::Snapshots, name) => {
                let at = self.names.iter().position(|one| one.as_bytes() == name).ok_or(Errno::ENOENT)?;
                FIRST + at as u64
            }
            (Thing::Snapshot(_) | Thing::Within(_), name) => {
                let listing = self.listing(above)?;
                let (number, entry) = listing.find(name).ok_or(Errno::ENOENT)?;
                return Ok(attr_of(number, entry));
            }
            _ => return Err(Errno::ENOENT),
        };
        self.attr(number)
    }

    /// What is in a directory, from a place in it on; `add` answers whether there was no room for one more.
    fn each(
        &self,
        number: u64,
        from: u64,
        add: &mut dyn FnMut(u64, &[u8], &FileAttr) -> bool,
    ) -> Result<(), Errno> {
        let from = usize::try_from(from).map_err(|_| Errno::EINVAL)?;
        let listing = match self.thing(number)? {
            Thing::Top | Thing::Snapshots => None,
            Thing::Snapshot(_) | Thing::Within(_) => Some(self.listing(number)?),
            Thing::Latest => return Err(Errno::ENOTDIR),
        };
        let above = listing.as_ref().map_or(TOP, |listing| listing.above);
        let names: Vec<(u64, &[u8])> = match (number, &listing) {
            (TOP, _) => {
                let latest = Some((LATEST, &b"latest"[..])).filter(|_| self.latest);
                [(SNAPSHOTS, &b"snapshots"[..])].into_iter().chain(latest).collect()
            }
            (_, None) => (FIRST..).zip(self.names.iter().map(String::as_bytes)).collect(),
            (_, Some(listing)) => {
                // The first two places are the directory and the one above; of a large one only the rest is looked at.
                let rest = listing.entries.iter().enumerate().skip(from.saturating_sub(2));
                for (at, dots) in [(number, &b"."[..]), (above, b"..")].iter().enumerate().skip(from) {
                    let itself =
                        attr(dots.0, FileType::Directory, 0, [UNIX_EPOCH; 3], (0o555, 1, self.owner, 0));
                    if add(at as u64 + 1, dots.1, &itself) {
                        return Ok(());
                    }
                }
                for (at, entry) in rest {
                    if add(at as u64 + 3, &entry.name, &attr_of(listing.first + at as u64, entry)) {
                        return Ok(());
                    }
                }
                return Ok(());
            }
        };
        let all = [(number, &b"."[..]), (above, b"..")].into_iter().chain(names);
        for (at, (one, name)) in all.enumerate().skip(from) {
            if add(at as u64 + 1, name, &self.attr(one)?) {
                break;
            }
        }
        Ok(())
    }

    fn bytes(&self, number: u64, offset: u64, length: u32) -> Result<bytes::Bytes, Errno> {
        let Thing::Within(listing) = self.thing(number)? else { return Err(Errno::EISDIR) };
        let entry = listing.get(number).ok_or(Errno::ENOENT)?;
        if entry.kind != Kind::File {
            return Err(Errno::EINVAL);
        }
        let wanted = entry.size.saturating_sub(offset).min(u64::from(length));
        if wanted == 0 {
            return Ok(bytes::Bytes::new());
        }
        let read = self.source.read(&listing.tree, entry.at, offset, wanted);
        let read = read.and_then(|read| {
            // Fewer would be filled up with zeros.
            let whole = read.len() as u64 == wanted;
            whole.then_some(read).ok_or_else(|| "the backup is damaged: it ends too early".to_owned())
        });
        read.map_err(|why| {
            // Not within one expression: it is locked once only.
            let above = self.numbers().dir_above(number);
            if let Some(dir) = above {
                self.tell(number, &dir, &entry.name, &why);
            }
            Errno::EIO
        })
    }
}

impl<S: Source> Filesystem for Shown<S> {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Faster where the kernel knows them.
        for wish in [
            InitFlags::FUSE_DO_READDIRPLUS | InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
        ] {
            config.add_capabilities(wish).ok();
        }
        Ok(())
    }

    fn destroy(&mut self) {
        if let Some(at_end) = self.at_end.take() {
            at_end();
        }
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.find(parent.0, name.as_bytes()) {
            Ok(attr) => reply.entry(&FOR_LONG, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(number.0) {
            Ok(attr) => reply.attr(&FOR_LONG, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        let link = self.thing(number.0).and_then(|thing| match thing {
            Thing::Latest => Ok(self.to_latest()),
            Thing::Within(listing) => match listing.get(number.0).map(|entry| &entry.kind) {
                Some(Kind::Link(to)) => Ok(to.clone()),
                _ => Err(Errno::EINVAL),
            },
            _ => Err(Errno::EINVAL),
        });
        match link {
            Ok(to) => reply.data(&to),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.bytes(number.0, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR);
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.each(number.0, offset, &mut |next, name, attr| {
            reply.add(attr.ino, next, attr.kind, OsStr::from_bytes(name))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let listed = self.each(number.0, offset, &mut |next, name, attr| {
            reply.add(attr.ino, next, OsStr::from_bytes(name), &FOR_LONG, attr, Generation(0))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, BLOCK, NAME_MAX, BLOCK);
    }
}

fn time((seconds, nanos): (i64, u32)) -> SystemTime {
    let rest = Duration::from_nanos(u64::from(nanos));
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let whole = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    whole.and_then(|whole| whole.checked_add(rest)).unwrap_or(UNIX_EPOCH)
}

fn attr_of(number: u64, entry: &Entry) -> FileAttr {
    let (kind, device, size) = match &entry.kind {
        Kind::File => (FileType::RegularFile, 0, entry.size),
        Kind::Dir(_) => (FileType::Directory, 0, 0),
        Kind::Link(to) => (FileType::Symlink, 0, to.len() as u64),
        Kind::Pipe => (FileType::NamedPipe, 0, 0),
        Kind::Socket => (FileType::Socket, 0, 0),
        Kind::Block(device) => (FileType::BlockDevice, *device, 0),
        Kind::Char(device) => (FileType::CharDevice, *device, 0),
    };
    let perm = u16::try_from(entry.mode & 0o7777).unwrap_or_default();
    let links = u32::try_from(entry.links).unwrap_or(u32::MAX);
    let device = u32::try_from(device).unwrap_or_default();
    attr(number, kind, size, entry.times.map(time), (perm, links, (entry.user, entry.group), device))
}

/// The mode, the number of names, the owner and group, and the number of a device.
type About = (u16, u32, (u32, u32), u32);

fn attr(number: u64, kind: FileType, size: u64, times: [SystemTime; 3], about: About) -> FileAttr {
    let [mtime, atime, ctime] = times;
    let (perm, nlink, (uid, gid), rdev) = about;
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime,
        mtime,
        ctime,
        crtime: ctime,
        kind,
        perm,
        nlink,
        uid,
        gid,
        rdev,
        blksize: BLOCK,
        flags: 0,
    }
}

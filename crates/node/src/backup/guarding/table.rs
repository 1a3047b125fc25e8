//! What is mounted, as the kernel's table says it (`/proc/self/mountinfo`,
//! <https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html>). Pure.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// A file system that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where.
    pub(super) at: PathBuf,
    /// The directory of it that is shown there.
    pub(super) root: PathBuf,
    /// The numbers of its device, as they stand below `/sys/dev/block`.
    pub(super) device: String,
    /// Its type.
    pub(super) kind: String,
    /// What it is read from: a device, a dataset, another machine.
    pub(super) source: String,
}

/// What is mounted, in the order in which it was. A line that makes no sense is none.
pub(super) fn read(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = words.iter().skip(6).position(|word| *word == b"-")? + 6;
    let path = |word: usize| Some(PathBuf::from(OsString::from_vec(plain(words.get(word)?))));
    let text = |word: usize| Some(String::from_utf8_lossy(&plain(words.get(word)?)).into_owned());
    Some(Mount {
        at: path(4).filter(|at| at.is_absolute())?,
        root: path(3)?,
        device: text(2)?,
        kind: text(dash + 1)?,
        source: text(dash + 2)?,
    })
}

/// Without the kernel's escapes: a backslash and three octal digits.
fn plain(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            out.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// The one that a path lies on: the innermost, and of those at one place the last.
pub(super) fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.at));
    above.max_by_key(|mount| mount.at.components().count())
}

impl Mount {
    /// Whether it lies on a disk of this machine, and is its own: what another machine or a program shows is there as well, and
    /// to look at it may take forever.
    pub(super) fn is_disk(&self) -> bool {
        let image = ["squashfs", "iso9660", "udf", "erofs"].contains(&self.kind.as_str());
        (self.source.starts_with("/dev/") && !image) || self.kind == "zfs"
    }

    /// Whether it shows all that is in it, and not a part of what is mounted elsewhere. A subvolume is something of its own.
    pub(super) fn is_whole(&self) -> bool {
        self.root == Path::new("/") || self.kind == "btrfs"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &[u8] = b"28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 28 8:17 / /srv/my\\040films rw - ext4 /dev/sdb1 rw\n\
        31 28 0:50 / /tank rw shared:2 master:1 - zfs tank rw,xattr\n\
        32 28 0:51 / /mnt/nas rw - nfs4 nas:/all rw\n\
        33 28 8:1 /var/lib/x /mnt/x rw - ext4 /dev/sda1 rw\n\
        34 28 0:52 /@data /mnt/data rw - btrfs /dev/sdc rw\n\
        nonsense\n";

    #[test]
    fn a_table_is_read() {
        let mounts = read(TABLE);
        let told: Vec<(&str, bool, bool)> =
            mounts.iter().map(|one| (one.at.to_str().unwrap(), one.is_disk(), one.is_whole())).collect();
        let expected = [
            ("/", true, true),
            ("/srv/my films", true, true),
            ("/tank", true, true),
            ("/mnt/nas", false, true),
            ("/mnt/x", true, false),
            ("/mnt/data", true, true),
        ];
        assert_eq!(told, expected);
        assert_eq!((mounts[1].device.as_str(), mounts[2].source.as_str()), ("8:17", "tank"));
        assert_eq!(holding(&mounts, Path::new("/srv/my films/a")), mounts.get(1));
        assert_eq!(holding(&mounts, Path::new("/srv/my")), mounts.first());
        assert_eq!(holding(&[], Path::new("/srv")), None);
    }

    proptest! {
        #[test]
        fn no_table_is_too_odd(table in prop::collection::vec(any::<u8>(), 0..300), cut in 0..TABLE.len()) {
            for mount in read(&table).iter().chain(&read(&TABLE[..cut])) {
                prop_assert!(mount.at.is_absolute());
            }
        }
    }
}

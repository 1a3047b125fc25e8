//! What of a machine may be worth a backup: what lies in the home of the node's user, file systems that a person mounted, and
//! what is served. A directory is listed, and what is right in it; nothing is looked at below that.

use std::fs;
use std::path::{Path, PathBuf};

use freehold_backup::is_cache;
use freehold_retention::Candidate;

use super::table::{Mount, holding, read};
use crate::shared::Shared;

/// So many names of a directory are looked at.
const NAMES_MAX: usize = 2_000;
/// So many in each of those, for one that says that it holds something.
const WITHIN_MAX: usize = 64;
/// Where people have file systems mounted.
const MOUNTED: [&str; 4] = ["/srv", "/mnt", "/media", "/run/media"];
/// What is right below the root and no person's.
const SYSTEM: [&str; 22] = [
    "bin",
    "boot",
    "dev",
    "efi",
    "etc",
    "home",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "lost+found",
    "nix",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "snap",
    "sys",
    "tmp",
    "usr",
    "var",
];

/// Where to look.
pub(super) struct Machine {
    pub(super) home: Option<PathBuf>,
    /// What it serves to others.
    pub(super) served: PathBuf,
    pub(super) mounts: Vec<Mount>,
    /// Targets and the node's own folder.
    pub(super) never: Vec<PathBuf>,
    /// Datasets that are sent elsewhere, and whether those below are.
    pub(super) sent: Vec<(String, bool)>,
    /// Whether a device is there only as long as it is plugged in.
    pub(super) is_removable: fn(&str) -> bool,
}

impl Machine {
    /// This one.
    pub(super) fn this(shared: &Shared) -> Self {
        let chosen = shared.datasets.chosen();
        let sent = chosen.iter().flat_map(|chosen| &chosen.declaration.backups);
        Self {
            home: std::env::home_dir().filter(|home| home.is_absolute() && home != Path::new("/")),
            served: PathBuf::from("/srv"),
            mounts: read(&fs::read("/proc/self/mountinfo").unwrap_or_default()),
            never: shared.backups_of_files.never(&shared.home),
            sent: sent.map(|backup| (backup.dataset.to_string(), backup.children)).collect(),
            is_removable,
        }
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let below = |dir: &PathBuf| self.below(dir);
        let mut paths: Vec<PathBuf> = self.home.iter().chain([&self.served]).flat_map(below).collect();
        paths.extend(self.mounted());
        // What lies in another candidate is looked at with that one.
        let all = paths.clone();
        paths.retain(|path| {
            !all.iter().any(|above| above != path && path.starts_with(above) && self.shares(above, path))
        });
        let dir = |path: PathBuf| {
            let mount =
                holding(&self.mounts, &path).map_or_else(|| PathBuf::from("/"), |mount| mount.at.clone());
            Candidate::Dir { path, mount }
        };
        paths.into_iter().map(dir).collect()
    }

    fn shares(&self, one: &Path, other: &Path) -> bool {
        holding(&self.mounts, one) == holding(&self.mounts, other)
    }

    /// Directories right below one that hold something.
    fn below(&self, dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten().take(NAMES_MAX);
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let seen = dirs.filter(|entry| !is_hidden(&entry.file_name()));
        seen.map(|entry| entry.path()).filter(|path| self.matters(path)).collect()
    }

    /// File systems that somebody mounted, to stay.
    fn mounted(&self) -> impl Iterator<Item = PathBuf> {
        let fits = |mount: &&Mount| {
            let holds_home = self.home.as_ref().is_some_and(|home| home.starts_with(&mount.at));
            let has_target = self.never.iter().any(|never| never.starts_with(&mount.at));
            is_peoples(&mount.at)
                && mount.is_whole()
                && !holds_home
                && !has_target
                && self.matters(&mount.at)
                && !(self.is_removable)(&mount.device)
        };
        self.mounts.iter().filter(fits).map(|mount| mount.at.clone())
    }

    /// Whether it holds something that is nobody else's to keep.
    fn matters(&self, path: &Path) -> bool {
        let mount = self.mounts.iter().rfind(|mount| mount.at == path);
        let is_never = |path: &Path| self.never.iter().any(|never| path.starts_with(never));
        if mount.is_some_and(|mount| !mount.is_disk() || self.is_sent(mount)) || is_never(path) {
            return false;
        }
        if holding(&self.mounts, path).is_some_and(|mount| self.is_sent(mount)) || is_cache(path) {
            return false;
        }
        let within = fs::read_dir(path).into_iter().flatten().flatten().take(WITHIN_MAX);
        let mut matter = within.filter(|entry| entry.file_name() != "lost+found");
        matter.any(|entry| !is_hidden(&entry.file_name()) && !is_never(&entry.path()))
    }

    /// Whether it is a dataset that goes elsewhere as it is.
    fn is_sent(&self, mount: &Mount) -> bool {
        let is_it = |(sent, with_below): &(String, bool)| {
            let below = mount.source.strip_prefix(sent.as_str());
            below.is_some_and(|below| below.is_empty() || (*with_below && below.starts_with('/')))
        };
        mount.kind == "zfs" && self.sent.iter().any(is_it)
    }
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn is_peoples(at: &Path) -> bool {
    let is_own = |top: &std::ffi::OsStr| !SYSTEM.iter().any(|system| *system == top);
    let is_top = at.parent() == Some(Path::new("/")) && at.file_name().is_some_and(is_own);
    is_top || MOUNTED.iter().any(|place| at.starts_with(place))
}

/// As the kernel tells it of the disk, of which a device may be a part.
/// <https://www.kernel.org/doc/Documentation/ABI/stable/sysfs-block>
fn is_removable(device: &str) -> bool {
    let at = Path::new("/sys/dev/block").join(device);
    let says = |file: PathBuf| fs::read_to_string(file).is_ok_and(|text| text.trim() == "1");
    // What is on USB says that it stays; a desktop puts it where it puts sticks.
    let is_usb = fs::canonicalize(&at)
        .is_ok_and(|at| at.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb")));
    is_usb || says(at.join("removable")) || says(at.join("../removable"))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of a test")]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine(dir: &Path) -> Machine {
        Machine {
            home: Some(dir.join("ann")),
            served: dir.join("srv"),
            mounts: Vec::new(),
            never: vec![dir.join("ann/node"), dir.join("ann/disk")],
            sent: Vec::new(),
            is_removable: |_| false,
        }
    }

    fn names(machine: &Machine, dir: &Path) -> Vec<String> {
        let name = |candidate| match candidate {
            Candidate::Dir { path, .. } => {
                path.strip_prefix(dir).unwrap_or(&path).to_str().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        };
        let mut names: Vec<String> = machine.candidates().into_iter().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_holds_something_is_seen_and_what_is_no_persons_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for file in [
            "ann/music/song",
            "ann/.config/x",
            "ann/node/log",
            "ann/disk/config",
            "ann/letter",
            "srv/www/index.html",
            "ann/shell/.hidden",
            "ann/cache/page",
            "bob/music/song",
            "ann/odd/CACHEDIR.TAG",
        ] {
            write(&dir.join(file), "text");
        }
        write(&dir.join("ann/cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n");
        fs::create_dir(dir.join("ann/empty")).unwrap();
        std::os::unix::fs::symlink(dir.join("bob"), dir.join("ann/bob")).unwrap();
        assert_eq!(names(&machine(dir), dir), ["ann/music", "ann/odd", "srv/www"]);
        let none = Machine { home: None, served: dir.join("none"), ..machine(dir) };
        assert!(none.candidates().is_empty());
    }

    #[test]
    fn what_another_machine_shows_and_what_is_sent_is_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for file in ["ann/nas/song", "ann/tank/song", "ann/tank2/song", "ann/disk2/song"] {
            write(&dir.join(file), "text");
        }
        let line = |at: &str, kind: &str, source: &str| {
            format!("30 28 8:17 / {} rw - {kind} {source} rw\n", dir.join("ann").join(at).display())
        };
        let table = [
            line("nas", "nfs4", "nas:/all"),
            line("tank", "zfs", "tank/ann/films"),
            line("tank2", "zfs", "tank/annabel"),
            line("disk2", "ext4", "/dev/sdb1"),
        ];
        let mounts = read(table.concat().as_bytes());
        let sent = vec![("tank/ann".to_owned(), true)];
        let machine = Machine { mounts, sent, ..machine(dir) };
        assert_eq!(names(&machine, dir), ["ann/disk2", "ann/tank2"]);
        let alone = Machine { sent: vec![("tank/ann".to_owned(), false)], ..machine };
        assert_eq!(names(&alone, dir), ["ann/disk2", "ann/tank", "ann/tank2"]);
    }

    #[test]
    fn people_mount_things_in_a_few_places_and_right_below_the_root() {
        for (at, is) in [
            ("/tank", true),
            ("/data", true),
            ("/mnt", true),
            ("/media/ann/disk", true),
            ("/", false),
            ("/home", false),
            ("/var/lib/docker", false),
            ("/srv2/x", false),
        ] {
            assert_eq!(is_peoples(Path::new(at)), is, "{at}");
        }
    }
}

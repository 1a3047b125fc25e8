//! What the directory lets happen, what comes back of what is damaged or evil, and that the choice of snapshots is
//! restic's own. Restic itself reads and writes our repositories in `tests/backup`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{BackupError, Folder, Made, Password, Repository, Rights, Source};

mod browsing;
mod coming_back;
mod comparing;
mod cutting;
mod evil;
mod folder;
mod given;
mod keeping;
mod lies;
mod looking;
mod making;
mod printing;
mod seeking;
mod upkeep;

/// A place with something to back up, and a repository.
struct Place {
    dir: TempDir,
    repository: Repository,
}

const PASSWORD: &str = "correct horse battery staple";

fn password() -> Password {
    Password::known(Zeroizing::new(PASSWORD.to_owned()))
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("home")).expect("made");
        let folder = Folder::new(&dir.path().join("backup"), Rights::Prune);
        let repository = Repository::create(folder, &password()).expect("a repository");
        Self { dir, repository }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().expect("in home")).expect("made");
        #[expect(clippy::disallowed_methods, reason = "a file of a test")]
        fs::write(path, content).expect("written");
    }

    fn source(&self) -> Source {
        Source { paths: vec![self.home()], ..Source::default() }
    }

    fn adding_browsing(&self) -> crate::Browsing {
        let folder = Folder::new(&self.dir.path().join("backup"), Rights::Append);
        Repository::open(folder, &password()).expect("open").browse().expect("browsed")
    }

    fn backup(&self) -> Made {
        self.repository.backup(&self.source(), "laptop").expect("backed up")
    }

    /// Restores what is below home of the last snapshot.
    fn restore(&self, to: &str) -> (crate::Restored, PathBuf) {
        let to = self.dir.path().join(to);
        (self.repository.restore("latest", Some(&self.home()), &to).expect("restored"), to)
    }

    /// The packs, the greatest first.
    fn packs(&self) -> Vec<PathBuf> {
        let mut packs: Vec<(u64, PathBuf)> = files(&self.dir.path().join("backup/data"))
            .into_iter()
            .map(|path| (fs::metadata(&path).expect("there").len(), path))
            .collect();
        packs.sort();
        packs.into_iter().rev().map(|(_, path)| path).collect()
    }
}

/// All files below, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.symlink_metadata().expect("there").is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Bytes that do not get smaller, the same for the same seed (xorshift).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn what_cannot_be_opened_says_why() {
    let place = Place::new();
    let at = |name: &str| Folder::new(&place.dir.path().join(name), Rights::Append);
    let nothing = Repository::open(at("elsewhere"), &password()).expect_err("nothing there");
    assert!(matches!(nothing, BackupError::NotThere { .. }), "{nothing}");
    let other = Password::draw().expect("random bits");
    let wrong = Repository::open(at("backup"), &other).expect_err("another password");
    assert!(matches!(wrong, BackupError::Password { .. }), "{wrong}");
    let again = Repository::create(at("backup"), &password()).expect_err("one is there");
    assert!(matches!(again, BackupError::Exists { .. }), "{again}");
    assert!(!format!("{:?}", password()).contains(PASSWORD));
    let shown = format!("Repository {{ place: {:?}, .. }}", place.repository.place());
    assert_eq!(format!("{:?}", place.repository), shown, "the engine's own types show the master key");
    Repository::open(at("backup"), &password()).expect("the right one");
}

#[test]
fn a_source_that_is_not_there_is_no_snapshot_without_it() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    for (paths, word) in [
        (vec![place.home(), place.home().join("gone")], "No such file"),
        (vec![PathBuf::from("home")], "begin with /"),
        (Vec::new(), "no path"),
    ] {
        let refused =
            place.repository.backup(&Source { paths, ..Source::default() }, "laptop").expect_err("refused");
        assert!(refused.to_string().contains(word), "{refused}");
    }
    assert_eq!(place.repository.snapshots().expect("listed"), []);
}

#[test]
fn what_is_to_be_left_out_is_and_caches_are_known_by_their_signature() {
    let place = Place::new();
    for name in ["kept", "movie.iso", "build/big.o", "build/.gitignore", "cache/page", "notes/cache.txt"] {
        place.write(name, if name.ends_with(".gitignore") { b"*.o" } else { name.as_bytes() });
    }
    place.write("cache/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n# more");
    place.write("notes/CACHEDIR.TAG", b"not really");
    let source = Source { excludes: vec!["*.iso".to_owned()], git_ignore: true, ..place.source() };
    let made = place.repository.backup(&source, "laptop").expect("backed up");
    let (restored, to) = place.restore("back");
    let back: Vec<String> =
        files(&to).iter().map(|path| path.strip_prefix(&to).expect("below").display().to_string()).collect();
    let expected =
        ["build/.gitignore", "cache/CACHEDIR.TAG", "kept", "notes/CACHEDIR.TAG", "notes/cache.txt"];
    assert_eq!(back, expected);
    assert_eq!((made.files, restored.files, restored.failed), (5, 5, 0));
}

#[test]
fn the_backup_does_not_back_itself_up() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    let source = Source { paths: vec![place.dir.path().to_owned()], ..Source::default() };
    let made = place.repository.backup(&source, "laptop").expect("backed up");
    assert_eq!((made.files, made.unread), (1, 0));
    let link = tempfile::tempdir().expect("a directory");
    let link = link.path().join("stick");
    std::os::unix::fs::symlink(place.dir.path().join("backup"), &link).expect("linked");
    let linked = Repository::open(Folder::new(&link, Rights::Append), &password()).expect("the same");
    let made = linked.backup(&source, "laptop").expect("backed up");
    assert_eq!((made.files, made.unread), (1, 0), "by another name, too");
}

#[test]
fn what_cannot_be_read_is_counted_and_named() {
    let place = Place::new();
    place.write("letter", b"Dear Ann");
    // A file that nobody can read from its beginning, root included.
    let source = Source { paths: vec![place.home(), PathBuf::from("/proc/self/mem")], ..Source::default() };
    let made = place.repository.backup(&source, "laptop").expect("the rest is backed up");
    assert_eq!(made.unread, 1, "{made:?}");
    assert_eq!(
        made.named.first().and_then(|unread| unread.path.clone()),
        Some(PathBuf::from("/proc/self/mem"))
    );
    let (restored, to) = place.restore("back");
    assert_eq!(restored.files, 1);
    assert_eq!(fs::read(to.join("letter")).expect("there"), b"Dear Ann");
}

//! Backups and the restic that everybody has: it reads what we wrote, we read what it wrote, and a backup that is killed
//! goes on where it was.

mod alone;
mod everything;
mod lodged;
mod metered;
mod mounted;
mod person;
mod printed;
mod rented;
mod unprotected;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use freehold_backup::{Folder, Password, Repository, Rights, Source};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// A directory with a home, a place for a repository, and a password in a file, as restic wants it.
struct Place {
    dir: TempDir,
    password: Password,
}

impl Place {
    fn new() -> Result<Self> {
        let place = Self { dir: tempfile::tempdir()?, password: Password::draw()? };
        fs::create_dir(place.home())?;
        write(&place.dir.path().join("password"), place.password.reveal().as_bytes())?;
        Ok(place)
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn folder(&self) -> Folder {
        Folder::new(&self.dir.path().join("backup"), Rights::Append)
    }

    fn source(&self) -> Source {
        Source { paths: vec![self.home()], ..Source::default() }
    }

    /// A home as homes are: texts, something large, empty things, links, odd names.
    fn furnish(&self) -> Result<()> {
        let home = self.home();
        for number in 0..200 {
            let dir = home.join(format!("papers/{}", number % 20));
            fs::create_dir_all(&dir)?;
            write(
                &dir.join(format!("letter {number}.txt")),
                format!("Dear Ann, {number}\n").repeat(number * 7).as_bytes(),
            )?;
        }
        write(&home.join("film"), &noise(1, 6 << 20))?;
        fs::hard_link(home.join("film"), home.join("papers/the same film"))?;
        std::os::unix::fs::symlink("papers/1", home.join("first"))?;
        fs::create_dir(home.join("empty"))?;
        Ok(())
    }

    /// Runs restic on the repository and answers what it says.
    fn restic(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("restic");
        command.arg("--no-cache").arg("--repo").arg(self.dir.path().join("backup"));
        command.arg("--password-file").arg(self.dir.path().join("password")).args(arguments);
        let out = command.output().context("restic is not installed")?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(out.status.success(), "restic {arguments:?}: {said}{}", String::from_utf8_lossy(&out.stderr));
        Ok(said)
    }

    /// Whether the directory has what home has: names, bytes, modes, owners, times and links.
    fn same_as_home(&self, other: &Path) -> Result<()> {
        let out =
            Command::new("diff").args(["-r", "--no-dereference"]).arg(self.home()).arg(other).output()?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        let [ours, theirs] = [&self.home(), other].map(listed);
        let (ours, theirs) = (ours?, theirs?);
        ensure!(ours.lines().count() > 10, "nothing is listed");
        ensure!(ours == theirs, "{ours}\n\n{theirs}");
        Ok(())
    }
}

/// Everything below, with what is said of it.
fn listed(dir: &Path) -> Result<String> {
    let out = Command::new("find")
        .arg(dir)
        .args(["-mindepth", "1", "-printf", "%P %y %m %U %G %T@ %n %l\\n"])
        .output()?;
    let text = String::from_utf8(out.stdout)?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    Ok(lines.join("\n"))
}

#[expect(clippy::disallowed_methods, reason = "a file of a test")]
fn write(path: &Path, content: &[u8]) -> Result<()> {
    Ok(fs::write(path, content)?)
}

/// Bytes that do not get smaller, the same for the same seed (xorshift).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

#[test]
fn restic_reads_what_we_wrote() -> Result<()> {
    let place = Place::new()?;
    place.furnish()?;
    let ours = Repository::create(place.folder(), &place.password)?;
    let first = ours.backup(&place.source(), "laptop")?;
    write(&place.home().join("new"), b"news")?;
    let second = ours.backup(&place.source(), "laptop")?;
    ensure!(first.unread == 0 && second.added < first.added / 100, "{first:?} {second:?}");
    let snapshots: serde_json::Value = serde_json::from_str(&place.restic(&["snapshots", "--json"])?)?;
    let ids: Vec<&str> =
        snapshots.as_array().context("a list")?.iter().filter_map(|one| one["id"].as_str()).collect();
    ensure!(ids == [first.snapshot.as_str(), second.snapshot.as_str()], "{ids:?}");
    place.restic(&["check", "--read-data"])?;
    let to = place.dir.path().join("back");
    place.restic(&["restore", "latest", "--target", &to.to_string_lossy()])?;
    place.same_as_home(&to.join(place.home().strip_prefix("/")?))
}

#[test]
fn we_read_what_restic_wrote_and_go_on_with_it() -> Result<()> {
    let place = Place::new()?;
    place.furnish()?;
    place.restic(&["init"])?;
    place.restic(&["backup", "--host", "laptop", &place.home().to_string_lossy()])?;
    let ours = Repository::open(place.folder(), &place.password)?;
    let found = ours.check(true)?;
    ensure!(!found.iter().any(|finding| finding.severe), "{found:?}");
    let to = place.dir.path().join("back");
    let restored = ours.restore("latest", Some(&place.home()), &to)?;
    ensure!(restored.failed == 0, "{restored:?}");
    place.same_as_home(&to)?;
    write(&place.home().join("new"), b"news")?;
    let made = ours.backup(&place.source(), "laptop")?;
    // What restic packed is not packed again: its chunks are cut by the same polynomial.
    ensure!(made.added < 100_000, "{made:?}");
    place.restic(&["check", "--read-data"])?;
    let to = place.dir.path().join("again");
    place.restic(&["restore", "latest", "--target", &to.to_string_lossy()])?;
    place.same_as_home(&to.join(place.home().strip_prefix("/")?))
}

/// Where the process that is to be killed finds what it backs up.
const CHILD: &str = "FREEHOLD_STORY_BACKUP";

#[test]
#[ignore = "the process that `a_backup_that_is_killed_goes_on_where_it_was` kills"]
fn child_backs_up() -> Result<()> {
    let dir = PathBuf::from(env::var_os(CHILD).context("run by another test")?);
    let password = Password::known(Zeroizing::new(fs::read_to_string(dir.join("password"))?));
    let ours = Repository::open(Folder::new(&dir.join("backup"), Rights::Append), &password)?;
    ours.backup(&Source { paths: vec![dir.join("home")], ..Source::default() }, "laptop")?;
    Ok(())
}

/// The whole packs of a repository: how many, and their bytes.
fn packs(data: &Path) -> Result<(usize, u64)> {
    let (mut count, mut bytes) = (0, 0);
    let Ok(dirs) = fs::read_dir(data) else { return Ok((0, 0)) };
    for dir in dirs {
        for pack in fs::read_dir(dir?.path())? {
            let pack = pack?;
            if pack.file_name().len() == 64 {
                count += 1;
                bytes += pack.metadata()?.len();
            }
        }
    }
    Ok((count, bytes))
}

#[test]
fn a_backup_that_is_killed_goes_on_where_it_was() -> Result<()> {
    let place = Place::new()?;
    let size = 8 << 20;
    for number in 0..20 {
        write(&place.home().join(format!("film {number}")), &noise(number + 1, size))?;
    }
    let ours = Repository::create(place.folder(), &place.password)?;
    let mut child = Command::new(env::current_exe()?)
        .args(["--exact", "child_backs_up", "--ignored"])
        .env(CHILD, place.dir.path())
        .stdout(Stdio::null())
        .spawn()?;
    let (data, until) = (place.dir.path().join("backup/data"), Instant::now() + Duration::from_mins(2));
    while packs(&data)?.0 < 2 {
        ensure!(child.try_wait()?.is_none(), "it ended before it could be killed");
        if Instant::now() > until {
            child.kill()?;
            bail!("no pack was written in two minutes");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    let (count, before) = packs(&data)?;
    ensure!(ours.snapshots()?.is_empty(), "a backup that was killed is none");

    let made = ours.backup(&place.source(), "laptop")?;
    let total = 20 * size as u64;
    ensure!(made.bytes == total && made.unread == 0, "{made:?}");
    ensure!(made.added < total - before + (1 << 20), "{count} packs of {before} bytes were there: {made:?}");
    place.restic(&["check", "--read-data"])?;
    let to = place.dir.path().join("back");
    let restored = ours.restore("latest", Some(&place.home()), &to)?;
    ensure!(restored.failed == 0 && restored.files == 20, "{restored:?}");
    place.same_as_home(&to)
}

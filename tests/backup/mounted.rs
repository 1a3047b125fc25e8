//! A backup as a folder: what is in it is what was backed up, it is only read, and nothing stays behind. Where the machine
//! has no FUSE, the command says so.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use freehold_harness::{Node, Story, story, until};

use super::person::{target, text};
use super::{noise, packs, write};

const BIG: usize = 20_000_000;
/// Far more than it takes.
const PATIENCE: u64 = 60;

/// Whether a program can show folders here, as the real device says it.
fn has_fuse() -> bool {
    fs::File::options().read(true).write(true).open("/dev/fuse").is_ok()
}

/// Says that it is skipped, and sees that a person would hear why.
fn without_fuse(node: &Node<'_>, folder: &Path) -> Result<()> {
    let said =
        "skipped: this machine has no FUSE (/dev/fuse); only what the command says of it was looked at\n";
    std::io::stderr().lock().write_all(said.as_bytes())?;
    let next = "freehold backup restore --to DIR";
    node.cli(&["backup", "mount", "home", &text(folder)])?
        .refused(1, &["nothing was mounted", "FUSE", next])?;
    ensure!(!folder.exists(), "it is not made where nothing is mounted");
    Ok(())
}

/// The command under way, which is killed if a test ends before.
struct Mount {
    child: Child,
    folder: PathBuf,
    said: PathBuf,
}

impl Mount {
    fn new(node: &Node<'_>, folder: &Path, more: &[&str]) -> Result<Self> {
        let said = node.host().folder().join("mount-said");
        let out = fs::File::create(&said)?;
        let mut command = node.command(&[&["backup", "mount"], more, &[&*text(folder)][..]].concat())?;
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        let mut mount = Self { child: command.spawn()?, folder: folder.to_owned(), said };
        until(PATIENCE, "it is mounted", || {
            if let Some(ended) = mount.child.try_wait()? {
                bail!("it ended: {ended}: {}", mount.said()?);
            }
            ensure!(folder.join("snapshots").is_dir() && mount.said()?.contains("Ctrl-C"), "not yet");
            Ok(())
        })?;
        Ok(mount)
    }

    fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.said)?)
    }

    fn ended(&mut self) -> Result<()> {
        until(PATIENCE, "the command ends", || {
            let ended = self.child.try_wait()?.context("it goes on")?;
            ensure!(ended.success(), "{ended}: {}", self.said()?);
            Ok(())
        })?;
        ensure!(!is_mounted(&self.folder)?, "it is still mounted");
        Ok(())
    }

    fn signal(&self, name: &str) -> Result<()> {
        run("kill", &[name, &self.child.id().to_string()])
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            drop(self.child.kill());
            drop(self.child.wait());
            drop(run("umount", &["-l", &text(&self.folder)]));
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let out = Command::new(program).args(arguments).output()?;
    ensure!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}

fn is_mounted(folder: &Path) -> Result<bool> {
    Ok(fs::read_to_string("/proc/self/mountinfo")?.contains(&format!(" {} ", folder.display())))
}

/// A home with something large, much in one directory, links, and a name that is no text.
fn furnish(story: &Story) -> Result<PathBuf> {
    let home = story.folder().join("ann");
    fs::create_dir_all(home.join("many"))?;
    write(&home.join("film"), &noise(7, BIG))?;
    for number in 0..3000 {
        write(&home.join(format!("many/letter {number}")), format!("Dear Ann, {number}\n").as_bytes())?;
    }
    write(&home.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), b"no text")?;
    write(&home.join("empty"), b"")?;
    std::os::unix::fs::symlink("many", home.join("post"))?;
    fs::hard_link(home.join("film"), home.join("many/the same film"))?;
    std::os::unix::fs::chown(home.join("empty"), Some(4711), Some(815))?;
    write(&home.join("letter"), b"old")?;
    Ok(home)
}

/// What is in the folder is what was backed up, byte for byte and with all that is said of it.
fn is_home(home: &Path, shown: &Path) -> Result<()> {
    let out = Command::new("diff").args(["-r", "--no-dereference"]).arg(home).arg(shown).output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let (ours, theirs) = (listed_lossy(home)?, listed_lossy(shown)?);
    ensure!(ours == theirs && ours.len() > 3000, "something else is said of what is there");
    let (whole, mut film) = (fs::read(home.join("film"))?, fs::File::open(shown.join("film"))?);
    for (turn, length) in (0_u64..).zip([1_usize, 4096, 70_000, 1_300_000, 3_000_000]) {
        for step in 0..8 {
            let from = ((turn * 8 + step) * 7_919_713 % BIG as u64).min((BIG - length) as u64);
            let mut read = vec![0; length];
            film.seek(SeekFrom::Start(from))?;
            film.read_exact(&mut read)?;
            let from = usize::try_from(from)?;
            ensure!(whole.get(from..from + length) == Some(&read), "{length} bytes from {from} are others");
        }
    }
    Ok(())
}

/// Everything below, with what is said of it, sorted; a backup does not say how many names a directory has.
fn listed_lossy(dir: &Path) -> Result<Vec<String>> {
    let out = Command::new("find")
        .arg(dir)
        .args(["-mindepth", "1", "-type", "d", "-printf", "%P %y %m %U %G %T@\\n"])
        .args(["-o", "-printf", "%P %y %m %U %G %T@ %n %s %l\\n"])
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    Ok(lines)
}

fn refuses_writes(shown: &Path) -> Result<()> {
    let read_only = |done: std::io::Result<()>| match done {
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        other => bail!("{other:?}"),
    };
    read_only(fs::File::create(shown.join("new")).map(drop))?;
    read_only(fs::File::options().append(true).open(shown.join("letter")).map(drop))?;
    read_only(fs::remove_file(shown.join("letter")))?;
    read_only(fs::create_dir(shown.join("dir")))
}

#[test]
fn a_backup_is_looked_into_without_being_restored() -> Result<()> {
    story("a_backup_is_looked_into", |story| {
        let host = story.host("laptop")?;
        let home = furnish(story)?;
        let mut node = host.node()?;
        node.up(&["--name", "smith"])?;
        let (disk, folder) = (story.folder().join("disk"), story.folder().join("look"));
        target(&node, "disk", &disk)?;
        node.cli(&["backup", "add", "home", &text(&home), "--to", "disk"])?.good()?;
        node.cli(&["backup", "now", "home"])?.good()?;
        if !has_fuse() {
            without_fuse(&node, &folder)?;
            return node.stop();
        }
        node.cli(&["backup", "mount", "nobody", &text(&folder)])?.refused(1, &["nobody", "backup list"])?;
        node.cli(&["backup", "mount", "home", &text(&home)])?.refused(1, &["not empty"])?;
        write(&home.join("letter"), b"new")?;
        node.cli(&["backup", "now", "home"])?.good()?;

        let mut mount = Mount::new(&node, &folder, &["home"])?;
        let below = home.strip_prefix("/")?;
        is_home(&home, &folder.join("latest").join(below))?;
        refuses_writes(&folder.join("latest").join(below))?;
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        let ours = table.lines().find(|line| line.contains(&text(&folder))).unwrap_or_default();
        ensure!(ours.contains("ro,nosuid,nodev"), "{ours}");
        let snapshots: Vec<PathBuf> =
            fs::read_dir(folder.join("snapshots"))?.map(|one| Ok(one?.path())).collect::<Result<_>>()?;
        let letters: Vec<Vec<u8>> = snapshots
            .iter()
            .map(|one| Ok(fs::read(one.join(below).join("letter"))?))
            .collect::<Result<_>>()?;
        // The schedule may have taken one as well, within the same second.
        for (letter, what) in [(b"old", "before"), (b"new", "after")] {
            ensure!(letters.iter().any(|one| one == letter), "{what}: {snapshots:?}");
        }
        node.cli(&["backup", "mount", "home", &text(&folder)])?.refused(1, &["already", "umount"])?;
        run("umount", &[&text(&folder)])?;
        mount.ended()?;
        ensure!(!folder.exists(), "the folder that was made for it is gone with it");

        // One snapshot, without the name of a backup; ended by a signal.
        let mut mount = Mount::new(&node, &folder, &["--from", "disk", "--snapshot", "home"])?;
        ensure!(fs::read_dir(folder.join("snapshots"))?.count() == 1, "only one was wanted");
        mount.signal("-TERM")?;
        mount.ended()?;

        // Killed, it leaves what the next one has a word for.
        let mut mount = Mount::new(&node, &folder, &["home"])?;
        mount.signal("-KILL")?;
        mount.child.wait()?;
        node.cli(&["backup", "mount", "home", &text(&folder)])?.refused(1, &["killed", "umount"])?;
        run("umount", &[&text(&folder)])?;
        let mut mount = Mount::new(&node, &folder, &["home"])?;
        mount.signal("-INT")?;
        mount.ended()?;
        node.stop()
    })
}

/// Turns a bit over in the middle of each pack.
fn damage(data: &Path) -> Result<()> {
    for dir in fs::read_dir(data)? {
        for pack in fs::read_dir(dir?.path())? {
            let path = pack?.path();
            let mut bytes = fs::read(&path)?;
            // The greatest pack has the film; trees lie in others.
            if bytes.len() > BIG / 2 {
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 1;
                }
                fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
                write(&path, &bytes)?;
            }
        }
    }
    Ok(())
}

#[test]
fn what_is_damaged_is_an_error_and_never_other_bytes() -> Result<()> {
    story("what_is_damaged_is_an_error", |story| {
        let host = story.host("laptop")?;
        let home = furnish(story)?;
        let mut node = host.node()?;
        node.up(&["--name", "smith"])?;
        let (disk, folder) = (story.folder().join("disk"), story.folder().join("look"));
        target(&node, "disk", &disk)?;
        node.cli(&["backup", "add", "home", &text(&home), "--to", "disk"])?.good()?;
        node.cli(&["backup", "now", "home"])?.good()?;
        if !has_fuse() {
            without_fuse(&node, &folder)?;
            return node.stop();
        }
        ensure!(packs(&disk.join("data"))?.1 > BIG as u64, "all of it is there");
        damage(&disk.join("data"))?;
        let mut mount = Mount::new(&node, &folder, &["home"])?;
        let shown = folder.join("latest").join(home.strip_prefix("/")?);
        let (whole, film) = (fs::read(home.join("film"))?, fs::File::open(shown.join("film"))?);
        let (mut good, mut bad) = (0, 0);
        for from in (0..BIG).step_by(65_536) {
            let mut read = vec![0; 65_536.min(BIG - from)];
            match std::os::unix::fs::FileExt::read_exact_at(&film, &mut read, from as u64) {
                Ok(()) => {
                    ensure!(whole.get(from..from + read.len()) == Some(&read), "other bytes at {from}");
                    good += 1;
                }
                Err(error) => {
                    ensure!(error.raw_os_error() == Some(5), "{error}");
                    bad += 1;
                }
            }
        }
        ensure!(good > 100 && bad > 0, "{good} good and {bad} bad");
        let said = mount.said()?;
        ensure!(said.contains("cannot read") && said.contains("film"), "{said}");
        mount.signal("-TERM")?;
        mount.ended()?;
        node.stop()
    })
}

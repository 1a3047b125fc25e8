//! Backups beside restic, in one run: the same tree, the same disk, one after the other, each program in a process of its
//! own whose processor time and highest resident size are what the kernel says of it; time ends when all is on the disk.

pub(crate) mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Of each measurement the fastest counts: what is slower was kept waiting by something else.
const RUNS: usize = 3;
/// restic's, for both: it is no secret here.
const PASSWORD: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";

/// What a process took.
#[derive(Clone, Copy)]
struct Taken {
    seconds: f64,
    processor: f64,
    /// MiB.
    resident: f64,
}

/// Both programs, at one thing.
struct Pair {
    ours: Taken,
    restic: Taken,
}

/// A program that makes backups.
struct Program {
    name: &'static str,
    at: PathBuf,
}

/// Measures all of it in a folder of its own.
pub(crate) fn compared(folder: &Path) -> Result<()> {
    let ours = Program { name: "ours", at: variable("FREEHOLD_BENCH_ALONE")? };
    let restic = Program { name: "restic", at: variable("FREEHOLD_BENCH_RESTIC")? };
    let tree = folder.join("tree");
    tree::plant(&tree)?;
    row(
        "first",
        both(&ours, &restic, RUNS, |program| {
            let at = folder.join(program.name);
            if at.exists() {
                fs::remove_dir_all(&at)?;
            }
            program.create(&at)?;
            program.backup(&at, &tree)
        })?,
    );
    let (stored, by_restic) = (size(&folder.join(ours.name))?, size(&folder.join(restic.name))?);
    println!(
        "| backup, stored | Freehold {} MiB, restic {} MiB; {:.3} of it |",
        stored >> 20,
        by_restic >> 20,
        f64::from(u32::try_from(stored >> 10)?) / f64::from(u32::try_from(by_restic >> 10)?)
    );
    let again = |program: &Program| program.backup(&folder.join(program.name), &tree);
    row("nothing changed", both(&ours, &restic, RUNS, again)?);
    let mut changes = Vec::new();
    for number in 0..RUNS {
        tree::change(&tree, number as u64)?;
        changes.push(both(&ours, &restic, 1, again)?);
    }
    row("1 % changed", best(changes).context("at least one run")?);
    let mut number = 0;
    let restored = both(&ours, &restic, RUNS, |program| {
        // Each to a place of its own: after a hundred thousand files were removed, new ones cost ext4 more for a while.
        number += 1;
        let to = folder.join(format!("restored-{number}"));
        let taken = program.restore(&folder.join(program.name), &to)?;
        same(&tree, &to.join(tree.strip_prefix("/")?))?;
        Ok(taken)
    });
    row("restored", restored?);
    Ok(())
}

/// Runs a command and says on its output what it took until all of it is on the disk; in a process of its own, so that what
/// the kernel says of its children is of this one.
pub(crate) fn measured(arguments: &[String]) -> Result<()> {
    let (program, arguments) = arguments.split_first().context("measured PROGRAM …")?;
    let begun = Instant::now();
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(done.success(), "{program}: {done}");
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    synced()?;
    let seconds = begun.elapsed().as_secs_f64();
    let of = |time: TimeVal| -> Result<f64> {
        let micros = Duration::from_micros(u64::try_from(time.tv_usec())?);
        Ok((Duration::from_secs(u64::try_from(time.tv_sec())?) + micros).as_secs_f64())
    };
    let processor = of(used.user_time())? + of(used.system_time())?;
    println!("{seconds} {processor} {}", f64::from(i32::try_from(used.max_rss())?) / 1024.0);
    Ok(())
}

/// Runs something by both, in turn, so that neither has the quieter minutes.
fn both(
    ours: &Program,
    restic: &Program,
    runs: usize,
    mut run: impl FnMut(&Program) -> Result<Taken>,
) -> Result<Pair> {
    let mut pairs = Vec::new();
    for _ in 0..runs {
        pairs.push(Pair { ours: run(ours)?, restic: run(restic)? });
    }
    best(pairs).context("at least one run")
}

/// The fastest run of each.
fn best(pairs: Vec<Pair>) -> Option<Pair> {
    let faster = |one: Taken, other: Taken| if one.seconds <= other.seconds { one } else { other };
    pairs.into_iter().reduce(|best, pair| Pair {
        ours: faster(best.ours, pair.ours),
        restic: faster(best.restic, pair.restic),
    })
}

fn row(what: &str, Pair { ours, restic }: Pair) {
    println!(
        "| backup, {what} | Freehold {:.2} s, restic {:.2} s; {:.2} times; processor s: {:.1}, {:.1}; \
        highest resident {:.0} MiB, {:.0} MiB |",
        ours.seconds,
        restic.seconds,
        restic.seconds / ours.seconds,
        ours.processor,
        restic.processor,
        ours.resident,
        restic.resident,
    );
}

impl Program {
    /// What it is told to do, in a process that says what that took.
    fn run(&self, repository: &Path, arguments: &[&str]) -> Result<Taken> {
        // What was written before is on the disk first: nobody pays for the other's.
        synced()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["measured", &self.at.to_string_lossy()]).args(arguments);
        let cache = repository.with_extension("cache");
        command.env("RESTIC_REPOSITORY", repository).env("RESTIC_PASSWORD", PASSWORD);
        let done = command.env("RESTIC_CACHE_DIR", cache).stderr(Stdio::inherit()).output()?;
        ensure!(done.status.success(), "{} {}", self.name, arguments.join(" "));
        let said = String::from_utf8(done.stdout)?;
        let numbers: Vec<f64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [seconds, processor, resident] = numbers.as_slice() else { anyhow::bail!("it said {said}") };
        Ok(Taken { seconds: *seconds, processor: *processor, resident: *resident })
    }

    fn is_restic(&self) -> bool {
        self.name == "restic"
    }

    /// An empty repository.
    fn create(&self, repository: &Path) -> Result<()> {
        if self.is_restic() { self.run(repository, &["init"]) } else { self.alone(repository, "create", "") }
            .map(drop)
    }

    fn backup(&self, repository: &Path, tree: &Path) -> Result<Taken> {
        let tree = tree.to_string_lossy();
        if self.is_restic() {
            self.run(repository, &["backup", &tree])
        } else {
            self.alone(repository, "backup", &tree)
        }
    }

    fn restore(&self, repository: &Path, to: &Path) -> Result<Taken> {
        let to = to.to_string_lossy();
        if self.is_restic() {
            self.run(repository, &["restore", "latest", "--target", &to])
        } else {
            self.alone(repository, "restore", &to)
        }
    }

    fn alone(&self, repository: &Path, what: &str, path: &str) -> Result<Taken> {
        self.run(repository, &[&repository.to_string_lossy(), what, path])
    }
}

fn synced() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync");
    Ok(())
}

/// Bytes of all files below.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// Neither is worth its time if it is not all there.
fn same(one: &Path, other: &Path) -> Result<()> {
    let done = Command::new("diff").args(["-r", "-q"]).args([one, other]).status()?;
    ensure!(done.success(), "what was restored is not what was backed up");
    Ok(())
}

fn variable(name: &str) -> Result<PathBuf> {
    let at = std::env::var_os(name)
        .with_context(|| format!("{name} says which; use `cargo xtask bench backup`"))?;
    Ok(PathBuf::from(at))
}

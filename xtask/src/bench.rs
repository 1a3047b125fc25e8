//! Runs the benchmarks and writes what they say into docs/benchmarks.md.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{cargo, check, command};
use crate::tools;

const PAGE: &str = "docs/benchmarks.md";
const BEGIN: &str = "<!-- measured: written by `cargo xtask bench` -->\n";
const END: &str = "<!-- end of measured -->";
const HEAD: &str = "| what | measured | on |\n|---|---|---|\n";

/// `cargo xtask bench`: the program as people meet it, and the fold; `cargo xtask bench build`: the
/// release build from nothing.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let rows = match arguments {
        [] => program(root)?,
        ["build"] => vec![build(root)?],
        ["kv"] => databases(root)?,
        ["backup"] => backups(root)?,
        ["net"] => network(root, &[])?,
        ["net", part @ ("names" | "door" | "tunnel")] => network(root, &[part])?,
        _ => bail!(
            "there is `cargo xtask bench`, and after it `kv`, `backup`, `net` (or one of `net names|door|tunnel`) or `build`"
        ),
    };
    record(root, rows)
}

fn program(root: &Path) -> Result<Vec<String>> {
    check(&mut command(root, cargo(), &["build", "--release", "--locked", "-p", "freehold"]))?;
    tools::install(root)?;
    let fold = ["run", "--release", "--locked", "-p", "freehold-realm", "--example", "fold_bench"];
    let mut all = rows(&mut command(root, cargo(), &fold))?;
    let overhead = ["run", "--release", "--locked", "-p", "freehold-backend", "--example", "overhead"];
    all.extend(rows(&mut command(root, cargo(), &overhead))?);
    for objects in ["100000", "1000000"] {
        let start =
            ["run", "--release", "--locked", "-p", "freehold-vault", "--example", "start_bench", "--"];
        let scratch = tools::target(root).to_string_lossy().into_owned();
        all.extend(rows(&mut command(root, cargo(), &[&start[..], &[&scratch, objects]].concat()))?);
    }
    all.extend(rows(&mut bench(root, &[])?)?);
    Ok(all)
}

/// Databases alone.
fn databases(root: &Path) -> Result<Vec<String>> {
    check(&mut command(root, cargo(), &["build", "--release", "--locked", "-p", "freehold"]))?;
    rows(&mut bench(root, &["kv"])?)
}

/// Backups beside restic, each by a program that does nothing else.
fn backups(root: &Path) -> Result<Vec<String>> {
    let build = ["build", "--release", "--locked", "-p", "freehold-backup", "--example", "alone"];
    check(&mut command(root, cargo(), &build))?;
    let mut bench = command(root, cargo(), &["run", "--locked", "-p", "freehold-bench", "--", "backup"]);
    bench.env("FREEHOLD_BENCH_ALONE", tools::target(root).join("release/examples/alone"));
    rows(bench.env("FREEHOLD_BENCH_RESTIC", tools::restic(root)?))
}

/// The network's parts, each a small program of its own, beside other people's.
fn network(root: &Path, part: &[&str]) -> Result<Vec<String>> {
    let trixie = tools::beside_network(root)?;
    let parts = [
        ("freehold-resolver", "--example", "serve", "FREEHOLD_BENCH_RESOLVER", "examples/serve"),
        ("freehold-gateway", "--example", "door", "FREEHOLD_BENCH_DOOR", "examples/door"),
        ("story-tunnel", "--bin", "tunnel-host", "FREEHOLD_BENCH_TUNNEL", "tunnel-host"),
    ];
    // To see that each row works, in less time.
    let quick = std::env::var_os("FREEHOLD_BENCH_QUICK").is_some();
    let (profile, folder): (&[&str], _) = if quick { (&[], "debug") } else { (&["--release"], "release") };
    for (package, kind, name, ..) in parts {
        let build = [&["build", "--locked", "-p", package, kind, name], profile].concat();
        check(&mut command(root, cargo(), &build))?;
    }
    let run = [&["run", "--locked", "-p", "freehold-bench"], profile, &["--", "net"], part].concat();
    let mut bench = command(root, cargo(), &run);
    for (.., variable, at) in parts {
        bench.env(variable, tools::target(root).join(folder).join(at));
    }
    bench.env("FREEHOLD_BENCH_TRIXIE", trixie).env("PATH", tools::path_with_clients(root)?);
    rows(&mut bench)
}

/// The benchmarks of the program; optimised, for they hold SlateDB as it is.
fn bench(root: &Path, only: &[&str]) -> Result<Command> {
    let arguments = ["run", "--release", "--locked", "-p", "freehold-bench", "--"];
    let mut bench = command(root, cargo(), &[&arguments[..], only].concat());
    bench
        .env("FREEHOLD_TEST_BINARY", tools::target(root).join("release/freehold"))
        .env("FREEHOLD_BENCH_ETCD", tools::etcd(root)?)
        .envs(tools::environment(root));
    Ok(bench)
}

/// In a folder of its own, so that nothing is there already but the sources of other crates.
fn build(root: &Path) -> Result<String> {
    check(&mut command(root, cargo(), &["fetch", "--locked"]))?;
    let folder = tools::target(root).join("from-nothing");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let mut build = command(root, cargo(), &["build", "--release", "--locked", "-p", "freehold"]);
    let begun = Instant::now();
    check(build.env("CARGO_TARGET_DIR", &folder))?;
    let seconds = begun.elapsed().as_secs();
    let size = std::fs::metadata(folder.join("release/freehold"))?.len() >> 20;
    std::fs::remove_dir_all(&folder)?;
    Ok(format!(
        "| release build from nothing | {}:{:02} min; the program has {size} MiB |",
        seconds / 60,
        seconds % 60
    ))
}

/// The rows of a table that a program prints, shown as they come.
fn rows(program: &mut Command) -> Result<Vec<String>> {
    let mut child = program.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("its output is piped")?;
    let mut rows = Vec::new();
    for line in BufReader::new(out).lines() {
        let line = line?;
        println!("{line}");
        rows.extend(line.starts_with("| ").then_some(line));
    }
    ensure!(child.wait()?.success(), "the benchmark failed");
    Ok(rows)
}

/// Puts rows into the page, each in the place of the one of the same name.
fn record(root: &Path, rows: Vec<String>) -> Result<()> {
    let page = std::fs::read_to_string(root.join(PAGE)).context("read docs/benchmarks.md")?;
    let (head, rest) = page.split_once(BEGIN).context("docs/benchmarks.md has no mark")?;
    let (table, tail) = rest.split_once(END).context("docs/benchmarks.md has no end mark")?;
    let mut all: Vec<String> = table.lines().skip(2).map(str::to_owned).collect();
    let machine = machine()?;
    for row in rows {
        let row = format!("{row} {machine} |");
        match all.iter_mut().find(|known| name(known) == name(&row)) {
            Some(known) => *known = row,
            None => all.push(row),
        }
    }
    let table = all.join("\n");
    #[expect(clippy::disallowed_methods, reason = "a page under version control needs no fsync")]
    std::fs::write(root.join(PAGE), format!("{head}{BEGIN}{HEAD}{table}\n{END}{tail}"))
        .context("write docs/benchmarks.md")
}

fn name(row: &str) -> Option<&str> {
    row.split('|').nth(1)
}

/// The day, and what it ran on.
fn machine() -> Result<String> {
    let day = Command::new("date").arg("+%Y-%m-%d").output().context("ask the date")?;
    let processors = std::fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    Ok(format!("{}, {count} × {model}", String::from_utf8_lossy(&day.stdout).trim()))
}

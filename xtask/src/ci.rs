//! Everything that must pass, in order, each step timed; the first failure stops it and names the
//! one command that repeats it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, check, command};
use crate::{built, layers, supply, tidy, tools};

/// One step of the whole.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Path, &[&str]) -> Result<()>,
}

const STEPS: [Step; 11] = [
    Step { name: "tools", what: "programs that the tests call", run: |root, _| tools::install(root) },
    Step {
        name: "fmt",
        what: "formatting",
        run: |root, _| check(&mut command(root, cargo(), &["fmt", "--all", "--check"])),
    },
    Step {
        name: "layers",
        what: "edges between crates, and the crate table",
        run: |root, _| layers::check(root),
    },
    Step {
        name: "supply",
        what: "licences and sources of other people's crates",
        run: |root, _| supply::check(root),
    },
    Step { name: "tidy", what: "length, names, words, links, lists", run: |root, _| tidy::check(root) },
    Step { name: "clippy", what: "lints as errors", run: clippy },
    Step { name: "unit", what: "unit, property, vector and simulation tests", run: unit },
    Step { name: "vectors", what: "the formats, read by a second implementation", run: vectors },
    Step { name: "stories", what: "real processes, real clients, several hosts", run: stories },
    Step { name: "browser", what: "the console in a real browser", run: browser },
    Step { name: "docs", what: "API documentation and its examples", run: docs },
];

/// Prints the steps.
pub(crate) fn list() {
    for step in &STEPS {
        println!("{:8} {}", step.name, step.what);
    }
}

/// Runs every step, or those from one on.
pub(crate) fn all(root: &Path, from: Option<&str>) -> Result<()> {
    let start = Instant::now();
    let first = match from {
        None => 0,
        Some(name) => STEPS.iter().position(|step| step.name == name).context("there is no such step")?,
    };
    for step in STEPS.iter().skip(first) {
        timed(step, root, &[])?;
    }
    println!("all passed in {}", minutes(start));
    Ok(())
}

/// Runs one step.
pub(crate) fn one(root: &Path, name: &str, arguments: &[&str]) -> Result<()> {
    let step = STEPS.iter().find(|step| step.name == name);
    let Some(step) = step else {
        bail!("there is no `{name}`: cargo xtask help");
    };
    timed(step, root, arguments)
}

fn timed(step: &Step, root: &Path, arguments: &[&str]) -> Result<()> {
    println!("== {}: {}", step.name, step.what);
    let start = Instant::now();
    (step.run)(root, arguments).with_context(|| format!("repeat it with: cargo xtask {}", step.name))?;
    println!("== {} passed in {}", step.name, minutes(start));
    Ok(())
}

fn minutes(start: Instant) -> String {
    let seconds = start.elapsed().as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn clippy(root: &Path, _: &[&str]) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    check(&mut command(root, cargo(), &arguments))
}

fn unit(root: &Path, _: &[&str]) -> Result<()> {
    let path = tools::path_with_clients(root)?;
    for test in built::tests(root)?.iter().filter(|test| !test.is_story) {
        println!("   {}", test.name);
        check(test.command(root, &["--quiet"]).env("PATH", &path))?;
    }
    Ok(())
}

/// Each format under docs/formats/ brings a program that reads its vectors by the page alone.
fn vectors(root: &Path, _: &[&str]) -> Result<()> {
    for entry in std::fs::read_dir(root.join("docs/formats")).context("read docs/formats")? {
        let program = entry?.path().join("check.py");
        if program.exists() {
            let mut check_program = command(root, tools::python_program(root), &[&program.to_string_lossy()]);
            check(check_program.stdout(Stdio::null()))?;
        }
    }
    Ok(())
}

fn stories(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut stories = built::tests(root)?;
    stories.retain(|test| test.is_story);
    let wanted: Vec<String> = arguments.iter().map(|word| word.replace('-', "_")).collect();
    let names: Vec<&str> = stories.iter().map(|story| story.name.as_str()).collect();
    if let Some(typo) = wanted.iter().find(|wanted| !names.contains(&wanted.as_str())) {
        bail!("there is no story `{typo}`: {}", names.join(" "));
    }
    for story in stories.iter().filter(|story| wanted.is_empty() || wanted.contains(&story.name)) {
        println!("   {}", story.name);
        let mut test = story.command(root, &["--test-threads=2"]);
        check(test.env("FREEHOLD_TEST_BINARY", binary(root)).envs(tools::environment(root)))?;
    }
    Ok(())
}

fn binary(root: &Path) -> PathBuf {
    tools::target(root).join("debug/freehold")
}

fn browser(root: &Path, _: &[&str]) -> Result<()> {
    let folder = root.join("tests/console");
    let mut test = command(&folder, "npm", &["test", "--silent"]);
    test.env("FREEHOLD_TEST_BINARY", binary(root));
    check(&mut test)
}

fn docs(root: &Path, _: &[&str]) -> Result<()> {
    check(&mut command(root, cargo(), &["test", "--workspace", "--locked", "--doc"]))?;
    let mut doc = command(root, cargo(), &["doc", "--workspace", "--no-deps", "--locked"]);
    check(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

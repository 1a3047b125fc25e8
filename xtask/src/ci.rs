//! Everything that must pass, in order, each step timed; the first failure stops it and names the
//! one command that repeats it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::layers::Graph;
use crate::run::{cargo, check, command, succeeds};
use crate::{layers, supply, tidy, tools};

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

/// The integration tests: those of the story crates, and the others.
fn integration_tests(root: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let graph = Graph::load(root)?;
    let tests = graph.members().flat_map(|member| {
        let story = member.name.starts_with("story-");
        member.targets.iter().filter(|target| target.is_test()).map(move |test| (story, test.name.clone()))
    });
    let (mut stories, mut others): (Vec<_>, Vec<_>) = tests.partition(|(story, _)| *story);
    stories.sort();
    others.sort();
    let names = |tests: Vec<(bool, String)>| tests.into_iter().map(|(_, name)| name).collect();
    Ok((names(stories), names(others)))
}

/// Tests are named rather than packages: with fewer packages, Cargo would build what they stand on
/// once more, with fewer features.
fn unit(root: &Path, _: &[&str]) -> Result<()> {
    let (_, tests) = integration_tests(root)?;
    let mut arguments = vec!["test", "--workspace", "--locked", "--lib", "--bins"];
    for name in &tests {
        arguments.extend(["--test", name]);
    }
    let mut test = command(root, cargo(), &arguments);
    test.env("PATH", tools::path_with_clients(root)?);
    check(in_namespaces(root, &mut test))
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

/// Tests make hosts of their own: root may, others enter a user namespace first.
fn in_namespaces<'a>(root: &Path, test: &'a mut Command) -> &'a mut Command {
    if !succeeds(&mut command(root, "sh", &["-c", "test $(id -u) = 0"])) {
        let runner = root.join("tests/harness/in-namespace");
        test.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", &runner);
        test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &runner);
    }
    test
}

/// Builds as `unit` does, so that nothing is compiled twice.
fn stories(root: &Path, arguments: &[&str]) -> Result<()> {
    check(&mut command(root, cargo(), &["build", "--workspace", "--bins", "--tests", "--locked"]))?;
    let binary = binary(root);
    let (stories, _) = integration_tests(root)?;
    let wanted: Vec<String> = arguments.iter().map(|word| word.replace('-', "_")).collect();
    if let Some(typo) = wanted.iter().find(|wanted| !stories.contains(wanted)) {
        bail!("there is no story `{typo}`: {}", stories.join(" "));
    }
    for name in stories.iter().filter(|name| wanted.is_empty() || wanted.contains(name)) {
        let arguments = ["test", "--workspace", "--locked", "--test", name, "--", "--test-threads=2"];
        let mut test = command(root, cargo(), &arguments);
        test.env("FREEHOLD_TEST_BINARY", &binary).envs(tools::environment(root));
        check(in_namespaces(root, &mut test))?;
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

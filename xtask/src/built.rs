//! The programs of the tests, built all at once: asked for one by one, each with fewer crates, Cargo would
//! choose fewer features and compile most of what they stand on anew.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;

use crate::run::{cargo, command, succeeds};

/// A program with tests in it.
pub(crate) struct TestProgram {
    /// Of its target: that of an integration test is the file's or folder's.
    pub(crate) name: String,
    /// Whether it belongs to a story.
    pub(crate) is_story: bool,
    /// Where its crate is; it runs there.
    home: PathBuf,
    file: PathBuf,
}

impl TestProgram {
    /// A command that runs its tests. They make hosts of their own: root may, others enter a user
    /// namespace first.
    pub(crate) fn command(&self, root: &Path, arguments: &[&str]) -> Command {
        let is_root = succeeds(&mut command(root, "sh", &["-c", "test $(id -u) = 0"]));
        let mut run = if is_root {
            command(&self.home, &self.file, arguments)
        } else {
            let mut run = command(&self.home, root.join("tests/harness/in-namespace"), &[]);
            run.arg(&self.file).args(arguments);
            run
        };
        run.env("CARGO_MANIFEST_DIR", &self.home);
        run
    }
}

/// Builds every program and every test of the workspace; the tests, by crate and name.
pub(crate) fn tests(root: &Path) -> Result<Vec<TestProgram>> {
    let arguments =
        ["build", "--workspace", "--bins", "--tests", "--locked", "--message-format=json-render-diagnostics"];
    let mut build =
        command(root, cargo(), &arguments).stdout(Stdio::piped()).spawn().context("cargo build")?;
    let output = build.stdout.take().context("cargo has no output")?;
    let mut programs = Vec::new();
    for message in Message::parse_stream(BufReader::new(output)) {
        if let Message::CompilerArtifact(artifact) = message.context("what cargo build says")?
            && let (true, Some(file)) = (artifact.profile.test, artifact.executable)
        {
            let home = artifact.manifest_path.parent().context("a manifest lies in a folder")?;
            programs.push(TestProgram {
                name: artifact.target.name,
                is_story: home.starts_with(root.join("tests")) && artifact.target.kind.iter().any(is_test),
                home: home.into(),
                file: file.into(),
            });
        }
    }
    if !build.wait()?.success() {
        bail!("the tests are not built");
    }
    programs.sort_by(|a, b| (&a.home, &a.name).cmp(&(&b.home, &b.name)));
    Ok(programs)
}

fn is_test(kind: &cargo_metadata::TargetKind) -> bool {
    *kind == cargo_metadata::TargetKind::Test
}

//! The first minutes: one command makes a realm, with or without a terminal, and never twice.

mod browser;
mod service;
mod systemd;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, binary, eventually, python, story, until};
use serde_json::Value;

/// Every file under a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

#[test]
fn up_makes_a_realm_in_seconds_and_resumes_it() -> Result<()> {
    story("up_makes_a_realm_in_seconds_and_resumes_it", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let start = Instant::now();
        let ready = node.up(&["--name", "smith"])?;
        ensure!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
        ensure!(ready.text("realm")? == "smith", "{ready:?}");
        for field in ["node", "setup_code", "fingerprint", "s3", "s3_credentials"] {
            ensure!(!ready.text(field)?.is_empty(), "{field} is empty");
        }
        let realm = node.status()?;
        node.stop()?;

        let start = Instant::now();
        let again = node.resume()?;
        ensure!(start.elapsed() < Duration::from_secs(3), "resuming took {:?}", start.elapsed());
        ensure!(again.text("realm")? == "smith", "another realm: {again:?}");
        ensure!(again.text("fingerprint")? == ready.text("fingerprint")?, "another certificate");
        ensure!(node.status()?.realm == realm.realm, "another realm");
        node.stop()
    })
}

#[test]
fn secrets_are_private_and_phrases_are_nowhere_else() -> Result<()> {
    story("secrets_are_private_and_phrases_are_nowhere_else", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.up(&[])?;
        ensure!(node.log()?.to_lowercase().contains("warning"), "no warning: {}", node.log()?);
        ensure!(mode(&node.guardians())? == 0o600, "the guardians' file is readable by others");
        for secret in ["control.sock", "s3-credentials"] {
            ensure!(mode(&node.home().join(secret))? == 0o600, "{secret} is readable by others");
        }
        ensure!(mode(&node.home().join("keys"))? == 0o700, "keys/ is readable by others");

        let phrases = std::fs::read_to_string(node.guardians())?;
        let phrases: Vec<&str> = phrases.lines().filter(|line| !line.is_empty()).collect();
        ensure!(phrases.len() == 3, "{} phrases", phrases.len());
        node.stop()?;
        for file in files(host.folder())?.iter().filter(|file| **file != node.guardians()) {
            let bytes = std::fs::read(file)?;
            for phrase in &phrases {
                let words: Vec<&str> = phrase.split_whitespace().take(4).collect();
                let start = words.join(" ");
                let found = bytes.windows(start.len()).any(|window| window == start.as_bytes());
                ensure!(!found, "{} holds a guardian phrase", file.display());
            }
        }
        Ok(())
    })
}

#[test]
fn a_person_at_a_terminal_types_one_phrase_back() -> Result<()> {
    story("a_person_at_a_terminal_types_one_phrase_back", |story| {
        let host = story.host("alice")?;
        let node = host.node()?;
        let home = node.home().to_string_lossy().into_owned();
        let binary = binary()?;
        let program = include_str!("terminal.py");
        let run = host.run(python("python")?, &["-c", program, &binary.to_string_lossy(), &home])?.good()?;
        ensure!(run.out.contains("wrong phrase was refused"), "{}", run.out);
        ensure!(run.out.contains("screen was cleared"), "{}", run.out);
        ensure!(run.out.contains("up as jones"), "{}", run.out);
        ensure!(run.out.contains("an invitation with its QR code"), "{}", run.out);
        ensure!(run.out.contains("the phrases are tested"), "{}", run.out);
        ensure!(run.out.contains("a code for a phone was shown"), "{}", run.out);
        Ok(())
    })
}

#[test]
fn a_second_daemon_on_the_same_home_is_refused() -> Result<()> {
    story("a_second_daemon_on_the_same_home_is_refused", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.up(&[])?;
        node.cli(&["up"])?.refused(1, &["home", "freehold"])?;
        node.status()?;
        node.stop()
    })
}

#[test]
fn a_taken_port_is_left_alone_and_another_is_named() -> Result<()> {
    story("a_taken_port_is_left_alone_and_another_is_named", |story| {
        let host = story.host("alice")?;
        let squat = "import socket, sys\n\
                     held = [socket.create_server(('127.0.0.1', p)) for p in (9000, 8443)]\n\
                     print('held', flush=True)\nsys.stdin.read()";
        let mut command = host.command("python3");
        command.args(["-c", squat]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut squatter = command.spawn()?;
        let mut said = [0; 4];
        std::io::Read::read_exact(squatter.stdout.as_mut().context("its output is piped")?, &mut said)?;

        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let moved = ready.0.get("moved").and_then(Value::as_array).cloned().unwrap_or_default();
        ensure!(moved.len() == 2, "it should say which ports it took instead: {}", ready.0);
        ensure!(!ready.text("s3")?.ends_with(":9000"), "{}", ready.0);
        node.s3(&ready)?.aws(&["s3api", "list-buckets"])?.good()?;
        squatter.kill()?;
        squatter.wait()?;
        node.stop()
    })
}

#[test]
fn it_runs_for_a_user_who_is_not_root() -> Result<()> {
    story("it_runs_for_a_user_who_is_not_root", |story| {
        let host = story.host("alice")?;
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        if host.run("setpriv", &[user.as_slice(), &["true"]].concat())?.code != Some(0) {
            return Ok(()); // In a user namespace with one user, the whole suite is this test.
        }
        // The binary may lie where another user may not look.
        let program = host.folder().join("freehold");
        std::fs::copy(binary()?, &program)?;
        for folder in [story.folder(), host.folder()] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))?;
        }
        let shell = "\"$0\" --json --yes up >ready.json 2>up.log & wait $!";
        let mut command = host.command("setpriv");
        command.args(user).args(["sh", "-c", shell]).arg(&program);
        let mut process = command.env("FREEHOLD_HOME", host.folder().join("home")).spawn()?;
        let answered = eventually(30, "the node answers", || {
            let mut status = host.command("setpriv");
            status.args(user).arg(&program).args(["--home", "home", "status"]);
            Ok(Host::answer(&mut status)?.code == Some(0))
        });
        let mut stop = host.command(&program);
        let stopped = Host::answer(stop.args(["--home", "home", "stop"]))?.good();
        process.wait()?;
        answered.and(stopped.map(drop))
    })
}

#[test]
fn what_needs_no_node_is_printed_without_one() -> Result<()> {
    story("what_needs_no_node_is_printed_without_one", |story| {
        let host = story.host("alice")?;
        let node = host.node()?;
        let document: Value = node.cli(&["openapi"])?.good()?.json()?;
        let paths = document.get("paths").and_then(Value::as_object).context("no paths")?;
        ensure!(paths.len() > 10, "only {} paths", paths.len());
        for shell in ["bash", "zsh", "fish"] {
            ensure!(node.cli(&["completions", shell])?.good()?.out.contains("freehold"), "{shell}");
        }
        let pages = host.folder().join("man");
        node.cli(&["man", &pages.to_string_lossy()])?.good()?;
        ensure!(
            pages.join("freehold.1").exists() && pages.join("freehold-up.1").exists(),
            "pages are missing"
        );
        ensure!(!node.home().exists(), "it made a home");
        Ok(())
    })
}

#[test]
fn the_demonstration_leaves_nothing() -> Result<()> {
    story("the_demonstration_leaves_nothing", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.set("TMPDIR", &host.folder().to_string_lossy());
        let ready = node.start(&["demo"])?;
        let s3 = node.s3(&ready)?;
        let letter = until(20, "there is something to look at", || {
            s3.aws(&["s3", "cp", "s3://files/letters/2026/spring.txt", "-"])?.good()
        })?;
        ensure!(letter.out.contains("cherry tree"), "{}", letter.out);
        until(20, "there is a picture", || s3.aws(&["s3", "ls", "s3://photos/2026/meadow.svg"])?.good())?;
        node.stop()?;
        ensure!(!node.home().exists(), "the demonstration made a home");
        let left: Vec<PathBuf> = files(host.folder())?
            .into_iter()
            .filter(|file| file.to_string_lossy().contains("freehold-demo"))
            .collect();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
}

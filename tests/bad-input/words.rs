//! What commands say: one line of what is now true, and plainly what is wrong.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use freehold_harness::{Node, story};
use serde_json::Value;

#[test]
fn stop_returns_when_the_next_node_can_start() -> Result<()> {
    story("stop_returns_when_the_next_node_can_start", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.up(&[])?;
        let said = node.cli(&["stop"])?.good()?.out;
        ensure!(said.contains("stopped"), "{said}");
        // Another process of the same home, at once.
        let mut again = host.node_at(node.home())?;
        again.resume()?;
        let said: Value = again.ask(&["stop"])?;
        ensure!(said.get("done") == Some(&Value::Bool(true)), "{said}");
        again.cli(&["stop"])?.refused(4, &["no node is running"])?;
        Ok(())
    })
}

fn audit_from_stdin(node: &Node<'_>, log: &[u8]) -> Result<String> {
    let mut command = node.command(&["realm", "audit", "-"])?;
    let mut audit = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    audit.stdin.take().context("no stdin")?.write_all(log)?;
    let done = audit.wait_with_output()?;
    ensure!(done.status.success(), "{done:?}");
    Ok(String::from_utf8(done.stdout)?)
}

#[test]
fn a_damaged_log_is_not_called_a_log() -> Result<()> {
    story("a_damaged_log_is_not_called_a_log", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.up(&[])?;
        node.cli(&["bucket", "create", "photos"])?.good()?;
        node.cli(&["node", "rename", &node.status()?.this_node, "attic"])?.good()?;
        let (good, bad) = (story.folder().join("good.log"), story.folder().join("bad.log"));
        let (good_name, bad_name) = (good.to_string_lossy(), bad.to_string_lossy());
        node.cli(&["realm", "export", &good_name])?.good()?;
        node.cli(&["realm", "export", &good_name])?.refused(1, &["exists", "--overwrite"])?;
        node.cli(&["realm", "export", &good_name, "--overwrite"])?.good()?;
        let log = std::fs::read(&good)?;
        let said = node.cli(&["realm", "audit", &good_name])?.good()?.out;
        ensure!(said.contains("0 damaged") && said.contains("(attic)"), "{said}");
        ensure!(audit_from_stdin(&node, &log)? == said, "it says something else");

        // Somewhere in there is a byte of one operation's signature, with others after it.
        let damaged = (0..log.len()).find_map(|at| {
            let mut flipped = log.clone();
            *flipped.get_mut(at)? ^= 1;
            std::fs::File::create(&bad).and_then(|mut file| file.write_all(&flipped)).ok()?;
            let answer = node.cli(&["realm", "audit", &bad_name]).ok()?;
            answer.out.contains(", 1 damaged").then_some(answer)
        });
        let answer = damaged.context("no flipped byte was found")?;
        answer.refused(1, &["1 operation is not what was signed", "cannot be judged"])?;
        Ok(())
    })
}

#[test]
fn what_would_happen_is_told_as_it_is() -> Result<()> {
    story("what_would_happen_is_told_as_it_is", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        ensure!(ready.text("phrases_file")? == node.guardians().to_string_lossy(), "{ready:?}");
        let said = node.cli(&["bucket", "create", "photos", "--copies", "9"])?.good()?.out;
        ensure!(said.contains("empty") && said.contains("1 node holds objects so far"), "{said}");
        let bad = node.s3(&ready)?.aws(&["s3", "mb", "s3://Bad_Name"])?;
        bad.failed(&["InvalidBucketName", "lower-case letters"])?;
        let file = story.file("photo", 10_000, 1)?;
        node.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), "s3://photos/photo"])?.good()?;
        let would = node.cli(&["bucket", "delete", "photos", "--dry-run"])?.good()?.out;
        ensure!(would.contains("Would not delete photos: it holds 1 object"), "{would}");
        let would: Value = node.ask(&["bucket", "delete", "files", "--dry-run"])?;
        ensure!(would.get("done") == Some(&Value::Bool(false)), "{would}");
        let done: Value = node.ask(&["bucket", "delete", "files"])?;
        ensure!(done.get("done") == Some(&Value::Bool(true)), "{done}");
        let opens: Value = node.ask(&["console"])?;
        let fingerprint = opens.get("fingerprint").and_then(Value::as_str);
        ensure!(fingerprint == Some(ready.text("fingerprint")?), "{opens}");
        node.cli(&["node", "suspend", "cellar", "--dry-run"])?
            .refused(1, &["no node cellar", "node list"])?;

        // Damage that was not to be mended.
        let mut blobs = Vec::new();
        for folder in std::fs::read_dir(node.home().join("depot"))? {
            let folder = folder?.path();
            if folder.is_dir() {
                blobs.extend(std::fs::read_dir(folder)?.map(|file| file.map(|file| file.path())));
            }
        }
        let blobs = blobs.into_iter().collect::<std::io::Result<Vec<_>>>()?;
        std::fs::remove_file(blobs.first().context("no blob")?)?;
        let said = node.cli(&["bucket", "verify", "photos", "--no-repair"])?.refused(1, &["--no-repair"])?;
        ensure!(said.out.contains("missing, not repaired, as asked"), "{}", said.out);
        ensure!(!said.err.contains("online"), "{}", said.err);
        Ok(())
    })
}

#[test]
fn the_console_is_opened_to_the_network_and_s3_is_not() -> Result<()> {
    story("the_console_is_opened_to_the_network_and_s3_is_not", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&["--listen", "0.0.0.0"])?;
        let console = ready.0.get("console").context("no console")?.to_string();
        ensure!(console.contains(&format!("https://{}:", host.address())), "{console}");
        ensure!(ready.text("s3")?.starts_with("http://127.0.0.1:"), "{ready:?}");
        ensure!(!ready.0.to_string().contains("without encryption"), "{ready:?}");
        node.stop()?;
        let ready = node.start(&["up", "--s3-listen", &host.address().to_string()])?;
        ensure!(ready.text("s3")?.contains(&host.address().to_string()), "{ready:?}");
        ensure!(ready.0.to_string().contains("without encryption"), "{ready:?}");
        Ok(())
    })
}

//! What a browser and a monitoring program meet at a node that really runs.

use anyhow::{Context, Result, ensure};
use freehold_harness::{Answer, Host, Ready, python, story};

/// Asks the console as a browser does; the last line of the answer is the status.
fn ask(host: &Host, ready: &Ready, arguments: &[&str], path: &str) -> Result<Answer> {
    let console = ready.0.pointer("/console/0").and_then(serde_json::Value::as_str).context("no console")?;
    let address = format!("{console}{path}");
    let jar =
        ["--silent", "--insecure", "--cookie", "jar", "--cookie-jar", "jar", "--write-out", "\n%{http_code}"];
    host.run("curl", &[jar.as_slice(), arguments, &[&address]].concat())?.good()
}

fn status(answer: &Answer) -> &str {
    answer.out.lines().next_back().unwrap_or_default()
}

fn sign_in(host: &Host, ready: &Ready) -> Result<()> {
    let form = format!("code={}", ready.text("setup_code")?);
    let answer = ask(host, ready, &["--data", &form], "/sign-in")?;
    ensure!(status(&answer) == "303", "not signed in: {}", answer.out);
    Ok(())
}

#[test]
fn a_browser_stays_signed_in_over_a_restart_until_it_is_signed_out() -> Result<()> {
    story("a_browser_stays_signed_in_over_a_restart_until_it_is_signed_out", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        ensure!(status(&ask(&host, &ready, &[], "/api/v1/status")?) == "401", "open to everybody");
        sign_in(&host, &ready)?;
        node.stop()?;
        let ready = node.resume()?;
        ensure!(status(&ask(&host, &ready, &[], "/api/v1/status")?) == "200", "the restart signed it out");
        node.cli(&["console", "--sign-out"])?.good()?;
        ensure!(status(&ask(&host, &ready, &[], "/api/v1/status")?) == "401", "still signed in");
        node.stop()?;
        let ready = node.resume()?;
        ensure!(status(&ask(&host, &ready, &[], "/api/v1/status")?) == "401", "the restart signed it in");
        node.stop()
    })
}

#[test]
fn a_name_that_was_pointed_here_gets_nothing() -> Result<()> {
    story("a_name_that_was_pointed_here_gets_nothing", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        sign_in(&host, &ready)?;
        for version in ["--http1.1", "--http2"] {
            for path in ["/", "/api/v1/status", "/sign-in", "/assets/console.css"] {
                let asked = [version, "--header", "Host: rebound.example:8443"];
                let answer = ask(&host, &ready, &asked, path)?;
                ensure!(status(&answer) == "403", "{version} {path}: {}", answer.out);
            }
        }
        ensure!(status(&ask(&host, &ready, &[], "/")?) == "200", "its own name");
        node.stop()
    })
}

#[test]
fn prometheus_can_read_the_metrics() -> Result<()> {
    story("prometheus_can_read_the_metrics", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        s3.aws(&["s3", "mb", "s3://box"])?.good()?;
        let file = story.file("one", 1000, 1)?;
        s3.aws(&["s3", "cp", &file.to_string_lossy(), "s3://box/one"])?.good()?;
        sign_in(&host, &ready)?;
        ask(&host, &ready, &["--dump-header", "head", "--output", "metrics"], "/api/v1/metrics")?;
        let head = std::fs::read_to_string(host.folder().join("head"))?.to_lowercase();
        ensure!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let read = host.run(python("python")?, &["-c", include_str!("metrics.py"), "metrics"])?.good()?;
        ensure!(read.out.contains("all as expected"), "{}", read.out);
        node.stop()
    })
}

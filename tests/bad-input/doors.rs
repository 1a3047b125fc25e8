//! People at the doors who mean no good: places held, codes guessed, homes that others can write to.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};
use freehold_harness::{Host, Node, Ready, story};

use super::{still_there, with_an_object};

/// Runs `doors.py` until it has opened its connections.
fn hold(host: &Host, kind: &str, port: &str, count: u32) -> Result<Child> {
    hold_knowing(host, kind, port, count, "")
}

/// The same with the half of the S3 credentials that is no secret.
fn hold_knowing(host: &Host, kind: &str, port: &str, count: u32, key: &str) -> Result<Child> {
    let program = include_str!("doors.py");
    let mut command = host.command("python3");
    let address = host.address().to_string();
    command.args(["-c", program, kind, &address, port, &count.to_string(), key]).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = Vec::new();
    let out = child.stdout.as_mut().context("its output")?;
    let mut byte = [0];
    while line.last() != Some(&b'\n') && out.read(&mut byte)? > 0 {
        line.extend(byte);
    }
    ensure!(line.starts_with(b"open"), "{}", String::from_utf8_lossy(&line));
    Ok(child)
}

fn all_were_cut(mut child: Child) -> Result<()> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
    child.wait()?;
    ensure!(line.starts_with("left 0 "), "{line}");
    Ok(())
}

fn port(address: &str) -> &str {
    address.trim_end_matches('/').rsplit(':').next().unwrap_or_default()
}

fn console(ready: &Ready) -> Result<String> {
    let first = ready.0.get("console").and_then(|all| all.get(0)).and_then(serde_json::Value::as_str);
    Ok(first.context("no console")?.to_owned())
}

/// The status that a request to the console is answered with.
fn ask(host: &Host, address: &str, more: &[&str]) -> Result<String> {
    let mut all = vec!["-sk", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
    all.extend(more);
    all.push(address);
    Ok(host.run("curl", &all)?.out)
}

#[test]
fn who_holds_places_and_asks_nothing_shuts_nobody_out() -> Result<()> {
    story("who_holds_places_and_asks_nothing_shuts_nobody_out", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        with_an_object(&mut node, story)?;
        node.stop()?;
        let relay = format!("{}:3340", host.address());
        let address = host.address().to_string();
        let ready = node.start(&["up", "--relay", &relay, "--listen", &address, "--s3-listen", &address])?;
        let (console, s3) = (console(&ready)?, node.s3(&ready)?);
        let sign_in = format!("{}/sign-in", console.replace("localhost", &host.address().to_string()));
        let mut held = Vec::new();
        for kind in ["tls", "tls-h2", "body"] {
            held.push(hold(&host, kind, port(&console), 300)?);
            ensure!(ask(&host, &sign_in, &[])?.starts_with("200"), "{kind}: the console is shut");
        }
        held.push(hold(&host, "silent", port(&s3.endpoint), 600)?);
        still_there(&s3, story)?;
        held.push(hold(&host, "upgrade", "3340", 1300)?);
        still_there(&s3, story)?;
        node.status()?;
        ensure!(ask(&host, &sign_in, &[])?.starts_with("200"), "the console is shut");
        held.push(hold(&host, "all", port(&console), 2)?);
        for child in held {
            all_were_cut(child)?;
        }
        node.stop()
    })
}

#[test]
fn who_cannot_sign_holds_no_place_at_the_s3_endpoint() -> Result<()> {
    story("who_cannot_sign_holds_no_place_at_the_s3_endpoint", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        with_an_object(&mut node, story)?;
        node.stop()?;
        let ready = node.start(&["up", "--s3-listen", &host.address().to_string()])?;
        let s3 = node.s3(&ready)?;
        let credentials = std::fs::read_to_string(ready.text("s3_credentials")?)?;
        let key = credentials.lines().find_map(|line| line.strip_prefix("aws_access_key_id"));
        let key = key.context("no access key id")?.trim_start_matches([' ', '=']);
        let mut held = Vec::new();
        for kind in ["sts", "unread"] {
            held.push(hold_knowing(&host, kind, port(&s3.endpoint), 300, key)?);
            still_there(&s3, story).with_context(|| format!("{kind}: the endpoint is shut"))?;
        }
        for child in held {
            all_were_cut(child)?;
        }
        still_there(&s3, story)
    })
}

/// Types a code at the console; the answer's status.
fn type_code(host: &Host, console: &str, code: &str) -> Result<String> {
    ask(host, &format!("{console}/sign-in"), &["--data", &format!("code={code}")])
}

#[test]
fn wrong_codes_from_one_machine_lock_nobody_out() -> Result<()> {
    story("wrong_codes_from_one_machine_lock_nobody_out", |story| {
        let (alice, eve) = (story.host("alice")?, story.host("eve")?);
        let mut node = alice.node()?;
        let ready = node.up(&["--listen", &alice.address().to_string()])?;
        let console = console(&ready)?;
        for _ in 0..15 {
            ensure!(type_code(&eve, &console, "0000-0000")?.starts_with("403"), "a wrong code was taken");
        }
        let code = ready.text("setup_code")?.to_owned();
        ensure!(type_code(&alice, &console, &code)?.starts_with("303"), "a right code was refused");
        Ok(())
    })
}

#[test]
fn nobody_is_sent_elsewhere_after_signing_in() -> Result<()> {
    story("nobody_is_sent_elsewhere_after_signing_in", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let form = format!("code={}&next=/%09/evil.example", ready.text("setup_code")?);
        let answer = ask(&host, &format!("{}/sign-in", console(&ready)?), &["--data", &form])?;
        ensure!(answer.starts_with("303 https://localhost") && !answer.contains("evil"), "{answer}");
        Ok(())
    })
}

fn refused(node: &mut Node<'_>, words: &[&str]) -> Result<()> {
    node.launch(&["up"])?;
    node.ended()?.refused(1, words)?;
    Ok(())
}

#[test]
fn a_home_that_others_may_have_written_to_is_refused() -> Result<()> {
    story("a_home_that_others_may_have_written_to_is_refused", |story| {
        let host = story.host("alice")?;
        // As in /tmp: what is above the home belongs to everybody.
        let above = host.folder().join("tmp");
        std::fs::create_dir(&above)?;
        let chmod = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        };
        chmod(&above, 0o1777)?;
        let mut node = host.node_at(&above.join("home"))?;
        std::fs::create_dir(node.home())?;
        chmod(node.home(), 0o777)?;
        let remedy = format!("chmod 700 {}", node.home().display());
        refused(&mut node, &["other users may write", &remedy])?;
        ensure!(std::fs::read_dir(node.home())?.next().is_none(), "half a node was left");
        std::fs::remove_dir(node.home())?;
        let (_, s3) = with_an_object(&mut node, story)?;
        node.stop()?;
        for (file, mode) in [("s3-credentials", 0o644), ("console.pem", 0o660)] {
            let path = node.home().join(file);
            chmod(&path, mode)?;
            refused(&mut node, &[file, "chmod 600"])?;
            chmod(&path, 0o600)?;
        }
        let planted = node.home().join("console.pem");
        // Only root can give a file away.
        if std::os::unix::fs::chown(&planted, Some(65_534), None).is_ok() {
            refused(&mut node, &["console.pem", "another user"])?;
            std::os::unix::fs::chown(&planted, Some(0), None)?;
        }
        for folder in std::fs::read_dir(node.home().join("depot"))? {
            let folder = folder?.path();
            let mode = folder.metadata()?.permissions().mode();
            ensure!(mode.trailing_zeros() >= 6, "{} has mode {mode:o}", folder.display());
        }
        node.resume()?;
        still_there(&s3, story)
    })
}

#[test]
fn a_crash_leaves_no_keys_in_a_core_dump() -> Result<()> {
    story("a_crash_leaves_no_keys_in_a_core_dump", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.up(&[])?;
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid().context("it runs")?))?;
        let limit = |name: &str| -> Result<Vec<String>> {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).context("no such limit")?;
            Ok(line.split_whitespace().map(str::to_owned).collect())
        };
        ensure!(limit("Max core file size")?.starts_with(&["0".to_owned(), "0".to_owned()]), "{limits}");
        let files: u64 = limit("Max open files")?.first().context("no number")?.parse()?;
        ensure!(files > 1024 || limit("Max open files")?.get(1) == Some(&files.to_string()), "{limits}");
        Ok(())
    })
}

#[test]
fn no_level_of_the_log_names_objects_or_signatures() -> Result<()> {
    story("no_level_of_the_log_names_objects_or_signatures", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        node.set("FREEHOLD_LOG", "trace,s3s=trace,s3s::service=trace,h2=trace");
        let (ready, s3) = with_an_object(&mut node, story)?;
        let file = story.file("tagebuch", 100_000, 8)?;
        s3.aws(&["s3", "cp", &file.to_string_lossy(), "s3://box/tagebuch-1987"])?.good()?;
        let link = s3.aws(&["s3", "presign", "s3://box/tagebuch-1987"])?.good()?.out;
        ensure!(host.run("curl", &["-sf", "-o", "/dev/null", link.trim()])?.code == Some(0), "{link}");
        let form = format!("code={}", ready.text("setup_code")?);
        ask(&host, &format!("{}/sign-in", console(&ready)?), &["--data", &form])?;
        let list = "<Delete><Object><Key>tagebuch-1988</Key>";
        s3.boto3(include_str!("malformed.py"), &["box", list])?.good()?;
        let log = node.log()?.to_lowercase();
        ensure!(log.contains("s3 front is up"), "nothing was logged");
        for secret in ["tagebuch", "signature=", "aws4-hmac", "x-amz-signature", "__host-", &form] {
            if let Some(line) = log.lines().find(|line| line.contains(&secret.to_lowercase())) {
                anyhow::bail!("{secret}: {line}");
            }
        }
        Ok(())
    })
}

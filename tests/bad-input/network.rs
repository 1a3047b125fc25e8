//! Garbage, floods of headers, and strangers on every listening port.

use anyhow::{Result, ensure};
use freehold_harness::story;

use super::{still_there, with_an_object};

#[test]
fn an_oversized_header_gets_an_answer_and_nothing_more() -> Result<()> {
    story("an_oversized_header_gets_an_answer_and_nothing_more", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let (ready, s3) = with_an_object(&mut node, story)?;
        let port = ready.text("s3")?.trim_end_matches('/').rsplit(':').next().unwrap_or_default().to_owned();
        let program = include_str!("oversized.py");
        let answer = host.run("python3", &["-c", program, &port])?.good()?;
        ensure!(answer.out.contains("431"), "{}", answer.out);
        still_there(&s3, story)
    })
}

#[test]
fn garbage_on_every_listening_port_changes_nothing() -> Result<()> {
    story("garbage_on_every_listening_port_changes_nothing", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let address = format!("{}:3340", host.address());
        node.set("FREEHOLD_LOG", "info");
        with_an_object(&mut node, story)?;
        node.stop()?;
        let ready = node.start(&["up", "--relay", &address, "--listen", &host.address().to_string()])?;
        let s3 = node.s3(&ready)?;
        let program = include_str!("garbage.py");
        let socket = node.home().join("control.sock");
        let thrown = host.run("python3", &["-c", program, &socket.to_string_lossy()])?.good()?;
        let ports: u32 = thrown.out.trim().parse()?;
        ensure!(ports >= 4, "only {ports} listening sockets were found");
        ensure!(!node.log()?.contains("panicked"), "{}", node.log()?);
        node.status()?;
        still_there(&s3, story)?;
        node.stop()
    })
}

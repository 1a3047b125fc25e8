//! Much, on a line that loses; and what is under way when a right ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, eventually, story, until};
use std::process::Stdio;

use super::{HTTP, Running, SOCKS, curl, house, serve};

/// What is sent while packets are lost, in bytes: a stack that sends waits for what was lost, for it hears only of
/// the first gap at a time.
const LARGE: usize = 10_000_000;
/// The least that a forwarded port carries without loss, in bits a second: a debug build on a busy machine.
const LEAST: f64 = 20e6;

/// Loses one datagram in a hundred that comes to a host.
fn lose(host: &Host) -> Result<()> {
    let table = "table inet loss { chain in { type filter hook input priority 0; \
                 meta l4proto udp numgen random mod 100 == 0 drop; }\n}";
    host.run("nft", &[table])?.good().map(drop)
}

fn sum(host: &Host, file: &str) -> Result<String> {
    let said = host.run("sha256sum", &[file])?.good()?.out;
    said.split_whitespace().next().map(str::to_owned).context("no sum")
}

#[test]
fn what_is_lost_on_the_line_is_lost_to_no_program_and_what_ends_is_cut() -> Result<()> {
    story("what_is_lost_on_the_line", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        let serving = ["net", "service", "add", "files", "--node", "bob", "--port", "8080,5201"];
        one.cli(&serving)?.good()?;
        story.file("bob/large", LARGE, 3)?;
        let _files = serve(&bob, "8080", "127.0.0.1")?;
        let url = "http://files:8080/large";
        eventually(30, "the service is reached", || {
            Ok(curl(&carol, &["--socks5-hostname", SOCKS, "http://files:8080/"])? == Some(0))
        })?;

        // From one user-space stack to another.
        laptop.cli(&["net", "forward", "add", "5201", "files:5201"])?.good()?;
        let mut server = bob.command("iperf3");
        server.args(["-s", "-B", "127.0.0.1"]).stdout(Stdio::null()).stderr(Stdio::null());
        let _server = Running(server.spawn()?);
        // One that comes before the other listens ends well, without a figure.
        let speed = until(60, "iperf3 measures", || {
            let answer = carol.run("iperf3", &["-c", "127.0.0.1", "-t", "3", "-J"])?.good()?;
            let measured: serde_json::Value = answer.json()?;
            let speed =
                measured.pointer("/end/sum_received/bits_per_second").and_then(serde_json::Value::as_f64);
            speed.with_context(|| format!("no figure in {}", answer.out))
        })?;
        println!("a forwarded port between two stacks: {:.0} Mbit/s", speed / 1e6);
        ensure!(speed > LEAST, "{speed} bit/s");

        lose(&bob)?;
        lose(&carol)?;
        let begun = Instant::now();
        for (proxy, file) in [("--socks5-hostname", "socks"), ("--proxy", "http")] {
            let at = if file == "socks" { SOCKS } else { HTTP };
            carol.run("curl", &["-sS", "-f", "-o", file, "-m", "100", proxy, at, url])?.good()?;
            ensure!(sum(&carol, file)? == sum(&bob, "large")?, "other bytes came by {file}");
        }
        println!("twice {LARGE} bytes with losses: {:.1} s", begun.elapsed().as_secs_f64());

        // So much that it is under way when it is cut, however long that takes to type.
        story.file("bob/larger", 4 * LARGE, 4)?;
        let larger = format!("{url}r");
        let mut slow = carol.command("curl");
        slow.args(["-sS", "-o", "slow", "--limit-rate", "2M", "--socks5-hostname", SOCKS, &larger]);
        let mut slow = Running(slow.stderr(Stdio::null()).spawn()?);
        let came =
            || Ok(std::fs::metadata(carol.folder().join("slow")).map_or(0, |file| file.len()) > 1 << 20);
        eventually(20, "it has begun", came)?;
        ensure!(slow.0.try_wait()?.is_none(), "it ended too early");
        one.cli(&["--yes", "node", "suspend", "bob"])?.good()?;
        let begun = Instant::now();
        let ended = until(30, "it ends", || slow.0.try_wait()?.context("it goes on"))?;
        let took = begun.elapsed();
        ensure!(!ended.success() && took < Duration::from_secs(4), "{ended}, {took:?}");
        println!("cut {:.1} s after the suspension was said", took.as_secs_f64());
        Ok(())
    })
}

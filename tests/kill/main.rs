//! SIGKILL at any moment loses nothing that was acknowledged.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use freehold_harness::{S3, python, story};

/// How often the daemon is killed.
const ROUNDS: u64 = 60;

/// Runs a writer in the background and hands over each key once its PUT was acknowledged.
fn writer<R>(
    s3: &S3<'_>,
    round: u64,
    watch: impl FnOnce(&Receiver<String>) -> Result<R>,
) -> Result<(R, Vec<String>)> {
    let mut command = s3.command(&python("python")?);
    command.args(["-c", include_str!("writer.py"), &round.to_string()]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let lines = BufReader::new(process.stdout.take().context("its output is piped")?).lines();
    let outcome = std::thread::scope(|scope| {
        let (tell, told) = sync_channel(10_000);
        let reader = scope.spawn(move || {
            let mut keys = Vec::new();
            for key in lines.map_while(std::result::Result::ok) {
                drop(tell.try_send(key.clone()));
                keys.push(key);
            }
            keys
        });
        let watched = watch(&told);
        if watched.is_err() {
            process.kill()?; // Else it writes, and is read, for ever.
        }
        let keys = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
        watched.map(|watched| (watched, keys))
    });
    process.kill()?;
    process.wait()?;
    outcome
}

#[test]
fn nothing_acknowledged_is_lost_when_the_daemon_is_killed() -> Result<()> {
    story("nothing_acknowledged_is_lost_when_the_daemon_is_killed", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let mut ready = node.up(&[])?;
        node.s3(&ready)?.aws(&["s3", "mb", "s3://box"])?.good()?;
        let mut acknowledged = Vec::new();
        for round in 0..ROUNDS {
            let s3 = node.s3(&ready)?;
            let ((), keys) = writer(&s3, round, |told| {
                // A different moment of a different PUT each time.
                for _ in 0..=round {
                    told.recv_timeout(Duration::from_mins(1)).context("no PUT was acknowledged")?;
                }
                let moment = Duration::from_micros((round * 7_919) % 15_000);
                drop(told.recv_timeout(moment));
                node.kill()
            })?;
            ensure!(!keys.is_empty(), "round {round} wrote nothing");
            acknowledged.extend(keys);
            ready = node.resume()?;
        }
        let wanted = story.folder().join("acknowledged");
        std::io::Write::write_all(&mut std::fs::File::create(&wanted)?, acknowledged.join("\n").as_bytes())?;
        let read = node.s3(&ready)?.boto3(include_str!("reader.py"), &[&wanted.to_string_lossy()])?.good()?;
        ensure!(read.out.contains(&format!("{} whole", acknowledged.len())), "{}", read.out);
        node.cli(&["bucket", "verify", "box"])?.good()?;
        let held = node.status()?.storage.used;
        ensure!(held > 0, "a start does not know what is held");
        let file = story.file("one-more", 1 << 20, 1)?;
        node.s3(&ready)?.aws(&["s3", "cp", &file.to_string_lossy(), "s3://box"])?.good()?;
        let after = node.status()?.storage.used;
        ensure!(after > held + (1 << 20), "{held} bytes were held, and a MiB later {after}");
        node.stop()
    })
}

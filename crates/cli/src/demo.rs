//! A realm to look at: seeded with a few files, thrown away at the end.

use std::path::PathBuf;

use freehold_api::{BucketRules, Client, NewBucket, Phrase, Problem, PutOptions};
use futures::StreamExt as _;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::args::Run;
use crate::host::{Host, RunOptions};
use crate::terminal::Terminal;
use crate::up::{announce, host_name, options};

const WELCOME: &str = "This realm is a demonstration. Everything you see was sealed before it touched the disk.\n\
    Put something in, look at Health, make an invitation: it is all thrown away when the program stops.\n";
const MEADOW: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400"><rect width="640" height="400" fill="#cfe6f2"/><circle cx="500" cy="90" r="44" fill="#f6c667"/><path d="M0 260Q160 180 320 250T640 230V400H0Z" fill="#7fae7a"/><path d="M0 320Q200 250 400 320T640 300V400H0Z" fill="#4f8a5b"/></svg>"##;

/// Runs the demonstration.
pub(crate) async fn demo(host: &dyn Host, terminal: Terminal, run: &Run) -> Result<(), Problem> {
    let scratch = Scratch::new()?;
    let realm = host.found(&scratch.0, "demo", &host_name())?;
    let phrases = realm.phrases().to_vec();
    realm.finish(None, None)?;
    terminal.say("This is a demonstration: everything in it is thrown away when it stops.");
    let up = Notify::new();
    let seeding = async {
        up.notified().await;
        if let Err(problem) = seed(&Client::over_socket(scratch.0.join("control.sock")), &phrases).await {
            terminal.say(format!("The demonstration has no files in it: {problem}"));
        }
    };
    let ready = |ready| {
        announce(terminal, &scratch.0, &ready);
        up.notify_one();
    };
    let options = RunOptions { no_packets: true, no_port_mapping: true, ..options(run) };
    let running = host.run(&scratch.0, options, &ready);
    let mut running = std::pin::pin!(running);
    tokio::select! {
        ended = running.as_mut() => ended,
        () = seeding => running.await,
    }
}

async fn seed(client: &Client, phrases: &[Zeroizing<String>]) -> Result<(), Problem> {
    // Nobody has papers to type from.
    for phrase in phrases {
        client.test_guardian(&Phrase { phrase: phrase.to_string() }).await?;
    }
    client
        .create_bucket(&NewBucket {
            name: "photos".to_owned(),
            copies: 1,
            confirm: 1,
            rules: BucketRules::default(),
        })
        .await?;
    for (bucket, key, kind, text) in [
        ("files", "Welcome.txt", "text/plain", WELCOME),
        ("files", "letters/2026/spring.txt", "text/plain", "The cherry tree is in flower.\n"),
        ("photos", "2026/meadow.svg", "image/svg+xml", MEADOW),
    ] {
        let options = PutOptions {
            content_type: Some(kind.to_owned()),
            len: u64::try_from(text.len()).ok(),
            only_new: false,
        };
        let body = futures::stream::once(async move { Ok(text.as_bytes().into()) }).boxed();
        client.put_object(bucket, key, &options, body).await?;
    }
    Ok(())
}

/// A folder that goes when the demonstration ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Problem> {
        let dir = std::env::temp_dir().join(format!("freehold-demo-{}", std::process::id()));
        // `create_dir`: a folder that somebody else put there is not ours to use, or to remove.
        std::fs::create_dir(&dir).map_err(|e| {
            Problem::refused(format!("cannot make {}", dir.display()), e.to_string(), Some("df -h"))
        })?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

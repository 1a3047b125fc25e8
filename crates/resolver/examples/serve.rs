//! A resolver by itself, to be measured beside others:
//!
//!     cargo run --release -p freehold-resolver --example serve -- 127.0.0.1:5300 LIST 192.0.2.1
//!     dnsperf -s 127.0.0.1 -p 5300 -d QUERIES -c 8 -q 200 -l 10
//!
//! Everybody is served, and LIST counts for all. Says how long the list took, and ends with its input.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use freehold_names::{Group, LocalTime, Member, PolicyParty};
use freehold_resolver::{Config, List, Listen, Resolver, Roots, Setting, Source, Speaks, Upstream};
use freehold_wire::Millis;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

type Failed = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    freehold_allocator::give_back_soon();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, list, upstream] = words.as_slice() else {
        return Err("ADDRESS:PORT LIST UPSTREAM".into());
    };
    let upstream = Upstream { servers: vec![upstream.parse()?], ..Upstream::default() };
    let list = List { most: u64::MAX, ..List::daily("list", Source::File(list.into())) };
    let everyone = Group { members: vec![Member::Everyone], lists: 1, ..Group::default() };
    let folder = tempfile::tempdir()?;
    let config = Config {
        listen: vec![Listen::at(address.parse()?, Speaks::Plain)],
        tls: None,
        parties: Arc::new(|from| Some(PolicyParty { address: Some(from.ip()), ..PolicyParty::default() })),
        clock: Arc::new(|| {
            let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            LocalTime::at(Millis(u64::try_from(since.as_millis()).unwrap_or(0)), 0)
        }),
        cache: 16 << 20,
        folder: folder.path().to_owned(),
        roots: Roots::Only(Vec::new()),
        names_max: 16_000_000,
        setting: Setting {
            groups: vec![everyone],
            upstreams: vec![upstream],
            lists: vec![list],
            ..Setting::default()
        },
    };
    let began = Instant::now();
    let handle = Resolver::start(config).await?;
    handle
        .lists()
        .wait_for(|lists| lists.iter().all(|list| list.kept.is_some() || list.problem.is_some()))
        .await?;
    let mut out = std::io::stdout();
    writeln!(out, "{} names blocked after {:?}", handle.size().0, began.elapsed())?;
    out.flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    writeln!(out, "{:?}", handle.counts(None))?;
    handle.shutdown().await;
    Ok(())
}

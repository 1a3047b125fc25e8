//! PUT and GET of small and large objects by one client and by sixteen: sealed by Freehold, as they
//! are by others; and what it costs in processor time and memory.

use std::path::Path;

use anyhow::{Context, Result};
use freehold_harness::{Host, Story};

use crate::daemon::{resident_peak, ticks};
use crate::peers::Peer;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Sizes, and how many objects of each are moved by one client; sixteen move four times as many.
const SIZES: [(&str, usize, usize); 3] =
    [("4 KiB", 4 * KIB, 1000), ("1 MiB", MIB, 100), ("64 MiB", 64 * MIB, 6)];
const CLIENTS: [(&str, usize); 2] = [("one client", 1), ("16 clients", 16)];
/// Clock ticks of a second, as Linux shows them to programs.
const TICKS: f64 = 100.0;

/// Signs an address for each object.
const SIGN: &str = "import boto3, sys\nfrom botocore.config import Config\n\
    s3 = boto3.client('s3', config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))\n\
    for i in range(int(sys.argv[3])):\n    \
    print(s3.generate_presigned_url(sys.argv[1], Params={'Bucket': 'bench', 'Key': f'{sys.argv[2]}/{i}'}))";

/// What one server did.
#[derive(Clone, Copy)]
struct Did {
    seconds: f64,
    /// Of its processors.
    busy: f64,
}

pub(crate) fn compared(story: &Story) -> Result<()> {
    let host = story.host("transfer")?;
    let mut node = host.node()?;
    let ready = node.up(&[])?;
    node.cli(&["bucket", "create", "bench", "--copies", "1"])?.good()?;
    let ours = Peer::ours(node.s3(&ready)?, node.pid().context("it runs")?);
    let seaweedfs = Peer::seaweedfs(&host, &ours.s3)?;
    let rclone = Peer::rclone(&host, &ours.s3)?;
    let garage = Peer::garage(&host, &ours.s3)?;
    if garage.is_none() {
        println!("Garage is not here: FREEHOLD_TEST_GARAGE=/path/to/garage");
    }
    let peers: Vec<&Peer<'_>> = [&ours, &seaweedfs, &rclone].into_iter().chain(&garage).collect();
    for (name, size, count) in SIZES {
        for (who, clients) in CLIENTS {
            let count = if quick() { clients * 2 } else { count * if clients > 1 { 4 } else { 1 } };
            for (method, call) in [("PUT", "put_object"), ("GET", "get_object")] {
                let mut all = Vec::new();
                for peer in &peers {
                    match measured(&host, peer, (method, call), (size, count, clients)) {
                        Ok(did) => all.push(Some(did)),
                        // Another's refusal is a result, ours is a fault.
                        Err(error) if peer.name != ours.name => {
                            println!("{error:#}");
                            all.push(None);
                        }
                        Err(error) => return Err(error),
                    }
                }
                let what = format!("{method} {name}, {who}");
                rates(&what, &peers, &all, size * count, count);
                if size > MIB && clients > 1 {
                    processors(&what, &peers, &all, size * count);
                }
            }
        }
    }
    for peer in &peers {
        println!(
            "| {}, highest resident after 16 clients | {} MiB |",
            peer.name,
            resident_peak(peer.pid)? >> 20
        );
    }
    drop((seaweedfs, rclone, garage));
    node.stop()
}

/// To see that every row works, not to measure.
fn quick() -> bool {
    std::env::var_os("FREEHOLD_BENCH_QUICK").is_some()
}

fn measured(
    host: &Host,
    peer: &Peer<'_>,
    (method, call): (&str, &str),
    (size, count, clients): (usize, usize, usize),
) -> Result<Did> {
    let prefix = format!("{size}-{clients}");
    let signed = peer.s3.boto3(SIGN, &[call, &prefix, &count.to_string()])?.good()?;
    let file = host.folder().join("addresses");
    std::io::Write::write_all(&mut std::fs::File::create(&file)?, signed.out.as_bytes())?;
    let own = std::env::current_exe()?;
    let before = ticks(peer.pid)?;
    let seconds =
        load(host, &own, &[&file.to_string_lossy(), method, &size.to_string(), &clients.to_string()])
            .with_context(|| format!("{method} of {size} bytes to {}", peer.name))?;
    #[expect(clippy::cast_precision_loss, reason = "a time")]
    let busy = (ticks(peer.pid)?.saturating_sub(before)) as f64 / TICKS;
    Ok(Did { seconds, busy })
}

fn load(host: &Host, own: &Path, arguments: &[&str]) -> Result<f64> {
    let answer = host.run(own, &[&["load"], arguments].concat())?.good()?;
    answer.out.trim().parse().with_context(|| format!("the client said {}", answer.out))
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rates(what: &str, peers: &[&Peer<'_>], all: &[Option<Did>], bytes: usize, count: usize) {
    let small = bytes / count.max(1) < MIB;
    let rate =
        |did: &Did| if small { count as f64 / did.seconds } else { bytes as f64 / MIB as f64 / did.seconds };
    let unit = if small { "a second" } else { "MiB/s" };
    let each = peers.iter().zip(all).map(|(peer, did)| match did {
        Some(did) => format!("{} {:.0}", peer.name, rate(did)),
        None => format!("{} answers with an error", peer.name),
    });
    let each: Vec<String> = each.collect();
    let plain = peers.iter().zip(all).filter(|(peer, _)| peer.plain);
    let best = plain.filter_map(|(_, did)| did.as_ref().map(rate)).fold(0.0, f64::max);
    let ours = all.iter().flatten().next().map_or(0.0, rate);
    println!(
        "| {what} | {}; {unit}; {:.2} times the best that seals nothing |",
        each.join(", "),
        ours / best
    );
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn processors(what: &str, peers: &[&Peer<'_>], all: &[Option<Did>], bytes: usize) {
    let each = peers.iter().zip(all).filter_map(|(peer, did)| Some((peer, did.as_ref()?)));
    let each = each.map(|(peer, did)| format!("{} {:.2}", peer.name, did.busy * 1e9 / bytes as f64));
    let each: Vec<String> = each.collect();
    println!("| {what}, processor seconds for a GB | {} |", each.join(", "));
}

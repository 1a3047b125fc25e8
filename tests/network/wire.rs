//! Somebody on the wire between two machines, who passes on what they send each other, changed and repeated.

use std::process::Stdio;

use anyhow::{Result, ensure};
use freehold_harness::{Host, Node, eventually, story, until};

use super::in_net;
use super::packets::Running;

/// Passes datagrams on between whoever sends to its port and a machine: first with one bit changed, then three times as
/// they are, and what it has recorded again from the socket of somebody else. What went by stands in a file. Of a
/// handshake's packets the changed one comes second: before the first one it would keep them from ever meeting, as
/// whoever is on the wire can by passing on nothing.
const WIRE: &str = r#"
import random, select, socket, sys
here, there = int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))
front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); front.bind(("0.0.0.0", here))
back, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
recorded, peer, seen = [], None, open(sys.argv[4], "wb", 0)
def pass_on(out, data, to):
    changed = bytearray(data)
    if changed: changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    # The first bit says that it is of a handshake (RFC 9000, 17.2).
    is_first = data[:1] >= b"\x80"
    for one in (data, changed, data, data) if is_first else (changed, data, data, data): out.sendto(one, to)
while True:
    for ready in select.select([front, back], [], [])[0]:
        data, who = ready.recvfrom(65535)
        seen.write(data)
        if ready is front:
            peer = who
            pass_on(back, data, there)
            recorded = (recorded + [data])[-500:]
            other.sendto(random.choice(recorded), there)
        elif peer:
            pass_on(front, data, peer)
"#;

/// Hears numbered datagrams until the last one is there, and says how many came as they were sent, and how many came
/// twice or as nobody had sent them.
const HEAR: &str = r#"
import socket, sys
own = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); own.bind((sys.argv[1], 9000)); own.settimeout(60)
print("hearing", flush=True)
good, bad, had = 0, 0, set()
while True:
    data, who = own.recvfrom(65535)
    if data == b"end": own.sendto(b"ended", who); break
    if data == b"try": own.sendto(b"open", who); continue
    number = int.from_bytes(data[:4], "big")
    if number in had or data != number.to_bytes(4, "big") * 200: bad += 1
    else: good += 1; had.add(number)
print(good, bad, flush=True)
"#;

const SEND: &str = r#"
import socket, sys, time
out = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); out.settimeout(0.2)
# The rule that opens it has first to be heard there.
for _ in range(100):
    out.sendto(b"try", (sys.argv[1], 9000))
    try: out.recv(16); break
    except TimeoutError: pass
for number in range(500):
    out.sendto(number.to_bytes(4, "big") * 200, (sys.argv[1], 9000))
    time.sleep(0.002)
for _ in range(50):
    out.sendto(b"end", (sys.argv[1], 9000))
    try:
        while out.recv(16) != b"ended": pass
        break
    except TimeoutError: pass
"#;

/// Where nodes are reached by others.
const MESH: &str = "4433";

/// Leads all that a host sends to another one's node over the wire, which answers at a port for that.
fn led_astray(host: &Host, to: &Host, wire: &Host, port: &str) -> Result<()> {
    let rule = format!(
        "table ip astray {{ chain out {{ type nat hook output priority -100; ip daddr {} udp dport {MESH} dnat to {}:{port}; }}; }}",
        to.address(),
        wire.address()
    );
    host.run("nft", &[&rule])?.good().map(drop)
}

fn on_the_wire(wire: &Host, port: &str, to: &Host) -> Result<Running> {
    let seen = wire.folder().join(port);
    let mut command = wire.command("python3");
    command.args(["-c", WIRE, port, &to.address().to_string(), MESH]).arg(&seen);
    let log = std::fs::File::create(wire.folder().join(format!("{port}.log")))?;
    let running = Running(command.stdout(Stdio::null()).stderr(log).spawn()?);
    eventually(30, "it is on the wire", || Ok(seen.exists()))?;
    Ok(running)
}

#[test]
fn whoever_is_on_the_wire_reads_nothing_changes_nothing_and_repeats_nothing() -> Result<()> {
    story("whoever_is_on_the_wire", |story| {
        let (alice, bob, wire) = (story.host("alice")?, story.host("bob")?, story.host("wire")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let _there = on_the_wire(&wire, "7000", &bob)?;
        let _back = on_the_wire(&wire, "7001", &alice)?;
        led_astray(&alice, &bob, &wire, "7000")?;
        led_astray(&bob, &alice, &wire, "7001")?;
        one.up(&["--name", "The Smiths"])?;
        let me = one.status()?.this_node;
        one.cli(&["node", "rename", &me, "alice"])?.good()?;
        other.join(&one.invite(&[])?, "bob")?;
        let at = until(30, "bob has an address", || in_net(&one, "bob"))?.address;
        eventually(30, "alice pings bob", || {
            Ok(alice.run("ping", &["-c", "1", "-W", "2", &at])?.code == Some(0))
        })?;
        let pinged = alice.run("ping", &["-c", "20", "-i", "0.05", "-W", "5", &at])?.good()?.out;
        ensure!(pinged.contains("20 received") && !pinged.contains("DUP"), "{pinged}");

        one.cli(&[
            "net",
            "rule",
            "add",
            "datagrams",
            "--from",
            "alice",
            "--to",
            "bob",
            "--port",
            "udp/9000",
        ])?
        .good()?;
        datagrams(&alice, &bob, &at)?;
        whole(story, &one, &alice, &bob, &at)?;

        // It was in between, and there is nothing in what it saw that the programs sent.
        let seen =
            [std::fs::read(wire.folder().join("7000"))?, std::fs::read(wire.folder().join("7001"))?].concat();
        ensure!(seen.len() > LARGE, "{} bytes went by", seen.len());
        let secrets: [&[u8]; 2] = [TOLD.as_bytes(), &[0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0]];
        for secret in secrets {
            ensure!(!seen.windows(secret.len()).any(|part| part == secret), "{secret:?} was on the wire");
        }
        for node in [&one, &other] {
            ensure!(!node.log()?.contains("panicked"));
        }
        Ok(())
    })
}

/// No datagram comes twice, and none comes that nobody has sent.
fn datagrams(alice: &Host, bob: &Host, at: &str) -> Result<()> {
    let mut command = bob.command("python3");
    let log = bob.folder().join("heard.log");
    let out = std::fs::File::create(&log)?;
    let mut hearing = Running(command.args(["-c", HEAR, at]).stdout(out).spawn()?);
    eventually(30, "bob hears", || Ok(std::fs::read_to_string(&log)?.contains("hearing")))?;
    alice.run("python3", &["-c", SEND, at])?.good()?;
    let ended = until(60, "bob has heard the last one", || {
        hearing.0.try_wait()?.ok_or_else(|| anyhow::anyhow!("it hears"))
    })?;
    let heard = std::fs::read_to_string(&log)?;
    let numbers: Vec<u32> = heard.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // What is lost between is lost: it is UDP, and whoever is on the wire sends four for each.
    let is_good = numbers.first().is_some_and(|good| *good > 50) && numbers.get(1) == Some(&0);
    ensure!(ended.success() && is_good, "{ended}: {heard}");
    Ok(())
}

const LARGE: usize = 2 << 20;
/// In the page's head, for all to read who can.
const TOLD: &str = "what-nobody-on-the-wire-is-to-read";

/// A file comes as it is.
fn whole(story: &freehold_harness::Story, one: &Node<'_>, alice: &Host, bob: &Host, at: &str) -> Result<()> {
    let large = story.file("bob/large", LARGE, 7)?;
    let mut command = bob.command("python3");
    command.args(["-m", "http.server", "8080", "--bind", "::"]).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Running(command.spawn()?);
    one.cli(&["net", "service", "add", "files", "--node", "bob", "--port", "8080"])?.good()?;
    let (url, told) = (format!("http://[{at}]:8080/large"), format!("X-Told: {TOLD}"));
    eventually(60, "the file comes", || {
        let fetched = ["-gsS", "-m", "30", "-H", &told, "-o", "fetched", &url];
        Ok(alice.run("curl", &fetched)?.code == Some(0))
    })?;
    let (sent, came) = (std::fs::read(large)?, std::fs::read(alice.folder().join("fetched"))?);
    ensure!(sent == came, "what came is not what was sent");
    Ok(())
}

//! The resolver beside unbound, with a million blocked names, asked by dnsperf.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Running, number_after, ours, port, said, seconds};

const BLOCKED: u32 = 1_000_000;
/// Names that are asked others for once, and then in the cache.
const KNOWN: u32 = 2000;
/// How many questions are asked, over and over.
const ASKED: u32 = 50_000;

struct Did {
    rate: f64,
    each: f64,
    memory: u64,
}

pub(super) fn compared() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let upstream = answers()?;
    let (list, conf) = (folder.join("list"), folder.join("unbound.conf"));
    let mut names = String::new();
    for n in 0..BLOCKED {
        writeln!(names, "host{n}.ads.example.net")?;
    }
    put(&list, &names)?;
    let (at, beside) = (port()?, port()?);
    put(&conf, &unbound(&names, beside, upstream)?)?;
    let spread = |of: u32| move |n: u32| n.wrapping_mul(2_654_435_761) % of;
    let (blocked, known) = (folder.join("blocked"), folder.join("known"));
    put(&blocked, &questions("ads.example.net", spread(BLOCKED))?)?;
    put(&known, &questions("web.example.net", spread(KNOWN))?)?;
    let mut serve = Command::new(ours("FREEHOLD_BENCH_RESOLVER")?);
    serve.arg(format!("127.0.0.1:{at}")).arg(&list).arg(format!("127.0.0.1:{upstream}"));
    let ours = measured(Running::start("Freehold", &mut serve, folder)?, folder, at, [&blocked, &known])?;
    let mut unbound = Command::new("unbound");
    unbound.arg("-d").arg("-c").arg(&conf);
    let theirs =
        measured(Running::start("unbound", &mut unbound, folder)?, folder, beside, [&blocked, &known])?;
    for (what, (us, they)) in ["blocked", "in the cache"].iter().zip(ours.iter().zip(&theirs)) {
        println!(
            "| DNS with a million blocked names, questions {what} | Freehold {:.0}, unbound {:.0}; a second; {:.2} times; \
             processor µs each: {:.2}, {:.2}; resident {} MiB, {} MiB |",
            us.rate,
            they.rate,
            us.rate / they.rate,
            us.each,
            they.each,
            us.memory,
            they.memory
        );
    }
    Ok(())
}

fn measured(running: Running, folder: &Path, port: u16, asked: [&Path; 2]) -> Result<Vec<Did>> {
    let at = format!("-p{port}");
    let dig = || said("dig", &["@127.0.0.1", &at, "+tries=1", "+time=1", "+short", "host0.web.example.net"]);
    let running = running.ready(folder, || dig().is_ok_and(|said| said.contains("192.0.2.7")))?;
    // Ours answers before its list is there; the last name of it is blocked once it is.
    let last = format!("host{}.ads.example.net", BLOCKED - 1);
    let all = || said("dig", &["@127.0.0.1", &at, "+tries=1", "+time=1", &last]);
    let is_blocked = |said: &str| !said.contains("192.0.2.7") && said.contains("status:");
    let running = running.ready(folder, || all().is_ok_and(|said| is_blocked(&said)))?;
    let mut did = Vec::new();
    for file in asked {
        ask(port, file, 1)?;
        let before = running.seconds();
        let (rate, count) = ask(port, file, seconds())?;
        let each = (running.seconds() - before) * 1e6 / count;
        did.push(Did { rate, each, memory: running.memory() });
    }
    Ok(did)
}

/// Questions a second, and how many there were.
fn ask(port: u16, file: &Path, seconds: u32) -> Result<(f64, f64)> {
    let (port, seconds, file) = (port.to_string(), seconds.to_string(), file.to_string_lossy());
    let said = said(
        "dnsperf",
        &["-s", "127.0.0.1", "-p", &port, "-d", &file, "-c", "8", "-q", "200", "-l", &seconds],
    )?;
    let number = |mark: &str| -> Result<f64> {
        let number = number_after(&said, mark).with_context(|| format!("no {mark} in: {said}"))?;
        Ok(number.parse()?)
    };
    Ok((number("Queries per second:")?, number("Queries completed:")?))
}

fn questions(zone: &str, which: impl Fn(u32) -> u32) -> Result<String> {
    let mut lines = String::new();
    for n in 0..ASKED {
        writeln!(lines, "host{}.{zone} A", which(n))?;
    }
    Ok(lines)
}

fn unbound(names: &str, port: u16, upstream: u16) -> Result<String> {
    let mut conf = format!(
        "server:\n interface: 127.0.0.1@{port}\n num-threads: 2\n so-reuseport: yes\n username: \"\"\n chroot: \"\"\n \
         pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n module-config: \"iterator\"\n do-not-query-localhost: no\n \
         rrset-cache-size: 16m\n msg-cache-size: 16m\n msg-cache-slabs: 2\n rrset-cache-slabs: 2\n"
    );
    for name in names.lines() {
        writeln!(conf, " local-zone: \"{name}\" always_null")?;
    }
    let last = format!(
        "remote-control:\n control-enable: no\nforward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{upstream}\n"
    );
    Ok(conf + &last)
}

#[expect(clippy::disallowed_methods, reason = "a file of a measurement needs no fsync")]
fn put(path: &Path, text: &str) -> Result<()> {
    Ok(std::fs::write(path, text)?)
}

/// Somebody who knows every name: 192.0.2.7, for an hour. Ends with this program.
fn answers() -> Result<u16> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let port = socket.local_addr()?.port();
    socket.set_read_timeout(Some(Duration::from_hours(1)))?;
    let serve = move || {
        let mut bytes = [0; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let answer = bytes.get(..len).and_then(answer);
            drop(answer.map(|answer| socket.send_to(&answer, from)));
        }
    };
    std::thread::Builder::new().name("upstream".to_owned()).spawn(serve)?;
    Ok(port)
}

/// The question, without what follows it, and one address (RFC 1035, 4.1).
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    while let Some(len) = question.get(end).filter(|len| **len > 0) {
        end += usize::from(*len) + 1;
    }
    let mut answer = question.get(..end + 5)?.to_vec();
    let is_a = question.get(end + 1..end + 3)? == [0, 1];
    // A response, recursion available; one question, an answer or none, nothing else.
    drop(answer.splice(2..12, [0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]));
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 7]);
    }
    Some(answer)
}

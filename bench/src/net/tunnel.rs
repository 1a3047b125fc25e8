//! The tunnel beside wireguard-go and nebula: one TCP stream between two namespaces, by iperf3; and how long a path that
//! is cut is missed, where there is another.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Running, memory_of, ours, said, seconds, seconds_of};

/// No single wait takes longer.
const LIMIT: Duration = Duration::from_secs(30);
const PORT: &str = "5201";

/// Two machines on two cables, s and t.
struct Lab(String);

impl Drop for Lab {
    fn drop(&mut self) {
        for of in ["s", "t"] {
            drop(Command::new("ip").args(["netns", "del", &self.space(of)]).output());
        }
    }
}

impl Lab {
    fn build() -> Result<Self> {
        let lab = Self(format!("fhb{}", std::process::id()));
        let (s, t) = (lab.space("s"), lab.space("t"));
        let mut lines = vec![
            format!("ip netns add {s}"),
            format!("ip netns add {t}"),
            format!("ip -n {s} link set lo up"),
            format!("ip -n {t} link set lo up"),
        ];
        for (cable, net) in [("eth0", "192.0.2"), ("eth1", "198.51.100")] {
            lines.push(format!("ip -n {s} link add {cable} type veth peer name {cable} netns {t}"));
            for (of, last) in [(&s, 1), (&t, 2)] {
                lines.push(format!("ip -n {of} addr add {net}.{last}/24 dev {cable}"));
                lines.push(format!("ip -n {of} link set {cable} up"));
            }
        }
        said("sh", &["-c", &lines.join(" && ")])?;
        Ok(lab)
    }

    fn space(&self, of: &str) -> String {
        format!("{}{of}", self.0)
    }

    fn inside(&self, of: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(of)]).arg(program);
        command
    }

    fn run(&self, of: &str, line: &str) -> Result<String> {
        said("ip", &["netns", "exec", &self.space(of), "sh", "-c", line])
    }
}

/// What one of them did.
struct Did {
    name: &'static str,
    rate: f64,
    each: f64,
    ping: f64,
    memory: u64,
}

pub(super) fn compared() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let lab = Lab::build()?;
    let bare = ping(&lab, "192.0.2.2")?;
    let mut all = vec![freehold(&lab)?];
    for (name, begin) in
        [("wireguard-go", wireguard as fn(&Lab, &Path) -> Result<([Running; 2], String)>), ("nebula", nebula)]
    {
        let did = begin(&lab, folder).and_then(|(both, to)| {
            let begun = Instant::now();
            while lab.run("s", &format!("ping -c 1 -W 1 {to}")).is_err() {
                ensure!(begun.elapsed() < LIMIT, "{name} carries nothing");
            }
            measured(&lab, name, &to, &|| both.iter().map(Running::seconds).sum(), &|| {
                both.iter().map(Running::memory).max().unwrap_or_default()
            })
        });
        match did {
            Ok(did) => all.push(did),
            Err(error) => println!("{name}: {error:#}"),
        }
    }
    let row = |what: &str, value: &dyn Fn(&Did) -> String| {
        let said: Vec<String> = all.iter().map(|did| format!("{} {}", did.name, value(did))).collect();
        println!("| tunnel, one TCP stream between two namespaces, {what} | {} |", said.join(", "));
    };
    row("Mbit/s", &|did| format!("{:.0}", did.rate));
    row("processor seconds for a GB, both ends", &|did| format!("{:.2}", did.each));
    row("added to an idle ping", &|did| format!("{:.3} ms", did.ping - bare));
    row("resident afterwards, the larger end", &|did| format!("{} MiB", did.memory));
    Ok(())
}

fn measured(
    lab: &Lab,
    name: &'static str,
    to: &str,
    busy: &dyn Fn() -> f64,
    memory: &dyn Fn() -> u64,
) -> Result<Did> {
    let ping = ping(lab, to)?;
    let mut server = lab.inside("t", "iperf3");
    let server = server.args(["-s", "-1", "-p", PORT]).stdout(Stdio::null()).spawn()?;
    let server = Ended(server);
    let before = busy();
    let begun = Instant::now();
    let asked = format!("iperf3 -c {to} -p {PORT} -t {} -f m", seconds());
    let said = loop {
        match lab.run("s", &asked) {
            Ok(said) => break said,
            Err(_) if begun.elapsed() < LIMIT => {}
            Err(error) => return Err(error),
        }
    };
    drop(server);
    let total = said.lines().rfind(|line| line.contains("receiver")).context("iperf3 says no total")?;
    let rate = total.split_whitespace().rev().skip_while(|word| !word.starts_with("Mbits")).nth(1);
    let rate: f64 = rate.context("iperf3 says no rate")?.parse()?;
    let gigabytes = rate * f64::from(seconds()) / 8000.0;
    Ok(Did { name, rate, each: (busy() - before) / gigabytes, ping, memory: memory() })
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// How long a ping takes, in milliseconds, on an idle line.
fn ping(lab: &Lab, to: &str) -> Result<f64> {
    let said = lab.run("s", &format!("ping -q -c 100 -i 0.01 -W 3 {to}"))?;
    let average = said.rsplit("= ").next().and_then(|times| times.split('/').nth(1));
    Ok(average.with_context(|| format!("ping says no times: {said}"))?.parse()?)
}

/// A machine of the story `tunnel`, which is told by lines what the log says.
struct Machine {
    running: Child,
    to: ChildStdin,
    lines: Receiver<String>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.running.kill());
        drop(self.running.wait());
    }
}

impl Machine {
    fn start(lab: &Lab, name: &str) -> Result<Self> {
        let mut command = lab.inside(name, ours("FREEHOLD_BENCH_TUNNEL")?);
        let mut running = command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let out = BufReader::new(running.stdout.take().context("its output is piped")?);
        let to = running.stdin.take().context("its input is piped")?;
        let (told, lines) = channel();
        // Ends with the program's output.
        let hear = move || out.lines().map_while(std::result::Result::ok).all(|line| told.send(line).is_ok());
        std::thread::Builder::new().spawn(hear)?;
        Ok(Self { running, to, lines })
    }

    fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.to, "{line}")?)
    }

    fn hear(&self, begin: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let until = Instant::now() + LIMIT;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.with_context(|| format!("the machine did not say {begin}"))?;
            if let Some(rest) = line.strip_prefix(begin).map(str::trim).filter(|rest| wanted(rest)) {
                return Ok(rest.to_owned());
            }
        }
    }
}

fn freehold(lab: &Lab) -> Result<Did> {
    let (mut s, mut t) = (Machine::start(lab, "s")?, Machine::start(lab, "t")?);
    let inside = t.hear("inside", |_| true)?;
    let to = inside.split_whitespace().next().context("it says where it is")?.to_owned();
    s.hear("inside", |_| true)?;
    let everywhere = |at: &str| at.contains("192.0.2.") && at.contains("198.51.100.");
    let (at_s, at_t) = (s.hear("at", everywhere)?, t.hear("at", everywhere)?);
    s.say(&format!("peer t={at_t}"))?;
    t.say(&format!("peer s={at_s}"))?;
    s.hear("up", |_| true)?;
    t.hear("up", |_| true)?;
    for machine in [&mut s, &mut t] {
        machine.say(&format!("allow {PORT}"))?;
        machine.hear("done allow", |_| true)?;
    }
    lab.run("s", &format!("ping -c 3 -i 0.2 -W 3 {to}"))?;
    let (one, other) = (s.running.id(), t.running.id());
    let busy = || seconds_of(one) + seconds_of(other);
    let memory = || memory_of(one).max(memory_of(other));
    let did = measured(lab, "Freehold", &to, &busy, &memory)?;
    let longest = cut(lab, &to);
    // The others have this one cable alone.
    for of in ["s", "t"] {
        lab.run(of, "nft 'add table inet cut; delete table inet cut'")?;
    }
    match longest {
        Ok(longest) => {
            println!(
                "| tunnel, a path is cut while another is there, longest time without a packet | {longest:.2} s |"
            );
        }
        Err(error) => println!("a path that is cut: {error:#}"),
    }
    Ok(did)
}

/// The longest time between two answers while the path in use is cut without a word.
fn cut(lab: &Lab, to: &str) -> Result<f64> {
    let mut command = lab.inside("s", "ping");
    let mut pings =
        command.args(["-D", "-n", "-i", "0.02", "-c", "2500", to]).stdout(Stdio::piped()).spawn()?;
    let out = BufReader::new(pings.stdout.take().context("its output is piped")?);
    let _pings = Ended(pings);
    let (mut last, mut longest, mut seen, mut since) = (None, 0.0_f64, 0, None);
    for line in out.lines() {
        let line = line?;
        // [1732280000.123456] 64 bytes from ...
        let stamp = line.strip_prefix('[').and_then(|rest| rest.split(']').next()?.parse::<f64>().ok());
        let Some(at) = stamp.filter(|_| line.contains("bytes from")) else { continue };
        longest = longest.max(at - last.unwrap_or(at));
        last = Some(at);
        seen += 1;
        if since.is_some_and(|since| at > since + 5.0) {
            return Ok(longest);
        }
        if seen == 50 {
            let cable = in_use(lab)?;
            // Not the link: a machine hears of that. What comes by it is lost.
            for of in ["s", "t"] {
                let chain = "chain pre { type filter hook prerouting priority -300;";
                lab.run(of, &format!("nft 'table inet cut {{ {chain} iifname {cable} drop; }}; }}'"))?;
            }
            since = Some(at);
        }
    }
    anyhow::bail!("nothing came any more")
}

/// The cable by which most goes at the moment.
fn in_use(lab: &Lab) -> Result<&'static str> {
    let sent = |cable: &str| -> Result<u64> {
        Ok(lab.run("s", &format!("cat /sys/class/net/{cable}/statistics/tx_packets"))?.trim().parse()?)
    };
    let before = (sent("eth0")?, sent("eth1")?);
    std::thread::sleep(Duration::from_millis(300));
    Ok(if sent("eth0")? - before.0 >= sent("eth1")? - before.1 { "eth0" } else { "eth1" })
}

fn keys(folder: &Path, of: &str) -> Result<(String, String)> {
    let path = folder.join(format!("{of}.key"));
    let path = path.to_string_lossy().into_owned();
    let public = said("sh", &["-c", &format!("umask 077; wg genkey > {path}; wg pubkey < {path}")])?;
    Ok((path, public.trim().to_owned()))
}

fn wireguard(lab: &Lab, folder: &Path) -> Result<([Running; 2], String)> {
    let program = ours("FREEHOLD_BENCH_TRIXIE")?.join("usr/bin/wireguard-go");
    let start = |of: &str, name: &'static str| {
        let mut command = lab.inside(of, &program);
        let running = Running::start(name, command.args(["-f", &format!("wg{}", lab.space(of))]), folder)?;
        let socket = format!("/var/run/wireguard/wg{}.sock", lab.space(of));
        running.ready(folder, || Path::new(&socket).exists())
    };
    let both = [start("s", "wireguard-s")?, start("t", "wireguard-t")?];
    let (s, t) = (keys(folder, "s")?, keys(folder, "t")?);
    for (of, key, other, mine, theirs, at) in [
        ("s", &s.0, &t.1, "10.78.0.1", "10.78.0.2", "192.0.2.2"),
        ("t", &t.0, &s.1, "10.78.0.2", "10.78.0.1", "192.0.2.1"),
    ] {
        let device = format!("wg{}", lab.space(of));
        lab.run(
            of,
            &format!(
                "wg set {device} listen-port 51820 private-key {key} peer {other} allowed-ips {theirs}/32 \
                 endpoint {at}:51820 && ip addr add {mine}/24 dev {device} && ip link set {device} mtu 1420 up"
            ),
        )?;
    }
    Ok((both, "10.78.0.2".to_owned()))
}

fn nebula(lab: &Lab, folder: &Path) -> Result<([Running; 2], String)> {
    let programs = ours("FREEHOLD_BENCH_TRIXIE")?.join("usr/bin");
    // Keys of others are called alike.
    let folder = &folder.join("nebula");
    std::fs::create_dir(folder)?;
    let (at, cert) = (folder.display(), programs.join("nebula-cert"));
    let cert = cert.display();
    let line = format!(
        "cd {at} && {cert} ca -name x && {cert} sign -name s -ip 10.79.0.1/24 && {cert} sign -name t -ip 10.79.0.2/24"
    );
    said("sh", &["-c", &line])?;
    let start = |of: &str, name: &'static str, theirs: &str, real: &str| {
        // One of two has to know where everybody is.
        let knows = if of == "s" { "am_lighthouse: true" } else { "hosts: [\"10.79.0.1\"]" };
        let conf = format!(
            "pki:\n  ca: {at}/ca.crt\n  cert: {at}/{of}.crt\n  key: {at}/{of}.key\n\
             static_host_map:\n  \"{theirs}\": [\"{real}:4242\"]\nlighthouse:\n  {knows}\n\
             listen:\n  host: 0.0.0.0\n  port: 4242\n  batch: 64\ntun:\n  dev: neb{of}\n  mtu: 1380\n  tx_queue: 2000\n\
             cipher: aes\nfirewall:\n  outbound: [{{port: any, proto: any, host: any}}]\n  \
             inbound: [{{port: any, proto: any, host: any}}]\n"
        );
        let path = folder.join(format!("{of}.yml"));
        File::create(&path)?.write_all(conf.as_bytes())?;
        let mut command = lab.inside(of, programs.join("nebula"));
        Running::start(name, command.arg("-config").arg(&path), folder)
    };
    let s = start("s", "nebula-s", "10.79.0.2", "192.0.2.2")?;
    Ok(([s, start("t", "nebula-t", "10.79.0.1", "192.0.2.1")?], "10.79.0.2".to_owned()))
}

//! Two machines on one cable, each a network namespace with the program of the story in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The program of a machine.
pub(super) const HOST: &str = env!("CARGO_BIN_EXE_tunnel-host");

/// What programs of the machines say to each other.
pub(super) const TALK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/talk.py");

/// No single wait takes longer.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn sh(line: &str) -> String {
    let done = Command::new("sh").arg("-c").arg(line).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A program whose lines are heard.
pub(super) struct Running {
    what: String,
    child: Child,
    to: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    pub(super) fn start(space: &str, program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new("ip")
            .args(["netns", "exec", space, program])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let (tx, lines) = channel();
        // Ends with the program's output.
        let hear = move || from.lines().map_while(Result::ok).all(|line| tx.send(line).is_ok());
        std::thread::Builder::new().spawn(hear).unwrap();
        let what = format!("{program} {}", arguments.join(" "));
        Self { what, to: child.stdin.take(), child, lines }
    }

    pub(super) fn say(&mut self, line: &str) {
        let to = self.to.as_mut().unwrap();
        to.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, name: &str) {
        sh(&format!("kill -{name} {}", self.id()));
    }

    /// Waits for a line that begins so, and gives the rest of it.
    pub(super) fn hear(&self, begin: &str) -> String {
        self.hear_that(begin, |_| true)
    }

    pub(super) fn hear_that(&self, begin: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.hear_until(Instant::now() + LIMIT, begin, wanted)
    }

    /// Waits longer, or less long.
    pub(super) fn hear_within(&self, limit: Duration, begin: &str) -> String {
        self.hear_until(Instant::now() + limit, begin, |_| true)
    }

    /// Leaves out what it has said until now.
    pub(super) fn forget(&self) {
        while self.lines.try_recv().is_ok() {}
    }

    fn hear_until(&self, until: Instant, begin: &str, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|why| panic!("{} did not say {begin}: {why}", self.what));
            if let Some(rest) = line.strip_prefix(begin).map(str::trim)
                && wanted(rest)
            {
                return rest.to_owned();
            }
        }
    }

    /// Says something and waits until it has been done; what was said meanwhile.
    pub(super) fn tell(&mut self, line: &str) -> Vec<String> {
        self.say(line);
        let mut meanwhile = Vec::new();
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let heard = self.lines.recv_timeout(left).unwrap_or_else(|why| panic!("{line}: {why}"));
            if heard == format!("done {line}") {
                return meanwhile;
            }
            meanwhile.push(heard);
        }
    }

    /// How long after a moment lines still came, until none did for a second.
    pub(super) fn last_line(&self, begun: Instant) -> Duration {
        let mut last = Duration::ZERO;
        while self.lines.recv_timeout(Duration::from_secs(1)).is_ok() {
            last = begun.elapsed();
            assert!(last < LIMIT, "{} says more and more", self.what);
        }
        last
    }

    /// Its process; the programs that it runs have it as their parent.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has used of a processor, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name, which may hold anything, comes the third field; user and system time are 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u32 = fields[11..13].iter().map(|field| field.parse::<u32>().unwrap()).sum();
        f64::from(ticks) / 100.0
    }

    /// The most memory that it ever had.
    pub(super) fn most_memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.trim_start_matches("VmHWM:").trim().to_owned()
    }

    /// Waits until it has ended by itself, and well.
    pub(super) fn wait(mut self) {
        drop(self.to.take());
        assert!(self.child.wait().unwrap().success(), "{}", self.what);
    }

    /// Ends it in order.
    pub(super) fn stop(mut self) {
        drop(self.to.take());
        self.hear("stopped");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where a machine says that it is inside the tunnel, as IPv6 and IPv4.
fn inside(host: &Running) -> (String, String) {
    let said = host.hear("inside");
    said.split_once(' ').map(|(v6, v4)| (v6.to_owned(), v4.to_owned())).unwrap()
}

/// Names of namespaces; gone when dropped.
struct Spaces(String);

/// The network of a second cable.
pub(super) const SECOND: &str = "198.51.100.";

/// What is between the machines.
#[derive(Clone, Copy)]
struct Cable {
    mtu: u16,
    only_v6: bool,
    second: bool,
}

impl Default for Cable {
    fn default() -> Self {
        Self { mtu: 1500, only_v6: false, second: false }
    }
}

/// Machines s and t.
pub(super) struct Lab {
    pub(super) s: Running,
    pub(super) t: Running,
    /// Where t is inside the tunnel.
    pub(super) t6: String,
    pub(super) t4: String,
    pub(super) s6: String,
    pub(super) s4: String,
    at_s: String,
    at_t: String,
    /// Last, so that the programs end first.
    spaces: Spaces,
}

impl Lab {
    /// With a cable that carries packets of so many bytes. `None` where it cannot be had.
    pub(super) fn build(name: &str, mtu: u16) -> Option<Self> {
        Self::build_with(name, Cable { mtu, ..Cable::default() }, &["s"], &["t"])
    }

    /// With a second cable between the same machines.
    pub(super) fn doubled(name: &str) -> Option<Self> {
        Self::build_with(name, Cable { second: true, ..Cable::default() }, &["s"], &["t"])
    }

    /// On a cable that carries nothing but IPv6.
    pub(super) fn only_v6(name: &str) -> Option<Self> {
        Self::build_with(name, Cable { only_v6: true, ..Cable::default() }, &["s"], &["t"])
    }

    /// Where s reaches t by the relay that t runs, and by nothing else.
    pub(super) fn relayed(name: &str) -> Option<Self> {
        Self::build_with(name, Cable::default(), &["s", "relayed"], &["t", "serves"])
    }

    fn build_with(name: &str, cable: Cable, s: &[&str], t: &[&str]) -> Option<Self> {
        let able = "for one in ip nft python3 curl ping setpriv; do command -v $one || exit 1; done; \
                    test $(id -u) = 0 && test -e /dev/net/tun && \
                    ip netns add fhtprobe$$ && ip netns del fhtprobe$$";
        if !Command::new("sh").arg("-c").arg(able).output().unwrap().status.success() {
            println!("not run: needs root, /dev/net/tun, ip, nft, python3, curl, ping and setpriv");
            return None;
        }
        let name = format!("fht{name}{}", std::process::id());
        let spaces = Spaces(name.clone());
        let Cable { mtu, only_v6, second } = cable;
        let (net, bits, more) = if only_v6 { ("2001:db8::", 64, " nodad") } else { ("192.0.2.", 24, "") };
        sh(&format!(
            "set -e
             ip netns add {name}s
             ip netns add {name}t
             ip -n {name}s link set lo up
             ip -n {name}t link set lo up
             ip -n {name}s link add eth0 type veth peer name eth0 netns {name}t
             ip -n {name}s addr add {net}1/{bits} dev eth0{more}
             ip -n {name}t addr add {net}2/{bits} dev eth0{more}
             ip -n {name}s link set eth0 mtu {mtu} up
             ip -n {name}t link set eth0 mtu {mtu} up"
        ));
        if second {
            sh(&format!(
                "set -e
                 ip -n {name}s link add eth1 type veth peer name eth1 netns {name}t
                 ip -n {name}s addr add {SECOND}1/24 dev eth1
                 ip -n {name}t addr add {SECOND}2/24 dev eth1
                 ip -n {name}s link set eth1 up
                 ip -n {name}t link set eth1 up"
            ));
        }
        // The relay is there before it is wanted.
        let mut t = Running::start(&format!("{name}t"), HOST, t);
        let (t6, t4) = inside(&t);
        let mut s = Running::start(&format!("{name}s"), HOST, s);
        let (s6, s4) = inside(&s);
        let at =
            |host: &Running| host.hear_that("at", |at| at.contains(net) && (!second || at.contains(SECOND)));
        let (at_s, at_t) = (at(&s), at(&t));
        s.say(&format!("peer t={at_t}"));
        t.say(&format!("peer s={at_s}"));
        s.hear("up");
        t.hear("up");
        Some(Self { s, t, t6, t4, s6, s4, at_s, at_t, spaces })
    }

    pub(super) fn space(&self, of: &str) -> String {
        format!("{}{of}", self.spaces.0)
    }

    /// Runs a command on a machine; what it said, if it went well.
    pub(super) fn run(&self, of: &str, line: &str) -> Result<String, String> {
        let space = self.space(of);
        let done = Command::new("ip").args(["netns", "exec", &space, "sh", "-c", line]).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if done.status.success() { Ok(said) } else { Err(said) }
    }

    /// Machine t loses its power.
    pub(super) fn kill_t(&mut self) {
        // Killed and waited for, before its name and port are wanted again.
        let space = self.space("t");
        drop(std::mem::replace(&mut self.t, Running::start(&space, "true", &[])));
    }

    /// Machine t loses its power and comes again.
    pub(super) fn reset_t(&mut self) {
        self.kill_t();
        self.t = Running::start(&self.space("t"), HOST, &["t"]);
        self.t.hear("inside");
        let at_s = self.at_s.clone();
        self.t.say(&format!("peer s={at_s}"));
    }

    /// Both hear the same from the log.
    pub(super) fn both(&mut self, line: &str) {
        self.s.tell(line);
        self.t.tell(line);
    }

    pub(super) fn start(&self, of: &str, program: &str, arguments: &[&str]) -> Running {
        Running::start(&self.space(of), program, arguments)
    }

    pub(super) fn talk(&self, of: &str, arguments: &[&str]) -> Running {
        Running::start(&self.space(of), "python3", &[&[TALK], arguments].concat())
    }

    /// Machine s takes so many bytes from t, at this address.
    pub(super) fn take(&self, from: &str, port: &str, bytes: usize) -> String {
        let took = self.talk("s", &["take", from, port, &bytes.to_string()]);
        took.hear("took")
    }

    /// Ends both in order: nothing is left of their devices.
    pub(super) fn stop(self) {
        self.s.stop();
        self.t.stop();
    }

    /// Machine s has no rights, and its device from somebody who has.
    pub(super) fn hand_to_s(&mut self) {
        self.stop_s();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/handed.py");
        let arguments = [script, &self.s6, &self.s4, &self.t6, &self.t4, HOST, "s"];
        self.s = Running::start(&self.space("s"), "python3", &arguments);
        self.s.hear("inside");
        self.s.say(&format!("peer t={}", self.at_t));
        self.s.hear("up");
    }

    /// Ends machine s's program in order.
    pub(super) fn stop_s(&mut self) {
        let space = self.space("s");
        std::mem::replace(&mut self.s, Running::start(&space, "true", &[])).stop();
    }

    /// A machine m that nobody knows stands in another network of t's, which passes packets on, and m sends
    /// there whatever is for the realm.
    pub(super) fn stranger(&self) {
        let name = &self.spaces.0;
        sh(&format!(
            "set -e
             ip netns exec {name}t sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
             ip netns add {name}m
             ip -n {name}m link set lo up
             ip -n {name}m link add eth0 type veth peer name eth1 netns {name}t
             ip -n {name}m addr add 198.51.100.2/24 dev eth0
             ip -n {name}t addr add 198.51.100.1/24 dev eth1
             ip -n {name}m addr add fd99::2/64 dev eth0 nodad
             ip -n {name}t addr add fd99::1/64 dev eth1 nodad
             ip -n {name}m link set eth0 up
             ip -n {name}t link set eth1 up
             ip -n {name}m route add default via 198.51.100.1
             ip -n {name}m route add default via fd99::1"
        ));
    }

    /// Nothing comes through a cable any more, and nobody is told: both of its ends stay up.
    pub(super) fn cut(&self, cable: &str) {
        let table = format!(
            "table inet cut {{ chain in {{ type filter hook prerouting priority -300; iifname {cable} drop; }}; }}"
        );
        for of in ["s", "t"] {
            self.run(of, &format!("nft '{table}'")).unwrap();
        }
    }

    /// It carries again.
    pub(super) fn mend(&self) {
        for of in ["s", "t"] {
            self.run(of, "nft delete table inet cut").unwrap();
        }
    }

    /// A smaller or larger cable.
    pub(super) fn mtu(&self, mtu: u16) {
        for of in ["s", "t"] {
            sh(&format!("ip -n {} link set eth0 mtu {mtu}", self.space(of)));
        }
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for of in ["s", "t", "m"] {
            drop(Command::new("ip").args(["netns", "del", &format!("{}{of}", self.0)]).output());
        }
    }
}

//! Hosts on different networks: three network namespaces that are hosts, two that are routers with
//! address translation, one bridge that is the internet. Each host is this very program, run again
//! with [`ROLE`] set, and spoken to by lines. Needs root, `ip` and `nft`; says so if they are not there.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_mesh::{Addresses, Channel, Config, Event, Line, LineEvent, Lines, Path, RelayServe};
use freehold_wire::NodeId;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::world::{Node, Realm, id, key, poll, seed, within};

const ROLE: &str = "FREEHOLD_MESH_TEST_HOST";

/// Everybody at the routers' other side is translated to one address. `hard` draws a new port for
/// each destination, so that holes cannot be punched.
#[derive(Clone, Copy)]
enum Router {
    Easy,
    Hard,
}

/// The namespaces; taken down when dropped.
struct Lab(String);

fn sh(line: &str) -> String {
    let mut command = std::process::Command::new("sh");
    let done = command.arg("-c").arg(line).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

impl Lab {
    /// `None` where it cannot be had.
    fn build(name: &str, routers: [Router; 2]) -> Option<Self> {
        let able =
            "test $(id -u) = 0 && command -v ip nft && ip netns add fhprobe$$ && ip netns del fhprobe$$";
        let able = std::process::Command::new("sh").arg("-c").arg(able).output().unwrap();
        if !able.status.success() {
            println!("not run: needs root, ip and nft");
            return None;
        }
        let lab = Self(format!("fh{name}{}", std::process::id()));
        let p = &lab.0;
        for space in ["pub", "na", "nb", "ha", "hb"] {
            sh(&format!("ip netns add {p}{space} && ip -n {p}{space} link set lo up"));
        }
        sh(&format!(
            "ip -n {p}pub link add br0 type bridge && ip -n {p}pub addr add 203.0.113.1/24 dev br0 && \
             ip -n {p}pub link set br0 up"
        ));
        for (side, net, router) in [("a", 1, routers[0]), ("b", 2, routers[1])] {
            let draw = match router {
                Router::Easy => "",
                Router::Hard => "random,fully-random",
            };
            sh(&format!(
                "set -e
                 ip link add wan netns {p}n{side} type veth peer name p{side} netns {p}pub
                 ip -n {p}pub link set p{side} master br0 up
                 ip -n {p}n{side} addr add 203.0.113.1{net}/24 dev wan
                 ip -n {p}n{side} link set wan up
                 ip link add lan netns {p}n{side} type veth peer name eth0 netns {p}h{side}
                 ip -n {p}n{side} addr add 192.168.{net}.1/24 dev lan
                 ip -n {p}n{side} link set lan up
                 ip -n {p}n{side} route add default via 203.0.113.1
                 ip -n {p}h{side} addr add 192.168.{net}.2/24 dev eth0
                 ip -n {p}h{side} link set eth0 up
                 ip -n {p}h{side} route add default via 192.168.{net}.1
                 ip netns exec {p}n{side} sysctl -qw net.ipv4.ip_forward=1
                 ip netns exec {p}ha sysctl -qw net.ipv6.conf.all.disable_ipv6=1
                 ip -n {p}h{side} link add dock type veth peer name dockp
                 ip -n {p}h{side} addr add 172.17.0.1/16 dev dock
                 ip -n {p}h{side} link set dock up
                 ip -n {p}h{side} link set dockp up
                 ip netns exec {p}n{side} nft -f - <<'END'
                 table ip n {{
                   chain post {{ type nat hook postrouting priority 100; oifname \"wan\" masquerade {draw} ; }}
                   chain forw {{ type filter hook forward priority 0; policy drop; iifname \"lan\" accept; ct state established,related accept; }}
                   chain inpt {{ type filter hook input priority 0; iifname \"wan\" ct state new udp dport 1024-65535 drop; }}
                 }}
END
                 ip netns exec {p}h{side} nft -f - <<'END'
                 table inet seen {{
                   counter outside {{}}
                   chain out {{ type filter hook output priority 0; oifname \"lo\" accept; ip daddr {{ 203.0.113.0/24, 192.168.0.0/16 }} accept; meta l4proto {{ icmp, icmpv6 }} accept; counter name outside; }}
                 }}
END
                "
            ));
        }
        Some(lab)
    }

    /// Packets that a host sent to anywhere but the hosts of this lab.
    fn outside(&self, side: &str) -> String {
        sh(&format!("ip netns exec {}h{side} nft list counter inet seen outside", self.0))
    }

    /// Host b comes into another network: another address, and its router forgets what it knew.
    fn roam(&self) {
        let p = &self.0;
        sh(&format!(
            "set -e
             ip -n {p}hb addr del 192.168.2.2/24 dev eth0
             ip -n {p}hb addr add 192.168.3.2/24 dev eth0
             ip -n {p}nb addr del 203.0.113.12/24 dev wan
             ip -n {p}nb addr add 203.0.113.22/24 dev wan
             ip -n {p}nb addr add 192.168.3.1/24 dev lan
             ip -n {p}nb route replace default via 203.0.113.1
             ip -n {p}hb route replace default via 192.168.3.1"
        ));
    }

    /// The routers pass nothing on between each other any more, and say so to nobody.
    fn cut(&self) {
        for (side, other) in [("a", 2), ("b", 1)] {
            sh(&format!(
                "ip netns exec {}n{side} nft -f - <<'END'
                 table ip cut {{
                   chain pre {{ type filter hook prerouting priority -300; ip saddr 203.0.113.1{other} drop; }}
                   chain post {{ type filter hook postrouting priority -300; ip daddr 203.0.113.1{other} drop; }}
                 }}
END
                ",
                self.0
            ));
        }
    }

    fn host(&self, space: &str, of: u8) -> Host {
        let me = std::env::current_exe().unwrap();
        let mut child = Command::new("ip")
            .args(["netns", "exec", &format!("{}{space}", self.0)])
            .arg(me)
            .args(["--exact", "nat::host", "--nocapture"])
            .env(ROLE, of.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap()).lines();
        Host { of, to, from, _child: child }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for space in ["pub", "na", "nb", "ha", "hb"] {
            sh(&format!("ip netns del {}{space} || true", self.0));
        }
    }
}

/// A host as the test sees it.
struct Host {
    of: u8,
    to: ChildStdin,
    from: tokio::io::Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Host {
    async fn say(&mut self, line: &str) {
        self.to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for a line that begins so, and gives the rest of it.
    async fn hear(&mut self, begin: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        within(&format!("host {} to say {begin}", self.of), async {
            loop {
                let line = self.from.next_line().await.unwrap().expect("the host is up");
                if let Some(rest) = line.strip_prefix(begin).map(str::trim)
                    && wanted(rest)
                {
                    return rest.to_owned();
                }
            }
        })
        .await
    }
}

/// The three hosts, joined: a public relay and member, a member at home, and a newcomer at home who
/// knocks at that member's door, both behind routers. Then the two talk.
async fn meet(name: &str, routers: [Router; 2], path: &str) {
    let Some(lab) = Lab::build(name, routers) else { return };
    let mut relay = lab.host("pub", 1);
    let at_relay = relay.hear("at", |at| at.contains('+')).await;
    let mut a = lab.host("ha", 2);
    a.say(&format!("peers 1={at_relay}")).await;
    a.hear("up 1", |_| true).await;
    // Its home relay, and the address that the relay has seen it come from.
    let at_a = a.hear("at", |at| at.contains("203.0.113.11:") && at.contains("http://")).await;
    let mut b = lab.host("hb", 3);
    b.say(&format!("knock 2 {at_a}")).await;
    assert_eq!(b.hear("answer", |_| true).await, "welcome, you said let me in");
    // The log tells the relay of the new member.
    relay.say("member 3").await;
    b.say(&format!("peers 1={at_relay} 2={at_a}")).await;
    let begun = Instant::now();
    b.hear("up 2", |_| true).await;
    println!("{name}: up after {:?}", begun.elapsed());
    a.hear("up 3", |_| true).await;
    b.say(&format!("path 2 {path}")).await;
    b.hear("path 2", |_| true).await;
    println!("{name}: {path} after {:?}", begun.elapsed());
    b.say("send 2 hello").await;
    assert_eq!(a.hear("message 3", |_| true).await, "hello");
    a.say("send 3 hello yourself").await;
    assert_eq!(b.hear("message 2", |_| true).await, "hello yourself");
    lab.roam();
    let begun = Instant::now();
    a.say("insist 3 are you there").await;
    assert_eq!(b.hear("message 2", |_| true).await, "are you there");
    println!("{name}: found again after {:?}", begun.elapsed());
    for side in ["a", "b"] {
        let seen = lab.outside(side);
        assert!(seen.contains("packets 0 "), "host {side} spoke to somebody outside: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_behind_routers_meet_by_a_relay_and_then_directly() {
    meet("e", [Router::Easy, Router::Easy], "direct").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_leave_a_path_that_was_cut_within_two_seconds() {
    let Some(lab) = Lab::build("c", [Router::Easy, Router::Easy]) else { return };
    let mut relay = lab.host("pub", 1);
    let at_relay = relay.hear("at", |at| at.contains('+')).await;
    let (mut a, mut b) = (lab.host("ha", 2), lab.host("hb", 3));
    for host in [&mut relay, &mut a, &mut b] {
        host.say("member 2").await;
        host.say("member 3").await;
    }
    a.say(&format!("peers 1={at_relay}")).await;
    let at_a = a.hear("at", |at| at.contains("203.0.113.11:") && at.contains("http://")).await;
    b.say(&format!("peers 1={at_relay} 2={at_a}")).await;
    b.hear("up 2", |_| true).await;
    // A datagram every 20 ms; the other one sends each back.
    b.say("packets 2").await;
    b.hear("line 2", |path| path.starts_with("Direct")).await;
    b.say("gap 2").await;
    let calm = b.hear("gap", |_| true).await;
    lab.cut();
    b.hear("line 2", |path| path.starts_with("Relay")).await;
    b.say("gap 2").await;
    let cut: u64 = b.hear("gap", |_| true).await.parse().unwrap();
    println!("longest silence before {calm} ms, over the cut {cut} ms");
    assert!((500..2000).contains(&cut), "silent for {cut} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_hole_can_be_punched_the_relay_carries_them() {
    meet("h", [Router::Hard, Router::Hard], "relay").await;
}

/// Not a test: a host of the lab. Does nothing unless it is told which.
#[tokio::test(flavor = "multi_thread")]
async fn host() {
    let Ok(of) = std::env::var(ROLE) else { return };
    let of: u8 = of.parse().unwrap();
    let realm = Realm::of(&[id(1), id(2)]);
    realm.invitations.write().unwrap().push(key(100).verifying());
    let bind: &[&str] = match of {
        1 => &["203.0.113.1:4710"],
        // One of them has no IPv6 at all; see [`Lab::build`].
        _ => &["0.0.0.0:4710", "[::]:4710"],
    };
    let mut config = Config::new(seed(of), bind.iter().map(|at| at.parse().unwrap()).collect());
    if of == 1 {
        config.relay_serve =
            Some(RelayServe { bind: "203.0.113.1:4711".parse().unwrap(), url: None, connections: 64 });
    }
    let mut node = Node::with(config, &realm).await;
    let mut packets = Packets::of(&node).await;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut at = node.mesh.watch_addresses();
    at.mark_changed();
    loop {
        tokio::select! {
            line = lines.next_line() => match line.unwrap() {
                Some(line) => obey(&node, &realm, &mut packets, &line).await,
                None => return,
            },
            _ = at.changed() => println!("\nat {}", *at.borrow_and_update()),
            () = packets.turn() => {}
            event = node.told.recv() => match event.unwrap() {
                Event::Up(peer, _) => println!("\nup {}", name(peer)),
                Event::Down(peer, why) => println!("\ndown {} {why:?}", name(peer)),
                Event::Message(peer, _, body) => {
                    println!("\nmessage {} {}", name(peer), String::from_utf8_lossy(&body));
                }
            },
        }
    }
}

fn name(node: NodeId) -> u8 {
    (1..10).find(|of| id(*of) == node).unwrap()
}

/// What a host does with lines: sends a datagram every 20 ms if it is told to whom, and else sends back
/// what comes.
struct Packets {
    lines: Lines,
    line: Option<Line>,
    to: Option<NodeId>,
    pulse: tokio::time::Interval,
    path: String,
    heard: Instant,
    silence: Duration,
}

impl Packets {
    async fn of(node: &Node) -> Self {
        let pulse = tokio::time::interval(Duration::from_millis(20));
        let (lines, heard) = (node.mesh.lines().await, Instant::now());
        Self { lines, line: None, to: None, pulse, path: String::new(), heard, silence: Duration::ZERO }
    }

    async fn turn(&mut self) {
        let mut into = vec![Bytes::new(); 16];
        let line = self.line.clone();
        let receive = async {
            match &line {
                Some(line) => line.receive(&mut into).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = self.lines.next() => match event {
                Some(LineEvent::Up(line)) => self.line = Some(line),
                Some(other) => println!("\n{other:?}"),
                None => std::future::pending().await,
            },
            got = receive => match (got, self.to, &line) {
                (Ok(_), Some(_), _) => {
                    self.silence = self.silence.max(self.heard.elapsed());
                    self.heard = Instant::now();
                }
                (Ok(count), None, Some(line)) => drop(line.send(&into[..count])),
                _ => self.line = None,
            },
            _ = self.pulse.tick() => {
                let Some(to) = self.to else { return };
                let Some(line) = &self.line else { return self.lines.opener().open(to) };
                drop(line.send(&[Bytes::from_static(b"still there?")]));
                // The answer shows that it works, and the path that it changed.
                let path = format!("{:?}", line.path().0);
                if path != self.path && self.heard.elapsed() < Duration::from_millis(200) {
                    println!("\nline {} {path}", name(to));
                    self.path = path;
                }
            }
        }
    }
}

async fn obey(node: &Node, realm: &Arc<Realm>, packets: &mut Packets, line: &str) {
    let (verb, rest) = line.split_once(' ').unwrap();
    match verb {
        "member" => drop(realm.members.write().unwrap().insert(id(rest.parse().unwrap()))),
        "packets" => packets.to = Some(id(rest.parse().unwrap())),
        "gap" => {
            println!("\ngap {}", packets.silence.max(packets.heard.elapsed()).as_millis());
            (packets.silence, packets.heard) = (Duration::ZERO, Instant::now());
        }
        "peers" => {
            let peer = |peer: &str| {
                let (of, at) = peer.split_once('=').unwrap();
                (id(of.parse().unwrap()), at.parse::<Addresses>().unwrap())
            };
            node.mesh.set_peers(rest.split(' ').map(peer).collect::<BTreeMap<_, _>>()).await;
        }
        "knock" => {
            let (of, at) = rest.split_once(' ').unwrap();
            let request = Bytes::from_static(b"let me in");
            let knocked =
                node.mesh.knock(&at.parse().unwrap(), id(of.parse().unwrap()), &[&key(100)], request).await;
            println!("\nanswer {}", String::from_utf8_lossy(&knocked.unwrap()));
        }
        "send" => {
            let (of, text) = rest.split_once(' ').unwrap();
            let body = Bytes::copy_from_slice(text.as_bytes());
            node.mesh.send_wait(id(of.parse().unwrap()), Channel::Log, body).await.unwrap();
        }
        // Sends until it is taken: the connection may be on its way down.
        "insist" => {
            let (of, text) = rest.split_once(' ').unwrap();
            let body = Bytes::copy_from_slice(text.as_bytes());
            let peer = id(of.parse().unwrap());
            poll("a way", || node.mesh.send(peer, Channel::Log, body.clone()).ok()).await;
        }
        "path" => {
            let (of, wanted) = rest.split_once(' ').unwrap();
            let peer = id(of.parse().unwrap());
            let is = || match node.health(peer)?.path {
                Path::Direct(_) if wanted == "direct" => Some(()),
                Path::Relay(_) if wanted == "relay" => Some(()),
                _ => None,
            };
            let begun = Instant::now();
            poll("the path", is).await;
            println!("\npath {of} {wanted} {}", begun.elapsed().max(Duration::ZERO).as_millis());
        }
        other => panic!("{other}"),
    }
}

//! Two stacks with a line between them, and programs on the loopback of this machine.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use freehold_packet::icmp::{self, Refusal};
use freehold_packet::{Flow, Head, Virtio, cut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{COMERS, Config, CutError, Door, Found, Inlet, Limits, Reacher, Realm, Stack, Way, open};

const ALICE: &str = "fd00::a";
const BOB: &str = "fd00::b";

#[derive(Debug)]
struct House {
    own: IpAddr,
    inlet: Inlet,
    /// Bob has no rights any more.
    gone: AtomicBool,
}

impl Realm for House {
    fn own(&self) -> Vec<IpAddr> {
        vec![self.own]
    }

    fn inlet(&self, _: &Flow) -> Inlet {
        self.inlet
    }

    fn look_up(&self, name: &str) -> Found {
        match name {
            "bob" | "bob.home.internal" => Found::Here(vec![BOB.parse().unwrap()]),
            _ if name.ends_with(".home.internal") => Found::Nothing,
            _ => Found::Foreign,
        }
    }

    fn leads(&self, to: IpAddr) -> bool {
        !self.gone.load(Ordering::Relaxed)
            && to != self.own
            && (to == BOB.parse::<IpAddr>().unwrap() || to == ALICE.parse::<IpAddr>().unwrap())
    }
}

/// Carries packets one way, as the tunnel does; says that they are forbidden while `shut`.
async fn carry(mut from: tokio::sync::mpsc::Receiver<Bytes>, to: Ends2, shut: Arc<AtomicBool>) {
    while let Some(bytes) = from.recv().await {
        let virtio = Virtio::read(&bytes).unwrap();
        let packet = &bytes[Virtio::LEN..];
        let mut packets = Vec::new();
        if shut.load(Ordering::Relaxed) {
            let from = Head::parse(packet).unwrap().flow.dst;
            let error = icmp::error(packet, from, Refusal::Prohibited).unwrap();
            drop(to.back.send(vec![error.into()]).await);
            continue;
        }
        cut(&virtio, packet, 1400, |head, payload| packets.push(Bytes::from([head, payload].concat())))
            .unwrap();
        if to.there.send(packets).await.is_err() {
            return;
        }
    }
}

struct Ends2 {
    there: tokio::sync::mpsc::Sender<Vec<Bytes>>,
    back: tokio::sync::mpsc::Sender<Vec<Bytes>>,
}

struct Two {
    alice: Stack,
    bob: Stack,
    realm: Arc<House>,
    shut: Arc<AtomicBool>,
    _wires: JoinSet<()>,
}

fn two(inlet: Inlet, limits: Limits) -> Two {
    let config = Config { mtu: 1400, limits };
    let realm =
        Arc::new(House { own: ALICE.parse().unwrap(), inlet: Inlet::Shut, gone: AtomicBool::new(false) });
    let (alice, at_alice) = Stack::start(config, Arc::clone(&realm) as Arc<dyn Realm>);
    let (bob, at_bob) = Stack::start(
        config,
        Arc::new(House { own: BOB.parse().unwrap(), inlet, gone: AtomicBool::new(false) }),
    );
    let shut = Arc::new(AtomicBool::new(false));
    let there = Ends2 { there: at_bob.to.clone(), back: at_alice.to.clone() };
    let back = Ends2 { there: at_alice.to, back: at_bob.to };
    let mut wires = JoinSet::new();
    wires.spawn(carry(at_alice.from, there, Arc::clone(&shut)));
    wires.spawn(carry(at_bob.from, back, Arc::clone(&shut)));
    Two { alice, bob, realm, shut, _wires: wires }
}

/// A program that sends back what comes, at an address.
async fn echoing(at: &str) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let bound = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut all = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            all.spawn(async move {
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
                drop(write.shutdown().await);
            });
        }
    });
    (bound, task)
}

fn bob(port: u16) -> SocketAddr {
    SocketAddr::new(BOB.parse().unwrap(), port)
}

async fn door(two: &Two, door: Door, tasks: &TaskTracker) -> SocketAddr {
    let (_, way) = tokio::sync::watch::channel(Some(Way::Stack(two.alice.dialer())));
    let reacher = Reacher::new(way, Arc::clone(&two.realm) as Arc<dyn Realm>);
    open(door, "127.0.0.1:0".parse().unwrap(), reacher, tasks, CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn bytes_go_there_and_back_and_both_ends_hear_the_end() {
    let two = two(Inlet::Named, Limits::default());
    let (program, _task) = echoing("127.0.0.1:0").await;
    let tasks = TaskTracker::new();
    let at = door(&two, Door::Forward { host: "bob".to_owned(), port: program.port() }, &tasks).await;
    let mut client = TcpStream::connect(at).await.unwrap();
    let bytes: Vec<u8> = (0..4_000_000u32).map(|at| ((at * 7) >> 4).to_le_bytes()[0]).collect();
    let (mut read, mut write) = client.split();
    let mut came = Vec::new();
    let said = async {
        write.write_all(&bytes).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let ((), heard) = tokio::join!(said, read.read_to_end(&mut came));
    assert_eq!(heard.unwrap(), bytes.len());
    assert!(came == bytes);
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), async {
        while two.alice.flows() + two.bob.flows() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("nothing is left of it");
}

#[tokio::test]
async fn what_listens_on_the_loopback_alone_is_reached_only_where_it_was_named() {
    let (hidden, _one) = echoing("127.0.0.1:0").await;
    let (wide, _two) = echoing("0.0.0.0:0").await;
    let (sixth, _three) = echoing("[::1]:0").await;
    let open = two(Inlet::Wide, Limits::default());
    assert!(open.alice.dialer().dial(bob(wide.port())).await.is_ok());
    for at in [hidden, sixth] {
        let error = open.alice.dialer().dial(bob(at.port())).await.err();
        assert_eq!(error, Some(CutError::Refused));
    }
    let named = two(Inlet::Named, Limits::default());
    for at in [hidden, wide, sixth] {
        assert!(named.alice.dialer().dial(bob(at.port())).await.is_ok());
    }
    let shut = two(Inlet::Shut, Limits::default());
    assert_eq!(shut.alice.dialer().dial(bob(wide.port())).await.err(), Some(CutError::NotAllowed));
}

#[tokio::test]
async fn a_program_can_tell_who_comes_over_the_network_and_the_node_whose_it_is() {
    for (listen, from) in [("127.0.0.1:0", IpAddr::V4(COMERS)), ("[::1]:0", Ipv6Addr::LOCALHOST.into())] {
        let two = two(Inlet::Named, Limits::default());
        let program = TcpListener::bind(listen).await.unwrap();
        let port = program.local_addr().unwrap().port();
        let dialer = two.alice.dialer();
        let (talk, came) = tokio::join!(dialer.dial(bob(port)), program.accept());
        let (talk, (stream, end)) = (talk.unwrap(), came.unwrap());
        assert_eq!(end.ip(), from);
        let whose = |end| two.bob.dialer().whose(end);
        assert_eq!(whose(end), Some(ALICE.parse().unwrap()));
        assert_eq!(whose(SocketAddr::new("127.0.0.1".parse().unwrap(), end.port())), None);
        drop((talk, stream));
        let gone = async {
            while whose(end).is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.expect("it is forgotten");
    }
}

#[tokio::test]
async fn what_is_forbidden_ends_at_once_on_both_sides() {
    let two = two(Inlet::Named, Limits::default());
    let (program, _task) = echoing("127.0.0.1:0").await;
    let tasks = TaskTracker::new();
    let at = door(&two, Door::Forward { host: BOB.to_owned(), port: program.port() }, &tasks).await;
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(b"one").await.unwrap();
    let mut three = [0; 3];
    client.read_exact(&mut three).await.unwrap();
    two.shut.store(true, Ordering::Relaxed);
    client.write_all(b"two").await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(2), client.read(&mut three)).await.unwrap();
    assert!(ended.is_err(), "a cut is no end: {ended:?}");
    assert_eq!(two.alice.flows(), 0);
    assert_eq!(two.alice.dialer().dial(bob(program.port())).await.err(), Some(CutError::NotAllowed));
}

#[tokio::test]
async fn what_is_silent_ends_with_the_right_to_it() {
    let two = two(Inlet::Named, Limits::default());
    let (program, _task) = echoing("127.0.0.1:0").await;
    let tasks = TaskTracker::new();
    let at = door(&two, Door::Forward { host: BOB.to_owned(), port: program.port() }, &tasks).await;
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(b"one").await.unwrap();
    let mut three = [0; 3];
    client.read_exact(&mut three).await.unwrap();
    two.realm.gone.store(true, Ordering::Relaxed);
    let ended = tokio::time::timeout(Duration::from_secs(2), client.read(&mut three)).await.unwrap();
    assert!(ended.is_err(), "a cut is no end: {ended:?}");
}

#[tokio::test]
async fn one_sender_takes_no_more_than_its_part() {
    let limits = Limits { each: 3, half_open: 2, datagrams: 1, memory: 64 * 1024 * 1024 };
    let two = two(Inlet::Named, limits);
    let (program, _task) = echoing("127.0.0.1:0").await;
    let dialer = two.alice.dialer();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(dialer.dial(bob(program.port())).await.unwrap());
    }
    let late = tokio::time::timeout(Duration::from_millis(300), dialer.dial(bob(program.port()))).await;
    assert!(late.is_err(), "who has too many is not answered");
    drop(open.pop());
    assert!(dialer.dial(bob(program.port())).await.is_ok());
}

/// What a proxy says to raw bytes.
async fn ask(at: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(at).await.unwrap();
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let mut came = Vec::new();
    let read = client.read_to_end(&mut came);
    drop(tokio::time::timeout(Duration::from_secs(5), read).await.expect("it ends"));
    came
}

#[tokio::test]
async fn socks_reaches_the_realm_and_nobody_else() {
    let two = two(Inlet::Named, Limits::default());
    let (program, _task) = echoing("127.0.0.1:0").await;
    let tasks = TaskTracker::new();
    let at = door(&two, Door::Socks, &tasks).await;
    let name = |name: &str, port: u16, command: u8| {
        let mut bytes = vec![5, 1, 0, 5, command, 0, 3, u8::try_from(name.len()).unwrap()];
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&port.to_be_bytes());
        bytes.extend_from_slice(b"hello");
        bytes
    };
    let came = ask(at, &name("bob.home.internal", program.port(), 1)).await;
    assert_eq!(came[..4], [5, 0, 5, 0]);
    assert!(came.ends_with(b"hello"), "{came:?}");
    for (bytes, word) in [
        (name("example.org", 80, 1), 2),
        (name("127.0.0.1", program.port(), 1), 2),
        (name(ALICE, program.port(), 1), 2),
        (name("carol.home.internal", 80, 1), 4),
        (name("bob", 1, 1), 5),
        (name("bob", 1, 2), 7),
    ] {
        let came = ask(at, &bytes).await;
        assert_eq!(came.get(..4), Some(&[5, 0, 5, word][..]), "{bytes:?}");
    }
    // A browser that is made to knock.
    assert!(ask(at, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.is_empty());
}

#[tokio::test]
async fn the_http_proxy_takes_no_orders_from_pages() {
    let two = two(Inlet::Named, Limits::default());
    let (program, _task) = echoing("127.0.0.1:0").await;
    let tasks = TaskTracker::new();
    let at = door(&two, Door::Http, &tasks).await;
    let text = |came: Vec<u8>| String::from_utf8_lossy(&came).into_owned();
    let opens = format!("CONNECT bob:{} HTTP/1.1\r\nHost: bob\r\n\r\nhello", program.port());
    let came = text(ask(at, opens.as_bytes()).await);
    assert!(came.starts_with("HTTP/1.1 200") && came.ends_with("hello"), "{came}");
    for (asked, answer) in [
        ("GET / HTTP/1.1\r\nHost: bob\r\nConnection: close\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n".to_owned(), "HTTP/1.1 403"),
        ("CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 403"),
        ("GET http://localhost/ HTTP/1.1\r\nHost: bob\r\n\r\n".to_owned(), "HTTP/1.1 403"),
        ("GET http://bob:1/ HTTP/1.1\r\nHost: bob\r\n\r\n".to_owned(), "HTTP/1.1 502"),
    ] {
        let came = text(ask(at, asked.as_bytes()).await);
        assert!(came.starts_with(answer), "{asked}: {came}");
    }
}

#[tokio::test]
async fn datagrams_go_to_the_program_and_its_answers_come_back() {
    for (at, inlet) in [("127.0.0.1:0", Inlet::Named), ("0.0.0.0:0", Inlet::Wide)] {
        let program = tokio::net::UdpSocket::bind(at).await.unwrap();
        let port = program.local_addr().unwrap().port();
        let house = House { own: BOB.parse().unwrap(), inlet, gone: AtomicBool::new(false) };
        let limits = Limits { datagrams: 1, ..Limits::default() };
        let (_stack, mut ends) = Stack::start(Config { mtu: 1400, limits }, Arc::new(house));
        let from: SocketAddr = format!("[{ALICE}]:4000").parse().unwrap();
        let asked = crate::datagrams::packet((from, bob(port)), b"who is there").unwrap();
        ends.to.send(vec![asked.slice(Virtio::LEN..)]).await.unwrap();
        let mut buffer = [0; 64];
        let (len, back) = program.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"who is there");
        program.send_to(b"nobody", back).await.unwrap();
        let answer = ends.from.recv().await.unwrap().slice(Virtio::LEN..);
        let flow = Head::parse(&answer).unwrap().flow;
        assert_eq!((flow.src, flow.sport, flow.dst, flow.dport), (bob(port).ip(), port, from.ip(), 4000));
        assert_eq!(crate::datagrams::payload(&answer), b"nobody");
    }
}

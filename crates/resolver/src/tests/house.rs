//! A resolver to ask, servers that it asks, and what the tests say to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use freehold_names::{
    Data, Domain, LocalTime, Message, PolicyParty, Question, Rcode, Row, Zones, answer, kind,
};
use freehold_wire::Millis;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::{Config, Handle, Listen, Resolver, Roots, Server, Setting, Speaks, Upstream, Way};

/// Nothing in these tests takes longer.
pub(super) const LONG: Duration = Duration::from_secs(20);

pub(super) fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A record.
pub(super) fn v4(name: &str, address: [u8; 4]) -> Row {
    Row::Record { name: domain(name), ttl: 300, data: Data::V4(Ipv4Addr::from(address)) }
}

pub(super) fn alias(name: &str, to: &str) -> Row {
    Row::Record { name: domain(name), ttl: 300, data: Data::Alias(domain(to)) }
}

pub(super) fn zone(apex: &str) -> Row {
    Row::Zone { apex: domain(apex), server: domain("ns.example"), serial: 1 }
}

/// A question, with EDNS if a size is given.
pub(super) fn question(name: &str, kind: u16, size: Option<u16>) -> Vec<u8> {
    let additional = u8::from(size.is_some());
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional];
    packet.extend(domain(name).as_wire());
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    if let Some(size) = size {
        packet.extend([0, 0, 41]);
        packet.extend(size.to_be_bytes());
        packet.extend([0, 0, 0, 0, 0, 0]);
    }
    packet
}

/// What an answer says: how it ended, its addresses, and why (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: Rcode,
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) why: Option<u16>,
    pub(super) cut: bool,
    pub(super) len: usize,
}

impl Said {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let message = Message::parse(bytes).unwrap();
        let records: Vec<_> = message.records().map(Result::unwrap).collect();
        let addresses = records.iter().filter(|record| record.kind == kind::A);
        let addresses = addresses.map(|record| {
            let four: [u8; 4] = message.data(record).try_into().unwrap();
            Ipv4Addr::from(four)
        });
        let edns = records.iter().find(|record| record.kind == kind::OPT).map(|record| message.data(record));
        let why =
            edns.filter(|data| data.starts_with(&[0, 15])).map(|data| u16::from_be_bytes([data[4], data[5]]));
        let (code, cut, len) = (message.rcode(), message.is_cut(), bytes.len());
        Self { code, addresses: addresses.collect(), why, cut, len }
    }
}

/// Asks over UDP.
pub(super) async fn ask(to: SocketAddr, packet: &[u8]) -> Said {
    Said::of(&ask_raw(to, packet).await)
}

pub(super) async fn ask_raw(to: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(packet, to).await.unwrap();
    let mut room = vec![0; 4096];
    let (len, from) = tokio::time::timeout(LONG, socket.recv_from(&mut room)).await.unwrap().unwrap();
    assert_eq!(from, to, "the answer comes from where the question went");
    room.truncate(len);
    assert_eq!(room[..2], packet[..2]);
    room
}

/// Asks for an address.
pub(super) async fn address(to: SocketAddr, name: &str) -> Said {
    ask(to, &question(name, kind::A, Some(1232))).await
}

pub(super) fn ok(address: [u8; 4]) -> (Rcode, Vec<Ipv4Addr>) {
    (Rcode::GOOD, vec![Ipv4Addr::from(address)])
}

impl Said {
    pub(super) fn pair(&self) -> (Rcode, Vec<Ipv4Addr>) {
        (self.code, self.addresses.clone())
    }
}

pub(super) async fn ask_tcp(stream: &mut TcpStream, packet: &[u8]) {
    let len = u16::try_from(packet.len()).unwrap();
    stream.write_all(&[&len.to_be_bytes(), packet].concat()).await.unwrap();
}

pub(super) async fn read_tcp(stream: &mut TcpStream) -> Vec<u8> {
    let len = tokio::time::timeout(LONG, stream.read_u16()).await.unwrap().unwrap();
    let mut bytes = vec![0; usize::from(len)];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// What a server does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Honest,
    /// It says nothing.
    Hangs,
    /// It answers another question than it was asked.
    Lies,
    /// It sends somebody else's answer first: with another number.
    Forged,
    /// It says that there is more, until it is asked over TCP.
    Cuts,
    /// It says that it failed.
    Fails,
}

/// A server with a zone of its own.
pub(super) struct Other {
    pub(super) address: SocketAddr,
    pub(super) mood: Arc<Mutex<Mood>>,
    pub(super) asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Other {
    pub(super) async fn start(rows: &[Row]) -> Self {
        let (datagrams, listener) = loop {
            let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(listener) = TcpListener::bind(datagrams.local_addr().unwrap()).await {
                break (datagrams, listener);
            }
        };
        let address = datagrams.local_addr().unwrap();
        let mood = Arc::new(Mutex::new(Mood::Honest));
        let (asked, zones) = (Arc::new(AtomicUsize::new(0)), Arc::new(Zones::of(rows)));
        let mut tasks = JoinSet::new();
        let desk = Desk { mood: Arc::clone(&mood), asked: Arc::clone(&asked), zones };
        tasks.spawn(desk.clone().serve_datagrams(datagrams));
        tasks.spawn(desk.serve_streams(listener));
        Self { address, mood, asked, _tasks: tasks }
    }

    pub(super) fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn server(&self) -> Server {
        Server { address: self.address, way: Way::Plain }
    }

    /// To be asked for everything.
    pub(super) fn upstream(&self) -> Upstream {
        Upstream { servers: vec![self.server()], ..Upstream::default() }
    }
}

#[derive(Clone)]
struct Desk {
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
    zones: Arc<Zones>,
}

impl Desk {
    fn answers(&self, packet: &[u8], datagram: bool) -> Vec<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap();
        let question = Question::parse(packet).unwrap();
        let mut out = Vec::new();
        let found = self.zones.answer(&question, &mut out);
        if found == freehold_names::Owned::NotOurs || mood == Mood::Fails {
            let code = if mood == Mood::Fails { Rcode::FAILED } else { Rcode::REFUSED };
            answer::begin(&question, code, true, &mut out);
        }
        if mood == Mood::Cuts && datagram {
            answer::begin(&question, Rcode::GOOD, true, &mut out);
            out[2] |= 2;
        }
        answer::finish(&question, answer::Room::stream(), None, &mut out);
        match mood {
            Mood::Hangs => Vec::new(),
            Mood::Lies => {
                // The last letter of the first label.
                let last = 12 + usize::from(out[12]);
                out[last] ^= 1;
                vec![out]
            }
            Mood::Forged => {
                let mut forged = out.clone();
                forged[1] ^= 0x55;
                let end = forged.len() - 12;
                forged[end] ^= 0xff;
                vec![forged, out]
            }
            _ => vec![out],
        }
    }

    async fn serve_datagrams(self, socket: UdpSocket) {
        let mut room = vec![0; 4096];
        loop {
            let (len, from) = socket.recv_from(&mut room).await.unwrap();
            for answer in self.answers(&room[..len], true) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    }

    async fn serve_streams(self, listener: TcpListener) {
        let mut talks = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let desk = self.clone();
            talks.spawn(async move {
                while let Ok(len) = stream.read_u16().await {
                    let mut packet = vec![0; usize::from(len)];
                    stream.read_exact(&mut packet).await.unwrap();
                    for answer in desk.answers(&packet, false) {
                        ask_tcp(&mut stream, &answer).await;
                    }
                }
            });
        }
    }
}

/// A resolver on this machine, and what it was told.
pub(super) struct House {
    pub(super) handle: Handle,
    pub(super) plain: SocketAddr,
    pub(super) now: Arc<Mutex<Millis>>,
    pub(super) folder: Arc<tempfile::TempDir>,
}

/// What holds for everybody.
pub(super) fn everyone() -> freehold_names::Group {
    freehold_names::Group { members: vec![freehold_names::Member::Everyone], ..Default::default() }
}

impl House {
    pub(super) async fn with(setting: Setting) -> Self {
        Self::again(setting, Arc::new(tempfile::tempdir().unwrap())).await
    }

    pub(super) async fn again(setting: Setting, folder: Arc<tempfile::TempDir>) -> Self {
        Self::serving(setting, folder, &[Speaks::Plain], None, Roots::Only(Vec::new())).await
    }

    pub(super) async fn serving(
        setting: Setting,
        folder: Arc<tempfile::TempDir>,
        speaks: &[Speaks],
        tls: Option<Arc<rustls::ServerConfig>>,
        roots: Roots,
    ) -> Self {
        let listen = speaks.iter().map(|speaks| Listen::at(at("127.0.0.1:0"), *speaks));
        Self::listening(setting, folder, listen.collect(), tls, roots).await
    }

    pub(super) async fn listening(
        setting: Setting,
        folder: Arc<tempfile::TempDir>,
        listen: Vec<Listen>,
        tls: Option<Arc<rustls::ServerConfig>>,
        roots: Roots,
    ) -> Self {
        let now = Arc::new(Mutex::new(Millis::from_secs(1_800_000_000)));
        let clock = Arc::clone(&now);
        let config = Config {
            listen,
            tls,
            // 127.0.0.9 is a stranger.
            parties: Arc::new(|from: SocketAddr| {
                let stranger = from.ip() == Ipv4Addr::new(127, 0, 0, 9);
                (!stranger).then(|| PolicyParty { address: Some(from.ip()), ..PolicyParty::default() })
            }),
            clock: Arc::new(move || LocalTime::at(*clock.lock().unwrap(), 0)),
            cache: 1 << 20,
            folder: folder.path().join("lists"),
            roots,
            names_max: 100_000,
            setting,
        };
        let handle = Resolver::start(config).await.unwrap();
        let plain = handle.bound().first().unwrap().address;
        Self { handle, plain, now, folder }
    }

    pub(super) async fn end(self) {
        assert!(self.handle.shutdown().await, "something did not end in time");
    }
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so().await {
        assert!(Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

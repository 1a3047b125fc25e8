//! A door and phones that are the same engine from the other side, over the loopback.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use freehold_crypt::{BoxSecret, Secret};
use freehold_packet::Head;
use gotatun::device::{Device, DeviceBuilder, Peer};
use gotatun::noise::TimerParams;
use gotatun::udp::socket::UdpSocketFactory;
use gotatun::x25519::{PublicKey, StaticSecret};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::packets::{FromNetwork, ToNetwork};
use crate::{Door, Phone, Socket};

const PATIENCE: Duration = Duration::from_secs(10);
/// As long as nothing is waited for that would come at once.
const SILENCE: Duration = Duration::from_millis(300);
const HERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

fn secret(number: u8) -> BoxSecret {
    BoxSecret::from_seed(&Secret::from_bytes([number; 32]))
}

fn address(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, number.into())
}

fn phone(number: u8) -> Phone {
    Phone { key: secret(number).public(), address: address(number).into() }
}

/// A UDP datagram of one byte.
fn packet(src: Ipv6Addr, dst: Ipv6Addr, what: u8) -> Bytes {
    let mut packet = vec![0x60, 0, 0, 0, 0, 9, 17, 64];
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend([0, 7, 0, 7, 0, 9, 0, 0, what]);
    packet.into()
}

fn source(packet: &[u8]) -> IpAddr {
    Head::parse(packet).unwrap().flow.src
}

/// The door, and the network behind it.
struct Gateway {
    door: Door,
    to: mpsc::Sender<Bytes>,
    from: mpsc::Receiver<Bytes>,
}

impl Gateway {
    async fn open() -> Self {
        let (to_network, from) = mpsc::channel(64);
        let (to, from_network) = mpsc::channel(64);
        let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), &secret(0)).unwrap();
        let door = Door::open(socket, &secret(0), to_network, from_network).await.unwrap();
        Self { door, to, from }
    }

    async fn next(&mut self) -> Bytes {
        timeout(PATIENCE, self.from.recv()).await.expect("something comes").unwrap()
    }

    async fn is_silent(&mut self) -> bool {
        timeout(SILENCE, self.from.recv()).await.is_err()
    }
}

/// A phone with its WireGuard.
struct Client {
    _device: Device<(UdpSocketFactory, ToNetwork, FromNetwork)>,
    to: mpsc::Sender<Bytes>,
    from: mpsc::Receiver<Bytes>,
}

impl Client {
    async fn of(number: u8, gateway: SocketAddr) -> Self {
        Self::with(number, gateway, TimerParams::default()).await
    }

    async fn with(number: u8, gateway: SocketAddr, timers: TimerParams) -> Self {
        let (to_phone, from) = mpsc::channel(64);
        let (to, from_phone) = mpsc::channel(64);
        let peer = Peer::new(PublicKey::from(*secret(0).public().as_bytes()))
            .with_endpoint(gateway)
            .with_allowed_ip("::/0".parse().unwrap())
            .dangerously_with_timer_params(timers);
        let device = DeviceBuilder::new()
            .with_default_udp()
            .with_ip_pair(ToNetwork(to_phone), FromNetwork::new(from_phone))
            .with_private_key(StaticSecret::from(*secret(number).expose()))
            .with_peer(peer)
            .build()
            .await
            .unwrap();
        Self { _device: device, to, from }
    }
}

#[tokio::test]
async fn a_phone_sends_from_its_own_address_and_is_answered() {
    let mut gateway = Gateway::open().await;
    gateway.door.let_in(&[phone(1), phone(2)]).await.unwrap();
    let at = gateway.door.bound();
    let (mut one, two) = (Client::of(1, at).await, Client::of(2, at).await);

    one.to.send(packet(address(1), HERE, 1)).await.unwrap();
    assert_eq!(gateway.next().await, packet(address(1), HERE, 1));
    gateway.to.send(packet(HERE, address(1), 2)).await.unwrap();
    let answer = timeout(PATIENCE, one.from.recv()).await.unwrap().unwrap();
    assert_eq!(answer, packet(HERE, address(1), 2));

    // As another phone, as the network itself, and at last as itself.
    for forged in [address(1), HERE, address(3), address(2)] {
        two.to.send(packet(forged, HERE, 3)).await.unwrap();
    }
    assert_eq!(source(&gateway.next().await), IpAddr::V6(address(2)));

    let seen = gateway.door.seen().await;
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.shown.is_some() && seen.from.is_some() && seen.received > 0));
}

#[tokio::test]
async fn who_is_not_let_in_any_more_is_cut_off_and_others_stay() {
    let mut gateway = Gateway::open().await;
    gateway.door.let_in(&[phone(1), phone(2)]).await.unwrap();
    let at = gateway.door.bound();
    let (one, two) = (Client::of(1, at).await, Client::of(2, at).await);
    for (client, number) in [(&one, 1), (&two, 2)] {
        client.to.send(packet(address(number), HERE, 1)).await.unwrap();
        assert_eq!(source(&gateway.next().await), IpAddr::V6(address(number)));
    }
    gateway.door.let_in(&[phone(2)]).await.unwrap();
    one.to.send(packet(address(1), HERE, 2)).await.unwrap();
    // Nor with a handshake of its own: as if it had been started again with what was stolen.
    let again = Client::of(1, at).await;
    again.to.send(packet(address(1), HERE, 3)).await.unwrap();
    assert!(gateway.is_silent().await, "a phone that was shut out still sends");
    two.to.send(packet(address(2), HERE, 2)).await.unwrap();
    assert_eq!(source(&gateway.next().await), IpAddr::V6(address(2)));

    // The log may let it in once more.
    gateway.door.let_in(&[phone(2), phone(1)]).await.unwrap();
    let back = Client::of(1, at).await;
    back.to.send(packet(address(1), HERE, 4)).await.unwrap();
    assert_eq!(source(&gateway.next().await), IpAddr::V6(address(1)));
}

#[tokio::test]
async fn what_is_no_handshake_or_nobodys_gets_no_byte_back() {
    let mut gateway = Gateway::open().await;
    gateway.door.let_in(&[phone(1)]).await.unwrap();
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for len in [0, 1, 4, 16, 32, 64, 92, 147, 148, 149, 1400] {
        for kind in 0..=5 {
            let mut garbage = vec![0xa5; len];
            if let Some(head) = garbage.get_mut(..4) {
                head.copy_from_slice(&[kind, 0, 0, 0]);
            }
            stranger.send_to(&garbage, gateway.door.bound()).await.unwrap();
        }
    }
    // A handshake that is right, with a key that nobody has.
    let nobody = Client::of(9, gateway.door.bound()).await;
    nobody.to.send(packet(address(9), HERE, 1)).await.unwrap();
    let mut answer = [0; 64];
    assert!(timeout(SILENCE, stranger.recv_from(&mut answer)).await.is_err(), "{answer:?}");
    assert!(gateway.is_silent().await);

    let one = Client::of(1, gateway.door.bound()).await;
    one.to.send(packet(address(1), HERE, 1)).await.unwrap();
    assert_eq!(source(&gateway.next().await), IpAddr::V6(address(1)), "and the door still works");
}

#[tokio::test]
async fn nothing_is_held_for_a_network_that_takes_nothing() {
    let mut gateway = Gateway::open().await;
    gateway.door.let_in(&[phone(1)]).await.unwrap();
    let one = Client::of(1, gateway.door.bound()).await;
    one.to.send(packet(address(1), HERE, 0)).await.unwrap();
    gateway.next().await;
    // Nobody reads; then somebody does, and what is sent then comes.
    for _ in 0..1000 {
        one.to.send(packet(address(1), HERE, 1)).await.unwrap();
    }
    let patience = tokio::time::Instant::now() + PATIENCE;
    loop {
        one.to.send(packet(address(1), HERE, 2)).await.unwrap();
        let came = gateway.next().await;
        assert_eq!(source(&came), IpAddr::V6(address(1)));
        if came.last() == Some(&2) {
            break;
        }
        assert!(tokio::time::Instant::now() < patience);
    }
    let closed = timeout(PATIENCE, gateway.door.close()).await;
    assert!(closed.is_ok(), "the door closes");
}

/// A handshake as a phone sends it: who records it can send it again.
async fn recorded(number: u8, bound: SocketAddr) -> Vec<u8> {
    let wire = tokio::net::UdpSocket::bind(bound).await.unwrap();
    let client = Client::of(number, wire.local_addr().unwrap()).await;
    client.to.send(packet(address(number), HERE, 1)).await.unwrap();
    let mut initiation = vec![0; 2048];
    let (len, _) = timeout(PATIENCE, wire.recv_from(&mut initiation)).await.unwrap().unwrap();
    assert_eq!((len, initiation.first()), (148, Some(&1)));
    initiation.truncate(len);
    initiation
}

#[tokio::test]
async fn in_a_flood_of_handshakes_who_is_there_gets_in() {
    let mut gateway = Gateway::open().await;
    gateway.door.let_in(&[phone(1), phone(2)]).await.unwrap();
    let at = gateway.door.bound();
    let initiation = recorded(1, "127.0.0.1:0".parse().unwrap()).await;
    let mut sources = Vec::new();
    for last in 2..=120 {
        let from = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, last));
        sources.push(tokio::net::UdpSocket::bind((from, 0)).await.unwrap());
    }
    // Recorded, so each but the first is answered by nobody but for the proof that is asked for.
    let flood = async || {
        for source in sources.iter().cycle().take(sources.len() * 4) {
            source.send_to(&initiation, at).await.unwrap();
        }
    };
    flood().await;
    let mut answer = [0; 2048];
    let asked = async |source: &tokio::net::UdpSocket, answer: &mut [u8]| {
        let came = timeout(SILENCE, source.recv_from(answer)).await;
        came.is_ok_and(|came| came.unwrap().0 == 64 && answer.first() == Some(&3))
    };
    let last = sources.last().unwrap();
    assert!(asked(last, &mut answer).await, "the last of many is asked for a proof");

    let soon = Duration::from_millis(200)..=Duration::from_millis(250);
    let hasty = TimerParams { rekey_timeout: soon, ..TimerParams::default() };
    let two = Client::with(2, at, hasty).await;
    two.to.send(packet(address(2), HERE, 1)).await.unwrap();
    let flooding = async {
        loop {
            flood().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        came = gateway.next() => assert_eq!(source(&came), IpAddr::V6(address(2))),
        () = flooding => {}
    }
}

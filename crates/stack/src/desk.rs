//! Where packets from the tunnel are dealt out: each to its flow, the first of one to whatever it may begin.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use freehold_packet::icmp::{self, Refusal};
use freehold_packet::{Head, Icmp, Tcp, Virtio, protocol, tcp_flag};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::comers::{COMERS, Comers, Note};
use crate::dial::Dialer;
use crate::engine::{self, Engine};
use crate::purse::Share;
use crate::realm::Inlet;
use crate::table::{Item, Key, Place};
use crate::talk::{CutError, Talk};
use crate::{datagrams, echo};

/// How often it is looked whether what goes on may go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a program of this machine may take to accept, and the other side to open.
const PATIENCE: Duration = Duration::from_secs(10);
/// An address of the loopback that only who listens on all addresses answers at.
pub(crate) const WIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Deals packets out.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) dialer: Dialer,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
}

impl Desk {
    pub(crate) async fn run(self, mut from: mpsc::Receiver<Vec<Bytes>>) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                _ = every.tick() => self.look(),
                packets = from.recv() => match packets {
                    Some(packets) => packets.into_iter().for_each(|packet| self.take(packet)),
                    None => return,
                }
            }
        }
    }

    /// Cuts what may not go on, whether a packet comes or not: a right that has ended is over.
    fn look(&self) {
        let realm = &self.dialer.realm;
        let own = realm.own();
        for (key, ours) in self.dialer.table.all() {
            let goes_on = own.contains(&key.own.ip())
                && if ours { realm.leads(key.other.ip()) } else { realm.inlet(&key.flow()) != Inlet::Shut };
            if !goes_on {
                drop(self.dialer.table.tell(&key, Item::Barred(Refusal::Prohibited)));
            }
        }
    }

    fn take(&self, packet: Bytes) {
        // Pieces of a packet are put together by nobody: TCP sends none, and games none either.
        let Ok(head) = Head::parse(&packet) else { return };
        if head.piece.is_some() {
            return;
        }
        match (head.icmp, head.tcp, head.flow.proto) {
            (Some(Icmp::Echo), ..) => self.echo(&packet, &head),
            (Some(Icmp::Error), ..) => self.bar(&packet, &head),
            (_, Some(tcp), _) => self.tcp(packet, &head, &tcp),
            (_, _, protocol::UDP) => self.datagram(packet, &head),
            _ => {}
        }
    }

    fn echo(&self, packet: &[u8], head: &Head) {
        if self.dialer.realm.own().contains(&head.flow.dst)
            && let Some(answer) = echo::answer(packet, head)
        {
            self.send(&answer);
        }
    }

    /// An error is about a flow of ours; those that are for routers are passed over.
    fn bar(&self, packet: &[u8], head: &Head) {
        let why = match (head.is_v6(), packet.get(usize::from(head.l4)..)) {
            (true, Some([1, 1 | 5 | 6, ..])) | (false, Some([3, 9 | 10 | 13, ..])) => Refusal::Prohibited,
            (true, Some([1, ..])) | (false, Some([3, 0..=3, ..])) => Refusal::Unreachable,
            _ => return,
        };
        if let Some(ours) = icmp::about(packet, head).filter(|ours| ours.proto == protocol::TCP) {
            drop(self.dialer.table.tell(&Key::of(&ours.reversed(), true), Item::Barred(why)));
        }
    }

    fn tcp(&self, packet: Bytes, head: &Head, tcp: &Tcp) {
        let key = Key::of(&head.flow, true);
        let Some(Item::Packet(packet)) = self.dialer.table.tell(&key, Item::Packet(packet)) else { return };
        let opens = tcp.flags & (tcp_flag::SYN | tcp_flag::ACK | tcp_flag::RST) == tcp_flag::SYN;
        if !opens {
            return self.refuse(packet);
        }
        let inlet = self.inlet(head);
        if inlet == Inlet::Shut {
            return self.forbid(&packet);
        }
        // Who has too many hears nothing, and tries again.
        let Some(place) = self.dialer.table.enter(key) else { return };
        let Some(share) = self.dialer.purse.take() else { return self.refuse(packet) };
        let desk = self.clone();
        self.tasks.spawn(async move {
            let cancel = desk.cancel.clone();
            let done = cancel.run_until_cancelled(desk.accept(packet, key, place, share, inlet)).await;
            if let Some(Err(error)) = done {
                debug!(from = %key.other, to = %key.own, %error, "a connection was not carried to its end");
            }
        });
    }

    fn inlet(&self, head: &Head) -> Inlet {
        let realm = &self.dialer.realm;
        if realm.own().contains(&head.flow.dst) { realm.inlet(&head.flow) } else { Inlet::Shut }
    }

    /// Opens the program's side first: whoever knocks hears what the program would say.
    async fn accept(
        &self,
        syn: Bytes,
        key: Key,
        place: (Place, mpsc::Receiver<Item>),
        share: Share,
        inlet: Inlet,
    ) -> Result<(), CutError> {
        let Dialer { mtu, out, comers, .. } = &self.dialer;
        let (mut program, _note) = match timeout(PATIENCE, connect(inlet, &key, comers)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => {
                self.refuse(syn);
                return Err(CutError::Refused);
            }
            Err(_) => return Err(CutError::TimedOut),
        };
        let engine = Engine::listening(key.own, *mtu, share.bytes, PATIENCE).ok_or(CutError::Full)?;
        let mut talk = Talk::new(engine, place, out.clone(), share);
        talk.take(syn);
        timeout(PATIENCE, talk.opened()).await.map_err(|_| CutError::TimedOut)??;
        let carried = talk.carry(&mut program).await;
        if carried.is_err() {
            cut(&program);
        }
        carried
    }

    fn datagram(&self, packet: Bytes, head: &Head) {
        let key = Key::of(&head.flow, false);
        let Some(Item::Packet(packet)) = self.dialer.table.tell(&key, Item::Packet(packet)) else { return };
        let to = match self.inlet(head) {
            Inlet::Shut => return self.forbid(&packet),
            inlet => place_of(inlet, key.own.port()),
        };
        let Some((place, items)) = self.dialer.table.enter(key) else { return };
        drop(self.dialer.table.tell(&key, Item::Packet(packet)));
        let (out, comers) = (self.dialer.out.clone(), self.dialer.comers.clone());
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            let flow = datagrams::Flow { key, to, out, comers };
            if let Some(Err(error)) = cancel.run_until_cancelled(flow.run(items)).await {
                debug!(from = %key.other, to = %key.own, %error, "datagrams are not carried");
            }
            drop(place);
        });
    }

    /// There is no such connection.
    fn refuse(&self, packet: Bytes) {
        if let Some(refusal) = engine::refusal(packet, self.dialer.mtu) {
            // A refusal that is lost is like one that the network lost.
            drop(self.dialer.out.try_send(refusal));
        }
    }

    fn forbid(&self, packet: &[u8]) {
        let from = Head::parse(packet).ok().map(|head| head.flow.dst);
        if let Some(error) = from.and_then(|from| icmp::error(packet, from, Refusal::Prohibited)) {
            self.send(&error);
        }
    }

    fn send(&self, packet: &[u8]) {
        drop(self.dialer.out.try_send(ready(packet)));
    }
}

/// A whole packet as the tunnel takes it.
pub(crate) fn ready(packet: &[u8]) -> Bytes {
    [&Virtio::default().write()[..], packet].concat().into()
}

/// Where datagrams for a port go.
fn place_of(inlet: Inlet, port: u16) -> SocketAddr {
    match inlet {
        Inlet::At(at) => at,
        Inlet::Wide | Inlet::Shut => SocketAddr::new(WIDE.into(), port),
        Inlet::Named => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
    }
}

/// A connection to the program that is meant, from where it is known whose it is.
async fn connect(inlet: Inlet, key: &Key, comers: &Comers) -> io::Result<(TcpStream, Note)> {
    let port = key.own.port();
    let here = |ip: IpAddr| SocketAddr::new(ip, port);
    let at = match inlet {
        Inlet::Shut => return Err(io::ErrorKind::PermissionDenied.into()),
        Inlet::At(at) => vec![at],
        Inlet::Wide => vec![here(WIDE.into())],
        Inlet::Named => vec![here(Ipv4Addr::LOCALHOST.into()), here(Ipv6Addr::LOCALHOST.into())],
    };
    let mut last = io::ErrorKind::ConnectionRefused.into();
    for at in at {
        let (socket, own): (TcpSocket, IpAddr) = if at.is_ipv4() {
            (TcpSocket::new_v4()?, COMERS.into())
        } else {
            (TcpSocket::new_v6()?, Ipv6Addr::LOCALHOST.into())
        };
        socket.bind(SocketAddr::new(own, 0))?;
        // Before the program hears of it.
        let note = comers.note((socket.local_addr()?, true), key.other.ip());
        match socket.connect(at).await {
            // Where nobody listens, a socket of the machine's own ports can reach itself.
            Ok(stream) if stream.local_addr()? == stream.peer_addr()? => {}
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok((stream, note));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A program that has not heard all must not believe that it has.
pub(crate) fn cut(program: &TcpStream) {
    drop(program.set_zero_linger());
}

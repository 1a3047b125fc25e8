//! One TCP connection as smoltcp speaks it: the only place that knows the engine. Each connection has an engine
//! of its own, so that none waits for another, and a packet costs the same with one connection and a thousand.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use freehold_packet::{Gso, Head, Virtio};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};

/// Packets that wait to be taken away: more are not made.
const GO_MAX: usize = 64;
/// Where the sum stands in a TCP head.
const SUM_AT: u16 = 16;
/// A side that says nothing is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// What goes to and from the tunnel.
#[derive(Debug)]
struct Wire {
    come: VecDeque<Bytes>,
    go: VecDeque<Bytes>,
    mtu: usize,
}

struct Come(Bytes);

struct Go<'a>(&'a mut VecDeque<Bytes>);

impl Device for Wire {
    type RxToken<'a> = Come;
    type TxToken<'a> = Go<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Come, Go<'_>)> {
        if self.go.len() >= GO_MAX {
            return None;
        }
        let come = self.come.pop_front()?;
        Some((Come(come), Go(&mut self.go)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Go<'_>> {
        (self.go.len() < GO_MAX).then_some(Go(&mut self.go))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut able = DeviceCapabilities::default();
        able.medium = Medium::Ip;
        able.max_transmission_unit = self.mtu;
        // A line is authenticated: nobody needs to sum what comes, and what goes is summed where it is cut.
        able.checksum.tcp = Checksum::None;
        able
    }
}

impl RxToken for Come {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Go<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut buffer = vec![0; Virtio::LEN + len];
        let (before, packet) = buffer.split_at_mut(Virtio::LEN);
        let made = f(packet);
        if let Ok(head) = Head::parse(packet) {
            before.copy_from_slice(&to_sum(&head).write());
            self.0.push_back(buffer.into());
        }
        made
    }
}

/// How a TCP packet is summed: as the one segment of itself.
fn to_sum(head: &Head) -> Virtio {
    let payload = head.total.saturating_sub(head.payload).max(1);
    Virtio {
        needs_sum: true,
        gso: if head.is_v6() { Gso::Tcp6 } else { Gso::Tcp4 },
        head: head.payload,
        segment: payload,
        sum_start: head.l4,
        sum_offset: SUM_AT,
    }
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is being opened.
    Opening,
    /// Bytes go in both directions, or one.
    Open,
    /// Both sides have said all.
    Done,
    /// It was cut, or never came to be.
    Cut,
}

/// One connection.
pub(crate) struct Engine {
    iface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    wire: Wire,
    begun: std::time::Instant,
    /// The other side has said that it has no more to say.
    finished: bool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("wire", &self.wire).finish_non_exhaustive()
    }
}

/// One that speaks from `own`; none if the system gives no random bytes, without which others would guess
/// numbers.
fn interface(own: IpAddr, wire: &mut Wire) -> Option<Interface> {
    let mut config = Config::new(HardwareAddress::Ip);
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).ok()?;
    config.random_seed = u64::from_ne_bytes(seed);
    let mut iface = Interface::new(config, wire, EPOCH);
    // Everybody is reached the same way: the tunnel knows over which line.
    iface.update_ip_addrs(|addresses| {
        // There is room for one.
        addresses.push(IpCidr::new(own.into(), 0)).ok();
    });
    Some(iface)
}

/// Not zero, which the engine takes for "long ago".
const EPOCH: Instant = Instant::from_micros_const(1_000_000);

impl Engine {
    fn new(own: IpAddr, mtu: u16, room: usize) -> Option<Self> {
        let mut wire = Wire { come: VecDeque::new(), go: VecDeque::new(), mtu: usize::from(mtu) };
        let iface = interface(own, &mut wire)?;
        let half = || SocketBuffer::new(vec![0; room / 2]);
        let mut socket = Socket::new(half(), half());
        socket.set_nagle_enabled(false);
        socket.set_congestion_control(CongestionControl::Cubic);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Some(Self { iface, sockets, handle, wire, begun: std::time::Instant::now(), finished: false })
    }

    /// One that waits for a SYN to `own`; `room` is for both directions, in bytes.
    pub(crate) fn listening(own: SocketAddr, mtu: u16, room: usize, patience: Duration) -> Option<Self> {
        let mut new = Self::new(own.ip(), mtu, room)?;
        let socket = new.socket();
        socket.set_timeout(Some(patience.into()));
        socket.listen(own).ok()?;
        Some(new)
    }

    /// One that opens a connection.
    pub(crate) fn connecting(
        (own, to): (SocketAddr, SocketAddr),
        mtu: u16,
        room: usize,
        patience: Duration,
    ) -> Option<Self> {
        let mut new = Self::new(own.ip(), mtu, room)?;
        let socket = new.sockets.get_mut::<Socket<'_>>(new.handle);
        socket.set_timeout(Some(patience.into()));
        socket.connect(new.iface.context(), to, own).ok()?;
        Some(new)
    }

    /// From now on a side that is silent is asked whether it is there, and given up after `patience`.
    pub(crate) fn settle(&mut self, patience: Duration) {
        let socket = self.socket();
        socket.set_timeout(Some(patience.into()));
        socket.set_keep_alive(Some(KEEP_ALIVE.into()));
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn now(&self) -> Instant {
        EPOCH + self.begun.elapsed().into()
    }

    /// A packet that came.
    pub(crate) fn take(&mut self, packet: Bytes) {
        self.wire.come.push_back(packet);
    }

    /// Whether packets wait that were taken: what is made of them could not be sent yet.
    pub(crate) fn is_behind(&self) -> bool {
        !self.wire.come.is_empty()
    }

    /// Does what is to be done now.
    pub(crate) fn step(&mut self) {
        let now = self.now();
        self.iface.poll(now, &mut self.wire, &mut self.sockets);
        self.finished |= matches!(
            self.socket().state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
    }

    /// When there is something to do if nothing comes: at once, after that time, or never.
    pub(crate) fn due(&mut self) -> Option<Duration> {
        if self.is_full() {
            return None;
        }
        let now = self.now();
        self.iface.poll_delay(now, &self.sockets).map(Into::into)
    }

    /// What is to be sent.
    pub(crate) const fn outgoing(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.wire.go
    }

    /// Whether nothing more is made before something is sent.
    fn is_full(&self) -> bool {
        self.wire.go.len() >= GO_MAX
    }

    pub(crate) fn phase(&mut self) -> Phase {
        match self.socket().state() {
            State::Listen | State::SynSent | State::SynReceived => Phase::Opening,
            State::Closed if !self.finished => Phase::Cut,
            State::Closed | State::TimeWait => Phase::Done,
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => Phase::Open,
        }
    }

    /// Lets somebody take from what came; they say how much they took. None if there is nothing now.
    pub(crate) fn give<R>(&mut self, take: impl FnOnce(&mut [u8]) -> (usize, R)) -> Option<R> {
        let socket = self.socket();
        if socket.can_recv() { socket.recv(take).ok() } else { None }
    }

    /// Whether all that the other side had to say was taken.
    pub(crate) fn is_read_out(&mut self) -> bool {
        let finished = self.finished;
        finished && !self.socket().can_recv()
    }

    /// Lets somebody put what is to be sent; they say how much it is. None if there is no room now.
    pub(crate) fn fetch<R>(&mut self, put: impl FnOnce(&mut [u8]) -> (usize, R)) -> Option<R> {
        let socket = self.socket();
        if socket.can_send() { socket.send(put).ok() } else { None }
    }

    /// This side has no more to say.
    pub(crate) fn close(&mut self) {
        let socket = self.socket();
        // Nobody may be left to acknowledge later.
        socket.set_ack_delay(None);
        socket.close();
    }

    /// Cuts it, and tells the other side.
    pub(crate) fn abort(&mut self) {
        self.socket().abort();
        self.finished = false;
    }
}

/// The answer to a TCP packet that belongs to no connection here; none to what is itself a refusal.
pub(crate) fn refusal(packet: Bytes, mtu: u16) -> Option<Bytes> {
    let own = Head::parse(&packet).ok()?.flow.dst;
    let mut wire = Wire { come: VecDeque::from([packet]), go: VecDeque::new(), mtu: usize::from(mtu) };
    let mut iface = interface(own, &mut wire)?;
    iface.poll(EPOCH, &mut wire, &mut SocketSet::new(Vec::new()));
    wire.go.pop_front()
}

#[cfg(test)]
mod tests {
    use freehold_packet::{Cut, cut, tcp_flag};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn two() -> (Engine, Engine) {
        let (own, to): (SocketAddr, SocketAddr) =
            ("[fd00::1]:4000".parse().unwrap(), "[fd00::2]:80".parse().unwrap());
        let client = Engine::connecting((own, to), 1400, 1 << 20, PATIENCE).unwrap();
        (client, Engine::listening(to, 1400, 1 << 20, PATIENCE).unwrap())
    }

    /// Hands over what one has to send, cut as the tunnel does; says how many packets it was. Each for which
    /// `loses` says so is lost.
    fn hand_over(from: &mut Engine, to: &mut Engine, loses: &mut impl FnMut() -> bool) -> usize {
        from.step();
        let mut count = 0;
        while let Some(bytes) = from.outgoing().pop_front() {
            let virtio = Virtio::read(&bytes).unwrap();
            let put = |head: &[u8], payload: &[u8]| {
                count += 1;
                if !loses() {
                    to.take([head, payload].concat().into());
                }
            };
            let Cut { partial, .. } = cut(&virtio, &bytes[Virtio::LEN..], 1400, put).unwrap();
            assert!(partial, "the engine sums nothing itself");
        }
        count
    }

    /// Sends `bytes` from one to the other, and ends the connection; says what came.
    fn send(bytes: &[u8], mut loses: impl FnMut() -> bool) -> Vec<u8> {
        let (mut client, mut server) = two();
        let (mut sent, mut came) = (0, Vec::new());
        // The engine's clock is the machine's: lost packets are waited for.
        let begun = std::time::Instant::now();
        while client.phase() != Phase::Done && begun.elapsed() < Duration::from_secs(30) {
            let moved = hand_over(&mut client, &mut server, &mut loses)
                + hand_over(&mut server, &mut client, &mut loses);
            if client.phase() == Phase::Open {
                let rest = &bytes[sent..];
                sent += client.fetch(|room| put(room, rest)).unwrap_or(0);
                if sent == bytes.len() {
                    client.close();
                }
            }
            while server.give(|part| (part.len(), came.extend_from_slice(part))).is_some() {}
            if server.is_read_out() {
                server.close();
            }
            let due = client.due().into_iter().chain(server.due()).min();
            if let (0, Some(due)) = (moved, due) {
                std::thread::sleep(due.min(Duration::from_millis(5)));
            }
        }
        assert_eq!(client.phase(), Phase::Done);
        came
    }

    fn put(room: &mut [u8], rest: &[u8]) -> (usize, usize) {
        let len = room.len().min(rest.len());
        room[..len].copy_from_slice(&rest[..len]);
        (len, len)
    }

    #[test]
    fn bytes_arrive_and_both_sides_end() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|at| ((at * 31) >> 3).to_le_bytes()[0]).collect();
        assert!(send(&bytes, || false) == bytes);
    }

    #[test]
    fn what_is_lost_on_the_way_is_lost_to_nobody() {
        let bytes: Vec<u8> = (0..400_000u32).map(|at| ((at * 37) >> 5).to_le_bytes()[0]).collect();
        let mut state = 7u32;
        let loses = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24 < 3
        };
        assert!(send(&bytes, loses) == bytes);
    }

    #[test]
    fn who_knocks_where_nobody_is_hears_it_and_a_refusal_is_not_refused() {
        let (mut client, _) = two();
        client.step();
        let syn = client.outgoing().pop_front().unwrap();
        let answer = refusal(syn.slice(Virtio::LEN..), 1400).unwrap();
        let head = Head::parse(&answer[Virtio::LEN..]).unwrap();
        let flags = head.tcp.unwrap().flags;
        assert_eq!(flags & tcp_flag::RST, tcp_flag::RST);
        assert_eq!(head.flow, Head::parse(&syn[Virtio::LEN..]).unwrap().flow.reversed());
        assert_eq!(refusal(answer.slice(Virtio::LEN..), 1400), None);
        client.take(answer.slice(Virtio::LEN..));
        client.step();
        assert_eq!(client.phase(), Phase::Cut);
    }
}

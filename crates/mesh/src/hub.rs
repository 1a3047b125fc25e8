//! The owner of the connections: which peers there ought to be, who is dialled when, and which of
//! two connections to the same peer counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use freehold_wire::NodeId;
use iroh::endpoint::{ConnectError, ConnectWithOptsError, ConnectingError, Connection, SendStream};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::address::endpoint_id;
use crate::frame::close_code;
use crate::hello::{self, Start};
use crate::lines::LineInput;
use crate::link::{self, Inbox, Link};
use crate::protocol::Protocol;
use crate::relay;
use crate::shared::{Note, REALM_RELAYS, Shared};
use crate::{Addresses, RelayUrl, Trouble, Why};

/// A dial that found nobody after this long is given up.
const DIAL: Duration = Duration::from_secs(12);
/// Pause after a first failure; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause between two dials.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection younger than this is kept when the same peer comes again: both dialled at once.
const SETTLE: Duration = Duration::from_secs(3);
/// A link not heard for this long no longer keeps us from dialling: two keep-alives are missing.
const SUSPECT: Duration = Duration::from_secs(12);
/// A link that held for this long shows that dialling works.
const PROVEN: Duration = Duration::from_secs(10);
/// How often links are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Connections of one peer waiting for its hello.
const GREETINGS: usize = 4;

/// What the hub reacts to.
pub(crate) enum Input {
    /// These are the peers there ought to be.
    SetPeers(BTreeMap<NodeId, Addresses>),
    /// A connection came to be; the handshake has proven the peer's id.
    Opened { node: NodeId, connection: Connection, dialled: bool },
    /// A dial led nowhere.
    DialFailed { node: NodeId, trouble: Trouble },
    /// The hello is through, but for the follower's word, which goes on the stream.
    Greeted { node: NodeId, connection: Connection, start: Start, take: Option<SendStream> },
    /// There was no hello.
    HelloFailed { node: NodeId, connection: Connection, trouble: Trouble },
    /// A link ended.
    Closed { link: Arc<Link>, why: Why },
    /// The owner wants a peer cut off.
    Cut(NodeId),
    /// This machine has other addresses than before.
    Moved,
}

#[derive(Default)]
struct Peer {
    wanted: bool,
    addresses: Addresses,
    current: Option<(Arc<Link>, Start)>,
    /// Cancelling it gives up the dial.
    dialling: Option<CancellationToken>,
    /// Connections on which the hello is not through.
    greeting: Vec<Connection>,
    /// As leader: the newest connection that came during a hello.
    waiting: Option<Connection>,
    failures: u32,
    /// What it said and was not worked off, over all its connections.
    inbox: Inbox,
    /// The gate did not admit it when it was to be dialled.
    barred: bool,
    next_dial: Option<Instant>,
}

/// The task that owns the peers.
pub(crate) struct Hub {
    shared: Arc<Shared>,
    inputs: mpsc::Receiver<Input>,
    peers: BTreeMap<NodeId, Peer>,
    /// Relays from the configuration, and all relays in use.
    own_relays: Vec<RelayUrl>,
    relays: Vec<RelayUrl>,
    boot: [u8; 8],
    turn: u64,
    dice: u64,
}

impl Hub {
    pub(crate) fn new(
        shared: Arc<Shared>,
        inputs: mpsc::Receiver<Input>,
        own_relays: Vec<RelayUrl>,
        boot: [u8; 8],
    ) -> Self {
        let dice = u64::from_le_bytes(boot) | 1;
        let (peers, relays) = (BTreeMap::new(), own_relays.clone());
        Self { shared, inputs, peers, own_relays, relays, boot, turn: 0, dice }
    }

    pub(crate) async fn run(mut self) {
        let cancel = self.shared.cancel.clone();
        let mut look = tokio::time::interval(LOOK);
        loop {
            let due = self.peers.values().filter_map(|peer| peer.next_dial).min();
            let wake = due.unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                input = self.inputs.recv() => match input {
                    Some(input) => self.handle(input).await,
                    None => return,
                },
                _ = look.tick() => self.look(),
                () = sleep_until(wake.into()), if due.is_some() => self.dial_due(),
            }
        }
    }

    async fn handle(&mut self, input: Input) {
        match input {
            Input::SetPeers(peers) => {
                let grown = self.set_relays(&peers).await;
                if let Ok(mut places) = self.shared.places.write() {
                    places.1.clone_from(&self.relays);
                }
                self.set_peers(peers, grown);
            }
            Input::Opened { node, connection, dialled } => self.opened(node, connection, dialled),
            Input::DialFailed { node, trouble } => {
                if let Some(peer) = self.peers.get_mut(&node) {
                    peer.dialling = None;
                }
                self.failed(node, trouble);
            }
            Input::Greeted { node, connection, start, take } => self.greeted(node, connection, start, take),
            Input::HelloFailed { node, connection, trouble } => self.hello_failed(node, &connection, trouble),
            Input::Closed { link, why } => self.closed(&link, why),
            Input::Cut(node) => self.cut(node),
            Input::Moved => self.moved(),
        }
    }

    /// Brings iroh's list of relays in line with what we and our peers run, and what others lend; whether it grew.
    async fn set_relays(&mut self, peers: &BTreeMap<NodeId, Addresses>) -> bool {
        let of_peers = peers.values().filter_map(Addresses::serves);
        let borrowed = self.shared.borrowed.read().map(|borrowed| borrowed.clone()).unwrap_or_default();
        let mut wanted: Vec<_> = self.own_relays.iter().chain(of_peers).chain(&borrowed).cloned().collect();
        wanted.sort();
        wanted.dedup();
        let mut grown = false;
        for url in wanted.iter().filter(|url| !self.relays.contains(url)) {
            self.shared.endpoint.insert_relay(url.inner().clone(), Arc::new(relay::entry(url, None))).await;
            grown = true;
        }
        for url in self.relays.iter().filter(|url| !wanted.contains(url)) {
            self.shared.endpoint.remove_relay(url.inner()).await;
        }
        self.relays = wanted;
        grown
    }

    fn set_peers(&mut self, mut peers: BTreeMap<NodeId, Addresses>, relays_grown: bool) {
        peers.remove(&self.shared.me);
        for (node, peer) in &mut self.peers {
            peer.wanted = peers.contains_key(node);
            if !peer.wanted {
                peer.next_dial = None;
                if let Some(dial) = peer.dialling.take() {
                    dial.cancel();
                }
            }
        }
        if let Ok(mut notes) = self.shared.notes.write() {
            notes.retain(|node, _| peers.contains_key(node));
            for node in peers.keys() {
                notes.entry(*node).or_default();
            }
        }
        for (node, addresses) in peers {
            let leads = self.leads(node);
            let head_start = self.jitter(PAUSE_MIN);
            let peer = self.peers.entry(node).or_default();
            let let_in = peer.barred && self.shared.gate.admits(node);
            let changed = !peer.wanted || peer.addresses != addresses || relays_grown || let_in;
            peer.wanted = true;
            peer.addresses = addresses;
            if changed && peer.live().is_none() {
                peer.failures = 0;
                if let Some(dial) = peer.dialling.take() {
                    dial.cancel();
                }
                // The leader goes first, so that two connections at once are the exception.
                let pause = if leads { Duration::ZERO } else { head_start };
                peer.next_dial = Some(Instant::now() + pause);
            }
        }
        self.tidy();
    }

    fn dial_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self
            .peers
            .iter_mut()
            .filter(|(_, peer)| peer.next_dial.is_some_and(|at| at <= now))
            .map(|(node, peer)| {
                peer.next_dial = None;
                *node
            })
            .collect();
        for node in due {
            self.dial(node);
        }
    }

    fn dial(&mut self, node: NodeId) {
        if !self.shared.gate.admits(node) {
            return self.failed(node, Trouble::NotAdmitted);
        }
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.wanted && peer.dialling.is_none())
        else {
            return;
        };
        if peer.live().is_some() {
            return;
        }
        let relays = self.relays.iter().take(REALM_RELAYS);
        let Some(target) = endpoint_id(node)
            .map(|id| peer.addresses.endpoint(id, relays))
            .filter(|target| !target.addrs.is_empty())
        else {
            return self.failed(node, Trouble::NoAddress);
        };
        let cancel = self.shared.cancel.child_token();
        peer.dialling = Some(cancel.clone());
        let shared = Arc::clone(&self.shared);
        let protocol = Protocol::member(node);
        self.shared.tasks.spawn(async move {
            let dialled = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                dialled = timeout(DIAL, shared.endpoint.connect(target, protocol.name())) => dialled,
            };
            let input = match dialled {
                Ok(Ok(connection)) => Input::Opened { node, connection, dialled: true },
                Ok(Err(error)) => {
                    debug!(peer = %node.short(), %error, "a dial failed");
                    Input::DialFailed { node, trouble: dial_trouble(&error) }
                }
                Err(_) => Input::DialFailed { node, trouble: Trouble::Unreachable },
            };
            shared.ask(input).await;
        });
    }

    fn opened(&mut self, node: NodeId, connection: Connection, dialled: bool) {
        let leads = self.leads(node);
        if !self.shared.gate.admits(node) {
            connection.close(close_code(Why::Refused), b"");
            return;
        }
        let peer = self.peers.entry(node).or_default();
        if dialled {
            peer.dialling = None;
        }
        let double = peer.live().is_some_and(|link| dialled || (leads && link.since.elapsed() < SETTLE));
        if double || peer.greeting.len() >= GREETINGS {
            connection.close(close_code(Why::Replaced), b"");
        } else if leads && !peer.greeting.is_empty() {
            if let Some(older) = peer.waiting.replace(connection) {
                older.close(close_code(Why::Replaced), b"");
            }
        } else {
            self.greet(node, connection);
        }
    }

    fn greet(&mut self, node: NodeId, connection: Connection) {
        let leads = self.leads(node);
        // Grows over restarts, too, as far as the clock does; the boot id covers the rest.
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        self.turn = (self.turn + 1).max(u64::try_from(micros).unwrap_or(u64::MAX >> 1));
        let start = Start { boot: self.boot, turn: self.turn };
        self.peers.entry(node).or_default().greeting.push(connection.clone());
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move {
            let hello = async {
                if leads {
                    hello::lead(&connection, start).await.map(|()| (start, None))
                } else {
                    hello::follow(&connection).await.map(|(start, take)| (start, Some(take)))
                }
            };
            let hello = tokio::select! {
                biased;
                () = shared.cancel.cancelled() => return,
                hello = hello => hello,
            };
            let input = match hello {
                Ok((start, take)) => Input::Greeted { node, connection, start, take },
                Err(trouble) => Input::HelloFailed { node, connection, trouble },
            };
            shared.ask(input).await;
        });
    }

    fn greeted(&mut self, node: NodeId, connection: Connection, start: Start, take: Option<SendStream>) {
        let admitted = self.shared.gate.admits(node);
        let peer = self.peers.entry(node).or_default();
        peer.greeting.retain(|other| other.stable_id() != connection.stable_id());
        if let Some(waiting) = peer.waiting.take() {
            waiting.close(close_code(Why::Replaced), b"");
        }
        let outdated = peer
            .current
            .as_ref()
            .is_some_and(|(link, of)| link.is_open() && of.boot == start.boot && of.turn >= start.turn);
        if !admitted || outdated {
            connection.close(close_code(if admitted { Why::Replaced } else { Why::Refused }), b"");
            return;
        }
        if let Some(dial) = peer.dialling.take() {
            dial.cancel();
        }
        peer.next_dial = None;
        let (link, ends) = Link::new(node, connection, peer.inbox.clone());
        let before = peer.current.replace((Arc::clone(&link), start)).map(|(before, _)| before);
        if let Some(before) = &before {
            before.close(Why::Replaced);
        }
        if let Ok(mut links) = self.shared.links.write() {
            links.insert(node, Arc::clone(&link));
        }
        // Lost, if the lines are busy: then they are asked for a line often enough.
        drop(self.shared.lines_hub.try_send(LineInput::There(node)));
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(link::run(shared, link, ends, take, before));
    }

    fn hello_failed(&mut self, node: NodeId, connection: &Connection, trouble: Trouble) {
        debug!(peer = %node.short(), ?trouble, "no hello");
        connection.close(close_code(Why::Broke), b"");
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.greeting.retain(|other| other.stable_id() != connection.stable_id());
        if let Some(waiting) = peer.waiting.take() {
            return self.greet(node, waiting);
        }
        self.failed(node, trouble);
    }

    fn closed(&mut self, link: &Arc<Link>, why: Why) {
        let node = link.node;
        let leads = self.leads(node);
        let head_start = self.jitter(PAUSE_MIN);
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if !peer.current.as_ref().is_some_and(|(current, _)| Arc::ptr_eq(current, link)) {
            return;
        }
        peer.current = None;
        let proven = link.since.elapsed() >= PROVEN;
        if proven {
            peer.failures = 0;
        }
        let heard = Instant::now().checked_sub(link.heard_ago());
        self.note(node, |note| note.heard = heard);
        let trouble = match why {
            Why::Refused => Trouble::Refused,
            Why::Broke => Trouble::Protocol,
            Why::Left | Why::Silent | Why::Replaced | Why::Cut | Why::Shutdown => Trouble::Unreachable,
        };
        if proven && matches!(why, Why::Silent | Why::Replaced) {
            let pause = if leads { Duration::ZERO } else { head_start };
            self.dial_after(node, pause);
        } else {
            self.failed(node, trouble);
        }
        self.tidy();
    }

    fn cut(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if let Some(dial) = peer.dialling.take() {
            dial.cancel();
        }
        for connection in peer.greeting.drain(..).chain(peer.waiting.take()) {
            connection.close(close_code(Why::Cut), b"");
        }
        match &peer.current {
            Some((link, _)) => link.close(Why::Cut),
            // The dial that was given up had the next one in its hands.
            None => self.failed(node, Trouble::Unreachable),
        }
    }

    /// Whoever is missing may be found from here, and is not waited for any longer.
    fn moved(&mut self) {
        let missing = self.peers.iter().filter(|(_, peer)| peer.wanted && peer.live().is_none());
        let missing: Vec<NodeId> = missing.map(|(node, _)| *node).collect();
        for node in missing {
            let head_start = self.jitter(PAUSE_MIN);
            let pause = if self.leads(node) { Duration::ZERO } else { head_start };
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            peer.failures = 0;
            if let Some(dial) = peer.dialling.take() {
                dial.cancel();
            }
            self.dial_after(node, pause);
        }
    }

    /// Looks at every link: keeps the times of last hearing fresh, and ends those whose peer the
    /// gate no longer admits, should nobody have cut them.
    fn look(&mut self) {
        for (node, peer) in &self.peers {
            if let Some((link, _)) = &peer.current {
                link.heard_ago();
                if !self.shared.gate.admits(*node) {
                    link.close(Why::Cut);
                }
            }
        }
    }

    fn failed(&mut self, node: NodeId, trouble: Trouble) {
        let chance = self.jitter(PAUSE_MAX);
        self.note(node, |note| note.trouble = Some(trouble));
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.failures = peer.failures.saturating_add(1);
        peer.barred = trouble == Trouble::NotAdmitted;
        let pause = PAUSE_MIN.saturating_mul(1 << peer.failures.saturating_sub(1).min(6)).min(PAUSE_MAX);
        // Between half and all of the pause, so that nodes that lost each other do not march in step.
        let pause =
            pause / 2 + chance.min(PAUSE_MAX).mul_f64(0.5 * pause.as_secs_f64() / PAUSE_MAX.as_secs_f64());
        self.dial_after(node, pause);
    }

    fn dial_after(&mut self, node: NodeId, pause: Duration) {
        let wanted = self.peers.get_mut(&node).filter(|peer| peer.wanted);
        if let Some(peer) = wanted.filter(|peer| peer.live().is_none() && peer.dialling.is_none()) {
            peer.next_dial = Some(Instant::now() + pause);
        }
    }

    fn note(&self, node: NodeId, write: impl FnOnce(&mut Note)) {
        let wanted = self.peers.get(&node).is_some_and(|peer| peer.wanted);
        if let Ok(mut notes) = self.shared.notes.write()
            && wanted
        {
            write(notes.entry(node).or_default());
        }
    }

    /// Forgets peers that nobody wants and that are not there.
    fn tidy(&mut self) {
        self.peers.retain(|_, peer| {
            peer.wanted || peer.current.is_some() || !peer.greeting.is_empty() || peer.dialling.is_some()
        });
    }

    /// Whether we are the one of the two who says which connection counts.
    fn leads(&self, node: NodeId) -> bool {
        self.shared.me < node
    }

    /// Some part of `most`; xorshift, only to keep nodes out of step.
    fn jitter(&mut self, most: Duration) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        most.mul_f64(f64::from((self.dice >> 48) as u16) / f64::from(u16::MAX))
    }
}

impl Peer {
    /// The link, unless it has ended or fallen silent.
    fn live(&self) -> Option<&Arc<Link>> {
        let (link, _) = self.current.as_ref()?;
        (link.is_open() && link.heard_ago() < SUSPECT).then_some(link)
    }
}

pub(crate) fn dial_trouble(error: &ConnectError) -> Trouble {
    match error {
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
        | ConnectError::Connection { source, .. } => hello::trouble(source),
        ConnectError::Connect { source: ConnectWithOptsError::NoAddress { .. }, .. } => Trouble::NoAddress,
        _ => Trouble::Unreachable,
    }
}

//! Lines: the connections on which packets travel, one to each peer that there are packets for. They are
//! apart from the members' connections, so that packets, which hold back for nobody on a direct path, are
//! never in the same queue as blobs, and so that a path that is cut is left within two seconds. Whoever
//! has packets asks for a line; after a minute without packets it ends.
//!
//! If both ends dial at once, the connection counts that the node with the smaller id dialled; both know
//! that without a word. A connection that comes later than [`SETTLE`] takes the place of the one before:
//! nobody dials who has a line, so the other end has lost that one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_wire::NodeId;
use iroh::endpoint::{ConnectError, ConnectOptions, Connection};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::address::endpoint_id;
use crate::frame::close_code;
use crate::hub::dial_trouble;
use crate::line::{self, Line, LineEvent};
use crate::protocol::Protocol;
use crate::shared::Shared;
use crate::silence;
use crate::{Trouble, Why};

/// Events that may wait for the owner.
const EVENTS: usize = 64;
/// A dial that found nobody after this long is given up.
const DIAL: Duration = Duration::from_secs(10);
/// So long after a dial that led nowhere there is no other; twice as long after each further one, up to
/// [`PAUSE_MAX`], until something has changed that may help.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two dials.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// Two connections that come within this time were dialled at once.
const SETTLE: Duration = Duration::from_secs(3);
/// How often the gate is asked again.
const LOOK: Duration = Duration::from_secs(5);

/// What the owner of the lines reacts to.
pub(crate) enum LineInput {
    /// Somebody wants to carry packets: events go there, and whoever had them before has none any more.
    Owner(mpsc::Sender<LineEvent>),
    /// There are packets for a node.
    Open(NodeId),
    /// A connection came to be; the handshake has proven the peer's id.
    Opened { node: NodeId, connection: Connection, dialled: bool },
    /// A dial led nowhere.
    DialFailed { node: NodeId, trouble: Trouble },
    /// A line ended.
    Closed { line: Line, why: Why },
    /// The owner of the mesh wants a peer cut off.
    Cut(NodeId),
    /// A dial may succeed now that failed before: these peers have other addresses. None are named if it is
    /// this machine that has.
    Moved(Option<BTreeSet<NodeId>>),
    /// The peer is there: it has a members' connection.
    There(NodeId),
}

/// The lines of this node. As long as nobody has them, and once this is dropped, there are none, and none
/// that others open are let in.
#[derive(Debug)]
pub struct Lines {
    opener: Opener,
    events: mpsc::Receiver<LineEvent>,
}

impl Lines {
    pub(crate) async fn take(shared: &Arc<Shared>) -> Self {
        let (tx, events) = mpsc::channel(EVENTS);
        shared.ask_lines(LineInput::Owner(tx)).await;
        Self { opener: Opener(Arc::clone(shared)), events }
    }

    /// What happens next; none once somebody else has the lines or the mesh has ended.
    pub async fn next(&mut self) -> Option<LineEvent> {
        self.events.recv().await
    }

    /// Opens lines, from anywhere.
    pub fn opener(&self) -> Opener {
        self.opener.clone()
    }
}

/// Asks for lines.
#[derive(Clone)]
pub struct Opener(Arc<Shared>);

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl Opener {
    /// Asks for a line to a node, without waiting: [`LineEvent::Up`] or [`LineEvent::Failed`] follows,
    /// unless it is there. May be asked for each packet; if there is more asking than can be answered, it
    /// is as if nobody had.
    pub fn open(&self, node: NodeId) {
        drop(self.0.lines_hub.try_send(LineInput::Open(node)));
    }
}

#[derive(Default)]
struct Peer {
    /// Those that are open; the last one counts.
    lines: Vec<Line>,
    /// Cancelling it gives up the dial.
    dialling: Option<CancellationToken>,
    failed: Option<Failed>,
}

/// A dial led nowhere.
#[derive(Clone, Copy)]
struct Failed {
    at: Instant,
    trouble: Trouble,
    /// There is no other before.
    pause: Duration,
}

impl Failed {
    fn still_holds(&self) -> bool {
        self.at.elapsed() < self.pause
    }
}

impl Peer {
    fn fail(&mut self, trouble: Trouble) {
        let pause = self.failed.map_or(PAUSE, |before| (before.pause * 2).min(PAUSE_MAX));
        self.failed = Some(Failed { at: Instant::now(), trouble, pause });
    }
}

/// The task that owns the lines.
pub(crate) struct Switch {
    shared: Arc<Shared>,
    inputs: mpsc::Receiver<LineInput>,
    owner: Option<mpsc::Sender<LineEvent>>,
    peers: BTreeMap<NodeId, Peer>,
}

impl Switch {
    pub(crate) fn new(shared: Arc<Shared>, inputs: mpsc::Receiver<LineInput>) -> Self {
        Self { shared, inputs, owner: None, peers: BTreeMap::new() }
    }

    pub(crate) async fn run(mut self) {
        let cancel = self.shared.cancel.clone();
        let mut look = tokio::time::interval(LOOK);
        loop {
            let owner = self.owner.clone();
            let left = async {
                match owner {
                    Some(owner) => owner.closed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                // Before what comes in: whoever keeps this busy does not keep it from looking.
                _ = look.tick() => self.look(),
                () = left => self.end_all(),
                input = self.inputs.recv() => match input {
                    Some(input) => self.handle(input).await,
                    None => return,
                },
            }
        }
    }

    async fn handle(&mut self, input: LineInput) {
        match input {
            LineInput::Owner(owner) => {
                self.end_all();
                self.owner = Some(owner);
            }
            LineInput::Open(node) => {
                if let Err(trouble) = self.open(node) {
                    self.tell(LineEvent::Failed(node, trouble)).await;
                }
            }
            LineInput::Opened { node, connection, dialled } => {
                if let Some(line) = self.opened(node, connection, dialled) {
                    self.tell(LineEvent::Up(line)).await;
                }
            }
            LineInput::DialFailed { node, trouble } => {
                let Some(peer) = self.peers.get_mut(&node) else { return };
                peer.dialling = None;
                if peer.lines.is_empty() {
                    peer.fail(trouble);
                    self.tell(LineEvent::Failed(node, trouble)).await;
                }
            }
            LineInput::Closed { line, why } => {
                if self.closed(&line, why) {
                    self.tell(LineEvent::Down(line.node(), why)).await;
                }
            }
            LineInput::Cut(node) => {
                let dialling = self.peers.get_mut(&node).and_then(|peer| peer.dialling.take());
                if let Some(dial) = dialling {
                    dial.cancel();
                    self.tell(LineEvent::Failed(node, Trouble::NotAdmitted)).await;
                }
                self.shared.cut_lines(node);
            }
            LineInput::Moved(peers) => self.dial_anew(peers.as_ref()),
            LineInput::There(node) => {
                if let Some(peer) = self.peers.get_mut(&node) {
                    peer.failed = None;
                }
            }
        }
    }

    /// Forgets what failed; dials that are under way know of nothing new, and begin again.
    fn dial_anew(&mut self, moved: Option<&BTreeSet<NodeId>>) {
        let mut again = Vec::new();
        let all = self.peers.iter_mut();
        for (node, peer) in all.filter(|(node, _)| moved.is_none_or(|moved| moved.contains(node))) {
            peer.failed = None;
            if let Some(dial) = peer.dialling.take() {
                dial.cancel();
                again.push(*node);
            }
        }
        for node in again {
            // If it cannot be dialled any more, whoever sends the next packet is told.
            self.open(node).ok();
        }
    }

    async fn tell(&self, event: LineEvent) {
        let Some(owner) = &self.owner else { return };
        tokio::select! {
            biased;
            () = self.shared.cancel.cancelled() => {}
            // Nobody is there to be told, or will be in a moment.
            told = owner.send(event) => drop(told),
        }
    }

    /// Dials, unless there is a line or a dial already.
    fn open(&mut self, node: NodeId) -> Result<(), Trouble> {
        if self.owner.is_none() {
            return Ok(());
        }
        let peer = self.peers.entry(node).or_default();
        if peer.lines.last().is_some_and(Line::is_open) || peer.dialling.is_some() {
            return Ok(());
        }
        if let Some(failed) = peer.failed.filter(Failed::still_holds) {
            return Err(failed.trouble);
        }
        let found = if self.shared.gate.admits_line(node) {
            endpoint_id(node).filter(|_| node != self.shared.me).ok_or(Trouble::NoAddress)
        } else {
            Err(Trouble::NotAdmitted)
        };
        let id = match found {
            Ok(id) => id,
            Err(trouble) => {
                peer.fail(trouble);
                return Err(trouble);
            }
        };
        let cancel = self.shared.cancel.child_token();
        peer.dialling = Some(cancel.clone());
        // Without an address there may still be the way of the members' connection.
        let target = self.shared.known_target(node, id);
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move {
            let options = ConnectOptions::new().with_transport_config(shared.line_transport.clone());
            let protocol = Protocol::line(node);
            let dial = async {
                let connecting = shared.endpoint.connect_with_opts(target, protocol.name(), options).await?;
                Ok::<_, ConnectError>(connecting.await?)
            };
            let dialled = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                dialled = timeout(DIAL, dial) => dialled,
                () = silence::let_go(&shared, node) => {
                    return shared.ask_lines(LineInput::Moved(Some(BTreeSet::from([node])))).await;
                }
            };
            let input = match dialled {
                Ok(Ok(connection)) => LineInput::Opened { node, connection, dialled: true },
                Ok(Err(error)) => {
                    debug!(peer = %node.short(), %error, "no line could be opened");
                    LineInput::DialFailed { node, trouble: dial_trouble(&error) }
                }
                Err(_) => LineInput::DialFailed { node, trouble: Trouble::Unreachable },
            };
            shared.ask_lines(input).await;
        });
        Ok(())
    }

    /// Takes a connection, unless it is not to count.
    fn opened(&mut self, node: NodeId, connection: Connection, dialled: bool) -> Option<Line> {
        let leads = self.shared.me < node;
        if self.owner.is_none() || !self.shared.gate.admits_line(node) {
            if let Some(peer) = self.peers.get_mut(&node).filter(|_| dialled) {
                peer.dialling = None;
            }
            connection.close(close_code(Why::Refused), b"");
            return None;
        }
        // Not before: nothing is kept of strangers.
        let peer = self.peers.entry(node).or_default();
        if dialled {
            peer.dialling = None;
        }
        let line = Line::new(node, connection, dialled);
        if let Some(current) = peer.lines.last().filter(|current| current.is_open()) {
            let at_once = current.age() < SETTLE;
            if at_once && current.was_dialled() == leads && dialled != leads {
                line.close(Why::Replaced);
                return None;
            }
            current.close(Why::Replaced);
        }
        // The one that leads goes on with its own dial, which will count.
        if !dialled
            && !leads
            && let Some(dial) = peer.dialling.take()
        {
            dial.cancel();
        }
        peer.failed = None;
        peer.lines.push(line.clone());
        self.shared.keep_line(&line);
        debug!(peer = %node.short(), dialled, "a line is open");
        let (shared, attended) = (Arc::clone(&self.shared), line.clone());
        self.shared.tasks.spawn(async move {
            let why = line::attend(&shared, &attended).await;
            debug!(peer = %attended.node().short(), ?why, "a line ended");
            shared.forget_line(&attended);
            shared.ask_lines(LineInput::Closed { line: attended, why }).await;
        });
        Some(line)
    }

    /// Whether that was the last line to its node.
    fn closed(&mut self, line: &Line, why: Why) -> bool {
        let Some(peer) = self.peers.get_mut(&line.node()) else { return false };
        let before = peer.lines.len();
        peer.lines.retain(|other| !other.is(line));
        let last = peer.lines.is_empty() && before > 0;
        if last && why == Why::Refused {
            peer.fail(Trouble::Refused);
        }
        last
    }

    /// Nobody wants lines any more.
    fn end_all(&mut self) {
        self.owner = None;
        for peer in self.peers.values_mut() {
            if let Some(dial) = peer.dialling.take() {
                dial.cancel();
            }
            for line in &peer.lines {
                line.close(Why::Left);
            }
        }
    }

    /// Ends those whose peer the gate no longer admits, should nobody have cut them, and forgets peers with
    /// whom there is nothing.
    fn look(&mut self) {
        self.peers.retain(|_, peer| {
            // As long again, so that whoever asks on and on does not begin with the shortest pause each time.
            let waits = peer.failed.is_some_and(|failed| failed.at.elapsed() < failed.pause * 2);
            !peer.lines.is_empty() || peer.dialling.is_some() || waits
        });
        for (node, peer) in &self.peers {
            if !peer.lines.is_empty() && !self.shared.gate.admits_line(*node) {
                peer.lines.iter().for_each(|line| line.close(Why::Cut));
            }
        }
    }
}

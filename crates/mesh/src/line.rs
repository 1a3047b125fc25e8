//! One line: datagrams to and from a peer, on a connection of their own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_wire::NodeId;
use futures::StreamExt as _;
use iroh::endpoint::{
    AckFrequencyConfig, Connection, IdleTimeout, PathList, QuicTransportConfig, SendDatagramError, VarInt,
};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout_at};

use crate::congestion::{Steering, steer};
use crate::frame::{close_code, why_closed};
use crate::link::path_of;
use crate::shared::Shared;
use crate::silence::{BEAT, Doubt, Heard, Silence, received};
use crate::{Path, Trouble, Why};

/// Bytes that may wait to go out; beyond them nothing is taken.
const SEND_BUFFER: usize = 1 << 20;
/// The same over a relay, which is slower: what waits too long is worth nothing to the flow inside.
const RELAYED_BUFFER: usize = 256 << 10;
/// Bytes that came and were not read yet; beyond them the oldest go.
const RECEIVE_BUFFER: usize = 4 << 20;
/// What a datagram costs in a buffer beside its bytes.
const COST: usize = size_of::<Bytes>();
/// Packets for which one acknowledgement is asked.
const ACKNOWLEDGED: u32 = 16;
/// Something is sent on each path at least this often, so that one that is cut shows.
const KEEP_ALIVE: Duration = Duration::from_millis(400);
/// A path on which nothing is heard for so long is left for another.
const PATH_IDLE: Duration = Duration::from_millis(1250);
/// Nothing on any path for so long: the peer is gone, or was started anew and knows nothing of this line.
const SILENCE: VarInt = VarInt::from_u32(5_000);

/// How lines differ from the members' connections.
pub(crate) fn transport() -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(IdleTimeout::from(SILENCE)))
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(PATH_IDLE)
        .datagram_send_buffer_size(SEND_BUFFER)
        .datagram_receive_buffer_size(Some(RECEIVE_BUFFER))
        .ack_frequency_config(Some(acknowledgements()))
        .congestion_controller_factory(Arc::new(Steering::default()))
        .build()
}

/// Nobody sends a datagram anew, so that acknowledgements only tell what a path is like: few will do.
fn acknowledgements() -> AckFrequencyConfig {
    let mut config = AckFrequencyConfig::default();
    config.ack_eliciting_threshold(VarInt::from_u32(ACKNOWLEDGED));
    config
}

/// What happens to lines, to whoever has [`crate::Mesh::lines`].
#[derive(Debug)]
pub enum LineEvent {
    /// A line is there: this is the one to send on from now on. Another one to the same node that is
    /// still there ends soon, and has to be read until then.
    Up(Line),
    /// No line to this node is left.
    Down(NodeId, Why),
    /// None could be opened. What waits for one waits in vain.
    Failed(NodeId, Trouble),
}

/// Why datagrams were not taken, or do not come any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// One of them is larger than the line carries at the moment; none was taken.
    #[error("a datagram does not fit: the line carries {room} bytes at the moment")]
    TooLarge {
        /// What it carries.
        room: usize,
    },
    /// The line has ended.
    #[error("the line has ended")]
    Gone,
}

/// A connection for packets to one peer: datagrams that may be lost, doubled or overtake each other, and
/// that nobody has read or changed on the way. Clones are handles to the same.
#[derive(Clone)]
pub struct Line(Arc<Inner>);

struct Inner {
    node: NodeId,
    connection: Connection,
    since: Instant,
    dialled: bool,
    /// Milliseconds after `since` at which a datagram was sent or came.
    used: AtomicU64,
    /// No direct path is open.
    relayed: AtomicBool,
    /// Why we closed it, if we did.
    why: OnceLock<Why>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("node", &self.0.node).finish_non_exhaustive()
    }
}

impl Line {
    pub(crate) fn new(node: NodeId, connection: Connection, dialled: bool) -> Self {
        let line = Self(Arc::new(Inner {
            node,
            connection,
            since: Instant::now(),
            dialled,
            used: AtomicU64::new(0),
            relayed: AtomicBool::new(true),
            why: OnceLock::new(),
        }));
        line.look(&line.0.connection.paths());
        line
    }

    /// Who is at its other end.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// The largest datagram that it carries at the moment, in bytes. It falls when a path opens that
    /// carries less, and rises as paths are measured; none once the line has ended.
    pub fn room(&self) -> Option<usize> {
        self.0.connection.max_datagram_size()
    }

    /// Takes datagrams to be sent, without waiting: as many from the beginning as there is room for in
    /// the queue. The others are the caller's to drop; it is how the flows inside learn of congestion.
    ///
    /// # Errors
    /// [`LineError`]; then none was taken.
    pub fn send(&self, datagrams: &[Bytes]) -> Result<usize, LineError> {
        let connection = &self.0.connection;
        let reserve = if self.0.relayed.load(Ordering::Relaxed) { SEND_BUFFER - RELAYED_BUFFER } else { 0 };
        let mut space = connection.datagram_send_buffer_space().saturating_sub(reserve);
        let fits = |datagram: &&Bytes| {
            let left = space.checked_sub(datagram.len() + COST);
            space = left.unwrap_or(0);
            left.is_some()
        };
        let fitting = datagrams.iter().take_while(fits).count();
        let taken = connection.send_many_datagrams(datagrams.get(..fitting).unwrap_or_default());
        self.touch();
        taken.map_err(|error| match error {
            SendDatagramError::TooLarge => LineError::TooLarge { room: self.room().unwrap_or(0) },
            _ => LineError::Gone,
        })
    }

    /// The same, but waits for room on a direct path, for so long at most: there the queue is short, and
    /// whoever is slowed down loses nothing. A relay is not waited for.
    ///
    /// # Errors
    /// [`LineError`]; then none was taken.
    pub async fn send_within(&self, datagrams: &[Bytes], patience: Duration) -> Result<usize, LineError> {
        let mut taken = self.send(datagrams)?;
        let until = Instant::now() + patience;
        while let Some(next) = datagrams.get(taken) {
            if patience.is_zero() || self.0.relayed.load(Ordering::Relaxed) {
                break;
            }
            let wait = self.0.connection.send_datagram_wait(next.clone());
            if !matches!(timeout_at(until.into(), wait).await, Ok(Ok(()))) {
                break;
            }
            taken += 1;
            taken += self.send(datagrams.get(taken..).unwrap_or_default()).unwrap_or(0);
        }
        Ok(taken)
    }

    /// Waits for datagrams and takes as many as there are and fit into `into`, from its beginning, in the
    /// order in which they came; says how many.
    ///
    /// # Errors
    /// [`LineError::Gone`].
    pub async fn receive(&self, into: &mut [Bytes]) -> Result<usize, LineError> {
        let count = self.0.connection.read_many_datagrams(into).await.map_err(|_| LineError::Gone)?;
        self.touch();
        Ok(count)
    }

    /// The path in use and its round-trip time.
    pub fn path(&self) -> (Path, Option<Duration>) {
        path_of(&self.0.connection)
    }

    /// How many bytes may be under way on the path in use: much on a direct one, where the flows inside
    /// hold back by themselves.
    pub fn window(&self) -> u64 {
        let connection = &self.0.connection;
        let paths = connection.paths();
        let used = paths.iter().find(iroh::endpoint::Path::is_selected).or_else(|| paths.iter().next());
        let controller = used.and_then(|path| connection.congestion_state(path.id()));
        controller.map_or(0, |controller| controller.window())
    }

    /// Whether it is there.
    pub fn is_open(&self) -> bool {
        self.0.connection.close_reason().is_none()
    }

    /// Whether both are handles to the same line.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How long it has been there.
    pub fn age(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// Whether this side dialled.
    pub fn was_dialled(&self) -> bool {
        self.0.dialled
    }

    /// Closes it; the first reason given is the one told.
    pub(crate) fn close(&self, why: Why) {
        let why = *self.0.why.get_or_init(|| why);
        self.0.connection.close(close_code(why), b"");
    }

    fn touch(&self) {
        let now = u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX);
        self.0.used.store(now, Ordering::Relaxed);
    }

    fn last_used(&self) -> Instant {
        self.0.since + Duration::from_millis(self.0.used.load(Ordering::Relaxed))
    }

    /// Says of each path which congestion control it has.
    fn look(&self, paths: &PathList<'_>) {
        for path in paths {
            steer(&self.0.connection, path.id(), path.is_ip());
        }
        self.0.relayed.store(!paths.iter().any(|path| path.is_ip()), Ordering::Relaxed);
    }

    fn is_relayed(&self) -> bool {
        self.0.relayed.load(Ordering::Relaxed)
    }

    fn rtt(&self) -> Duration {
        self.path().1.unwrap_or_default()
    }

    /// What this moment says of a line. A relay is waited for: it may be slow, and comes again by itself.
    fn listen(&self, silence: &mut Silence) -> Heard {
        let heard = silence.beat(received(&self.0.connection, false), self.rtt());
        if self.is_relayed() { Heard::Well } else { heard }
    }
}

/// Looks after a line until it ends, and says why it did.
pub(crate) async fn attend(shared: &Shared, line: &Line) -> Why {
    let connection = line.0.connection.clone();
    let mut paths = connection.paths_stream();
    let mut changing = true;
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut silence, mut doubt) = (Silence::default(), None);
    let error = loop {
        let idle = line.last_used() + shared.line_idle;
        tokio::select! {
            biased;
            error = connection.closed() => break error,
            () = shared.cancel.cancelled() => line.close(Why::Shutdown),
            list = paths.next(), if changing => match list {
                Some(list) => {
                    let was_direct = !line.is_relayed();
                    line.look(&list);
                    if was_direct && line.is_relayed() {
                        doubt = Doubt::ask(shared, line.node(), line.rtt());
                    }
                }
                None => changing = false,
            },
            _ = beat.tick() => {
                doubt = doubt.and_then(Doubt::beat);
                match line.listen(&mut silence) {
                    Heard::Well => {}
                    Heard::Doubtful => doubt = Doubt::ask(shared, line.node(), line.rtt()),
                    Heard::Dead => line.close(Why::Silent),
                }
            }
            () = sleep_until(idle.into()) => {
                if line.last_used() + shared.line_idle <= Instant::now() {
                    line.close(Why::Left);
                }
            }
        }
        if line.0.why.get().is_some() {
            break connection.closed().await;
        }
    };
    match why_closed(&error) {
        Why::Cut => line.0.why.get().copied().unwrap_or(Why::Cut),
        other => other,
    }
}

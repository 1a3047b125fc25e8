//! One live connection to a peer: queues out, streams in, and its end.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_wire::NodeId;
use iroh::TransportAddr;
use iroh::endpoint::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::frame::{FrameError, MAX_FRAME, close_code, read_frame, why_closed, write_frame};
use crate::hub::Input;
use crate::shared::Shared;
use crate::silence::{Received, received};
use crate::{Channel, Event, Haste, Path, RelayUrl, SendError, Why, blob, hello};

/// Frames that may wait for one channel of one peer, and bytes of them.
const QUEUE_FRAMES: usize = 256;
const QUEUE_BYTES: usize = 4 << 20;
/// What a member may have on its way to us unread; strangers get far less.
/// It is enough for all streams together, so that none that we are slow to read holds up the others.
const MEMBER_WINDOW: u32 = 32 << 20;
/// Bytes of frames that came on a channel of a peer and were not worked off. Beyond them the peer is
/// held back; they outlive a connection, so that coming again gives no further room.
const INBOX_BYTES: usize = 4 << 20;
/// What a frame costs beside its bytes.
const FRAME_COST: usize = 256;
/// Blobs fetched from one peer at a time for which somebody waits, and others. Together they are
/// fewer than the streams that a peer lets us open.
const READS: usize = 6;
const BACKGROUND: usize = 8;

/// A frame in a queue; its share of the queue's bytes goes with it.
struct Queued {
    body: Bytes,
    _share: OwnedSemaphorePermit,
}

/// Room for what a peer says.
#[derive(Clone)]
pub(crate) struct Inbox(Vec<(Channel, Arc<Semaphore>)>);

impl Default for Inbox {
    fn default() -> Self {
        Self(Channel::ALL.map(|channel| (channel, Arc::new(Semaphore::new(INBOX_BYTES)))).into())
    }
}

/// A frame whose room is free again when the last handle to it is dropped.
struct Roomy {
    body: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Roomy {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Inbox {
    /// Waits for room for a frame.
    async fn take_in(&self, channel: Channel, body: Bytes) -> Option<Bytes> {
        let (_, room) = self.0.iter().find(|(of, _)| *of == channel)?;
        let cost = u32::try_from((body.len() + FRAME_COST).min(INBOX_BYTES)).ok()?;
        let room = Arc::clone(room).acquire_many_owned(cost).await.ok()?;
        Some(Bytes::from_owner(Roomy { body, _room: room }))
    }
}

struct Queue {
    frames: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
}

/// The other end of the queues, for [`run`].
pub(crate) struct Ends(Vec<(Channel, mpsc::Receiver<Queued>)>);

/// A live connection.
pub(crate) struct Link {
    pub(crate) node: NodeId,
    pub(crate) connection: Connection,
    pub(crate) since: Instant,
    /// Cancelled when [`Event::Down`] was told.
    pub(crate) gone: CancellationToken,
    reads: Arc<Semaphore>,
    background: Arc<Semaphore>,
    queues: Vec<(Channel, Queue)>,
    inbox: Inbox,
    /// Set just before [`Event::Up`] is told.
    told: AtomicBool,
    /// Why we closed it, if we did.
    why: OnceLock<Why>,
    heard: Mutex<(u64, Instant)>,
    /// How often the peer was asked for a sign of life.
    nudged: AtomicU32,
}

impl Link {
    pub(crate) fn new(node: NodeId, connection: Connection, inbox: Inbox) -> (Arc<Self>, Ends) {
        connection.set_receive_window(VarInt::from_u32(MEMBER_WINDOW));
        let (mut queues, mut ends) = (Vec::new(), Vec::new());
        for channel in Channel::ALL {
            let (tx, rx) = mpsc::channel(QUEUE_FRAMES);
            queues.push((channel, Queue { frames: tx, bytes: Arc::new(Semaphore::new(QUEUE_BYTES)) }));
            ends.push((channel, rx));
        }
        let now = Instant::now();
        let link = Self {
            node,
            connection,
            since: now,
            gone: CancellationToken::new(),
            reads: Arc::new(Semaphore::new(READS)),
            background: Arc::new(Semaphore::new(BACKGROUND)),
            queues,
            inbox,
            told: AtomicBool::new(false),
            why: OnceLock::new(),
            heard: Mutex::new((0, now)),
            nudged: AtomicU32::new(0),
        };
        (Arc::new(link), Ends(ends))
    }

    /// Places for fetching blobs from the peer.
    pub(crate) const fn places(&self, haste: Haste) -> &Arc<Semaphore> {
        match haste {
            Haste::Read => &self.reads,
            Haste::Background => &self.background,
        }
    }

    /// Queues a frame if there is room.
    pub(crate) fn send(&self, channel: Channel, body: Bytes) -> Result<(), SendError> {
        let (queue, share) = self.share(channel, &body)?;
        let share = Arc::clone(&queue.bytes).try_acquire_many_owned(share);
        let share = share.map_err(|_| SendError::Full(self.node))?;
        queue.frames.try_send(Queued { body, _share: share }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full(self.node),
            mpsc::error::TrySendError::Closed(_) => SendError::NotConnected(self.node),
        })
    }

    /// Queues a frame, waiting for room.
    pub(crate) async fn send_wait(&self, channel: Channel, body: Bytes) -> Result<(), SendError> {
        let (queue, share) = self.share(channel, &body)?;
        let gone = |()| SendError::NotConnected(self.node);
        let wait = async {
            let share = Arc::clone(&queue.bytes).acquire_many_owned(share).await.map_err(|_| gone(()))?;
            queue.frames.send(Queued { body, _share: share }).await.map_err(|_| gone(()))
        };
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(gone(())),
            sent = wait => sent,
        }
    }

    fn share(&self, channel: Channel, body: &Bytes) -> Result<(&Queue, u32), SendError> {
        if body.len() > MAX_FRAME {
            return Err(SendError::TooLarge(body.len()));
        }
        let queue = self.queues.iter().find(|(of, _)| *of == channel).map(|(_, queue)| queue);
        let queue = queue.ok_or(SendError::NotConnected(self.node))?;
        // The head counts too, so that empty frames are not free.
        let share = u32::try_from(body.len() + 4).map_err(|_| SendError::TooLarge(body.len()))?;
        Ok((queue, share))
    }

    /// Closes the connection; the first reason given is the one told.
    pub(crate) fn close(&self, why: Why) {
        let why = *self.why.get_or_init(|| why);
        self.connection.close(close_code(why), b"");
    }

    pub(crate) fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// Time since the peer was last heard, as of the last look: something looks every few seconds.
    pub(crate) fn heard_ago(&self) -> Duration {
        let received = self.connection.stats().udp_rx.datagrams;
        let now = Instant::now();
        let Ok(mut heard) = self.heard.lock() else { return Duration::ZERO };
        if received != heard.0 {
            *heard = (received, now);
        }
        now.duration_since(heard.1)
    }

    /// Makes the peer's transport answer: a window that is larger by a byte has to be acknowledged.
    pub(crate) fn nudge(&self) {
        let times = self.nudged.fetch_add(1, Ordering::Relaxed) % MEMBER_WINDOW;
        self.connection.set_receive_window(VarInt::from_u32(MEMBER_WINDOW + 1 + times));
    }

    /// What came on direct paths; none if there is no such path.
    pub(crate) fn received_directly(&self) -> Option<Received> {
        let received = received(&self.connection, true);
        (!received.is_empty()).then_some(received)
    }

    /// Whether it is held to a path that it does not have: iroh chooses one for all connections to a peer, and
    /// does not choose again when the connection that had it ends.
    pub(crate) fn strays(&self) -> bool {
        let paths = self.connection.paths();
        paths.iter().next().is_some() && !paths.iter().any(|path| path.is_selected())
    }

    /// The path in use and its round-trip time.
    pub(crate) fn path(&self) -> (Path, Option<Duration>) {
        path_of(&self.connection)
    }
}

/// The path that a connection uses and its round-trip time. A path may be the chosen one of a peer and
/// gone from this connection: then another one that is open does.
pub(crate) fn path_of(connection: &Connection) -> (Path, Option<Duration>) {
    let paths = connection.paths();
    let Some(path) = paths.iter().find(iroh::endpoint::Path::is_selected).or_else(|| paths.iter().next())
    else {
        return (Path::Unknown, None);
    };
    let at = match path.remote_addr() {
        TransportAddr::Ip(at) => Path::Direct(*at),
        TransportAddr::Relay(url) => RelayUrl::from_inner(url).map_or(Path::Unknown, Path::Relay),
        _ => Path::Unknown,
    };
    (at, Some(path.rtt()))
}

/// Carries a link from its first moment to its end, and tells both.
pub(crate) async fn run(
    shared: Arc<Shared>,
    link: Arc<Link>,
    ends: Ends,
    taken: Option<SendStream>,
    before: Option<Arc<Link>>,
) {
    if let Some(tx) = taken {
        hello::take(tx).await;
    }
    if let Some(before) = before {
        before.gone.cancelled().await;
    }
    link.told.store(true, Ordering::Release);
    shared.tell(Event::Up(link.node, link.path().0)).await;
    let mut jobs = JoinSet::new();
    for (channel, frames) in ends.0 {
        jobs.spawn(write_channel(Arc::clone(&link), channel, frames));
    }
    jobs.spawn(read_channels(Arc::clone(&shared), Arc::clone(&link)));
    jobs.spawn(blob::serve_all(Arc::clone(&shared), Arc::clone(&link)));
    let error = tokio::select! {
        biased;
        error = link.connection.closed() => error,
        () = shared.cancel.cancelled() => {
            link.close(Why::Shutdown);
            link.connection.closed().await
        }
        // A job that ends of its own accord has closed the link or seen it closed.
        _ = jobs.join_next() => {
            link.close(Why::Broke);
            link.connection.closed().await
        }
    };
    let why = match why_closed(&error) {
        Why::Cut => link.why.get().copied().unwrap_or(Why::Cut),
        other => other,
    };
    debug!(peer = %link.node.short(), ?why, %error, "connection ended");
    shared.forget(&link);
    jobs.shutdown().await;
    shared.tell(Event::Down(link.node, why)).await;
    link.gone.cancel();
    shared.ask(Input::Closed { link, why }).await;
}

/// One stream for each channel and direction: the channel's number, then frames.
async fn write_channel(link: Arc<Link>, channel: Channel, mut frames: mpsc::Receiver<Queued>) {
    let result: Result<(), FrameError> = async {
        let Some(first) = frames.recv().await else { return Ok(()) };
        let Ok(mut stream) = link.connection.open_uni().await else { return Ok(()) };
        stream.write_all(&[channel as u8]).await.map_err(FrameError::Write)?;
        write_frame(&mut stream, first.body).await?;
        while let Some(next) = frames.recv().await {
            write_frame(&mut stream, next.body).await?;
        }
        Ok(())
    }
    .await;
    if let Err(error) = result {
        debug!(peer = %link.node.short(), ?channel, %error, "cannot write to a peer");
        if matches!(error, FrameError::Stalled) {
            link.close(Why::Silent);
        }
    }
}

async fn read_channels(shared: Arc<Shared>, link: Arc<Link>) {
    let mut open = Vec::new();
    let mut readers = JoinSet::new();
    loop {
        tokio::select! {
            stream = link.connection.accept_uni() => {
                let Ok(mut stream) = stream else { return };
                let mut head = [0u8];
                let read = timeout(crate::frame::STALL, stream.read_exact(&mut head)).await;
                let channel = Channel::from_byte(head[0]).filter(|channel| !open.contains(channel));
                let (Ok(Ok(())), Some(channel)) = (read, channel) else {
                    link.close(Why::Broke);
                    return;
                };
                open.push(channel);
                readers.spawn(read_channel(Arc::clone(&shared), Arc::clone(&link), channel, stream));
            }
            // A channel's stream lives as long as its connection.
            Some(_) = readers.join_next() => return,
        }
    }
}

async fn read_channel(shared: Arc<Shared>, link: Arc<Link>, channel: Channel, mut stream: RecvStream) {
    loop {
        match read_frame(&mut stream, MAX_FRAME).await {
            Ok(Some(body)) => {
                let Some(body) = link.inbox.take_in(channel, body).await else { return };
                shared.tell(Event::Message(link.node, channel, body)).await;
            }
            Ok(None) => return,
            Err(error) => {
                debug!(peer = %link.node.short(), ?channel, %error, "cannot read from a peer");
                if error.is_violation() {
                    link.close(Why::Broke);
                }
                return;
            }
        }
    }
}

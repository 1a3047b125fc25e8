//! One connection at work: packets on one side, a stream of bytes on the other, and nothing kept between them
//! but what the engine's own buffers hold.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use freehold_packet::icmp::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::PollSender;

use crate::engine::{Engine, Phase};
use crate::purse::Share;
use crate::table::{Item, Place};

/// Packets that are taken before something else has its turn.
const TAKEN: usize = 64;
/// Turns before others have theirs.
const TURNS: usize = 32;
/// How long a side that has been asked whether it is there may be silent.
const SILENT: Duration = Duration::from_mins(10);
/// How long nothing may move once one side has said all.
const HALF_CLOSED: Duration = Duration::from_mins(5);

/// Why a connection did not come to be, or was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// The policy of the realm, as this machine or the other one sees it.
    #[error("the realm's rules do not allow it")]
    NotAllowed,
    /// Nobody has this address, or nobody who has it is there.
    #[error("there is no way to it at the moment")]
    Unreachable,
    /// The other side refused it, or broke it off.
    #[error("the other side refused the connection, or broke it off")]
    Refused,
    /// Nobody answered for too long.
    #[error("nobody answered in time")]
    TimedOut,
    /// The program on this side.
    #[error("the program on this side broke it off")]
    Partner,
    /// Too many connections, or the system gave no random bytes.
    #[error("there is no room for another connection")]
    Full,
    /// This machine has no address of that family in the network.
    #[error("this machine has no IPv4 address in the network: freehold net node NODE --ipv4 auto")]
    NoAddress,
    /// The network is not carried any more.
    #[error("packets are not carried any more")]
    Stopped,
}

/// A connection.
#[derive(Debug)]
pub struct Talk {
    engine: Engine,
    items: mpsc::Receiver<Item>,
    out: PollSender<Bytes>,
    place: Place,
    _share: Share,
    timer: Pin<Box<Sleep>>,
    barred: Option<CutError>,
    /// This side has said all.
    ended: bool,
    /// And heard all.
    heard: bool,
    moved: Instant,
}

impl Talk {
    pub(crate) fn new(
        engine: Engine,
        (place, items): (Place, mpsc::Receiver<Item>),
        out: mpsc::Sender<Bytes>,
        share: Share,
    ) -> Self {
        Self {
            engine,
            items,
            out: PollSender::new(out),
            place,
            _share: share,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            barred: None,
            ended: false,
            heard: false,
            moved: Instant::now(),
        }
    }

    /// A packet that came before there was anybody to take it.
    pub(crate) fn take(&mut self, packet: Bytes) {
        self.engine.take(packet);
    }

    /// Waits until it is open.
    pub(crate) async fn opened(&mut self) -> Result<(), CutError> {
        poll_fn(|cx| {
            for _ in 0..TURNS {
                let moved = self.turn(cx)?;
                match self.engine.phase() {
                    Phase::Opening => {}
                    Phase::Open | Phase::Done => return Poll::Ready(Ok(())),
                    Phase::Cut => return Poll::Ready(Err(CutError::Refused)),
                }
                if !moved && !self.arm(cx) {
                    return Poll::Pending;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await?;
        self.place.opened();
        self.engine.settle(SILENT);
        Ok(())
    }

    /// Carries bytes between the connection and `partner` until both sides have said all.
    ///
    /// # Errors
    /// [`CutError`] if it was cut before; then the partner has not heard all, and is to be told so.
    pub async fn carry<S: AsyncRead + AsyncWrite + Unpin>(mut self, partner: &mut S) -> Result<(), CutError> {
        self.moved = Instant::now();
        poll_fn(|cx| self.poll_carry(cx, Pin::new(partner))).await
    }

    fn poll_carry<S: AsyncRead + AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut partner: Pin<&mut S>,
    ) -> Poll<Result<(), CutError>> {
        for _ in 0..TURNS {
            let mut moved = self.turn(cx)?;
            let bytes =
                self.give(cx, partner.as_mut()).and_then(|gave| Ok(self.fetch(cx, partner.as_mut())? | gave));
            match bytes {
                Ok(true) => {
                    moved = true;
                    self.moved = Instant::now();
                }
                Ok(false) => {}
                Err(_) => return Poll::Ready(Err(CutError::Partner)),
            }
            self.engine.step();
            moved |= self.send(cx)?;
            match self.engine.phase() {
                Phase::Done if self.heard && self.engine.outgoing().is_empty() => return Poll::Ready(Ok(())),
                Phase::Cut => return Poll::Ready(Err(CutError::Refused)),
                _ => {}
            }
            if !moved && !self.arm(cx) {
                return Poll::Pending;
            }
            if (self.ended || self.heard) && self.moved.elapsed() > HALF_CLOSED {
                return Poll::Ready(Err(CutError::TimedOut));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what came, does what is due, and sends what is to be sent; says whether anything moved.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, CutError> {
        let mut moved = false;
        let room = if self.engine.is_behind() { 0 } else { TAKEN };
        for _ in 0..room {
            match self.items.poll_recv(cx) {
                Poll::Ready(Some(Item::Packet(packet))) => self.engine.take(packet),
                Poll::Ready(Some(Item::Barred(why))) => self.bar(why)?,
                Poll::Ready(None) => return Err(CutError::Stopped),
                Poll::Pending => break,
            }
            moved = true;
        }
        self.engine.step();
        let sent = self.send(cx)?;
        // What could be sent makes room for what came.
        Ok(sent || moved)
    }

    /// Its packets go no further. Whoever is not there may come back; what is forbidden is over.
    fn bar(&mut self, why: Refusal) -> Result<(), CutError> {
        let opening = self.engine.phase() == Phase::Opening;
        let error = match why {
            Refusal::Prohibited => CutError::NotAllowed,
            Refusal::Unreachable if opening => CutError::Unreachable,
            _ => return Ok(()),
        };
        self.barred = Some(error);
        Err(error)
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, CutError> {
        let mut moved = false;
        while !self.engine.outgoing().is_empty() {
            match self.out.poll_reserve(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(CutError::Stopped),
                Poll::Pending => break,
            }
            if let Some(packet) = self.engine.outgoing().pop_front() {
                self.out.send_item(packet).map_err(|_| CutError::Stopped)?;
                moved = true;
            }
        }
        Ok(moved)
    }

    /// What came, to the partner.
    fn give<S: AsyncWrite>(&mut self, cx: &mut Context<'_>, mut partner: Pin<&mut S>) -> io::Result<bool> {
        let mut moved = false;
        loop {
            let given = self.engine.give(|bytes| match partner.as_mut().poll_write(cx, bytes) {
                Poll::Ready(Ok(len)) => (len, Some(Ok(len))),
                Poll::Ready(Err(error)) => (0, Some(Err(error))),
                Poll::Pending => (0, None),
            });
            match given.flatten() {
                Some(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Some(given) => moved |= given.map(|_| true)?,
                None => break,
            }
        }
        if moved && let Poll::Ready(Err(error)) = partner.as_mut().poll_flush(cx) {
            return Err(error);
        }
        if !self.heard && self.engine.is_read_out() {
            match partner.poll_shutdown(cx) {
                // Who has gone already has heard enough.
                Poll::Ready(_) => (self.heard, moved) = (true, true),
                Poll::Pending => {}
            }
        }
        Ok(moved)
    }

    /// What the partner says, to be sent.
    fn fetch<S: AsyncRead>(&mut self, cx: &mut Context<'_>, mut partner: Pin<&mut S>) -> io::Result<bool> {
        let mut moved = false;
        while !self.ended {
            let fetched = self.engine.fetch(|room| {
                let mut buffer = ReadBuf::new(room);
                match partner.as_mut().poll_read(cx, &mut buffer) {
                    Poll::Ready(Ok(())) => (buffer.filled().len(), Some(Ok(buffer.filled().len()))),
                    Poll::Ready(Err(error)) => (0, Some(Err(error))),
                    Poll::Pending => (0, None),
                }
            });
            let Some(len) = fetched.flatten() else { break };
            if len? == 0 {
                self.ended = true;
                self.engine.close();
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Sets the timer; says whether something is due now.
    fn arm(&mut self, cx: &mut Context<'_>) -> bool {
        let half = (self.ended || self.heard).then(|| HALF_CLOSED.saturating_sub(self.moved.elapsed()));
        let Some(due) = self.engine.due().into_iter().chain(half).min() else { return false };
        if due.is_zero() {
            return true;
        }
        self.timer.as_mut().reset(Instant::now() + due);
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl Drop for Talk {
    /// The other side is told, unless both have said all.
    fn drop(&mut self) {
        if self.barred.is_some() || matches!(self.engine.phase(), Phase::Done | Phase::Cut) {
            return;
        }
        self.engine.abort();
        self.engine.step();
        if let Some(out) = self.out.get_ref() {
            while let Some(packet) = self.engine.outgoing().pop_front() {
                // Who does not hear it hears it with the next packet.
                drop(out.try_send(packet));
            }
        }
    }
}

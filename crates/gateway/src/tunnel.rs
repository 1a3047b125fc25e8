//! Bytes both ways, after a connection has gone over to another protocol or where TLS ends elsewhere.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use freehold_ports::Busy;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};

use crate::gate::{Client, Judgement};
use crate::live::Live;
use crate::visit::Visit;
use crate::worker::Shared;

/// Of each way: what is read at once.
const PIECE: usize = 16 << 10;

/// A connection that is only carried.
pub(crate) struct Tunnel {
    pub(crate) shared: Arc<Shared>,
    pub(crate) live: Arc<Live>,
    pub(crate) client: Client,
    pub(crate) quiet: Duration,
    /// Its place at the port is busy.
    pub(crate) _busy: Busy,
}

impl Tunnel {
    pub(crate) fn new(visit: &Visit, live: &Arc<Live>, quiet: Duration) -> Self {
        Self {
            shared: Arc::clone(&visit.worker.shared),
            live: Arc::clone(live),
            client: visit.client,
            quiet,
            _busy: visit.guest.request(),
        }
    }

    /// Carries once both sides have gone over.
    pub(crate) async fn join(self, client: OnUpgrade, service: OnUpgrade) {
        let both =
            timeout(self.shared.settings.head_within, async { tokio::try_join!(client, service) }).await;
        match both {
            Ok(Ok((client, service))) => self.carry(TokioIo::new(client), TokioIo::new(service)).await,
            Ok(Err(error)) => tracing::debug!(%error, "a change of protocol failed"),
            Err(_) => tracing::debug!("a change of protocol took too long"),
        }
    }

    /// Carries until one side ends, both are quiet, the client may no longer, or the door has closed.
    pub(crate) async fn carry<A, B>(&self, client: A, service: B)
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let tally = &self.live.tally;
        tally.tunnels.fetch_add(1, Relaxed);
        let moved = AtomicU64::new(0);
        let mut client = Counted { stream: client, moved: &moved, bytes: &tally.received };
        let mut service = Counted { stream: service, moved: &moved, bytes: &tally.sent };
        {
            let carried = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut service, PIECE, PIECE);
            tokio::select! {
                biased;
                _ = carried => {}
                () = self.is_quiet(&moved) => {}
                () = self.may_no_longer() => {}
                () = self.is_closed() => {}
            }
        }
        tally.tunnels.fetch_sub(1, Relaxed);
    }

    async fn is_quiet(&self, moved: &AtomicU64) {
        let mut before = 0;
        loop {
            sleep_until(Instant::now() + self.quiet).await;
            let now = moved.load(Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }

    async fn may_no_longer(&self) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            if self.shared.judge(&self.client, &self.live) != Judgement::Allowed
                || changed.changed().await.is_err()
            {
                return;
            }
        }
    }

    async fn is_closed(&self) {
        self.shared.cancel.cancelled().await;
        tokio::time::sleep(self.shared.settings.drain).await;
    }
}

/// Counts what is read.
struct Counted<'a, S> {
    stream: S,
    moved: &'a AtomicU64,
    bytes: &'a AtomicU64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = (buf.filled().len() - before) as u64;
        self.moved.fetch_add(read, Relaxed);
        self.bytes.fetch_add(read, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

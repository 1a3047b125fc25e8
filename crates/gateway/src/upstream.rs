//! Connections with services, kept for the next request. Each worker has its own.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::body::Ask;
use crate::line::Dial;
use crate::spawn::Spawn;
use crate::{Line, Upstream};

/// The most that are kept of one upstream.
const KEPT: usize = 128;
/// Most servers keep a connection a little longer than this.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// The largest head of an answer.
const HEAD_MAX: usize = 256 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLine {
    #[error("connecting took longer than {} s", .0.as_secs())]
    Late(Duration),
    #[error("connecting")]
    Dial(#[source] io::Error),
    #[error("agreeing on HTTP")]
    Http(#[source] hyper::Error),
}

struct Kept {
    sender: http1::SendRequest<Ask>,
    since: Instant,
}

/// The connections of one worker.
pub(crate) struct Upstreams {
    dial: Arc<dyn Dial>,
    kept: Mutex<BTreeMap<Upstream, Vec<Kept>>>,
    /// One connection carries many requests.
    shared: Mutex<BTreeMap<Upstream, http2::SendRequest<Ask>>>,
    tasks: TaskTracker,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstreams {
    /// None yet; `tasks` owns what drives them.
    pub(crate) fn new(dial: Arc<dyn Dial>, tasks: TaskTracker) -> Self {
        Self { dial, kept: Mutex::default(), shared: Mutex::default(), tasks }
    }

    /// A connection that is free.
    pub(crate) fn idle(&self, to: &Upstream) -> Option<http1::SendRequest<Ask>> {
        let mut all = lock(&self.kept);
        let kept = all.get_mut(to)?;
        let mut unready = Vec::new();
        let mut found = None;
        while let Some(one) = kept.pop() {
            if one.sender.is_closed() || one.since.elapsed() > KEPT_FOR {
                continue;
            }
            if one.sender.is_ready() {
                found = Some(one.sender);
                break;
            }
            unready.push(one);
        }
        kept.append(&mut unready);
        found
    }

    /// Bytes to and from an upstream.
    pub(crate) async fn dial(&self, to: &Upstream, within: Duration) -> Result<Line, NoLine> {
        let line = timeout(within, self.dial.dial(to)).await.map_err(|_| NoLine::Late(within))?;
        line.map_err(NoLine::Dial)
    }

    /// A new connection.
    pub(crate) async fn connect(
        &self,
        to: &Upstream,
        within: Duration,
    ) -> Result<http1::SendRequest<Ask>, NoLine> {
        let line = TokioIo::new(self.dial(to, within).await?);
        let mut client = http1::Builder::new();
        client.max_header_size(HEAD_MAX);
        let (sender, connection) = client.handshake(line).await.map_err(NoLine::Http)?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection with a service ended");
            }
        });
        Ok(sender)
    }

    /// The connection that everybody shares, or a new one.
    pub(crate) async fn shared(
        &self,
        to: &Upstream,
        within: Duration,
        anew: bool,
    ) -> Result<http2::SendRequest<Ask>, NoLine> {
        let known = lock(&self.shared).get(to).filter(|sender| !sender.is_closed()).cloned();
        if let Some(sender) = known.filter(|_| !anew) {
            return Ok(sender);
        }
        let line = TokioIo::new(self.dial(to, within).await?);
        let mut client = http2::Builder::new(Spawn::on(&self.tasks));
        client.timer(TokioTimer::new()).adaptive_window(true);
        client.keep_alive_interval(KEPT_FOR).keep_alive_timeout(within);
        let (sender, connection) = client.handshake(line).await.map_err(NoLine::Http)?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection with a service ended");
            }
        });
        lock(&self.shared).insert(to.clone(), sender.clone());
        Ok(sender)
    }

    /// Closes what has not been used for long.
    pub(crate) fn sweep(&self) {
        let mut all = lock(&self.kept);
        for kept in all.values_mut() {
            kept.retain(|one| !one.sender.is_closed() && one.since.elapsed() <= KEPT_FOR);
        }
        all.retain(|_, kept| !kept.is_empty());
        drop(all);
        lock(&self.shared).retain(|_, sender| !sender.is_closed());
    }

    fn keep(&self, upstream: Upstream, sender: http1::SendRequest<Ask>) {
        if sender.is_closed() {
            return;
        }
        let mut all = lock(&self.kept);
        let kept = all.entry(upstream).or_default();
        if kept.len() < KEPT {
            kept.push(Kept { sender, since: Instant::now() });
        }
    }
}

/// A connection in use. Dropped, it is closed: what is left on it belongs to nobody.
pub(crate) struct Lease {
    upstreams: Arc<Upstreams>,
    upstream: Upstream,
    sender: http1::SendRequest<Ask>,
}

impl Lease {
    pub(crate) const fn new(
        upstreams: Arc<Upstreams>,
        upstream: Upstream,
        sender: http1::SendRequest<Ask>,
    ) -> Self {
        Self { upstreams, upstream, sender }
    }

    /// All has been read: the next may have it.
    pub(crate) fn done(self) {
        self.upstreams.keep(self.upstream, self.sender);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.upstream).finish()
    }
}

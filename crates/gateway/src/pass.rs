//! What is seen of a connection before TLS: who somebody speaks for, and the name that is asked for. A
//! service that keeps its TLS gets the connection as it came.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use freehold_packet::hello::{self, HELLO_MAX, Hello};
use freehold_ports::Guest;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::announce::{self, ANNOUNCE_MAX, Announced};
use crate::forward::Errand;
use crate::gate::{Client, Judgement};
use crate::line::Again;
use crate::live::Live;
use crate::service::{Limits, Pass, Target};
use crate::tally::Turned;
use crate::tunnel::Tunnel;
use crate::worker::Worker;

/// The first bytes of a connection.
pub(crate) struct Opening {
    pub(crate) stream: TcpStream,
    pub(crate) client: Client,
    /// What was read of it.
    pub(crate) read: BytesMut,
}

impl Opening {
    async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Hears who the machine at the other end speaks for: itself, if it need not say.
    pub(crate) async fn hear(&mut self, must: bool) -> io::Result<()> {
        loop {
            match announce::read(&self.read) {
                Announced::Client { from, to, len } => {
                    self.client = Client { from, to };
                    drop(self.read.split_to(len));
                    return Ok(());
                }
                Announced::Own { len } => {
                    drop(self.read.split_to(len));
                    return Ok(());
                }
                Announced::Bad if !must => return Ok(()),
                Announced::More if self.read.len() <= ANNOUNCE_MAX => self.more().await?,
                Announced::More | Announced::Bad => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// The name that is asked for; none if it is not TLS, which TLS will say itself.
    pub(crate) async fn name(&mut self) -> io::Result<Option<String>> {
        loop {
            match hello::read(&self.read) {
                Ok(Some(Hello { name, .. })) => return Ok(name),
                Ok(None) if self.read.len() <= HELLO_MAX => self.more().await?,
                Ok(None) | Err(hello::NotTls) => return Ok(None),
            }
        }
    }

    /// The connection from its beginning.
    pub(crate) fn again(self) -> Again<TcpStream> {
        Again::new(self.read.freeze(), self.stream)
    }
}

/// Passes a connection on as it came.
pub(crate) async fn pass(worker: &Arc<Worker>, live: Arc<Live>, opening: Opening, guest: Guest) {
    let Target::Pass(pass) = &live.service.target else { return };
    let shared = Arc::clone(&worker.shared);
    if shared.judge(&opening.client, &live) != Judgement::Allowed {
        live.turn(Turned::Away);
        return;
    }
    let Some(line) = connect(worker, &live, &opening).await else {
        live.turn(Turned::Failed);
        return;
    };
    let Opening { stream, client, read } = opening;
    let first: Bytes = if pass.announce {
        [&announce::announce(client.from, client.to)[..], &read].concat().into()
    } else {
        read.freeze()
    };
    let tunnel =
        Tunnel { shared, live: Arc::clone(&live), client, quiet: pass.quiet, _busy: guest.request() };
    // What was read already is carried as well: a service that takes none of it holds nothing longer than any other.
    tunnel.carry(Again::new(first, stream), line).await;
}

async fn connect(worker: &Arc<Worker>, live: &Arc<Live>, opening: &Opening) -> Option<crate::Line> {
    let limits = Limits::default();
    let now = worker.shared.now();
    let errand = Errand { live, limits: &limits, upstreams: &worker.upstreams, now };
    for (at, upstream) in live.order(now) {
        match errand.upstreams.dial(upstream, limits.connect).await {
            Ok(line) => return Some(line),
            Err(error) => {
                tracing::debug!(client = %opening.client.from.ip(), %error, "a service does not answer");
                live.leave_out(at, now);
            }
        }
    }
    None
}

/// Whether a service keeps its TLS.
pub(crate) const fn keeps_its_tls(pass: &Target) -> Option<&Pass> {
    match pass {
        Target::Pass(pass) => Some(pass),
        Target::Web(_) => None,
    }
}

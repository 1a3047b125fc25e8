//! Addresses that come and go while the door is open: services have addresses of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use tokio_util::sync::DropGuard;

use crate::door::{OpenError, listen_at};
use crate::quic;
use crate::worker::Worker;

/// Where else the door listens: an address, and whether TLS is spoken there.
pub(crate) type Listening = BTreeSet<(SocketAddr, bool)>;

/// What is wanted, without what cannot be had.
pub(crate) fn possible(now: &Listening, wanted: Listening) -> (Listening, Vec<OpenError>) {
    let (mut possible, mut failed) = (wanted, Vec::new());
    possible.retain(|one| {
        let tried = if now.contains(one) { Ok(()) } else { probe(now, one.0) };
        tried.map_err(|source| failed.push(OpenError::Listen { at: one.0, source })).is_ok()
    });
    (possible, failed)
}

/// Workers share a port with each other and would share it with anybody else's of the same user. So it is tried
/// without that first; not where the door itself has the port at another address.
fn probe(now: &Listening, at: SocketAddr) -> io::Result<()> {
    if now.iter().any(|(own, _)| own.port() == at.port()) {
        return listen_at(at).map(drop);
    }
    TcpListener::bind(at).map(drop)
}

/// Of addresses where HTTPS is spoken, those where HTTP/3 is wanted, too.
pub(crate) fn secure(wanted: &Listening, tcp_only: &[SocketAddr]) -> BTreeSet<SocketAddr> {
    let secure = wanted.iter().filter(|(_, secure)| *secure).map(|(at, _)| *at);
    secure.filter(|at| !tcp_only.contains(at)).collect()
}

/// Sockets of an address that no worker has taken yet.
pub(crate) type Waiting = BTreeMap<SocketAddr, Vec<UdpSocket>>;

/// Makes the sockets of HTTP/3 at addresses that come, for all workers at once: the kernel gives each client to one of
/// those that are there, and would give it to another one when more come. Says where HTTP/3 is then; other addresses
/// are there without.
pub(crate) fn hear(
    waiting: &mut Waiting,
    before: &BTreeSet<SocketAddr>,
    wanted: BTreeSet<SocketAddr>,
    workers: usize,
) -> BTreeSet<SocketAddr> {
    waiting.retain(|at, _| wanted.contains(at));
    let own = |at: &SocketAddr| before.iter().any(|one| one.port() == at.port());
    let mut heard = wanted;
    heard.retain(|at| {
        if before.contains(at) {
            return true;
        }
        match quic::bind_all(*at, own(at), workers) {
            Ok(sockets) => waiting.insert(*at, sockets).is_none(),
            Err(error) => {
                tracing::warn!(%at, %error, "HTTP/3 is not spoken there");
                false
            }
        }
    });
    heard
}

/// Listens in one worker where it is wanted, until the door closes.
pub(crate) async fn keep(worker: Arc<Worker>) {
    let mut wanted = worker.shared.listening.subscribe();
    let mut open: BTreeMap<(SocketAddr, bool), DropGuard> = BTreeMap::new();
    loop {
        let now = wanted.borrow_and_update().clone();
        open.retain(|one, _| now.contains(one));
        for (at, secure) in now.into_iter().filter(|one| !open.contains_key(one)).collect::<Vec<_>>() {
            match listen_at(at) {
                Ok(listener) => {
                    let until = worker.shared.cancel.child_token();
                    worker.visits.spawn(Arc::clone(&worker).listen(listener, secure, until.clone()));
                    if secure {
                        quic::hear(&worker, at, &until);
                    }
                    open.insert((at, secure), until.drop_guard());
                }
                Err(error) => tracing::warn!(%at, %error, "a worker of the door does not listen"),
            }
        }
        tokio::select! {
            biased;
            () = worker.shared.cancel.cancelled() => return,
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

//! Who dials in: what is meant for this node and not too much at a time comes to its handshake, and from
//! there to whom it asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_ports::{Source, Tries};
use iroh::endpoint::{Incoming, IncomingAddr};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use crate::Why;
use crate::address::node_id;
use crate::call;
use crate::door;
use crate::errand;
use crate::frame::close_code;
use crate::hub::Input;
use crate::lines::LineInput;
use crate::protocol::{Meant, Protocol, meant};
use crate::relay;
use crate::shared::Shared;

/// Handshakes under way at a time.
const HANDSHAKES: usize = 64;
/// What a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who may begin a handshake: 10 a second for each source after 60 at once; behind a relay, whose
/// guests are few, ten times that.
struct Arrivals {
    networks: Tries<Source>,
    relays: Tries<String>,
    handshakes: Arc<Semaphore>,
}

pub(crate) async fn accept_all(shared: Arc<Shared>) {
    let arrivals = Arrivals {
        networks: Tries::new(60, Duration::from_millis(100)),
        relays: Tries::new(600, Duration::from_millis(10)),
        handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
    };
    loop {
        let incoming = tokio::select! {
            biased;
            () = shared.cancel.cancelled() => None,
            incoming = shared.endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        arrivals.receive(&shared, incoming);
    }
    // Here and not in the handle, which may just be dropped: tells every peer that we leave.
    shared.endpoint.close().await;
}

impl Arrivals {
    fn receive(&self, shared: &Arc<Shared>, incoming: Incoming) {
        let meant = meant(shared.me, &incoming);
        if meant == Meant::Elsewhere {
            incoming.ignore();
            return;
        }
        let (fresh, proven, from) = match incoming.remote_addr() {
            IncomingAddr::Ip(at) => {
                let from = at.ip().into();
                (self.networks.take(from, Instant::now()), incoming.remote_addr_validated(), from)
            }
            IncomingAddr::Relay { url, .. } => {
                let url = url.to_string();
                let from = relay::source(&url);
                (self.relays.take(url, Instant::now()), true, from)
            }
            _ => (false, true, Source::Here),
        };
        let crowded = self.handshakes.available_permits() < HANDSHAKES / 2;
        if !proven && (crowded || !fresh) {
            // A forged sender never comes back; a real one shows that it gets our answers.
            drop(incoming.retry());
            return;
        }
        let Some(place) = fresh.then(|| Arc::clone(&self.handshakes).try_acquire_owned().ok()).flatten()
        else {
            incoming.refuse();
            return;
        };
        let shared_here = Arc::clone(shared);
        shared.tasks.spawn(async move {
            let shared = shared_here;
            let handshake = async {
                let accepting = match meant {
                    Meant::Line => incoming.accept_with(Arc::clone(&shared.line_server)),
                    Meant::Here | Meant::Elsewhere => incoming.accept(),
                };
                accepting.ok()?.await.ok()
            };
            let done = tokio::select! {
                biased;
                () = shared.cancel.cancelled() => return,
                done = timeout(HANDSHAKE, handshake) => done,
            };
            drop(place);
            let Ok(Some(connection)) = done else { return };
            let node = node_id(connection.remote_id());
            if connection.alpn() == Protocol::line(shared.me).name() {
                shared.ask_lines(LineInput::Opened { node, connection, dialled: false }).await;
            } else if connection.alpn() == Protocol::door(shared.me).name() {
                door::answer(shared, connection, from).await;
            } else if connection.alpn() == Protocol::call(shared.me).name() {
                call::answer(shared, connection, from).await;
            } else if connection.alpn() == Protocol::errand(shared.me).name() {
                errand::serve(shared, connection, from).await;
            } else if shared.gate.admits(node) {
                shared.ask(Input::Opened { node, connection, dialled: false }).await;
            } else {
                debug!(node = %node.short(), "a stranger was turned away");
                connection.close(close_code(Why::Refused), b"");
            }
        });
    }
}

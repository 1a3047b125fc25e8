//! Doors for the programs of this machine into the network: a SOCKS and an HTTP proxy, and ports that lead to one
//! place. Whoever reaches a door is this machine to the realm.

use std::net::SocketAddr;
use std::time::Duration;

use freehold_ports::{Places, Porter};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::dial::{ReachError, Reacher};
use crate::{desk, http, socks};

/// Connections at one door.
const PLACES: usize = 512;
/// How long a connection may stay that asks nothing.
pub(crate) const REST: Duration = Duration::from_secs(30);

/// What a door leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Wherever a SOCKS client says (RFC 1928).
    Socks,
    /// Wherever an HTTP client says (RFC 9110, 9.3.6 and RFC 9112, 3.2.2).
    Http,
    /// One place.
    Forward {
        /// A name of the realm or an address.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
#[error("nothing can listen at {at}")]
pub struct DoorError {
    at: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Opens a door, which ends with the token; its task and those of its connections are in `tasks`. Returns where it
/// is.
///
/// # Errors
/// [`DoorError`] if the address is taken, or not this machine's.
pub async fn open(
    door: Door,
    at: SocketAddr,
    reacher: Reacher,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> Result<SocketAddr, DoorError> {
    let failed = |source| DoorError { at, source };
    let listener = TcpListener::bind(at).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let own = tasks.clone();
    tasks.spawn(async move {
        let porter = Porter::new(Places::of(PLACES, REST));
        while let Some((stream, guest)) = cancel.run_until_cancelled(porter.accept(&listener)).await {
            let (door, reacher, cancel, tasks) = (door.clone(), reacher.clone(), cancel.clone(), own.clone());
            own.spawn(async move {
                let served = async {
                    // A connection that asks nothing has to go; one that carries something stays.
                    match door {
                        Door::Socks => socks::serve(stream, &reacher, &guest).await,
                        Door::Http => http::serve(stream, &reacher, &guest, &tasks, &cancel).await,
                        Door::Forward { host, port } => {
                            let _busy = guest.request();
                            forward(stream, &reacher, &host, port).await;
                        }
                    }
                };
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => {}
                    () = guest.has_to_go() => {}
                    () = served => {}
                }
            });
        }
    });
    Ok(bound)
}

async fn forward(mut stream: TcpStream, reacher: &Reacher, host: &str, port: u16) {
    match reacher.reach(host, port).await {
        Ok(line) => {
            drop(stream.set_nodelay(true));
            if let Err(error) = line.carry(&mut stream).await {
                debug!(host, port, %error, "a forwarded connection was cut");
                desk::cut(&stream);
            }
        }
        Err(error) => {
            tell(&error);
            desk::cut(&stream);
        }
    }
}

/// A client hears one word at best. Whom programs look for is nobody's business but where somebody debugs.
pub(crate) fn tell(error: &ReachError) {
    debug!(%error, "a program of this machine was not let through");
}

//! Packets, carried: the tunnel is told what the log says, and what became of it is told people. Without the
//! right to make a network device the node goes on, and says so.

use std::sync::Arc;
use std::time::Duration;

use freehold_reach::Wish;
use freehold_realm::network_of;
use freehold_tunnel::{Config, StartError, Trouble, Tunnel, View};
use freehold_wire::Prefix;
use tokio::sync::watch;

use super::Snapshot;
use crate::problem::chain;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often it is looked whether something is wrong.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long stopping may take.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Whether and how packets are carried.
#[derive(Debug, Clone, Default)]
pub struct TunnelWish {
    /// That none are.
    pub off: bool,
    /// The name of the network device, if another one is wanted.
    pub device: Option<String>,
}

/// Starts to carry packets, if that is wanted and possible.
pub(crate) async fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    mut view: watch::Receiver<Arc<Snapshot>>,
    wish: &TunnelWish,
) {
    if wish.off {
        plane.report(Health::Off("packets are not carried, as --no-tun says".to_owned()));
        return;
    }
    let Some(mesh) = shared.mesh.get() else { return };
    let (say, told) = watch::channel(Arc::new(seen(shared, &view.borrow_and_update().clone())));
    let default = Config::default();
    let config = Config { name: wish.device.clone().unwrap_or_else(|| default.name.clone()), ..default };
    match Tunnel::start(config, mesh, told).await {
        Ok(tunnel) => {
            let tunnel = Arc::new(tunnel);
            plane.report(Health::Up(format!("packets are carried by {}", tunnel.name())));
            drop(shared.tunnel.set(Arc::clone(&tunnel)));
            plane.spawn(keep(Arc::clone(shared), plane.clone(), tunnel, view, say));
        }
        Err(error) => plane.report(not_carried(&error)),
    }
}

/// What the tunnel goes by. Nothing that others offer is used before somebody says so.
fn seen(shared: &Shared, now: &Snapshot) -> View {
    let (view, range) = (shared.log.view(), shared.log.view().state().network.range);
    let v4 = view.state().nodes.values().any(|node| node.network.v4.is_some());
    let own = network_of(&view.state().realm);
    let networks: Vec<Prefix> = std::iter::once(own).chain(v4.then_some(range)).collect();
    View { generation: now.generation, net: (*now.net).clone(), wish: Wish::default(), networks }
}

async fn keep(
    shared: Arc<Shared>,
    plane: Plane,
    tunnel: Arc<Tunnel>,
    mut view: watch::Receiver<Arc<Snapshot>>,
    say: watch::Sender<Arc<View>>,
) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut generation = view.borrow().generation;
    loop {
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            changed = view.changed() => {
                if changed.is_err() {
                    break;
                }
                let now = view.borrow_and_update().clone();
                // A new name is nothing to packets.
                if now.generation != generation {
                    generation = now.generation;
                    say.send_replace(Arc::new(seen(&shared, &now)));
                }
            }
            _ = every.tick() => plane.report(match tunnel.trouble() {
                None => Health::Up(format!("packets are carried by {}", tunnel.name())),
                Some(trouble) => Health::Degraded(match &*trouble {
                    Trouble::Routes(_) => chain(&*trouble),
                    _ => format!("packets are not carried any more: {}", chain(&*trouble)),
                }),
            }),
        }
    }
    if let Err(late) = tunnel.stop(STOP_WITHIN).await {
        tracing::warn!(%late);
    }
}

/// A right that is not there is nothing broken; the rest is.
fn not_carried(error: &StartError) -> Health {
    let why = format!("packets are not carried: {}", chain(error));
    match error {
        StartError::NoTun | StartError::NotAllowed(_) | StartError::Taken(_) => Health::Off(why),
        _ => Health::Degraded(why),
    }
}

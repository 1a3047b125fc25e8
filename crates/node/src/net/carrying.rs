//! Packets, carried: the tunnel is told what the log says, and what became of it is told people. Without the
//! right to make a network device the node goes on, and says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_api::words;
use freehold_mesh::Mesh;
use freehold_realm::network_of;
use freehold_stack::{Stack, Way};
use freehold_tunnel::{Config, StartError, Trouble, Tunnel, View};
use freehold_wire::Prefix;
use tokio::sync::watch;

use super::Snapshot;
use super::stack::{self, ForStack};
use crate::clock;
use crate::problem::chain;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often it is looked whether something is wrong.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long stopping may take.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Before a tunnel that has ended is started again; twice as long each time that it ends at once.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(2));
/// A tunnel that was up for so long did not end at once.
const LONG: Duration = Duration::from_mins(2);

/// Whether and how packets are carried.
#[derive(Debug, Clone, Default)]
pub struct TunnelWish {
    /// That none are.
    pub off: bool,
    /// That no device is to be made: they are carried in user space.
    pub by_hand: bool,
    /// The name of the network device, if another one is wanted.
    pub device: Option<String>,
}

/// Starts to carry packets, if that is wanted and possible; goes on trying where it is not.
pub(crate) async fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    mut view: watch::Receiver<Arc<Snapshot>>,
    wish: &TunnelWish,
) {
    let device = wish.device.clone().unwrap_or_else(|| Config::default().name);
    if wish.off || wish.by_hand {
        // What a process that was killed has left would keep an address from whoever has it now.
        if let Err(error) = freehold_tunnel::sweep(&device).await {
            tracing::debug!(%error, "it is not known whether an earlier tunnel has left an address");
        }
    }
    if wish.off {
        plane.report(Health::Off("packets are not carried, as --no-packets says".to_owned()));
        return;
    }
    let Some(mesh) = shared.mesh.get().cloned() else { return };
    let first = view.borrow_and_update().clone();
    let by_hand = wish.by_hand;
    let work = Work { shared: Arc::clone(shared), plane: plane.clone(), mesh, device, by_hand, view };
    // Whoever comes after this plane finds a tunnel, if there can be one.
    let begun = work.begin(&first).await;
    plane.spawn(work.carry(begun));
}

/// What is at hand for a tunnel, and for the one after it.
struct Work {
    shared: Arc<Shared>,
    plane: Plane,
    mesh: Arc<Mesh>,
    device: String,
    by_hand: bool,
    view: watch::Receiver<Arc<Snapshot>>,
}

/// A tunnel that has begun, and what it hears.
struct Begun {
    tunnel: Arc<Tunnel>,
    say: watch::Sender<Arc<View>>,
    /// What stands in for the kernel, and why.
    stack: Option<(Stack, String)>,
}

impl Work {
    /// Carries until the plane ends.
    async fn carry(mut self, mut begun: Option<Begun>) {
        let mut pause = PAUSE.0;
        loop {
            let at = Instant::now();
            if let Some(Begun { tunnel, say, stack }) = begun {
                let goes_on = self.keep(&tunnel, &say, stack.as_ref()).await;
                self.shared.way.send_replace(None);
                self.shared.tunnel.send_replace(None);
                // While there is a tunnel the other sides hear of it.
                if let Some((stack, _)) = stack
                    && let Err(late) = stack.stop(STOP_WITHIN).await
                {
                    tracing::warn!(%late);
                }
                if let Err(late) = tunnel.stop(STOP_WITHIN).await {
                    tracing::warn!(%late);
                }
                if !goes_on {
                    return;
                }
                self.plane.report(ended(&tunnel.troubles()));
            }
            if at.elapsed() > LONG {
                pause = PAUSE.0;
            }
            tokio::select! {
                () = self.plane.cancel().cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE.1),
            }
            let now = self.view.borrow_and_update().clone();
            begun = self.begin(&now).await;
        }
    }

    async fn begin(&self, now: &Snapshot) -> Option<Begun> {
        let (say, told) = watch::channel(Arc::new(seen(&self.shared, now)));
        let phones = || Some(self.shared.phones.tunnel.clone());
        let config = || Config { name: self.device.clone(), phones: phones(), ..Config::default() };
        let made = if self.by_hand {
            Err("--no-tun says so".to_owned())
        } else {
            match Tunnel::start(config(), &self.mesh, told.clone()).await {
                Ok(tunnel) => Ok(tunnel),
                Err(error @ (StartError::NoTun | StartError::NotAllowed(_))) => Err(chain(&error)),
                Err(error) => {
                    self.plane.report(not_carried(&error));
                    return None;
                }
            }
        };
        let (tunnel, way, stack) = match made {
            Ok(tunnel) => (tunnel, Way::Kernel, None),
            Err(why) => {
                let realm = Arc::new(ForStack::new(&self.shared, self.view.clone()));
                let (stack, hands) = stack::start(realm);
                let config = Config { hands: Some(hands), ..config() };
                match Tunnel::start(config, &self.mesh, told).await {
                    Ok(tunnel) => (tunnel, Way::Stack(stack.dialer()), Some((stack, why))),
                    Err(error) => {
                        self.plane.report(not_carried(&error));
                        return None;
                    }
                }
            }
        };
        let tunnel = Arc::new(tunnel);
        self.plane.report(health(&tunnel, stack.as_ref()));
        self.shared.way.send_replace(Some(way));
        self.shared.tunnel.send_replace(Some(Arc::clone(&tunnel)));
        Some(Begun { tunnel, say, stack })
    }

    /// Tells a tunnel what changes; false if the plane has ended, and true if the tunnel has.
    async fn keep(
        &mut self,
        tunnel: &Tunnel,
        say: &watch::Sender<Arc<View>>,
        stack: Option<&(Stack, String)>,
    ) -> bool {
        let mut every = tokio::time::interval(LOOK_EVERY);
        let mut generation = self.view.borrow().generation;
        let mut chosen = self.shared.chosen.watch();
        loop {
            tokio::select! {
                biased;
                () = self.plane.cancel().cancelled() => return false,
                () = tunnel.ended() => return true,
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    let now = self.view.borrow_and_update().clone();
                    // A new name is nothing to packets.
                    if now.generation != generation {
                        generation = now.generation;
                        say.send_replace(Arc::new(seen(&self.shared, &now)));
                    }
                }
                changed = chosen.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    let now = self.view.borrow().clone();
                    say.send_replace(Arc::new(seen(&self.shared, &now)));
                }
                _ = every.tick() => self.plane.report(health(tunnel, stack)),
            }
        }
    }
}

/// What the network opens here, unless this machine has said so before.
pub(crate) fn opens_anew(shared: &Shared) -> Option<String> {
    let said = opens(shared)?;
    let file = shared.home.net().join("opens");
    if freehold_disk::read_private(&file).ok().flatten().is_some_and(|before| before == said.as_bytes()) {
        return None;
    }
    let kept = freehold_disk::make_private_dir(&shared.home.net())
        .and_then(|()| freehold_disk::replace(&file, said.as_bytes(), 0o600));
    if let Err(error) = kept {
        tracing::debug!(%error, "what the network opens is said again at the next start");
    }
    Some(said)
}

/// What the device opens, where it is there and a laptop of somebody's may come in unasked.
fn opens(shared: &Shared) -> Option<String> {
    let tunnel = shared.tunnel.borrow().clone()?;
    let view = shared.log.view();
    let is_server = view.state().nodes.get(&shared.me()).is_some_and(|node| !node.roles.is_empty());
    let open = if view.state().network.strict {
        "admins' laptops reach SSH, the console and S3 on this machine through it"
    } else {
        "its owner's laptops reach every port of this machine through it, and admins' SSH, the console and S3; less \
         is open with `freehold net set --strict yes`, and nothing with `freehold up --no-packets`"
    };
    let place =
        if tunnel.is_by_hand() { "in user space".to_owned() } else { format!("at {}", tunnel.name()) };
    is_server.then(|| format!("the realm's network is {place}: {open}"))
}

/// How it goes with a tunnel that is up.
fn health(tunnel: &Tunnel, stack: Option<&(Stack, String)>) -> Health {
    let troubles = tunnel.troubles();
    if troubles.is_empty() {
        return Health::Up(match stack {
            None => format!("packets are carried by {}", tunnel.name()),
            Some((stack, why)) => {
                let flows = words::count(stack.flows() as u64, "connection");
                format!("{}, {flows}: {why}", words::IN_USER_SPACE)
            }
        });
    }
    Health::Degraded(troubles.iter().map(|trouble| chain(&**trouble)).collect::<Vec<_>>().join("; "))
}

fn ended(troubles: &[Arc<Trouble>]) -> Health {
    let why = troubles.first().map(|trouble| chain(&**trouble)).unwrap_or_default();
    Health::Degraded(format!("packets are not carried, and it is tried again: {why}"))
}

/// What the tunnel goes by. Nothing that others offer is used but what was chosen.
fn seen(shared: &Shared, now: &Snapshot) -> View {
    let (view, range) = (shared.log.view(), shared.log.view().state().network.range);
    let v4 = view.state().nodes.values().any(|node| node.network.v4.is_some());
    let own = network_of(&view.state().realm);
    let others = shared.strangers.networks(view.state(), clock::wall());
    let realm: Vec<Prefix> = std::iter::once(own).chain(v4.then_some(range)).chain(others).collect();
    let (networks, wish) = (realm.clone(), shared.chosen.choice().wish);
    View { generation: now.generation, net: (*now.net).clone(), wish, networks, realm }
}

/// A right that is not there is nothing broken; the rest is.
fn not_carried(error: &StartError) -> Health {
    let why = format!("packets are not carried: {}", chain(error));
    match error {
        StartError::NoTun | StartError::NotAllowed(_) | StartError::Taken(_) => Health::Off(why),
        _ => Health::Degraded(why),
    }
}

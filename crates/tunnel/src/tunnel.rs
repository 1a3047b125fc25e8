//! The handle, and how the parts start and stop.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use freehold_mesh::{Line, Mesh};
use freehold_wire::NodeId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::count::PeerStatus;
use crate::device::Device;
use crate::ground::{of_device, of_hands};
use crate::kernel::{Kernel, RouteError};
use crate::nft::FilterError;
use crate::peer::{Clock, Known, status};
use crate::pump::Pump;
use crate::refusals::{Refusals, Refused};
use crate::upkeep::{Filter, Upkeep};
use crate::{Config, StartError, View};

/// Stopping took longer than allowed; what was left was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tunnel did not stop within {0:?}")]
pub struct LateStop(Duration);

/// What is wrong with a tunnel that has started.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It has ended: the device is gone, or was taken away.
    #[error("what the tunnel carried packets for is gone")]
    Device(#[source] io::Error),
    /// It has ended: somebody else has the lines of the mesh, or the mesh has ended.
    #[error("the lines of the mesh are gone")]
    Lines,
    /// It has ended: a part of it did something that it never should.
    #[error("a part of the tunnel broke: {0}")]
    Broken(String),
    /// It goes on, but some addresses or routes are not set; tried again each minute and when something changes.
    #[error("some routes of the tunnel are not set")]
    Routes(#[source] RouteError),
    /// It goes on, but nothing keeps others from asking at the realm's addresses by other devices; tried again.
    #[error("the network around is not kept from this machine's address in the realm")]
    Filter(#[source] FilterError),
}

/// A peer and its line.
type Seen = (Arc<Known>, Option<Line>);

/// What the handle and the parts know.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    peers: RwLock<BTreeMap<NodeId, Seen>>,
    troubles: Mutex<Troubles>,
    pub(crate) refusals: Refusals,
}

#[derive(Debug, Default)]
struct Troubles {
    ended: Option<Arc<Trouble>>,
    routes: Option<Arc<Trouble>>,
    filter: Option<Arc<Trouble>>,
}

impl Shared {
    pub(crate) fn learn(&self, node: NodeId, known: &Arc<Known>, line: Option<&Line>) {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        peers.insert(node, (Arc::clone(known), line.cloned()));
    }

    pub(crate) fn forget(&self, stays: impl Fn(&NodeId) -> bool) {
        self.peers.write().unwrap_or_else(PoisonError::into_inner).retain(|node, _| stays(node));
    }

    /// What has ended it; the first to say so is heard.
    fn end(&self, trouble: Trouble) {
        warn!(%trouble, "the tunnel has ended");
        self.troubles().ended.get_or_insert_with(|| Arc::new(trouble));
    }

    pub(crate) fn routes(&self, trouble: Option<RouteError>) {
        note(&mut self.troubles().routes, trouble.map(Trouble::Routes));
    }

    pub(crate) fn filter(&self, trouble: Option<FilterError>) {
        note(&mut self.troubles().filter, trouble.map(Trouble::Filter));
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a trouble, and logs it where it is not the one that was there.
fn note(place: &mut Option<Arc<Trouble>>, trouble: Option<Trouble>) {
    let words = |trouble: &Trouble| std::error::Error::source(trouble).map(ToString::to_string);
    if let Some(new) = &trouble
        && place.as_deref().map(words) != Some(words(new))
    {
        warn!(trouble = %new, why = words(new), "the tunnel goes on");
    }
    *place = trouble.map(Arc::new);
}

/// Waits for all parts; where one ends, the others have to, and a panic is a trouble like any other.
async fn oversee(mut parts: JoinSet<Option<Trouble>>, shared: Arc<Shared>, cancel: CancellationToken) {
    while let Some(done) = parts.join_next().await {
        match done {
            Ok(None) => {}
            Ok(Some(trouble)) => shared.end(trouble),
            Err(error) => shared.end(Trouble::Broken(error.to_string())),
        }
        cancel.cancel();
    }
}

/// A tunnel that is up. With the handle it ends, if nobody has stopped it before.
#[derive(Debug)]
pub struct Tunnel {
    name: String,
    by_hand: bool,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    _end: DropGuard,
}

impl Tunnel {
    /// Makes the device, sets its addresses and routes, and carries packets from then on. Has the lines of
    /// the mesh: a tunnel that was there before ends.
    ///
    /// # Errors
    /// [`StartError`]; then nothing is left behind.
    pub async fn start(
        config: Config,
        mesh: &Mesh,
        view: watch::Receiver<Arc<View>>,
    ) -> Result<Self, StartError> {
        config.check()?;
        let Config { name, mtu, opened, hands, phones } = config;
        let (me, tasks) = (mesh.node_id(), TaskTracker::new());
        let shared = Arc::new(Shared::default());
        let mut parts = JoinSet::new();
        let cancel = CancellationToken::new();
        let by_hand = hands.is_some();
        let (ground, intake) = if let Some(hands) = hands {
            of_hands(hands)
        } else if let Some(fd) = opened {
            let failed = |source| StartError::Device { name: name.clone(), source };
            of_device(Device::around(fd, false).map_err(failed)?)
        } else {
            let device = Device::make(&name)?;
            let (kernel, events) = Kernel::of(&name, mtu, &tasks).await?;
            let (view, shared, filter) = (view.clone(), Arc::clone(&shared), Filter::default());
            let mut upkeep = Upkeep { me, device: name.clone(), kernel, events, view, shared, filter };
            upkeep.begin().await?;
            parts.spawn(upkeep.run(cancel.clone()));
            of_device(device)
        };
        let pump = Pump {
            me,
            ground,
            intake,
            lines: mesh.lines().await,
            view,
            shared: Arc::clone(&shared),
            clock: Clock::start(),
            ports: mesh.bound().iter().map(std::net::SocketAddr::port).collect(),
            mtu,
            phones,
        };
        parts.spawn(pump.run(cancel.clone()));
        tasks.spawn(oversee(parts, Arc::clone(&shared), cancel.clone()));
        info!(device = %name, by_hand, "the tunnel is up");
        let end = cancel.clone().drop_guard();
        Ok(Self { name, by_hand, shared, tasks, cancel, _end: end })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is no device, and somebody else has the packets.
    pub const fn is_by_hand(&self) -> bool {
        self.by_hand
    }

    /// Everybody whom packets went to or came from.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let peers = self.shared.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.iter().map(|(node, (known, line))| status(*node, known, line.as_ref())).collect()
    }

    /// Who asked for what that nothing opens, the newest first: the last ones since the tunnel began.
    pub fn refused(&self) -> Vec<Refused> {
        self.shared.refusals.all()
    }

    /// What is wrong; if it has ended, why.
    pub fn troubles(&self) -> Vec<Arc<Trouble>> {
        let now = self.shared.troubles();
        match &now.ended {
            Some(ended) => vec![Arc::clone(ended)],
            None => [&now.routes, &now.filter].into_iter().flatten().cloned().collect(),
        }
    }

    /// Waits until it has ended, by itself or because it was stopped.
    pub async fn ended(&self) {
        self.cancel.cancelled().await;
    }

    /// Takes the device away, and what was set for it.
    ///
    /// # Errors
    /// [`LateStop`] if that takes longer than `within`; the rest ends with the process.
    pub async fn stop(&self, within: Duration) -> Result<(), LateStop> {
        self.cancel.cancel();
        self.tasks.close();
        timeout(within, self.tasks.wait()).await.map_err(|_| LateStop(within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_breaks_is_seen_and_ends_the_others() {
        let (shared, cancel) = (Arc::new(Shared::default()), CancellationToken::new());
        let mut parts = JoinSet::new();
        let waits = cancel.clone();
        parts.spawn(async move {
            waits.cancelled().await;
            None
        });
        parts.spawn(async { panic!("a defect") });
        oversee(parts, Arc::clone(&shared), cancel.clone()).await;
        assert!(cancel.is_cancelled());
        let ended = shared.troubles().ended.clone().unwrap();
        assert!(matches!(&*ended, Trouble::Broken(why) if why.contains("a defect")), "{ended}");
    }
}

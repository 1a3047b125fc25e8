//! The handle, and how the parts start and stop.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use freehold_mesh::{Line, Mesh};
use freehold_wire::NodeId;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::count::PeerStatus;
use crate::device::Device;
use crate::kernel::{Kernel, RouteError};
use crate::peer::{Clock, Known, status};
use crate::pump::{Pump, wanted};
use crate::{Config, StartError, View};

/// Stopping took longer than allowed; what was left was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tunnel did not stop within {0:?}")]
pub struct LateStop(Duration);

/// What is wrong with a tunnel that has started.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It has ended: the device is gone, or was taken away.
    #[error("the network device of the tunnel is gone")]
    Device(#[source] io::Error),
    /// It has ended: somebody else has the lines of the mesh, or the mesh has ended.
    #[error("the lines of the mesh are gone")]
    Lines,
    /// It goes on, but some addresses or routes are not set; tried again when the log changes.
    #[error("some routes of the tunnel are not set")]
    Routes(#[source] RouteError),
}

/// A peer and its line.
type Seen = (Arc<Known>, Option<Line>);

/// What both the handle and the pump know.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    peers: RwLock<BTreeMap<NodeId, Seen>>,
    trouble: Mutex<Option<Arc<Trouble>>>,
}

impl Shared {
    pub(crate) fn learn(&self, node: NodeId, known: &Arc<Known>, line: Option<&Line>) {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        peers.insert(node, (Arc::clone(known), line.cloned()));
    }

    pub(crate) fn forget(&self, stays: impl Fn(&NodeId) -> bool) {
        self.peers.write().unwrap_or_else(PoisonError::into_inner).retain(|node, _| stays(node));
    }

    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble.map(Arc::new);
    }
}

/// A tunnel that is up. With the handle it ends, if nobody has stopped it before.
#[derive(Debug)]
pub struct Tunnel {
    name: String,
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
        let Config { name, mtu, opened } = config;
        let (me, tasks) = (mesh.node_id(), TaskTracker::new());
        let (device, kernel) = if let Some(fd) = opened {
            let failed = |source| StartError::Device { name: name.clone(), source };
            (Device::around(fd, false).map_err(failed)?, None)
        } else {
            let device = Device::make(&name)?;
            let mut kernel = Kernel::of(&name, mtu, &tasks).await?;
            let first = wanted(&view.borrow(), me);
            if let Err(error) = kernel.want(&first).await {
                kernel.leave().await;
                return Err(error.into());
            }
            (device, Some(kernel))
        };
        let shared = Arc::new(Shared::default());
        let pump = Pump {
            me,
            device: Arc::new(device),
            kernel,
            lines: mesh.lines().await,
            view,
            shared: Arc::clone(&shared),
            clock: Clock::start(),
            ports: mesh.bound().iter().map(std::net::SocketAddr::port).collect(),
            mtu,
        };
        let cancel = CancellationToken::new();
        tasks.spawn(pump.run(cancel.clone()));
        info!(device = %name, "the tunnel is up");
        let end = cancel.clone().drop_guard();
        Ok(Self { name, shared, tasks, cancel, _end: end })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everybody whom packets went to or came from.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let peers = self.shared.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.iter().map(|(node, (known, line))| status(*node, known, line.as_ref())).collect()
    }

    /// What is wrong, if something is.
    pub fn trouble(&self) -> Option<Arc<Trouble>> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

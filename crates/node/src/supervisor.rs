//! Planes and their tasks: every task belongs to a plane, every plane is started in order and
//! stopped in reverse, and who is late is named.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a plane may take to stop before it is left behind: longer than any write under way,
/// shorter than systemd's patience (90 s).
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// How a plane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not yet doing its work.
    Starting,
    /// Doing its work.
    Up(String),
    /// Doing part of it, with the reason.
    Degraded(String),
    /// Nobody has asked for what it does, with what to type for it.
    Idle(String),
    /// Switched off, or not possible here, with the reason; the node does without.
    Off(String),
    /// Ended, with the reason.
    Failed(String),
}

/// A group of tasks with one purpose and one fate.
#[derive(Debug, Clone)]
pub struct Plane {
    name: &'static str,
    cancel: CancellationToken,
    tasks: TaskTracker,
    board: Arc<Mutex<BTreeMap<&'static str, Health>>>,
    failed: CancellationToken,
}

impl Plane {
    /// Says when the plane is to stop.
    pub const fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Runs a task of this plane. If it panics, that is told.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let plane = self.clone();
        self.tasks.spawn(async move {
            if let Err(why) = unless_it_panics(task).await {
                tracing::error!(plane = plane.name, why, "a task of the plane failed");
                plane.report(Health::Failed(why));
            }
        });
    }

    /// Runs a task without which the node is of no use: if it ends early, the node stops.
    pub fn spawn_vital<F>(&self, task: F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let plane = self.clone();
        self.tasks.spawn(async move {
            let ended = unless_it_panics(task).await.flatten();
            if !plane.cancel.is_cancelled() {
                let why = ended.err().unwrap_or_else(|| "ended early".to_owned());
                tracing::error!(plane = plane.name, why, "plane failed");
                plane.report(Health::Failed(why));
                plane.failed.cancel();
            }
        });
    }

    /// Says how the plane is.
    pub fn report(&self, health: Health) {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).insert(self.name, health);
    }
}

/// A panic must not leave a plane that says it runs.
async fn unless_it_panics<T>(task: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(task).catch_unwind().await.map_err(|panic| {
        let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        format!("a fault in the program: {said}")
    })
}

/// Starts planes in order and stops them in reverse.
#[derive(Debug, Default)]
pub struct Supervisor {
    planes: Vec<Plane>,
    board: Arc<Mutex<BTreeMap<&'static str, Health>>>,
    failed: CancellationToken,
}

impl Supervisor {
    /// The next plane, above those made before it.
    pub fn plane(&mut self, name: &'static str) -> Plane {
        let plane = Plane {
            name,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            board: Arc::clone(&self.board),
            failed: self.failed.clone(),
        };
        plane.report(Health::Starting);
        self.planes.push(plane.clone());
        plane
    }

    /// A handle that reads the health of all planes.
    pub fn board(&self) -> Board {
        Board { board: Arc::clone(&self.board), order: self.planes.iter().map(|p| p.name).collect() }
    }

    /// Ends when a vital task has failed.
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// Returns when a vital task has failed: which plane, and why.
    pub async fn broke(&self) -> String {
        self.failed.cancelled().await;
        let why = self.board().read().into_iter().find_map(|(name, health)| match health {
            Health::Failed(why) => Some(format!("{name}: {why}")),
            _ => None,
        });
        why.unwrap_or_default()
    }

    /// Stops all planes, the last started first; returns the names of those that were late.
    pub async fn stop(self) -> Vec<&'static str> {
        let mut late = Vec::new();
        for plane in self.planes.into_iter().rev() {
            plane.cancel.cancel();
            plane.tasks.close();
            if tokio::time::timeout(STOP_WITHIN, plane.tasks.wait()).await.is_err() {
                tracing::warn!(plane = plane.name, tasks = plane.tasks.len(), "did not stop in time");
                late.push(plane.name);
            }
        }
        late
    }
}

/// Reads how the planes are.
#[derive(Debug, Clone)]
pub struct Board {
    board: Arc<Mutex<BTreeMap<&'static str, Health>>>,
    order: Vec<&'static str>,
}

impl Board {
    /// All planes in the order they were started in.
    pub fn read(&self) -> Vec<(&'static str, Health)> {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        self.order.iter().filter_map(|name| board.get(name).map(|health| (*name, health.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn planes_stop_in_reverse_and_a_failed_vital_task_is_told() {
        let mut supervisor = Supervisor::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        for name in ["lower", "upper"] {
            let plane = supervisor.plane(name);
            let (cancel, order) = (plane.cancel().clone(), Arc::clone(&order));
            plane.spawn(async move {
                cancel.cancelled().await;
                order.lock().unwrap().push(name);
            });
        }
        supervisor.plane("broken").spawn_vital(async { Err("disk gone".to_owned()) });
        supervisor.failed().cancelled().await;
        assert_eq!(supervisor.board().read()[2].1, Health::Failed("disk gone".to_owned()));
        assert!(supervisor.stop().await.is_empty());
        assert_eq!(*order.lock().unwrap(), ["upper", "lower"]);
    }

    #[tokio::test]
    async fn a_panic_is_told_and_of_a_vital_task_ends_the_node() {
        let mut supervisor = Supervisor::default();
        let plane = supervisor.plane("vital");
        plane.report(Health::Up(String::new()));
        plane.spawn_vital(async { panic!("an index of {}", 7) });
        supervisor.failed().cancelled().await;
        let other = supervisor.plane("other");
        other.spawn(async { panic!("nothing there") });
        other.tasks.close();
        other.tasks.wait().await;
        let told = |text: &str| Health::Failed(format!("a fault in the program: {text}"));
        let board: Vec<_> = supervisor.board().read().into_iter().map(|(_, health)| health).collect();
        assert_eq!(board, [told("an index of 7"), told("nothing there")]);
    }
}

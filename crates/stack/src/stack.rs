//! The handle, and how the parts start and stop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::comers::Comers;
use crate::desk::Desk;
use crate::dial::Dialer;
use crate::purse::Purse;
use crate::realm::Realm;
use crate::table::{Limits, Table};

/// Batches and packets between tunnel and stack: what comes is dealt out at once, what goes waits for the line.
const BATCHES: usize = 64;
const PACKETS: usize = 256;

/// How the stack is to be.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The largest packet, in bytes: that of the tunnel.
    pub mtu: u16,
    /// What others may have of this machine.
    pub limits: Limits,
}

/// The tunnel's ends of what is between it and the stack.
#[derive(Debug)]
pub struct Ends {
    /// What came.
    pub to: mpsc::Sender<Vec<Bytes>>,
    /// What goes.
    pub from: mpsc::Receiver<Bytes>,
}

/// Stopping took longer than allowed; what was left was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("connections did not end within {0:?}")]
pub struct LateStop(Duration);

/// A stack that is up. With the handle it ends, if nobody has stopped it before.
#[derive(Debug)]
pub struct Stack {
    dialer: Dialer,
    tasks: TaskTracker,
    cancel: CancellationToken,
    _end: DropGuard,
}

impl Stack {
    /// Starts it; the tunnel gets the ends.
    pub fn start(config: Config, realm: Arc<dyn Realm>) -> (Self, Ends) {
        let (to, from_tunnel) = mpsc::channel(BATCHES);
        let (out, from) = mpsc::channel(PACKETS);
        let Config { mtu, limits } = config;
        let purse = Purse::new(limits.memory);
        let (table, comers) = (Arc::new(Table::new(limits)), Comers::default());
        let dialer = Dialer { realm, table, purse, comers, out, mtu };
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let desk = Desk { dialer: dialer.clone(), tasks: tasks.clone(), cancel: cancel.clone() };
        tasks.spawn(desk.run(from_tunnel));
        let end = cancel.clone().drop_guard();
        (Self { dialer, tasks, cancel, _end: end }, Ends { to, from })
    }

    /// Opens connections through it.
    pub fn dialer(&self) -> Dialer {
        self.dialer.clone()
    }

    /// How many connections and flows of datagrams there are.
    pub fn flows(&self) -> usize {
        self.dialer.table.len()
    }

    /// Cuts every connection, and tells the other sides.
    ///
    /// # Errors
    /// [`LateStop`] if that takes longer than `within`; the rest ends with the process.
    pub async fn stop(&self, within: Duration) -> Result<(), LateStop> {
        self.cancel.cancel();
        self.tasks.close();
        timeout(within, self.tasks.wait()).await.map_err(|_| LateStop(within))
    }
}

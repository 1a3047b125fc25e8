//! Sees to it that the kernel knows what the log says, for as long as the tunnel is there: addresses, routes and
//! the packet filter's table. It looks whenever the log or something on the machine has changed, and each minute.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use freehold_wire::{NodeId, Prefix};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::View;
use crate::filter::{self, Table, closed};
use crate::kernel::{Events, Kernel, RouteError, Wanted};
use crate::nft::{FilterError, Nft};
use crate::tunnel::{Shared, Trouble};

/// What nobody tells of is seen after this time.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// Between two looks, however much happens.
const REST: Duration = Duration::from_secs(1);

/// The owner of what is set.
pub(crate) struct Upkeep {
    pub(crate) me: NodeId,
    pub(crate) device: String,
    pub(crate) kernel: Kernel,
    pub(crate) events: Events,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) filter: Filter,
}

/// What holds the table, and what it was told last.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    nft: Option<Nft>,
    made: Option<Table>,
}

impl Upkeep {
    /// Sets everything for the first time.
    ///
    /// # Errors
    /// If there is no way at all; a network that is also somebody else's is only told.
    pub(crate) async fn begin(&mut self) -> Result<(), RouteError> {
        match self.look().await {
            Err(error @ RouteError::Taken { .. }) => {
                self.shared.routes(Some(error));
                Ok(())
            }
            Err(error) => {
                self.kernel.leave().await;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    pub(crate) async fn run(mut self, cancel: CancellationToken) -> Option<Trouble> {
        let mut looked = Instant::now();
        loop {
            let wakes = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                changed = self.view.changed() => changed,
                _ = self.events.next() => self.rest(looked).await,
                () = self.filter.lost() => self.rest(looked).await,
                () = sleep(LOOK_AGAIN) => Ok(()),
            };
            if wakes.is_err() {
                break;
            }
            // One look is for all that has come until now.
            while self.events.try_recv().is_ok() {}
            let trouble = self.look().await.err();
            self.shared.routes(trouble);
            looked = Instant::now();
        }
        self.kernel.leave().await;
        None
    }

    /// Whatever happens on the machine may wait a moment; the log may not.
    async fn rest(&mut self, looked: Instant) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.view.changed() => changed,
            () = sleep_until(looked + REST) => Ok(()),
        }
    }

    async fn look(&mut self) -> Result<(), RouteError> {
        let view = Arc::clone(&self.view.borrow_and_update());
        let (set, done) = self.kernel.want(&wanted(&view, self.me)).await;
        let table = table(&self.device, &view, &set);
        self.shared.filter(self.filter.make(table).await.err());
        done
    }
}

impl Filter {
    /// Makes the table so, if it is not.
    async fn make(&mut self, table: Table) -> Result<(), FilterError> {
        if self.made.as_ref() == Some(&table) {
            return Ok(());
        }
        let mut nft = match self.nft.take() {
            Some(nft) => nft,
            None => Nft::start()?,
        };
        self.made = None;
        let done = nft.make(&table).await;
        match &done {
            Ok(()) => (self.nft, self.made) = (Some(nft), Some(table)),
            // What it had it has.
            Err(FilterError::Refused(_)) => self.nft = Some(nft),
            Err(_) => {}
        }
        done
    }

    /// Waits until the table is lost; for ever, if there is none.
    async fn lost(&mut self) {
        match &mut self.nft {
            Some(nft) => nft.ended().await,
            None => std::future::pending().await,
        }
        (self.nft, self.made) = (None, None);
    }
}

/// What the kernel is to know at a view.
fn wanted(view: &View, me: NodeId) -> Wanted {
    Wanted {
        addresses: view.own(me).into_iter().collect(),
        networks: view.networks.iter().copied().collect(),
    }
}

/// What the packet filter is to know, with these networks routed to the device.
fn table(device: &str, view: &View, set: &BTreeSet<Prefix>) -> Table {
    // An IPv4 network that this machine is in by another device as well is not shut off from it.
    let ours = |network: &&Prefix| network.first().is_ipv6() || set.contains(network);
    let networks: Vec<Prefix> = view.realm.iter().filter(ours).copied().collect();
    Table { name: filter::name(device), chains: closed(&[device, "lo"], &networks, passes_on()) }
}

/// Whether this machine passes packets on from one device to another.
fn passes_on() -> bool {
    let settings = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];
    settings.iter().any(|path| std::fs::read_to_string(path).is_ok_and(|said| said.trim() == "1"))
}

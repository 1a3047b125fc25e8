//! The realm's network as this node sees it: who may reach whom, what everything is called, and what the zone
//! answers, made anew when the log or the directory say something else, or a time comes at which a right begins
//! or lapses. Whoever carries packets or answers for names takes it from here.

pub(crate) mod answers;
pub(crate) mod called;
pub(crate) mod carrying;
pub(crate) mod change;
pub(crate) mod choice;
pub(crate) mod door;
pub(crate) mod filter;
pub(crate) mod followed;
pub(crate) mod grants;
#[cfg(test)]
pub(crate) mod lab;
pub(crate) mod lending;
pub(crate) mod mapping;
mod near;
pub(crate) mod onion;
pub(crate) mod outlets;
pub(crate) mod papers;
pub(crate) mod phones;
pub(crate) mod ports;
pub(crate) mod stack;
pub(crate) mod story;
pub(crate) mod told;
pub(crate) mod ways;
mod zone;

use std::sync::Arc;
use std::time::Duration;

use freehold_names::Row;
use freehold_reach::Net;
use freehold_realm::{State, network_of};
use freehold_wire::{Millis, Prefix};
use tokio::sync::watch;

pub use self::answers::{NamesWish, SystemWish};
use self::called::{Called, Said, Thing};
pub use self::carrying::TunnelWish;
pub use self::door::DoorWish;
pub use self::outlets::ProxyWish;
pub use self::phones::PhonesWish;
use crate::clock;
use crate::log::View;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// However far away the next time is: the machine may sleep meanwhile, or its clock be set.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The network at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Rises whenever rights may have changed: what was let in is to be asked about again.
    pub generation: u64,
    /// Who may reach whom.
    pub net: Arc<Net>,
    /// What everything is called.
    pub called: Arc<Called>,
    /// What this node answers about the realm's names.
    pub zone: Arc<[Row]>,
    /// The networks that the realm's addresses are in.
    pub own: [Prefix; 2],
}

/// What everything in the network is called now.
pub(crate) fn called(shared: &Shared, state: &State) -> Called {
    Called::of(state, &Said::heard(shared, state))
}

/// What `me` answers about the realm's names changes with each of these.
fn look(shared: &Shared, view: &View, before: Option<&Snapshot>, is_new: bool, now: Millis) -> Snapshot {
    let state = view.state();
    let net = match before {
        Some(before) if !is_new => Arc::clone(&before.net),
        _ => {
            let net = Net::of(state, shared.me(), &shared.strangers.guests(state, now), now);
            Arc::new(net.with_abroad(state, shared.strangers.services(), now))
        }
    };
    let called = Arc::new(called(shared, state));
    let generation = before.map_or(0, |before| before.generation) + u64::from(is_new);
    // Seconds, so that it rises over a restart as well.
    let serial = u32::try_from(now.0 / 1000).unwrap_or(u32::MAX);
    let abroad = grants::names::abroad(state, &called, &shared.strangers.told());
    let zone = zone::rows(state, &net, &called, shared.me(), serial);
    let zone = zone.into_iter().chain(grants::names::rows(&abroad, serial)).collect();
    Snapshot { generation, net, called, zone, own: [network_of(&state.realm), state.network.range] }
}

/// Starts to keep the view; it ends with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) -> watch::Receiver<Arc<Snapshot>> {
    // Before the first look, so that nothing is missed between.
    let (log, directory) = (shared.log.watch(), shared.watch_directory());
    let strangers = shared.strangers.watch();
    let seen = shared.log.view();
    let first = Arc::new(look(shared, &seen, None, true, clock::wall()));
    plane.report(health(shared, &first));
    let (sender, view) = watch::channel(first);
    plane.spawn_vital(keep(Arc::clone(shared), plane.clone(), sender, (log, directory, strangers), seen));
    view
}

async fn keep(
    shared: Arc<Shared>,
    plane: Plane,
    sender: watch::Sender<Arc<Snapshot>>,
    (mut log, mut directory, mut strangers): (
        watch::Receiver<Arc<View>>,
        watch::Receiver<u64>,
        watch::Receiver<u64>,
    ),
    mut seen: Arc<View>,
) -> Result<(), String> {
    loop {
        let due = sender.borrow().net.next_change();
        let wait =
            due.map_or(LOOK_AGAIN, |due| Duration::from_millis(due.since(clock::wall()).0).min(LOOK_AGAIN));
        let is_due = tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return Ok(()),
            changed = log.changed() => {
                changed.map_err(|_| "the realm log ended".to_owned())?;
                false
            }
            changed = directory.changed() => {
                changed.map_err(|_| "the directory ended".to_owned())?;
                false
            }
            changed = strangers.changed() => {
                changed.map_err(|_| "what other realms say ended".to_owned())?;
                true
            }
            () = tokio::time::sleep(wait) => {
                if due.is_none_or(|due| clock::wall() < due) {
                    continue;
                }
                true
            }
        };
        let view = log.borrow_and_update().clone();
        // Whatever woke this: the log may have changed since.
        let is_new = is_due || !Arc::ptr_eq(&view, &seen);
        seen = Arc::clone(&view);
        let before = sender.borrow().clone();
        let next = Arc::new(look(&shared, &view, Some(&before), is_new, clock::wall()));
        plane.report(health(&shared, &next));
        sender.send_replace(next);
    }
}

/// Where this node is in the network, and what is wrong with the whole.
fn health(shared: &Shared, now: &Snapshot) -> Health {
    let troubles = troubles(&now.net);
    if !troubles.is_empty() {
        return Health::Degraded(troubles.join("; "));
    }
    let own = now.net.addresses(freehold_reach::Party::Node(shared.me()));
    Health::Up(match own {
        Some((address, _)) => format!("{} at {address}", now.called.domain(Thing::Node(shared.me()))),
        None => "this machine has no rights in the realm's network".to_owned(),
    })
}

/// What is wrong with the network as a whole, in words.
pub(crate) fn troubles(net: &Net) -> Vec<String> {
    let (twice, left_out) = net.troubles();
    let twice = twice
        .iter()
        .map(|at| format!("two machines come to the address {at}, and the one that was here first keeps it"));
    let left_out = (left_out > 0).then(|| format!("there was no room for {left_out} machines or phones"));
    twice.chain(left_out).collect()
}

//! What all tasks of the mesh know, and how they tell the owner and the hub.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use freehold_ports::Porter;
use freehold_wire::NodeId;
use iroh::endpoint::{QuicTransportConfig, ServerConfig};
use iroh::{Endpoint, EndpointAddr, EndpointId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blob::Places;
use crate::errand::Trips;
use crate::hub::Input;
use crate::line::Line;
use crate::lines::LineInput;
use crate::link::Link;
use crate::relay::House;
use crate::{Addresses, BlobSource, Doorman, Event, Gate, RelayUrl, Trouble, Why};

/// Relays of the realm tried for each peer.
pub(crate) const REALM_RELAYS: usize = 8;

/// What all tasks of the mesh know.
pub(crate) struct Shared {
    pub(crate) me: NodeId,
    pub(crate) endpoint: Endpoint,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) blobs: Arc<dyn BlobSource>,
    pub(crate) doorman: Arc<dyn Doorman>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) relay: Option<House>,
    pub(crate) addresses: watch::Sender<Addresses>,
    /// Places for newcomers at the door, and for blobs on their way out.
    pub(crate) door_places: Porter,
    pub(crate) blob_places: Places,
    pub(crate) call_places: Porter,
    pub(crate) errand_places: Porter,
    pub(crate) trips: Trips,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) hub: mpsc::Sender<Input>,
    /// Live links; written by the hub and by a link's own end.
    pub(crate) links: RwLock<BTreeMap<NodeId, Arc<Link>>>,
    /// What is known of peers that ought to be there.
    pub(crate) notes: RwLock<BTreeMap<NodeId, Note>>,
    /// Where peers are, and the relays in use.
    pub(crate) places: RwLock<(BTreeMap<NodeId, Addresses>, Vec<RelayUrl>)>,
    /// Relays of others that this node may use.
    pub(crate) borrowed: RwLock<BTreeSet<RelayUrl>>,
    /// Where machines of other realms are, for lines.
    pub(crate) abroad: RwLock<BTreeMap<NodeId, Addresses>>,
    pub(crate) lines_hub: mpsc::Sender<LineInput>,
    /// Lines that are open; written by their owner and by a line's own end.
    pub(crate) lines: RwLock<Vec<Line>>,
    /// What lines are dialled and let in with.
    pub(crate) line_transport: QuicTransportConfig,
    pub(crate) line_server: Arc<ServerConfig>,
    /// So long a line stays without datagrams.
    pub(crate) line_idle: Duration,
}

/// What is known of a peer beside its link.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Note {
    pub(crate) trouble: Option<Trouble>,
    pub(crate) heard: Option<Instant>,
}

impl Shared {
    pub(crate) fn link(&self, node: NodeId) -> Option<Arc<Link>> {
        self.links.read().ok()?.get(&node).map(Arc::clone)
    }

    /// The link to a node whose coming the owner has been told of.
    pub(crate) fn told_link(&self, node: NodeId) -> Option<Arc<Link>> {
        self.link(node).filter(|link| link.is_told())
    }

    /// Takes a link out of the table unless a newer one has its place.
    pub(crate) fn forget(&self, link: &Arc<Link>) {
        if let Ok(mut links) = self.links.write()
            && links.get(&link.node).is_some_and(|live| Arc::ptr_eq(live, link))
        {
            links.remove(&link.node);
        }
    }

    /// What iroh dials to reach a node.
    pub(crate) fn known_target(&self, node: NodeId, id: EndpointId) -> EndpointAddr {
        match self.places.read() {
            Ok(places) => {
                let (addresses, relays) = &*places;
                let abroad = self.abroad.read().ok().and_then(|abroad| abroad.get(&node).cloned());
                // Our own relays lead to nobody else's machines.
                let relays = relays.iter().take(if abroad.is_some() { 0 } else { REALM_RELAYS });
                let abroad = abroad.unwrap_or_default();
                addresses.get(&node).unwrap_or(&abroad).endpoint(id, relays)
            }
            Err(_) => id.into(),
        }
    }

    pub(crate) fn keep_line(&self, line: &Line) {
        if let Ok(mut lines) = self.lines.write() {
            lines.push(line.clone());
        }
    }

    pub(crate) fn forget_line(&self, line: &Line) {
        if let Ok(mut lines) = self.lines.write() {
            lines.retain(|other| !other.is(line));
        }
    }

    /// Ends the lines to a node at once.
    pub(crate) fn cut_lines(&self, node: NodeId) {
        if let Ok(lines) = self.lines.read() {
            lines.iter().filter(|line| line.node() == node).for_each(|line| line.close(Why::Cut));
        }
    }

    /// Tells the owner, waiting for it: that is what holds back peers who send faster than we work.
    pub(crate) async fn tell(&self, event: Event) {
        let Ok(place) = (tokio::select! {
            biased;
            place = self.events.reserve() => place,
            // At the end nobody may be listening any more.
            () = self.cancel.cancelled() => return,
        }) else {
            return;
        };
        place.send(event);
    }

    /// Tells the owner of the lines.
    pub(crate) async fn ask_lines(&self, input: LineInput) {
        tokio::select! {
            biased;
            _ = self.lines_hub.send(input) => {}
            () = self.cancel.cancelled() => {}
        }
    }

    /// Tells the hub.
    pub(crate) async fn ask(&self, input: Input) {
        tokio::select! {
            biased;
            _ = self.hub.send(input) => {}
            () = self.cancel.cancelled() => {}
        }
    }
}

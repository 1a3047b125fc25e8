//! Who may come in at the door: whoever the log lets use the service where it runs, and the world where a service
//! is public and this machine takes it there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use freehold_gateway::{Access, Client, Gatekeeper, Judgement, Service};
use freehold_reach::{Net, Party, explain_service};
use freehold_realm::{NodeRoles, Standing, State};
use freehold_stack::Way;
use freehold_wire::{NodeId, Prefix, ServiceId};
use tokio::sync::watch;

use super::plan::HTTPS;
use crate::clock;
use crate::net::grants::ingress;
use crate::net::near::Near;
use crate::net::stack::behind;

const TCP: u8 = 6;
const REFUSED: &str = "Nothing in this realm lets you use that. To see why: freehold net policy explain";

/// What rights follow from, at one moment.
pub(crate) struct Ground {
    pub(crate) me: NodeId,
    pub(crate) state: State,
    pub(crate) net: Arc<Net>,
    /// The networks that the realm's addresses are in.
    pub(crate) own: [Prefix; 2],
    /// Services that the world comes to this machine for.
    pub(crate) outside: BTreeSet<ServiceId>,
    /// Who is in the house around it.
    pub(crate) near: Near,
    /// What was found out already.
    found: Mutex<BTreeMap<(Party, ServiceId), bool>>,
}

impl Ground {
    pub(crate) fn new(
        me: NodeId,
        state: State,
        (net, own): (Arc<Net>, [Prefix; 2]),
        outside: BTreeSet<ServiceId>,
        near: Near,
    ) -> Self {
        Self { me, state, net, own, outside, near, found: Mutex::default() }
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        self.own.iter().any(|own| own.contains(ip))
    }

    /// Whether the log lets a party use a service where it runs.
    fn lets(&self, party: Party, service: ServiceId) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        *found.entry((party, service)).or_insert_with(|| {
            let state = &self.state;
            // Whoever sits at a machine that a service runs on reaches it anyway.
            let is_home =
                |node| state.services.get(&service).is_some_and(|known| known.homes.contains(&node));
            let at_home = party == Party::Node(self.me) && is_home(self.me);
            at_home || explain_service(state, clock::wall(), party, service, (TCP, HTTPS)).1.verdict.allowed()
        })
    }

    /// Nobody is let in for saying who they are: an address of the realm comes by the tunnel, which has seen whose
    /// it is, and no gateway is believed about one.
    fn judge(&self, client: &Client, service: &Service) -> Judgement {
        let from = client.from.ip().to_canonical();
        let is_here = from.is_loopback() || (self.is_own(from) && from == client.to.ip().to_canonical());
        let party = if is_here { Some(Party::Node(self.me)) } else { self.net.party_of(from) };
        match party {
            Some(party) if self.lets(party, service.id) => return Judgement::Allowed,
            Some(_) => return Judgement::Refused(Cow::Borrowed(REFUSED)),
            // An address of the realm without rights in it is nobody's.
            None if self.is_own(from) => return Judgement::Hidden,
            None => {}
        }
        if !self.outside.contains(&service.id) {
            return Judgement::Hidden;
        }
        let is_lan = self.near.has(from) && self.lets(Party::Lan, service.id);
        if service.access == Access::Public || is_lan { Judgement::Allowed } else { Judgement::Hidden }
    }

    /// The gateway whose address in the realm's network this is.
    fn gateway(&self, peer: IpAddr) -> Option<NodeId> {
        let node = match self.net.party_of(peer)? {
            Party::Node(node) => node,
            // A machine of a realm whose gateways this one borrows; what it brings may come only for what names that.
            Party::Guest(grant, node) if ingress::leads_here(&self.state, &grant) => return Some(node),
            _ => return None,
        };
        let known = self.state.nodes.get(&node)?;
        let stands = known.standing == Standing::Active && known.roles.contains(NodeRoles::GATEWAY);
        (stands && node != self.me).then_some(node)
    }
}

/// The gatekeeper: asks about the newest state of the log.
pub(crate) struct Keeper {
    ground: ArcSwap<Ground>,
    /// By which packets are carried here.
    way: watch::Receiver<Option<Way>>,
}

impl Keeper {
    pub(crate) fn new(ground: Ground, way: watch::Receiver<Option<Way>>) -> Self {
        Self { ground: ArcSwap::from_pointee(ground), way }
    }

    /// Goes by this from now on.
    pub(crate) fn set(&self, ground: Ground) {
        self.ground.store(Arc::new(ground));
    }
}

impl Gatekeeper for Keeper {
    fn judge(&self, client: &Client, service: &Service) -> Judgement {
        match behind(self.way.borrow().as_ref(), client.from) {
            Some(from) => self.ground.load().judge(&Client { from, to: client.to }, service),
            None => Judgement::Hidden,
        }
    }

    fn may_speak_for_others(&self, peer: IpAddr) -> bool {
        self.ground.load().gateway(peer).is_some()
    }

    /// A gateway brings people from outside. Who is inside comes by itself, so that nobody can be made out of
    /// the realm's own by a gateway that was taken over.
    fn believes(&self, peer: &Client, client: &Client) -> bool {
        let from = client.from.ip().to_canonical();
        let ground = self.ground.load();
        let is_borrowed =
            matches!(ground.net.party_of(peer.from.ip().to_canonical()), Some(Party::Guest(..)));
        // Nor can one of another realm make somebody out of the house around this machine, or of a third realm.
        if is_borrowed && (ground.near.has(from) || ground.net.party_of(from).is_some()) {
            return false;
        }
        !ground.is_own(from) && !from.is_loopback()
    }
}

#[cfg(test)]
mod tests;

//! What operations about the network do. Whoever may be reached is there because some operation says so;
//! what was ended stays ended, so that no change made elsewhere at the same time opens it again.

use std::net::{IpAddr, Ipv4Addr};

use freehold_wire::{NodeId, Prefix};

use crate::body::{
    NOBODY, NetSet, NodeNet, PhoneAdd, PhoneEnd, Ports, Preset, RuleEnd, RuleFrom, RuleSet, RuleTo,
    ServiceEnd, ServiceSet,
};
use crate::reason::{Need, Reason, Thing};
use crate::roles::MemberRoles;
use crate::set::At;
use crate::state::{NodeNetwork, Phone, Rule, Said, Service, network_of, own_range};

use super::judge::Actor;
use super::run::Run;

/// The most services, the most rules and the most networks behind nodes, each of them.
const MOST: usize = 1024;
/// The most phones.
const PHONES_MAX: usize = 4096;
/// The most services that run on one node alone, as far as that says so itself.
const OWN_SERVICES_MAX: usize = 64;
/// The most phones of one member.
const OWN_PHONES_MAX: usize = 16;
/// The fewest bits that tell one network behind a node from others.
const ROUTE_BITS_MIN: (u8, u8) = (8, 16);
/// The most bits of the range of IPv4 addresses.
const RANGE_BITS_MAX: u8 = 30;

fn ascending<T: Ord>(list: &[T]) -> bool {
    list.windows(2).all(|pair| matches!(pair, [first, second] if first < second))
}

fn ports_fit(ports: &[Ports]) -> bool {
    ascending(ports) && ports.iter().all(Ports::fits)
}

const fn fits(fit: bool) -> Result<(), Reason> {
    if fit { Ok(()) } else { Err(Reason::Numbers) }
}

const fn there(is: bool, thing: Thing) -> Result<(), Reason> {
    if is { Ok(()) } else { Err(Reason::NoSuch(thing)) }
}

impl Run<'_> {
    /// Where nodes may have IPv4 addresses.
    pub(super) fn range(&self) -> Prefix {
        let said = self.world.network.and_then(|(said, _)| said.range);
        said.unwrap_or_else(|| own_range(&self.frame.set.realm()))
    }

    /// What parts the nodes that are there have.
    fn parts(&self) -> impl Iterator<Item = (&NodeId, &NodeNetwork)> {
        let whole = self.whole();
        let there = self.world.nodes.iter().filter(move |(id, _)| whole.node_roles(id).is_some());
        there.map(|(id, row)| (id, &row.network))
    }

    fn nodes_exist(&self, nodes: &[NodeId]) -> Result<(), Reason> {
        let whole = self.whole();
        there(nodes.iter().all(|node| whole.node_roles(node).is_some()), Thing::Node)
    }

    pub(super) fn net_set(&mut self, at: At, body: &NetSet) -> Result<(), Reason> {
        self.admin(at)?;
        let fit =
            |range: Prefix| range.first().is_ipv4() && range.is_private() && range.bits() <= RANGE_BITS_MAX;
        fits(body.range.is_none_or(fit))?;
        let range = body.range.unwrap_or_else(|| own_range(&self.frame.set.realm()));
        let routes = self.parts().flat_map(|(_, part)| part.routes.iter().flat_map(|routes| &routes.what));
        if routes.into_iter().any(|route| route.overlaps(&range)) {
            return Err(Reason::InUse(Thing::Route));
        }
        self.world.network = Some((*body, self.id(at)));
        Ok(())
    }

    pub(super) fn node_net(&mut self, at: At, body: &NodeNet) -> Result<(), Reason> {
        self.admin(at)?;
        self.nodes_exist(&[body.node])?;
        if let Some(v4) = body.v4.filter(|v4| !v4.is_unspecified()) {
            self.free_address(&body.node, v4)?;
        }
        if let Some(routes) = &body.routes {
            self.free_routes(&body.node, routes)?;
        }
        if let Some(owner) = body.owner.filter(|owner| *owner != NOBODY) {
            there(self.whole().roles(&owner).is_some(), Thing::Member)?;
        }
        let by = self.id(at);
        let Some(row) = self.world.nodes.get_mut(&body.node) else { return Err(Reason::NoSuch(Thing::Node)) };
        let part = &mut row.network;
        if let Some(what) = body.v4 {
            part.v4 = (!what.is_unspecified()).then_some(Said { what, by });
        }
        if let Some(routes) = &body.routes {
            part.routes = (!routes.is_empty()).then(|| Said { what: routes.to_vec(), by });
        }
        if let Some(what) = body.owner {
            part.owner = (what != NOBODY).then_some(Said { what, by });
        }
        if let Some(exit) = body.exit {
            part.exit = exit.then_some(by);
        }
        if let Some(ingress) = body.ingress {
            part.ingress = ingress.then_some(by);
        }
        Ok(())
    }

    /// An address of the range that no other node has.
    fn free_address(&self, node: &NodeId, v4: Ipv4Addr) -> Result<(), Reason> {
        let (range, at) = (self.range(), IpAddr::from(v4));
        fits(range.contains(at) && at != range.first() && at != range.last())?;
        let has = |part: &NodeNetwork| part.v4.as_ref().is_some_and(|said| said.what == v4);
        if self.parts().any(|(id, part)| id != node && has(part)) {
            return Err(Reason::InUse(Thing::Address));
        }
        Ok(())
    }

    /// Networks of people's own, which neither are the realm's nor lie behind another node.
    fn free_routes(&self, node: &NodeId, routes: &[Prefix]) -> Result<(), Reason> {
        let (v4, v6) = ROUTE_BITS_MIN;
        let own = [network_of(&self.frame.set.realm()), self.range()];
        let fit = |route: &Prefix| {
            let narrow = route.bits() >= if route.first().is_ipv4() { v4 } else { v6 };
            narrow && route.is_private() && !own.iter().any(|own| own.overlaps(route))
        };
        fits(ascending(routes) && routes.iter().all(fit))?;
        let others = self.parts().filter(|(id, _)| *id != node);
        let others: Vec<Prefix> = others
            .flat_map(|(_, part)| part.routes.iter().flat_map(|said| said.what.iter().copied()))
            .collect();
        if routes.iter().any(|route| others.contains(route)) {
            return Err(Reason::InUse(Thing::Route));
        }
        fits(others.len() + routes.len() <= MOST)
    }

    pub(super) fn service_set(&mut self, at: At, body: &ServiceSet) -> Result<(), Reason> {
        self.operator(at)?;
        let lists = ascending(&body.homes) && ascending(&body.gateways) && ascending(&body.grants);
        fits(lists && !body.homes.is_empty() && !body.ports.is_empty() && ports_fit(&body.ports))?;
        let known = self.world.services.get(&body.service);
        there(known.is_none_or(|service| service.ended.is_none()), Thing::Service)?;
        if let Actor::Node(node, _) = self.actor(at)? {
            // It may not open to others what it does not have, nor change what others have opened.
            let own = |homes: &[NodeId], preset, grants: &[_]| {
                homes == [node] && preset != Preset::Public && grants.is_empty()
            };
            let was = known.is_none_or(|service| own(&service.homes, service.preset, &service.grants));
            if !was || !own(&body.homes, body.preset, &body.grants) {
                return Err(Reason::NotAllowed(Need::Home));
            }
            // Nor leave others no room.
            let services = self.world.services.values().filter(|service| service.ended.is_none());
            let mine = services.filter(|service| service.homes == [node]).count();
            fits(known.is_some() || mine < OWN_SERVICES_MAX)?;
        }
        self.nodes_exist(&body.homes)?;
        self.nodes_exist(&body.gateways)?;
        there(body.grants.iter().all(|grant| self.world.grants.contains_key(grant)), Thing::Grant)?;
        let live = self.world.services.values().filter(|service| service.ended.is_none()).count();
        fits(known.is_some() || live < MOST)?;
        let service = Service {
            homes: body.homes.to_vec(),
            ports: body.ports.to_vec(),
            preset: body.preset,
            grants: body.grants.to_vec(),
            gateways: body.gateways.to_vec(),
            sign_on: body.sign_on,
            said_in: self.id(at),
            ended: None,
        };
        self.world.services.insert(body.service, service);
        Ok(())
    }

    pub(super) fn service_end(&mut self, at: At, body: &ServiceEnd) -> Result<(), Reason> {
        let actor = self.actor(at)?;
        let by = self.id(at);
        let service = self.world.services.get_mut(&body.service).filter(|service| service.ended.is_none());
        let may = match actor {
            Actor::Device(_, roles) => {
                roles.contains(MemberRoles::ADMIN) || roles.contains(MemberRoles::OPERATOR)
            }
            Actor::Node(node, _) => service.as_ref().is_some_and(|service| service.homes == [node]),
            Actor::Invitation(_) => false,
        };
        if !may {
            return Err(Reason::NotAllowed(Need::Home));
        }
        service.ok_or(Reason::NoSuch(Thing::Service))?.ended = Some(by);
        Ok(())
    }

    pub(super) fn rule_set(&mut self, at: At, body: &RuleSet) -> Result<(), Reason> {
        self.admin(at)?;
        let lists = ascending(&body.from) && ascending(&body.to) && ports_fit(&body.ports);
        let services_alone = body.to.iter().all(|to| matches!(to, RuleTo::Service(_)));
        let full = !body.from.is_empty() && !body.to.is_empty() && services_alone == body.ports.is_empty();
        let silent = body.from.iter().any(|from| match from {
            RuleFrom::Members(roles) => roles.is_empty(),
            RuleFrom::Nodes(roles) => roles.is_empty(),
            _ => false,
        });
        fits(lists && full && !silent)?;
        let known = self.world.rules.get(&body.rule);
        there(known.is_none_or(|rule| rule.ended.is_none()), Thing::Rule)?;
        body.from.iter().try_for_each(|from| self.sender_exists(from))?;
        body.to.iter().try_for_each(|to| self.target_exists(to))?;
        let live = self.world.rules.values().filter(|rule| rule.ended.is_none()).count();
        fits(known.is_some() || live < MOST)?;
        let rule = Rule {
            from: body.from.to_vec(),
            to: body.to.to_vec(),
            ports: body.ports.to_vec(),
            until: body.until,
            said_in: self.id(at),
            ended: None,
        };
        self.world.rules.insert(body.rule, rule);
        Ok(())
    }

    fn sender_exists(&self, from: &RuleFrom) -> Result<(), Reason> {
        match from {
            RuleFrom::Person(person) => there(self.whole().roles(person).is_some(), Thing::Member),
            RuleFrom::Node(node) => self.nodes_exist(&[*node]),
            RuleFrom::Phone(phone) => {
                let phone = self.world.phones.get(phone);
                there(phone.is_some_and(|phone| phone.ended.is_none()), Thing::Phone)
            }
            RuleFrom::Grant(grant) => there(self.world.grants.contains_key(grant), Thing::Grant),
            RuleFrom::Members(_) | RuleFrom::Nodes(_) => Ok(()),
        }
    }

    fn target_exists(&self, to: &RuleTo) -> Result<(), Reason> {
        match to {
            RuleTo::All => Ok(()),
            RuleTo::Node(node) => self.nodes_exist(&[*node]),
            RuleTo::Service(service) => {
                let service = self.world.services.get(service);
                there(service.is_some_and(|service| service.ended.is_none()), Thing::Service)
            }
        }
    }

    pub(super) fn rule_end(&mut self, at: At, body: &RuleEnd) -> Result<(), Reason> {
        self.admin(at)?;
        let by = self.id(at);
        let rule = self.world.rules.get_mut(&body.rule).filter(|rule| rule.ended.is_none());
        rule.ok_or(Reason::NoSuch(Thing::Rule))?.ended = Some(by);
        Ok(())
    }

    pub(super) fn phone_add(&mut self, at: At, body: &PhoneAdd) -> Result<(), Reason> {
        match self.actor(at)? {
            Actor::Device(_, roles) if roles.contains(MemberRoles::ADMIN) => {}
            Actor::Device(person, roles) if person == body.person => {
                if !roles.contains(MemberRoles::MEMBER) && !roles.contains(MemberRoles::OPERATOR) {
                    return Err(Reason::NotAllowed(Need::Member));
                }
            }
            _ => return Err(Reason::NotAllowed(Need::Member)),
        }
        fits(ascending(&body.gateways) && !body.gateways.is_empty())?;
        there(self.whole().roles(&body.person).is_some(), Thing::Member)?;
        self.nodes_exist(&body.gateways)?;
        let Some(given_by) = self.frame.set.entry(at).map(|e| e.author) else { return Err(Reason::Stranger) };
        let known = self.world.phones.get(&body.phone);
        if known.is_some_and(|it| it.ended.is_some() || it.key != body.key || it.person != body.person) {
            return Err(Reason::InUse(Thing::Phone));
        }
        let live = self.world.phones.iter().filter(|(id, it)| it.ended.is_none() && **id != body.phone);
        let live: Vec<&Phone> = live.map(|(_, phone)| phone).collect();
        if live.iter().any(|phone| phone.key == body.key) {
            return Err(Reason::InUse(Thing::Key));
        }
        let own = live.iter().filter(|phone| phone.person == body.person).count();
        fits(own < OWN_PHONES_MAX && live.len() < PHONES_MAX)?;
        let phone = Phone {
            key: body.key,
            person: body.person,
            given_by,
            gateways: body.gateways.to_vec(),
            until: body.until,
            said_in: self.id(at),
            ended: None,
        };
        self.world.phones.insert(body.phone, phone);
        Ok(())
    }

    pub(super) fn phone_end(&mut self, at: At, body: &PhoneEnd) -> Result<(), Reason> {
        let actor = self.actor(at)?;
        let by = self.id(at);
        let phone = self.world.phones.get_mut(&body.phone).filter(|phone| phone.ended.is_none());
        let may = match actor {
            Actor::Device(person, roles) => {
                let own = phone.as_ref().is_some_and(|phone| phone.person == person);
                roles.contains(MemberRoles::ADMIN) || own
            }
            Actor::Node(..) | Actor::Invitation(_) => false,
        };
        if !may {
            return Err(Reason::NotAllowed(Need::Member));
        }
        phone.ok_or(Reason::NoSuch(Thing::Phone))?.ended = Some(by);
        Ok(())
    }
}

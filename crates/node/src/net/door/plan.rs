//! What the door of this machine shows, as log and directory say: decisions only. Where something is missing that
//! would keep people out, a service is left out and that is told; it is never shown more openly.

mod claims;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use freehold_certs::{Method, Signer, Wanted};
use freehold_gateway::{
    Access, HeaderRules, Host, Hsts, Limits, Rate, Service as Shown, SignOn, Speaks, Target, Upstream, Web,
};
use freehold_reach::address;
use freehold_realm::body::Preset;
use freehold_realm::{NodeRoles, Service, Standing, State};
use freehold_seal::{Proof, PublicAuthority, Published, TlsEnds};
use freehold_wire::{NodeId, PersonId, RealmId, ServiceId};

use self::claims::Teller;
use super::asked::DOOR_PORTS;
use super::sign_on;
use crate::net::called::{Called, Thing};
use crate::net::grants::ingress;

/// Where the door answers at a service's address.
pub(crate) const HTTPS: u16 = 443;
/// And without encryption.
pub(crate) const HTTP: u16 = 80;
/// A sign-on answers within this time.
const SIGN_ON_WITHIN: Duration = Duration::from_secs(10);

/// What it goes by.
pub(crate) struct Ground<'a> {
    pub(crate) me: NodeId,
    pub(crate) state: &'a State,
    pub(crate) called: &'a Called,
    /// How each service is published, and which node has said so.
    pub(crate) published: &'a BTreeMap<ServiceId, (NodeId, Published)>,
    /// On whose device each node is, or was.
    pub(crate) owners: &'a BTreeMap<NodeId, PersonId>,
    /// Which service each name leads to until now.
    pub(crate) held: &'a BTreeMap<Host, ServiceId>,
    pub(crate) authority: Option<&'a PublicAuthority>,
    /// Whether packets are carried here, by a network device.
    pub(crate) carries: bool,
    /// Whether records can be put into the zone.
    pub(crate) has_records: bool,
}

/// What is shown here.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) services: Vec<Shown>,
    /// Addresses of services that the door answers at.
    pub(crate) inside: BTreeSet<IpAddr>,
    /// Whether this machine takes something to the outside.
    pub(crate) is_gateway: bool,
    /// Services that people come for from outside, by whatever gateway.
    pub(crate) outside: BTreeSet<ServiceId>,
    /// Certificates for names that TLS ends for here.
    pub(crate) wanted: Vec<Wanted>,
    /// Names whose keys stay on this machine.
    pub(crate) kept_here: BTreeSet<String>,
    /// The names of each service, for telling.
    pub(crate) names: BTreeMap<ServiceId, Vec<String>>,
    /// What is wrong with a service.
    pub(crate) troubles: Vec<(ServiceId, String)>,
    /// The service that each name leads to.
    taken: BTreeMap<Host, ServiceId>,
}

impl Plan {
    /// What is to be shown.
    pub(crate) fn of(ground: &Ground<'_>) -> Self {
        let mut plan = Self { taken: claims::settle(ground), ..Self::default() };
        for (id, service) in ground.state.live_services() {
            if let Some((by, published)) = ground.published.get(id) {
                plan.add(ground, (*id, service), *by, published);
            }
        }
        plan
    }

    /// Adds what other realms ask for. Whoever is outside may come for it: it is decided where it leads to.
    pub(crate) fn add_lent(&mut self, asked: &[(RealmId, freehold_passes::Host)]) {
        let lent = ingress::shown(asked, &self.services);
        self.is_gateway |= !lent.is_empty();
        self.outside.extend(lent.iter().map(|service| service.id));
        self.services.extend(lent);
    }

    /// No authority is asked about a name that leads to another realm's gateway before that takes it in: it would only
    /// fail, and be slower the next time.
    pub(crate) fn wait_for_gateways(&mut self, state: &State, taken: &BTreeSet<String>) {
        for (id, names) in &self.names {
            let Some(known) = state.services.get(id).filter(|known| known.gateways.is_empty()) else {
                continue;
            };
            if !known.grants.iter().any(|grant| ingress::leads_here(state, grant)) {
                continue;
            }
            let waits = |one: &Wanted| {
                let is_public = matches!(one.signer, Signer::Public(_));
                is_public && one.names.iter().any(|name| names.contains(name) && !taken.contains(name))
            };
            let waiting: Vec<String> =
                self.wanted.iter().filter(|one| waits(one)).flat_map(|one| one.names.clone()).collect();
            self.wanted.retain(|one| !waits(one));
            self.troubles.extend(waiting.into_iter().map(|name| {
                (*id, format!("{name} is not taken in by the other realm's gateway yet: freehold grant list"))
            }));
        }
    }

    fn trouble(&mut self, id: ServiceId, why: impl Into<String>) {
        self.troubles.push((id, why.into()));
    }

    fn add(
        &mut self,
        ground: &Ground<'_>,
        (id, service): (ServiceId, &Service),
        by: NodeId,
        published: &Published,
    ) {
        let part = Part::of(ground, service, published);
        if !part.is_home && !part.is_gateway {
            return;
        }
        let Some(teller) = Teller::of(ground, service, by) else {
            let by = ground.called.shown(Thing::Node(by));
            let why = format!(
                "where it leads was said by {by}, which may not say so: an admin or operator says it anew with freehold \
                 net service set"
            );
            return self.trouble(id, why);
        };
        let is_alone = part.is_home && part.is_gateway;
        if !(ground.carries || is_alone) {
            let why = "packets are not carried here, so the door and the service do not reach each other: \
                       freehold status says why";
            self.trouble(id, why);
            return;
        }
        let own = if part.passes { Ok(pass(ground, id)) } else { web(ground, id, &part, service, published) };
        let target = match own {
            Ok(target) => target,
            Err(why) => return self.trouble(id, why),
        };
        let (mut hosts, mut outer) = (Vec::new(), Vec::new());
        if part.is_home && ground.carries {
            let domain = ground.called.domain(Thing::Service(id));
            if let Ok(host) = Host::parse(&domain) {
                self.inside.insert(address::of_service(&ground.state.realm, &id).into());
                self.wanted.push(Wanted { names: vec![domain.clone()], signer: Signer::Realm });
                self.kept_here.insert(domain);
                hosts.extend(self.take(id, host));
            }
        }
        if !published.hosts.is_empty() && !teller.may_name(service, &part) {
            let why = "its names on the internet were said by the machine that it runs on, and lead to no gateway \
                       elsewhere: an admin or operator says them anew with freehold net service set NAME --host ...";
            self.trouble(id, why);
        } else if part.ends || part.passes {
            for host in published.hosts.iter().filter_map(|host| Host::parse(host.as_str()).ok()) {
                outer.extend(self.take(id, host));
            }
        }
        if part.ends {
            self.want(ground, id, &part, (published, &outer));
        }
        hosts.extend(outer);
        self.is_gateway |= part.is_gateway;
        if part.comes_from_outside {
            self.outside.insert(id);
        }
        self.names.insert(id, hosts.iter().map(ToString::to_string).collect());
        let access = match service.preset {
            Preset::Realm => Access::Realm,
            Preset::Lan => Access::Lan,
            Preset::Public => Access::Public,
        };
        self.services.push(Shown { id, hosts, access, target });
    }

    /// A name that no other service has here.
    fn take(&mut self, id: ServiceId, host: Host) -> Option<Host> {
        if self.taken.get(&host) == Some(&id) {
            return Some(host);
        }
        self.trouble(id, format!("{host} leads to another service already; take it from one of them"));
        None
    }

    /// The certificates for its names outside.
    fn want(
        &mut self,
        ground: &Ground<'_>,
        id: ServiceId,
        part: &Part,
        (published, hosts): (&Published, &[Host]),
    ) {
        let Some(host) = hosts.first() else { return };
        let Some(authority) = ground.authority.filter(|authority| authority.agreed) else {
            let next = "freehold net certificates set --contact mailto:YOU@EXAMPLE.ORG --agree";
            return self.trouble(id, format!("nobody has chosen who certifies {host}: {next}"));
        };
        let method = match authority.proof {
            Proof::Http => Method::Http,
            Proof::TlsAlpn => Method::TlsAlpn,
            Proof::Dns => Method::Dns,
        };
        let is_public = ground.state.services.get(&id).is_some_and(|known| known.preset == Preset::Public);
        if method != Method::Dns && !part.is_gateway && !is_public {
            let why = "the authority is let through no gateway, as it is not public: freehold net certificates set \
                       --proof dns, or freehold net service set NAME --web";
            return self.trouble(id, why);
        }
        for host in hosts.iter().map(ToString::to_string) {
            let is_wild = host.starts_with("*.");
            if (is_wild || method == Method::Dns) && !ground.has_records {
                let next = "freehold net certificates set --proof dns --dns-server 192.0.2.1:53 ..., or \
                            freehold up --certificates-hook PROGRAM on this machine";
                self.trouble(
                    id,
                    format!(
                        "{host} is certified by a record in its zone, and nobody can put it there: {next}"
                    ),
                );
                continue;
            }
            let method = if is_wild { Method::Dns } else { method };
            self.wanted.push(Wanted { names: vec![host.clone()], signer: Signer::Public(method) });
            if published.ends == TlsEnds::Home {
                self.kept_here.insert(host);
            }
        }
    }
}

/// This machine's part in a service.
#[expect(clippy::struct_excessive_bools, reason = "each is asked by itself")]
struct Part {
    is_home: bool,
    is_gateway: bool,
    /// TLS ends here for its names outside.
    ends: bool,
    /// They are passed on to its home.
    passes: bool,
    comes_from_outside: bool,
}

impl Part {
    fn of(ground: &Ground<'_>, service: &Service, published: &Published) -> Self {
        let stands =
            |node: &NodeId| ground.state.nodes.get(node).filter(|node| node.standing == Standing::Active);
        let me = stands(&ground.me);
        let is_home = me.is_some() && service.homes.contains(&ground.me);
        let is_gateway = service.gateways.contains(&ground.me)
            && me.is_some_and(|node| node.roles.contains(NodeRoles::GATEWAY));
        let at_home = published.ends == TlsEnds::Home;
        let borrowed = service.grants.iter().any(|grant| ingress::leads_here(ground.state, grant));
        let has_gateways = borrowed || !service.gateways.is_empty();
        Self {
            is_home,
            is_gateway,
            ends: if at_home { is_home } else { is_gateway },
            passes: at_home && is_gateway && !is_home,
            comes_from_outside: is_gateway || (is_home && at_home && has_gateways),
        }
    }
}

/// The connection as it came, with a word of who comes.
fn pass(ground: &Ground<'_>, id: ServiceId) -> Target {
    Target::Pass(ingress::to_home(&ground.state.realm, id))
}

fn web(
    ground: &Ground<'_>,
    id: ServiceId,
    part: &Part,
    service: &Service,
    published: &Published,
) -> Result<Target, String> {
    let sign_on = match (service.sign_on, &published.sign_on) {
        (true, None) => {
            return Err("it lets in only who has signed on, and nobody is named who knows, so it is not \
                        published: freehold net service set NAME --sign-on URL"
                .to_owned());
        }
        (_, None) => None,
        // Whoever may use it may ask its own port, which a gateway elsewhere needs, and say anything there.
        (_, Some(_)) if service.ports.iter().any(|ports| !DOOR_PORTS.contains(ports)) => {
            return Err(
                "its own port is open past its sign-on, so it is not published: freehold net service set \
                        NAME --pass"
                    .to_owned(),
            );
        }
        (_, Some(url)) => Some(asked(ground, url.as_str(), published)?),
    };
    let at = |ip: IpAddr| Upstream::Tcp(SocketAddr::new(ip, published.port));
    let upstreams = if part.is_home {
        // Programs listen at one of them, or at both.
        vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]
    } else {
        vec![at(address::of_service(&ground.state.realm, &id).into())]
    };
    Ok(Target::Web(Box::new(Web {
        upstreams,
        speaks: Speaks::Http1,
        limits: Limits {
            body: published.body_max,
            rate: published.rate.map(|(each_second, burst)| Rate { each_second, burst }),
            ..Limits::default()
        },
        headers: headers(published),
        sign_on,
        hsts: published.hsts.map(|age| Hsts { age: Duration::from_secs(age.into()), below: false }),
    })))
}

fn asked(ground: &Ground<'_>, url: &str, published: &Published) -> Result<SignOn, String> {
    let place = sign_on::read(url).map_err(|why| format!("the sign-on {url} {why}"))?;
    let at = place.at(|name| address_of(ground, name)).ok_or_else(|| {
        format!(
            "the sign-on {url} has no address: name one, or a machine or service of {}",
            ground.called.zone()
        )
    })?;
    Ok(SignOn {
        upstream: Upstream::Tcp(at),
        host: place.authority(),
        path: place.path,
        copy: published.copied.iter().filter_map(|name| name.as_str().parse().ok()).collect(),
        within: SIGN_ON_WITHIN,
    })
}

/// The address of a name in the realm's zone.
fn address_of(ground: &Ground<'_>, name: &str) -> Option<IpAddr> {
    let label = name.strip_suffix(ground.called.zone())?.strip_suffix('.')?;
    let (thing, _) = ground.called.labels().find(|(_, known)| *known == label)?;
    let realm = &ground.state.realm;
    match thing {
        Thing::Node(node) => Some(address::of_node(realm, &node).into()),
        Thing::Service(service) => Some(address::of_service(realm, &service).into()),
        _ => None,
    }
}

fn headers(published: &Published) -> HeaderRules {
    let mut rules = HeaderRules::default();
    for (name, value) in &published.answers {
        let Ok(name) = name.as_str().parse() else { continue };
        match http::HeaderValue::from_str(value.as_str()) {
            Ok(value) if !value.is_empty() => rules.answer_set.push((name, value)),
            _ => rules.answer_drop.push(name),
        }
    }
    rules
}

#[cfg(test)]
mod tests;

//! Grants, from the API to the log and the directory.

mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use freehold_api::{
    GrantControl, GrantMachine, GrantOffered, GrantResource, GrantService, GrantSide, GrantStanding,
    GrantStatus, GrantToAccept, NewGrant, Problem, RealmCard,
};
use freehold_crypt::{Entropy as _, VerifyingKey};
use freehold_disk::OsEntropy;
use freehold_mesh::Addresses;
use freehold_reach::address;
use freehold_realm::body::{GrantAccept, GrantOffer, GrantRevoke, Resource, ServiceSet, Terms};
use freehold_realm::{Grant, NodeRoles, Service, Side, Standing, State};
use freehold_seal::{DirectoryRow, GrantContact, KnownGrant};
use freehold_wire::{Bounded, GrantId, Millis, Name, NodeId, OpId, RealmId, ServiceId, Text};

use super::net::must_be_keeper;
use super::realm::{contacts, name_of, not_like_an_id};
use super::{Answers, bucket};
use crate::clock;
use crate::invitation::{Contact, TextError};
use crate::log::{About, By};
use crate::net::called;
use crate::net::called::{Called, Sort, Thing};
use crate::net::grants::There;
use crate::net::grants::texts::{Offer, RealmCard as Card};
use crate::net::lending::{self, rounds};
use crate::net::story::said_by;
use crate::scribe::Saying;
use crate::shared::Shared;

const NOT_OFFERED: &str = "nothing was offered";
const NOT_ACCEPTED: &str = "nothing was accepted";
const NO_CARD: &str = "there is no card to hand out";
/// How long something is lent if nobody says.
const YEAR: Millis = Millis::from_hours(365 * 24);
/// Machines by which whoever reads a letter of a pool finds this realm: it has many offers.
const CONTACTS_IN_LETTERS: usize = 2;

#[async_trait]
impl GrantControl for Answers {
    async fn realm_card(&self) -> Result<RealmCard, Problem> {
        card(&self.0)
    }

    async fn grants(&self) -> Result<Vec<GrantStatus>, Problem> {
        told(&self.0).await
    }

    async fn offer_grant(&self, wish: NewGrant, dry_run: bool) -> Result<Option<GrantOffered>, Problem> {
        let offer = move |shared: Arc<Shared>| async move { offer(&shared, &wish, dry_run).await };
        let Some((id, text)) = self.0.to_the_end(offer).await? else { return Ok(None) };
        Ok(Some(GrantOffered { grant: one(&self.0, id).await?, text }))
    }

    async fn accept_grant(&self, wish: GrantToAccept, dry_run: bool) -> Result<GrantStatus, Problem> {
        let accept = move |shared: Arc<Shared>| async move { accept(&shared, &wish, dry_run).await };
        self.0.to_the_end(accept).await
    }

    async fn end_grant(&self, grant: &str, dry_run: bool) -> Result<(), Problem> {
        let (view, typed) = (self.0.log.view(), grant);
        let Thing::Grant(grant) = called(&self.0, view.state()).meant(typed, &[Sort::Grant])? else {
            return Err(Problem::bug("the grant was not ended", typed, None::<&str>));
        };
        let end = move |shared: Arc<Shared>| async move {
            let body = GrantRevoke { grant };
            if dry_run {
                return shared.log.would_take(body, By::Device).await;
            }
            // Its name stays, so that people see what has ended.
            shared.log.say(body, By::Device).await.map(drop)
        };
        self.0.to_the_end(end).await
    }
}

/// The machines of this realm whose keys sign for the others: servers, this one first. A machine that merely stores
/// may stand anywhere.
fn signers(shared: &Shared, state: &State) -> Vec<(NodeId, VerifyingKey)> {
    let signs = |roles: NodeRoles| !roles.is_empty() && !NodeRoles::STORAGE.contains(roles);
    let nodes = state.nodes.iter().filter(|(_, node)| node.standing == Standing::Active && signs(node.roles));
    let mut all: Vec<(bool, u32, NodeId, VerifyingKey)> =
        nodes.map(|(id, node)| (*id != shared.me(), node.seniority, *id, node.key)).collect();
    all.sort_unstable_by_key(|(other, seniority, ..)| (*other, *seniority));
    all.into_iter().take(4).map(|(_, _, id, key)| (id, key)).collect()
}

/// What the realm calls itself; one without a name is called by the start of its id.
pub(super) fn own_name(shared: &Shared) -> Result<Name, Problem> {
    let directory = shared.directory();
    let named = directory.realm_name().and_then(|name| Name::new(name).ok());
    named.map_or_else(|| name_of(&format!("realm {}", shared.realm().short())), Ok)
}

pub(super) fn card(shared: &Shared) -> Result<RealmCard, Problem> {
    let view = shared.log.view();
    let signers = signers(shared, view.state());
    if signers.is_empty() {
        return Err(Problem::refused(
            NO_CARD,
            "no machine of the realm can sign for the others: it takes one with a role besides storage",
            Some("freehold invite --roles gateway    (or: freehold node list)"),
        ));
    }
    let called = called(shared, view.state());
    let mut keys: Vec<VerifyingKey> = signers.iter().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    let name = own_name(shared)?;
    let text =
        Card { realm: shared.realm(), name: name.clone(), signers: Bounded::fill(&mut keys.into_iter()) }
            .to_text();
    Ok(RealmCard {
        realm: shared.realm().to_string(),
        name: name.as_str().to_owned(),
        signers: signers.iter().map(|(id, _)| called.name(Thing::Node(*id))).collect(),
        text,
    })
}

fn unread(what: &'static str, error: TextError, next: &'static str) -> Problem {
    Problem::invalid(what, error.to_string(), Some(next))
}

/// What the grant is to be called here.
fn grant_name(called: &Called, what: &str, typed: Option<&str>, theirs: &Name) -> Result<Name, Problem> {
    let name = not_like_an_id(match typed {
        Some(typed) => name_of(typed)?,
        None => theirs.clone(),
    })?;
    if called.has_name(Sort::Grant, name.as_str()) {
        return Err(Problem::conflict(
            what,
            format!("a grant is called {} already", name.as_str()),
            Some("choose another name: --name; see freehold grant list"),
        ));
    }
    Ok(name)
}

/// Of one sort there is one grant with a realm at a time: who comes under it has one set of rights. Room that its lender has
/// ended is read while it winds down, and is in no other's way.
fn no_other(
    shared: &Shared,
    (state, called): (&State, &Called),
    what: &str,
    (side, realm, resource): (Side, RealmId, Resource),
) -> Result<(), Problem> {
    let now = clock::wall();
    let same = |id: GrantId, grant: &Grant| {
        grant.side == side
            && grant.other == realm
            && grant.terms.resource == resource
            && !grant.revoked
            && grant.terms.until > now
            && !lending::is_ended_there(shared, id, grant)
    };
    let Some((id, _)) = state.grants.iter().find(|(id, grant)| same(**id, grant)) else { return Ok(()) };
    let name = called.name(Thing::Grant(*id));
    Err(Problem::conflict(
        what,
        format!("the grant {name} is there already, with the same realm"),
        Some(format!(
            "freehold net service set SERVICE --access realm --access grant:{name}    (opens another service); or end it: \
             freehold grant revoke {name}"
        )),
    ))
}

/// What is lent: one thing of four.
fn wished(wish: &NewGrant, services: bool) -> Result<Resource, Problem> {
    let all = [
        (services, Resource::Services),
        (wish.gateway, Resource::Gateway),
        (wish.relay, Resource::Relay),
        (wish.storage.is_some(), Resource::Storage),
    ];
    let mut wanted = all.iter().filter(|(wanted, _)| *wanted).map(|(_, resource)| *resource);
    if let (Some(one), None) = (wanted.next(), wanted.next()) {
        return Ok(one);
    }
    let why = "it is either services, a gateway, relays or room";
    let next = "freehold grant offer --to CARD --services wiki, or --gateway, or --relay, or --storage 50GiB";
    Err(Problem::invalid(NOT_OFFERED, why, Some(next)))
}

pub(super) async fn offer(
    shared: &Shared,
    wish: &NewGrant,
    dry_run: bool,
) -> Result<Option<(GrantId, String)>, Problem> {
    let view = shared.log.view();
    let (state, called, now) = (view.state(), called(shared, view.state()), clock::wall());
    let theirs = Card::from_text(&wish.to)
        .map_err(|error| unread(NOT_OFFERED, error, "in the other realm: freehold grant card"))?;
    if theirs.realm == shared.realm() {
        return Err(Problem::invalid(NOT_OFFERED, "the card is this realm's own", Some("ask for theirs")));
    }
    let services =
        wish.services.iter().map(|typed| service(&called, typed)).collect::<Result<Vec<_>, _>>()?;
    let resource = wished(wish, !services.is_empty())?;
    let (ceilings, wind_down_days, homes) = room::wished(shared, state, &called, wish)?;
    no_other(shared, (state, &called), NOT_OFFERED, (Side::Lends, theirs.realm, resource))?;
    let name = grant_name(&called, NOT_OFFERED, wish.name.as_deref(), &theirs.name)?;
    let until = wish.until_ms.map_or(now.plus(YEAR), Millis);
    let terms = Terms { resource, ceilings, from: now, until, wind_down_days };
    let grant = GrantId::from_bytes(*OsEntropy.secret().expose());
    let body = GrantOffer { grant, to: theirs.realm, terms, keys: theirs.signers.clone(), homes };
    must_be_keeper(shared, NOT_OFFERED)?;
    shared.log.would_take(body.clone(), By::Device).await?;
    if dry_run {
        return Ok(None);
    }
    let known =
        KnownGrant { name, realm: theirs.name, contacts: Bounded::default(), signers: Bounded::default() };
    let said_in = make(shared, grant, known, body).await?;
    for id in services {
        if let Err(problem) = open(shared, state, id, grant).await {
            // Half of it would look like all of it.
            shared.log.say(GrantRevoke { grant }, By::Device).await?;
            return Err(problem);
        }
    }
    let what = (grant, said_in);
    Ok(Some((grant, written(shared, what, (theirs.realm, terms, theirs.signers), contacts(shared))?)))
}

/// An offer as it is handed over.
fn written(
    shared: &Shared,
    (grant, said_in): (GrantId, OpId),
    (to, terms, signers): (RealmId, Terms, Bounded<VerifyingKey, 4>),
    contacts: Vec<Contact>,
) -> Result<String, Problem> {
    let contacts = Bounded::fill(&mut contacts.into_iter());
    let (realm, name) = (shared.realm(), own_name(shared)?);
    Ok(Offer { realm, name, to, grant, said_in, terms, signers, contacts }.to_text())
}

/// The offer of a grant that this realm lends, as it is handed over once more, with few addresses.
pub(super) fn offered(shared: &Shared, id: GrantId, grant: &Grant) -> Result<String, Problem> {
    let keys = Bounded::fill(&mut grant.keys.iter().copied());
    let contacts = contacts(shared).into_iter().take(CONTACTS_IN_LETTERS).collect();
    written(shared, (id, grant.said_in), (grant.other, grant.terms, keys), contacts)
}

/// Says what it is called, and then that it is.
async fn make(
    shared: &Shared,
    grant: GrantId,
    known: KnownGrant,
    body: impl Into<freehold_realm::Body>,
) -> Result<OpId, Problem> {
    shared.say(vec![Saying::Row(DirectoryRow::Grant(grant, Some(known)))]).await?;
    match shared.log.say(body, By::Device).await {
        Ok(op) => Ok(op),
        Err(problem) => {
            if let Err(problem) = shared.say(vec![Saying::Row(DirectoryRow::Grant(grant, None))]).await {
                tracing::warn!(%problem, "a name of a grant was not taken back");
            }
            Err(problem)
        }
    }
}

fn service(called: &Called, typed: &str) -> Result<ServiceId, Problem> {
    match called.meant(typed, &[Sort::Service])? {
        Thing::Service(id) => Ok(id),
        _ => Err(Problem::bug(NOT_OFFERED, typed, None::<&str>)),
    }
}

/// Lets whoever comes under a grant use a service.
async fn open(shared: &Shared, state: &State, id: ServiceId, grant: GrantId) -> Result<(), Problem> {
    let Some(known) = state.services.get(&id) else {
        return Err(Problem::bug(NOT_OFFERED, id.to_string(), None::<&str>));
    };
    let Service { homes, ports, preset, grants, gateways, sign_on, .. } = known;
    let mut grants = grants.clone();
    grants.push(grant);
    grants.sort_unstable();
    let grants = Bounded::from_vec(grants).map_err(|error| {
        Problem::refused(NOT_OFFERED, format!("grants of one service: {error}"), Some("freehold grant list"))
    })?;
    let body = ServiceSet {
        service: id,
        homes: Bounded::fill(&mut homes.iter().copied()),
        ports: Bounded::fill(&mut ports.iter().copied()),
        preset: *preset,
        grants,
        gateways: Bounded::fill(&mut gateways.iter().copied()),
        sign_on: *sign_on,
    };
    shared.log.say(body, bucket::by(shared)).await.map(drop)
}

pub(super) async fn accept(
    shared: &Shared,
    wish: &GrantToAccept,
    dry_run: bool,
) -> Result<GrantStatus, Problem> {
    let view = shared.log.view();
    let (state, called, now) = (view.state(), called(shared, view.state()), clock::wall());
    let offer = Offer::from_text(&wish.text)
        .map_err(|error| unread(NOT_ACCEPTED, error, "in the other realm: freehold grant offer"))?;
    let refused = |why: &str, next: &str| Problem::refused(NOT_ACCEPTED, why, Some(next.to_owned()));
    if offer.to != shared.realm() {
        return Err(refused(
            "the offer is to another realm",
            "freehold grant card    (gives them this one's)",
        ));
    }
    if offer.terms.until <= now {
        return Err(refused("the offer is over", "ask for a new one"));
    }
    if state.grants.contains_key(&offer.grant) {
        return Err(Problem::conflict(NOT_ACCEPTED, "it was accepted already", Some("freehold grant list")));
    }
    let signs = |(id, node): (&NodeId, &freehold_realm::Node)| {
        (node.standing == Standing::Active && offer.signers.contains(&node.key)).then_some(*id)
    };
    let signers: Vec<NodeId> = state.nodes.iter().filter_map(signs).collect();
    if signers.is_empty() {
        let next = "freehold grant card, and ask for an offer to that";
        return Err(refused("no machine that it names is here any more: the card was an old one", next));
    }
    no_other(shared, (state, &called), NOT_ACCEPTED, (Side::Borrows, offer.realm, offer.terms.resource))?;
    let name = grant_name(&called, NOT_ACCEPTED, wish.name.as_deref(), &offer.name)?;
    let body =
        GrantAccept { grant: offer.grant, from: offer.realm, offer: offer.said_in, terms: offer.terms };
    must_be_keeper(shared, NOT_ACCEPTED)?;
    shared.log.would_take(body.clone(), By::Device).await?;
    let contacts = offer.contacts.iter().filter_map(contact);
    let known = KnownGrant {
        name,
        realm: offer.name.clone(),
        contacts: Bounded::fill(&mut contacts.collect::<Vec<_>>().into_iter()),
        signers: Bounded::fill(&mut signers.into_iter()),
    };
    if dry_run {
        return Ok(read(&offer, &known));
    }
    let place = room::place_name(shared, known.name.as_str());
    make(shared, offer.grant, known, body).await?;
    if offer.terms.resource == Resource::Storage {
        let noted = rounds::wish_for(shared, offer.grant, &place);
        noted.map_err(|error| {
            let next =
                "set right what it says (df -h); then end it, and ask for a new offer: freehold grant revoke";
            Problem::refused("it was accepted, but is no place for copies yet", error.to_string(), Some(next))
        })?;
    }
    one(shared, offer.grant).await
}

fn contact(contact: &Contact) -> Option<GrantContact> {
    let at = Addresses::from_bytes(&contact.addresses).ok()?.to_string();
    let addresses = at.split(',').filter_map(|at| Text::new(at).ok()).collect::<Vec<_>>();
    Some(GrantContact { node: contact.node, addresses: Bounded::fill(&mut addresses.into_iter()) })
}

const fn resource(resource: Resource) -> GrantResource {
    match resource {
        Resource::Storage => GrantResource::Storage,
        Resource::Compute => GrantResource::Compute,
        Resource::Gateway => GrantResource::Gateway,
        Resource::Relay => GrantResource::Relay,
        Resource::Services => GrantResource::Services,
    }
}

/// An offer as it reads.
fn read(offer: &Offer, known: &KnownGrant) -> GrantStatus {
    GrantStatus {
        id: offer.grant.to_string(),
        name: known.name.as_str().to_owned(),
        side: GrantSide::Borrows,
        realm: offer.realm.to_string(),
        realm_name: known.realm.as_str().to_owned(),
        resource: resource(offer.terms.resource),
        from_ms: offer.terms.from.0,
        until_ms: offer.terms.until.0,
        standing: GrantStanding::Holds,
        said: Vec::new(),
        services: Vec::new(),
        machines: Vec::new(),
        trouble: None,
        room: (offer.terms.resource == Resource::Storage).then(|| room::promised(&offer.terms, Vec::new())),
    }
}

fn standing(grant: &Grant, now: Millis) -> GrantStanding {
    if grant.revoked {
        GrantStanding::Ended
    } else if grant.suspended || grant.standing_in.is_some() {
        GrantStanding::Suspended
    } else if now < grant.terms.from {
        GrantStanding::NotYet
    } else if now > grant.terms.until {
        GrantStanding::Lapsed
    } else {
        GrantStanding::Holds
    }
}

async fn one(shared: &Shared, id: GrantId) -> Result<GrantStatus, Problem> {
    let id = id.to_string();
    let found = told(shared).await?.into_iter().find(|grant| grant.id == id);
    found.ok_or_else(|| Problem::bug("the grant was made but is not listed", id, None::<&str>))
}

/// The operations of this realm's log that say how a grant stands, the first one first.
fn operations(grant: &Grant) -> impl Iterator<Item = OpId> {
    std::iter::once(grant.said_in).chain(grant.standing_in)
}

/// All grants, and who said so.
async fn told(shared: &Shared) -> Result<Vec<GrantStatus>, Problem> {
    let operations: BTreeSet<OpId> = shared.log.view().state().grants.values().flat_map(operations).collect();
    let about = shared.log.about(operations).await?;
    Ok(statuses(shared, &about))
}

fn statuses(shared: &Shared, about: &BTreeMap<OpId, About>) -> Vec<GrantStatus> {
    let (view, now) = (shared.log.view(), clock::wall());
    let state = view.state();
    let (called, mut told) = (called(shared, state), shared.strangers.told());
    let visitors = shared.strangers.visitors(now);
    let mut all: Vec<GrantStatus> = Vec::new();
    for (id, grant) in &state.grants {
        let known = shared.directory().known_grant(*id).cloned();
        let there = told.remove(id).unwrap_or_default();
        let (services, mut machines) = match grant.side {
            Side::Lends => (opened(state, &called, *id), Vec::new()),
            Side::Borrows => (abroad(grant, &there), theirs(grant, &there)),
        };
        machines.extend(visitors.iter().filter(|here| here.visitor.grant == *id).map(|here| GrantMachine {
            id: here.visitor.node.to_string(),
            address: address::of_node(&grant.other, &here.visitor.node).to_string(),
            until_ms: Some(here.visitor.until.0),
            hosts: here.hosts.iter().map(|host| host.name.as_str().to_owned()).collect(),
        }));
        let refused = there.machines.values().flat_map(|machine| &machine.refused);
        let refused = refused.map(|(name, why)| format!("{name} is not taken in: {why}")).next();
        let is_room = grant.terms.resource == Resource::Storage;
        let room = is_room.then(|| room::status(shared, &called, *id, grant));
        let warning = is_room.then(|| lending::told::of(shared, *id, grant)).flatten();
        let warning = warning.map(|found| format!("{}: {}", found.what, found.why));
        all.push(GrantStatus {
            id: id.to_string(),
            name: called.name(Thing::Grant(*id)),
            side: match grant.side {
                Side::Lends => GrantSide::Lends,
                Side::Borrows => GrantSide::Borrows,
            },
            realm: grant.other.to_string(),
            realm_name: known.map_or_else(|| grant.other.short(), |known| known.realm.as_str().to_owned()),
            resource: resource(grant.terms.resource),
            from_ms: grant.terms.from.0,
            until_ms: grant.terms.until.0,
            standing: standing(grant, now),
            said: operations(grant).map(|op| said_by(&view, &called, about, op)).collect(),
            services,
            machines,
            trouble: there.trouble.or(refused).or(warning),
            room,
        });
    }
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}

/// The services of this realm that a grant opens.
fn opened(state: &State, called: &Called, id: GrantId) -> Vec<GrantService> {
    let open = state.live_services().filter(|(_, service)| service.grants.contains(&id));
    let shown = open.map(|(service, _)| GrantService {
        domain: called.domain(Thing::Service(*service)),
        address: address::of_service(&state.realm, service).to_string(),
    });
    shown.collect()
}

/// Those of the realm that lends.
fn abroad(grant: &Grant, there: &There) -> Vec<GrantService> {
    let shown = there.services.iter().map(|(service, (label, _))| GrantService {
        domain: format!("{label}.{}", there.zone),
        address: address::of_service(&grant.other, service).to_string(),
    });
    shown.collect()
}

fn theirs(grant: &Grant, there: &There) -> Vec<GrantMachine> {
    let shown = there.machines.iter().map(|(node, machine)| GrantMachine {
        id: node.to_string(),
        address: address::of_node(&grant.other, node).to_string(),
        until_ms: machine.until.map(|until| until.0),
        hosts: Vec::new(),
    });
    shown.collect()
}

//! The realm's network, from the API to the log and the directory.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use freehold_api::{
    Carried, Explanation, NetControl, NetNode, NetNodeSetting, NetPhone, NetRefused, NetRule, NetService,
    NetSetting, NetStatus, NewRule, NewService, Problem, Question,
};
use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_mesh::{PeerHealth, Trouble};
use freehold_reach::{Net, Party, address, label, owner_of_node};
use freehold_realm::body::{PhoneEnd, RuleEnd, ServiceEnd};
use freehold_realm::{Body, Node, network_of};
use freehold_seal::DirectoryRow;
use freehold_tunnel::Refused;
use freehold_wire::{Name, NodeId, RuleId, ServiceId};

use super::realm::name_of;
use super::{Answers, bucket, door, report};
use crate::clock;
use crate::log::{By, View};
use crate::net::called::{Called, Sort, Thing};
use crate::net::door::asked;
use crate::net::{called, change, story, told, troubles};
use crate::scribe::Saying;
use crate::shared::Shared;

const NO_SERVICE: &str = "no service was made";
const NO_RULE: &str = "no rule was made";
const NOT_CHANGED: &str = "the network was not changed";

#[async_trait]
impl NetControl for Answers {
    async fn net(&self) -> Result<NetStatus, Problem> {
        Ok(status(&self.0))
    }

    async fn set_net(&self, setting: NetSetting, dry_run: bool) -> Result<NetStatus, Problem> {
        let set = move |shared: Arc<Shared>| async move {
            let view = shared.log.view();
            if setting == NetSetting::default() {
                return Err(nothing("freehold net set --help"));
            }
            let body = change::of_whole(view.state(), &called(&shared, view.state()), &setting)?;
            say(&shared, body, By::Device, dry_run).await
        };
        self.0.to_the_end(set).await?;
        Ok(status(&self.0))
    }

    async fn set_net_node(
        &self,
        node: &str,
        setting: NetNodeSetting,
        dry_run: bool,
    ) -> Result<NetNode, Problem> {
        let typed = node.to_owned();
        let set = move |shared: Arc<Shared>| async move {
            let view = shared.log.view();
            let called = called(&shared, view.state());
            let node = called.node(&typed)?;
            if setting == NetNodeSetting::default() {
                return Err(nothing("freehold net node --help"));
            }
            let body = change::of_node(view.state(), &called, node, &setting)?;
            say(&shared, body, By::Device, dry_run).await?;
            Ok(node)
        };
        let node = self.0.to_the_end(set).await?;
        let (view, peers) = (self.0.log.view(), peers(&self.0));
        let known = view.state().nodes.get(&node);
        let known =
            known.map(|known| in_net(&self.0, &view, &called(&self.0, view.state()), &peers, (&node, known)));
        known.ok_or_else(|| Problem::bug("the node was changed but is gone", node.to_string(), None::<&str>))
    }

    async fn explain(&self, question: Question) -> Result<Explanation, Problem> {
        let view = self.0.log.view();
        let called = called(&self.0, view.state());
        let answer = story::answer(view.state(), &called, clock::wall(), &question)?;
        let about = self.0.log.about(answer.operations()).await?;
        Ok(answer.words(&view, &called, &about))
    }

    async fn services(&self) -> Result<Vec<NetService>, Problem> {
        services(&self.0).await
    }

    async fn add_service(&self, wish: NewService, dry_run: bool) -> Result<Option<NetService>, Problem> {
        let add = move |shared: Arc<Shared>| async move { add_service(&shared, &wish, dry_run).await };
        let Some(id) = self.0.to_the_end(add).await? else { return Ok(None) };
        let id = id.to_string();
        let made = services(&self.0).await?.into_iter().find(|service| service.id == id);
        made.map(Some).ok_or_else(|| Problem::bug("the service was made but is not listed", id, None::<&str>))
    }

    async fn end_service(&self, service: &str, dry_run: bool) -> Result<(), Problem> {
        let (view, typed) = (self.0.log.view(), service);
        let Thing::Service(service) = called(&self.0, view.state()).meant(typed, &[Sort::Service])? else {
            return Err(Problem::bug("the service was not ended", typed, None::<&str>));
        };
        let (row, by) = (DirectoryRow::NetService(service, None), bucket::by(&self.0));
        let end = move |shared: Arc<Shared>| async move {
            end(&shared, ServiceEnd { service }, row, by, dry_run).await
        };
        self.0.to_the_end(end).await
    }

    async fn rules(&self) -> Result<Vec<NetRule>, Problem> {
        rules(&self.0).await
    }

    async fn add_rule(&self, wish: NewRule, dry_run: bool) -> Result<Option<NetRule>, Problem> {
        let add = move |shared: Arc<Shared>| async move { add_rule(&shared, &wish, dry_run).await };
        let Some(id) = self.0.to_the_end(add).await? else { return Ok(None) };
        let id = id.to_string();
        let made = rules(&self.0).await?.into_iter().find(|rule| rule.id == id);
        made.map(Some).ok_or_else(|| Problem::bug("the rule was made but is not listed", id, None::<&str>))
    }

    async fn end_rule(&self, rule: &str, dry_run: bool) -> Result<(), Problem> {
        let (view, typed) = (self.0.log.view(), rule);
        let Thing::Rule(rule) = called(&self.0, view.state()).meant(typed, &[Sort::Rule])? else {
            return Err(Problem::bug("the rule was not ended", typed, None::<&str>));
        };
        let row = DirectoryRow::NetRule(rule, None);
        let end = move |shared: Arc<Shared>| async move {
            end(&shared, RuleEnd { rule }, row, By::Device, dry_run).await
        };
        self.0.to_the_end(end).await
    }

    async fn phones(&self) -> Result<Vec<NetPhone>, Problem> {
        let view = self.0.log.view();
        let about = self.0.log.about(told::operations(view.state())).await?;
        let seen = self.0.phones.seen();
        Ok(told::phones(&view, &called(&self.0, view.state()), &about, &seen, clock::wall()))
    }

    async fn end_phone(&self, phone: &str, dry_run: bool) -> Result<(), Problem> {
        let (view, typed) = (self.0.log.view(), phone);
        let Thing::Phone(phone) = called(&self.0, view.state()).meant(typed, &[Sort::Phone])? else {
            return Err(Problem::bug("the phone was not shut out", typed, None::<&str>));
        };
        let row = DirectoryRow::PhoneName(phone, None);
        let end = move |shared: Arc<Shared>| async move {
            end(&shared, PhoneEnd { phone }, row, By::Device, dry_run).await
        };
        self.0.to_the_end(end).await
    }
}

pub(super) fn nothing(next: &str) -> Problem {
    Problem::invalid(NOT_CHANGED, "each option that is not given stays as it is, and none was", Some(next))
}

/// Says an operation, or only asks whether the realm's rules would take it.
pub(super) async fn say(
    shared: &Shared,
    body: impl Into<Body>,
    by: By,
    dry_run: bool,
) -> Result<(), Problem> {
    if dry_run {
        return shared.log.would_take(body, by).await;
    }
    shared.log.say(body, by).await.map(drop)
}

/// Ends something, and takes its name back.
async fn end(
    shared: &Shared,
    body: impl Into<Body>,
    row: DirectoryRow,
    by: By,
    dry_run: bool,
) -> Result<(), Problem> {
    say(shared, body, by, dry_run).await?;
    if !dry_run && shared.is_keeper() {
        take_back(shared, row).await;
    }
    Ok(())
}

/// A name that means nothing any more says nothing wrong.
async fn take_back(shared: &Shared, row: DirectoryRow) {
    if let Err(problem) = shared.say(vec![Saying::Row(row)]).await {
        tracing::warn!(%problem, "a name of the network was not taken back");
    }
}

/// Who is not believed about names makes nothing that has one.
pub(super) fn must_be_keeper(shared: &Shared, what: &str) -> Result<(), Problem> {
    if shared.is_keeper() {
        return Ok(());
    }
    Err(Problem::refused(
        what,
        "this node does not hold the realm's secrets, so nobody would believe its name",
        Some("make it on a node with the role secrets: freehold node list"),
    ))
}

/// Says what is made and what it is called: the name first, so that nobody sees it without.
pub(super) async fn make(
    shared: &Shared,
    body: Body,
    by: By,
    (named, unnamed): (DirectoryRow, DirectoryRow),
) -> Result<(), Problem> {
    shared.say(vec![Saying::Row(named)]).await?;
    if let Err(problem) = shared.log.say(body, by).await {
        take_back(shared, unnamed).await;
        return Err(problem);
    }
    Ok(())
}

async fn add_service(
    shared: &Shared,
    wish: &NewService,
    dry_run: bool,
) -> Result<Option<ServiceId>, Problem> {
    let view = shared.log.view();
    let called = called(shared, view.state());
    let name = service_name(&called, &wish.name)?;
    let id = ServiceId::from_bytes(*OsEntropy.secret().expose());
    let mut body = change::of_service(&called, id, wish)?;
    let typed = body.ports.to_vec();
    let published = wish
        .publish
        .as_ref()
        .map(|wish| door::publish(view.state(), None, wish, &typed, &mut body))
        .transpose()?;
    must_be_keeper(shared, NO_SERVICE)?;
    let by = bucket::by(shared);
    shared.log.would_take(body.clone(), by.clone()).await?;
    if dry_run {
        return Ok(None);
    }
    if let Some(published) = published {
        door::prepare(shared).await?;
        shared.say(vec![door::row(id, published)]).await?;
    }
    let rows = (DirectoryRow::NetService(id, Some(name)), DirectoryRow::NetService(id, None));
    make(shared, body.into(), by, rows).await?;
    Ok(Some(id))
}

/// A service is found by its name, so that is a label, and nobody else's.
fn service_name(called: &Called, typed: &str) -> Result<Name, Problem> {
    let name = name_of(typed)?;
    let own = label(name.as_str());
    if own != name.as_str() {
        let next = match own.as_str() {
            "" => "choose another name, such as wiki".to_owned(),
            own => format!("call it {own}"),
        };
        return Err(Problem::invalid(
            NO_SERVICE,
            "its name is a label of the realm's zone: lower-case letters, digits, and hyphens between them",
            Some(next),
        ));
    }
    if called.has_label(&own) {
        return Err(Problem::conflict(
            NO_SERVICE,
            format!("a machine or a service is called {own} already"),
            Some("choose another name; see freehold net status and freehold net service list"),
        ));
    }
    Ok(name)
}

async fn add_rule(shared: &Shared, wish: &NewRule, dry_run: bool) -> Result<Option<RuleId>, Problem> {
    let view = shared.log.view();
    let called = called(shared, view.state());
    let name = name_of(&wish.name)?;
    if called.has_name(Sort::Rule, name.as_str()) {
        return Err(Problem::conflict(
            NO_RULE,
            format!("a rule is called {} already", name.as_str()),
            Some("choose another name; see freehold net rule list"),
        ));
    }
    let id = RuleId::from_bytes(*OsEntropy.secret().expose());
    let body = change::of_rule(&called, id, clock::wall(), wish)?;
    must_be_keeper(shared, NO_RULE)?;
    shared.log.would_take(body.clone(), By::Device).await?;
    if dry_run {
        return Ok(None);
    }
    let rows = (DirectoryRow::NetRule(id, Some(name)), DirectoryRow::NetRule(id, None));
    make(shared, body.into(), By::Device, rows).await?;
    Ok(Some(id))
}

pub(super) async fn services(shared: &Shared) -> Result<Vec<NetService>, Problem> {
    let view = shared.log.view();
    let about = shared.log.about(told::operations(view.state())).await?;
    let mut all = told::services(&view, &called(shared, view.state()), &about);
    let face = shared.door.get();
    for (id, _) in view.state().live_services() {
        let Some(mut published) = shared.directory().published(*id).map(asked::told) else { continue };
        published.here = face.as_ref().and_then(|face| face.of(id));
        let id = id.to_string();
        all.iter_mut().filter(|one| one.id == id).for_each(|one| one.published = Some(published.clone()));
    }
    Ok(all)
}

async fn rules(shared: &Shared) -> Result<Vec<NetRule>, Problem> {
    let view = shared.log.view();
    let about = shared.log.about(told::operations(view.state())).await?;
    Ok(told::rules(&view, &called(shared, view.state()), &about, clock::wall()))
}

fn peers(shared: &Shared) -> Vec<PeerHealth> {
    shared.mesh.get().map(|mesh| mesh.peers()).unwrap_or_default()
}

fn status(shared: &Shared) -> NetStatus {
    let (view, now) = (shared.log.view(), clock::wall());
    let state = view.state();
    let (called, peers) = (called(shared, state), peers(shared));
    let net = Net::of(state, shared.me(), &std::collections::BTreeMap::new(), now);
    let mut nodes: Vec<NetNode> =
        state.nodes.iter().map(|node| in_net(shared, &view, &called, &peers, node)).collect();
    nodes.sort_by(|a, b| (&a.domain, &a.id).cmp(&(&b.domain, &b.id)));
    NetStatus {
        zone: called.zone().to_owned(),
        network: network_of(&state.realm).to_string(),
        range: state.network.range.to_string(),
        guests_exit: state.network.guests_exit,
        strict: state.network.strict,
        this_node: shared.me().to_string(),
        nodes,
        services: state.live_services().count() as u64,
        rules: state.live_rules().count() as u64,
        phones: state.live_phones().count() as u64,
        uses: super::choice::used(shared, &shared.chosen.choice()),
        troubles: troubles(&net),
        refused: refused(shared, &net, &called),
        mapped: shared.mapping.ports(),
    }
}

/// Who asked for what that nothing opens, by name.
fn refused(shared: &Shared, net: &Net, called: &Called) -> Vec<NetRefused> {
    let all = shared.tunnel.borrow().as_ref().map(|tunnel| tunnel.refused()).unwrap_or_default();
    let name = |at: IpAddr| match (net.party_of(at), net.service_of(at)) {
        (Some(Party::Node(node)), _) => called.shown(Thing::Node(node)),
        (Some(Party::Phone(phone)), _) => called.shown(Thing::Phone(phone)),
        (_, Some(service)) => called.shown(Thing::Service(service)),
        _ => at.to_string(),
    };
    let told = |one: Refused| NetRefused {
        from: name(one.from),
        to: name(one.to),
        port: crate::net::ports::one_shown((one.proto, one.port)),
        times: one.times,
        ago_ms: u64::try_from(one.ago.as_millis()).unwrap_or(u64::MAX),
    };
    all.into_iter().map(told).collect()
}

fn in_net(
    shared: &Shared,
    view: &View,
    called: &Called,
    peers: &[PeerHealth],
    (id, node): (&NodeId, &Node),
) -> NetNode {
    let state = view.state();
    let health = peers.iter().find(|peer| peer.id == *id);
    let is_me = *id == shared.me();
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let connected = is_me || health.is_some_and(|peer| peer.connected);
    let part = &node.network;
    NetNode {
        id: id.to_string(),
        name: called.name(Thing::Node(*id)),
        domain: called.domain(Thing::Node(*id)),
        address: address::of_node(&state.realm, id).to_string(),
        ipv4: part.v4.as_ref().map(|said| said.what.to_string()),
        owner: owner_of_node(state, id).map(|person| called.shown(Thing::Person(person))),
        laptop: node.roles.is_empty(),
        exit: part.exit.is_some(),
        ingress: part.ingress.is_some(),
        routes: part.routes.iter().flat_map(|said| said.what.iter().map(ToString::to_string)).collect(),
        standing: report::standing(node.standing),
        connected,
        path: report::path(health),
        rtt_us: health.filter(|peer| peer.connected).and_then(|peer| peer.rtt).map(micros),
        last_heard_ms: if is_me { Some(0) } else { report::last_heard(shared, *id, health) },
        carried: carried(shared, *id),
        trouble: health
            .filter(|_| !connected)
            .and_then(|peer| peer.trouble)
            .map(|why| trouble(why).to_owned()),
    }
}

fn carried(shared: &Shared, node: NodeId) -> Option<Carried> {
    let peers = shared.tunnel.borrow().as_ref()?.peers();
    let peer = peers.into_iter().find(|peer| peer.node == node)?;
    Some(Carried { sent: peer.sent_bytes, received: peer.received_bytes, refused: peer.refused })
}

/// What is in the way of a connection.
const fn trouble(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::NoAddress => "no address of it is known: it has to reach us",
        Trouble::Unreachable => "nobody answers at its addresses",
        Trouble::Refused => "it does not count this machine as one of the realm",
        Trouble::Protocol => "it answers, but as no node of this kind",
        Trouble::NotAdmitted => "its rights do not hold",
    }
}

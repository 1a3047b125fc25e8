//! Services, rules and phones as the API tells them.

use std::collections::{BTreeMap, BTreeSet};

use freehold_api::{NetPhone, NetRule, NetService, PhoneSeen};
use freehold_phones::Seen;
use freehold_reach::{Barrier, Party, address, barrier};
use freehold_realm::body::Preset;
use freehold_realm::{Service, State};
use freehold_wire::{Millis, NodeId, OpId};

use super::called::{Called, Thing};
use super::ports;
use super::story::said_by;
use crate::log::{About, View};

/// The operations that say what is listed.
pub(crate) fn operations(state: &State) -> BTreeSet<OpId> {
    let services = state.live_services().map(|(_, service)| service.said_in);
    let rules = state.live_rules().map(|(_, rule)| rule.said_in);
    let phones = state.live_phones().map(|(_, phone)| phone.said_in);
    services.chain(rules).chain(phones).collect()
}

/// Who may use a service, as it is typed.
pub(crate) fn access(called: &Called, service: &Service) -> Vec<String> {
    let preset = match service.preset {
        Preset::Realm => "realm",
        Preset::Lan => "lan",
        Preset::Public => "public",
    };
    let grants = service.grants.iter().map(|grant| called.shown(Thing::Grant(*grant)));
    std::iter::once(preset.to_owned()).chain(grants).collect()
}

fn nodes(called: &Called, nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(|node| called.shown(Thing::Node(*node))).collect()
}

pub(crate) fn services(view: &View, called: &Called, about: &BTreeMap<OpId, About>) -> Vec<NetService> {
    let state = view.state();
    let all = state.live_services().map(|(id, service)| NetService {
        id: id.to_string(),
        name: called.name(Thing::Service(*id)),
        domain: called.domain(Thing::Service(*id)),
        address: address::of_service(&state.realm, id).to_string(),
        nodes: nodes(called, &service.homes),
        ports: service.ports.iter().copied().map(ports::shown).collect(),
        access: access(called, service),
        gateways: nodes(called, &service.gateways),
        sign_on: service.sign_on,
        published: None,
        said: said_by(view, called, about, service.said_in),
    });
    let mut all: Vec<NetService> = all.collect();
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}

pub(crate) fn rules(
    view: &View,
    called: &Called,
    about: &BTreeMap<OpId, About>,
    now: Millis,
) -> Vec<NetRule> {
    let all = view.state().live_rules().map(|(id, rule)| NetRule {
        id: id.to_string(),
        name: called.name(Thing::Rule(*id)),
        from: rule.from.iter().map(|from| called.sender_shown(from)).collect(),
        to: rule.to.iter().map(|to| called.target_shown(to)).collect(),
        ports: rule.ports.iter().copied().map(ports::shown).collect(),
        until_ms: rule.until.map(|until| until.0),
        lapsed: rule.until.is_some_and(|until| now > until),
        said: said_by(view, called, about, rule.said_in),
    });
    let mut all: Vec<NetRule> = all.collect();
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}

pub(crate) fn phones(
    view: &View,
    called: &Called,
    about: &BTreeMap<OpId, About>,
    seen: &[Seen],
    now: Millis,
) -> Vec<NetPhone> {
    let state = view.state();
    let all = state.live_phones().map(|(id, phone)| NetPhone {
        id: id.to_string(),
        name: called.name(Thing::Phone(*id)),
        person: called.shown(Thing::Person(phone.person)),
        address: address::of_phone(&state.realm, id).to_string(),
        gateways: nodes(called, &phone.gateways),
        until_ms: phone.until.map(|until| until.0),
        refused: barrier(state, now, Party::Phone(*id)).map(|barrier| refused(barrier).to_owned()),
        seen: seen.iter().find(|seen| seen.key == phone.key).and_then(seen_here),
        said: said_by(view, called, about, phone.said_in),
    });
    let mut all: Vec<NetPhone> = all.collect();
    all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    all
}

fn seen_here(seen: &Seen) -> Option<PhoneSeen> {
    Some(PhoneSeen {
        from: seen.from?.to_string(),
        shown_ms: u64::try_from(seen.shown?.as_millis()).unwrap_or(u64::MAX),
        received: seen.received,
        sent: seen.sent,
    })
}

const fn refused(barrier: Barrier) -> &'static str {
    match barrier {
        Barrier::Suspended { .. } => "its person is suspended",
        Barrier::Lapsed { .. } => "it has lapsed",
        Barrier::NoGiver => "the device that let it in has lost its rights",
        Barrier::NoGateway => "none of the gateways that serve it stands",
        Barrier::NoOwner
        | Barrier::Unknown
        | Barrier::Ended { .. }
        | Barrier::NoHome
        | Barrier::NoReceiver => "its person is no member any more",
    }
}

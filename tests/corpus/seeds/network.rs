//! What operations say about the network, one of each kind.

use freehold_realm::body::{
    self, Body, NetSet, NodeNet, Ports, Preset, Proto, RuleFrom, RuleSet, RuleTo, ServiceSet,
};
use freehold_realm::{MemberRoles, NodeRoles};
use freehold_wire::{Bounded, GrantId, Millis, NodeId, PersonId, PhoneId, RuleId, ServiceId};

fn list<T, const N: usize>(items: Vec<T>) -> Bounded<T, N> {
    Bounded::from_vec(items).unwrap()
}

pub(super) fn bodies() -> Vec<Body> {
    let (node, person) = (NodeId::from_bytes([3; 32]), PersonId::from_bytes([4; 32]));
    let (service, rule, phone) =
        (ServiceId::from_bytes([5; 32]), RuleId::from_bytes([6; 32]), PhoneId::from_bytes([7; 32]));
    let grant = GrantId::from_bytes([8; 32]);
    let ports =
        || list(vec![Ports::one(Proto::Tcp, 443), Ports { proto: Proto::Udp, first: 5000, last: 5100 }]);
    vec![
        NetSet { range: Some("10.9.0.0/16".parse().unwrap()), guests_exit: true, strict: false }.into(),
        NodeNet {
            v4: Some([10, 9, 0, 1].into()),
            exit: Some(true),
            routes: Some(list(vec!["192.168.7.0/24".parse().unwrap(), "fd77::/32".parse().unwrap()])),
            owner: Some(person),
            ingress: Some(false),
            ..NodeNet::of(node)
        }
        .into(),
        ServiceSet {
            service,
            homes: list(vec![node]),
            ports: ports(),
            preset: Preset::Public,
            grants: list(vec![grant]),
            gateways: list(vec![node]),
            sign_on: true,
        }
        .into(),
        body::ServiceEnd { service }.into(),
        RuleSet {
            rule,
            from: list(vec![
                RuleFrom::Person(person),
                RuleFrom::Members(MemberRoles::GUEST),
                RuleFrom::Nodes(NodeRoles::GATEWAY),
                RuleFrom::Node(node),
                RuleFrom::Phone(phone),
                RuleFrom::Grant(grant),
            ]),
            to: list(vec![RuleTo::All, RuleTo::Node(node), RuleTo::Service(service)]),
            ports: ports(),
            until: Some(Millis(9)),
        }
        .into(),
        body::RuleEnd { rule }.into(),
        body::PhoneAdd { phone, key: super::box_public(), person, gateways: list(vec![node]), until: None }
            .into(),
        body::PhoneEnd { phone }.into(),
    ]
}

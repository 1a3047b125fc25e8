use freehold_api::{NewService, Publishing};
use freehold_wire::{Bounded, Text};

use super::*;
use crate::net::change;
use crate::net::door::asked;
use crate::net::lab::{Lab, node};

const ID: ServiceId = ServiceId::from_bytes([1; 32]);
/// A machine with a device of Ann's, who is admin; it has left the realm since.
const DESK: &str = "desk";
const OTHER: ServiceId = ServiceId::from_bytes([0; 32]);
const DOMAIN: &str = "wiki.the-smiths.internal";

/// A house with a published service of `nas`.
struct House {
    lab: Lab,
    published: BTreeMap<ServiceId, (NodeId, Published)>,
    held: BTreeMap<Host, ServiceId>,
    authority: Option<PublicAuthority>,
    carries: bool,
    has_records: bool,
}

impl House {
    fn with(access: &str, homes: &[&str], gateways: &[&str], wish: &Publishing) -> Self {
        let mut lab = Lab::house();
        let strings = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let new = NewService {
            name: "wiki".to_owned(),
            nodes: strings(homes),
            ports: vec!["tcp/8080".to_owned()],
            access: vec![access.to_owned()],
            gateways: strings(gateways),
            sign_on: wish.sign_on.is_some(),
            publish: None,
        };
        let mut body = change::of_service(&lab.called(), ID, &new).unwrap();
        let published = asked::published(None, wish, &body.ports).unwrap();
        let opened = asked::opened(&published, &body.homes, &body.gateways);
        body.ports = Bounded::from_vec(opened).unwrap();
        lab.must(body);
        lab.said.things.insert(Thing::Service(ID), "wiki".to_owned());
        let (published, held) = ([(ID, (node(DESK), published))].into(), BTreeMap::new());
        Self { lab, published, held, authority: None, carries: true, has_records: false }
    }

    fn chosen(mut self, proof: Proof) -> Self {
        self.authority = Some(PublicAuthority {
            directory: Text::new("https://acme.test/").unwrap(),
            contact: Bounded::new(),
            agreed: true,
            proof,
            roots: None,
            update: None,
        });
        self
    }

    /// Adds another service with the same homes and gateways, and a smaller id.
    fn beside(&mut self, preset: Preset, published: (NodeId, Published)) {
        let body = {
            let known = &self.lab.state().services[&ID];
            freehold_realm::body::ServiceSet {
                service: OTHER,
                homes: Bounded::from_vec(known.homes.clone()).unwrap(),
                ports: Bounded::from_vec(known.ports.clone()).unwrap(),
                preset,
                grants: Bounded::new(),
                gateways: Bounded::from_vec(known.gateways.clone()).unwrap(),
                sign_on: false,
            }
        };
        self.lab.must(body);
        self.published.insert(OTHER, published);
    }

    fn plan(&self, me: &str) -> Plan {
        Plan::of(&Ground {
            me: node(me),
            state: &self.lab.state(),
            called: &self.lab.called(),
            published: &self.published,
            owners: &[(node(DESK), self.lab.person("ann")), (node("pad"), self.lab.person("bo"))].into(),
            held: &self.held,
            authority: self.authority.as_ref(),
            carries: self.carries,
            has_records: self.has_records,
        })
    }
}

fn host(name: &str) -> Publishing {
    Publishing { hosts: Some(vec![name.to_owned()]), ..Publishing::default() }
}

fn names(plan: &Plan) -> Vec<String> {
    plan.names.values().flatten().cloned().collect()
}

fn upstreams(plan: &Plan) -> Vec<String> {
    let of = |target: &Target| match target {
        Target::Web(web) => web.upstreams.clone(),
        Target::Pass(pass) => pass.upstreams.clone(),
    };
    let all = plan.services.iter().flat_map(|service| of(&service.target));
    all.map(|upstream| format!("{upstream:?}")).collect()
}

fn troubles(plan: &Plan) -> String {
    plan.troubles.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn inside_it_is_shown_where_it_runs_and_nowhere_else() {
    let house = House::with("realm", &["nas"], &[], &Publishing::default());
    let plan = house.plan("nas");
    assert_eq!(names(&plan), [DOMAIN]);
    assert_eq!(plan.inside, [address::of_service(&house.lab.state().realm, &ID).into()].into());
    assert_eq!(plan.wanted, [Wanted { names: vec![DOMAIN.to_owned()], signer: Signer::Realm }]);
    assert_eq!(upstreams(&plan), ["Tcp(127.0.0.1:8080)", "Tcp([::1]:8080)"]);
    assert!(plan.kept_here.contains(DOMAIN) && plan.troubles.is_empty() && !plan.is_gateway);
    for other in ["door", "pad"] {
        assert!(house.plan(other).services.is_empty(), "{other}");
    }
    // The program's own port is open to nobody.
    assert_eq!(house.lab.state().services[&ID].ports.len(), 2);
}

#[test]
fn a_gateway_ends_tls_for_names_outside_once_somebody_is_chosen_who_certifies_them() {
    let house = House::with("public", &["nas"], &["door"], &host("wiki.example.org"));
    assert!(troubles(&house.plan("door")).contains("net certificates set"));
    assert!(house.plan("door").wanted.is_empty(), "nobody is asked before");
    let house = house.chosen(Proof::Http);
    let (gateway, home) = (house.plan("door"), house.plan("nas"));
    assert_eq!(names(&gateway), ["wiki.example.org"]);
    let wanted = Wanted { names: vec!["wiki.example.org".to_owned()], signer: Signer::Public(Method::Http) };
    assert_eq!(gateway.wanted, [wanted]);
    assert!(gateway.kept_here.is_empty(), "another gateway may take over");
    assert!(gateway.is_gateway && gateway.outside.contains(&ID) && gateway.inside.is_empty());
    let at = address::of_service(&house.lab.state().realm, &ID);
    assert_eq!(upstreams(&gateway), [format!("Tcp([{at}]:8080)")]);
    assert_eq!(house.lab.state().services[&ID].ports.len(), 3, "the gateway has to reach it");
    assert_eq!((names(&home), home.outside.is_empty()), (vec![DOMAIN.to_owned()], true));
}

#[test]
fn a_gateway_that_passes_on_has_no_key_and_wants_none() {
    let wish = Publishing { ends: Some(freehold_api::TlsEnds::Home), ..host("wiki.example.org") };
    let house = House::with("public", &["nas"], &["door"], &wish).chosen(Proof::Http);
    let (gateway, home) = (house.plan("door"), house.plan("nas"));
    assert!(gateway.wanted.is_empty() && gateway.kept_here.is_empty());
    assert!(matches!(&gateway.services[0].target, Target::Pass(pass) if pass.announce));
    let at = address::of_service(&house.lab.state().realm, &ID);
    assert_eq!(upstreams(&gateway), [format!("Tcp([{at}]:443)")]);
    assert_eq!(names(&home), [DOMAIN, "wiki.example.org"]);
    // The gateway passes on what the authority asks on port 80.
    let signers: Vec<Signer> = home.wanted.iter().map(|one| one.signer).collect();
    assert_eq!(signers, [Signer::Realm, Signer::Public(Method::Http)]);
    assert_eq!(home.kept_here, [DOMAIN, "wiki.example.org"].map(str::to_owned).into());
    assert!(home.outside.contains(&ID) && !home.is_gateway);
}

#[test]
fn what_nobody_says_has_signed_on_is_not_shown() {
    let wish =
        Publishing { sign_on: Some("http://127.0.0.1:9091/verify".to_owned()), ..Publishing::default() };
    let mut house = House::with("realm", &["nas"], &[], &wish);
    let plan = house.plan("nas");
    let Target::Web(web) = &plan.services[0].target else { panic!("{plan:?}") };
    let asked = web.sign_on.as_ref().unwrap();
    assert_eq!((asked.path.as_str(), asked.copy.len()), ("/verify", 4));
    let gone = house.published.get_mut(&ID).unwrap();
    gone.1.sign_on = None;
    let plan = house.plan("nas");
    assert!(plan.services.is_empty() && troubles(&plan).contains("--sign-on URL"), "{plan:?}");
    let gone = house.published.get_mut(&ID).unwrap();
    gone.1.sign_on = Some(Text::new("http://auth.example.org/").unwrap());
    let plan = house.plan("nas");
    assert!(plan.services.is_empty() && troubles(&plan).contains("has no address"), "{plan:?}");
}

#[test]
fn whose_rights_are_gone_shows_nothing() {
    for lost in ["nas", "door"] {
        let mut house =
            House::with("public", &["nas"], &["door"], &host("wiki.example.org")).chosen(Proof::Http);
        house.lab.suspend(lost);
        assert!(house.plan(lost).services.is_empty(), "{lost}");
    }
}

#[test]
fn what_cannot_be_is_told_and_left_out() {
    let wild = House::with("public", &["nas"], &["door"], &host("*.example.org")).chosen(Proof::Http);
    let plan = wild.plan("door");
    assert!(plan.wanted.is_empty() && troubles(&plan).contains("record in its zone"), "{plan:?}");
    let mut wild = wild.chosen(Proof::Dns);
    wild.has_records = true;
    assert_eq!(wild.plan("door").wanted.len(), 1);

    let mut still = House::with("public", &["nas"], &["door"], &host("a.example.org")).chosen(Proof::Http);
    still.carries = false;
    for me in ["door", "nas"] {
        let plan = still.plan(me);
        assert!(plan.services.is_empty() && troubles(&plan).contains("not carried here"), "{me}: {plan:?}");
    }

    let mut twice = House::with("public", &["nas"], &["door"], &host("a.example.org")).chosen(Proof::Http);
    let same = twice.published[&ID].clone();
    twice.beside(Preset::Public, same);
    let plan = twice.plan("door");
    assert!(troubles(&plan).contains("leads to another service already"), "{plan:?}");
    assert_eq!(plan.wanted.len(), 1, "nobody is asked about it for both");
    freehold_gateway::Table::new(plan.services).unwrap();
}

/// Which service a name leads to at the gateway.
fn leads(house: &House, name: &str) -> Option<ServiceId> {
    let plan = house.plan("door");
    let host = Host::parse(name).unwrap();
    plan.services.iter().find(|one| one.hosts.contains(&host)).map(|one| one.id)
}

#[test]
fn who_has_a_name_keeps_it_and_a_machine_takes_none_from_what_an_operator_said() {
    let name = "wiki.example.org";
    let mut house = House::with("public", &["nas"], &["door"], &host(name)).chosen(Proof::Http);
    let (by, said) = house.published[&ID].clone();
    // Another one of Ann's, with a smaller id and less open.
    house.beside(Preset::Realm, (by, said.clone()));
    assert_eq!(leads(&house, name), Some(ID), "the public one");
    house.held.insert(Host::parse(name).unwrap(), OTHER);
    assert_eq!(leads(&house, name), Some(OTHER), "it has it");
    // A server's own service, with whatever row it likes.
    house.published.insert(OTHER, (node("nas"), said.clone()));
    assert_eq!(leads(&house, name), Some(ID));
    let plan = house.plan("door");
    assert!(troubles(&plan).contains("lead to no gateway elsewhere"), "{plan:?}");
    assert_eq!(plan.wanted.len(), 1, "no authority is asked for a machine's own wishes");
}

#[test]
fn where_a_service_leads_is_said_by_who_may_change_it() {
    for (by, homes, counts) in [
        (DESK, &["nas"][..], true),
        ("nas", &["nas"], true),
        // It runs on another one as well, so neither may change it; nor may a gateway, nor Bo, who is a member.
        ("nas", &["door", "nas"], false),
        ("door", &["nas"], false),
        ("pad", &["nas"], false),
    ] {
        let mut house = House::with("realm", homes, &[], &Publishing::default());
        house.published.get_mut(&ID).unwrap().0 = node(by);
        let plan = house.plan("nas");
        assert_eq!(plan.services.len() == 1, counts, "{by} {homes:?}: {plan:?}");
        assert_eq!(troubles(&plan).contains("may not say so"), !counts, "{by} {homes:?}");
        assert!(house.plan("pad").troubles.is_empty(), "it is none of its business");
    }
}

use freehold_api::ProblemKind;

use super::super::lab::{Lab, NOW, node};
use super::*;

fn strings<const N: usize>(all: [&str; N]) -> Vec<String> {
    all.map(str::to_owned).into()
}

fn part(lab: &Lab, name: &str, wish: &NetNodeSetting) -> Result<NodeNet, Problem> {
    of_node(&lab.state(), &lab.called(), node(name), wish)
}

fn ipv4(text: &str) -> NetNodeSetting {
    NetNodeSetting { ipv4: Some(text.to_owned()), ..NetNodeSetting::default() }
}

fn leads<const N: usize>(routes: [&str; N]) -> NetNodeSetting {
    NetNodeSetting { routes: Some(strings(routes)), ..NetNodeSetting::default() }
}

#[test]
fn an_address_is_the_first_that_is_free_and_stays() {
    let mut lab = Lab::house();
    let range = NetSetting { range: Some("10.20.0.0/30".to_owned()), ..NetSetting::default() };
    let body = of_whole(&lab.state(), &lab.called(), &range).unwrap();
    lab.must(body);
    for (name, expected) in [("nas", "10.20.0.1"), ("door", "10.20.0.2"), ("nas", "10.20.0.1")] {
        let body = part(&lab, name, &ipv4("auto")).unwrap();
        assert_eq!(body.v4.unwrap().to_string(), expected);
        lab.must(body);
    }
    let full = part(&lab, "pad", &ipv4("auto")).unwrap_err();
    assert!(full.why.contains("every address of 10.20.0.0/30 is taken"), "{full:?}");
    let taken = part(&lab, "pad", &ipv4("10.20.0.2")).unwrap_err();
    assert_eq!((taken.kind, taken.why.as_str()), (ProblemKind::Conflict, "door has 10.20.0.2"));
    let body = part(&lab, "door", &ipv4("")).unwrap();
    lab.must(body);
    assert!(part(&lab, "pad", &ipv4("10.20.0.2")).is_ok());
    for odd in ["10.20.0.0", "10.20.0.3", "10.20.1.1", "fd00::1", "first"] {
        assert_eq!(part(&lab, "pad", &ipv4(odd)).unwrap_err().kind, ProblemKind::Invalid, "{odd}");
    }
}

#[test]
fn what_lies_behind_nodes_is_private_and_nobody_elses() {
    let mut lab = Lab::house();
    let body = part(&lab, "nas", &leads(["192.168.1.0/24", "192.168.0.0/24", "192.168.1.0/24"])).unwrap();
    assert_eq!(body.routes.as_ref().unwrap().len(), 2);
    lab.must(body);
    let own = lab.state().network.range.to_string();
    for (odd, kind, says) in [
        ("8.8.8.0/24", ProblemKind::Invalid, "not a private network"),
        ("192.168.1.1/24", ProblemKind::Invalid, "not a network"),
        ("fc00::/8", ProblemKind::Invalid, "too wide"),
        (own.as_str(), ProblemKind::Conflict, "which this realm uses itself"),
        ("192.168.1.0/24", ProblemKind::Conflict, "lies behind nas already"),
    ] {
        let problem = part(&lab, "door", &leads([odd])).unwrap_err();
        assert_eq!(problem.kind, kind, "{problem:?}");
        assert!(problem.why.contains(says), "{problem:?}");
    }
    // A part of it is no conflict, and a range of addresses must leave it alone.
    let body = part(&lab, "door", &leads(["192.168.1.128/25"])).unwrap();
    lab.must(body);
    let over = NetSetting { range: Some("192.168.0.0/16".to_owned()), ..NetSetting::default() };
    let problem = of_whole(&lab.state(), &lab.called(), &over).unwrap_err();
    assert!(problem.why.contains("behind"), "{problem:?}");
    for odd in ["10.0.0.0/31", "fd00::/48", "11.0.0.0/8", "10"] {
        let wish = NetSetting { range: Some(odd.to_owned()), ..NetSetting::default() };
        assert_eq!(
            of_whole(&lab.state(), &lab.called(), &wish).unwrap_err().kind,
            ProblemKind::Invalid,
            "{odd}"
        );
    }
}

#[test]
fn what_is_not_said_of_the_whole_stays() {
    let mut lab = Lab::house();
    let say = |lab: &mut Lab, wish: NetSetting| {
        let body = of_whole(&lab.state(), &lab.called(), &wish).unwrap();
        lab.must(body);
        lab.state().network
    };
    say(&mut lab, NetSetting { range: Some("10.20.0.0/16".to_owned()), ..NetSetting::default() });
    let now = say(&mut lab, NetSetting { strict: Some(true), ..NetSetting::default() });
    assert!(now.strict && now.range.to_string() == "10.20.0.0/16");
    let now = say(&mut lab, NetSetting { range: Some(String::new()), ..NetSetting::default() });
    assert!(now.strict && now.range == own_range(&lab.state().realm));
}

#[test]
fn a_service_says_where_it_runs_at_which_ports_and_for_whom() {
    let mut lab = Lab::house();
    let id = ServiceId::from_bytes([1; 32]);
    let wish = NewService {
        name: "wiki".to_owned(),
        nodes: strings(["nas"]),
        ports: strings(["tcp/443", "80", "tcp/443"]),
        access: strings(["lan"]),
        gateways: strings(["door"]),
        sign_on: true,
        publish: None,
    };
    let body = of_service(&lab.called(), id, &wish).unwrap();
    assert_eq!(body.ports.len(), 2);
    assert_eq!((body.preset, body.sign_on), (Preset::Lan, true));
    lab.must(body);
    for (odd, says) in [
        (NewService { nodes: Vec::new(), ..wish.clone() }, "it needs a node"),
        (NewService { ports: Vec::new(), ..wish.clone() }, "it needs a node"),
        (NewService { ports: strings(["http"]), ..wish.clone() }, "\"http\" is no port"),
        (NewService { access: strings(["friends"]), ..wish.clone() }, "does not say who may use it"),
        (NewService { access: strings(["lan", "public"]), ..wish.clone() }, "only one of realm, lan"),
        (NewService { access: strings(["grant:1234"]), ..wish.clone() }, "none of that name or id"),
        (NewService { nodes: strings(["attic"]), ..wish.clone() }, "none of that name or id"),
    ] {
        let problem = of_service(&lab.called(), id, &odd).unwrap_err();
        assert!(problem.why.contains(says), "{problem:?}");
        assert!(problem.next.is_some(), "{problem:?}");
    }
}

#[test]
fn a_rule_says_who_what_and_at_which_ports() {
    let mut lab = Lab::house();
    let service = NewService {
        name: "wiki".to_owned(),
        nodes: strings(["nas"]),
        ports: strings(["80"]),
        ..NewService::default()
    };
    let id = ServiceId::from_bytes([1; 32]);
    let body = of_service(&lab.called(), id, &service).unwrap();
    lab.must(body);
    lab.said.things.insert(Thing::Service(id), "wiki".to_owned());
    let rule = RuleId::from_bytes([2; 32]);
    let of = |wish: &NewRule| of_rule(&lab.called(), rule, NOW, wish);
    let wish = NewRule {
        name: "night".to_owned(),
        from: strings(["bo", "door"]),
        to: strings(["nas"]),
        ports: strings(["tcp/22"]),
        until_ms: None,
    };
    let good = of(&wish).unwrap();
    let open = of(&NewRule { to: strings(["wiki"]), ports: Vec::new(), ..wish.clone() }).unwrap();
    for (odd, says) in [
        (NewRule { from: Vec::new(), ..wish.clone() }, "who may"),
        (NewRule { to: strings(["wiki"]), ..wish.clone() }, "a service has its own ports"),
        (NewRule { ports: Vec::new(), ..wish.clone() }, "at which ports"),
        (NewRule { until_ms: Some(5), ..wish.clone() }, "lapsed already"),
        (NewRule { to: strings(["bo"]), ..wish.clone() }, "none of that name or id"),
    ] {
        let problem = of(&odd).unwrap_err();
        assert!(problem.why.contains(says) && problem.next.is_some(), "{problem:?}");
    }
    lab.must(good);
    lab.must(RuleSet { rule: RuleId::from_bytes([3; 32]), ..open });
}

use freehold_api::NewService;
use freehold_gateway::{Target, Upstream, Web};
use freehold_reach::address;
use freehold_realm::network_of;

use super::*;
use crate::net::change;
use crate::net::lab::{Lab, NOW, node};

const ID: ServiceId = ServiceId::from_bytes([1; 32]);
const WORLD: &str = "198.51.100.7";
const HOUSE: &str = "192.168.1.7";

/// What a machine's door goes by, for a service of `nas` that `door` takes to the outside.
fn ground(lab: &mut Lab, me: &str, access: &str, outside: bool) -> (Ground, Service) {
    let wish = NewService {
        name: "wiki".to_owned(),
        nodes: vec!["nas".to_owned()],
        ports: vec!["tcp/443".to_owned()],
        access: vec![access.to_owned()],
        gateways: vec!["door".to_owned()],
        ..NewService::default()
    };
    lab.must(change::of_service(&lab.called(), ID, &wish).unwrap());
    let state = lab.state();
    let net = Arc::new(Net::of(&state, node(me), &BTreeMap::new(), NOW));
    let own = [network_of(&state.realm), state.network.range];
    let outside = if outside { [ID].into() } else { BTreeSet::new() };
    let access = match access {
        "public" => Access::Public,
        "lan" => Access::Lan,
        _ => Access::Realm,
    };
    let target = Target::Web(Box::new(Web::at(vec![Upstream::Unix("/x".into())])));
    let around = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
    let ground = Ground::new(node(me), state, (net, own), outside, Near::of(around, ""));
    (ground, Service { id: ID, hosts: vec![], access, target })
}

fn client(from: &str) -> Client {
    let at = |ip: &str| std::net::SocketAddr::new(ip.parse().unwrap(), 443);
    Client { from: at(from), to: at("192.0.2.1") }
}

fn mesh(lab: &Lab, name: &str) -> String {
    address::of_node(&lab.state().realm, &node(name)).to_string()
}

/// Who is let in: the owner's server, a member's laptop, this machine, the house around it, the world.
fn let_in(me: &str, access: &str, outside: bool) -> Vec<&'static str> {
    let mut lab = Lab::house();
    let (ground, service) = ground(&mut lab, me, access, outside);
    let (door, pad) = (mesh(&lab, "door"), mesh(&lab, "pad"));
    let all =
        [("door", door.as_str()), ("pad", &pad), ("here", "127.0.0.1"), ("lan", HOUSE), ("world", WORLD)];
    let let_in = |(_, from): &(&str, &str)| ground.judge(&client(from), &service) == Judgement::Allowed;
    all.into_iter().filter(let_in).map(|(name, _)| name).collect()
}

#[test]
fn each_preset_lets_in_whom_it_names() {
    // The gateway itself may use what it takes to the outside, whatever the preset.
    assert_eq!(let_in("nas", "realm", false), ["door", "pad", "here"]);
    assert_eq!(let_in("door", "realm", true), ["door", "pad", "here"]);
    assert_eq!(let_in("nas", "lan", false), ["door", "here"]);
    assert_eq!(let_in("door", "lan", true), ["door", "here", "lan"]);
    assert_eq!(let_in("nas", "public", false), ["door", "pad", "here"]);
    assert_eq!(let_in("door", "public", true), ["door", "pad", "here", "lan", "world"]);
}

#[test]
fn a_machine_reaches_what_it_shows_at_any_of_its_addresses() {
    let mut lab = Lab::house();
    let (ground, service) = ground(&mut lab, "nas", "realm", false);
    let at = address::of_service(&lab.state().realm, &ID);
    let own = std::net::SocketAddr::new(at.into(), 443);
    assert_eq!(ground.judge(&Client { from: own, to: own }, &service), Judgement::Allowed);
    let strange = client("fd00::1");
    assert_eq!(ground.judge(&Client { to: strange.from, ..strange }, &service), Judgement::Hidden);
}

#[test]
fn who_has_no_rights_does_not_learn_that_something_is_there() {
    let mut lab = Lab::house();
    let (open, service) = ground(&mut lab, "door", "realm", true);
    for stranger in [WORLD, HOUSE] {
        assert_eq!(open.judge(&client(stranger), &service), Judgement::Hidden, "{stranger}");
    }
    lab.suspend("pad");
    let (open, service) = ground(&mut lab, "door", "public", true);
    let gone = mesh(&lab, "pad");
    assert_eq!(
        open.judge(&client(&gone), &service),
        Judgement::Hidden,
        "an address of the realm without rights"
    );
}

#[test]
fn a_gateway_speaks_for_those_outside_and_for_nobody_inside() {
    let mut lab = Lab::house();
    let (open, _) = ground(&mut lab, "nas", "public", true);
    let keeper = Keeper::new(open, watch::channel(Some(Way::Kernel)).1);
    let [door, pad, nas] = ["door", "pad", "nas"].map(|name| mesh(&lab, name).parse::<IpAddr>().unwrap());
    assert!(keeper.may_speak_for_others(door));
    for other in [pad, nas, WORLD.parse().unwrap(), "127.0.0.1".parse().unwrap()] {
        assert!(!keeper.may_speak_for_others(other), "{other}");
    }
    let gateway = client(&mesh(&lab, "door"));
    assert!(keeper.believes(&gateway, &client(WORLD)));
    for made_up in [mesh(&lab, "pad"), "127.0.0.1".to_owned(), "::1".to_owned(), "fd00::1".to_owned()] {
        let is_own = made_up != "fd00::1";
        assert_eq!(keeper.believes(&gateway, &client(&made_up)), !is_own, "{made_up}");
    }
    lab.suspend("door");
    let (open, _) = ground(&mut lab, "nas", "public", true);
    keeper.set(open);
    assert!(!keeper.may_speak_for_others(door), "its rights are gone");
}

#[test]
fn who_comes_over_the_network_is_not_this_machine_because_of_the_way() {
    let mut lab = Lab::house();
    let comer = freehold_stack::COMERS.to_string();
    for (access, here, there) in [
        ("realm", Judgement::Allowed, Judgement::Hidden),
        ("lan", Judgement::Allowed, Judgement::Hidden),
        ("public", Judgement::Allowed, Judgement::Hidden),
    ] {
        let (open, service) = ground(&mut lab, "nas", access, false);
        // Nothing is carried at the moment: what is still under way is nobody's.
        let keeper = Keeper::new(open, watch::channel(None).1);
        assert_eq!(keeper.judge(&client("127.0.0.1"), &service), here, "{access}");
        assert_eq!(keeper.judge(&client(&comer), &service), there, "{access}");
    }
}

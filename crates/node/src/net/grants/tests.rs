//! Who is somebody here.

use freehold_realm::body::{Ceilings, Terms};
use freehold_wire::{OpId, Text};

use super::*;

const NOW: Millis = Millis(1_000_000);

fn grant(resource: Resource, side: Side, other: u8) -> Grant {
    let op = OpId::from_bytes([0; 32]);
    let terms = Terms {
        resource,
        ceilings: Ceilings::default(),
        from: Millis(0),
        until: Millis(NOW.0 + 1000),
        wind_down_days: 0,
    };
    Grant {
        side,
        other: RealmId::from_bytes([other; 32]),
        offer: op,
        said_in: op,
        terms,
        keys: vec![],
        homes: vec![],
        revoked: false,
        ended: None,
        suspended: false,
        standing_in: None,
    }
}

fn id(n: u8) -> GrantId {
    GrantId::from_bytes([n; 32])
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn here(under: u8, who: u8, hosts: &[&str]) -> Here {
    let visitor =
        Visitor { grant: id(under), realm: RealmId::from_bytes([under; 32]), node: node(who), until: NOW };
    let service = ServiceId::from_bytes([who; 32]);
    let hosts = hosts.iter().map(|name| Host { name: Text::new(*name).unwrap(), service }).collect();
    Here { visitor, addresses: Addresses::default(), hosts }
}

fn state(grants: Vec<(u8, Grant)>) -> State {
    let mut state = crate::net::lab::Lab::house().state();
    state.grants = grants.into_iter().map(|(n, grant)| (id(n), grant)).collect();
    state
}

#[test]
fn a_machine_is_somebody_while_its_pass_and_its_grant_hold() {
    let strangers = Strangers::default();
    strangers.let_in(here(1, 7, &[]), |_| false, NOW).unwrap();
    let mut state = state(vec![(1, grant(Resource::Services, Side::Lends, 1))]);
    assert_eq!(
        strangers.guests(&state, NOW),
        BTreeMap::from([(node(7), Guest { grant: id(1), until: NOW })])
    );
    assert!(strangers.admits_line(node(7), &state, NOW) && !strangers.admits_line(node(8), &state, NOW));
    assert_eq!(strangers.networks(&state, NOW).len(), 1);
    assert!(strangers.guests(&state, Millis(NOW.0 + 1)).is_empty());
    state.grants.get_mut(&id(1)).unwrap().revoked = true;
    assert!(strangers.guests(&state, NOW).is_empty() && !strangers.admits_line(node(7), &state, NOW));
}

#[test]
fn nobody_gets_a_name_that_another_has() {
    let strangers = Strangers::default();
    let gateway = |other| grant(Resource::Gateway, Side::Lends, other);
    let state = state(vec![(1, gateway(1)), (2, gateway(2))]);
    let let_in = |here| strangers.let_in(here, |host| host == "own.example", NOW).unwrap();
    assert_eq!(let_in(here(1, 7, &["a.example", "own.example"])), ["own.example"]);
    assert_eq!(let_in(here(2, 8, &["a.example", "b.example"])), ["a.example"]);
    // Another machine of the same realm may have it as well.
    assert!(let_in(here(1, 9, &["a.example"])).is_empty());
    let hosts: BTreeSet<String> =
        strangers.hosts(&state, NOW).iter().map(|(_, host)| host.name.as_str().to_owned()).collect();
    assert_eq!(hosts, BTreeSet::from(["a.example".to_owned(), "b.example".to_owned()]));
}

#[test]
fn so_many_machines_come_under_one_grant_and_no_more() {
    let strangers = Strangers::default();
    for n in 0..64 {
        strangers.let_in(here(1, n, &[]), |_| false, NOW).unwrap();
    }
    assert!(strangers.let_in(here(1, 64, &[]), |_| false, NOW).is_err());
    strangers.let_in(here(1, 63, &[]), |_| false, NOW).unwrap();
    strangers.let_in(here(2, 64, &[]), |_| false, NOW).unwrap();
    // Those that are over leave room.
    assert!(strangers.let_in(here(1, 65, &[]), |_| false, Millis(NOW.0 + 1)).is_ok());
}

#[test]
fn of_two_grants_the_one_counts_that_opens_something() {
    let strangers = Strangers::default();
    for under in [1, 2] {
        strangers.let_in(here(under, 7, &[]), |_| false, NOW).unwrap();
    }
    let state = state(vec![
        (1, grant(Resource::Gateway, Side::Lends, 1)),
        (2, grant(Resource::Services, Side::Lends, 1)),
    ]);
    assert_eq!(strangers.guests(&state, NOW)[&node(7)].grant, id(2));
}

#[test]
fn a_pass_is_known_after_a_restart_and_what_cannot_be_read_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let place = |n: u8| (id(n), node(n));
    let note =
        |strangers: &Strangers, n, from| strangers.note(&home, place(n), (from, Millis(NOW.0 + 9)), NOW);
    note(&Strangers::kept(&home), 1, NOW).unwrap();
    // Whoever is asked first after a restart has the others.
    let again = Strangers::kept(&home);
    note(&again, 2, NOW).unwrap();
    // By a clock that was set back nothing is taken back less.
    note(&again, 1, Millis(NOW.0 - 5)).unwrap();
    let after = Strangers::kept(&home);
    assert_eq!(after.known().issued.len(), 2);
    assert_eq!(after.known().issued[&place(1)].0, NOW);

    freehold_disk::replace(&issued::file(&home), b"{", 0o600).unwrap();
    let damaged = Strangers::kept(&home);
    assert!(note(&damaged, 3, NOW).is_err());
    assert!(damaged.known().unreadable.is_some());
    assert_eq!(std::fs::read(issued::file(&home)).unwrap(), b"{");
}

#[test]
fn by_the_relay_come_those_who_sign_and_those_who_are_here() {
    let strangers = Strangers::default();
    let secret = freehold_crypt::Secret::from_bytes([5; 32]);
    let key = freehold_crypt::SigningKey::from_seed(freehold_crypt::Algorithm::Ed25519, &secret);
    let signer = NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap());
    let signed = |side| Grant { keys: vec![key.verifying()], ..grant(Resource::Services, side, 1) };
    let mut state = state(vec![(1, signed(Side::Lends))]);
    let comes = |state: &State, who, now| strangers.admits_relay(who, state, now);
    assert!(comes(&state, signer, NOW) && !comes(&state, node(7), NOW));
    strangers.let_in(here(1, 7, &[]), |_| false, NOW).unwrap();
    assert!(comes(&state, node(7), NOW) && !comes(&state, node(8), NOW));
    assert!(!comes(&state, signer, Millis(NOW.0 + 1001)), "the grant is over");
    state.grants.get_mut(&id(1)).unwrap().revoked = true;
    assert!(!comes(&state, signer, NOW) && !comes(&state, node(7), NOW));
    let room = Grant { keys: vec![key.verifying()], ..grant(Resource::Storage, Side::Lends, 1) };
    let ends = |ended, wind_down_days| {
        let terms = Terms { wind_down_days, ..room.terms };
        Grant { revoked: true, ended: Some(ended), terms, ..room.clone() }
    };
    state.grants.insert(id(1), room.clone());
    assert!(comes(&state, signer, NOW) && comes(&state, node(7), NOW), "what is stored goes by it, too");
    state.grants.insert(id(1), Grant { suspended: true, ..room.clone() });
    assert!(!comes(&state, signer, NOW) && !comes(&state, node(7), NOW));
    // What was ended is fetched for as many days as were promised, and not for a moment longer.
    state.grants.insert(id(1), ends(Millis(NOW.0 - 1), 1));
    assert!(comes(&state, signer, NOW) && comes(&state, node(7), NOW));
    assert!(!comes(&state, signer, NOW.plus(Millis::from_hours(24))), "it is over");
    state.grants.insert(id(1), ends(Millis(NOW.0 - 1), 0));
    assert!(!comes(&state, signer, NOW) && !comes(&state, node(7), NOW));
    state.grants.insert(id(1), signed(Side::Borrows));
    let machine = Machine {
        addresses: Addresses::default(),
        until: Some(NOW),
        is_gateway: false,
        taken: Vec::new(),
        refused: Vec::new(),
    };
    let machines = BTreeMap::from([(signer, machine)]);
    strangers.learn(BTreeMap::from([(id(1), There { machines, ..There::default() })]));
    assert!(strangers.admits_line(signer, &state, NOW));
    assert!(!comes(&state, signer, NOW), "who lends comes by no relay of the borrower's");
}

#[test]
fn a_relay_is_lent_as_long_as_its_grant_holds() {
    let strangers = Strangers::default();
    let mut state = state(vec![(1, grant(Resource::Relay, Side::Borrows, 1))]);
    let there = |at: &str, until| {
        let addresses = at.parse().unwrap();
        let machine = Machine { addresses, until, is_gateway: false, taken: Vec::new(), refused: Vec::new() };
        There { machines: BTreeMap::from([(node(7), machine)]), ..There::default() }
    };
    let learn = |there| strangers.learn(BTreeMap::from([(id(1), there)]));
    let lent = |state: &State, now| strangers.relays(state, now).into_iter().collect::<Vec<_>>();
    learn(there("192.0.2.1:1,http://192.0.2.9:9,+http://192.0.2.1:3340", Some(NOW)));
    assert_eq!(
        lent(&state, NOW),
        ["http://192.0.2.1:3340".parse().unwrap()],
        "what it runs, not what it comes by"
    );
    assert!(lent(&state, NOW.plus(Millis(1))).is_empty(), "it is let in until then");
    learn(there("+http://192.0.2.1:3340", None));
    assert!(lent(&state, NOW).is_empty(), "who is not let in hears of no relay");
    learn(there("+http://192.0.2.1:3340", Some(Millis(NOW.0 + 5000))));
    assert!(
        !lent(&state, NOW).is_empty() && lent(&state, Millis(NOW.0 + 1001)).is_empty(),
        "the grant is over"
    );
    for other in [
        Grant { revoked: true, ..grant(Resource::Relay, Side::Borrows, 1) },
        grant(Resource::Relay, Side::Lends, 1),
        grant(Resource::Services, Side::Borrows, 1),
    ] {
        state.grants.insert(id(1), other);
        assert!(lent(&state, NOW).is_empty());
    }
}

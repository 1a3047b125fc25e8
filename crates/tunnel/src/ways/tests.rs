//! What the kernel is asked for, by what is wished.

use super::*;

fn now(device: Option<u32>) -> Now {
    Now { rules: Vec::new(), routes: Vec::new(), around: Around::default(), device }
}

fn wish() -> WaysWish {
    WaysWish {
        out: Some(Out {
            mesh: vec![4710],
            relays: vec!["192.0.2.7:4711".parse().unwrap()],
            ..Out::default()
        }),
        networks: ["192.168.7.0/24".parse().unwrap()].into(),
        sources: vec!["fd12::7".parse().unwrap(), "10.20.0.7".parse().unwrap()],
        ..WaysWish::default()
    }
}

/// How packets to everywhere go, by our table.
fn ways_out(wish: &WaysWish, device: Option<u32>) -> Vec<(bool, Way)> {
    let all = routes(wish, &now(device)).into_iter();
    let out = all.filter(|route| route.table == TABLE && route.to.bits() == 0);
    out.map(|route| (route.to.first().is_ipv6(), route.way)).collect()
}

#[test]
fn the_mesh_goes_around_what_everything_else_goes_through() {
    let all = rules("freehold0", &wish());
    let last = all.iter().filter(|rule| rule.table == TABLE);
    assert!(last.clone().count() == families().len() && last.clone().all(|rule| rule.which == Which::All));
    let last = last.map(|rule| rule.number).max().unwrap();
    let around: Vec<&Rule> = all.iter().filter(|rule| rule.table == MAIN).collect();
    assert!(around.iter().all(|rule| rule.number < last && rule.which != Which::All && !rule.near));
    assert!(around.iter().any(|rule| rule.which == Which::From { proto: UDP, port: 4710 }));
    // A relay's address is of one family.
    assert_eq!(around.iter().filter(|rule| matches!(rule.which, Which::To { .. })).count(), 1);
    assert!(rules("freehold0", &WaysWish { out: None, ..wish() }).is_empty());
}

#[test]
fn the_network_around_is_reached_only_if_that_is_wished() {
    let mut wish = wish();
    let near = |wish: &WaysWish| rules("freehold0", wish).iter().any(|rule| rule.near && rule.table == MAIN);
    assert!(!near(&wish));
    wish.out.as_mut().unwrap().lan = true;
    assert!(near(&wish));
}

#[test]
fn what_cannot_go_through_the_exit_goes_nowhere_unless_it_may_leak() {
    let tunnel = |source: &str| Way::Tunnel { device: 9, source: source.parse().ok() };
    let mut wish = wish();
    let (v4, v6) = ((false, tunnel("10.20.0.7")), (true, tunnel("fd12::7")));
    let (no4, no6) = ((false, Way::Nowhere), (true, Way::Nowhere));
    assert_eq!(ways_out(&wish, Some(9)), [v4, no4, v6, no6]);
    // Without a device, as when the tunnel has ended; and without an address of one family.
    assert_eq!(ways_out(&wish, None), [no4, no6]);
    wish.sources.pop();
    assert_eq!(ways_out(&wish, Some(9)), [no4, v6, no6]);
    wish.out.as_mut().unwrap().may_leak = true;
    assert_eq!(ways_out(&wish, Some(9)), [v6]);
    wish.out = None;
    assert!(ways_out(&wish, Some(9)).is_empty());
}

#[test]
fn networks_behind_others_need_an_address_of_their_family() {
    let used = |wish: &WaysWish| {
        let all = routes(&WaysWish { out: None, ..wish.clone() }, &now(Some(9)));
        all.iter().map(|route| (route.table, route.to.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(used(&wish()), [(MAIN, "192.168.7.0/24".to_owned())]);
    let bare = WaysWish { sources: wish().sources[..1].to_vec(), ..wish() };
    assert!(used(&bare).is_empty());
}

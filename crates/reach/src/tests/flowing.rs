//! Flows under way: what answers may come, and what a right that ends takes with it.

use freehold_packet::{Flow, protocol};
use freehold_realm::body;
use freehold_realm::body::{Ports, Proto, RuleFrom, RuleTo};
use freehold_wire::Millis;

use super::lab::*;
use crate::{Flows, Verdict};

fn yes() -> Verdict {
    let lab = Lab::house();
    let net = lab.net("m");
    let own = net.addresses(at("m")).unwrap().0.into();
    let verdict = net.judge(at("lc"), &flow(own, 6, 1));
    assert!(verdict.allowed());
    verdict
}

fn tcp(sport: u16, dport: u16) -> Flow {
    let (src, dst) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
    Flow { src, dst, proto: 6, sport, dport }
}

fn unasked() -> Verdict {
    panic!("it is known")
}

const T: Millis = Millis(1_000_000);

#[test]
fn an_answer_comes_in_because_something_went_out() {
    let mut flows = Flows::new([3; 16], 1024);
    let out = tcp(40_000, 443);
    assert!(!flows.inbound(1, T, &out.reversed(), || Verdict::SHUT));
    assert!(!flows.answered(T, &out.reversed()));
    // What is no beginning begins nothing.
    assert!(flows.outbound(1, T, &out, false, unasked));
    assert!(!flows.answered(T, &out.reversed()));
    assert!(flows.outbound(1, T, &out, true, unasked));
    assert!(flows.inbound(1, T, &out.reversed(), unasked) && flows.answered(T, &out.reversed()));
    // Nor does it let in anything else.
    for other in [tcp(40_001, 443), tcp(40_000, 444), Flow { proto: 17, ..out }, out.reversed()] {
        assert!(!flows.answered(T, &other.reversed()), "{other:?}");
    }
    // It stands when the log says something else, and lapses when nobody says anything.
    assert!(flows.inbound(2, T, &out.reversed(), unasked));
    let later = T.plus(Millis::from_hours(3));
    assert!(!flows.inbound(2, later, &out.reversed(), || Verdict::SHUT));
}

#[test]
fn a_flow_is_asked_about_once_until_the_log_says_something_else() {
    let (mut flows, yes) = (Flows::new([3; 16], 1024), yes());
    let inward = tcp(40_000, 22);
    assert!(flows.inbound(1, T, &inward, || yes) && flows.inbound(1, T, &inward, unasked));
    // The answers to it are no beginning of ours.
    assert!(flows.outbound(1, T, &inward.reversed(), true, unasked));
    assert!(!flows.answered(T, &inward));
    assert!(flows.inbound(2, T, &inward, || yes) && flows.inbound(2, T, &inward, unasked));
    // The right ends, and the flow with it; what this side still says does not begin it anew.
    assert!(!flows.inbound(3, T, &inward, || Verdict::SHUT));
    assert!(!flows.outbound(3, T, &inward.reversed(), true, unasked));
    assert!(!flows.inbound(3, T, &inward, unasked) && !flows.answered(T, &inward));
    // Nor does a stream that only goes out go on.
    let stream = Flow { proto: 17, ..tcp(5004, 5004) };
    assert!(flows.inbound(1, T, &stream, || yes));
    assert!(flows.outbound(2, T, &stream.reversed(), true, || yes));
    assert!(!flows.outbound(3, T, &stream.reversed(), true, || Verdict::SHUT));
    assert!(!flows.inbound(3, T, &stream, unasked));
    // It may again.
    assert!(flows.inbound(4, T, &inward, || yes) && flows.outbound(4, T, &inward.reversed(), false, unasked));
}

#[test]
fn what_is_passed_on_for_others_only_comes_back() {
    let (mut flows, yes) = (Flows::new([3; 16], 1024), yes());
    let asked = tcp(40_000, 443);
    assert!(!flows.returned(1, T, &asked.reversed(), unasked), "nobody asked");
    assert!(flows.inbound(1, T, &asked, || yes) && flows.returned(1, T, &asked.reversed(), unasked));
    // Nor does something else, nor what this side began itself.
    assert!(!flows.returned(1, T, &tcp(40_000, 444).reversed(), unasked));
    let own = tcp(50_000, 80);
    assert!(flows.outbound(1, T, &own, true, unasked) && !flows.returned(1, T, &own, unasked));
    // And it ends with the right to it.
    assert!(!flows.returned(2, T, &asked.reversed(), || Verdict::SHUT));
}

#[test]
fn a_rule_that_ends_ends_what_goes_by_it() {
    let mut lab = Lab::house();
    let rule =
        allow(1, RuleFrom::Person(person("h")), RuleTo::Node(node("o")), &[Ports::one(Proto::Tcp, 22)]);
    lab.must("a", rule.clone(), &[]);
    let own = |lab: &Lab| lab.net("o").addresses(at("o")).unwrap().0.into();
    let inward = flow(own(&lab), 6, 22);
    let mut flows = Flows::new([9; 16], 1024);
    let net = lab.net("o");
    assert!(flows.inbound(1, T, &inward, || net.judge(at("lh"), &inward)));
    lab.must("b", body::RuleEnd { rule: rule.rule }, &[]);
    let net = lab.net("o");
    assert!(!flows.inbound(2, T, &inward, || net.judge(at("lh"), &inward)));
    assert!(!flows.outbound(2, T, &inward.reversed(), true, unasked));
}

#[test]
fn no_flood_makes_forget_what_is_over() {
    let (mut flows, yes) = (Flows::new([5; 16], 64), yes());
    let (src, dst) = (tcp(1, 1).src, tcp(1, 1).dst);
    let game = Flow { src, dst, proto: protocol::UDP, sport: 4000, dport: 4710 };
    assert!(flows.inbound(1, T, &game, || yes));
    assert!(!flows.inbound(2, T, &game, || Verdict::SHUT), "its rule has ended");
    for id in 0..20_000 {
        let echo = Flow { src, dst, proto: protocol::ICMP6, sport: id, dport: 0 };
        assert!(flows.inbound(2, T.plus(Millis(1)), &echo, || yes));
    }
    // What the other side of it still sends does not let it in again.
    let later = T.plus(Millis(2));
    assert!(!flows.outbound(2, later, &game.reversed(), true, unasked));
    assert!(!flows.inbound(2, later, &game, || Verdict::SHUT));
}

#[test]
fn of_too_many_flows_the_silent_ones_go() {
    let (mut flows, yes) = (Flows::new([3; 16], 4096), yes());
    assert_eq!(flows.room(), 1024);
    for n in 0..20_000_u16 {
        let now = T.plus(Millis(n.into()));
        assert!(flows.outbound(1, now, &tcp(n, 443), true, unasked));
        // One that goes on talking stays.
        assert!(flows.inbound(1, now, &tcp(7, 7), || if n == 0 { yes } else { unasked() }), "{n}");
    }
    assert_eq!(flows.room(), 4096);
    let end = T.plus(Millis(20_000));
    let kept = (0..20_000_u16).filter(|n| flows.answered(end, &tcp(*n, 443).reversed())).count();
    assert!((3500..=4096).contains(&kept), "{kept}");
    assert!((19_900..20_000_u16).all(|n| flows.answered(end, &tcp(n, 443).reversed())));
}

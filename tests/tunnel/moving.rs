//! Machines that have IPv6 alone, that go to another place, and that sleep: what is under way goes on.

use std::time::{Duration, Instant};

use super::lab::{Lab, sh};
use super::{PORT, ping, serving};

#[test]
fn a_cable_with_ipv6_alone_carries_both() {
    let Some(mut lab) = Lab::only_v6("6") else { return };
    let _server = serving(&lab, "t");
    lab.both("allow 8000");
    for to in [lab.t6.clone(), lab.t4.clone()] {
        ping(&lab, "s", &to, 56).unwrap();
        println!("over IPv6 alone: {}", lab.take(&to, PORT, 8 << 20));
    }
    let status = lab.s.tell("status").join("\n");
    assert!(status.contains("Direct([2001:db8::2]:4710)"), "{status}");
}

/// How many bytes came to s.
fn came(lab: &mut Lab) -> u64 {
    let status = lab.s.tell("status").join("\n");
    let rest = status.split("received_bytes:").nth(1).unwrap_or_else(|| panic!("{status}"));
    rest.split(',').next().unwrap().trim().parse().unwrap()
}

#[test]
fn a_connection_goes_on_while_its_machine_moves() {
    let Some(mut lab) = Lab::build("j", 1500) else { return };
    let _server = serving(&lab, "t");
    lab.both("allow 8000");
    ping(&lab, "s", &lab.t6, 56).unwrap();
    let taking = lab.talk("s", &["take", &lab.t6, PORT, &(48 << 20).to_string()]);
    let begun = Instant::now();
    while came(&mut lab) < 1 << 20 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing comes");
    }
    let space = lab.space("s");
    sh(&format!(
        "ip -n {space} addr del 192.0.2.1/24 dev eth0 && ip -n {space} addr add 192.0.2.50/24 dev eth0"
    ));
    let begun = Instant::now();
    while ping(&lab, "s", &lab.t6, 56).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not found at its new place");
    }
    println!("moved: reached again after {:?}, {}", begun.elapsed(), taking.hear("took"));
    let status = lab.t.tell("status").join("\n");
    assert!(status.contains("Direct(192.0.2.50:"), "{status}");
}

#[test]
fn a_connection_goes_on_after_its_machine_slept() {
    let Some(mut lab) = Lab::build("z", 1500) else { return };
    let _server = serving(&lab, "t");
    lab.both("allow 8000");
    let flow = lab.talk("s", &["drip", &lab.t6, PORT]);
    flow.hear("drip");
    let slept = Instant::now();
    lab.s.signal("STOP");
    // The others have given it up by then.
    lab.t.hear_within(Duration::from_secs(90), "down");
    lab.s.signal("CONT");
    let slept = slept.elapsed();
    let woke = Instant::now();
    while ping(&lab, "s", &lab.t6, 56).is_err() {
        assert!(woke.elapsed() < Duration::from_secs(20), "it is not there again");
    }
    let there = woke.elapsed();
    flow.forget();
    flow.hear_within(Duration::from_mins(1), "drip");
    println!("slept {slept:?}, reached again after {there:?}, and its connection after {:?}", woke.elapsed());
}

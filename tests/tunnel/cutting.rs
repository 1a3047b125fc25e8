//! A cable that is cut while another one is there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::lab::{LIMIT, Lab, Running, SECOND};
use super::ping;

/// The longest that may pass without a packet.
const GAP: Duration = Duration::from_secs(2);

/// The cable that s sends on.
fn in_use(lab: &mut Lab) -> &'static str {
    let status = lab.s.tell("status").join("\n");
    let at = status.split("Direct(").nth(1).unwrap_or_else(|| panic!("{status}"));
    if at.starts_with(SECOND) { "eth1" } else { "eth0" }
}

/// When the next answer came, by the clock of the machine.
fn answer(pings: &Running) -> f64 {
    let line = pings.hear_that("[", |line| line.contains("bytes from"));
    line.split(']').next().and_then(|at| at.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// The longest time without an answer, until there were so many in a row without a gap.
fn longest_gap(pings: &Running, calm: usize) -> Duration {
    let (mut before, mut longest, mut in_a_row) = (answer(pings), 0.0_f64, 0);
    while in_a_row < calm {
        let next = answer(pings);
        let gap = next - before;
        in_a_row = if gap > 0.5 { 0 } else { in_a_row + 1 };
        (before, longest) = (next, longest.max(gap));
    }
    Duration::from_secs_f64(longest)
}

/// How many packets have come to s by a cable.
fn came_by(lab: &Lab, cable: &str) -> u64 {
    let told = lab.run("s", &format!("cat /sys/class/net/{cable}/statistics/rx_packets")).unwrap();
    told.trim().parse().unwrap()
}

/// A cable that was mended is one to fall back on only once both machines send on it again.
fn is_used_again(lab: &Lab, cable: &str) {
    let (before, begun) = (came_by(lab, cable), Instant::now());
    while came_by(lab, cable) < before + 4 {
        assert!(begun.elapsed() < LIMIT, "nothing comes by {cable}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// iroh tries all ways five seconds after a connection began, in the name of the path that is in use.
const TRIED: f64 = 5.0;

#[test]
fn a_cable_that_is_cut_while_others_are_tried_is_left_within_two_seconds() {
    let Some(mut lab) = Lab::doubled("k") else { return };
    ping(&lab, "s", &lab.t6, 56).unwrap();
    let pings = lab.start("s", "ping", &["-D", "-n", "-i", "0.02", &lab.t6]);
    let begun = answer(&pings);
    while answer(&pings) < begun + TRIED - 0.8 {}
    let used = in_use(&mut lab);
    lab.cut(used);
    let gap = longest_gap(&pings, 100);
    assert!(gap < GAP, "{used} was left after {gap:?}");
}

#[test]
fn a_cable_that_is_cut_is_left_for_the_other_within_two_seconds_whichever_it_is() {
    let Some(mut lab) = Lab::doubled("c") else { return };
    ping(&lab, "s", &lab.t6, 56).unwrap();
    let mut cut = BTreeSet::new();
    // Which one is used is not ours to say.
    for _ in 0..6 {
        let pings = lab.start("s", "ping", &["-D", "-n", "-i", "0.02", &lab.t6]);
        longest_gap(&pings, 100);
        let used = in_use(&mut lab);
        lab.cut(used);
        let gap = longest_gap(&pings, 400);
        println!("{used} was cut: {gap:?} without an answer");
        assert!(gap < GAP, "{used} was left after {gap:?}");
        assert_ne!(in_use(&mut lab), used);
        lab.mend();
        cut.insert(used);
        if cut.len() == 2 {
            return;
        }
        is_used_again(&lab, used);
    }
    panic!("it went back to the first one each time");
}

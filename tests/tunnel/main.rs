//! The tunnel between two real kernels: what the log does not open is shut and said so, what it opens
//! passes, what it takes back ends, on cables of any width, and the tunnel never runs inside itself.
//! Needs root, `/dev/net/tun` and network namespaces; says so if they are not there.

#![cfg(test)]

mod around;
mod cutting;
mod lab;
mod moving;
mod upkeep;

use std::time::{Duration, Instant};

use lab::{HOST, Lab, Running};

const PORT: &str = "8000";

fn ping(lab: &Lab, from: &str, to: &str, size: u16) -> Result<String, String> {
    lab.run(from, &format!("ping -c 2 -i 0.2 -W 3 -s {size} {to}"))
}

fn serving(lab: &Lab, on: &str) -> Running {
    let server = lab.talk(on, &["serve", PORT]);
    server.hear("serving");
    server
}

#[test]
fn nothing_but_ping_passes_until_the_log_says_so() {
    let Some(mut lab) = Lab::build("p", 1500) else { return };
    for to in [&lab.t6, &lab.t4] {
        ping(&lab, "s", to, 56).unwrap();
        ping(&lab, "s", to, 4000).unwrap();
    }
    let (_on_t, _on_s) = (serving(&lab, "t"), serving(&lab, "s"));
    // Shut, and whoever asks hears so at once instead of waiting for it.
    let shut = |from: &str, to: &str| {
        let begun = Instant::now();
        let why = lab.run(from, &format!("curl -sS -m 20 http://[{to}]:{PORT}/")).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(5), "{why}");
    };
    shut("s", &lab.t6);
    let begun = Instant::now();
    lab.run("s", &format!("curl -sS -m 20 http://{}:{PORT}/", lab.t4)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    shut("t", &lab.s6);
    lab.both("allow 8000");
    for to in [lab.t6.clone(), lab.t4.clone()] {
        println!("{}", lab.take(&to, PORT, 32 << 20));
    }
    // It opens one port, one way.
    let begun = Instant::now();
    lab.run("t", &format!("curl -sS -m 20 http://[{}]:{PORT}/", lab.s6)).unwrap_err();
    lab.run("s", &format!("curl -sS -m 20 http://[{}]:8001/", lab.t6)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10));
    let status = lab.t.tell("status").join("\n");
    println!("{status}");
    assert!(!status.contains("trouble") && status.contains("broken: 0"), "{status}");
    assert!(!status.contains("refused: 0"), "{status}");
    lab.stop();
}

#[test]
fn what_the_log_takes_back_ends_within_two_seconds() {
    let Some(mut lab) = Lab::build("r", 1500) else { return };
    let _server = serving(&lab, "t");
    lab.both("allow 8000");
    let flow = lab.talk("s", &["drip", &lab.t6, PORT]);
    flow.hear("drip");
    // Only the receiver knows of it: it is the one who judges.
    let begun = Instant::now();
    lab.t.tell("end");
    let rule = flow.last_line(begun);
    assert!(rule < Duration::from_secs(2), "{rule:?}");
    lab.s.tell("end");
    lab.both("allow 8000");
    let flow = lab.talk("s", &["drip", &lab.t6, PORT]);
    flow.hear("drip");
    let begun = Instant::now();
    lab.t.tell("suspend s");
    let suspended = flow.last_line(begun);
    assert!(suspended < Duration::from_secs(2), "{suspended:?}");
    println!("a rule that ended: {rule:?}; a machine that was suspended: {suspended:?}");
    // Who has no line is told so by its own machine.
    for to in [&lab.t6, &lab.t4] {
        let why = ping(&lab, "s", to, 56).unwrap_err();
        assert!(why.contains("nreachable"), "{why}");
    }
}

/// How fast one stream is, and what that costs both machines' programs. Meaningful only optimised, on a
/// machine that does nothing else: `cargo test --release -p story-tunnel -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let Some(mut lab) = Lab::build("v", 1500) else { return };
    lab.both("allow 5201");
    let server = lab.start("t", "iperf3", &["-s", "--forceflush"]);
    server.hear("-----");
    for (what, more) in [("one stream", ""), ("four", "-P 4"), ("back", "-R")] {
        let before = (lab.s.seconds(), lab.t.seconds());
        let said = lab.run("s", &format!("iperf3 -c {} -t 6 -f m {more}", lab.t6)).unwrap();
        let after = (lab.s.seconds(), lab.t.seconds());
        let total = said.lines().rfind(|line| line.contains("receiver")).unwrap();
        let rate = total.split_whitespace().rev().skip_while(|word| !word.starts_with("Mbits")).nth(1);
        let rate: f64 = rate.unwrap().parse().unwrap();
        let (sender, receiver) = (after.0 - before.0, after.1 - before.1);
        let each = (sender + receiver) / (rate * 6.0 / 8000.0);
        println!("{what}: {rate:.0} Mbit/s, {each:.2} processor seconds a GB ({sender:.2} + {receiver:.2})");
    }
    println!("most memory: {} and {}", lab.s.most_memory(), lab.t.most_memory());
    println!("{}", lab.s.tell("status").join("\n"));
}

#[test]
fn over_a_relay_a_transfer_leaves_room_for_others() {
    let Some(mut lab) = Lab::relayed("y") else { return };
    let _server = serving(&lab, "t");
    lab.both("allow 8000");
    ping(&lab, "s", &lab.t4, 3000).unwrap();
    println!("relayed: {}", lab.take(&lab.t6, PORT, 8 << 20));
    let flow = lab.talk("s", &["drip", &lab.t6, PORT]);
    flow.hear("drip");
    // What waits in a queue of the tunnel's shows in how long a ping takes.
    let said = lab.run("s", &format!("ping -c 20 -i 0.1 -W 3 {}", lab.t6)).unwrap();
    // rtt min/avg/max/mdev = 10.147/22.534/39.981/6.834 ms
    let times = said.rsplit("= ").next().unwrap_or_default();
    println!("ping beside it: {times}");
    let average: f64 = times.split('/').nth(1).unwrap().parse().unwrap();
    assert!(average < 500.0, "{said}");
    let status = lab.s.tell("status").join("\n");
    assert!(status.contains("Relay(http://192.0.2.2:4711"), "{status}");
}

#[test]
fn a_machine_that_lost_its_power_is_found_again() {
    let Some(mut lab) = Lab::build("l", 1500) else { return };
    ping(&lab, "s", &lab.t6, 56).unwrap();
    lab.reset_t();
    let begun = Instant::now();
    while ping(&lab, "s", &lab.t6, 56).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not found again");
    }
    println!("found again after {:?}", begun.elapsed());
}

#[test]
fn without_the_right_to_make_a_device_it_says_what_to_type() {
    let Some(mut lab) = Lab::build("x", 1500) else { return };
    lab.stop_s();
    let nobody = "setpriv --bounding-set=-all --inh-caps=-all";
    let why = lab.run("s", &format!("{nobody} {HOST} s </dev/null")).unwrap_err();
    assert!(why.contains("freehold up --install-service") && why.contains("NET_ADMIN"), "{why}");
}

#[test]
fn a_device_that_was_opened_for_it_needs_no_rights() {
    let Some(mut lab) = Lab::build("h", 1500) else { return };
    lab.hand_to_s();
    let _server = serving(&lab, "t");
    lab.both("allow 8000");
    for to in [lab.t6.clone(), lab.t4.clone()] {
        ping(&lab, "s", &to, 56).unwrap();
        println!("handed: {}", lab.take(&to, PORT, 8 << 20));
    }
}

#[test]
fn a_narrow_cable_and_one_that_becomes_narrow_lose_nothing() {
    let Some(mut lab) = Lab::build("n", 1280) else { return };
    let _server = serving(&lab, "t");
    lab.both("allow 8000");
    for to in [lab.t6.clone(), lab.t4.clone()] {
        ping(&lab, "s", &to, 1300).unwrap();
        println!("narrow: {}", lab.take(&to, PORT, 16 << 20));
    }
    lab.mtu(1500);
    let flow = lab.talk("s", &["drip", &lab.t6, PORT]);
    flow.hear("drip");
    let before = lab.take(&lab.t6, PORT, 16 << 20);
    // In the middle of it, without a word to anybody.
    let taking = lab.talk("s", &["take", &lab.t6, PORT, &(64 << 20).to_string()]);
    lab.mtu(1300);
    println!("before: {before}; through the change: {}", taking.hear("took"));
    flow.hear("drip");
    ping(&lab, "s", &lab.t6, 4000).unwrap();
}

#[test]
fn the_tunnel_is_never_offered_as_a_way_to_the_machine() {
    let Some(mut lab) = Lab::build("o", 1500) else { return };
    ping(&lab, "s", &lab.t6, 56).unwrap();
    ping(&lab, "s", &lab.t4, 56).unwrap();
    // They are there, in the way that keeps them from being offered.
    for of in ["s", "t"] {
        let inside = if of == "s" { [&lab.s6, &lab.s6] } else { [&lab.t6, &lab.t4] };
        let has = lab.run(of, "ip -o addr").unwrap();
        assert!(inside.iter().all(|at| has.contains(at.as_str())), "{has}");
        let mut own = has.lines().filter(|line| line.contains(": freehold0"));
        let kept_back = |line: &str| {
            (line.contains("deprecated") && line.contains("inet6 fd")) || line.contains("inet 169.254.")
        };
        assert!(own.all(kept_back), "{has}");
    }
    // A change of the machine's addresses makes the mesh look for them again.
    let space = lab.space("t");
    lab::sh(&format!("ip -n {space} addr add 192.0.2.77/24 dev eth0"));
    let offered = lab.t.hear_that("at", |at| at.contains("192.0.2.77"));
    let all = [lab.t6.as_str(), &lab.t4, "169.254."];
    assert!(!all.iter().any(|at| offered.contains(at)), "{offered}");
    let status = lab.s.tell("status").join("\n");
    assert!(status.contains("Direct(192.0.2.2:4710)"), "{status}");
    lab.stop();
}

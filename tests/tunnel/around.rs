//! Who stands in the network around a machine: asks at its address in the realm past the rules, pretends to be one
//! of the realm, and sends through it.

use super::lab::{Lab, TALK};
use super::{PORT, ping, serving};

/// Whether machine m is served there.
fn is_served(lab: &Lab, at: &str) -> bool {
    lab.run("m", &format!("timeout 6 python3 {TALK} take {at} {PORT} 1000")).is_ok()
}

#[test]
fn a_stranger_next_to_a_machine_neither_asks_nor_pretends_nor_sends_through_it() {
    let Some(mut lab) = Lab::build("g", 1500) else { return };
    ping(&lab, "s", &lab.t6, 56).unwrap();
    lab.stranger();
    let _server = serving(&lab, "t");
    // What is open to everybody is, by whichever address it is not the realm's.
    for at in ["fd99::1", "198.51.100.1"] {
        assert!(is_served(&lab, at), "{at}");
    }
    for at in [&lab.t6, &lab.t4] {
        assert!(!is_served(&lab, at), "the realm's address is open to the house: {at}");
    }

    let heard = lab.talk("t", &["hear", "9000"]);
    heard.hear("hearing");
    let pretended = [("fd99::1", lab.s6.clone()), ("198.51.100.1", lab.s4.clone())];
    for (to, from) in &pretended {
        lab.run("m", &format!("ip addr add {from} dev lo")).unwrap();
        lab.talk("m", &["send", from, to, "9000", "forged"]).wait();
    }
    lab.talk("m", &["send", "fd99::2", "fd99::1", "9000", "plain"]).wait();
    // The plain one was the last to be sent.
    assert_eq!(heard.hear("heard"), "fd99::2 plain");
    for (_, from) in &pretended {
        let bits = if from.contains(':') { 128 } else { 32 };
        lab.run("m", &format!("ip addr del {from}/{bits} dev lo")).unwrap();
    }

    // Nor through it: as oneself, or as the machine that one stands beside.
    let before = received(&mut lab);
    for (from, to) in [("fd99::2".to_owned(), lab.s6.clone()), (lab.t6.clone(), lab.s6.clone())] {
        lab.run("m", &format!("ip addr add {from} dev lo 2>/dev/null; true")).unwrap();
        lab.talk("m", &["send", &from, &to, "9000", "through"]).wait();
        ping_from(&lab, &from, &to);
    }
    ping_from(&lab, "198.51.100.2", &lab.s4.clone());
    assert_eq!(received(&mut lab), before);
    ping(&lab, "s", &lab.t6, 56).unwrap();
    ping(&lab, "s", &lab.t4, 56).unwrap();
}

fn ping_from(lab: &Lab, from: &str, to: &str) {
    lab.run("m", &format!("ping -c 1 -W 1 -I {from} {to}")).unwrap_err();
}

/// How many packets came to s from t.
fn received(lab: &mut Lab) -> (String, String) {
    let status = lab.s.tell("status").join("\n");
    let number = |word: &str| {
        let rest = status.split(word).nth(1).unwrap_or_else(|| panic!("no {word} in {status}"));
        rest.split(',').next().unwrap().trim().to_owned()
    };
    (number(" received:"), number(" refused:"))
}

#[test]
fn what_a_machine_hands_to_something_behind_it_goes_on() {
    let Some(mut lab) = Lab::build("d", 1500) else { return };
    lab.stranger();
    // A published port of a container: what comes for it is given another destination.
    let space = lab.space("t");
    super::lab::sh(&format!(
        "ip netns exec {space} nft 'table ip published {{ chain in {{ type nat hook prerouting priority -100;
         ip daddr {} tcp dport {PORT} dnat to 198.51.100.2; }}; }}'",
        lab.t4
    ));
    let _server = serving(&lab, "m");
    lab.both("allow 8000");
    println!("handed on: {}", lab.take(&lab.t4, PORT, 4 << 20));
    // The house itself still does not come in that way.
    assert!(!is_served(&lab, &lab.t4));
}

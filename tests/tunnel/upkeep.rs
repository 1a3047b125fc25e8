//! What the tunnel sets on a machine stays as it is to be, whoever changes it, and goes with the tunnel, however that
//! ends. What others have set is left alone.

use std::time::Instant;

use super::lab::{HOST, LIMIT, Lab, sh};
use super::ping;

/// Waits until a command on machine t goes well.
fn until(lab: &Lab, command: &str) {
    let begun = Instant::now();
    while let Err(said) = lab.run("t", command) {
        assert!(begun.elapsed() < LIMIT, "{command}: {said}");
    }
}

#[test]
fn what_others_take_away_is_set_again() {
    let Some(lab) = Lab::build("u", 1500) else { return };
    ping(&lab, "s", &lab.t6, 56).unwrap();
    let (t6, t4) = (&lab.t6, &lab.t4);
    for taken in [
        "ip link set freehold0 down",
        "ip -6 addr flush dev freehold0",
        &format!("ip addr del {t4}/32 dev lo"),
        &format!("kill -9 $(pgrep -x -P {} nft)", lab.t.id()),
    ] {
        lab.run("t", taken).unwrap();
        until(&lab, &format!("ip -6 -o addr show dev freehold0 | grep -q {t6}"));
        until(&lab, &format!("ip -o addr show dev lo label lo:freehold0 | grep -q {t4}"));
        until(
            &lab,
            "test $(ip -6 route show proto 70 | wc -l) = 1 && test $(ip route show proto 70 | wc -l) = 1",
        );
        until(&lab, "nft list table inet freehold0 | grep -q 'flags owner'");
        for to in [t6, t4] {
            ping(&lab, "s", to, 56).unwrap_or_else(|why| panic!("after {taken}: {why}"));
        }
    }
}

#[test]
fn a_tunnel_that_was_killed_leaves_nothing_for_long() {
    let Some(mut lab) = Lab::build("k", 1500) else { return };
    ping(&lab, "s", &lab.t4, 56).unwrap();
    // Somebody else's addresses on the same device are theirs.
    lab.run("t", "ip addr add 203.0.113.9/32 dev lo && ip -6 addr add 2001:db8::9/128 dev lo").unwrap();
    let has = |lab: &Lab, at: &str| lab.run("t", "ip -o addr show dev lo").unwrap().contains(at);
    lab.kill_t();
    until(&lab, "! ip link show freehold0");
    until(&lab, "test -z \"$(nft list tables)\"");
    assert!(has(&lab, &lab.t4), "only a process takes that back");
    lab.run("t", &format!("{HOST} t off")).unwrap();
    assert!(!has(&lab, &lab.t4), "an address is kept from whoever has it now");
    assert!(has(&lab, "203.0.113.9") && has(&lab, "2001:db8::9"));

    // The next start takes away what the last one has left, too: here an address that is another's by now.
    lab.run("t", "ip addr add 203.0.113.10/32 dev lo label lo:freehold0").unwrap();
    lab.reset_t();
    assert!(!has(&lab, "203.0.113.10") && has(&lab, "203.0.113.9") && has(&lab, &lab.t4));
}

#[test]
fn a_network_that_the_machine_has_already_stays_its_own() {
    let Some(mut lab) = Lab::build("w", 1500) else { return };
    let range = lab.run("t", "ip route show proto 70 | cut -d' ' -f1").unwrap().trim().to_owned();
    let (first, bits) = range.split_once('/').unwrap();
    let in_it = first.trim_end_matches(".0").to_owned() + ".250";
    lab.kill_t();
    let space = lab.space("t");
    sh(&format!(
        "set -e
         ip -n {space} link add house type veth peer name yard
         ip -n {space} link set house up
         ip -n {space} link set yard up
         ip -n {space} addr add {in_it}/{bits} dev house"
    ));
    lab.reset_t();
    let told = lab.t.tell("status").join("\n");
    assert!(told.contains("Taken") && told.contains("house"), "{told}");
    let routes = lab.run("t", "ip route").unwrap();
    assert!(routes.contains(&format!("{range} dev house")) && !routes.contains("freehold0"), "{routes}");
    // The rest goes on, and the house's own machines are not kept out.
    until(&lab, &format!("ping -c 1 -W 1 {}", lab.s6));
    let table = lab.run("t", "nft list table inet freehold0").unwrap();
    assert!(table.contains("ip6 saddr") && !table.contains("ip saddr"), "{table}");

    sh(&format!("ip -n {space} link del house"));
    until(&lab, "ip route show proto 70 | grep -q freehold0");
    until(&lab, "nft list table inet freehold0 | grep -q 'ip saddr'");
    assert!(!lab.t.tell("status").join("\n").contains("trouble"));
}

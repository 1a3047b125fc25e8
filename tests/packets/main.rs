//! The packet core between two real kernels: what one of them cuts, sums up and splits lazily has to
//! arrive whole at the other, over IPv6, IPv4 and through an exit that masquerades. Needs `/dev/net/tun`
//! and a network namespace of its own, so root or a user namespace.

#![cfg(test)]

use std::process::Command;

fn two_kernels(way: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tuns.py");
    let run =
        Command::new("python3").args([script, env!("CARGO_BIN_EXE_packet-pump"), way]).output().unwrap();
    let said = [run.stdout, run.stderr].concat();
    println!("{}", String::from_utf8_lossy(&said));
    assert!(run.status.success(), "see above");
}

#[test]
fn partial_sums_arrive() {
    two_kernels("joined");
}

#[test]
fn whole_sums_arrive() {
    two_kernels("whole");
}

#[test]
fn a_narrow_line_loses_nothing() {
    two_kernels("narrow");
}

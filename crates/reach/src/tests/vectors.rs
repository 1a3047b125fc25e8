//! Who may reach whom, for other implementations: whole histories with every answer.

use std::net::IpAddr;
use std::path::PathBuf;

use freehold_realm::{Clock, Op, OpSet, fold};
use freehold_wire::{Hex, Millis, NodeId, RealmId};
use serde_json::{Value, json};

use super::lab::*;
use super::laws::{KINDS, RECEIVERS, some_history};
use crate::{Net, Party, Why};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/network/rules")
}

/// Some histories; in the first nobody said anything of the network but whose machines are whose.
fn histories() -> Vec<(String, Lab)> {
    let later = [3, 5, 8].map(|seed| (format!("history-{seed}"), some_history(seed)));
    [("house".to_owned(), Lab::house())].into_iter().chain(later).collect()
}

const fn word(why: Why) -> &'static str {
    match why {
        Why::Ping => "ping",
        Why::Own => "own",
        Why::Steward => "steward",
        Why::Names => "names",
        Why::Service(_) => "service",
        Why::Rule(_) => "rule",
        Why::Route => "route",
        Why::Exit => "exit",
    }
}

fn named(party: Party) -> String {
    match party {
        Party::Node(id) => format!("node {id}"),
        Party::Phone(id) => format!("phone {id}"),
        Party::Guest(grant, id) => format!("guest {id} {grant}"),
        Party::Lan => "lan".to_owned(),
    }
}

fn vector(name: &str, lab: &Lab) -> Value {
    let (state, parties) = (lab.state(), lab.parties());
    let receivers = RECEIVERS.map(node);
    let service_at = crate::address::of_service(&state.realm, &service(1)).to_string();
    let addresses = ["own".to_owned(), service_at, "1.1.1.1".into(), "192.168.7.7".into(), "10.0.0.1".into()];
    let (mut open, mut by): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for (t, to) in receivers.iter().enumerate() {
        let net = Net::of(&state, *to, &lab.guests, NOW);
        let own = IpAddr::from(crate::address::of_node(&state.realm, to));
        for (f, from) in parties.iter().enumerate() {
            for (a, at) in addresses.iter().enumerate() {
                for (proto, port) in KINDS {
                    let at = at.parse().unwrap_or(own);
                    let Some(cause) = net.judge(*from, &flow(at, proto, port)).cause else { continue };
                    let op = cause.op.to_string();
                    let place = by.iter().position(|known| *known == op).unwrap_or(by.len());
                    if place == by.len() {
                        by.push(op);
                    }
                    open.push(json!([f, t, a, proto, port, word(cause.why), place]));
                }
            }
        }
    }
    json!({
        "name": name,
        "realm": state.realm.to_string(),
        "operations": lab.set.iter().map(|op| Hex(&op.to_bytes()).to_string()).collect::<Vec<_>>(),
        "now": NOW.0,
        "parties": parties.iter().map(|party| named(*party)).collect::<Vec<_>>(),
        "receivers": receivers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "addresses": addresses,
        "kinds": KINDS,
        "operations_by": by,
        "open": open,
    })
}

#[test]
#[ignore = "writes docs/formats/network/rules anew"]
fn write_rules() {
    std::fs::create_dir_all(directory()).unwrap();
    for (name, lab) in histories() {
        std::fs::write(directory().join(format!("{name}.json")), vector(&name, &lab).to_string() + "\n")
            .unwrap();
    }
}

#[test]
#[ignore = "writes random histories for docs/formats/network/check.py"]
fn write_histories() {
    let directory = std::env::temp_dir().join("freehold-reach-histories");
    std::fs::create_dir_all(&directory).unwrap();
    for seed in 0..60 {
        let (name, lab) = (format!("history {seed}"), some_history(seed));
        std::fs::write(directory.join(format!("{seed}.json")), vector(&name, &lab).to_string()).unwrap();
    }
}

#[test]
fn who_may_reach_whom_is_as_the_vectors_say() {
    for (name, lab) in histories() {
        let written = std::fs::read_to_string(directory().join(format!("{name}.json"))).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        assert!(written == vector(&name, &lab), "{name} has another outcome");
        // From its bytes, as others read it.
        let mut set = OpSet::new(written["realm"].as_str().unwrap().parse::<RealmId>().unwrap());
        for op in written["operations"].as_array().unwrap() {
            let hex = op.as_str().unwrap().as_bytes();
            let pairs = hex.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            drop(set.insert(Op::decode(&bytes).unwrap()));
        }
        let state = fold(&set, &Clock::default()).state;
        let me: NodeId = written["receivers"][3].as_str().unwrap().parse().unwrap();
        let again =
            format!("{:?}", Net::of(&state, me, &lab.guests, Millis(written["now"].as_u64().unwrap())));
        assert_eq!(again, format!("{:?}", Net::of(&lab.state(), me, &lab.guests, NOW)));
    }
}

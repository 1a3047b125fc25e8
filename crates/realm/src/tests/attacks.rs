//! The scenes as vector files: what is written there, another implementation can run.

use std::path::PathBuf;

use freehold_wire::{Millis, OpId, RealmId, Region};
use serde_json::{Value, json};

use crate::body::QuotaOf;
use crate::fold::{Clock, Folded, fold};
use crate::op::Op;
use crate::set::OpSet;
use crate::state::Standing;

use super::lab::Lab;
use super::network;
use super::scenes;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/realm-log/vectors")
}

fn quota_of(of: &QuotaOf) -> String {
    match of {
        QuotaOf::Realm => "realm".to_owned(),
        QuotaOf::Person(id) => format!("person {id}"),
        QuotaOf::Bucket(id) => format!("bucket {id}"),
        QuotaOf::Service(id) => format!("service {id}"),
    }
}

fn expectation(folded: &Folded) -> Value {
    let state = &folded.state;
    let with = |standing| {
        state.persons.iter().filter(move |(_, p)| p.standing == standing).map(|(id, _)| id.to_string())
    };
    let regions = |list: &[Region]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let reasons = folded.refused.iter().map(|(id, why)| json!({"id": id.to_string(), "reason": why.code()}));
    let mut expected = json!({
        "epoch": state.epoch,
        "base": state.base.map(|base| base.to_string()),
        "directory": state.directory.map(|root| root.to_string()),
        "members": state.persons.keys().map(ToString::to_string).collect::<Vec<_>>(),
        "admins": state.admins().map(|(id, _)| id.to_string()).collect::<Vec<_>>(),
        "suspended": with(Standing::Suspended).collect::<Vec<_>>(),
        "burned": with(Standing::Burned).collect::<Vec<_>>(),
        "nodes": state.nodes.iter().map(|(id, n)| json!({
            "id": id.to_string(), "roles": n.roles.names().collect::<Vec<_>>(), "active": n.standing == Standing::Active,
            "zone": n.site.zone.to_string(), "region": n.site.region.to_string(),
            "draining": n.site.draining, "pace": n.site.pace,
        })).collect::<Vec<_>>(),
        "buckets": state.live_buckets().map(|(id, b)| json!({
            "id": id.to_string(), "copies": b.copies, "confirm": b.confirm, "zones": b.rules.zones,
            "only": regions(&b.rules.regions.only), "never": regions(&b.rules.regions.never),
        })).collect::<Vec<_>>(),
        "quotas": state.quotas.iter().map(|(of, bytes)| json!({
            "of": quota_of(of),
            "bytes": bytes,
        })).collect::<Vec<_>>(),
        "newer_than_me": state.newer_than_me,
        "refused": reasons.collect::<Vec<_>>(),
        "pending": folded.pending.keys().map(ToString::to_string).collect::<Vec<_>>(),
    });
    if let Some(network) = network::expectation(state) {
        expected["network"] = network;
    }
    expected
}

fn vector(name: &str, about: &str, lab: &Lab) -> Value {
    let ops = lab.set.iter().chain(&lab.kept_out).map(|op| freehold_wire::Hex(&op.to_bytes()).to_string());
    json!({
        "name": name,
        "about": about,
        "realm": lab.set.realm().to_string(),
        "operations": ops.collect::<Vec<_>>(),
        "clock": {
            "now": lab.clock.now.0,
            "matured": lab.clock.matured.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
        "expect": expectation(&lab.fold()),
    })
}

fn file_name(name: &str) -> String {
    format!("{}.json", name.replace('_', "-"))
}

#[test]
#[ignore = "writes docs/formats/realm-log/vectors anew"]
fn write_vectors() {
    std::fs::create_dir_all(directory()).unwrap();
    for scene in scenes::all() {
        let vector = vector(scene.name, scene.about, &(scene.play)());
        let text = serde_json::to_string_pretty(&vector).unwrap();
        std::fs::write(directory().join(file_name(scene.name)), text + "\n").unwrap();
    }
}

#[test]
#[ignore = "writes random histories for docs/formats/realm-log/check.py"]
fn write_histories() {
    let directory = std::env::temp_dir().join("freehold-realm-histories");
    std::fs::create_dir_all(&directory).unwrap();
    for seed in 0..200 {
        let history = vector(&format!("history {seed}"), "random", &super::random::heard(seed));
        std::fs::write(directory.join(format!("{seed}.json")), history.to_string()).unwrap();
        let vector = vector(&format!("network {seed}"), "random", &network::history(seed));
        std::fs::write(directory.join(format!("network-{seed}.json")), vector.to_string()).unwrap();
    }
}

#[test]
fn every_attack_ends_as_its_vector_says() {
    for scene in scenes::all() {
        let lab = (scene.play)();
        let path = directory().join(file_name(scene.name));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let written: Value = serde_json::from_str(&text).unwrap();
        assert!(written == vector(scene.name, scene.about, &lab), "{} has another outcome", scene.name);
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn vectors_replay_from_their_bytes_in_any_order() {
    let mut files = 0;
    for file in std::fs::read_dir(directory()).unwrap() {
        let vector: Value =
            serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        let realm: RealmId = text(&vector, "realm").parse().unwrap();
        let mut ops: Vec<Op> = vector["operations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hex| Op::decode(&bytes(hex.as_str().unwrap())).unwrap())
            .collect();
        let matured = vector["clock"]["matured"].as_array().unwrap().iter();
        let matured = matured.map(|id| id.as_str().unwrap().parse::<OpId>().unwrap()).collect();
        let clock = Clock { now: Millis(vector["clock"]["now"].as_u64().unwrap()), matured };
        for turn in 0..3 {
            let mut set = OpSet::new(realm);
            for op in &ops {
                // Some must not be taken in, or are not after that: the outcome tells.
                drop(set.insert(op.clone()));
            }
            assert_eq!(
                expectation(&fold(&set, &clock)),
                vector["expect"],
                "{} turn {turn}",
                text(&vector, "name")
            );
            ops.reverse();
            if turn == 1 {
                let middle = ops.len() / 2;
                ops.rotate_left(middle);
            }
        }
        files += 1;
    }
    assert_eq!(files, scenes::all().count());
}

//! The vectors of docs/formats/vault/vectors. They are made by [`made`], are committed, and must
//! not change; `docs/formats/vault/check.py` reads them without any of our code. After a new
//! format version: `cargo test -p freehold-seal --test vectors -- --ignored`.

#![cfg(test)]

use std::path::PathBuf;

use serde_json::Value;

mod making;
mod reading;

const FILES: [&str; 5] = ["blob.json", "payload.json", "key.json", "envelope.json", "release.json"];

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vault/vectors").join(file)
}

fn made(file: &str) -> Value {
    match file {
        "blob.json" => making::blobs(),
        "payload.json" => making::payloads(),
        "key.json" => making::keys(),
        "envelope.json" => making::envelopes(),
        _ => making::releases(),
    }
}

fn committed(file: &str) -> Value {
    let text =
        std::fs::read_to_string(path(file)).unwrap_or_else(|e| panic!("{}: {e}", path(file).display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_sealed_today_is_what_was_sealed_then() {
    for file in FILES {
        assert_eq!(made(file), committed(file), "{file}");
    }
}

#[test]
fn every_vector_opens_and_every_attack_is_refused() {
    assert_eq!(reading::blobs(&committed("blob.json")), (4, 16));
    assert_eq!(reading::payloads(&committed("payload.json")), (33, 9));
    assert_eq!(reading::keys(&committed("key.json")), (2, 3));
    assert_eq!(reading::envelopes(&committed("envelope.json")), (6, 10));
    assert_eq!(reading::releases(&committed("release.json")), (3, 6));
}

#[test]
#[ignore = "writes the files"]
fn write() {
    for file in FILES {
        let text = serde_json::to_string_pretty(&made(file)).unwrap();
        std::fs::write(path(file), text + "\n").unwrap();
    }
}

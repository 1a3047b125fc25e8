//! What members of a pool send each other, as docs/formats/pool has it.

use serde_json::Value;

use super::Seeds;

pub(crate) fn pools() -> Seeds {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/pool/vectors.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let charter = |one: &Value| {
        let name = one["name"].as_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        (format!("charter-{name}"), bytes(&one["bytes"]))
    };
    let others = [("notice", &file["notice"]["bytes"]), ("account", &file["account"])];
    let others = others.map(|(name, value)| (name.to_owned(), bytes(value)));
    file["charters"].as_array().unwrap().iter().map(charter).chain(others).collect()
}

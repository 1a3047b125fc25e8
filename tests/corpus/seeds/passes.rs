//! What machines of other realms show and say, as docs/formats/pass has it.

use serde_json::Value;

use super::Seeds;

pub(crate) fn passes() -> Seeds {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/pass/vectors.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let seed = |one: &Value| {
        let name = one[0].as_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_lowercase();
        (name, hex::decode(one[1].as_str().unwrap()).unwrap())
    };
    file["bytes"].as_array().unwrap().iter().map(seed).collect()
}

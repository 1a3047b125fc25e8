//! The packs of docs/formats/backend/vectors, which another implementation makes too. To write them
//! for a new format: `cargo test -p freehold-backend --lib -- --ignored writes_the_vectors`.

use std::fmt::Write as _;
use std::path::PathBuf;

use freehold_wire::Hex;

use super::*;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/backend/vectors/packs.json")
}

/// What it shows, and each blob's length and byte.
const PACKS: [(&str, &[(usize, u8)]); 6] = [
    ("nothing", &[]),
    ("one small blob", &[(100, 0x41)]),
    ("several, over a chunk's edge", &[(65_000, 1), (0, 2), (3_000, 3)]),
    ("filled to the last byte", &[(16_315, 4)]),
    ("a little over the last power of two", &[(1 << 20, 6)]),
    ("one large blob", &[(9_000_001, 5)]),
];

fn made() -> String {
    let mut json = String::from("[\n");
    for (at, (what, blobs)) in (1u8..).zip(PACKS) {
        let (secret, name) = (Secret::from_bytes([at; 32]), [0xa0 | at; 32]);
        let mut sealer = Sealer::new(&secret, &name);
        let (mut out, mut rows, mut listed) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (len, byte)) in (1u8..).zip(blobs) {
            sealer.push(&vec![*byte; *len], &mut out);
            let (name, time) = (BlobName::from_bytes([number; 32]), 1_700_000_000_000 + u64::from(number));
            rows.push(Row { name, len: *len as u64, at: time });
            listed.push(format!(
                "{{\"name\": \"{name}\", \"time\": {time}, \"length\": {len}, \"byte\": {byte}}}"
            ));
        }
        let (number, time) = (u64::from(at) * 100, 1_800_000_000_000 + u64::from(at));
        let index = Index { seq: number, at: time, blobs: Bounded::from_vec(rows).unwrap() }.encode();
        let zeros = sealer.padding(&index);
        sealer.push(&vec![0; zeros as usize], &mut out);
        let sealed = sealer.finish(&index, &mut out);
        let comma = if usize::from(at) < PACKS.len() { "," } else { "" };
        writeln!(
            json,
            "  {{\"what\": \"{what}\", \"secret\": \"{}\", \"name\": \"{}\", \"number\": {number}, \"time\": \
             {time},\n   \"blobs\": [{}],\n   \"sealed_length\": {}, \"sealed_blake3\": \"{}\"}}{comma}",
            Hex(secret.expose()),
            Hex(&name),
            listed.join(", "),
            sealed.len,
            Hex(&sealed.hash),
        )
        .unwrap();
    }
    json.push_str("]\n");
    json
}

#[test]
fn the_vectors_are_what_is_made() {
    assert_eq!(std::fs::read_to_string(file()).unwrap(), made());
}

#[test]
#[ignore = "only for a new format"]
fn writes_the_vectors() {
    freehold_disk::replace(&file(), made().as_bytes(), 0o644).unwrap();
}

//! Sessions as a node keeps them: for each 32 bytes of its token's hash and 8 of its end in
//! milliseconds since 1970, big-endian.

use std::collections::BTreeMap;
use std::time::Duration;

const HASH: usize = 32;
const RECORD: usize = HASH + 8;

pub(super) fn write(open: &BTreeMap<[u8; HASH], Duration>) -> Vec<u8> {
    let mut out = Vec::with_capacity(open.len() * RECORD);
    for (hash, until) in open {
        out.extend_from_slice(hash);
        out.extend_from_slice(&u64::try_from(until.as_millis()).unwrap_or(u64::MAX).to_be_bytes());
    }
    out
}

pub(super) fn read(kept: &[u8]) -> impl Iterator<Item = ([u8; HASH], Duration)> {
    kept.as_chunks::<RECORD>().0.iter().filter_map(|record| {
        let (hash, until) = record.split_first_chunk::<HASH>()?;
        let until = u64::from_be_bytes(until.try_into().ok()?);
        Some((*hash, Duration::from_millis(until)))
    })
}

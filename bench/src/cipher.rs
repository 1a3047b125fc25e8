//! What the cipher alone can do on one core: no server that seals can be faster for each core.

use std::time::Instant;

use freehold_crypt::stream::{Position, StreamKey};
use freehold_crypt::{Entropy as _, Secret};
use freehold_disk::OsEntropy;

/// As objects are cut.
const CHUNK: usize = 64 << 10;
const CHUNKS: u64 = 16_384;

/// A GiB sealed, then opened, chunk by chunk in one place.
pub(crate) fn alone() {
    let secret: Secret = OsEntropy.secret();
    let key = StreamKey::derive(&secret, &OsEntropy.bytes32(), b"bench");
    let mut chunk = vec![0; CHUNK];
    let begun = Instant::now();
    for index in 0..CHUNKS {
        std::hint::black_box(key.seal(Position { index, last: false }, &mut chunk));
    }
    row("sealing", begun);
    let begun = Instant::now();
    for index in 0..CHUNKS {
        // It does not open, which costs as much.
        let opened = key.open(Position { index, last: false }, &mut chunk);
        std::hint::black_box(&opened);
    }
    row("opening", begun);
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn row(what: &str, begun: Instant) {
    let rate = ((CHUNKS * CHUNK as u64) >> 20) as f64 / begun.elapsed().as_secs_f64();
    println!("| the cipher alone, one core, {what} | {rate:.0} MiB/s |");
}

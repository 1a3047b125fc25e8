//! How fast one core seals and opens: `cargo run --release -p freehold-seal --example seal_bench`.
//! Prints one line each, in GB of plaintext a second, best of several rounds.

#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measuring program, not part of the crate"
)]

use std::error::Error;
use std::time::Instant;

use freehold_crypt::{Entropy, Secret, hash};
use freehold_seal::{Binding, BlobOpener, BlobSealer, HEADER_LEN, ObjectKey, SEALED_CHUNK_LEN, VersionId};
use freehold_wire::{BucketId, RealmId};

const LEN: usize = 64 << 20;
const ROUNDS: usize = 7;

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
    }
}

fn best(mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    #[expect(clippy::cast_precision_loss, reason = "64 MiB are exact")]
    Ok(LEN as f64 / best / 1e9)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut entropy = Counting(0);
    let key = ObjectKey::from_secret(Secret::from_bytes([1; 32]));
    let version = VersionId::from_bytes([2; 16]);
    let binding = Binding::new(RealmId::from_bytes([3; 32]), BucketId::from_bytes([4; 32]), "bench", version);
    let plain: Vec<u8> = (0u8..=255).cycle().take(LEN).collect();
    let mut out = Vec::with_capacity(2 << 20);

    for (name, piece) in [("4 KiB", 4 << 10), ("16 KiB", 16 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)]
    {
        let rate = best(|| {
            let mut sealer = BlobSealer::new(&key, &binding, 1, &mut entropy);
            for piece in plain.chunks(piece) {
                sealer.push(piece, &mut out)?;
                if out.len() >= 1 << 20 {
                    out.clear();
                }
            }
            sealer.finish(&mut out);
            out.clear();
            Ok(())
        })?;
        println!("seal, pieces of {name}, with BLAKE3 of the ciphertext: {rate:.2} GB/s");
    }

    let mut sealed = Vec::with_capacity(LEN + (1 << 20));
    let mut sealer = BlobSealer::new(&key, &binding, 1, &mut entropy);
    sealer.push(&plain, &mut sealed)?;
    let done = sealer.finish(&mut sealed);

    let rate = best(|| {
        hash::Hasher::plain().update(&sealed).finish();
        Ok(())
    })?;
    println!("BLAKE3 of the ciphertext alone: {rate:.2} GB/s");

    let body = sealed.get(HEADER_LEN..).unwrap_or_default();
    let mut run = vec![0; 16 * SEALED_CHUNK_LEN];
    let rate = best(|| {
        let opener = BlobOpener::new(&key, &binding, 1, done.name, &sealed)?;
        let mut first = 0;
        for piece in body.chunks(run.len()) {
            let run = run.get_mut(..piece.len()).unwrap_or_default();
            run.copy_from_slice(piece);
            let after = first + piece.len().div_ceil(SEALED_CHUNK_LEN) as u64;
            opener.open_run(done.plain_len, first..after, run)?;
            first = after;
        }
        Ok(())
    })?;
    println!("open, runs of 1 MiB in place (copying the ciphertext in included): {rate:.2} GB/s");
    Ok(())
}

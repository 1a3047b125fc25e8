use std::io::{self, Read};

use proptest::prelude::*;
use rustic_cdc::{Rabin64, RollingHash64 as _};

use super::noise;
use crate::cutting::Cutter;

/// As restic's tests have it.
const POLYNOM: u64 = 0x003D_A335_8B4D_C173;
const MIN: usize = 512 << 10;
const AVERAGE: usize = 1 << 20;
const MAX: usize = 8 << 20;

/// Gives at most so many bytes at a time, and is interrupted now and then.
struct Slow<'a>(&'a [u8], usize, bool);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.2 = !self.2;
        if self.2 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = buffer.len().min(self.1);
        self.0.read(buffer.get_mut(..most).unwrap_or_default())
    }
}

fn pieces(cutter: &Cutter, reader: impl Read) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    // What was in it before is nobody's.
    let mut buffer = vec![7; 100];
    cutter
        .pieces(reader, &mut buffer, |piece| {
            found.push(piece.to_vec());
            Ok::<_, io::Error>(())
        })
        .expect("read");
    found
}

/// The lengths that a fingerprint gives which goes byte by byte.
fn plainly(data: &[u8], (min, average, max): (usize, usize, usize)) -> Vec<usize> {
    let (mut rest, mut lengths) = (data, Vec::new());
    while rest.len() >= min {
        let mut rabin = Rabin64::new_with_polynom(6, &POLYNOM);
        let window = rest.get(min - 64..min).unwrap_or_default();
        for byte in window {
            rabin.slide(*byte);
        }
        let mut at = min;
        while at < max && rabin.get_hash() & (average as u64 - 1) != 0 {
            let Some(byte) = rest.get(at) else {
                lengths.push(rest.len());
                return lengths;
            };
            rabin.slide(*byte);
            at += 1;
        }
        lengths.push(at);
        rest = rest.get(at..).unwrap_or_default();
    }
    lengths.extend((!rest.is_empty()).then_some(rest.len()));
    lengths
}

#[test]
fn pieces_are_cut_where_the_fingerprint_says() {
    let sizes = (MIN, AVERAGE, MAX);
    let cutter = Cutter::new(POLYNOM, sizes);
    let data = noise(23, 12 << 20);
    let found = pieces(&cutter, &*data);
    assert!(found.len() > 5, "{}", found.len());
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), plainly(&data, sizes));
    assert_eq!(found.concat(), data);
    // What is put in front moves the first cut, and no later one.
    let moved = [&noise(5, 1000)[..], &data].concat();
    let after = pieces(&cutter, &*moved);
    assert_eq!(found.last(), after.last());
    assert_eq!(found.iter().rev().nth(2), after.iter().rev().nth(2));
}

#[test]
fn what_is_all_alike_is_cut_at_the_least_and_the_greatest_length() {
    let cutter = Cutter::new(POLYNOM, (MIN, AVERAGE, MAX));
    let zeros = vec![0; 3 * MIN + 1];
    let found = pieces(&cutter, &*zeros);
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [MIN, MIN, MIN, 1]);
    let never = Cutter::new(POLYNOM, (MIN, 1 << 62, MIN + 1000));
    let found = pieces(&never, &*noise(1, 2 * MIN + 2000));
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [MIN + 1000, MIN + 1000]);
}

proptest! {
    /// For small pieces, so that all edges are met: of lanes, blocks, the least, the greatest, and the end.
    #[test]
    fn cuts_are_the_same_however_it_is_read(
        seed in any::<u64>(),
        length in 0_usize..300_000,
        at_once in 1_usize..100_000,
        min in 64_usize..2000,
        bits in 4_u32..14,
        more in 0_usize..100_000,
    ) {
        let sizes = (min, 1 << bits, min + more);
        let data = noise(seed, length);
        let found = pieces(&Cutter::new(POLYNOM, sizes), Slow(&data, at_once, false));
        prop_assert_eq!(found.concat(), &data[..]);
        prop_assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), plainly(&data, sizes));
    }
}

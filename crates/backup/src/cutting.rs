//! Where a file is cut into blobs: at the places that restic's chunker finds, a Rabin fingerprint over the last 64 bytes
//! (<https://restic.readthedocs.io/en/stable/100_references.html#backups-and-deduplication>), so that what one program
//! stored the other finds again. The tables are `rustic_cdc`'s. A fingerprint depends on 64 bytes and nothing before them,
//! so four places of a block are looked at side by side: one alone waits for its own tables most of the time.

#![expect(
    clippy::indexing_slicing,
    reason = "each place is measured before it is taken, for every byte that is read; tests go along all edges"
)]

use std::io::{ErrorKind, Read, Result};

use rustic_cdc::{Polynom as _, Polynom64, Rabin64};

use crate::sealing::grow;

/// Bytes that a fingerprint covers.
const WINDOW: usize = 64;
/// What is read at once.
const BLOCK: usize = 64 << 10;
/// Places that are looked at side by side.
const LANES: usize = 4;

/// Finds the cuts of one repository.
#[derive(Debug, Clone)]
pub(crate) struct Cutter {
    out: [Polynom64; 256],
    modulo: [Polynom64; 256],
    shift: u32,
    mask: u64,
    min: usize,
    max: usize,
}

impl Cutter {
    /// For a polynomial and an average length, which is a power of two, and the least and the greatest length; in bytes.
    pub(crate) fn new(polynom: u64, (min, average, max): (usize, usize, usize)) -> Self {
        Self {
            out: Rabin64::calculate_out_table(WINDOW, &polynom),
            modulo: Rabin64::calculate_mod_table(&polynom),
            shift: u32::try_from(polynom.degree() - 8).unwrap_or_default(),
            mask: average as u64 - 1,
            min: min.max(WINDOW),
            max,
        }
    }

    #[inline]
    fn slide(&self, hash: u64, out: u8, byte: u8) -> u64 {
        let hash = hash ^ self.out[usize::from(out)];
        let above = usize::from((hash >> self.shift).to_le_bytes()[0]);
        (hash << 8 | u64::from(byte)) ^ self.modulo[above]
    }

    /// The fingerprint of the window that ends before `end`.
    fn fingerprint(&self, data: &[u8], end: usize) -> u64 {
        data[end - WINDOW..end].iter().fold(0, |hash, byte| self.slide(hash, 0, *byte))
    }

    /// The first place in `from..=to` before which data is cut, by the fingerprint of what is before it.
    fn cut(&self, data: &[u8], from: usize, to: usize) -> Option<usize> {
        let lane = (to - from) / LANES;
        let starts: [usize; LANES] = std::array::from_fn(|number| from + number * lane);
        let mut hashes = starts.map(|start| self.fingerprint(data, start));
        let mut found = [None; LANES];
        if lane > 0 {
            let gone = starts.map(|start| &data[start - WINDOW..start - WINDOW + lane]);
            let come = starts.map(|start| &data[start..start + lane]);
            for at in 0..lane {
                for number in 0..LANES {
                    if hashes[number] & self.mask == 0 && found[number].is_none() {
                        found[number] = Some(starts[number] + at);
                    }
                    hashes[number] = self.slide(hashes[number], gone[number][at], come[number][at]);
                }
                if found[0].is_some() {
                    return found[0];
                }
            }
        }
        if let Some(first) = found.into_iter().flatten().next() {
            return Some(first);
        }
        // What is left behind the last lane, fewer than there are lanes.
        let mut hash = hashes[LANES - 1];
        for at in from + LANES * lane..=to {
            if hash & self.mask == 0 {
                return Some(at);
            }
            if at < to {
                hash = self.slide(hash, data[at - WINDOW], data[at]);
            }
        }
        None
    }

    /// Cuts what `reader` gives, and hands each piece to `take`. `buffer` is what is read into, and may be used again.
    pub(crate) fn pieces<E: From<std::io::Error>>(
        &self,
        mut reader: impl Read,
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut filled = 0;
        loop {
            let mut more = fill(&mut reader, buffer, &mut filled, self.min)?;
            let mut looked = self.min;
            let cut = loop {
                let to = filled.min(self.max);
                if to < looked {
                    break None;
                }
                if let Some(cut) = self.cut(&buffer[..to], looked, to) {
                    break Some(cut);
                }
                if to == self.max {
                    break Some(to);
                }
                if !more {
                    break None;
                }
                // The place behind the last byte was looked at.
                looked = to + 1;
                more = fill(&mut reader, buffer, &mut filled, (to + BLOCK).min(self.max))?;
            };
            let Some(cut) = cut else { break };
            take(&buffer[..cut])?;
            buffer.copy_within(cut..filled, 0);
            filled -= cut;
        }
        if filled == 0 { Ok(()) } else { take(&buffer[..filled]) }
    }
}

/// Fills the buffer up to a length; `false` where what is read came to its end before.
fn fill(reader: &mut impl Read, buffer: &mut Vec<u8>, filled: &mut usize, to: usize) -> Result<bool> {
    grow(buffer, to);
    while *filled < to {
        match reader.read(&mut buffer[*filled..to]) {
            Ok(0) => return Ok(false),
            Ok(more) => *filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

//! Small blobs that lie beside each other in a pack are read at once: a target that is far away is asked a hundred times less
//! often, and one that is near opens its files as much less. Who reads one here and one there reads those and no more, for
//! bytes may count.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

/// What is read at once where one follows the other.
const WINDOW: u32 = 512 << 10;
/// Longer ones are read by themselves.
const SMALL: u32 = 128 << 10;
/// What was read last and is kept: more than there are threads that read.
const KEPT: usize = 8;

/// A part of a pack.
#[derive(Debug, Clone)]
struct Part {
    pack: u32,
    from: u32,
    bytes: Bytes,
}

impl Part {
    fn end(&self) -> u32 {
        self.from.saturating_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    /// Those bytes, if they are all in it.
    fn slice(&self, pack: u32, from: u32, length: u32) -> Option<Bytes> {
        let start = usize::try_from(from.checked_sub(self.from)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (self.pack == pack && end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }

    /// Whether whoever read this one reads on there.
    fn is_near(&self, pack: u32, from: u32) -> bool {
        self.pack == pack
            && from.saturating_add(WINDOW) >= self.from
            && from <= self.end().saturating_add(WINDOW)
    }
}

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<VecDeque<Part>>);

impl Ahead {
    /// Bytes of a pack, of which the blobs end at `end`; `read` is asked for a part of it, from where and how long.
    pub(crate) fn read<E>(
        &self,
        (pack, end): (u32, u32),
        (from, length): (u32, u32),
        read: impl Fn(u32, u32) -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        if length >= SMALL {
            return read(from, length);
        }
        let more = {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = kept.iter().find_map(|part| part.slice(pack, from, length)) {
                return Ok(found);
            }
            kept.iter().any(|part| part.is_near(pack, from))
        };
        let long = end.saturating_sub(from).min(WINDOW).max(length);
        let bytes = match more.then(|| read(from, long)) {
            Some(Ok(bytes)) => bytes,
            // The pack may be damaged where nobody asked.
            _ => read(from, length)?,
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT - 1);
        let part = Part { pack, from, bytes };
        let found = part.slice(pack, from, length).unwrap_or_else(|| part.bytes.clone());
        kept.push_front(part);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn pack() -> Vec<u8> {
        (0..2_000_000_u32).map(|at| at.to_le_bytes()[1] ^ at.to_le_bytes()[2]).collect()
    }

    fn part(pack: &[u8], from: u32, length: u32) -> Result<Bytes, ()> {
        let (from, length) = (from as usize, length as usize);
        pack.get(from..from + length).map(Bytes::copy_from_slice).ok_or(())
    }

    #[test]
    fn what_lies_beside_is_read_at_once_and_is_the_same() {
        let (pack, asked) = (pack(), RefCell::new(0));
        let ahead = Ahead::default();
        let end = u32::try_from(pack.len()).unwrap();
        for from in (0..end - 3000).step_by(3000) {
            let found = ahead.read((0, end), (from, 3000), |from, length| {
                *asked.borrow_mut() += 1;
                part(&pack, from, length)
            });
            assert_eq!(found, part(&pack, from, 3000), "at {from}");
        }
        assert!(asked.into_inner() <= 6);
    }

    #[test]
    fn whoever_reads_one_reads_no_more() {
        let pack = pack();
        let ahead = Ahead::default();
        for number in 0..20 {
            let found = ahead.read((number, 2_000_000), (500, 100), |from, length| {
                assert_eq!((from, length), (500, 100));
                part(&pack, from, length)
            });
            assert_eq!(found.unwrap().len(), 100);
        }
    }

    #[test]
    fn a_pack_that_was_cut_off_still_gives_what_is_there() {
        let pack = pack();
        let cut = &pack[..10_000];
        let ahead = Ahead::default();
        for from in (0..9000).step_by(1000) {
            let found = ahead.read((0, 2_000_000), (from, 1000), |from, length| part(cut, from, length));
            assert_eq!(found, part(cut, from, 1000));
        }
        assert!(ahead.read((0, 2_000_000), (9500, 1000), |from, length| part(cut, from, length)).is_err());
    }
}

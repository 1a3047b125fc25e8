//! Where a file's bytes lie among its blobs. Pure.

use std::ops::Range;

/// Where each of a file's blobs ends in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout(Vec<u64>);

/// A part of a blob: which one, how long it has to be, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) blob: usize,
    pub(crate) length: u64,
    pub(crate) range: Range<u64>,
}

impl Layout {
    /// From the blobs' lengths in order; none where they come to more than a file can have.
    pub(crate) fn of(lengths: impl Iterator<Item = u64>) -> Option<Self> {
        let mut end = 0_u64;
        let mut ends = Vec::new();
        for length in lengths {
            end = end.checked_add(length)?;
            ends.push(end);
        }
        Some(Self(ends))
    }

    /// The file's length.
    pub(crate) fn length(&self) -> u64 {
        self.0.last().copied().unwrap_or_default()
    }

    pub(crate) fn blobs(&self) -> usize {
        self.0.len()
    }

    /// What of which blobs makes up these bytes of the file, in order; less where it ends before.
    pub(crate) fn pieces(&self, offset: u64, length: u64) -> Vec<Piece> {
        let until = offset.saturating_add(length).min(self.length());
        let first = self.0.partition_point(|end| *end <= offset);
        let mut pieces = Vec::new();
        let mut start =
            first.checked_sub(1).and_then(|before| self.0.get(before)).copied().unwrap_or_default();
        for (blob, end) in self.0.iter().enumerate().skip(first) {
            if start >= until {
                break;
            }
            let range = offset.max(start) - start..until.min(*end) - start;
            if !range.is_empty() {
                pieces.push(Piece { blob, length: end - start, range });
            }
            start = *end;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_without_end_is_none() {
        assert_eq!(Layout::of([u64::MAX, 1].into_iter()), None);
        assert_eq!(Layout::of(std::iter::empty()).unwrap().pieces(0, 10), vec![]);
    }

    proptest! {
        #[test]
        fn pieces_are_the_bytes_that_were_asked_for(
            blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..12),
            offset in 0_u64..80,
            length in 0_u64..80,
        ) {
            let layout = Layout::of(blobs.iter().map(|blob| blob.len() as u64)).unwrap();
            let mut read = Vec::new();
            for piece in layout.pieces(offset, length) {
                let blob = &blobs[piece.blob];
                prop_assert_eq!(blob.len() as u64, piece.length);
                read.extend_from_slice(
                    &blob[usize::try_from(piece.range.start).unwrap()..usize::try_from(piece.range.end).unwrap()],
                );
            }
            let whole = blobs.concat();
            let from = whole.len().min(usize::try_from(offset).unwrap());
            let to = whole.len().min(usize::try_from(offset + length).unwrap());
            prop_assert_eq!(&read, &whole[from..to]);
        }

        #[test]
        fn no_offset_is_too_far(offset: u64, length: u64) {
            let layout = Layout::of([3, 0, 5].into_iter()).unwrap();
            let sum: u64 = layout.pieces(offset, length).iter().map(|piece| piece.range.end - piece.range.start).sum();
            prop_assert_eq!(sum, 8_u64.saturating_sub(offset).min(length));
        }
    }
}

//! What a datagram of the tunnel holds: one byte says it, the rest is that.

/// What follows the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An IP packet as it is.
    Whole,
    /// An IP packet whose TCP or UDP sum is partial: only for peers that said they take it.
    Partial,
    /// A part of a frame that is too large for the line, see [`crate::fragment`].
    Fragment,
    /// A question about the path, or its answer.
    Path,
}

impl Kind {
    /// The byte that says so.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Partial => 1,
            Self::Fragment => 2,
            Self::Path => 3,
        }
    }
}

/// Reads a datagram. Unknown kinds are of later versions, and dropped as what is empty.
pub fn read(datagram: &[u8]) -> Option<(Kind, &[u8])> {
    let (kind, body) = datagram.split_first()?;
    let kind = match kind {
        0 => Kind::Whole,
        1 => Kind::Partial,
        2 => Kind::Fragment,
        3 => Kind::Path,
        _ => return None,
    };
    (!body.is_empty()).then_some((kind, body))
}

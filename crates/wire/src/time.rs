//! Time as plain numbers. Nobody in a core crate asks what time it is: they are told.

use std::fmt;

use minicbor::{Decode, Encode};

/// Milliseconds: since the Unix epoch for wall time, since the start for monotonic time, or a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Millis(#[n(0)] pub u64);

impl Millis {
    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// A span of whole hours.
    pub const fn from_hours(hours: u64) -> Self {
        Self::from_secs(hours.saturating_mul(3600))
    }

    /// How long after `earlier` this is; zero if it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// This much later.
    #[must_use]
    pub const fn plus(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Hybrid logical clock reading (Kulkarni et al., 2014): wall time that never runs backwards for
/// one writer and passes what it has heard. Its writer
/// can set it to anything: where something lapses by it, whoever checks looks at other clocks as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(array)]
pub struct Hlc {
    /// Wall time since the Unix epoch.
    #[n(0)]
    pub wall: Millis,
    /// Orders readings within one millisecond.
    #[n(1)]
    pub count: u32,
}

impl Hlc {
    /// How far ahead of the local wall clock a remote reading may be and still pull ours along;
    /// beyond it somebody's clock is wrong, and following would spread the error.
    pub const DRIFT_MAX: Millis = Millis::from_hours(1);

    /// The next reading for a local event at wall time `now`.
    #[must_use]
    pub fn tick(self, now: Millis) -> Self {
        if now > self.wall { Self { wall: now, count: 0 } } else { self.bump() }
    }

    /// The reading after hearing `remote` at wall time `now`; a remote reading that is too far
    /// ahead is ignored.
    #[must_use]
    pub fn hear(self, remote: Self, now: Millis) -> Self {
        if remote > self && remote.wall <= now.plus(Self::DRIFT_MAX) { remote } else { self }
    }

    fn bump(self) -> Self {
        match self.count.checked_add(1) {
            Some(count) => Self { wall: self.wall, count },
            None => Self { wall: self.wall.plus(Millis(1)), count: 0 },
        }
    }
}

#[cfg(test)]
mod tests;

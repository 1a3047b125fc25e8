//! Object lock: what may not be removed, and until when. The gateway that is asked refuses; the fold
//! does not believe a removal that came too early of a version under COMPLIANCE, whoever signed it.

use freehold_wire::{DecodeError, Millis, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

const DAY: Millis = Millis::from_hours(24);
const YEAR_DAYS: u64 = 365;

/// How strictly a version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Mode {
    /// Who has the right to may remove it all the same.
    #[n(1)]
    Governance,
    /// Nobody may.
    #[n(2)]
    Compliance,
}

/// Until when a version must be kept: the document of its retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Retention {
    /// How strictly.
    #[n(0)]
    pub mode: Mode,
    /// Until when, since 1970.
    #[n(1)]
    pub until: Millis,
}

impl Retention {
    /// The document.
    pub fn to_bytes(self) -> Vec<u8> {
        to_canonical(&self)
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, 32)
    }

    /// Until when nobody at all may remove the version.
    pub fn compliance(self) -> Option<Millis> {
        (self.mode == Mode::Compliance).then_some(self.until)
    }
}

/// What keeps a version from being removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Locks {
    /// Until when it must be kept.
    pub retention: Option<Retention>,
    /// Whether somebody holds it until he says otherwise.
    pub hold: bool,
}

impl Locks {
    /// From the documents of retention and hold, where they are of a sort that is known.
    pub fn of(retention: Option<&[u8]>, hold: Option<&[u8]>) -> Self {
        Self {
            retention: retention.and_then(|bytes| Retention::decode(bytes).ok()),
            hold: hold.is_some_and(Self::is_hold),
        }
    }

    /// Whether nothing was ever said.
    pub const fn is_none(&self) -> bool {
        self.retention.is_none() && !self.hold
    }

    /// The document of a hold.
    pub fn hold_to_bytes(on: bool) -> Vec<u8> {
        to_canonical(&on)
    }

    pub(crate) fn is_hold(bytes: &[u8]) -> bool {
        from_canonical(bytes, 1) == Ok(true)
    }
}

/// The version is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// Somebody holds it.
    #[error("a legal hold is on this version")]
    Hold,
    /// It must be kept until then.
    #[error("this version must be kept until its retention ends")]
    Until(Retention),
}

/// Whether a version may be removed. `bypass`: who asks may pass over GOVERNANCE, and says that he
/// wants to.
///
/// # Errors
/// [`Locked`] says what stands against it.
pub fn may_remove(locks: &Locks, now: Millis, bypass: bool) -> Result<(), Locked> {
    if locks.hold {
        return Err(Locked::Hold);
    }
    match locks.retention {
        Some(retention) if retention.until > now && !(bypass && retention.mode == Mode::Governance) => {
            Err(Locked::Until(retention))
        }
        _ => Ok(()),
    }
}

/// Whether the retention of a version may become `to`.
///
/// # Errors
/// [`Locked`]: it would be weaker than what holds now.
pub fn may_retain(locks: &Locks, to: Option<Retention>, now: Millis, bypass: bool) -> Result<(), Locked> {
    let Some(retention) = locks.retention.filter(|retention| retention.until > now) else { return Ok(()) };
    let as_strict = to.is_some_and(|to| to.mode == retention.mode && to.until >= retention.until);
    if as_strict || (bypass && retention.mode == Mode::Governance) {
        Ok(())
    } else {
        Err(Locked::Until(retention))
    }
}

/// The setting of a bucket whose versions can be locked: the document of [`ObjectLock`].
///
/// [`ObjectLock`]: freehold_seal::Setting::ObjectLock
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ObjectLock {
    /// What holds for a version that is written without a retention of its own.
    #[n(0)]
    pub default: Option<DefaultRetention>,
}

/// See [`ObjectLock::default`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct DefaultRetention {
    /// How strictly.
    #[n(0)]
    pub mode: Mode,
    /// How long from the writing.
    #[n(1)]
    pub period: Period,
}

/// A span as people gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Period {
    /// Days.
    #[n(0)]
    Days(#[n(0)] u32),
    /// Years, of 365 days.
    #[n(1)]
    Years(#[n(0)] u32),
}

impl ObjectLock {
    /// The document.
    pub fn to_bytes(self) -> Vec<u8> {
        to_canonical(&self)
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, 64)
    }

    /// The retention of a version written now without one of its own.
    pub fn retention(&self, now: Millis) -> Option<Retention> {
        let DefaultRetention { mode, period } = self.default?;
        let days = match period {
            Period::Days(days) => u64::from(days),
            Period::Years(years) => u64::from(years).saturating_mul(YEAR_DAYS),
        };
        Some(Retention { mode, until: now.plus(Millis(DAY.0.saturating_mul(days))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn locks(mode: Mode, until: u64, hold: bool) -> Locks {
        Locks { retention: Some(Retention { mode, until: Millis(until) }), hold }
    }

    fn some(mode: Mode, until: u64) -> Option<Retention> {
        locks(mode, until, false).retention
    }

    #[test]
    fn what_is_locked_stays_until_its_time_is_over() {
        use Mode::{Compliance, Governance};
        let may = |locks, now, bypass| may_remove(&locks, Millis(now), bypass).is_ok();
        assert!(may(Locks::default(), 5, false));
        assert!(!may(locks(Governance, 9, false), 5, false));
        assert!(may(locks(Governance, 9, false), 5, true));
        assert!(!may(locks(Compliance, 9, false), 5, true));
        assert!(may(locks(Compliance, 9, false), 9, false));
        assert!(!may(locks(Governance, 9, true), 10, true), "a hold has no end");
    }

    #[test]
    fn a_retention_grows_and_does_not_shrink() {
        use Mode::{Compliance, Governance};
        let may = |from, to, bypass| may_retain(&from, to, Millis(5), bypass).is_ok();
        assert!(may(Locks::default(), some(Compliance, 6), false));
        assert!(may(locks(Governance, 9, false), some(Governance, 10), false));
        assert!(!may(locks(Governance, 9, false), some(Governance, 8), false));
        assert!(may(locks(Governance, 9, false), some(Governance, 8), true));
        assert!(may(locks(Governance, 9, false), some(Compliance, 9), true));
        assert!(may(locks(Governance, 9, false), None, true));
        assert!(may(locks(Compliance, 9, false), some(Compliance, 10), false));
        assert!(!may(locks(Compliance, 9, false), some(Compliance, 8), true));
        assert!(!may(locks(Compliance, 9, false), some(Governance, 20), true));
        assert!(may(locks(Compliance, 4, false), None, false), "its time is over");
    }

    #[test]
    fn the_documents_come_back_as_they_were() {
        let lock = ObjectLock {
            default: Some(DefaultRetention { mode: Mode::Compliance, period: Period::Years(2) }),
        };
        assert_eq!(ObjectLock::decode(&lock.to_bytes()), Ok(lock));
        assert_eq!(lock.retention(Millis(7)).unwrap().until, Millis(7 + 730 * 86_400_000));
        assert_eq!(ObjectLock::decode(&ObjectLock::default().to_bytes()), Ok(ObjectLock::default()));
        let retention = Retention { mode: Mode::Governance, until: Millis(9) };
        let hold = Locks::hold_to_bytes(true);
        let read = Locks::of(Some(&retention.to_bytes()), Some(&hold));
        assert_eq!(read, Locks { retention: Some(retention), hold: true });
        assert!(Locks::of(Some(b"?"), Some(&Locks::hold_to_bytes(false))).is_none());
    }
}

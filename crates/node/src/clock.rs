//! The only place where the daemon asks what time it is.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use freehold_wire::Millis;

/// Wall time. A clock before 1970 reads as 1970: it is wrong either way, and doctor says so.
pub fn wall() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Time since the daemon first asked, which never runs backwards.
pub fn monotonic() -> Millis {
    static START: OnceLock<Instant> = OnceLock::new();
    Millis(u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// Before this the clock is wrong for certain: the program did not exist. 2026-01-01.
pub const EARLIEST: Millis = Millis(1_767_225_600_000);

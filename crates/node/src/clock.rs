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

/// How long a day is in lifecycle rules. Outside suites test rules of days in minutes; nobody sets a
/// variable of this name by accident, and the log says what it does.
pub fn day() -> Millis {
    let seconds = std::env::var("FREEHOLD_TEST_ONLY_SECONDS_OF_A_DAY").ok();
    let Some(seconds) = seconds.and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0) else {
        return freehold_vault::DAY;
    };
    tracing::warn!(seconds, "for a test, lifecycle rules take a day to be this long: objects expire early");
    Millis::from_secs(seconds)
}

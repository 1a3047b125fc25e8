//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at. Each look may start a process, so not more often.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until `look` finds something; after `seconds` fails with `what` and the last reason.
pub fn until<T>(seconds: u64, what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let limit = Instant::now() + Duration::from_secs(seconds);
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(reason) if Instant::now() >= limit => {
                bail!("after {seconds} s still not: {what}: {reason:#}")
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Waits until `look` says yes.
pub fn eventually(seconds: u64, what: &str, mut look: impl FnMut() -> Result<bool>) -> Result<()> {
    until(seconds, what, || if look()? { Ok(()) } else { bail!("no") })
}

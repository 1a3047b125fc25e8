//! When a name is to be told another address. Decisions only: times, what is seen and what is drawn are handed in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_wire::Millis;
use serde::{Deserialize, Serialize};

use crate::Family;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// An address that comes and goes is not worth telling.
const STABLE: u64 = 2 * SECOND;
/// Between two changes, and twice as long with each that came before within an hour.
const LEAST: u64 = 10 * SECOND;
const LEAST_MOST: u64 = 10 * MINUTE;
/// A name leads nowhere for so long before it is taken back: a cable is put in again sooner.
const LOST: u64 = 10 * MINUTE;
/// After a failure, and twice as long with each, up to an hour.
const AGAIN: u64 = 15 * SECOND;
/// Where the server asks for patience.
const PATIENCE: u64 = 30 * MINUTE;
/// The most changes that are remembered.
const RECENT_MAX: usize = 16;

/// What a failure is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// It may go by itself.
    No,
    /// The server has trouble of its own, and asks for patience.
    Long,
    /// Until somebody changes something: asking again would be held against us.
    ForGood,
}

/// One family of a name: what was told of it, and how that went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// What the zone says, as far as is known.
    pub said: Option<IpAddr>,
    /// When that was said last, since 1970.
    pub said_ms: u64,
    /// When it was changed lately.
    recent: Vec<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// Not sooner than this.
    not_before: u64,
    /// Whether it is not asked again until somebody changes something.
    pub stopped: bool,
    /// Why it failed last.
    pub trouble: Option<String>,
}

/// What is to be done about a family of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this time, or until something changes.
    Rest(Option<Millis>),
    /// Tell this address.
    Replace(IpAddr),
    /// Say that there is none.
    Clear,
}

/// An address of this machine that others may know, or that there is none, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The address.
    pub address: Option<IpAddr>,
    /// Since when it is so, since 1970.
    pub since: Millis,
}

impl Line {
    /// What is to be done now. What was said is said again after `refresh`.
    pub fn next(&self, seen: Seen, refresh: Millis, now: Millis) -> Next {
        if self.stopped {
            return Next::Rest(None);
        }
        // A clock that was set back must not mean years.
        let not_before = self.not_before.min(now.0.saturating_add(HOUR));
        let stands = |for_so_long: u64| seen.since.0.min(now.0).saturating_add(for_so_long);
        let (what, due) = match (seen.address, self.said) {
            (Some(address), said) if said == Some(address) => {
                let said = self.said_ms.min(now.0);
                (Next::Replace(address), said.saturating_add(refresh.0))
            }
            (Some(address), _) => (Next::Replace(address), stands(STABLE).max(self.paced(now))),
            (None, Some(_)) => (Next::Clear, stands(LOST)),
            (None, None) => return Next::Rest(None),
        };
        let due = due.max(not_before);
        if due <= now.0 { what } else { Next::Rest(Some(Millis(due))) }
    }

    /// Not sooner than this, however stable.
    fn paced(&self, now: Millis) -> u64 {
        let lately = |at: &&u64| now.0.saturating_sub(**at) < HOUR && **at <= now.0;
        let count = self.recent.iter().filter(lately).count();
        let Some(last) = self.recent.iter().filter(lately).max() else { return 0 };
        let doubled = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = LEAST.saturating_mul(1_u64.checked_shl(doubled).unwrap_or(u64::MAX)).min(LEAST_MOST);
        last.saturating_add(wait)
    }

    /// The zone says this now.
    pub fn done(&mut self, what: Option<IpAddr>, now: Millis) {
        if self.said != what {
            self.recent.retain(|at| now.0.saturating_sub(*at) < HOUR && *at <= now.0);
            self.recent.push(now.0);
            let much = self.recent.len().saturating_sub(RECENT_MAX);
            self.recent.drain(..much);
        }
        (self.said, self.said_ms) = (what, now.0);
        (self.failures, self.not_before, self.trouble) = (0, 0, None);
    }

    /// Somebody has changed something: what went wrong before means nothing, and what was told is told again.
    pub(crate) fn anew(&mut self) {
        (self.stopped, self.failures, self.not_before, self.trouble) = (false, 0, 0, None);
        self.said_ms = 0;
    }

    /// It was not told.
    pub fn failed(&mut self, lasting: Lasting, why: String, now: Millis, draw: u64) {
        self.failures = self.failures.saturating_add(1);
        self.trouble = Some(why);
        self.stopped = lasting == Lasting::ForGood;
        let doubled = 1_u64.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u64::MAX);
        let wait = AGAIN.saturating_mul(doubled).min(HOUR);
        let wait = if lasting == Lasting::Long { wait.max(PATIENCE) } else { wait };
        // Half of it for sure: where a server comes back, not all come at once.
        let spread = if lasting == Lasting::Long { wait + draw % wait } else { wait / 2 + draw % (wait / 2) };
        self.not_before = now.0.saturating_add(spread.min(HOUR));
    }
}

/// The address to tell of those that a machine has: one that the internet knows, the one that was told before if
/// it is still there.
pub fn choose(all: &[IpAddr], family: Family, before: Option<IpAddr>) -> Option<IpAddr> {
    let mut fit = all.iter().copied().filter(|at| Family::of(*at) == family && is_public(*at));
    let first = fit.clone().next();
    fit.find(|at| Some(*at) == before).or(first)
}

/// Whether an address means the same to everybody: none of a house, a provider's inside, a link or a machine.
pub const fn is_public(at: IpAddr) -> bool {
    match at {
        IpAddr::V4(at) => is_public_v4(at),
        IpAddr::V6(at) => is_public_v6(at),
    }
}

/// IANA's registry of special addresses, without those of documentation, in which examples and tests live.
const fn is_public_v4(at: Ipv4Addr) -> bool {
    let [a, b, c, _] = at.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let protocols = a == 192 && b == 0 && c == 0;
    let benchmarks = a == 198 && b & 0xfe == 18;
    let relay_6to4 = a == 192 && b == 88 && c == 99;
    !(a == 0
        || at.is_private()
        || at.is_loopback()
        || at.is_link_local()
        || shared
        || protocols
        || benchmarks
        || relay_6to4
        || a >= 224)
}

/// Of 2000::/3, without what means a tunnel: Teredo, ORCHID and 6to4.
const fn is_public_v6(at: Ipv6Addr) -> bool {
    let [a, b, ..] = at.segments();
    a & 0xe000 == 0x2000 && !(a == 0x2001 && b < 0x0200) && a != 0x2002
}

#[cfg(test)]
mod tests;

//! How often a source may try: a leaking bucket for each network address, in bounded memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The most sources remembered; the ones seen longest ago are forgotten first.
const SOURCES: usize = 4096;

/// Who is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 network of /64: one host has all of it.
    V6(u64),
    /// Everybody behind one relay.
    Relay(String),
}

impl Source {
    pub(crate) fn network(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => Self::V6((u128::from(ip) >> 64) as u64),
        }
    }
}

/// Buckets that hold `burst` tries and win back one each `refill`.
#[derive(Debug)]
pub(crate) struct Buckets {
    burst: u32,
    refill: Duration,
    /// For each source the time at which its bucket is full again.
    full_at: Mutex<BTreeMap<Source, Instant>>,
}

impl Buckets {
    pub(crate) const fn new(burst: u32, refill: Duration) -> Self {
        Self { burst, refill, full_at: Mutex::new(BTreeMap::new()) }
    }

    /// Takes one try of the source's bucket; `false` if there is none.
    pub(crate) fn take(&self, source: Source, now: Instant) -> bool {
        let Ok(mut full_at) = self.full_at.lock() else { return false };
        if full_at.len() >= SOURCES && !full_at.contains_key(&source) {
            full_at.retain(|_, full| *full > now);
            if full_at.len() >= SOURCES
                && let Some(oldest) =
                    full_at.iter().min_by_key(|(_, full)| **full).map(|(source, _)| source.clone())
            {
                full_at.remove(&oldest);
            }
        }
        let full = full_at.entry(source).or_insert(now);
        let next = (*full).max(now) + self.refill;
        if next > now + self.refill * self.burst {
            return false;
        }
        *full = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_at_a_time() {
        let buckets = Buckets::new(3, Duration::from_secs(10));
        let now = Instant::now();
        let source = || Source::network("192.0.2.1".parse().unwrap());
        assert_eq!([0; 4].map(|_| buckets.take(source(), now)), [true, true, true, false]);
        assert!(buckets.take(Source::network("192.0.2.2".parse().unwrap()), now));
        assert!(!buckets.take(source(), now + Duration::from_secs(9)));
        assert!(buckets.take(source(), now + Duration::from_secs(10)));
        assert!(!buckets.take(source(), now + Duration::from_secs(10)));
    }

    #[test]
    fn memory_is_bounded_and_one_ipv6_host_is_one_source() {
        let buckets = Buckets::new(1, Duration::from_secs(10));
        let now = Instant::now();
        for i in 0..10_000_u32 {
            assert!(buckets.take(Source::network(IpAddr::V4(i.into())), now));
        }
        assert!(buckets.full_at.lock().unwrap().len() <= SOURCES);
        assert_eq!(
            Source::network("2001:db8::1".parse().unwrap()),
            Source::network("2001:db8::ffff:2".parse().unwrap())
        );
    }
}

//! Who asked for what that nothing opens: the last ones, counted, in memory alone and for this machine's own people.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use freehold_packet::Flow;

/// So many are remembered; of more the one that asked longest ago goes.
const MOST: usize = 64;

/// Somebody asked for something, and nothing opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Who asked, by address.
    pub from: IpAddr,
    /// What was asked for.
    pub to: IpAddr,
    /// The protocol's number.
    pub proto: u8,
    /// The port, where the protocol has any.
    pub port: u16,
    /// How many packets.
    pub times: u64,
    /// How long ago the last one came.
    pub ago: Duration,
}

#[derive(Debug)]
struct Entry {
    key: (IpAddr, IpAddr, u8, u16),
    times: u64,
    last: Instant,
}

/// The newest at the end.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<VecDeque<Entry>>);

impl Refusals {
    /// Notes a packet that was refused.
    pub(crate) fn note(&self, flow: &Flow) {
        let key = (flow.src, flow.dst, flow.proto, flow.dport);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.iter().position(|entry| entry.key == key).and_then(|at| entries.remove(at));
        let times = known.map_or(0, |entry| entry.times) + 1;
        entries.push_back(Entry { key, times, last: Instant::now() });
        if entries.len() > MOST {
            entries.pop_front();
        }
    }

    /// All that is remembered, the newest first.
    pub(crate) fn all(&self) -> Vec<Refused> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |entry: &Entry| {
            let (from, to, proto, port) = entry.key;
            Refused { from, to, proto, port, times: entry.times, ago: entry.last.elapsed() }
        };
        entries.iter().rev().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_counted_and_a_scan_displaces_no_more_than_there_is_room_for() {
        let flow = |dport| {
            let (src, dst) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
            Flow { src, dst, proto: 6, sport: 40_000, dport }
        };
        let refusals = Refusals::default();
        (0..3).for_each(|_| refusals.note(&flow(22)));
        (1000..2000).for_each(|port| refusals.note(&flow(port)));
        (0..2).for_each(|_| refusals.note(&flow(1999)));
        let all = refusals.all();
        assert_eq!(all.len(), MOST);
        assert_eq!((all[0].port, all[0].times), (1999, 3));
        assert_eq!((all[1].port, all[1].times), (1998, 1));
        assert!(all.iter().all(|refused| refused.port != 22));
    }
}

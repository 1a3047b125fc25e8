//! How many handshakes are answered. Each costs some hundred microseconds, and whoever knows this machine's key can
//! make them look genuine: so no source has many, and when all together are too many, each has to prove that it is where
//! it sends from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// What one source may ask at once, and how soon it may once more: a house full of phones behind one address.
const SOURCE: Rate = Rate { most: 20, each: Duration::from_millis(100) };
/// The same of all together, before they have to prove where they are.
const ALL: Rate = Rate { most: 200, each: Duration::from_millis(5) };
/// Sources that are remembered.
const SOURCES_MAX: usize = 1024;
/// The part of an IPv6 address that is one source: a house has at least as much.
const V6_BITS: u32 = 64;

#[derive(Debug, Clone, Copy)]
struct Rate {
    most: u32,
    each: Duration,
}

/// What becomes of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is answered.
    Yes,
    /// It is if it shows that its sender hears what is sent to where it claims to be.
    Prove,
    /// It is not.
    No,
}

/// What may still be asked of a rate.
#[derive(Debug, Clone, Copy)]
struct Left {
    left: u32,
    since: Instant,
}

impl Left {
    const fn all(rate: Rate, now: Instant) -> Self {
        Self { left: rate.most, since: now }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let more = now.saturating_duration_since(self.since).as_millis() / rate.each.as_millis();
        if more > 0 {
            self.left = self.left.saturating_add(u32::try_from(more).unwrap_or(rate.most)).min(rate.most);
            self.since = now;
        }
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// Handshakes of the last seconds.
#[derive(Debug)]
pub(crate) struct Handshakes {
    all: Left,
    sources: BTreeMap<IpAddr, Left>,
}

impl Handshakes {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { all: Left::all(ALL, now), sources: BTreeMap::new() }
    }

    /// What becomes of one that comes now.
    pub(crate) fn ask(&mut self, now: Instant, from: IpAddr) -> Answer {
        // Who may be anywhere leaves no trace: or a flood of made-up sources would push out real ones.
        if self.all.take(ALL, now) { self.of(now, from, Answer::Yes) } else { Answer::Prove }
    }

    /// What becomes of one whose sender is where it sends from.
    pub(crate) fn proven(&mut self, now: Instant, from: IpAddr) -> Answer {
        self.of(now, from, Answer::Yes)
    }

    fn of(&mut self, now: Instant, from: IpAddr, yes: Answer) -> Answer {
        let source = source(from);
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources.retain(|_, left| {
                left.refill(SOURCE, now);
                left.left < SOURCE.most
            });
            if self.sources.len() >= SOURCES_MAX {
                return Answer::No;
            }
        }
        let left = self.sources.entry(source).or_insert_with(|| Left::all(SOURCE, now));
        if left.take(SOURCE, now) { yes } else { Answer::No }
    }
}

fn source(at: IpAddr) -> IpAddr {
    match at.to_canonical() {
        IpAddr::V6(at) => Ipv6Addr::from_bits(at.to_bits() >> (128 - V6_BITS) << (128 - V6_BITS)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 | number).into()
    }

    #[test]
    fn one_source_has_few_and_others_are_not_kept_waiting_for_it() {
        let begun = Instant::now();
        let mut asked = Handshakes::new(begun);
        let yes = (0..100).filter(|_| asked.ask(begun, at(1)) == Answer::Yes).count();
        assert_eq!(yes, 20);
        assert_eq!(asked.ask(begun, at(2)), Answer::Yes);
        let later = begun + Duration::from_millis(500);
        let yes = (0..100).filter(|_| asked.ask(later, at(1)) == Answer::Yes).count();
        assert_eq!(yes, 5, "ten a second");
    }

    #[test]
    fn where_many_ask_each_has_to_be_where_it_sends_from() {
        let begun = Instant::now();
        let mut asked = Handshakes::new(begun);
        let answers: Vec<Answer> = (0..10_000).map(|number| asked.ask(begun, at(number))).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == Answer::Yes).count(), 200);
        assert!(!answers.contains(&Answer::No), "nobody is shut out by those who are not there");
        assert!(asked.sources.len() <= 200, "and none of them is remembered");
        assert_eq!(asked.proven(begun, at(99_999)), Answer::Yes);
        let yes = (0..100).filter(|_| asked.proven(begun, at(99_999)) == Answer::Yes).count();
        assert_eq!(yes, 19, "who is there has as few as ever");
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_is_forgotten() {
        let begun = Instant::now();
        let mut asked = Handshakes::new(begun);
        let many = u32::try_from(SOURCES_MAX).unwrap();
        for number in 0..many {
            assert_eq!(asked.proven(begun, at(number)), Answer::Yes);
        }
        assert_eq!(asked.proven(begun, at(many)), Answer::No);
        assert_eq!(asked.proven(begun + Duration::from_secs(1), at(many)), Answer::Yes);
        assert_eq!(asked.sources.len(), 1);
    }

    #[test]
    fn a_whole_house_of_ipv6_is_one_source() {
        let begun = Instant::now();
        let mut asked = Handshakes::new(begun);
        let house = |number: u128| IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | number));
        let yes = (0..100).filter(|number| asked.ask(begun, house(*number)) == Answer::Yes).count();
        assert_eq!(yes, 20);
    }
}

use freehold_realm::body::{Ceilings, Resource};
use proptest::prelude::*;

use super::*;

const DAY: u64 = 24 * 3600 * 1000;
const NOW: Millis = Millis(1_800_000_000_000);

fn terms(days: u64, wind_down_days: u16) -> Terms {
    Terms {
        resource: Resource::Storage,
        ceilings: Ceilings::default(),
        from: NOW,
        until: Millis(NOW.0 + days * DAY),
        wind_down_days,
    }
}

fn day(n: u64) -> Millis {
    Millis(NOW.0 + n * DAY)
}

fn name(n: u8) -> BlobName {
    BlobName::from_bytes([n; 32])
}

#[test]
fn a_grant_goes_from_open_to_over_and_never_back() {
    let lent = terms(100, 30);
    let at = |now, ended| Phase::at(&lent, ended, now);
    assert_eq!(at(Millis(NOW.0 - 1), None), Phase::NotYet);
    assert_eq!(at(day(0), None), Phase::Open);
    assert_eq!(at(day(86), None), Phase::EndsSoon(day(100)), "it is told ahead");
    assert_eq!(at(Millis(day(100).0 + 1), None), Phase::WindingDown(day(130)));
    assert_eq!(at(day(130), None), Phase::Over);
    // Ended by hand: at once nothing is taken in, and what is there can be fetched for as long.
    assert_eq!(at(day(10), Some(day(10))), Phase::WindingDown(day(40)));
    assert_eq!(at(day(40), Some(day(10))), Phase::Over);
    // Whoever ended it was ahead of this clock, or ended it when it was over.
    assert_eq!(at(day(9), Some(day(10))), Phase::WindingDown(day(40)));
    assert_eq!(at(day(131), Some(day(131))), Phase::Over);
    assert_eq!(Phase::at(&terms(5, 0), Some(day(1)), day(1)), Phase::Over, "no days are no days");
    for (phase, takes, gives) in [
        (Phase::NotYet, false, false),
        (Phase::Open, true, true),
        (Phase::EndsSoon(NOW), true, true),
        (Phase::WindingDown(NOW), false, true),
        (Phase::Over, false, false),
    ] {
        assert_eq!((phase.takes(), phase.gives()), (takes, gives), "{phase:?}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u64),
    Lost(u64),
    Remove(u8),
    Send(u64),
    Later(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..12, 0u64..6_000_000).prop_map(|(name, len)| Step::Put(name, len)),
        1 => (0u64..6_000_000).prop_map(Step::Lost),
        2 => (0u8..12).prop_map(Step::Remove),
        4 => (0u64..6_000_000).prop_map(Step::Send),
        1 => (0u64..40 * DAY).prop_map(Step::Later),
        1 => Just(Step::Crash),
    ]
}

/// One machine: its disk, and its meter, which is made anew from the disk.
struct Machine {
    meter: Meter,
    share: (u64, u64),
    disk: BTreeMap<BlobName, u64>,
    noted: Sent,
    now: Millis,
    /// Bytes that really went out, by month.
    sent: BTreeMap<u64, u64>,
}

impl Machine {
    fn new(share: (u64, u64)) -> Self {
        let meter = Meter::new(share, NOW, BTreeMap::new(), Sent::default());
        let (disk, sent) = (BTreeMap::new(), BTreeMap::new());
        Self { meter, share, disk, noted: Sent::default(), now: NOW, sent }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Put(at, len) => {
                if self.meter.reserve(len).is_ok() {
                    self.disk.insert(name(at), len);
                    self.meter.keep(name(at), len);
                }
            }
            Step::Lost(len) => {
                if self.meter.reserve(len).is_ok() {
                    self.meter.release(len);
                }
            }
            Step::Remove(at) => {
                self.disk.remove(&name(at));
                self.meter.remove(&name(at));
            }
            Step::Send(len) => {
                if let Ok(noted) = self.meter.send(self.now, len) {
                    self.noted = noted.unwrap_or(self.noted);
                    *self.sent.entry(self.noted.month).or_default() += len;
                }
            }
            Step::Later(span) => self.now = self.now.plus(Millis(span)),
            Step::Crash => self.meter = Meter::new(self.share, NOW, self.disk.clone(), self.noted),
        }
    }
}

proptest! {
    /// The machines hear nothing of each other at all: whatever is asked of which, in any order, together they keep and
    /// send no more than was promised, and each counts exactly what lies on its disk.
    #[test]
    fn machines_that_do_not_hear_each_other_never_give_more_than_was_promised(
        (room, egress) in (0u64..20_000_000, 0u64..20_000_000),
        homes in 1u8..=8,
        steps in prop::collection::vec((0usize..8, step()), 0..120),
    ) {
        let homes: Vec<NodeId> = (0..homes).map(|n| NodeId::from_bytes([n; 32])).collect();
        let shares = homes.iter().map(|home| (share(room, &homes, *home), share(egress, &homes, *home)));
        let mut machines: Vec<Machine> = shares.map(Machine::new).collect();
        prop_assert_eq!(machines.iter().map(|machine| machine.share.0).sum::<u64>(), room);
        prop_assert_eq!(share(room, &homes, NodeId::from_bytes([99; 32])), 0);
        for (at, step) in &steps {
            let at = at % machines.len();
            machines[at].take(step);
            let kept: u64 = machines.iter().map(|machine| machine.disk.values().sum::<u64>()).sum();
            prop_assert!(kept <= room, "{kept} of {room} bytes lie there");
            let mut months: BTreeMap<u64, u64> = BTreeMap::new();
            for machine in &machines {
                prop_assert_eq!(machine.meter.kept(), machine.disk.values().sum::<u64>());
                for (month, sent) in &machine.sent {
                    *months.entry(*month).or_default() += sent;
                }
            }
            prop_assert!(months.values().all(|sent| *sent <= egress), "{months:?} of {egress} bytes were sent");
        }
    }

    #[test]
    fn what_is_refused_changes_nothing(room in 0u64..1000, egress in 0u64..1000, len in 0u64..2000) {
        let mut meter = Meter::new((room, egress), NOW, BTreeMap::new(), Sent::default());
        let before = meter.clone();
        prop_assert_eq!(meter.reserve(len).is_err(), len > room);
        if len > room {
            prop_assert_eq!(&meter, &before);
        }
        let before = meter.clone();
        prop_assert_eq!(meter.send(NOW, len).is_err(), len > egress);
        if len > egress {
            prop_assert_eq!(&meter, &before);
        }
    }
}

#[test]
fn a_share_that_shrank_is_overdrawn_until_something_goes() {
    let held = BTreeMap::from([(name(1), 60), (name(2), 60)]);
    let mut meter = Meter::new((100, 0), NOW, held, Sent::default());
    assert!(meter.is_overdrawn());
    assert_eq!(meter.reserve(1), Err(Refusal::Full));
    meter.remove(&name(1));
    assert_eq!((meter.is_overdrawn(), meter.kept(), meter.objects()), (false, 60, 1));
    assert_eq!(meter.after(name(0)).collect::<Vec<_>>(), [(name(2), 60)]);
    assert_eq!(meter.after(name(2)).count(), 0);
}

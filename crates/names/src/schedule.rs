//! Hours of the week in which something else holds. Whoever asks says what time it is there.

use freehold_wire::Millis;

const DAY: u16 = 24 * 60;
const WEEK: u32 = 7 * 24 * 60;

/// A moment, and what the clocks on the wall say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Since 1970.
    pub now: Millis,
    /// Monday is zero.
    pub weekday: u8,
    /// Of the day.
    pub minute: u16,
}

impl LocalTime {
    /// Where clocks are ahead of UTC by so many minutes.
    pub fn at(now: Millis, ahead: i32) -> Self {
        let minutes = i64::try_from(now.0 / 60_000).unwrap_or(i64::MAX / 2) + i64::from(ahead);
        let (day, minute) = (minutes.div_euclid(i64::from(DAY)), minutes.rem_euclid(i64::from(DAY)));
        // The first day of 1970 was a Thursday.
        let weekday = u8::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        Self { now, weekday, minute: u16::try_from(minute).unwrap_or(0) }
    }
}

/// What holds within the hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// These lists count as well, one bit each.
    Lists(u32),
    /// Nothing is answered but what is allowed by name.
    Nothing,
}

/// Hours on days of the week. Hours that do not end after they begin go on into the next day, and
/// belong to the one on which they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// One bit each, Monday the lowest.
    pub days: u8,
    /// The first minute of the day.
    pub from: u16,
    /// The first minute after.
    pub to: u16,
    /// What holds.
    pub what: Within,
}

impl Schedule {
    /// Whether it is time.
    pub fn holds(&self, at: LocalTime) -> bool {
        self.holds_at(at.weekday % 7, at.minute)
    }

    fn holds_at(&self, weekday: u8, minute: u16) -> bool {
        let on = |day: u8| self.days & (1 << (day % 7)) != 0;
        let (from, to) = (self.from.min(DAY), self.to.min(DAY));
        if from < to {
            return on(weekday) && (from..to).contains(&minute);
        }
        (on(weekday) && minute >= from) || (on(weekday + 6) && minute < to)
    }

    /// In how many minutes that changes; never, perhaps.
    pub fn changes_in(&self, at: LocalTime) -> Option<u32> {
        let now = u32::from(at.weekday % 7) * u32::from(DAY) + u32::from(at.minute.min(DAY - 1));
        let holds = self.holds(at);
        let edges = (0..7)
            .flat_map(|day| [self.from, self.to].map(|edge| day * u32::from(DAY) + u32::from(edge.min(DAY))));
        let waits = edges.map(|edge| (edge + WEEK - now) % WEEK).filter(|wait| *wait > 0);
        let changed = |wait: &u32| {
            let then = (now + wait) % WEEK;
            let weekday = u8::try_from(then / u32::from(DAY)).unwrap_or(0);
            let minute = u16::try_from(then % u32::from(DAY)).unwrap_or(0);
            self.holds_at(weekday, minute) != holds
        };
        waits.filter(changed).min()
    }
}

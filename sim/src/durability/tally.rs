//! What is counted.

use super::Rule;

/// What became of the households under one rule; tallies of several worlds add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Households.
    pub households: u32,
    /// Of these, such as lost an object.
    pub losers: u32,
    /// Objects.
    pub objects: u64,
    /// Of these, such as are lost.
    pub lost: u64,
    /// Days on which a household was there, times its objects.
    pub object_days: u64,
    /// Of these, such on which the object was not lost and could not be read.
    pub unreadable: u64,
    /// What lies everywhere at the end, of households that are still there, in twelfths of an object.
    pub room: u64,
    /// Objects of these.
    pub still: u64,
    /// What was copied again, in twelfths of an object.
    pub copied: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            households: self.households + other.households,
            losers: self.losers + other.losers,
            objects: self.objects + other.objects,
            lost: self.lost + other.lost,
            object_days: self.object_days + other.object_days,
            unreadable: self.unreadable + other.unreadable,
            room: self.room + other.room,
            still: self.still + other.still,
            copied: self.copied + other.copied,
        }
    }

    /// The interval in which the share of households that lose something lies with 95% (Wilson, 1927), taking
    /// households for independent of each other.
    pub fn interval(&self) -> (f64, f64) {
        const Z: f64 = 1.96;
        let n = f64::from(self.households.max(1));
        let share = f64::from(self.losers) / n;
        let middle = share + Z * Z / (2.0 * n);
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + Z * Z / n;
        (((middle - half) / whole).max(0.0), (middle + half) / whole)
    }

    /// The share of households that lost something, with its interval, in hundredths.
    pub fn losers_told(&self) -> String {
        let (low, high) = self.interval();
        let share = f64::from(self.losers) / f64::from(self.households.max(1));
        format!("{:.2}% ({:.2} to {:.2})", share * 100.0, low * 100.0, high * 100.0)
    }

    /// A row: rule, room in times of what there is, households that lost something, objects lost of a
    /// million, objects not readable by days a year, and how often all that there is was copied again in a year.
    pub fn row(&self, rule: &Rule, days: u32) -> String {
        let hundredths = |part: u64, whole: u64| {
            let n = (part * 100).checked_div(whole).unwrap_or(0);
            format!("{}.{:02}", n / 100, n % 100)
        };
        format!(
            "| {} | {} | {} | {} | {} | {} |",
            rule.name,
            hundredths(self.room, self.still * 12),
            self.losers_told(),
            (self.lost * 1_000_000).checked_div(self.objects).unwrap_or(0),
            hundredths(self.unreadable * 365, self.object_days),
            hundredths(self.copied * 365, self.objects * 12 * u64::from(days)),
        )
    }
}

//! When a silent node becomes people's business: a copy on a machine that is gone is none, and only
//! people can say that it will not come back.

use freehold_wire::Millis;

/// How long a node may be silent before it is an alarm: a night and a working day.
pub const SILENCE_MAX: Millis = Millis::from_hours(24);

/// How long a node has been silent, if that is for too long. One that was never `heard` counts from
/// when it was first `known` here.
pub fn silent(heard: Option<Millis>, known: Millis, now: Millis) -> Option<Millis> {
    let silence = now.since(heard.unwrap_or(known));
    (silence >= SILENCE_MAX).then_some(silence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_silence_is_too_long() {
        let at = Millis::from_hours;
        assert_eq!(silent(Some(at(100)), at(1), at(123)), None);
        assert_eq!(silent(Some(at(100)), at(1), at(124)), Some(at(24)));
        assert_eq!(silent(None, at(100), at(172)), Some(at(72)));
        assert_eq!(silent(None, at(100), at(101)), None);
        assert_eq!(silent(Some(at(100)), at(1), at(3)), None, "a clock that jumped back");
    }
}

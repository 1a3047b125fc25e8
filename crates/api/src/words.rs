//! Numbers as people say them, the same in the console, the command line and what a node reports.
//! Sizes are in powers of ten, as disks are sold.

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What a node says of its tunnel that has no network device, before why.
pub const IN_USER_SPACE: &str = "packets are carried in user space";

/// `1 object`, `3 objects`, `12,345 copies`.
pub fn count(n: u64, one: &str) -> String {
    if n == 1 {
        return format!("1 {one}");
    }
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{} {stem}ies", thousands(n)),
        _ => format!("{} {one}s", thousands(n)),
    }
}

/// `12,345`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.4 MB`.
pub fn bytes(n: u64) -> String {
    let mut unit = 1u64;
    let mut name = "bytes";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if n / unit < 1000 {
            break;
        }
        unit *= 1000;
        name = next;
    }
    let whole = n / unit;
    let tenth = n % unit * 10 / unit;
    match (name, n) {
        ("bytes", 1) => "1 byte".to_owned(),
        ("bytes", _) => format!("{n} bytes"),
        _ if whole < 10 && tenth > 0 => format!("{whole}.{tenth} {name}"),
        _ => format!("{whole} {name}"),
    }
}

/// `3 hours`.
pub fn span(ms: u64) -> String {
    match ms {
        0..1000 => "a moment".to_owned(),
        1000..MINUTE_MS => count(ms / 1000, "second"),
        MINUTE_MS..HOUR_MS => count(ms / MINUTE_MS, "minute"),
        HOUR_MS..DAY_MS => count(ms / HOUR_MS, "hour"),
        _ if ms < 60 * DAY_MS => count(ms / DAY_MS, "day"),
        _ if ms < 730 * DAY_MS => count(ms / (30 * DAY_MS), "month"),
        _ => count(ms / (365 * DAY_MS), "year"),
    }
}

/// `2026-11-22 02:35 UTC`, of milliseconds since 1970.
pub fn date(ms: u64) -> String {
    let date =
        i64::try_from(ms / 1000).ok().and_then(|at| time::OffsetDateTime::from_unix_timestamp(at).ok());
    date.map_or_else(
        || "an unknown date".to_owned(),
        |at| {
            let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
            format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", at.hour(), at.minute())
        },
    )
}

/// A word as it is to be typed, so that a shell reads it as one: quoted where that is needed.
pub fn typed(word: &str) -> std::borrow::Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// `waits` for one, `wait` for more.
pub fn verb(n: u64, of_one: &'static str, of_more: &'static str) -> &'static str {
    if n == 1 { of_one } else { of_more }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_that_sorts() {
        assert_eq!(date(1_795_314_925_000), "2026-11-22 02:35 UTC");
        assert_eq!((date(0).as_str(), date(u64::MAX).as_str()), ("1970-01-01 00:00 UTC", "an unknown date"));
    }

    #[test]
    fn what_is_typed_again_stays_one_word() {
        for (word, shown) in [
            ("nas", "nas"),
            ("2026/a_b.jpg", "2026/a_b.jpg"),
            ("Zoë", "Zoë"),
            ("ann smith", "'ann smith'"),
            ("Zoë's $HOME", r"'Zoë'\''s $HOME'"),
            ("a;b", "'a;b'"),
            ("", "''"),
        ] {
            assert_eq!(typed(word), shown);
        }
    }

    #[test]
    fn sizes_are_in_powers_of_ten() {
        assert_eq!(
            [0, 1, 999, 1000, 1_400_000, 15_000_000].map(bytes),
            ["0 bytes", "1 byte", "999 bytes", "1 kB", "1.4 MB", "15 MB"]
        );
        assert_eq!(bytes(u64::MAX), "18446 PB");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(
            [1, 2, 1_234_567].map(|n| count(n, "object")),
            ["1 object", "2 objects", "1,234,567 objects"]
        );
        assert_eq!(["copy", "entry", "day"].map(|word| count(2, word)), ["2 copies", "2 entries", "2 days"]);
    }

    #[test]
    fn spans_have_one_unit() {
        let spans = [0, 1000, 59_000, MINUTE_MS, 3 * HOUR_MS, DAY_MS, 61 * DAY_MS, 800 * DAY_MS];
        let said =
            ["a moment", "1 second", "59 seconds", "1 minute", "3 hours", "1 day", "2 months", "2 years"];
        assert_eq!(spans.map(span), said);
    }
}

//! What people type about names, and how it is shown to them.

use std::net::IpAddr;

use freehold_names::{Data, Domain, Shape};

/// In the order of the bits.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAILY: &str = "daily";
/// All of them.
const WEEK: u8 = 0x7f;

/// `mon-fri`, `sat,sun`, `daily`: one bit each.
pub(crate) fn days(text: &str) -> Option<u8> {
    if text == DAILY {
        return Some(WEEK);
    }
    let day = |text: &str| DAYS.iter().position(|day| *day == text);
    let mut all = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        loop {
            all |= 1 << at;
            if at == last {
                break;
            }
            at = (at + 1) % DAYS.len();
        }
    }
    Some(all)
}

/// The same, back.
pub(crate) fn days_shown(bits: u8) -> String {
    if bits & WEEK == WEEK {
        return DAILY.to_owned();
    }
    let has = |day: usize| bits & (1 << day) != 0;
    let mut parts = Vec::new();
    let mut at = 0;
    while at < DAYS.len() {
        let first = at;
        while at < DAYS.len() && has(at) {
            at += 1;
        }
        let (from, to) =
            (DAYS.get(first).copied().unwrap_or(""), DAYS.get(at.max(1) - 1).copied().unwrap_or(""));
        match at - first {
            0 => at += 1,
            1 => parts.push(from.to_owned()),
            2 => parts.extend([from.to_owned(), to.to_owned()]),
            _ => parts.push(format!("{from}-{to}")),
        }
    }
    parts.join(",")
}

/// `21:00`, or `24:00` at the end of a day: the minute.
pub(crate) fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let whole = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && whole <= 24 * 60).then_some(whole)
}

/// The same, back.
pub(crate) fn minute_shown(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// A name with all below it, or, after `=`, that name alone; `*.` before it changes nothing.
pub(crate) fn rule(text: &str) -> Option<(Shape, Domain)> {
    let (shape, name) = match text.strip_prefix('=') {
        Some(name) => (Shape::Exact, name),
        None => (Shape::Under, text.strip_prefix("*.").unwrap_or(text)),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let name: Domain = name.parse().ok().filter(|_| name.bytes().all(plain))?;
    (name.depth() > 0).then_some((shape, name))
}

/// The same, as it is kept.
pub(crate) fn rule_shown((shape, name): &(Shape, Domain)) -> String {
    if *shape == Shape::Exact { format!("={name}") } else { name.to_string() }
}

/// An address, or type and data as in a zone file.
pub(crate) fn data(text: &str) -> Option<Data> {
    let text = text.trim();
    if let Ok(at) = text.parse::<IpAddr>() {
        return Some(match at {
            IpAddr::V4(at) => Data::V4(at),
            IpAddr::V6(at) => Data::V6(at),
        });
    }
    let (kind, rest) = text.split_once(' ')?;
    let (rest, words) = (rest.trim(), rest.split_ascii_whitespace().collect::<Vec<_>>());
    Some(match (kind.to_ascii_uppercase().as_str(), words.as_slice()) {
        ("A", [at]) => Data::V4(at.parse().ok()?),
        ("AAAA", [at]) => Data::V6(at.parse().ok()?),
        ("CNAME", [name]) => Data::Alias(name.parse().ok()?),
        ("PTR", [name]) => Data::Pointer(name.parse().ok()?),
        ("TXT", _) => Data::Text(rest.trim_matches('"').to_owned()),
        ("MX", [preference, host]) => {
            Data::Mail { preference: preference.parse().ok()?, host: host.parse().ok()? }
        }
        ("SRV", [priority, weight, port, target]) => Data::Service {
            priority: priority.parse().ok()?,
            weight: weight.parse().ok()?,
            port: port.parse().ok()?,
            target: target.parse().ok()?,
        },
        _ => return None,
    })
}

/// The same, back.
pub(crate) fn data_shown(data: &Data) -> String {
    match data {
        Data::V4(at) => format!("A {at}"),
        Data::V6(at) => format!("AAAA {at}"),
        Data::Alias(name) => format!("CNAME {name}"),
        Data::Pointer(name) => format!("PTR {name}"),
        Data::Text(text) => format!("TXT \"{text}\""),
        Data::Mail { preference, host } => format!("MX {preference} {host}"),
        Data::Service { priority, weight, port, target } => {
            format!("SRV {priority} {weight} {port} {target}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_are_read_as_people_write_them() {
        assert_eq!(days("mon-fri"), Some(0x1f));
        assert_eq!(days("sat,sun"), Some(0x60));
        assert_eq!(days("sat-mon"), Some(0x61));
        assert_eq!(days("daily"), Some(0x7f));
        assert_eq!((days("monday"), days(""), days("fri-")), (None, None, None));
        assert_eq!(days_shown(0x1f), "mon-fri");
        assert_eq!(days_shown(0x60), "sat,sun");
        assert_eq!(days_shown(0x55), "mon,wed,fri,sun");
        assert_eq!((minute("21:00"), minute("00:05"), minute("24:00")), (Some(1260), Some(5), Some(1440)));
        assert_eq!((minute("24:01"), minute("7"), minute("7:60")), (None, None, None));
    }

    #[test]
    fn records_are_what_they_say() {
        for (typed, shown) in [
            ("192.168.1.9", "A 192.168.1.9"),
            ("fd00::9", "AAAA fd00::9"),
            ("cname nas.smith.internal", "CNAME nas.smith.internal"),
            ("TXT \"a b\"", "TXT \"a b\""),
            ("MX 10 mail.example", "MX 10 mail.example"),
            ("SRV 0 5 5060 sip.example", "SRV 0 5 5060 sip.example"),
        ] {
            let data = data(typed).unwrap_or_else(|| panic!("{typed}"));
            assert_eq!(data_shown(&data), shown);
        }
        assert!(["nas", "A 1.2.3", "MX mail", "LOC here"].iter().all(|bad| data(bad).is_none()));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_typed(bits in 1u8..0x80, at in 0u16..=1440) {
            prop_assert_eq!(days(&days_shown(bits)), Some(bits));
            prop_assert_eq!(minute(&minute_shown(at)), Some(at));
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,60}") {
            if let Some(read) = rule(&text) {
                prop_assert_eq!(rule(&rule_shown(&read)), Some(read));
            }
            if let Some(read) = data(&text) {
                prop_assert!(!data_shown(&read).is_empty());
            }
            days(&text);
            minute(&text);
        }
    }
}

//! What is kept, and what may be.

use freehold_api::{Client, Problem, QuotaSetting, QuotaWhose, UsageStatus, words};

use crate::args::{QuotaSetArgs, WhoseArgs};
use crate::ask::show;
use crate::terminal::Terminal;

/// What lifts a bound.
const NONE: &str = "none";

/// A number of bytes with a unit; none if it is no such.
pub(crate) fn size(typed: &str) -> Option<u64> {
    let typed = typed.trim();
    let (number, unit) = typed.split_at(typed.find(|c: char| !c.is_ascii_digit()).unwrap_or(typed.len()));
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

pub(crate) async fn usage(terminal: Terminal, client: &Client) -> Result<(), Problem> {
    let all = client.usage().await?;
    show(terminal, &all, |all| lines(all))
}

pub(crate) async fn set(terminal: Terminal, client: &Client, set: QuotaSetArgs) -> Result<(), Problem> {
    let QuotaSetArgs { size: text, whose } = set;
    let WhoseArgs { realm: _, person, service, bucket, database } = whose;
    let bytes = if text == NONE { None } else { size(&text) };
    if bytes.is_none() && text != NONE {
        return Err(Problem::invalid(
            format!("{text:?} is no size"),
            if is_zero(&text) {
                "with a quota of 0 every write would be refused, and nothing else would change"
            } else {
                "a quota is a number of bytes with a unit"
            },
            Some("such as 500GB or 2TiB; none lifts the bound"),
        ));
    }
    let of = (person.map(QuotaWhose::Person))
        .or(service.map(QuotaWhose::Service))
        .or(bucket.map(QuotaWhose::Bucket))
        .or(database.map(QuotaWhose::Database))
        .unwrap_or(QuotaWhose::Realm);
    let all = client.set_quota(&QuotaSetting { of, bytes }).await?;
    show(terminal, &all, |all| lines(all))?;
    for full in all.iter().filter(|usage| bytes.is_some() && usage.limit == bytes) {
        if let Some(warning) = warning(full) {
            terminal.say(warning);
        }
    }
    Ok(())
}

fn is_zero(typed: &str) -> bool {
    let number = typed.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    number.parse() == Ok(0u64)
}

/// What a bound means that is there already.
fn warning(usage: &UsageStatus) -> Option<String> {
    let most = usage.limit.filter(|most| usage.used >= *most)?;
    Some(format!(
        "Note: {} are kept already, and the quota is {}. Nothing is deleted for that; no write is taken in until \
         {} of it are deleted and erased, a day later.",
        words::bytes(usage.used),
        words::bytes(most),
        words::bytes(usage.used.saturating_sub(most).max(1)),
    ))
}

fn lines(all: &[UsageStatus]) -> String {
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `  bucket photos      12 MB of 50 GB`.
fn line(usage: &UsageStatus) -> String {
    let what = match usage.of {
        QuotaWhose::Realm => "realm",
        QuotaWhose::Person(_) => "member",
        QuotaWhose::Service(_) => "service",
        QuotaWhose::Bucket(_) => "bucket",
        QuotaWhose::Database(_) => "database",
    };
    let used = words::bytes(usage.used);
    let most = usage.limit.map_or(String::new(), |most| format!(" of {}", words::bytes(most)));
    let full = if usage.limit.is_some_and(|most| usage.used >= most) { ": used up" } else { "" };
    format!("  {what:<8} {:<16} {used}{most}{full}", usage.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_keeps_what_and_may() {
        let usage = |of, limit| UsageStatus { of, name: "ann".to_owned(), id: None, limit, used: 1_500_000 };
        let said = [
            line(&usage(QuotaWhose::Realm, None)),
            line(&usage(QuotaWhose::Person("ann".to_owned()), Some(3_000_000))),
            line(&usage(QuotaWhose::Database("ann".to_owned()), Some(1_000_000))),
        ];
        let expected = [
            "  realm    ann              1.5 MB",
            "  member   ann              1.5 MB of 3 MB",
            "  database ann              1.5 MB of 1 MB: used up",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_quota_below_what_is_kept_is_told_with_figures() {
        let usage = |used| UsageStatus {
            of: QuotaWhose::Realm,
            name: "smith".to_owned(),
            id: None,
            limit: Some(1_000_000),
            used,
        };
        assert_eq!(warning(&usage(999_999)), None);
        let told = warning(&usage(3_500_000)).unwrap();
        assert!(told.contains("3.5 MB are kept already") && told.contains("until 2.5 MB of it"), "{told}");
        for (text, zero) in [("0", true), ("0GB", true), ("0 kB", true), ("10", false), ("GB", false)] {
            assert_eq!(is_zero(text), zero, "{text}");
        }
    }

    #[test]
    fn a_size_has_a_unit_that_people_know() {
        for (text, bytes) in [("50GiB", 50 << 30), ("500 GB", 500_000_000_000), ("7", 7)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "0", "much", "5XB", "-1", "99999999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}

//! Access keys: made, shown once, listed, revoked.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use freehold_api::{Client, KeyRight, KeyStatus, MadeKey, NewKey, Problem, words};
use zeroize::Zeroizing;

use crate::args::{KeyCommand, NewKeyArgs};
use crate::ask::show;
use crate::terminal::Terminal;

const HOUR_MS: u64 = 3_600_000;
/// So that what ends in 30 days is not told to end in 29 at once.
const MINUTE_MS: u64 = 60_000;
const NOT_MADE: &str = "no access key was made";

pub(crate) async fn key(terminal: Terminal, client: &Client, command: KeyCommand) -> Result<(), Problem> {
    match command {
        KeyCommand::Create(wish) => create(terminal, client, wish).await,
        KeyCommand::List => {
            let keys = client.keys().await?;
            show(terminal, &keys, |keys| {
                if keys.is_empty() {
                    return "  none but the realm owner's, in s3-credentials: freehold key create".to_owned();
                }
                keys.iter().map(line).collect::<Vec<_>>().join("\n")
            })
        }
        KeyCommand::Revoke { id } => {
            client.revoke_key(&id).await?;
            terminal.done(true, format!("The access key {id} is refused from now on."));
            Ok(())
        }
    }
}

async fn create(terminal: Terminal, client: &Client, wish: NewKeyArgs) -> Result<(), Problem> {
    let NewKeyArgs { person, service, buckets, prefix, allow, until, out } = wish;
    let allow = allow.iter().map(|right| right.parse()).collect::<Result<Vec<KeyRight>, Problem>>()?;
    let wrong = |text: &str| {
        Problem::invalid(
            NOT_MADE,
            format!("{text:?} is no end"),
            Some("freehold key create --until 30d    (or 12h, 8w, 2027-01-31)"),
        )
    };
    let until_ms =
        until.as_deref().map(|until| end(until, now_ms()).ok_or_else(|| wrong(until))).transpose()?;
    // Made before the key is: one whose secret cannot be written would be of no use to anybody.
    let file = out.as_deref().map(private_file).transpose()?;
    let new = NewKey { person, service, buckets, prefix: prefix.unwrap_or_default(), allow, until_ms };
    let made = match client.create_key(&new).await {
        Ok(made) => made,
        Err(problem) => {
            if let Some(out) = &out {
                // Nothing is in it; the first problem is the one to report.
                drop(std::fs::remove_file(out));
            }
            return Err(problem);
        }
    };
    let endpoint = client.status().await?.endpoints.s3;
    let text = credentials(&made, endpoint.as_deref());
    if let (Some(mut file), Some(out)) = (file, &out) {
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| not_written(out, &e))?;
        return show(terminal, &made.key, |key| {
            format!("{}\n  its secret is in {}", line(key), out.display())
        });
    }
    show(terminal, &made, |_| text.trim_end().to_owned())
}

/// As S3 clients read it.
fn credentials(made: &MadeKey, endpoint: Option<&str>) -> Zeroizing<String> {
    let endpoint = endpoint.map(|at| format!("endpoint_url = {at}\n")).unwrap_or_default();
    Zeroizing::new(format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = freehold\n{endpoint}",
        made.key.id, made.secret
    ))
}

pub(crate) fn private_file(out: &Path) -> Result<std::fs::File, Problem> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(out).map_err(|e| not_written(out, &e))
}

pub(crate) fn not_written(out: &Path, error: &std::io::Error) -> Problem {
    let why = match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            "it is there already, and what is in it may be needed".to_owned()
        }
        _ => error.to_string(),
    };
    Problem::refused(format!("cannot write {}", out.display()), why, Some("name another file: --out FILE"))
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// When something ends: `12h`, `30d` and `8w` from now, or a day (`2027-01-31`, at midnight UTC).
pub(crate) fn end(text: &str, now_ms: u64) -> Option<u64> {
    let span = [("h", 1), ("d", 24), ("w", 7 * 24)].into_iter().find_map(|(unit, hours)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(hours * HOUR_MS)?.checked_add(now_ms)
    });
    span.or_else(|| midnight(text))
}

/// The beginning of a day, in milliseconds since 1970.
fn midnight(text: &str) -> Option<u64> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let sound = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // Years begin in March, so that the leap day is the last.
    let shifted = if month <= 2 { year.checked_sub(1)? } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days =
        (shifted * 365 + shifted / 4 + shifted / 400 + of_year).checked_sub(shifted / 100 + 719_468)?;
    sound.then_some(days * 24 * HOUR_MS)
}

/// A key in a line.
fn line(key: &KeyStatus) -> String {
    let allow: Vec<&str> = key.allow.iter().map(|right| right.as_str()).collect();
    let buckets =
        if key.buckets.is_empty() { "every bucket of its own".to_owned() } else { key.buckets.join(", ") };
    let prefix =
        if key.prefix.is_empty() { String::new() } else { format!(", what begins with {}", key.prefix) };
    let now = now_ms();
    let end = match (&key.refused, key.until_ms) {
        (Some(why), _) => format!("; REFUSED: {why}"),
        (None, Some(until)) => {
            format!("; ends in {}", words::span(until.saturating_sub(now).saturating_add(MINUTE_MS)))
        }
        (None, None) => String::new(),
    };
    let who = shorter(&key.principal);
    format!("  {}  {who:<20} {}: {buckets}{prefix}{end}", key.id, allow.join(", "))
}

/// A principal's id with a person's 64 digits cut to eight.
fn shorter(principal: &str) -> String {
    match principal.split_once('/') {
        Some((account, name)) if account.len() == 64 => {
            format!("{}/{name}", account.get(..8).unwrap_or(account))
        }
        None if principal.len() == 64 => principal.get(..8).unwrap_or(principal).to_owned(),
        _ => principal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_spans_or_days() {
        for (text, expected) in [
            ("12h", Some(1000 + 12 * HOUR_MS)),
            ("30d", Some(1000 + 30 * 24 * HOUR_MS)),
            ("1w", Some(1000 + 7 * 24 * HOUR_MS)),
            ("2000-03-01", Some(951_868_800_000)),
            ("2027-01-31", Some(1_801_353_600_000)),
            ("1970-01-01", Some(0)),
            ("2027-13-01", None),
            ("soon", None),
            ("99999999999999999999d", None),
            ("d", None),
        ] {
            assert_eq!(end(text, 1000), expected, "{text}");
        }
    }

    #[test]
    fn a_key_is_told_in_a_line() {
        let mut key = KeyStatus {
            id: "FHABC".to_owned(),
            principal: format!("{}/backup", "ab".repeat(32)),
            buckets: vec!["photos".to_owned()],
            prefix: "2026/".to_owned(),
            allow: vec![KeyRight::Read, KeyRight::List],
            made_ms: 0,
            until_ms: None,
            refused: None,
        };
        let said = line(&key);
        assert_eq!(said, "  FHABC  abababab/backup      read, list: photos, what begins with 2026/");
        key.refused = Some("its person is suspended".to_owned());
        assert!(line(&key).ends_with("REFUSED: its person is suspended"));
    }
}

//! What `tor` says at its control socket, line by line (Tor's control-spec, version 1).

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// More of an answer comes.
    Part(Word),
    /// The end of an answer: it was done.
    Done,
    /// The end of an answer: it was not.
    Refused(String),
    /// Something happened.
    Event(Word),
    /// Nothing of use.
    Other,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// How far it is on its way into the network, and what is in the way.
    Way { percent: u8, warning: Option<String> },
    /// The clock is wrong by so many seconds, as far as others say.
    Clock { seconds: u64 },
    /// The service was announced at a directory.
    Announced,
    /// Whether the network is reached.
    Reached(bool),
    /// Nothing of use.
    Nothing,
}

/// The longest thing that is shown of what `tor` says.
const SHOWN: usize = 200;

/// A text of `tor`'s for people.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// Reads a line.
pub(crate) fn line(line: &str) -> Said {
    let (Some(code), Some(sign), Some(rest)) = (line.get(..3), line.get(3..4), line.get(4..)) else {
        return Said::Other;
    };
    match (code, sign) {
        ("650", " ") => Said::Event(event(rest)),
        ("250", "-") => Said::Part(part(rest)),
        ("250", " ") => Said::Done,
        (code, " ") if code.starts_with(['4', '5']) => Said::Refused(shown(rest)),
        _ => Said::Other,
    }
}

fn part(rest: &str) -> Word {
    rest.strip_prefix("status/bootstrap-phase=").map_or(Word::Nothing, status)
}

fn event(rest: &str) -> Word {
    let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match kind {
        "STATUS_CLIENT" | "STATUS_GENERAL" => status(rest),
        "HS_DESC" if rest.split(' ').next() == Some("UPLOADED") => Word::Announced,
        "NETWORK_LIVENESS" => match rest.trim_end() {
            "UP" => Word::Reached(true),
            "DOWN" => Word::Reached(false),
            _ => Word::Nothing,
        },
        _ => Word::Nothing,
    }
}

/// Severity, action, and arguments.
fn status(rest: &str) -> Word {
    let mut words = rest.splitn(3, ' ');
    let (severity, action, arguments) = (words.next(), words.next(), words.next().unwrap_or_default());
    match action {
        Some("BOOTSTRAP") => {
            let Some(percent) = value(arguments, "PROGRESS").and_then(|value| value.parse().ok()) else {
                return Word::Nothing;
            };
            let warning = value(arguments, "WARNING").filter(|_| severity != Some("NOTICE"));
            Word::Way { percent: u8::min(percent, 100), warning: warning.map(|warning| shown(&warning)) }
        }
        Some("CLOCK_SKEW") => {
            let seconds = value(arguments, "SKEW").and_then(|value| value.parse::<i64>().ok());
            seconds.map_or(Word::Nothing, |seconds| Word::Clock { seconds: seconds.unsigned_abs() })
        }
        _ => Word::Nothing,
    }
}

/// The value of `KEY=value` or `KEY="value"`.
fn value(arguments: &str, key: &str) -> Option<String> {
    let mut rest = arguments;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = if let Some(after) = after.strip_prefix('"') {
            in_quotes(after)?
        } else {
            let (value, after) = after.split_once(' ').unwrap_or((after, ""));
            (value.to_owned(), after)
        };
        if name.trim() == key {
            return Some(value);
        }
        rest = after;
    }
}

/// Up to the closing quote; a backslash takes the sense of what follows.
fn in_quotes(text: &str) -> Option<(String, &str)> {
    let (mut out, mut is_plain) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_plain => {
                out.push(c);
                is_plain = false;
            }
            '\\' => is_plain = true,
            '"' => return Some((out, text.get(at.saturating_add(1)..).unwrap_or_default())),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_tor_says_is_read() {
        let way = |percent, warning: Option<&str>| Word::Way { percent, warning: warning.map(str::to_owned) };
        let read = [
            ("250 OK", Said::Done),
            (
                "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=45 TAG=requesting_descriptors SUMMARY=\"Asking for relay descriptors\"",
                Said::Part(way(45, None)),
            ),
            (
                "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"",
                Said::Event(way(100, None)),
            ),
            (
                "650 STATUS_CLIENT WARN BOOTSTRAP PROGRESS=10 TAG=conn_done SUMMARY=\"Connected \\\"to\\\" a relay\" WARNING=\"Connection refused\" REASON=CONNECTREFUSED COUNT=10",
                Said::Event(way(10, Some("Connection refused"))),
            ),
            (
                "650 STATUS_GENERAL WARN CLOCK_SKEW SKEW=-7200 SOURCE=DIRSERV:192.0.2.1:80",
                Said::Event(Word::Clock { seconds: 7200 }),
            ),
            ("650 HS_DESC UPLOADED 2gzyxa5ihm7n UNKNOWN $AB~relay", Said::Event(Word::Announced)),
            (
                "650 HS_DESC FAILED 2gzyxa5ihm7n UNKNOWN $AB~relay REASON=UPLOAD_REJECTED",
                Said::Event(Word::Nothing),
            ),
            ("650 NETWORK_LIVENESS DOWN", Said::Event(Word::Reached(false))),
            ("650 NETWORK_LIVENESS UP", Said::Event(Word::Reached(true))),
            (
                "515 Authentication failed: \u{7}wrong",
                Said::Refused("Authentication failed: wrong".to_owned()),
            ),
            ("650-CIRC", Said::Other),
            ("", Said::Other),
            ("25\u{e4}", Said::Other),
        ];
        for (text, said) in read {
            assert_eq!(line(text), said, "{text}");
        }
    }

    #[test]
    fn a_value_in_another_ones_quotes_is_none() {
        assert_eq!(value("SUMMARY=\"x PROGRESS=100\" PROGRESS=5", "PROGRESS").as_deref(), Some("5"));
        assert_eq!(value("SUMMARY=\"never ends PROGRESS=5", "PROGRESS"), None);
        assert_eq!(line("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=1000"), Said::Event(Word::Nothing));
    }

    proptest! {
        #[test]
        fn any_line_is_read(text: String, code in "[0-9]{3}[ +-]", kind in "(STATUS_CLIENT [A-Z]{0,5} (BOOTSTRAP|CLOCK_SKEW)|HS_DESC|NETWORK_LIVENESS) ") {
            for text in [text.clone(), format!("{code}{text}"), format!("650 {kind}{text}"), format!("650 {kind}PROGRESS={text}")] {
                match line(&text) {
                    Said::Event(Word::Way { percent, warning }) | Said::Part(Word::Way { percent, warning }) => {
                        prop_assert!(percent <= 100);
                        prop_assert!(warning.is_none_or(|warning| warning.chars().count() <= SHOWN));
                    }
                    Said::Refused(why) => prop_assert!(why.chars().all(|c| !c.is_control())),
                    _ => {}
                }
            }
        }
    }
}

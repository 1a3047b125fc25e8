//! Whether the way out of this machine costs by the byte, as NetworkManager says it of the connection that leads there; where
//! there is none, it does not. <https://networkmanager.dev/docs/api/latest/nm-dbus-types.html#NMMetered>

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

/// It is asked no more often than that, and only where a backup leaves this machine.
const ASK_EVERY: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_secs(5);
/// It is asked and never started.
const QUESTION: [&str; 8] = [
    "--system",
    "--auto-start=no",
    "--timeout=3",
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
];

/// What was said of it last.
#[derive(Debug, Default)]
pub(super) struct Network(Option<(Instant, bool)>);

impl Network {
    /// Whether it costs by the byte, where something leaves this machine; what was said lately still holds.
    pub(super) async fn is_metered(&mut self, leaves: bool) -> bool {
        if !leaves {
            self.0 = None;
            return false;
        }
        if let Some((_, said)) = self.0.filter(|(at, _)| at.elapsed() < ASK_EVERY) {
            return said;
        }
        let said = is_metered().await;
        self.0 = Some((Instant::now(), said));
        said
    }
}

async fn is_metered() -> bool {
    let mut command = Command::new("busctl");
    command.args(QUESTION).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(WITHIN, command.output()).await {
        Ok(Ok(answer)) => answer.status.success() && says_so(&String::from_utf8_lossy(&answer.stdout)),
        _ => false,
    }
}

/// Yes, or a guess that it is.
fn says_so(answer: &str) -> bool {
    matches!(answer.trim(), "u 1" | "u 3")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_and_a_guess_at_it_count() {
        for (answer, expected) in [
            ("u 0\n", false),
            ("u 1\n", true),
            ("u 2\n", false),
            ("u 3\n", true),
            ("u 4\n", false),
            ("u 11\n", false),
            ("", false),
        ] {
            assert_eq!(says_so(answer), expected, "{answer:?}");
        }
    }
}

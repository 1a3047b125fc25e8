//! Whether the way out of this machine costs by the byte, as NetworkManager says it of the connection that leads there; where
//! there is none, it does not. <https://networkmanager.dev/docs/api/latest/nm-dbus-types.html#NMMetered>

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use crate::shared::Shared;
use crate::supervisor::Plane;

/// How often it is asked, where a backup leaves this machine.
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

/// Asks for as long as the plane is up.
pub(super) async fn watch(shared: Arc<Shared>, plane: Plane) {
    let backups = &shared.backups_of_files;
    loop {
        let asked = async {
            let plan = backups.plan();
            let leaves = plan.pairs().any(|((_, target), _)| plan.leaves(&target));
            backups.says_metered(leaves && is_metered().await);
        };
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = asked => {}
        }
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
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

//! The parts of the node: what each says of itself, and what of it is worth a line.

use freehold_api::{Finding, Level, PlaneState, PlaneStatus};

use super::found;
use crate::shared::Shared;
use crate::supervisor::Health;

/// All of them, in the order in which they start.
pub(super) fn planes(shared: &Shared) -> Vec<PlaneStatus> {
    let Some(board) = shared.board.get() else { return Vec::new() };
    board.read().into_iter().map(|(name, health)| said(name, health)).collect()
}

fn said(name: &str, health: Health) -> PlaneStatus {
    let (state, detail) = match health {
        Health::Starting => (PlaneState::Starting, String::new()),
        Health::Up(detail) => (PlaneState::Running, detail),
        Health::Degraded(detail) => (PlaneState::Degraded, detail),
        Health::Idle(detail) => (PlaneState::Idle, detail),
        Health::Off(detail) => (PlaneState::Off, detail),
        Health::Failed(detail) => (PlaneState::Stopped, detail),
    };
    PlaneStatus { name: name.to_owned(), state, detail }
}

/// What the doctor says of one: nothing of what nobody has asked for, nor of what has not begun yet.
pub(super) fn told(plane: PlaneStatus) -> Option<Finding> {
    let PlaneStatus { name, state, detail } = plane;
    match state {
        PlaneState::Starting | PlaneState::Idle => None,
        PlaneState::Running => Some(found(Level::Good, name, detail, None)),
        PlaneState::Off => {
            Some(found(Level::Notice, format!("the part {name} of this node is off"), detail, None))
        }
        PlaneState::Degraded | PlaneState::Stopped => Some(found(
            Level::Alarm,
            format!("the part {name} of this node does not work as it should"),
            if detail.is_empty() { "it has not said why".to_owned() } else { detail },
            // What is wrong with what is published is put right while the door is open.
            (name != "door").then_some("freehold stop, then freehold up"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doctor(name: &str, health: Health) -> Option<(Level, String, String)> {
        told(said(name, health)).map(|found| (found.level, found.what, found.why))
    }

    #[test]
    fn what_nobody_asked_for_is_told_to_programs_alone() {
        let idle = || Health::Idle("nobody has asked for a proxy".to_owned());
        assert_eq!(doctor("proxies", idle()), None);
        assert_eq!(doctor("names", Health::Starting), None);
        let json = serde_json::to_value(said("proxies", idle())).unwrap();
        assert_eq!(json["state"], "idle");
        assert_eq!(json["detail"], "nobody has asked for a proxy");
    }

    #[test]
    fn what_was_switched_off_or_fails_is_told_with_why() {
        let said = |what: &str, why: &str| (what.to_owned(), why.to_owned());
        let off = doctor("tunnel", Health::Off("packets are not carried, as --no-packets says".to_owned()));
        let (what, why) =
            said("the part tunnel of this node is off", "packets are not carried, as --no-packets says");
        assert_eq!(off, Some((Level::Notice, what, why)));
        let failed = doctor("other realms", Health::Failed(String::new()));
        let (what, why) =
            said("the part other realms of this node does not work as it should", "it has not said why");
        assert_eq!(failed, Some((Level::Alarm, what, why)));
        let (what, why) = said("names", "home.internal at 127.0.0.1:5300");
        assert_eq!(doctor("names", Health::Up(why.clone())), Some((Level::Good, what, why)));
    }
}

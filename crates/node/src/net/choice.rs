//! What this machine has chosen to use of what others offer: its own affair, so it stands in a file beside the
//! realm's things and in no log.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use freehold_api::Problem;
use freehold_disk::{make_private_dir, read_private, replace};
use freehold_reach::{Accepted, Wish};
use freehold_wire::NodeId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::problem::{home_problem, own_problem};

/// How long somebody who chooses waits until it holds.
const HOLDS_WITHIN: Duration = Duration::from_secs(10);

/// What it uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Choice {
    /// The exit and the networks.
    pub(crate) wish: Wish,
    /// Whether the network around is reached past the exit.
    pub(crate) lan: bool,
    /// Whether packets may go out as if there were no exit, where it cannot be used.
    pub(crate) leak: bool,
    /// Why it is not known what was chosen: then nothing leaves, as if an exit were gone.
    pub(crate) unread: Option<String>,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kept {
    exit: Option<String>,
    all_routes: bool,
    routes: Vec<String>,
    lan: bool,
    leak: bool,
}

impl Choice {
    fn read(bytes: &[u8]) -> Option<Self> {
        let Kept { exit, all_routes, routes, lan, leak } = serde_json::from_slice(bytes).ok()?;
        let exit = match exit {
            None => None,
            Some(id) => Some(id.parse().ok()?),
        };
        let of: Vec<NodeId> = routes.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?;
        let routes = match (all_routes, of.is_empty()) {
            (true, _) => Accepted::All,
            (false, true) => Accepted::None,
            (false, false) => Accepted::Of(of),
        };
        Some(Self { wish: Wish { exit, routes }, lan, leak, unread: None })
    }

    fn write(&self) -> Vec<u8> {
        let routes = match &self.wish.routes {
            Accepted::Of(nodes) => nodes.iter().map(ToString::to_string).collect(),
            Accepted::None | Accepted::All => Vec::new(),
        };
        let kept = Kept {
            exit: self.wish.exit.map(|node| node.to_string()),
            all_routes: self.wish.routes == Accepted::All,
            routes,
            lan: self.lan,
            leak: self.leak,
        };
        serde_json::to_vec_pretty(&kept).unwrap_or_default()
    }
}

/// The choice, kept and followed.
#[derive(Debug)]
pub(crate) struct Chosen {
    file: PathBuf,
    /// With a number that rises.
    now: watch::Sender<(u64, Choice)>,
    /// The last number that holds.
    holds: watch::Sender<u64>,
    troubles: Mutex<Vec<String>>,
    /// Held by whoever changes it.
    turn: tokio::sync::Mutex<()>,
}

impl Chosen {
    /// What was kept in a file. One that cannot be read may have named an exit, so nothing goes past one until
    /// somebody chooses anew; it is written in one step, so somebody else wrote it.
    pub(crate) fn kept(file: PathBuf) -> Self {
        let read = match read_private(&file) {
            Ok(None) => Ok(Choice::default()),
            Ok(Some(bytes)) => Choice::read(&bytes).ok_or_else(|| "it is not what was written".to_owned()),
            Err(error) => Err(own_problem(&error).to_string()),
        };
        let unreadable = |why: &String| {
            let file = file.display();
            format!(
                "{file} cannot be read, so nothing goes to the internet: {why}; choose anew: freehold net use --exit \
                 none, or NODE"
            )
        };
        let unread = read.as_ref().err().map(unreadable);
        let troubles = unread.iter().cloned().collect();
        let choice = Choice { unread, ..read.unwrap_or_default() };
        Self {
            file,
            now: watch::channel((0, choice)).0,
            holds: watch::channel(0).0,
            troubles: Mutex::new(troubles),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn choice(&self) -> Choice {
        self.now.borrow().1.clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<(u64, Choice)> {
        self.now.subscribe()
    }

    /// Keeps another choice, and waits until the kernel goes by it, if somebody sees to that.
    pub(crate) async fn choose(&self, choice: Choice, is_followed: bool) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        keep(&self.file, &choice.write()).map_err(|error| home_problem(&self.file, &error))?;
        let number = self.now.borrow().0 + 1;
        self.told(Vec::new());
        self.now.send_replace((number, choice));
        let mut holds = self.holds.subscribe();
        if is_followed {
            // What hinders is told with the rest.
            drop(tokio::time::timeout(HOLDS_WITHIN, holds.wait_for(|holds| *holds >= number)).await);
        }
        Ok(())
    }

    /// The kernel goes by the choice of this number.
    pub(crate) fn holds(&self, number: u64) {
        self.holds.send_replace(number);
    }

    /// What the kernel did not do.
    pub(crate) fn told(&self, troubles: Vec<String>) {
        *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }

    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn keep(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        make_private_dir(folder)?;
    }
    replace(file, bytes, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    #[tokio::test]
    async fn a_choice_stays_over_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("net/choice");
        for (exit, routes, lan) in [
            (Some(node(1)), Accepted::All, true),
            (None, Accepted::Of(vec![node(1), node(2)]), false),
            (None, Accepted::None, false),
        ] {
            let choice = Choice { wish: Wish { exit, routes }, lan, leak: !lan, unread: None };
            Chosen::kept(file.clone()).choose(choice.clone(), false).await.unwrap();
            let again = Chosen::kept(file.clone());
            assert_eq!((again.choice(), again.troubles()), (choice, vec![]));
        }
    }

    #[test]
    fn nothing_is_chosen_by_a_file_that_is_not_ours_and_that_is_told() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("choice");
        assert_eq!(Chosen::kept(file.clone()).troubles(), Vec::<String>::new());
        for text in ["", "{\"exit\":\"me\"}", "{\"routes\":[\"7\"]}", "{\"exit\":null,\"else\":1}"] {
            keep(&file, text.as_bytes()).unwrap();
            let chosen = Chosen::kept(file.clone());
            let unread = chosen.troubles().first().cloned();
            assert_eq!(chosen.choice(), Choice { unread, ..Choice::default() });
            assert!(chosen.troubles()[0].contains("freehold net use"), "{text}");
        }
    }

    #[tokio::test]
    async fn who_chooses_waits_until_it_holds() {
        let home = tempfile::tempdir().unwrap();
        let chosen = Chosen::kept(home.path().join("choice"));
        let mut watch = chosen.watch();
        let follow = async {
            watch.changed().await.unwrap();
            let number = watch.borrow_and_update().0;
            chosen.told(vec!["no".to_owned()]);
            chosen.holds(number);
        };
        let (chose, ()) = tokio::join!(chosen.choose(Choice::default(), true), follow);
        chose.unwrap();
        assert_eq!(chosen.troubles(), ["no"]);
    }
}

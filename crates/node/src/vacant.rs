//! A home that holds no node yet, held for whoever sets one up in it.

use std::io::ErrorKind;

use freehold_api::Problem;
use freehold_disk::HomeLock;

use crate::home::Home;
use crate::identity::Identity;
use crate::problem::{home_problem, identity_problem, lock_problem};

/// A home without a node. While this lives nobody else sets one up there, and none runs.
#[derive(Debug)]
pub struct Vacant {
    home: Home,
    _lock: HomeLock,
}

impl Vacant {
    /// Makes the home if needed, and takes it.
    ///
    /// # Errors
    /// A [`Problem`] if it holds a node, or somebody else has it.
    pub fn take(home: &Home) -> Result<Self, Problem> {
        home.check()?;
        freehold_disk::make_private_dir(home.root()).map_err(|error| home_problem(home.root(), &error))?;
        let lock = HomeLock::take(home.root()).map_err(|error| lock_problem(&error))?;
        // Looked at under the lock: whoever had it before may have set up a node.
        if Identity::read(home).map_err(|error| identity_problem(&error))?.is_some() {
            return Err(Problem::conflict(
                "no node was set up",
                format!("{} holds one already", home.root().display()),
                Some("freehold up    (resumes it), or use another --home"),
            ));
        }
        Ok(Self { home: home.clone(), _lock: lock })
    }

    /// Which one.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// Removes what an interrupted set-up left: no identity was written, so it is nobody's.
    ///
    /// # Errors
    /// A [`Problem`] that names what cannot be removed.
    pub(crate) fn clear(&self) -> Result<(), Problem> {
        let home = &self.home;
        for old in [home.log(), home.log_seen(), home.entries()] {
            match std::fs::remove_file(&old) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(home_problem(&old, &error)),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use freehold_api::ProblemKind;

    use super::*;
    use crate::clock;
    use crate::founding::found;

    #[test]
    fn a_home_is_set_up_once_and_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("home"));
        let first = Vacant::take(&home).unwrap();
        assert_eq!(Vacant::take(&home).unwrap_err().kind, ProblemKind::Conflict);
        freehold_disk::replace(&home.log_seen(), b"left by an interrupted set-up", 0o600).unwrap();
        let [one, other] = [(); 2].map(|()| found("smith", "laptop", clock::wall()).unwrap());
        one.finish(&first, None, None).unwrap();
        assert!(!home.log_seen().exists());
        drop(first);
        let identity = std::fs::read(home.identity()).unwrap();
        assert!(Vacant::take(&home).unwrap_err().why.contains("holds one already"));
        drop(other);
        assert_eq!(std::fs::read(home.identity()).unwrap(), identity);
    }
}

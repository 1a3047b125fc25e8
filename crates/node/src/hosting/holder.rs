//! Whether this machine is the one that runs a backend: another may have taken it over.

use std::time::Duration;

use freehold_backend::{Claims, Holder};
use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_wire::Millis;

use crate::clock;
use crate::home::Home;
use crate::problem::chain;

/// How often another's claim is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Who takes a backend over waits so long for a machine that runs it.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// Whoever has not looked for so long may have been taken for lost.
const GAP: Millis = Millis::from_secs(20);
/// In a backend's home: who this machine is to the others, and its claim.
const FILE: &str = "claim";

/// The claim under which this machine runs a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) holder: Holder,
    pub(crate) number: u64,
}

impl Held {
    /// A new one.
    pub(crate) fn new(number: u64) -> Self {
        let mut holder = Holder::default();
        OsEntropy.fill(&mut holder);
        Self { holder, number }
    }

    /// The one in a backend's home. Where none is, nobody else ever ran it.
    pub(crate) fn read(home: &Home) -> Result<Self, String> {
        let path = home.root().join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let held = Self::new(0);
                return held.write(home).map(|()| held);
            }
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        match (bytes.first_chunk(), bytes.last_chunk(), bytes.len()) {
            (Some(holder), Some(number), 24) => {
                Ok(Self { holder: *holder, number: u64::from_be_bytes(*number) })
            }
            _ => Err(format!("{} is damaged", path.display())),
        }
    }

    pub(crate) fn write(self, home: &Home) -> Result<(), String> {
        let path = home.root().join(FILE);
        let bytes = [&self.holder[..], &self.number.to_be_bytes()].concat();
        freehold_disk::replace(&path, &bytes, 0o600).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Whether this machine may run the backend, before it does.
pub(super) async fn may_run(home: &Home, claims: &Claims) -> Result<(), Refused> {
    let held = Held::read(home).map_err(Refused::Unknown)?;
    match claims.after(held.number).await.map_err(|e| Refused::Unknown(chain(&e)))? {
        None => Ok(()),
        Some((number, holder)) if holder == held.holder => {
            Held { number, ..held }.write(home).map_err(Refused::Unknown)
        }
        Some(_) => Err(Refused::Taken),
    }
}

/// Why a backend is not run here.
pub(super) enum Refused {
    /// Another machine has it.
    Taken,
    /// That cannot be known now.
    Unknown(String),
}

pub(super) const TAKEN: &str =
    "another machine has taken this backend over with guardian phrases, and runs it: here it has ended";

/// Looks for others' claims while the backend runs, and answers them. Returns if this machine has lost it.
pub(super) async fn hold(home: &Home, claims: &Claims) -> String {
    let mut looked = (clock::monotonic(), clock::wall());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let held = match Held::read(home) {
            Ok(held) => held,
            Err(why) => return why,
        };
        // A store that is silent is seen to elsewhere.
        let Ok(found) = claims.after(held.number).await else { continue };
        let (monotonic, wall) = (clock::monotonic(), clock::wall());
        let gap = monotonic.since(looked.0).max(wall.since(looked.1));
        looked = (monotonic, wall);
        let Some((number, holder)) = found else { continue };
        let next = Held { number: number.saturating_add(1), ..held };
        if holder == held.holder {
            if let Err(why) = (Held { number, ..held }).write(home) {
                return why;
            }
        } else if gap > GAP {
            return TAKEN.to_owned();
        } else if let Err(error) = claims.make(next.number, next.holder).await {
            // It is made again in time, or this machine has not looked for too long.
            tracing::warn!(error = %chain(&error), "another machine's claim to a backend was not answered");
        } else if let Err(why) = next.write(home) {
            return why;
        } else {
            tracing::error!("another machine tried to take a backend over, and was told that it runs here");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let first = Held::read(&home).unwrap();
        assert_eq!((first.number, Held::read(&home).unwrap()), (0, first));
        Held { number: 7, ..first }.write(&home).unwrap();
        assert_eq!(Held::read(&home).unwrap(), Held { number: 7, ..first });
        freehold_disk::replace(&home.root().join(FILE), b"short", 0o600).unwrap();
        assert!(Held::read(&home).is_err());
    }
}

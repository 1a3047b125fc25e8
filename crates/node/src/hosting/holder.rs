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
    let mut watch = Watch::from(clock::monotonic(), clock::wall());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let held = match Held::read(home) {
            Ok(held) => held,
            Err(why) => return why,
        };
        // A store that is silent is seen to elsewhere.
        let Ok(found) = claims.after(held.number).await else { continue };
        let now = (clock::monotonic(), clock::wall());
        let number = match watch.judge(found, held.holder, now) {
            Turn::Ours(number) => number,
            Turn::Quiet => continue,
            Turn::Lost => return TAKEN.to_owned(),
            Turn::Answer(next) => {
                if let Err(error) = claims.make(next, held.holder).await {
                    // It is made again in time, or this machine has been silent for too long.
                    tracing::warn!(error = %chain(&error), "another machine's claim to a backend was not answered");
                    continue;
                }
                if watch.gap((clock::monotonic(), clock::wall())) > GAP {
                    // Too slow: the other may run by now, and answers this one in its turn.
                    return TAKEN.to_owned();
                }
                watch.answered(now);
                tracing::error!(
                    "another machine tried to take a backend over, and was told that it runs here"
                );
                next
            }
        };
        if let Err(why) = (Held { number, ..held }).write(home) {
            return why;
        }
    }
}

/// When this machine last looked, and had nothing to answer or answered it.
#[derive(Debug)]
struct Watch {
    monotonic: Millis,
    wall: Millis,
}

/// What a look calls for.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing came.
    Quiet,
    /// A claim of this machine's, of which it did not know.
    Ours(u64),
    /// Another's: this one is to be made, and noted once it is.
    Answer(u64),
    /// Another's, and whoever made it may have been without an answer for too long.
    Lost,
}

impl Watch {
    const fn from(monotonic: Millis, wall: Millis) -> Self {
        Self { monotonic, wall }
    }

    fn judge(&mut self, found: Option<(u64, Holder)>, me: Holder, now: (Millis, Millis)) -> Turn {
        match found {
            None => {
                self.answered(now);
                Turn::Quiet
            }
            Some((number, holder)) if holder == me => {
                self.answered(now);
                Turn::Ours(number)
            }
            Some(_) if self.gap(now) > GAP => Turn::Lost,
            Some((number, _)) => Turn::Answer(number.saturating_add(1)),
        }
    }

    fn gap(&self, now: (Millis, Millis)) -> Millis {
        now.0.since(self.monotonic).max(now.1.since(self.wall))
    }

    const fn answered(&mut self, now: (Millis, Millis)) {
        *self = Self::from(now.0, now.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_cannot_be_answered_in_time_is_lost_to_the_other() {
        let at = |secs| (Millis::from_secs(secs), Millis::from_secs(1_000_000 + secs));
        let (me, other) = ([1; 16], [2; 16]);
        let mut watch = Watch::from(at(0).0, at(0).1);
        assert_eq!(watch.judge(None, me, at(10)), Turn::Quiet);
        // Nothing that is to be answered is: the answers do not reach the store.
        assert_eq!(watch.judge(Some((3, other)), me, at(20)), Turn::Answer(4));
        assert_eq!(watch.judge(Some((3, other)), me, at(30)), Turn::Answer(4));
        assert_eq!(watch.judge(Some((3, other)), me, at(40)), Turn::Lost);
        // They do.
        let mut watch = Watch::from(at(0).0, at(0).1);
        for look in 1..9 {
            assert_eq!(watch.judge(Some((3, other)), me, at(10 * look)), Turn::Answer(4));
            watch.answered(at(10 * look));
        }
        assert_eq!(watch.judge(Some((9, me)), me, at(200)), Turn::Ours(9));
        assert_eq!(watch.judge(Some((10, other)), me, at(210)), Turn::Answer(11));
        // It slept.
        assert_eq!(watch.judge(Some((10, other)), me, at(300)), Turn::Lost);
    }

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

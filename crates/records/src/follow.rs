//! One name that follows this machine: looks, tells whoever keeps the zone, and remembers how that went.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_wire::Millis;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::due::{Lasting, Line, Next, Seen, choose};
use crate::{Family, Places, RecordsError};

/// However far away the next time is: the machine may sleep meanwhile, or its clock be set.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// How a name stands; what is kept of it over a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// `A`
    pub v4: Line,
    /// `AAAA`
    pub v6: Line,
}

impl Standing {
    /// That of a family.
    #[must_use]
    pub const fn of(&self, family: Family) -> &Line {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// The same, to be told once more: somebody has changed something.
    #[must_use]
    pub fn told_anew(mut self) -> Self {
        for family in Family::ALL {
            self.of_mut(family).anew();
        }
        self
    }

    const fn of_mut(&mut self, family: Family) -> &mut Line {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// A name that follows this machine.
pub struct Follower {
    /// The name.
    pub name: String,
    /// Which of its addresses.
    pub families: Vec<Family>,
    /// Who keeps its zone.
    pub places: Arc<dyn Places>,
    /// The time, since 1970.
    pub clock: fn() -> Millis,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Follower {
    /// Follows `own`, all addresses that this machine knows of itself, until it is told to stop. `standing` is what
    /// was kept, and says what is to be kept.
    pub async fn run(
        &self,
        mut own: watch::Receiver<Vec<IpAddr>>,
        standing: &watch::Sender<Standing>,
        cancel: &CancellationToken,
    ) {
        let mut seen = BTreeMap::new();
        loop {
            let now = (self.clock)();
            let all = own.borrow_and_update().clone();
            let mut due = None;
            for &family in &self.families {
                let line = standing.borrow().of(family).clone();
                let seen = look(&mut seen, family, choose(&all, family, line.said), now);
                match line.next(seen, Millis(millis(self.places.refresh())), now) {
                    Next::Rest(at) => due = [due, at].into_iter().flatten().min(),
                    Next::Clear if !self.places.clears() => {}
                    what => {
                        tokio::select! {
                            biased;
                            () = cancel.cancelled() => return,
                            () = self.tell(family, what, standing) => {}
                        }
                        due = Some(now);
                    }
                }
            }
            let wait = due.map_or(LOOK_AGAIN, |due| Duration::from_millis(due.since((self.clock)()).0));
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                changed = own.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait.min(LOOK_AGAIN)) => {}
            }
        }
    }

    async fn tell(&self, family: Family, what: Next, standing: &watch::Sender<Standing>) {
        let (told, outcome) = match what {
            Next::Replace(address) => (Some(address), self.places.replace(&self.name, address).await),
            Next::Clear | Next::Rest(_) => (None, self.places.clear(&self.name, family).await),
        };
        let (now, draw) = ((self.clock)(), getrandom::u64().unwrap_or_default());
        standing.send_modify(|standing| {
            let line = standing.of_mut(family);
            match outcome {
                Ok(()) => line.done(told, now),
                Err(error) => line.failed(error.lasting(), error.to_string(), now, draw),
            }
        });
    }

    /// Takes out what was said of the name.
    ///
    /// # Errors
    /// What cannot be taken out: it still says so.
    pub async fn take_back(&self, standing: &Standing) -> Result<(), RecordsError> {
        for &family in &self.families {
            if standing.of(family).said.is_some() {
                self.places.clear(&self.name, family).await?;
            }
        }
        Ok(())
    }
}

/// Since when it is so.
fn look(seen: &mut BTreeMap<Family, Seen>, family: Family, address: Option<IpAddr>, now: Millis) -> Seen {
    let fresh = Seen { address, since: now };
    let known = seen.entry(family).or_insert(fresh);
    if known.address != address {
        *known = fresh;
    }
    *known
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl RecordsError {
    /// Whether it may go by itself.
    pub const fn lasting(&self) -> Lasting {
        match self {
            Self::Provider { lasting, .. } => *lasting,
            Self::Form(_) | Self::Key(_) | Self::KeyText | Self::Url(_) | Self::CannotClear(_) => {
                Lasting::ForGood
            }
            Self::Reach { .. }
            | Self::Late(_)
            | Self::Refused { .. }
            | Self::Alias(_)
            | Self::Forged(_)
            | Self::Tls(_)
            | Self::Run { .. }
            | Self::Program { .. } => Lasting::No,
        }
    }
}

//! What the door of this machine shows, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use freehold_api::{DoorCount, NameStanding, ShownHere};
use freehold_certs::Standing;
use freehold_gateway::{Counted, Door};
use freehold_wire::ServiceId;

/// The door at one moment.
pub(crate) struct Face {
    pub(crate) door: Option<Arc<Door>>,
    pub(crate) listening: Vec<String>,
    pub(crate) names: BTreeMap<ServiceId, Vec<String>>,
    pub(crate) troubles: Vec<(ServiceId, String)>,
    pub(crate) standing: Vec<Standing>,
}

/// The newest face.
#[derive(Default)]
pub(crate) struct Told(RwLock<Option<Arc<Face>>>);

impl Told {
    pub(crate) fn set(&self, face: Option<Face>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = face.map(Arc::new);
    }

    pub(crate) fn get(&self) -> Option<Arc<Face>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Face {
    /// What is shown of a service here; nothing if it is none of this machine's.
    pub(crate) fn of(&self, service: &ServiceId) -> Option<ShownHere> {
        let troubles = self.troubles.iter().filter(|(id, _)| id == service);
        let troubles: Vec<String> = troubles.map(|(_, why)| why.clone()).collect();
        let names = self.names.get(service);
        if names.is_none() && troubles.is_empty() {
            return None;
        }
        let names = names.map(Vec::as_slice).unwrap_or_default();
        let counted = self.counted().into_iter().find(|one| one.service == *service);
        Some(ShownHere {
            listening: if names.is_empty() { Vec::new() } else { self.listening.clone() },
            names: self.standing.iter().filter(|one| names.contains(&one.name)).map(standing).collect(),
            counted: counted.map(|one| count(&one)),
            troubles,
        })
    }

    /// What is counted of each service.
    pub(crate) fn counted(&self) -> Vec<Counted> {
        self.door.as_ref().map(|door| door.counted()).unwrap_or_default()
    }

    /// The same, as the API tells it.
    pub(crate) fn counts(&self) -> Vec<(ServiceId, DoorCount)> {
        self.counted().iter().map(|one| (one.service, count(one))).collect()
    }

    /// How it stands with each name.
    pub(crate) fn standings(&self) -> Vec<NameStanding> {
        self.standing.iter().map(standing).collect()
    }
}

fn standing(one: &Standing) -> NameStanding {
    NameStanding {
        name: one.name.clone(),
        until_ms: one.until.map(|until| until.0),
        next_ms: Some(one.next.0),
        failures: one.failures,
        error: one.error.clone(),
    }
}

/// As the API tells it.
fn count(counted: &Counted) -> DoorCount {
    let shown = &counted.shown;
    DoorCount {
        answers: shown.classes.iter().sum(),
        errors: shown.classes.last().copied().unwrap_or_default(),
        received: shown.received,
        sent: shown.sent,
        under_way: shown.under_way,
        tunnels: shown.tunnels,
        turned_away: shown.turned_away,
        too_often: shown.too_often,
        too_large: shown.too_large,
        busy: shown.busy,
        failed: shown.failed,
    }
}

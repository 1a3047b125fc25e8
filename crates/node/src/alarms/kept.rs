//! What is kept of a place that alarms go to. Its address may be a secret: the file is its owner's alone.

use std::collections::BTreeMap;

use freehold_retention::{Heard, Told};
use freehold_wire::Millis;
use serde::{Deserialize, Serialize};

pub(super) type Channels = BTreeMap<String, Channel>;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) webhook: String,
    /// Alarms it knows of: when it was told last, and since when they do not stand.
    #[serde(default)]
    told: BTreeMap<String, (u64, Option<u64>)>,
    #[serde(default)]
    pub(super) sent_ms: Vec<u64>,
    #[serde(default)]
    pub(super) failed: u32,
    #[serde(default)]
    tried_ms: Option<u64>,
    #[serde(default)]
    pub(super) why: Option<String>,
}

impl Channel {
    pub(super) fn new(webhook: &str) -> Self {
        Self {
            id: crate::backup::short_id(),
            webhook: webhook.to_owned(),
            told: BTreeMap::new(),
            sent_ms: Vec::new(),
            failed: 0,
            tried_ms: None,
            why: None,
        }
    }

    /// Something has arrived there.
    pub(super) fn works(&mut self) {
        (self.failed, self.why) = (0, None);
    }

    pub(super) fn heard(&self) -> Heard {
        let told = |(what, (at, gone)): (&String, &(u64, Option<u64>))| {
            (what.clone(), Told { at: Millis(*at), gone: gone.map(Millis) })
        };
        Heard {
            told: self.told.iter().map(told).collect(),
            sent: self.sent_ms.iter().copied().map(Millis).collect(),
            failed: self.failed,
            tried: self.tried_ms.map(Millis),
        }
    }

    pub(super) fn keep(&mut self, heard: &Heard) {
        let told = |(what, told): (&String, &Told)| (what.clone(), (told.at.0, told.gone.map(|at| at.0)));
        self.told = heard.told.iter().map(told).collect();
        self.sent_ms = heard.sent.iter().map(|at| at.0).collect();
        self.failed = heard.failed;
        self.tried_ms = heard.tried.map(|at| at.0);
        if heard.failed == 0 {
            self.why = None;
        }
    }
}

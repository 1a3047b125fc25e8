//! All that an answer depends on beside the cache, swapped whole.

use std::sync::Arc;

use freehold_names::{Blocked, Policy, Zones};

use crate::config::Setting;
use crate::upstream::Group;

/// The key of all numbers of names, drawn at the start.
pub(crate) type Seed = [u8; 16];

/// What holds now.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) zones: Zones,
    pub(crate) policy: Policy,
    pub(crate) blocked: Arc<Blocked>,
    pub(crate) upstreams: Vec<Arc<Group>>,
    /// How many groups there are: the number under which those in none are counted.
    pub(crate) groups: usize,
}

impl View {
    pub(crate) fn new(
        setting: &Setting,
        blocked: Arc<Blocked>,
        upstreams: Vec<Arc<Group>>,
        seed: &Seed,
    ) -> Self {
        Self {
            zones: Zones::of(&setting.rows),
            policy: Policy::of(&setting.groups, &setting.forwards, seed),
            blocked,
            upstreams,
            groups: setting.groups.len(),
        }
    }
}

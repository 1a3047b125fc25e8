//! A run: steps in which anything may fail, then everything is healed and must come right.

use std::fmt;

use crate::options::KINDS;
use crate::{Choose, Kind, Options, Trace};

/// A world to run.
pub trait World {
    /// What may happen in it.
    fn options(&self) -> &Options;

    /// Whether a step of this kind is possible at present.
    fn allows(&self, kind: Kind) -> bool;

    /// Takes a step.
    fn step(&mut self, kind: Kind, choose: &mut dyn Choose);

    /// What is wrong, if anything.
    fn violation(&self) -> Option<String>;

    /// Restarts, mends and repairs everything, and lets it run until nothing changes.
    ///
    /// # Errors
    /// What did not come right.
    fn heal(&mut self, choose: &mut dyn Choose) -> Result<(), String>;

    /// What happened so far.
    fn trace(&mut self) -> &mut Trace;
}

/// A run that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which rule, and how.
    pub why: String,
    /// What led to it.
    pub trace: Trace,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.trace, self.why)
    }
}

/// Runs a world to its end.
///
/// # Errors
/// [`Failure`] at the first rule that is broken.
pub fn run(world: &mut dyn World, choose: &mut dyn Choose) -> Result<Trace, Failure> {
    for _ in 0..world.options().steps {
        if choose.is_spent() {
            break;
        }
        let mut weights = world.options().weights;
        for (weight, kind) in weights.iter_mut().zip(KINDS) {
            if *weight > 0 && !world.allows(kind) {
                *weight = 0;
            }
        }
        if weights.iter().all(|weight| *weight == 0) {
            break;
        }
        let Some(kind) = KINDS.get(choose.weigh(&weights)) else { break };
        world.trace().step();
        world.step(*kind, choose);
        if let Some(why) = world.violation() {
            return Err(Failure { why, trace: world.trace().clone() });
        }
    }
    let healed = world.heal(choose);
    let violation = world.violation();
    let trace = world.trace().clone();
    match (healed, violation) {
        (Ok(()), None) => Ok(trace),
        (_, Some(why)) | (Err(why), None) => Err(Failure { why, trace }),
    }
}

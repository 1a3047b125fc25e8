//! What may happen in a run, and how often: drawn for each seed, so that some faults are off in one
//! run and wildly likely in another.

use crate::Choose;

/// A kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A node writes something of its own.
    Write,
    /// A message arrives.
    Deliver,
    /// A message is lost.
    Lose,
    /// A message arrives and stays on its way as well.
    Repeat,
    /// The oldest write of a disk becomes durable.
    Sync,
    /// The oldest write of a disk fails.
    Fail,
    /// A node stops; what is not durable is gone.
    Crash,
    /// A stopped node starts.
    Restart,
    /// Two nodes cannot reach each other from now on.
    Cut,
    /// They can again.
    Mend,
    /// Time passes until something is due.
    Wait,
    /// A blob on its way arrives, or fails to.
    Fetch,
    /// A disk flips or loses a blob, and says nothing.
    Lie,
    /// A node is destroyed, and a new one takes its place.
    Destroy,
    /// A node hears what the realm log says by now.
    Hear,
    /// A node is suspended, or that is lifted.
    Suspend,
    /// A node removes a copy that does not belong there.
    Sweep,
    /// A node erases the payload of an entry.
    Erase,
    /// A node writes something that it dates into the future.
    Early,
    /// A node passes on what somebody said who may not write there.
    Smuggle,
    /// A node is to be emptied, or no longer.
    Drain,
    /// A node is somewhere else than was thought, or a bucket may lie somewhere else.
    Move,
}

/// Every kind, in the order of the weights.
pub(crate) const KINDS: [Kind; 22] = [
    Kind::Write,
    Kind::Deliver,
    Kind::Lose,
    Kind::Repeat,
    Kind::Sync,
    Kind::Fail,
    Kind::Crash,
    Kind::Restart,
    Kind::Cut,
    Kind::Mend,
    Kind::Wait,
    Kind::Fetch,
    Kind::Lie,
    Kind::Destroy,
    Kind::Hear,
    Kind::Suspend,
    Kind::Sweep,
    Kind::Erase,
    Kind::Early,
    Kind::Smuggle,
    Kind::Drain,
    Kind::Move,
];

/// A mistake planted in the simulated shell, which the checkers must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Says that a write is durable before it is.
    StoredEarly,
    /// Lets a blob come that is not to lie here any more.
    StopIgnored,
    /// Removes what is on a node that is to be emptied, whoever else has it.
    DrainedEarly,
}

/// How a run goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Nodes at the beginning.
    pub nodes: usize,
    /// Steps in which anything may fail.
    pub steps: usize,
    /// Writes at most.
    pub writes: usize,
    /// Buckets written to; the directory comes on top if there are several.
    pub buckets: usize,
    /// Copies that buckets ask for, and a write waits for.
    pub copies: u16,
    /// Weight of each kind of step.
    pub weights: [u32; KINDS.len()],
    /// Whether messages overtake each other.
    pub reorder: bool,
    /// One in so many outputs is a node's last before a crash; 0 for none.
    pub crash_between: usize,
    /// The planted mistake.
    pub fault: Option<Fault>,
}

impl Options {
    /// Options drawn for one run.
    pub fn swarm(choose: &mut dyn Choose) -> Self {
        let mut weights = [0; KINDS.len()];
        for (weight, kind) in weights.iter_mut().zip(KINDS) {
            *weight = match kind {
                Kind::Deliver => 40,
                Kind::Sync | Kind::Fetch => 8 + 4 * u32::try_from(choose.below(6)).unwrap_or(0),
                Kind::Write => 8,
                Kind::Restart | Kind::Mend | Kind::Hear => 4,
                Kind::Wait => 3,
                Kind::Lose | Kind::Repeat | Kind::Fail | Kind::Crash | Kind::Cut => {
                    [0, 0, 1, 4, 12].get(choose.below(5)).copied().unwrap_or(0)
                }
                Kind::Lie
                | Kind::Destroy
                | Kind::Suspend
                | Kind::Sweep
                | Kind::Erase
                | Kind::Early
                | Kind::Smuggle
                | Kind::Drain
                | Kind::Move => [0, 0, 1, 3].get(choose.below(4)).copied().unwrap_or(0),
            };
        }
        Self {
            nodes: 2 + choose.below(3),
            steps: 20 + choose.below(100),
            writes: 1 + choose.below(10),
            buckets: 1 + choose.below(3),
            copies: 1 + u16::from(choose.below(4) > 0),
            weights,
            reorder: choose.below(2) == 1,
            crash_between: [0, 0, 8, 40].get(choose.below(4)).copied().unwrap_or(0),
            fault: None,
        }
    }

    /// A scope small enough to try everything: only these kinds of steps, all alike.
    pub fn small(nodes: usize, steps: usize, writes: usize, kinds: &[Kind]) -> Self {
        Self {
            nodes,
            steps,
            writes,
            buckets: 1,
            copies: 2,
            weights: KINDS.map(|kind| u32::from(kinds.contains(&kind))),
            reorder: true,
            crash_between: 0,
            fault: None,
        }
    }

    /// The same with steps of these kinds as often as others.
    #[must_use]
    pub fn often(mut self, kinds: &[Kind]) -> Self {
        for (weight, _) in self.weights.iter_mut().zip(KINDS).filter(|(_, kind)| kinds.contains(kind)) {
            *weight = (*weight).max(6);
        }
        self
    }

    /// The same with a planted mistake.
    #[must_use]
    pub const fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

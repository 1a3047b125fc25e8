//! What happened, one line for each step, in columns: see docs/testing.md.

use std::fmt;

use freehold_wire::Millis;

use crate::Name;

/// The lines of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    lines: Vec<String>,
    step: usize,
}

impl Trace {
    /// The next step begins.
    pub(crate) fn step(&mut self) {
        self.step += 1;
    }

    /// Notes a step: step, time, node, what, detail.
    pub(crate) fn note(&mut self, now: Millis, node: Name, what: &str, detail: fmt::Arguments<'_>) {
        self.lines.push(format!("{:>4} {:>7} {node:<3} {what:<10} {detail}", self.step, now.0));
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

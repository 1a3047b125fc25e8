//! Backups as decisions: when one is due, which snapshots are kept and which may go, which files a restore is tried
//! with, what is wrong enough that a person has to hear of it, and when that is sent to them. It must never do I/O, read
//! a clock, draw a seed, or let the newest snapshot of anything go. Start reading at [`due`], then [`choose`]; the keeping of snapshots is that
//! of restic's `forget`, so that whoever knows one knows both.

mod alarm;
mod drill;
mod guarding;
mod jump;
mod policy;
mod schedule;
mod sending;
mod upkeep;

pub use alarm::{Alarm, Bounds, Drilled, Outcome, Record, alarms};
pub use drill::{Drill, DrillPlan, Sample, drill_due};
pub use guarding::{Candidate, Cover, Guard, Spared, guard};
pub use jump::{Jump, Jumps};
pub use policy::{Choice, Keep, Moment, Period, Policy, Reason, Snapshot, choose, compact};
pub use schedule::{BadSchedule, Due, EVERY_MAX, EVERY_MIN, Now, Power, Schedule, Tries, Waiting, due};
pub use sending::{Heard, Message, Step, Told};
pub use upkeep::{PARTS, next_part, next_thinning, unread};

#[cfg(test)]
mod tests;

//! Backups of ZFS datasets, carried out: runs this machine's `zfs`, sends raw streams, and takes them in. What comes next
//! is asked of `freehold-zfs`. It must never run a shell, take in a stream that is not raw, or remove anything that the
//! decisions did not name. Start reading at [`round`], the source's end; [`Keeper`] is the target's.

mod keeper;
mod receiving;
mod sender;
mod talk;
mod tool;

pub use keeper::{Keeper, Tended};
pub use sender::{Outcome, Stand, Way, round, take, thin};
pub use talk::{Answer, Ask, BODY_MAX};
pub use tool::{Tool, ToolError};

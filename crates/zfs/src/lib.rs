//! Backups of ZFS datasets as decisions: what one declaration says of which machine, what `zfs` prints of either end, and
//! what follows from both. It must never do I/O, read a clock, or choose a step that takes away the last snapshot that
//! both ends have, or anything that a target holds of history. Start reading at [`next`]: each declared dataset at each target
//! is done, has a step to be taken, or is a [`Trouble`] with a name.

mod decide;
mod declared;
mod names;
mod printed;
mod shown;
mod stream;
mod tend;
mod token;

pub use decide::{Base, Next, Step, Trouble, next, orphans};
pub use declared::{Backup, BadDeclaration, DECLARATION_MAX, Declaration, Target};
pub use names::{BadName, Dataset, Label, OWN, is_own, own_name, tag};
pub use printed::{BadOutput, COLUMNS, holds, listed};
pub use shown::{Kind, Mark, Seen, Shown, Snapshot};
pub use stream::{BadStream, HEAD, Head};
pub use tend::{Tend, prunable, taken_after, taken_at, tend};
pub use token::{BadToken, Token, is_token, told};

//! Passes: how a realm's machine shows another realm that it comes under a grant, and what the two then tell each
//! other. Whoever lends knows nothing of the other realm but the keys that its grant names; what those sign counts for
//! one machine and for a day at most. It must never do I/O, read a clock, let anything in that the log does not name, or
//! make more of a pass than the right to one connection of packets, or, where room is lent, to keep sealed bytes there. Start reading at [`Pass`], then [`judge()`]; the
//! bytes are in `docs/formats/pass.md`.

mod call;
mod errand;
mod judge;
mod pass;
mod receipt;
mod shelf;
pub mod storage;

pub use call::{
    Answer, Call, Contact, HOSTS_MAX, Host, Offered, SERVICES_MAX, Shown, Told, WORDS_MAX, Welcome,
};
pub use errand::{About, BODY_MAX, Errand, LISTED_MAX, Object, Outcome, What};
pub use judge::{Ground, Reason, Recalls, Visitor, judge, judge_recall, last, was_theirs};
pub use pass::{Claim, LIFE_MAX, PASS_MAX, Pass, Recall, Word};
pub use receipt::{Deletion, Receipt};
pub use shelf::{
    FILE_MAX, FILES_MAX, KEYS_MAX, Part, SHELVES_MAX, SMALL_MAX, ShelfAbout, ShelfErrand, ShelfFile,
    ShelfOutcome, ShelfWhat, Sort,
};

#[cfg(test)]
mod tests;

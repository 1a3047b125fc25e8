//! A member's move from one realm to another, as decisions: what of a bucket is still to be brought over, in which
//! order, when the old bucket is closed, when the new one counts, and what the receipt says. All of it over what S3
//! answers and what was written down so far, so that a move which is killed anywhere goes on where it was. It must never
//! do I/O or read a clock, nor let the new realm count before everything that the old one has was read back there.
//! Start reading at [`steps`], then [`next`], then [`Receipt`]; why it is so is in docs/adr/0014-leaving.md.

mod answer;
mod closing;
mod journal;
mod listing;
mod receipt;
mod rounds;
mod steps;

pub use answer::{AnswerError, Page, bucket_names, field, pairs, unescaped, versions_page};
pub use closing::{Closing, PolicyError, closed, reopened};
pub use journal::{Line, Model, ModelBucket, Plan, Side};
pub use listing::{Listing, listing};
pub use receipt::{BucketMoved, Receipt, ReceiptError, manifest_line, seal, verify};
pub use rounds::{Facts, Next, next};
pub use steps::{Kept, Seen, Step, apply, settle, steps};

#[cfg(test)]
mod tests;

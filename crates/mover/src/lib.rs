//! Carries out a member's move from one realm to another, on the member's own machine, with the access keys that they
//! have in both: what to do next is asked of `freehold-moves`, what was done is written down before anything follows
//! from it. Neither realm has to know of the other, and no administrator has to do anything. Start reading at
//! [`Mover::run`]; why it is so is in docs/adr/0014-leaving.md.

mod bringing;
mod client;
mod copying;
mod credentials;
mod error;
mod folder;
mod run;
mod settings;
mod sign;

pub use credentials::Credentials;
pub use error::{MoveError, Realm};
pub use folder::Folder;
pub use freehold_moves::{BucketMoved, Receipt, ReceiptError, Side, verify};
pub use run::{Look, LookBucket, Mover, Outcome, Said, Told, Wish};

//! What becomes of people's data over years: realms that keep each other's copies, their disks, houses and habits, and
//! what of it is left under each rule of placement. Where a copy belongs is asked of the real [`freehold_placement`], what
//! a grant still allows of the real [`freehold_passes`]; days, misfortunes and people are this module's. Start reading at
//! [`Odds`], then [`Fates`], then [`households`].

mod fates;
mod household;
mod odds;
mod rule;
mod tally;

pub use fates::Fates;
pub use household::households;
pub use odds::{Defectors, Odds};
pub use rule::{Apart, Care, RULES, Rule};
pub use tally::Tally;

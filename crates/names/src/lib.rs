//! Names, as decisions on bytes: what a client asks, what is answered here, which names are blocked
//! for whom, what others answered and for how long that is good. It must never ask anybody, read a
//! clock, draw a seed, or panic on a packet or a list from outside. Start reading at [`Question`], then
//! [`decide`].

pub mod answer;
mod blocked;
mod cache;
mod code;
mod domain;
mod inward;
pub mod lists;
mod message;
mod policy;
mod question;
pub mod reverse;
pub mod safe;
mod schedule;
mod suffix;
pub mod tally;
mod zone;

pub use blocked::{Blocked, Builder, Hit, LISTS_MAX, Refused, Shape};
pub use cache::{Cache, Found, Key};
pub use code::{ANY_CLASS, IN, Rcode, Why, kind};
pub use domain::{Domain, DomainError, LABEL_MAX, NAME_MAX};
pub use inward::{is_inside, leads_inside};
pub use message::{BadRecord, Message, Record, Records, Section};
pub use policy::{Decision, Group, Member, Policy, PolicyParty, decide};
pub use question::{Edns, Question, Unread};
pub use schedule::{LocalTime, Schedule, Within};
pub use suffix::Suffixes;
pub use zone::{Data, Owned, Row, Zones, reserved};

#[cfg(test)]
mod tests;

//! Pools: several realms that lend each other room under a charter that all of them have signed. What the charter says
//! now follows from the signed papers alone, in any order of arrival; who lends how much to whom follows from the charter
//! alone, so that nobody has to be asked; the lending itself is done by grants between two. It must never do I/O, read
//! a clock, bind anybody to what they have not signed, or let shares together be more than somebody gives. Start
//! reading at [`Charter`], then [`Standing`], then [`allot`] and [`Papers`]; why it is so is in docs/adr/0012-pools.md, the bytes are in
//! docs/formats/pool.md.

mod account;
mod charter;
mod handing;
mod letter;
mod papers;
mod proposal;
mod row;
mod shares;
mod standing;

pub use account::{ACCOUNT_MAX, Account, Line, Used, balance};
pub use charter::{CHARTER_MAX, Charter, Decide, Flaw, MEMBERS_MAX, Member, NAME_MAX, Rules, Signed, Voice};
pub use handing::Handing;
pub use letter::{LETTER_MAX, LETTER_TEXT_MAX, Letter, Offered};
pub use papers::{PAPERS_MAX, Papers, Taken, Wrong};
pub use proposal::{Change, Missing, NoChange, Unwished};
pub use row::{About, Draft, Row, place};
pub use shares::{Dealing, Differs, Share, allot, dealing};
pub use standing::{Double, Leaving, Notice, Standing};

#[cfg(test)]
mod tests;

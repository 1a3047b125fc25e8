//! What a stranger can make a listening port do: how many connections there are, from whom, and for
//! how long one may stay that asks nothing. It must never know what is spoken on a connection. Start
//! reading at [`Table`], which decides; [`Porter`] keeps one for each port.

mod held;
mod patient;
mod porter;
mod source;
mod stall;
mod table;
mod tries;

pub use held::Held;
pub use patient::{BrokeOff, Patient};
pub use porter::{Busy, Guest, Porter};
pub use source::Source;
pub use stall::Stall;
pub use table::{Entered, Places, Table};
pub use tries::Tries;

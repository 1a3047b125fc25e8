//! The daemon: wires the planes together, supervises them and reports how they are. It holds no
//! rule of its own about who may do what: those are in the core crates. Start reading at
//! [`run`](mod@run), then [`shared`] and [`steward`].

pub mod access_keys;
pub mod certificate;
mod checks;
pub mod clock;
pub mod control;
pub mod credentials;
pub mod damage;
mod databases;
pub mod directory;
pub mod door;
mod entitled;
pub mod erasing;
pub mod founding;
pub mod gate;
pub mod heard;
pub mod home;
mod hosting;
pub mod identity;
pub mod invitation;
pub mod joining;
mod knock;
pub mod log;
pub mod logs;
mod membership;
mod naming;
mod neighbours;
pub mod net;
mod people;
pub mod ports;
pub mod problem;
pub mod process;
mod quota;
pub mod recovering;
pub mod replica;
pub mod run;
pub mod scribe;
pub mod shared;
mod sharing;
pub mod steward;
pub mod supervisor;
pub mod traffic;
pub mod transfer;
pub mod vacant;
mod whereabouts;

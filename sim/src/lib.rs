//! The simulated world: networks that cut, delay, lose, repeat and reorder; disks that are slow,
//! full, forget what was not synced, and lie; machines that crash between any two outputs, are
//! destroyed and replaced. In it run the real cores of sync and replication. It must never depend
//! on real time, threads or randomness: every decision is asked of [`Choose`], so that one world
//! runs from a seed, exhaustively, and under a fuzzer. Start reading at [`Choose`], then [`run`].

mod check;
mod choose;
mod crowd;
pub mod durability;
mod log_world;
mod network;
mod options;
mod replica_world;
mod run;
mod test_log;
mod trace;

pub use choose::{Bytes, Choose, Exhaustive, Seeded};
pub use crowd::{Crowd, Spread};
pub use log_world::LogWorld;
pub use network::Name;
pub use options::{Fault, Kind, Options};
pub use replica_world::ReplicaWorld;
pub use run::{Failure, World, run};
pub use test_log::{Letter, TestLog};
pub use trace::Trace;

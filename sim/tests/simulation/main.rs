//! The cores in the simulated world: from seeds, exhaustively, and with planted mistakes.
//! `FREEHOLD_SEED` replays one seed with its trace, `FREEHOLD_SEEDS` says how many to run.

mod log;
mod replica;
mod seeds;

//! The cores in the simulated world: from seeds, exhaustively, and with planted mistakes.
//! `FREEHOLD_SEED` replays one seed with its trace, `FREEHOLD_SEEDS` says how many to run.

#[cfg(test)]
mod crowd;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod log;
#[cfg(test)]
mod replica;
#[cfg(test)]
mod seeds;

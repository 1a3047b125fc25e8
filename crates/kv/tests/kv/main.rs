//! Databases on a real vault on a real disk: what comes back, what two writers may not do, what a
//! kill leaves, what another node sees.

#![cfg(test)]

mod documents;
mod ends;
mod kill;
mod nodes;
mod transactions;
mod values;
mod world;

//! The vault on a real disk: what comes back, what a hostile backend can do, what a kill leaves.

#![cfg(test)]

mod conditions;
mod ending;
mod foreign;
mod forgery;
mod hostile;
mod kill;
mod lifecycle;
mod listing;
mod renewal;
mod round_trip;
mod small;
mod space;
mod sweeping;
mod two_nodes;
mod upload;
mod versions;
mod world;

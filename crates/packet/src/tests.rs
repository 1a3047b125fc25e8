//! Laws over packets of every shape that the tunnel meets.

#![expect(clippy::cast_possible_truncation, reason = "lengths of made packets are small")]

mod cutting;
mod fragments;
mod hellos;
mod made;
mod smaller;
mod sums;
mod vectors;

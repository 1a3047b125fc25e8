//! Laws of what is due, kept, tried and told. That the choice is restic's own is tested where there are repositories.

mod guarding;
mod keeping;
mod sending;
mod telling;
mod timing;
mod upkeep;

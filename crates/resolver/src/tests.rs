//! The resolver with servers that hang, lie and cut short, and with lists that change.

mod asking;
mod house;
mod listing;
mod sealed;
mod serving;

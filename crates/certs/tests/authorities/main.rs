//! Certificates from a real authority (Pebble, with its faults), through the real door, with records in a real
//! name server (BIND).

#![cfg(test)]

mod around;
mod faults;
mod ways;

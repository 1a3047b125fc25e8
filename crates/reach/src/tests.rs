//! What must hold.

mod flowing;
mod lab;
mod laws;
mod places;
mod telling;
mod vectors;

//! What must hold.

mod attacks;
mod bytes;
mod checkpoints;
mod kept;
mod lab;
mod network;
mod random;
mod rules;
mod scenes;

//! What must hold.

mod attacks;
mod bytes;
mod lab;
mod random;
mod rules;
mod scenes;

//! A backend over stores that lie, fail and forget.
#![expect(clippy::cast_possible_truncation, reason = "lengths here are small")]

#[cfg(test)]
mod damage;
#[cfg(test)]
mod home;
#[cfg(test)]
mod http;
#[cfg(test)]
mod liar;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod probing;
#[cfg(test)]
mod random;
#[cfg(test)]
mod spread;

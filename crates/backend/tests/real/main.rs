//! A backend over real servers: SeaweedFS always, a cluster of Garage when it is asked for
//! (`cargo xtask outside garage`).
#![expect(clippy::cast_possible_truncation, reason = "lengths here are small")]

#[cfg(test)]
mod garage;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod seaweedfs;
#[cfg(test)]
mod server;

//! The mesh on real sockets of the loopback interface, and between network namespaces. One binary,
//! so that iroh is linked once. Waits are for conditions, each with a limit.

#[cfg(test)]
mod blobs;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod door;
#[cfg(test)]
mod errands;
#[cfg(test)]
mod garbage;
#[cfg(test)]
mod lines;
#[cfg(test)]
mod members;
#[cfg(test)]
mod nat;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod start;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod world;

//! IP packets as bytes on their way through a tunnel: heads, checksums, large packets cut for the line
//! and joined for the kernel, tunnel frames and their fragments, ICMP errors, and the name that a TLS
//! client asks for. It must never know peers or rules, look at a clock, allocate for a packet that
//! passes as it is, or panic on bytes from outside. Start reading at [`Head`], then [`cut`] and
//! [`Joiner`].

pub mod checksum;
pub mod clamp;
mod cut;
mod field;
pub mod fragment;
pub mod frame;
mod head;
pub mod hello;
pub mod icmp;
mod join;
mod virtio;

pub use cut::{Cut, CutError, cut};
pub use head::{Flow, Head, HeadError, Icmp, Piece, Tcp, protocol, tcp_flag};
pub use join::{Joiner, Run};
pub use virtio::{Gso, Virtio};

#[cfg(test)]
mod tests;

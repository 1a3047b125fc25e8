//! What a story test stands on: hosts as network namespaces, real `freehold` processes in temporary
//! homes, real S3 clients, and waiting for conditions with a limit.
//!
//! It must never know what is inside the binary: it starts it, types commands and reads answers,
//! as a person would. Start reading at [`story`], then [`Node`].

mod binary;
mod host;
mod network;
mod node;
mod s3;
mod seaweed;
mod story;
mod wait;
mod webhook;

pub use binary::{binary, python, resolved};
pub use host::{Answer, Host};
pub use network::{Router, Translation};
pub use node::{Node, Ready};
pub use s3::S3;
pub use seaweed::SeaweedFs;
pub use story::{Story, story};
pub use wait::{eventually, until};
pub use webhook::{Posted, Webhook};

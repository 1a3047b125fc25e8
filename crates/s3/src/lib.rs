//! The S3 front: what rclone, the AWS tools and SDKs say, in the vault's words. It must never answer
//! a request that is not signed, hold an object in memory, or keep anything itself: objects are the
//! vault's, and making or ending a bucket is the node's ([`Buckets`]). What is supported and what is
//! not stands in `docs/s3-compatibility.md`. Start reading at [`serve`], then `gate`, then `front`.

mod access;
mod body;
mod buckets;
mod chunked;
mod condition;
mod copy;
mod credentials;
mod digest;
mod extras;
mod front;
mod gate;
mod listing;
mod meta;
mod object;
mod parts_sum;
mod refusal;
mod server;
mod upload;
mod versions;

pub use buckets::{Buckets, BucketsError};
pub use credentials::Credentials;
pub use server::{Limits, ServeError, serve, serve_within};
